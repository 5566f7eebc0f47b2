// Package filter compiles the filter expressions of tcpdump to classic BPF,
// for live capture and for files, reads such programs, and runs them.
//
// Parse reads an expression, Compile and CompileLive make a Program of it for
// the frames of one link type, Match runs it here, Raw hands it to the kernel.
// For the same expression the code is that of tcpdump -O (libpcap 1.10); what
// differs is said below. Nothing is ever approximated: what the package does
// not know is an error that shows the place.
//
// # Grammar
//
//	expression = test { ("and" | "&&" | "or" | "||") test }
//	test       = [ "not" | "!" ] ( "(" expression ")" | primitive | identifier )
//
// "and" and "or" bind equally, from the left: a or b and c is (a or b) and c.
// A bare identifier takes over the qualifiers of the primitive before it: port
// 80 or 443, host a or b, port (80 or 443). It does not take them out of
// parentheses.
//
//	[proto] [dir] host ADDRESS        proto: ip, ip6, arp, rarp; "host" may lack behind a dir
//	[proto] [dir] net NETWORK         10, 10.1, 10.1.0.0/16, 10.1.0.0 mask 255.255.0.0, 2001:db8::/32
//	[proto] [dir] port PORT           proto: tcp, udp, sctp; a number or the name of a service
//	[proto] [dir] portrange A-B
//	ether [dir] [host] STATION        00:00:5e:00:53:01, also with - or ., 0000.5e00.5301, 00005e005301
//	[ip | ip6 | ether] proto NUMBER   or a name behind a backslash: ip proto \tcp
//	ip ip6 arp rarp tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp ah esp
//	atalk aarp decnet iso stp ipx netbeui lat sca mopdl moprc
//	[ether] broadcast | ip broadcast | [ether] multicast | ip multicast | ip6 multicast
//	less N | greater N                len <= N, len >= N
//	vlan [N] | mpls [N] | pppoes [N]  all that follows looks behind the tag, label or session
//	pppoed
//	inbound | outbound
//	byte N OP V                       OP: = < > & |
//	SUM RELOP SUM                     RELOP: = == != < <= > >=
//
// dir is src, dst, src or dst (the default), src and dst. A SUM is made of
// numbers (decimal, octal, hexadecimal), len, PROTO[SUM] and PROTO[SUM:SIZE]
// with SIZE 1, 2 or 4, parentheses, and + - * / & | << >> % ^; all are
// unsigned numbers of 32 bits. Named numbers: tcpflags, tcp-fin and its kin,
// icmptype, icmpcode, icmp-unreach and its kin, icmp6type, icmp6code and kin.
// ether may also be written link, ppp, slip, fddi, tr, wlan.
//
// # As in tcpdump, and often forgotten
//
//   - tcp[...], udp[...] and their like look at IPv4 only, and only at first
//     fragments.
//   - % and ^ take all that follows as their right side.
//   - In SUM op SUM only the left one's protocol is checked: 1 + tcp[0] = 80
//     computes with whatever is there in packets that are not TCP.
//   - Ports and protocols of IPv6 are found directly behind its header, and
//     protocols behind one fragment header as well.
//   - vlan, mpls and pppoes move the tests behind them even across "or".
//   - A load beyond the captured bytes refuses the packet, "not" or no "not".
//   - ip broadcast knows 255.255.255.255 and 0.0.0.0 only, for no file says
//     what its networks' masks were.
//   - Ports by name: the usual ones are known everywhere, with the transport
//     they are registered for; others are looked up in this machine's services
//     file.
//
// # Unlike in tcpdump
//
//   - Names of hosts, networks and Ethernet stations are refused: hangup never
//     resolves names. So is gateway, which needs two of them.
//   - Refused are also: protochain (it needs a loop, which the kernel does not
//     take), geneve, llc, isis and kin, the fields of 802.11 and radiotap
//     headers, pf, ATM and SS7, ifindex, DECnet addresses, portranges by name.
//   - inbound and outbound are refused for files whose frames do not say it.
//   - byte N & V and byte N | V load the byte first; libpcap forgets to.
//   - x / (sum) and x << (sum) are not refused because the sum begins with 0
//     or with a large number.
//   - On BSD loopback frames every byte order and every system's number of
//     AF_INET6 will do.
//
// # Live
//
// The kernel takes the outermost VLAN tag off a frame that comes in, and leaves
// it in one that goes out. CompileLive's "vlan" looks in both places, and what
// follows it finds the packet in both cases; tests without a "vlan" before
// them look at the frame as it lies, so that tcp finds tagged packets coming
// in. len and the sizes of less and greater are those of the frame as it lies,
// and on a CookedSocket count from the network header. There is no vlan, mpls
// or ether on a CookedSocket.
package filter
