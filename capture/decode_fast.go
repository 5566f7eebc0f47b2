package capture

import "encoding/binary"

// Nearly every packet is simple: TCP in IPv4 without options or IPv6 without
// extension headers, whole as far as its lengths say, straight on Ethernet, a
// Linux cooked header, or nothing. To decode one takes no state, so that it
// can be left to whoever wants the packet (Slip). Everything else, broken
// packets included, is left to walk, which must give the same result for these.

// Lengths of what stands before the IP header of simple packets.
const (
	ethernetHeader = 14
	cookedHeader   = 16
	cooked2Header  = 20
)

// simple reports whether a frame is that of a simple packet, and where in it
// the IP header begins.
func simple(link uint16, frame []byte) (ip int, ok bool) {
	number := uint16(etherTypeIPv4)
	switch link {
	case linkEthernet:
		if len(frame) < ethernetHeader {
			return 0, false
		}
		number, ip = binary.BigEndian.Uint16(frame[12:14]), ethernetHeader
	case linkSLL:
		if len(frame) < cookedHeader {
			return 0, false
		}
		number, ip = cookedProtocol(binary.BigEndian.Uint16(frame[2:4]), binary.BigEndian.Uint16(frame[14:16])), cookedHeader
	case linkSLL2:
		if len(frame) < cooked2Header {
			return 0, false
		}
		number, ip = cookedProtocol(binary.BigEndian.Uint16(frame[8:10]), binary.BigEndian.Uint16(frame[0:2])), cooked2Header
	case linkIPv4:
	case linkIPv6:
		number = etherTypeIPv6
	case linkRaw, linkRaw12, linkRaw14:
		if len(frame) > 0 && frame[0]>>4 == 6 {
			number = etherTypeIPv6
		}
	default:
		return 0, false
	}
	switch number {
	case etherTypeIPv4:
		return ip, simpleIPv4(frame[ip:])
	case etherTypeIPv6:
		return ip, simpleIPv6(frame[ip:])
	}
	return 0, false
}

// simpleIPv4 is simple from the IPv4 header on.
func simpleIPv4(h []byte) bool {
	if len(h) < 40 || h[0] != 0x45 || h[9] != protocolTCP || binary.BigEndian.Uint16(h[6:8])&(ipMoreFragments|ipOffsetMask) != 0 {
		return false
	}
	total, header := binary.BigEndian.Uint16(h[2:4]), uint16(h[32]>>4)*4
	return header >= 20 && total >= 20+header
}

// simpleIPv6 is simple from the IPv6 header on.
func simpleIPv6(h []byte) bool {
	if len(h) < 60 || h[0]>>4 != 6 || h[6] != protocolTCP {
		return false
	}
	length, header := binary.BigEndian.Uint16(h[4:6]), uint16(h[52]>>4)*4
	return header >= 20 && length >= header
}

// decodeSimple completes p, of which Ref, Time, Iface and Traits are set,
// from the frame of a simple packet. Its IP header begins at ip, by which its
// link headers can be told apart, and off is the frame's place in Data.
func (p *Packet) decodeSimple(frame []byte, ip int, off uint32) {
	switch ip {
	case ethernetHeader:
		p.Link = binary.BigEndian.Uint64(frame[6:14]) >> 16
	case cookedHeader:
		readCooked(p, frame)
	case cooked2Header:
		readCooked2(p, frame)
	}
	h := frame[ip:]
	off += uint32(ip)
	if h[0]>>4 == 6 {
		wire := uint32(binary.BigEndian.Uint16(h[4:6]))
		p.Traits |= IPv6
		p.TTL = h[7]
		p.Src, p.Dst = [16]byte(h[8:24]), [16]byte(h[24:40])
		p.segment(h[40:min(uint32(len(h)), 40+wire)], off+40, wire)
		return
	}
	h0 := (*[20]byte)(h)
	wire := uint32(binary.BigEndian.Uint16(h0[2:4]))
	p.Traits |= HasIPID
	if h0[6]&(ipDontFragment>>8) != 0 {
		p.Traits |= DontFrag
	}
	p.IPID = binary.BigEndian.Uint16(h0[4:6])
	p.TTL = h0[8]
	mapIPv4(&p.Src, h0[12:16])
	mapIPv4(&p.Dst, h0[16:20])
	p.segment(h[20:min(uint32(len(h)), wire)], off+20, wire-20)
}

// decodeFast is decode for a simple packet, and reports whether it was one.
func decodeFast(p *Packet, r *record, frame []byte) bool {
	ip, ok := simple(r.link, frame)
	if ok {
		p.decodeSimple(frame, ip, r.off)
	}
	return ok
}

// mapIPv4 writes the four bytes of a as ::ffff:a.b.c.d, in two stores.
func mapIPv4(to *[16]byte, a []byte) {
	binary.LittleEndian.PutUint64(to[:8], 0)
	binary.LittleEndian.PutUint64(to[8:], mappedIPv4(a))
}

// mappedIPv4 is the second half of ::ffff:a.b.c.d, as it is in memory.
func mappedIPv4(a []byte) uint64 { return 0xffff<<16 | uint64(binary.LittleEndian.Uint32(a))<<32 }
