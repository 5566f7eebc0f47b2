package assembler

import (
	"encoding/binary"
	"unsafe"

	"hangup/capture"
)

// A flow is a connection in which nothing unusual has happened: SYN, SYN-ACK
// and ACK once each, payload in order, acknowledgments that follow it, at
// most one FIN of each end. Nearly all packets of any capture belong to such
// connections, so they have a record of their own, which holds just enough
// to tell what the general code would have made of the same packets, and
// whose update is a few comparisons and stores (plain.go).
//
// The first packet that is anything else turns the flow into the Conn that
// the general code would have built (flow_expand.go), and that takes over. At
// the end, too, a flow is reported as that Conn. What is plain is decided
// before anything is changed; where the general code's books would be harder
// to keep here than they are common, a packet is simply not plain.
//
// What a packet costs is the cache lines that it touches, so fields stand by
// who needs them: the first line for every packet, the second for some, then
// two for each end, needed for the packets that it sends. A record is five
// pairs of lines, which the processor fetches in pairs. Arrays of two are
// indexed by Side.
type flow struct {
	lastTime       int64
	client, server uint32 // as in lone
	cport, sport   uint16
	bits           flowBits
	idleBound      uint16 // maxIdle in units of 1 << idleTick ns, as far as it goes
	sndNxt, sndUna [2]uint32
	ackStep        [2]uint32
	since          uint32 // SinceData of the end that did not send payload last; the other's is 0
	highest        [2]uint16
	highestAcked   [2]uint16
	ends           [2]endBits

	id         uint64
	first      Stamp // SYN
	maxIdle    int64
	maxIdleEnd Stamp
	history    [15]byte
	nhistory   uint8

	sent [2]flowSent
	tail [2]flowTail

	answered, established Stamp // SYN-ACK, ACK
}

// idleTick makes flow.idleBound count units of about a millisecond.
const idleTick = 20

// flowSent follows what one end sends.
type flowSent struct {
	last       Stamp
	signatures [keptCopies]uint32 // of its latest packets, by number
	packets    uint32
	where      uint32 // place, source MAC and TTL, mixed: the same for all its packets
	rightEdge  uint32
	windowAck  uint32
	tsLast     uint32
	rawWindow  uint16
	topWindow  uint16 // the largest rawWindow but for that of the SYN
	ipid       uint16
	lastLen    uint16
	ipidKind   IPIDKind
	shift      uint8 // of its windows: WScale, if both offered it
	letters    uint8 // zeekEnd.seen
	_          uint8

	lastData, lastNewAck Stamp
	unacked              Stamp // Data.First
	idle                 int64 // Data.Idle
	seq, len             uint32
}

// flowTail is what of an end is rarely needed.
type flowTail struct {
	beat        uint32 // see Tracker.beat
	app         uint32 // see Tracker.feed
	zeekNext    uint32 // zeekStream.next as a sequence number (with endLags)
	zeekTrim    uint32 // zeekStream.trim (with endEager)
	gaps        uint32 // zeekEnd.gaps
	isn, finAck uint32
	finLen      uint16
	tag         uint16 // half of the tuple's

	firstData     Stamp
	answered, fin Stamp // Data.Answered (with endSettled), FIN.First
	finIdle       int64
	link          uint64
	place         place
	options       capture.Options
	mss, window   uint16 // window of the SYN-ACK
	wscale, ttl   uint8
}

type flowBits uint16

const (
	flowEstablished flowBits = 1 << iota // the handshake's ACK was seen
	flowPureACK                          // ... without payload
	flowServerLast                       // the latest packet is the server's
	flowServerData                       // the latest payload is the server's
	flowServerFIN                        // the server's FIN came first
	flowCut                              // payload was cut off
	flowHeir                             // Tracker.heirs has an entry
	flowWide                             // IPv6: client is the number of the addresses
	flowFull                             // history has hardly room left
	flowLive                             // the table has it: it is in use, and without notes
	flowTold                             // Conn.Told
)

type endBits uint16

