package capture

import "encoding/binary"

// ipv6 reads the fixed IPv6 header, RFC 8200 3; extension headers are layers
// of their own.
func (w *walk) ipv6() layer {
	if !w.has(1, IPTruncated) {
		return done
	}
	if w.rest[0]>>4 != 6 {
		return w.bad(IPVersion)
	}
	if !w.has(40, IPTruncated) {
		return done
	}
	h, p := w.rest, w.p
	w.newHeader(IPv6, 8)
	length := uint32(binary.BigEndian.Uint16(h[4:6]))
	next := h[6]
	p.TTL = h[7]
	p.Src = [16]byte(h[8:24])
	p.Dst = [16]byte(h[24:40])
	w.skip(40)
	switch jumbo := jumboLength(next, w.rest); {
	case length != 0:
		w.limit(length)
	case jumbo != 0 && jumbo <= w.wire:
		w.limit(jumbo)
	default:
		// BIG TCP without the option: newer kernels do not put it in.
		p.Traits |= LengthGuess
	}
	return w.carry(next)
}

// jumboLength finds the jumbo payload option (RFC 2675 2) in a hop-by-hop
// header at the start of h; 0 if there is none.
func jumboLength(next uint8, h []byte) uint32 {
	const pad1, jumbo = 0, 0xc2
	if next != protocolHopByHop || len(h) < 8 {
		return 0
	}
	o := h[2:min(len(h), int(h[1])*8+8)]
	for len(o) >= 2 {
		if o[0] == pad1 {
			o = o[1:]
			continue
		}
		n := int(o[1]) + 2
		if n > len(o) {
			return 0
		}
		if o[0] == jumbo && n == 6 {
			return binary.BigEndian.Uint32(o[2:6])
		}
		o = o[n:]
	}
	return 0
}

// extension steps over the IPv6 extension header whose number is in
// w.number. Anything that is none ends the walk.
func (w *walk) extension() layer {
	switch w.number {
	case protocolFragment:
		return w.fragmentHeader()
	case protocolHopByHop, protocolRouting, protocolOptions,
		protocolMobility, protocolHIP, protocolShim6:
	default:
		return done
	}
	if !w.hasExtension(8) {
		return done
	}
	length := int(w.rest[1])*8 + 8
	if !w.hasExtension(length) {
		return done
	}
	next := w.rest[0]
	if w.number == protocolRouting {
		w.finalDestination(w.rest[:length])
	}
	w.skip(length)
	return w.carry(next)
}

// hasExtension reports whether an extension header of n bytes was captured;
// where not, the packet is marked: cut by the capture, or by its own length.
func (w *walk) hasExtension(n int) bool {
	if uint32(n) > w.wire {
		w.bad(IPv6Extension)
		return false
	}
	return w.has(n, IPTruncated)
}

// finalDestination takes the packet's last hop from a routing header that
// still has segments to visit: that is the address that TCP at both ends
// knows (RFC 8200 8.1).
func (w *walk) finalDestination(h []byte) {
	const source, mobile, segments = 0, 2, 4
	if h[3] == 0 || len(h) < 24 {
		return
	}
	switch h[2] {
	case source, mobile:
		// Type 0 lists addresses in the order of visits, type 2 holds one.
		w.p.Dst = [16]byte(h[8+(len(h)-8)/16*16-16:])
	case segments:
		// RFC 8754 2: the list runs backwards.
		w.p.Dst = [16]byte(h[8:24])
	}
}

// fragmentHeader reads a fragment header, RFC 8200 4.5. One that says it is
// the whole packet (an atomic fragment) is processed at once, RFC 6946.
func (w *walk) fragmentHeader() layer {
	if !w.hasExtension(8) {
		return done
	}
	h, p := w.rest, w.p
	next := h[0]
	place := binary.BigEndian.Uint16(h[2:4])
	id := binary.BigEndian.Uint32(h[4:8])
	p.Traits |= HasIPID
	p.IPID = uint16(id)
	w.skip(8)
	if place&^6 == 0 {
		return w.carry(next)
	}
	return w.fragment(fragmentKey{src: p.Src, dst: p.Dst, id: id, v6: true},
		uint32(place&^7), place&1 != 0, next)
}
