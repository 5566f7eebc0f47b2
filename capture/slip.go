package capture

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// Slip is what of a packet is known before it is decoded: enough to tell who
// has to take it, and small enough to be handed to another processor, which
// then decodes the packet just before it needs it (Batch.Packet).
type Slip struct {
	Ref  Ref
	Time int64  // as Packet.Time
	Tag  uint32 // of the segment's endpoints, see Tag; 0 if not about TCP

	off    uint32 // slipSimple: the frame is Data[off:off+capLen]; else Packets[off] is the packet
	capLen uint32
	iface  uint16
	bits   slipBits
}

// slipBits are, from the lowest on, seven flags, for slipSimple what stands
// before the IP header, and the part.
type slipBits uint16

const (
	slipInbound  slipBits = 1 << iota // Inbound of the record
	slipOutbound                      // Outbound
	slipNotToUs                       // NotToUs
	slipSimple                        // not decoded
	slipTCP                           // TCP or ICMPError
	slipFIN                           // FIN of a segment, and RST
	slipRST

	slipDirection = slipInbound | slipOutbound | slipNotToUs

	slipHeader     = 7 // 2 bits: number of one of slipHeaders
	slipPart       = 9
	slipParts      = 1 << 7
	slipHeaderMask = 3
)

var slipHeaders = [slipHeaderMask + 1]int{0, ethernetHeader, cookedHeader, cooked2Header}

func slipHeaderOf(ip int) slipBits {
	switch ip {
	case ethernetHeader:
		return 1 << slipHeader
	case cookedHeader:
		return 2 << slipHeader
	case cooked2Header:
		return 3 << slipHeader
	}
	return 0
}

// Part is which of n parts, at most 128, the packet belongs to, if all those
// between two endpoints are to belong to the same. It is the same in every run.
func (s *Slip) Part(n int) int { return int(s.bits>>slipPart) * n / slipParts }

// AboutTCP reports whether the packet is of Kind TCP or ICMPError.
func (s *Slip) AboutTCP() bool { return s.bits&slipTCP != 0 }

// Ends reports whether the packet is a segment with FIN or RST.
func (s *Slip) Ends() (fin, rst bool) { return s.bits&slipFIN != 0, s.bits&slipRST != 0 }

// AllSlips are the slips of all packets, in order: those that the Source
// wrote, or else such as it might have, in own's memory.
func (b *Batch) AllSlips(own *[]Slip, seed uint64) []Slip {
	if len(b.Slips) > 0 {
		return b.Slips
	}
	all := slices.Grow((*own)[:0], len(b.Packets))[:len(b.Packets)]
	for i := range all {
		all[i].tell(&b.Packets[i], i, seed)
	}
	*own = all
	return all
}

// tell makes s the slip of a packet that is decoded, the i-th of Packets.
func (s *Slip) tell(p *Packet, i int, seed uint64) {
	*s = Slip{Ref: p.Ref, Time: p.Time, off: uint32(i)}
	switch p.Kind {
	case TCP:
		s.bits = slipTCP | slipEnds(p.Flags)
	case ICMPError:
		s.bits = slipTCP
	default:
		return
	}
	x, y := ends(&p.Src, p.SrcPort, &p.Dst, p.DstPort)
	s.Tag = tagOf(x, y, seed)
	s.bits |= partOf(x, y)
}

func slipEnds(f Flags) slipBits { return slipBits(f&FIN)*slipFIN | slipBits(f&RST>>2)*slipRST }

// Packet is the packet of a slip. It lies in room if it had to be decoded,
// else in the batch.
func (b *Batch) Packet(s *Slip, room *Packet) *Packet {
	if s.bits&slipSimple == 0 {
		return &b.Packets[s.off]
	}
	*room = Packet{}
	room.Ref, room.Time, room.Iface = s.Ref, s.Time, s.iface
	room.Traits = Traits(s.bits&slipDirection) * Inbound
	room.decodeSimple(b.Data[s.off:s.off+s.capLen], slipHeaders[s.bits>>slipHeader&slipHeaderMask], s.off)
	return room
}

