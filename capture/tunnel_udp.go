package capture

import "encoding/binary"

// Ports of tunnels over UDP.
const (
	portGTP        = 2152
	portTeredo     = 3544
	portVXLAN      = 4789
	portVXLANGPE   = 4790
	portGeneve     = 6081
	portVXLANLinux = 8472 // what Linux used before the port was assigned, and Flannel still does
)

// udp looks for a tunnel behind a UDP header. Ports are only a hint: what
// does not look like the tunnel of that port is left alone. The UDP length
// is not used; it is 0 for packets beyond 64 KiB, and IP has given its own.
func (w *walk) udp() layer {
	if len(w.rest) < 8 {
		return done
	}
	from := binary.BigEndian.Uint16(w.rest[0:2])
	to := binary.BigEndian.Uint16(w.rest[2:4])
	w.skip(8)
	if l := udpTunnel(to); l != done {
		return l
	}
	// Most senders choose their port at random, to spread load over paths. A
	// Teredo server answers from its own, and so do many GTP nodes.
	switch from {
	case portGTP, portTeredo:
		return udpTunnel(from)
	}
	return done
}

func udpTunnel(port uint16) layer {
	switch port {
	case portVXLAN, portVXLANLinux:
		return layerVXLAN
	case portVXLANGPE:
		return layerVXLANGPE
	case portGeneve:
		return layerGeneve
	case portGTP:
		return layerGTP
	case portTeredo:
		return layerTeredo
	}
	return done
}

// vxlan is RFC 7348 5. Of the flags only I must be set; others are those of
// the group policy extension. The last byte is reserved and zero.
func (w *walk) vxlan() layer {
	const validVNI = 0x08
	if len(w.rest) < 8+14 || w.rest[0]&validVNI == 0 || w.rest[7] != 0 {
		return done
	}
	w.enter(inVXLAN, int64(binary.BigEndian.Uint32(w.rest[4:8])>>8))
	w.skip(8)
	return layerEthernet
}

// vxlanGPE is the same with a protocol number, draft-ietf-nvo3-vxlan-gpe 3.
func (w *walk) vxlanGPE() layer {
	const hasProtocol = 0x04
	if len(w.rest) < 8 || w.rest[0]&hasProtocol == 0 {
		return w.vxlan()
	}
	if w.rest[7] != 0 {
		return done
	}
	protocol := w.rest[3]
	w.enter(inVXLAN, int64(binary.BigEndian.Uint32(w.rest[4:8])>>8))
	w.skip(8)
	switch protocol {
	case 1:
		return layerIPv4
	case 2:
		return layerIPv6
	case 3:
		return layerEthernet
	case 5:
		return layerMPLS
	}
	return done
}

// geneve is RFC 8926 3.4.
func (w *walk) geneve() layer {
	const control, reserved = 0x80, 0x3f
	if len(w.rest) < 8 || w.rest[0]>>6 != 0 || w.rest[1]&(control|reserved) != 0 || w.rest[7] != 0 {
		return done
	}
	h := w.rest
	length := 8 + int(h[0]&0x3f)*4
	if len(h) < length {
		return done
	}
	w.enter(inGeneve, int64(binary.BigEndian.Uint32(h[4:8])>>8))
	w.skip(length)
	return w.into(binary.BigEndian.Uint16(h[2:4]))
}

// gtp is a user packet in GTPv1-U (3GPP TS 29.281 5.1); its other messages
// lead nowhere.
func (w *walk) gtp() layer {
	const (
		versionMask, version1 = 0xf0, 0x30 // with the bit that tells GTP from GTP'
		optional, extended    = 0x07, 0x04
		userPacket            = 255
	)
	h := w.rest
	if len(h) < 8 || h[0]&versionMask != version1 || h[1] != userPacket {
		return done
	}
	length := 8
	if h[0]&optional != 0 {
		length += 4
		if len(h) < length {
			return done
		}
		next := h[11]
		if h[0]&extended == 0 {
			next = 0
		}
		for n := 0; next != 0; n++ {
			if n == maxExtensions || len(h) <= length || len(h) < length+int(h[length])*4 {
				return done
			}
			length += int(h[length]) * 4
			next = h[length-1]
		}
	}
	w.enter(inGTP, int64(binary.BigEndian.Uint32(h[4:8])))
	w.skip(length)
	return ipOrNothing(w.rest)
}

// maxExtensions bounds GTP extension headers, of which a user packet has one
// or two.
const maxExtensions = 8

// teredo is RFC 4380 5.1.1: authentication and origin may come first.
func (w *walk) teredo() layer {
	const authentication, origin = 1, 0
	h, skip := w.rest, 0
	if len(h) >= 13 && h[0] == 0 && h[1] == authentication {
		skip = 13 + int(h[2]) + int(h[3])
	}
	if len(h) >= skip+8 && h[skip] == 0 && h[skip+1] == origin {
		skip += 8
	}
	if len(h) < skip || !looksIPv6(h[skip:], w.wire-uint32(skip)) {
		return done
	}
	w.enter(inTeredo, noID)
	w.skip(skip)
	return layerIPv6
}