const (
	endPending  endBits = 1 << iota // Data.Pending
	endData                         // it sent payload
	endDeaf                         // its payload is of no protocol we know
	endBusy                         // Beat has nothing to learn before the next pause
	endFIN                          // it sent FIN
	endFINAcked                     // ... and the peer acknowledged it
	endSettled                      // ... apart from its payload
	endStamps                       // its packets bear timestamps
	endIPv4ID                       // ... and an IP ID that counts
	endSameID                       // End.sameID
	endEdge                         // rightEdge and windowAck are valid
	endLags                         // Zeek lacks payload: zeekNext is below dataEnd
	endEager                        // Zeek has given up waiting for ACKs: zeekTrim is beyond sndUna
)

// words is f as machine words.
func (f *flow) words() *[unsafe.Sizeof(flow{}) / 8]uint64 {
	return (*[unsafe.Sizeof(flow{}) / 8]uint64)(unsafe.Pointer(f))
}

func (f *flow) has(s Side, b endBits) bool { return f.ends[s]&b != 0 }

// side tells who of f sent p; ok is false if p is not of f's tuple.
func (t *Tracker) side(f *flow, p *capture.Packet) (from Side, ok bool) {
	if f.bits&(flowLive|flowWide) != flowLive {
		return t.wideSide(f, p)
	}
	src, dst := binary.LittleEndian.Uint64(p.Src[8:]), binary.LittleEndian.Uint64(p.Dst[8:])
	client, server := uint64(f.client)<<32|0xffff0000, uint64(f.server)<<32|0xffff0000
	if binary.LittleEndian.Uint64(p.Src[:8])|binary.LittleEndian.Uint64(p.Dst[:8]) != 0 {
		return 0, false
	}
	if src == client && dst == server && p.SrcPort == f.cport && p.DstPort == f.sport {
		return Client, true
	}
	return Server, src == server && dst == client && p.SrcPort == f.sport && p.DstPort == f.cport
}

func (t *Tracker) wideSide(f *flow, p *capture.Packet) (from Side, ok bool) {
	if f.bits&flowLive == 0 {
		return 0, false
	}
	w := t.wide.at(f.client)
	return sideBetween(p, &w.client, f.cport, &w.server, f.sport)
}

// tag is the tuple's in the table.
func (f *flow) tag() uint32 { return uint32(f.tail[0].tag)<<16 | uint32(f.tail[1].tag) }

// over is Conn.over.
func (f *flow) over() bool { return f.ends[0]&f.ends[1]&endFINAcked != 0 }

// state is the state of an end (transitions has the reasons).
func (f *flow) state(s Side) State {
	fin, acked, peerAcked := f.has(s, endFIN), f.has(s, endFINAcked), f.has(s.Peer(), endFINAcked)
	first := f.bits&flowServerFIN != 0 == (s == Server) // of two FINs
	switch {
	case f.bits&flowEstablished == 0 && s == Client:
		return SynSent
	case f.bits&flowEstablished == 0:
		return SynReceived
	case !fin && peerAcked:
		return CloseWait
	case !fin:
		return Established
	case !first && acked:
		return Closed
	case !first:
		return LastAck
	case peerAcked:
		return TimeWait
	case acked:
		return FinWait2
	}
	return FinWait1
}

// dataEnd is End.dataEnd.
func (f *flow) dataEnd(s Side) uint32 {
	if f.has(s, endFIN) {
		return f.sndNxt[s] - 1
	}
	return f.sndNxt[s]
}

// delivered and trimmed are zeekStream.next and trim as sequence numbers.
func (f *flow) delivered(s Side) uint32 {
	if f.has(s, endLags) {
		return f.tail[s].zeekNext
	}
	return f.dataEnd(s)
}

func (f *flow) trimmed(s Side) uint32 {
	switch {
	case f.has(s, endEager):
		return f.tail[s].zeekTrim
	case f.has(s, endFINAcked):
		return f.sndUna[s] - 1
	case f.sndUna[s] == f.tail[s].isn:
		return f.sndUna[s] + 1
	}
	return f.sndUna[s]
}

// with mixes what of a packet's origin does not change within a flow.
func (pl place) with(link uint64, ttl uint8) uint32 {
	h := uint64(pl)*0x9e3779b97f4a7c15 ^ (link<<8|uint64(ttl))*0xd6e8feb86659fd93
	return uint32(h >> 32)
}