// Frame is where the bytes lie that Packet decodes, nil if it has nothing to
// decode.
func (b *Batch) Frame(s *Slip) unsafe.Pointer {
	if s.bits&slipSimple == 0 {
		return nil
	}
	return unsafe.Pointer(&b.Data[s.off])
}

// spread decodes all packets of the batch, and takes the slips away.
func (b *Batch) spread() {
	all := make([]Packet, len(b.Slips))
	for i := range all {
		if p := b.Packet(&b.Slips[i], &all[i]); p != &all[i] {
			all[i] = *p
		}
	}
	if len(all) > 0 {
		b.Packets, b.Slips = all, b.Slips[:0]
	}
}

// Len is the number of packets in the batch, decoded or not.
func (b *Batch) Len() int { return max(len(b.Slips), len(b.Packets)) }

// Truncate leaves the first n packets, 0 <= n <= Len, of a batch whose Source
// has just filled it.
func (b *Batch) Truncate(n int) {
	if len(b.Slips) > 0 {
		b.Slips = b.Slips[:n]
		return
	}
	b.Packets = b.Packets[:n]
}

// Latest is the latest time of a packet of the batch, or t if that is later.
func (b *Batch) Latest(t int64) int64 {
	for i := range b.Slips {
		t = max(t, b.Slips[i].Time)
	}
	for i := range b.Packets {
		t = max(t, b.Packets[i].Time)
	}
	return t
}

// simple makes s the slip of a record if that is a simple packet, which it
// reports.
func (s *Slip) simple(r *record, frame []byte, seed uint64) bool {
	ip, ok := simple(r.link, frame)
	if !ok || r.problem != NoProblem {
		return false
	}
	var x, y end
	var flags byte
	if h := frame[ip:]; h[0]>>4 == 4 {
		h := (*[40]byte)(h)
		x = end{0, mappedIPv4(h[12:16]), binary.BigEndian.Uint16(h[20:22])}
		y = end{0, mappedIPv4(h[16:20]), binary.BigEndian.Uint16(h[22:24])}
		flags = h[33]
	} else {
		h := (*[60]byte)(h)
		x = end{half(h[8:16]), half(h[16:24]), binary.BigEndian.Uint16(h[40:42])}
		y = end{half(h[24:32]), half(h[32:40]), binary.BigEndian.Uint16(h[42:44])}
		flags = h[53]
	}
	s.Time, s.Tag = r.time, tagOf(x, y, seed)
	s.off, s.capLen, s.iface = r.off, r.capLen, r.iface
	s.bits = slipSimple | slipTCP | slipEnds(Flags(flags)) | slipBits(r.traits/Inbound)&slipDirection | slipHeaderOf(ip) | partOf(x, y)
	return true
}

// end is an endpoint, its address in halves as they are in memory.
type end struct {
	high, low uint64
	port      uint16
}

func half(a []byte) uint64 { return binary.LittleEndian.Uint64(a) }

func ends(x *[16]byte, xp uint16, y *[16]byte, yp uint16) (end, end) {
	return end{half(x[:8]), half(x[8:]), xp}, end{half(y[:8]), half(y[8:]), yp}
}

// Tag is a hash of two endpoints, the same for both directions. The seed is
// one of the run's, so that nobody can prepare a capture whose tags all
// collide.
func Tag(x *[16]byte, xp uint16, y *[16]byte, yp uint16, seed uint64) uint32 {
	a, b := ends(x, xp, y, yp)
	return tagOf(a, b, seed)
}

func tagOf(x, y end, seed uint64) uint32 { return uint32((x.hash(seed) + y.hash(seed)) >> 32) }

func (e end) hash(seed uint64) uint64 {
	high := e.high ^ uint64(e.port)<<16 ^ seed ^ 0x8ebc6af09c88c6e3
	low := e.low ^ bits.RotateLeft64(seed, 29) ^ 0x589965cc75374cc3
	h, l := bits.Mul64(high, low)
	return h ^ l
}

// partOf is the part in slipBits. Whoever sees to it that a capture is all in
// one part gains nothing but that it takes longer.
func partOf(x, y end) slipBits {
	h := x.high ^ y.high ^ x.low ^ y.low ^ uint64(x.port^y.port)
	return slipBits(h*0x9e3779b97f4a7c15>>57) << slipPart
}
