package capture

import "encoding/binary"

// mpls follows a label stack (RFC 3032) to what it carries. Nothing in the
// stack says what that is, so the first bytes must: IP by its version and a
// length that fits, else a pseudowire of Ethernet with or without its control
// word (RFC 4448).
//
// Labels are no part of the key: a label-switched path leads one way (RFC
// 3031 2.1), so the two directions of a connection never share them.
func (w *walk) mpls() layer {
	const bottom = 1 << 8
	for n := 0; ; n++ {
		if n == maxLabels {
			return w.bad(TooDeep)
		}
		if !w.has(4, TunnelTruncated) {
			return done
		}
		entry := binary.BigEndian.Uint32(w.rest)
		w.skip(4)
		if entry&bottom != 0 {
			w.enter(inMPLS, int64(entry>>12))
			break
		}
	}
	switch h := w.rest; {
	case looksIPv4(h, w.wire):
		return layerIPv4
	case looksIPv6(h, w.wire):
		return layerIPv6
	case len(h) >= 18 && h[0]>>4 == 0 && knownEtherType(h[16:18]):
		w.skip(4)
		return layerEthernet
	case len(h) >= 14 && knownEtherType(h[12:14]):
		return layerEthernet
	case len(h) >= 21 && h[0]>>4 == 0 && string(h[18:21]) == "\xaa\xaa\x03":
		w.skip(4)
		return layerEthernet
	case len(h) >= 40 && h[0]>>4 != 0:
		// Lengths that do not fit: who shortened the packets did not keep
		// the length they had.
		return ipOrNothing(h)
	}
	return done
}

// maxLabels bounds a label stack; segment routing pushes a dozen.
const maxLabels = 32

// looksIPv4 reports whether h may begin with an IPv4 header, for carriers
// that do not say what they carry. Total length 0 (TSO) is for packets beyond
// any MTU.
func looksIPv4(h []byte, wire uint32) bool {
	if len(h) < 20 || h[0]>>4 != 4 || h[0]&15 < 5 {
		return false
	}
	total := uint32(binary.BigEndian.Uint16(h[2:4]))
	return total >= 20 && total <= wire || total == 0 && wire > largestLength
}

// looksIPv6 is the same for IPv6; a flow label or traffic class may be
// anything, so the length has to do.
func looksIPv6(h []byte, wire uint32) bool {
	if len(h) < 40 || h[0]>>4 != 6 {
		return false
	}
	return uint32(binary.BigEndian.Uint16(h[4:6]))+40 <= wire
}

// knownEtherType reports whether the two bytes of b are an EtherType that
// leads on to IP.
func knownEtherType(b []byte) bool {
	switch binary.BigEndian.Uint16(b) {
	case etherTypeIPv4, etherTypeIPv6, etherTypeVLAN, etherTypeVLANService, etherTypeQinQOld,
		etherTypeMPLS, etherTypePPPoE, etherTypeBackbone:
		return true
	}
	return false
}
