package capture

import "encoding/binary"

// Bits of the IPv4 fragment field, and IP protocol numbers that lead further.
const (
	ipDontFragment  = 0x4000
	ipMoreFragments = 0x2000
	ipOffsetMask    = 0x1fff

	protocolHopByHop = 0
	protocolICMP     = 1
	protocolIPv4     = 4
	protocolTCP      = 6
	protocolUDP      = 17
	protocolIPv6     = 41
	protocolRouting  = 43
	protocolFragment = 44
	protocolGRE      = 47
	protocolAH       = 51
	protocolICMPv6   = 58
	protocolOptions  = 60
	protocolEtherIP  = 97
	protocolMobility = 135
	protocolMPLS     = 137
	protocolHIP      = 139
	protocolShim6    = 140
	protocolEthernet = 143
)

// perHeader are the traits that an IP header sets anew.
const perHeader = IPv6 | HasIPID | DontFrag | LengthGuess

// ip follows a header of either version.
func (w *walk) ip() layer {
	if !w.has(1, IPTruncated) {
		return done
	}
	if l := ipOrNothing(w.rest); l != done {
		return l
	}
	return w.bad(IPVersion)
}

// ipv4 reads an IPv4 header, RFC 791 3.1.
func (w *walk) ipv4() layer {
	if !w.has(1, IPTruncated) {
		return done
	}
	if w.rest[0]>>4 != 4 {
		return w.bad(IPVersion)
	}
	if !w.has(20, IPTruncated) {
		return done
	}
	h, p := w.rest, w.p
	header := uint32(h[0]&15) * 4
	total := uint32(binary.BigEndian.Uint16(h[2:4]))
	fragment := binary.BigEndian.Uint16(h[6:8])
	w.newHeader(HasIPID, 12)
	if fragment&ipDontFragment != 0 {
		p.Traits |= DontFrag
	}
	p.IPID, p.TTL = binary.BigEndian.Uint16(h[4:6]), h[8]
	mapIPv4(&p.Src, h[12:16])
	mapIPv4(&p.Dst, h[16:20])
	switch {
	case total == 0:
		// A sender captured before segmentation by its network card (TSO)
		// or a packet beyond 64 KiB (BIG TCP).
		p.Traits |= LengthGuess
		total = w.wire
	case total < header:
		return w.bad(IPTotalLength)
	}
	if header < 20 || header > total {
		return w.bad(IPHeaderLength)
	}
	if !w.has(int(header), IPTruncated) {
		return done
	}
	w.limit(total)
	protocol := h[9]
	w.skip(int(header))
	if fragment&(ipMoreFragments|ipOffsetMask) != 0 {
		return w.fragment(fragmentKey{
			src: p.Src, dst: p.Dst,
			id: uint32(p.IPID), protocol: protocol,
		}, uint32(fragment&ipOffsetMask)*8, fragment&ipMoreFragments != 0, protocol)
	}
	return w.carry(protocol)
}

// newHeader counts an IP header and forgets what the one around it said;
// addrs is where in the header its addresses are.
func (w *walk) newHeader(t Traits, addrs uint32) {
	w.p.Traits = w.p.Traits&^perHeader | t
	w.p.IPID = 0
	w.p.Depth = w.ips
	w.ips++
	w.v6 = t&IPv6 != 0
	w.addrs = w.off + addrs
}

// ipProtocol follows the IP protocol number in w.number.
func (w *walk) ipProtocol() layer {
	switch w.number {
	case protocolTCP:
		return layerTCP
	case protocolUDP:
		return layerUDP
	case protocolICMP:
		if w.v6 {
			return done
		}
		return layerICMP
	case protocolICMPv6:
		if !w.v6 {
			return done
		}
		return layerICMPv6
	case protocolIPv4:
		if w.v6 {
			w.enter(in4in6, noID)
		} else {
			w.enter(in4in4, noID)
		}
		return layerIPv4
	case protocolIPv6:
		if w.v6 {
			w.enter(in6in6, noID)
		} else {
			w.enter(in6in4, noID)
		}
		return layerIPv6
	case protocolGRE:
		return layerGRE
	case protocolEtherIP:
		return layerEtherIP
	case protocolMPLS:
		return layerMPLS
	case protocolEthernet:
		w.enter(inL2, noID)
		return layerEthernet
	case protocolAH:
		return w.authentication()
	}
	if w.v6 {
		return w.extension()
	}
	return done
}

// carriesTCP reports whether a protocol may lead to TCP, so that its
// fragments are worth keeping. ICMP errors are never long enough to be
// fragmented (RFC 1812 4.3.2.3, RFC 4443 2.4).
func carriesTCP(protocol uint8) bool {
	switch protocol {
	case protocolTCP, protocolUDP, protocolIPv4, protocolIPv6, protocolGRE, protocolAH,
		protocolEtherIP, protocolMPLS, protocolEthernet,
		protocolHopByHop, protocolRouting, protocolOptions:
		return true
	}
	return false
}

// authentication steps over an IPsec authentication header (RFC 4302 2.2);
// what follows it is in clear.
func (w *walk) authentication() layer {
	if !w.has(8, TunnelTruncated) {
		return done
	}
	length := (int(w.rest[1]) + 2) * 4
	if !w.has(length, TunnelTruncated) {
		return done
	}
	next := w.rest[0]
	w.skip(length)
	return w.carry(next)
}
