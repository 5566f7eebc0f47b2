package capture

import "encoding/binary"

// serialLink names the first layer of point-to-point link types.
func serialLink(linkType uint16) layer {
	switch linkType {
	case linkPPP:
		return layerPPP
	case linkPPPHDLC:
		return layerPPPHDLC
	case linkCHDLC:
		return layerCHDLC
	case linkPPPEther:
		return layerPPPoE
	case linkPPPWithDir:
		return layerPPPDirection
	case linkHDLCWithDir:
		return layerCHDLCDirection
	}
	return layerUnsupported
}

// hdlc tells PPP in HDLC-like framing (RFC 1662) from Cisco's by the address
// byte: link types promise one of them and captures hold the other.
func (w *walk) hdlc(l layer) layer {
	const unicast, multicast = 0x0f, 0x8f
	if !w.has(4, LinkTruncated) {
		return done
	}
	h := w.rest
	switch {
	case h[0] == unicast, h[0] == multicast:
	case h[0] == 0xff && h[1] == 0x03, l == layerPPPHDLC:
		return layerPPP
	}
	w.skip(4)
	return w.into(binary.BigEndian.Uint16(h[2:4]))
}

// serialDirection reads the byte that some link types put in front: zero for
// a packet that was received.
func (w *walk) serialDirection(l layer) layer {
	if !w.has(1, LinkTruncated) {
		return done
	}
	if w.rest[0] == 0 {
		setDirection(w.p, 0)
	} else {
		setDirection(w.p, packetOutgoing)
	}
	w.skip(1)
	if l == layerCHDLCDirection {
		return layerCHDLC
	}
	return layerPPPHDLC
}

// pppoe follows a PPPoE session header (RFC 2516 4).
func (w *walk) pppoe() layer {
	if !w.has(6, TunnelTruncated) {
		return done
	}
	h := w.rest
	if h[0] != 0x11 || h[1] != 0 {
		return done
	}
	w.enter(inPPPoE, int64(binary.BigEndian.Uint16(h[2:4])))
	w.skip(6)
	return layerPPP
}

// ppp follows a PPP protocol field, with or without the address and control
// bytes and, as negotiation may have it, of one byte (RFC 1661 2 and 6.5).
func (w *walk) ppp() layer {
	if len(w.rest) >= 2 && w.rest[0] == 0xff && w.rest[1] == 0x03 {
		w.skip(2)
	}
	if !w.has(1, LinkTruncated) {
		return done
	}
	n, protocol := 1, uint16(w.rest[0])
	if protocol&1 == 0 {
		if !w.has(2, LinkTruncated) {
			return done
		}
		n, protocol = 2, binary.BigEndian.Uint16(w.rest)
	}
	w.skip(n)
	switch protocol {
	case 0x0021:
		return layerIPv4
	case 0x0057:
		return layerIPv6
	case 0x0281, 0x0283:
		return layerMPLS
	}
	return done
}
