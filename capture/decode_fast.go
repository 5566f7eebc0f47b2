package capture

import "encoding/binary"

// decodeFast decodes what nearly every packet is: TCP in IPv4 without
// options or IPv6 without extension headers, whole as far as its lengths
// say, straight on Ethernet, a Linux cooked header, or nothing. It reports
// whether the packet was of that kind; everything else, broken packets
// included, is left to walk, which must give the same result for these.
func decodeFast(p *Packet, r *record, frame []byte) bool {
	var number uint16
	var n int
	switch r.link {
	case linkEthernet:
		if len(frame) < 14 {
			return false
		}
		number, n = binary.BigEndian.Uint16(frame[12:14]), 14
		p.Link = binary.BigEndian.Uint64(frame[6:14]) >> 16
	case linkSLL:
		if len(frame) < 16 {
			return false
		}
		number, n = readCooked(p, frame), 16
	case linkSLL2:
		if len(frame) < 20 {
			return false
		}
		number, n = readCooked2(p, frame), 20
	case linkRaw, linkRaw12, linkRaw14, linkIPv4, linkIPv6:
		if len(frame) == 0 {
			return false
		}
		number = etherTypeIPv4
		if frame[0]>>4 == 6 {
			number = etherTypeIPv6
		}
	default:
		return false
	}
	switch number {
	case etherTypeIPv4:
		return r.link != linkIPv6 && fastIPv4(p, frame[n:], r.off+uint32(n))
	case etherTypeIPv6:
		return r.link != linkIPv4 && fastIPv6(p, frame[n:], r.off+uint32(n))
	}
	return false
}

// fastIPv4 is the IPv4 half of decodeFast; off is where h begins in Data.
func fastIPv4(p *Packet, h []byte, off uint32) bool {
	if len(h) < 40 || h[0] != 0x45 || h[9] != protocolTCP {
		return false
	}
	total := binary.BigEndian.Uint16(h[2:4])
	fragment := binary.BigEndian.Uint16(h[6:8])
	if total < 40 || fragment&(ipMoreFragments|ipOffsetMask) != 0 {
		return false
	}
	if int(total) < len(h) {
		h = h[:total]
	}
	p.Traits |= HasIPID
	if fragment&ipDontFragment != 0 {
		p.Traits |= DontFrag
	}
	p.IPID = binary.BigEndian.Uint16(h[4:6])
	p.TTL = h[8]
	mapIPv4(&p.Src, h[12:16])
	mapIPv4(&p.Dst, h[16:20])
	decodeTCP(p, h[20:], off+20, uint32(total)-20)
	return true
}

// fastIPv6 is the IPv6 half of decodeFast.
func fastIPv6(p *Packet, h []byte, off uint32) bool {
	if len(h) < 60 || h[0]>>4 != 6 || h[6] != protocolTCP {
		return false
	}
	length := binary.BigEndian.Uint16(h[4:6])
	if length < 20 {
		return false
	}
	if int(length)+40 < len(h) {
		h = h[:int(length)+40]
	}
	p.Traits |= IPv6
	p.TTL = h[7]
	p.Src = [16]byte(h[8:24])
	p.Dst = [16]byte(h[24:40])
	decodeTCP(p, h[40:], off+40, uint32(length))
	return true
}

// mapIPv4 writes the four bytes of a as ::ffff:a.b.c.d, in two stores.
func mapIPv4(to *[16]byte, a []byte) {
	low := 0xffff<<16 | uint64(binary.LittleEndian.Uint32(a))<<32
	binary.LittleEndian.PutUint64(to[:8], 0)
	binary.LittleEndian.PutUint64(to[8:], low)
}
