// Package story compiles TCP stories, short texts in the manner of packetdrill,
// to captures. It serves tests only.
//
// # A story
//
//	The client's program writes after the server has closed: the server's
//	kernel has no socket left and answers with a bare RST. Shows
//	write-after-close, by the client.
//
//	-- packets --
//	client 192.0.2.1:40000 ttl=128       // all of this line is optional
//	rtt 0.02
//	handshake                            // S, S., . half a round trip apart
//	exchange 120 2000                    // request, ACK, response, ACK
//	+0.5  < F.           #fin            // 0.5 s later the server's FIN
//	      > .                            // without a time: half a round trip later
//	+3    > P. len=80                    // the late write
//	      < stateless    #rst
//	+60   other                          // an unrelated packet: the capture goes on
//	-- verdict --
//	class: reset
//
// A file is a txtar archive: prose that says what happens and which rule it
// shows, a section named packets, and sections that belong to whoever reads
// them ([Story.Section]). A comment in the packets section starts with //.
//
// # Lines
//
//	[TIME] [CONNECTION] VERB ... [#label]
//
// TIME is +0.2 (seconds after the previous line's last packet; +15ms, +2h and
// the like too) or 12.5 (seconds after the story's start). A series repeats
// the line: +1x4,+2,+4 is +1 four times, then +2, then +4. -0.001 lets the
// capture's clock go backwards. A line without a time comes half a round trip
// after the previous one; the first at 0.
//
// CONNECTION is the name of a connection that `conn` declared; without one
// the line belongs to the default connection.
//
// A label names the line's packet, for to= and of= below and for the reader of
// the story ([Story.Labels]). The packets of a line that makes several are
// #label.1, #label.2 and so on.
//
// # Packets
//
//	> FLAGS ...      the client sends
//	< FLAGS ...      the server sends
//
// FLAGS are tcpdump's letters, S F R P . U E W e, or none. Sequence numbers
// look after themselves: SYN and FIN take one, data its length, the ack field
// is all that the sender has received in order. Timestamps, IP IDs, windows,
// and what SYN and SYN-ACK negotiated do too, as Linux does them. So
// `< R.` is the RST of a live socket: in step with everything before.
//
// Instead of FLAGS:
//
//	rexmit           the oldest segment that was not acknowledged, again
//	                 (rexmit last: the newest; rexmit seq=1: the one that starts there)
//	keepalive        an ACK one below the next sequence number (len=1: with a byte)
//	probe            the same thing; Linux probes a zero window like that
//	stateless        the RST of a kernel that has no socket for the last segment
//	                 that reached it (to=#label: for that one): seq from its ack
//	                 field, or RST+ACK if it had none; window 0, IP ID 0, no options
//
// rexmit, keepalive and probe must have a time. A bare R is refused: write
// stateless, R., or R with forged or seq=.
//
// Payload, any number of these, in order:
//
//	len=100          100 bytes in all; letters that follow the stream's position,
//	                 so that a retransmission repeats them; fills up what else is given
//	"GET / HTTP/1.1\r\n"
//	hex:1503030002
//	tls:23:19        a TLS record of type 23 with 19 bytes of letters behind its header
//
// What happens to the packet:
//
//	lost             captured, but never delivered: the peer's books stay as they are
//	uncaptured       on the wire, but not in the capture (with lost: sent, nothing else)
//	crossed          sent before the peer's last packet arrived, so that ack and
//	                 TSecr do not know of it; crossed=2: before the last two
//	forged           sent by something else in this end's name: neither end's
//	                 books change; no options, window 0, IP ID 0 unless given
//
// Header fields; a number with a sign is relative to what would have been sent:
//
//	seq=1 seq=+100 seq=-1      relative to the own ISN; to the next byte
//	ack=1 ack=-1               relative to the peer's ISN; to what was received
//	win=0  ttl=57 ttl=-7  id=0 id=+500  urg=1
//	ts=off tsval=-1000 tsecr=0 (ts=off on a SYN: not offered)
//	mss=1400|off wscale=2|off  on a SYN
//	sack=100-200,300-400       relative to the peer's ISN; sack=off on a SYN
//	tfo, tfo=0102030405060708  fast open: cookie request, cookie
//	mptcp=capable|join|dss|datafin|fail|fastclose|reset|off, token=N (join's)
//	opt=fe04f989               raw options, as they are
//	badsum                     wrong TCP checksum
//	mac=02:00:00:00:00:01 vlan=10 vlan=10,20 vlan=off pad iface=3 (link sll2)
//	cut=60                     bytes captured, from the link header on
//
// # Shorthands
//
//	handshake                  S, S., .
//	exchange 100 2000 [by S]   data, ACK, data 1 ms later, ACK; lengths or payloads
//	                           such as "GET /"; cut into segments by the MSS
//	close by C                 F. of the client, F. of the server, . (or: by S)
//
// # Other packets
//
//	icmp host-unreachable from 192.0.2.254 [to=#label] [mtu=1400] [quote=28] [ttl=] [id=]
//
// quotes the connection's last segment, or the labelled one, to its sender. The
// error is a name or type/code (3/13); from C or S: that end itself. ICMPv4:
// net-unreachable, host-unreachable, protocol-unreachable, port-unreachable,
// frag-needed, source-route-failed, net-unknown, host-unknown, host-isolated,
// net-prohibited, host-prohibited, net-tos, host-tos, admin-prohibited,
// precedence-violation, precedence-cutoff, source-quench, ttl-exceeded,
// reassembly-exceeded, parameter-problem. ICMPv6: no-route, admin-prohibited,
// beyond-scope, addr-unreachable, port-unreachable, failed-policy,
// reject-route, too-big, hop-limit-exceeded, reassembly-exceeded,
// parameter-problem. It quotes as much as Linux does unless quote= says else.
//
//	dup [of=#label] [ttl=-1] [vlan=10] [mac=] [iface=2] [nat=198.51.100.1:50000] [cut=]
//
// is the last packet once more, 20 µs later, as another interface shows it;
// nat= replaces the client's address.
//
//	+60 other
//
// is a UDP packet that has nothing to do with the story: the capture goes on
// until then.
//
// # Declarations
//
// These take effect from their line on; client, server, link, start and
// snaplen stand before all packets.
//
//	client 192.0.2.1:40000 ttl=64 id=4096 idstep=1 isn=1000000 mss=1460 wscale=7
//	       window=64240 sack=on ts=on tsval=100000 mptcp=off vlan=off mac=...
//
// is one line and shows the defaults; server has 192.0.2.2:8080, id=32768,
// isn=5000000, tsval=700000, window=65160. Every word is optional, and :40007 changes
// only the port. window is in bytes, id the first IP ID, idstep=0 keeps it,
// idstep=random scatters it, tsval counts milliseconds from the story's start.
// IPv6 ends are written [2001:db8::1]:40000. With mptcp=capable (or join) on
// both lines every packet carries its MPTCP option.
//
//	conn b [client ...] [server ...]
//
// declares one more connection: like the default one, but the second has the
// next client port, the third the one after that, and each has other ISNs,
// timestamps and IP IDs. With `client :40000` it reuses the tuple.
//
//	rtt 0.01                       the round trip
//	link ethernet|sll|sll2|raw|null [at S]
//	                               link type; cooked ones are taken at C unless told
//	start 2026-01-01T00:00:00Z     time of the story's start
//	snaplen 96                     bytes captured of each packet
//	mirror ttl=-1 vlan=20          every packet from here on appears twice, the
//	                               second time as `dup` would have it
//	mirror off
//
// A story without a handshake begins in the middle of a connection: both ends
// have sent one byte of sequence space, their SYN, and both received it.
package story
