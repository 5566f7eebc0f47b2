package capture

import "encoding/binary"

// Link types as capture files number them (LINKTYPE_ values, see
// https://www.tcpdump.org/linktypes.html).
const (
	linkNull        = 0
	linkEthernet    = 1
	linkTokenRing   = 6
	linkPPP         = 9
	linkFDDI        = 10
	linkRaw12       = 12 // DLT_RAW of most systems, written by tools that do not translate
	linkRaw14       = 14 // that of OpenBSD
	linkPPPHDLC     = 50
	linkPPPEther    = 51
	linkATM1483     = 100
	linkRaw         = 101
	linkCHDLC       = 104
	linkWiFi        = 105
	linkLoop        = 108
	linkSLL         = 113
	linkPFLog       = 117
	linkPrism       = 119
	linkIPOverFC    = 122
	linkRadiotap    = 127
	linkAVS         = 163
	linkPPI         = 192
	linkPPPWithDir  = 204
	linkHDLCWithDir = 205
	linkIPNet       = 226
	linkIPv4        = 228
	linkIPv6        = 229
	linkNFLog       = 239
	linkPKTAP       = 258
	linkSLL2        = 276
)

// link names the first layer of a frame of the given link type.
func (w *walk) link(linkType uint16) layer {
	switch linkType {
	case linkEthernet:
		return layerEthernet
	case linkRaw, linkRaw12, linkRaw14:
		return layerIP
	case linkIPv4:
		return layerIPv4
	case linkIPv6:
		return layerIPv6
	case linkNull, linkLoop:
		return layerLoopback
	case linkSLL:
		return layerCooked
	case linkSLL2:
		return layerCooked2
	case linkWiFi:
		return layerWiFi
	case linkRadiotap:
		return layerRadiotap
	case linkAVS:
		return layerAVS
	case linkPPI:
		return layerPPI
	case linkNFLog:
		return layerNFLog
	case linkIPNet:
		return layerIPNet
	case linkPKTAP:
		return layerPKTAP
	case linkTokenRing:
		return layerTokenRing
	case linkATM1483:
		return layerLLC
	case linkIPOverFC:
		return w.fibreChannel()
	case linkFDDI, linkPrism, linkPFLog:
		w.number = linkType
		return layerRareLink
	}
	return serialLink(linkType)
}

// EtherTypes, of Ethernet, of GRE and of everything else that borrows them.
const (
	etherTypeIPv4        = 0x0800
	etherTypeTRILL       = 0x22f3
	etherTypeERSPAN3     = 0x22eb
	etherTypeEoIP        = 0x6400 // MikroTik's, in GRE only
	etherTypeBridged     = 0x6558 // transparent Ethernet bridging, in GRE and Geneve
	etherTypeVLAN        = 0x8100
	etherTypeIPv6        = 0x86dd
	etherTypePPP         = 0x880b
	etherTypeWCCP        = 0x883e
	etherTypeMPLS        = 0x8847
	etherTypeMPLSMulti   = 0x8848
	etherTypePPPoE       = 0x8864
	etherTypeVLANService = 0x88a8
	etherTypeERSPAN2     = 0x88be
	etherTypeBackbone    = 0x88e7 // 802.1ah, PBB
	etherTypeFabricPath  = 0x8903
	etherTypeCiscoMeta   = 0x8909
	etherTypeVNTag       = 0x8926
	etherTypeHSR         = 0x892f
	etherTypeQinQOld     = 0x9100
	etherTypeQinQOlder   = 0x9200
)

// largestLength is the last value of the type field that is an 802.3 length.
const largestLength = 1500

func (w *walk) ethernet() layer {
	if !w.has(14, LinkTruncated) {
		return done
	}
	h := w.rest
	w.p.Link = binary.BigEndian.Uint64(h[6:14]) >> 16
	number := binary.BigEndian.Uint16(h[12:14])
	w.skip(14)
	if number > largestLength {
		return w.into(number)
	}
	return layerLLC
}

// etherType follows the EtherType in w.number.
func (w *walk) etherType() layer {
	switch w.number {
	case etherTypeIPv4:
		return layerIPv4
	case etherTypeIPv6:
		return layerIPv6
	case etherTypeVLAN, etherTypeVLANService, etherTypeQinQOld, etherTypeQinQOlder:
		return layerVLAN
	case etherTypeMPLS, etherTypeMPLSMulti:
		return layerMPLS
	case etherTypePPPoE:
		return layerPPPoE
	case etherTypePPP:
		return layerPPP
	case etherTypeBridged:
		return layerEthernet
	case etherTypeBackbone:
		return w.backbone()
	case etherTypeFabricPath:
		return layerFabricPath
	case etherTypeTRILL:
		return w.trill()
	case etherTypeCiscoMeta:
		return w.shim(8)
	case etherTypeVNTag, etherTypeHSR:
		return w.shim(6)
	}
	return done
}

