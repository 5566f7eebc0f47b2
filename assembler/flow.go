package assembler

import (
	"encoding/binary"

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
// What a packet costs is the cache lines that it touches, and whether they are
// still near when it comes: tens of thousands of connections take turns. So a
// flow is in two records. This one has what every packet needs, in four lines,
// of which a packet touches three: what both ends share, and its sender's
// side. What is needed once in a connection's life, or to tell of it at the
// end, is in its flowCold. Arrays of two are indexed by Side.
type flow struct {
	lastTime       int64
	client, server uint32 // as in lone
	cport, sport   uint16
	bits           flowBits
	idleBound      uint16 // maxIdle in units of 1 << idleTick ns, as far as it goes
	sndNxt, sndUna [2]uint32
	since          uint32    // SinceData of the end that did not send payload last; the other's is 0
	gaps           [2]uint16 // zeekEnd.gaps
	cold           uint32    // number of its flowCold
	app            uint32    // see Tracker.feed
	ends           [2]endBits
	epoch          uint16 // of its moments, in Tracker.epochs

	_     uint16
	sides [2]flowSide
}

// idleTick makes flow.idleBound count units of about a millisecond.
const idleTick = 20

// flowSide follows what one end sends.
type flowSide struct {
	where                 uint32 // place, source MAC and TTL, mixed: the same for all its packets
	packets               uint32
	tsLast                uint32
	ackStep               uint32
	rawWindow             uint16
	topWindow             uint16 // the largest rawWindow but for that of the SYN
	ipid                  uint16
	lastLen               uint16
	highest, highestAcked uint16 // the latter when something is unacknowledged, else it is highest
	letters               uint8  // zeekEnd.seen
	kindShift             uint8  // IPIDKind, and above it the shift of its windows: WScale, if both offered it
	idleHigh              uint16
	idle                  uint32             // Data.Idle, its lower half
	seq, len              uint32             // of Data
	signatures            [keptCopies]uint32 // of its latest packets, by number

	lastData, lastNewAck moment
	unacked              moment // Data.First
}

func (x *flowSide) kind() IPIDKind     { return IPIDKind(x.kindShift & 15) }
func (x *flowSide) setKind(k IPIDKind) { x.kindShift = x.kindShift&^15 | uint8(k) }
func (x *flowSide) shift() uint8       { return x.kindShift >> 4 }

// flowCold is what of a flow is rarely needed.
type flowCold struct {
	id          uint64
	first       moment // SYN
	answered    moment // SYN-ACK
	established moment // ACK
	history     [15]byte
	nhistory    uint8
	tag         uint32 // the tuple's in the table

	maxIdle    int64
	maxIdleEnd moment
	ends       [2]coldEnd
}

// coldEnd is what of an end is rarely needed.
type coldEnd struct {
	last, firstData, fin moment
	answered             moment // Data.Answered (with endSettled)
	isn, finAck          uint32
	rightEdge, windowAck uint32 // unless endNewEdge
	zeekNext             uint32 // zeekStream.next as a sequence number (with endLags, unless endAtUna)
	zeekTrim             uint32 // zeekStream.trim (with endEager)
	beat                 uint32 // see Tracker.beat
	finLen               uint16
	mss, window          uint16 // window of the SYN-ACK
	options              capture.Options
	finIdle              int64
	link                 uint64
	place                place
	wscale, ttl          uint8
}

// moment is a Stamp in 12 bytes, counted from an epoch. The zero one is none.
type moment struct {
	ref, time uint32
	high      uint32 // the next 16 bits of both, ref's above time's
}

const momentBits = 48

// momentOf is the moment so many packets and ns after its epoch's; ok is
// false if that is too far.
func momentOf(at Stamp, epoch *Stamp) (m moment, ok bool) {
	ref, time := uint64(at.Ref)-uint64(epoch.Ref), uint64(at.Time)-uint64(epoch.Time)
	return moment{uint32(ref), uint32(time), uint32(ref>>32)<<16 | uint32(time>>32)&0xffff}, (ref|time)>>momentBits == 0
}

// since is the time (ns) from m to a later moment of the same epoch.
func (m moment) since(earlier moment) int64 { return m.ns() - earlier.ns() }

func (m moment) ns() int64 { return int64(m.high&0xffff)<<32 | int64(m.time) }

// stamp is what m was made of.
func (m moment) stamp(epoch *Stamp) Stamp {
	if m == (moment{}) {
		return Stamp{}
	}
	return Stamp{
		Ref:  capture.Ref(uint64(m.high>>16)<<32|uint64(m.ref)) + epoch.Ref,
		Time: m.ns() + epoch.Time,
	}
}

// epochOf returns the number of the epoch for a flow that begins with the
// given stamp, false if there are too many. Half of what a moment can count
// is left for its packets: some 39 hours, or 128 files; a quarter for input
// that is out of order.
func (t *Tracker) epochOf(first Stamp) (uint16, bool) {
	const quarter = 1 << (momentBits - 2)
	if n := len(t.epochs); n > 0 {
		last := &t.epochs[n-1]
		ref, time := uint64(first.Ref)-uint64(last.Ref), uint64(first.Time)-uint64(last.Time)
		if ref < 2*quarter && time < 2*quarter {
			return uint16(n - 1), true
		}
		if n == 1<<16 {
			return 0, false
		}
	}
	t.epochs = append(t.epochs, Stamp{first.Ref - quarter, first.Time - quarter})
	return uint16(len(t.epochs) - 1), true
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
	endNewEdge                      // the right edge of its window is that of its latest packet
	endLags                         // Zeek lacks payload: zeekNext is below dataEnd
	endAtUna                        // ... and is sndUna
	endEager                        // Zeek has given up waiting for ACKs: zeekTrim is beyond sndUna
	endLastData                     // its latest packet is that of lastData
	endLastAck                      // ... that of lastNewAck; with neither it is coldEnd.last
)

// cold is the other record of f.
func (t *Tracker) cold(f *flow) *flowCold { return t.colds.at(f.cold) }

// stamp is a moment of f.
func (t *Tracker) stamp(f *flow, m moment) Stamp { return m.stamp(&t.epochs[f.epoch]) }

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
func (f *flow) delivered(s Side, k *flowCold) uint32 {
	switch {
	case !f.has(s, endLags):
		return f.dataEnd(s)
	case f.has(s, endAtUna):
		return f.sndUna[s]
	}
	return k.ends[s].zeekNext
}

func (f *flow) trimmed(s Side, k *flowCold) uint32 {
	switch {
	case f.has(s, endEager):
		return k.ends[s].zeekTrim
	case f.has(s, endFINAcked):
		return f.sndUna[s] - 1
	case f.sndUna[s] == k.ends[s].isn:
		return f.sndUna[s] + 1
	}
	return f.sndUna[s]
}

// with mixes what of a packet's origin does not change within a flow.
func (pl place) with(link uint64, ttl uint8) uint32 {
	h := uint64(pl)*0x9e3779b97f4a7c15 ^ (link<<8|uint64(ttl))*0xd6e8feb86659fd93
	return uint32(h >> 32)
}
