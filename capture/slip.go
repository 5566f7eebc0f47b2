package capture

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Slip is what of a packet is known before it is decoded: enough to tell who
// has to take it, and small enough to be handed to another processor, which
// then decodes the packet just before it needs it (Batch.Packet).
type Slip struct {
	Ref  Ref
	Time int64  // as Packet.Time
	Tag  uint32 // of the segment's endpoints, see Packet.Tag; 0 if not about TCP

	off    uint32 // slipSimple: the frame is Data[off:off+capLen]; else Packets[off] is the packet
	capLen uint32
	iface  uint16
	ip     uint8 // slipSimple: where in the frame the IP header begins
	bits   slipBits
}

type slipBits uint8

const (
	slipInbound  slipBits = 1 << iota // Inbound of the record
	slipOutbound                      // Outbound
	slipNotToUs                       // NotToUs
	slipSimple                        // not decoded
	slipTCP                           // TCP or ICMPError
	slipFIN                           // FIN of a segment, and RST
	slipRST

	slipDirection = slipInbound | slipOutbound | slipNotToUs
)

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
		s.bits, s.Tag = slipTCP|slipEnds(p.Flags), p.Tag(seed)
	case ICMPError:
		s.bits, s.Tag = slipTCP, p.Tag(seed)
	}
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
	room.decodeSimple(b.Data[s.off:s.off+s.capLen], int(s.ip), s.off)
	return room
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
	h := frame[ip:]
	var tag uint32
	var flags byte
	if h[0]>>4 == 4 {
		h := (*[40]byte)(h)
		tag = tagOf(0, mappedIPv4(h[12:16]), 0, mappedIPv4(h[16:20]), binary.BigEndian.Uint32(h[20:24]), seed)
		flags = h[33]
	} else {
		h := (*[60]byte)(h)
		word := func(at int) uint64 { return binary.LittleEndian.Uint64(h[at : at+8]) }
		tag = tagOf(word(8), word(16), word(24), word(32), binary.BigEndian.Uint32(h[40:44]), seed)
		flags = h[53]
	}
	s.Time, s.Tag = r.time, tag
	s.off, s.capLen, s.iface, s.ip = r.off, r.capLen, r.iface, uint8(ip)
	s.bits = slipSimple | slipTCP | slipEnds(Flags(flags)) | slipBits(r.traits/Inbound)&slipDirection
	return true
}

// Tag is a hash of a segment's two endpoints, the same for both directions.
// The seed is one of the run's, so that nobody can prepare a capture whose
// tags all collide.
func (p *Packet) Tag(seed uint64) uint32 { return Tag(&p.Src, p.SrcPort, &p.Dst, p.DstPort, seed) }

// Tag is Packet.Tag of any packet between two endpoints.
func Tag(x *[16]byte, xp uint16, y *[16]byte, yp uint16, seed uint64) uint32 {
	half := func(a []byte) uint64 { return binary.LittleEndian.Uint64(a) }
	return tagOf(half(x[:8]), half(x[8:]), half(y[:8]), half(y[8:]), uint32(xp)<<16|uint32(yp), seed)
}

// tagOf is Tag of addresses in halves, and ports as a TCP header has them.
func tagOf(xh, xl, yh, yl uint64, ports uint32, seed uint64) uint32 {
	turned := bits.RotateLeft64(seed, 29)
	x := stir(xh^uint64(ports>>16)<<16^seed, xl^turned)
	y := stir(yh^uint64(ports&0xffff)<<16^seed, yl^turned)
	return uint32((x + y) >> 32)
}

func stir(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x8ebc6af09c88c6e3, b^0x589965cc75374cc3)
	return hi ^ lo
}