func (w *walk) vlan() layer {
	if !w.has(4, LinkTruncated) {
		return done
	}
	// VLAN 0 is no VLAN: such a tag carries a priority only (802.1Q 9.6).
	if id := binary.BigEndian.Uint16(w.rest) & 0xfff; id != 0 {
		w.enter(inVLAN, int64(id))
	}
	number := binary.BigEndian.Uint16(w.rest[2:])
	w.skip(4)
	if number > largestLength {
		return w.into(number)
	}
	return layerLLC
}

// shim steps over a tag of n bytes that ends in the EtherType of what
// follows: it says how the frame travels, not whose it is.
func (w *walk) shim(n int) layer {
	if !w.has(n, LinkTruncated) {
		return done
	}
	number := binary.BigEndian.Uint16(w.rest[n-2:])
	w.skip(n)
	return w.into(number)
}

// backbone is the I-TAG of 802.1ah: flags and 24 bits of service identifier,
// then the customer's whole frame.
func (w *walk) backbone() layer {
	if !w.has(4, LinkTruncated) {
		return done
	}
	w.enter(inBackbone, int64(binary.BigEndian.Uint32(w.rest)&0xffffff))
	w.skip(4)
	return layerEthernet
}

// fabricPath follows a Cisco FabricPath tag, two bytes of tree and hop count,
// to the whole frame behind it.
func (w *walk) fabricPath() layer {
	if !w.has(2, LinkTruncated) {
		return done
	}
	w.skip(2)
	return layerEthernet
}

// trill follows a TRILL header (RFC 6325 3) to the whole frame behind it.
func (w *walk) trill() layer {
	if !w.has(6, LinkTruncated) {
		return done
	}
	options := int(binary.BigEndian.Uint16(w.rest)>>6&0x1f) * 4
	if !w.has(6+options, LinkTruncated) {
		return done
	}
	w.skip(6 + options)
	return layerEthernet
}

// llc follows an 802.2 header: SNAP (RFC 1042), or IP on its own service
// access point.
func (w *walk) llc() layer {
	const snap, ipPoint, unnumbered = 0xaa, 0x06, 0x03
	if !w.has(3, LinkTruncated) {
		return done
	}
	h := w.rest
	if h[2] != unnumbered {
		return done
	}
	switch {
	case h[0] == ipPoint && h[1] == ipPoint:
		w.skip(3)
		return layerIPv4
	case h[0] == snap && h[1] == snap:
		if !w.has(8, LinkTruncated) {
			return done
		}
		// 00-00-f8 is 802.1H's: bridges use it where 00-00-00 would be
		// mistaken. EtherTypes follow both.
		if vendor := binary.BigEndian.Uint32(h[2:6]) & 0xffffff; vendor != 0 && vendor != 0xf8 {
			return done
		}
		w.skip(8)
		return w.into(binary.BigEndian.Uint16(h[6:8]))
	}
	return done
}

// fibreChannel steps over the two addresses of RFC 2625 to its LLC header.
func (w *walk) fibreChannel() layer {
	if !w.has(16, LinkTruncated) {
		return done
	}
	w.p.Link = binary.BigEndian.Uint64(w.rest[8:16]) & (1<<48 - 1)
	w.skip(16)
	return layerLLC
}

// tokenRing steps over an 802.5 header, source routing included: its presence
// is told by the bit that would mark a source address as a group's.
func (w *walk) tokenRing() layer {
	if !w.has(14, LinkTruncated) {
		return done
	}
	const frameTypeMask, llcFrame, routed = 0xc0, 0x40, 1 << 47
	if w.rest[1]&frameTypeMask != llcFrame {
		return done
	}
	from := binary.BigEndian.Uint64(w.rest[6:14]) & (1<<48 - 1)
	w.p.Link = from &^ routed
	w.skip(14)
	if from&routed == 0 {
		return layerLLC
	}
	if !w.has(2, LinkTruncated) {
		return done
	}
	route := int(w.rest[0] & 0x1f)
	if route < 2 || !w.has(route, LinkTruncated) {
		return w.bad(LinkTruncated)
	}
	w.skip(route)
	return layerLLC
}
