package assembler

import "hangup/capture"

// A flow is a connection in which nothing unusual has happened: SYN, SYN-ACK
// and ACK once each, payload in order, acknowledgments that follow it, at
// most one FIN of each end. Nearly all packets of any capture belong to such
// connections, so they have a record of their own, which holds just enough
// to tell what the general code would have made of the same packets, and
// whose update is a few comparisons and stores (plain.go).
//
// The first packet that is anything else turns the flow into the Conn that
// the general code would have built (expand), and that takes over. So does
// the end: a flow is reported as that Conn. What is plain is decided before
// anything is changed, and where the general code's books would be harder to
// keep than they are common, such a packet is not plain.
//
// Fields stand by who needs them, cache line by cache line; a packet touches
// the first two lines, its sender's end, and one line of the other end.
type flow struct {
	client, server [16]byte
	cport, sport   uint16
	bits           flowBits
	nhistory       uint8
	_              uint16
	lastTime       int64
	maxIdle        int64
	id             uint64 // 0 marks a record not in use

	seen [2][keptCopies]sighting // of each end's latest packets, by End.Packets

	end [2]flowEnd

	first, answered, established Stamp // SYN, SYN-ACK, ACK
	maxIdleEnd                   Stamp
	history                      [16]byte
}

type flowBits uint8

const (
	flowEstablished flowBits = 1 << iota // the handshake's ACK was seen
	flowPureACK                          // ... without payload
	flowServerLast                       // the latest packet is the server's
	flowServerFIN                        // the server's FIN came first
	flowCut                              // payload was cut off
	flowHeir                             // Tracker.heirs has an entry
)

// flowEnd is what one end of a flow sent, and its peer acknowledged.
type flowEnd struct {
	where    uint64 // place, source MAC and TTL that its packets share, mixed
	packets  uint32
	sndNxt   uint32
	sndUna   uint32
	zeekNext uint32 // zeekStream.next, as a sequence number
	zeekTrim uint32 // zeekStream.trim, likewise

	rightEdge, windowAck, maxWindow uint32
	tsLast                          uint32
	sinceData                       uint32
	highest, highestAcked           uint16
	rawWindow                       uint16
	ipid                            uint16
	lastLen                         uint16
	ipidKind                        IPIDKind
	shift                           uint8 // of its windows: WScale, if both offered it
	letters                         uint8 // zeekEnd.seen
	bits                            endBits

	last, lastData, firstUnacked Stamp // End.Last, LastData, Data.First
	idle                         int64 // Data.Idle
	seq, len                     uint32

	lastNewAck Stamp
	ackStep    uint32
	gaps       uint32 // zeekEnd.gaps
	app        uint32 // see apps
	isn        uint32
	beat       Beat

	firstData, answered, fin Stamp // End.FirstData, Data.Answered, FIN.First
	finIdle                  int64
	link                     uint64
	place                    place
	finAck                   uint32
	finLen                   uint16
	options                  capture.Options
	mss                      uint16
	wscale, ttl              uint8
}

type endBits uint8

const (
	endPending  endBits = 1 << iota // Data.Pending
	endFIN                          // it sent FIN
	endFINAcked                     // ... and the peer acknowledged it
	endStamps                       // its packets bear timestamps
	endIPv4ID                       // ... and an IP ID that counts
	endSameID                       // End.sameID
	endEdge                         // rightEdge and windowAck are valid
)

func (e *flowEnd) has(b endBits) bool { return e.bits&b != 0 }

// side tells who of f sent p; ok is false if p is not of f's tuple.
func (f *flow) side(p *capture.Packet) (from Side, ok bool) {
	if p.SrcPort == f.cport && p.DstPort == f.sport && p.Src == f.client && p.Dst == f.server {
		return Client, true
	}
	return Server, p.SrcPort == f.sport && p.DstPort == f.cport && p.Src == f.server && p.Dst == f.client
}

// over is Conn.over.
func (f *flow) over() bool { return f.end[0].bits&f.end[1].bits&endFINAcked != 0 }

// state is the state of an end (transitions has the reasons).
func (f *flow) state(s Side) State {
	e, o := &f.end[s], &f.end[s.Peer()]
	first := f.bits&flowServerFIN != 0 == (s == Server) // of two FINs
	switch {
	case f.bits&flowEstablished == 0 && s == Client:
		return SynSent
	case f.bits&flowEstablished == 0:
		return SynReceived
	case !e.has(endFIN) && o.has(endFINAcked):
		return CloseWait
	case !e.has(endFIN):
		return Established
	case !first && e.has(endFINAcked):
		return Closed
	case !first:
		return LastAck
	case o.has(endFINAcked):
		return TimeWait
	case e.has(endFINAcked):
		return FinWait2
	}
	return FinWait1
}

// dataEnd is End.dataEnd.
func (e *flowEnd) dataEnd() uint32 {
	if e.has(endFIN) {
		return e.sndNxt - 1
	}
	return e.sndNxt
}

// with mixes what of a packet's origin must not change in a flow.
func (pl place) with(link uint64, ttl uint8) uint64 {
	return uint64(pl) ^ (link<<8|uint64(ttl))*0x9e3779b97f4a7c15
}
