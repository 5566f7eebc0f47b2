package capture

// layer names what a walk meets next. Where a tag leads to an EtherType or
// an IP protocol number, that number waits in the walk.
type layer uint8

const (
	done layer = iota // nothing that is of use here follows, or the packet is complete
	layerUnsupported
	layerEthernet
	layerEtherType // number in walk.number
	layerVLAN
	layerFabricPath
	layerMPLS
	layerPPPoE
	layerPPP
	layerPPPHDLC
	layerPPPDirection
	layerCHDLC
	layerCHDLCDirection
	layerLLC
	layerCooked
	layerCooked2
	layerLoopback
	layerNFLog
	layerIPNet
	layerPKTAP
	layerPPI
	layerTokenRing
	layerWiFi
	layerRadiotap
	layerAVS
	layerRareLink // link type in walk.number
	layerIP       // version not known from outside
	layerIPv4
	layerIPv6
	layerProtocol // number in walk.number, IPv6 extension headers included
	layerTCP
	layerUDP
	layerICMP
	layerICMPv6
	layerGRE
	layerERSPAN2
	layerERSPAN3
	layerVXLAN
	layerVXLANGPE
	layerGeneve
	layerGTP
	layerTeredo
	layerEtherIP
)

// maxLayers bounds a walk. Each VLAN tag, label stack, tunnel header, IP
// header and IPv6 extension header is one layer; GTP or VXLAN inside GRE
// inside MPLS inside QinQ comes to fewer than twenty.
const maxLayers = 48

// walk is the way through one frame, from its link header inward.
type walk struct {
	d *decoder
	b *Batch
	p *Packet

	rest []byte // what was captured from here on; ends where the innermost length says
	off  uint32 // where rest begins in b.Data
	wire uint32 // bytes from here on that the wire carried, never less than len(rest)

	number uint16 // see layer
	ips    uint8  // IP headers met so far
	v6     bool   // of the IP header last met
	addrs  uint32 // where that header's source address lies in b.Data, the destination behind it

	nested encapStack
}

// run follows layers until nothing is left to be followed. It is a loop and
// no recursion, so that no packet can nest deeper than maxLayers.
func (w *walk) run(l layer) {
	for n := 0; l != done; n++ {
		if n == maxLayers {
			w.bad(TooDeep)
			return
		}
		if l < layerIP {
			l = w.linkLayer(l)
		} else {
			l = w.netLayer(l)
		}
	}
}

// linkLayer decodes one layer below IP and names the one it carries.
func (w *walk) linkLayer(l layer) layer {
	switch l {
	case layerEthernet:
		return w.ethernet()
	case layerEtherType:
		return w.etherType()
	case layerVLAN:
		return w.vlan()
	case layerMPLS:
		return w.mpls()
	case layerCooked:
		return w.cooked()
	case layerCooked2:
		return w.cooked2()
	case layerLoopback:
		return w.loopback()
	case layerLLC:
		return w.llc()
	case layerPPPoE:
		return w.pppoe()
	case layerPPP:
		return w.ppp()
	case layerPPPHDLC, layerCHDLC:
		return w.hdlc(l)
	case layerPPPDirection, layerCHDLCDirection:
		return w.serialDirection(l)
	case layerFabricPath:
		return w.fabricPath()
	case layerWiFi:
		return w.wifi()
	case layerRadiotap:
		return w.radiotap()
	case layerAVS:
		return w.avs()
	case layerNFLog:
		return w.nflog()
	case layerIPNet:
		return w.ipNet()
	case layerPKTAP:
		return w.pktap()
	case layerPPI:
		return w.ppi()
	case layerTokenRing:
		return w.tokenRing()
	case layerRareLink:
		return w.rareLink()
	}
	return w.bad(LinkUnsupported)
}

// netLayer does the same for IP and what it carries.
func (w *walk) netLayer(l layer) layer {
	switch l {
	case layerIP:
		return w.ip()
	case layerIPv4:
		return w.ipv4()
	case layerIPv6:
		return w.ipv6()
	case layerProtocol:
		return w.ipProtocol()
	case layerTCP:
		decodeTCP(w.p, w.rest, w.off, w.wire)
		return done
	case layerUDP:
		return w.udp()
	case layerICMP:
		return w.icmp()
	case layerICMPv6:
		return w.icmpv6()
	case layerGRE:
		return w.gre()
	case layerERSPAN2:
		return w.erspan2()
	case layerERSPAN3:
		return w.erspan3()
	case layerVXLAN:
		return w.vxlan()
	case layerVXLANGPE:
		return w.vxlanGPE()
	case layerGeneve:
		return w.geneve()
	case layerGTP:
		return w.gtp()
	case layerTeredo:
		return w.teredo()
	case layerEtherIP:
		return w.etherIP()
	}
	return done
}

// bad ends the walk with the reason why the packet cannot be decoded.
func (w *walk) bad(why Problem) layer {
	w.p.Kind, w.p.Problem = Bad, why
	return done
}

// has reports whether the next n bytes were captured; where not, the packet
// has been marked bad.
func (w *walk) has(n int, why Problem) bool {
	if len(w.rest) >= n {
		return true
	}
	w.bad(why)
	return false
}

// skip steps over n bytes that are known to be captured.
func (w *walk) skip(n int) {
	w.rest = w.rest[n:]
	w.off += uint32(n)
	w.wire -= uint32(n)
}

// limit lets the packet end n bytes from here, because a header says so: what
// follows is a trailer or padding. Where fewer bytes remain, the header is
// believed and the rest counts as not captured.
func (w *walk) limit(n uint32) {
	w.wire = n
	if uint64(len(w.rest)) > uint64(n) {
		w.rest = w.rest[:n]
	}
}

// into names the layer that an EtherType leads to.
func (w *walk) into(etherTypeNumber uint16) layer {
	w.number = etherTypeNumber
	return layerEtherType
}

// carry names the layer that an IP protocol number leads to.
func (w *walk) carry(protocol uint8) layer {
	w.number = uint16(protocol)
	return layerProtocol
}
