package capture

import "encoding/binary"

// Flags of the first sixteen bits of a GRE header: RFC 2784, RFC 2890, and
// RFC 2637 for version 1.
const (
	greChecksum    = 0x8000
	greRouting     = 0x4000
	greKey         = 0x2000
	greSequence    = 0x1000
	greAcknowledge = 0x0080
	greVersion     = 0x0007
)

func (w *walk) gre() layer {
	if !w.has(4, TunnelTruncated) {
		return done
	}
	flags := binary.BigEndian.Uint16(w.rest[0:2])
	number := binary.BigEndian.Uint16(w.rest[2:4])
	switch {
	case flags&greVersion == 1 && number == etherTypeEoIP:
		return w.eoip()
	case flags&greVersion == 1:
		return w.pptp(flags, number)
	case flags&greVersion != 0, flags&greRouting != 0:
		return done
	}
	length, id := 4, int64(noID)
	if flags&greChecksum != 0 {
		length += 4
	}
	if flags&greKey != 0 {
		length += 4
	}
	keyEnd := length
	if flags&greSequence != 0 {
		length += 4
	}
	if !w.has(length, TunnelTruncated) {
		return done
	}
	if flags&greKey != 0 {
		id = int64(binary.BigEndian.Uint32(w.rest[keyEnd-4:]))
	}
	w.skip(length)
	switch number {
	case etherTypeERSPAN2:
		if flags&greSequence == 0 {
			w.enter(inERSPAN, noID) // type I has no header of its own
			return layerEthernet
		}
		return layerERSPAN2
	case etherTypeERSPAN3:
		return layerERSPAN3
	}
	w.enter(inGRE, id)
	if number == etherTypeWCCP {
		return w.wccp()
	}
	return w.into(number)
}

// wccp is a packet redirected to a web cache: version 2 puts four bytes
// before it that no IP header begins with.
func (w *walk) wccp() layer {
	if l := ipOrNothing(w.rest); l != done {
		return l
	}
	if !w.has(4, TunnelTruncated) {
		return done
	}
	w.skip(4)
	return ipOrNothing(w.rest)
}

// pptp follows the GRE of PPTP (RFC 2637 4.1) to PPP. Without a sequence
// number it is an acknowledgment and carries nothing.
func (w *walk) pptp(flags, number uint16) layer {
	if number != etherTypePPP || flags&greKey == 0 || flags&greSequence == 0 {
		return done
	}
	length := 12
	if flags&greAcknowledge != 0 {
		length += 4
	}
	if !w.has(length, TunnelTruncated) {
		return done
	}
	w.enter(inPPTP, int64(binary.BigEndian.Uint16(w.rest[6:8])))
	w.skip(length)
	return layerPPP
}

// eoip is MikroTik's Ethernet over IP: GRE of version 1 whose key holds the
// frame's length and, in the sender's byte order, the tunnel's number.
func (w *walk) eoip() layer {
	if !w.has(8, TunnelTruncated) {
		return done
	}
	w.enter(inEoIP, int64(binary.LittleEndian.Uint16(w.rest[6:8])))
	w.skip(8)
	return layerEthernet
}

// erspan2 follows the header of ERSPAN type II
// (draft-foschiano-erspan-03 4.2) to the mirrored frame.
func (w *walk) erspan2() layer {
	if !w.has(8, TunnelTruncated) {
		return done
	}
	if w.rest[0]>>4 != 1 {
		return done
	}
	w.enter(inERSPAN, int64(binary.BigEndian.Uint16(w.rest[2:4])&0x3ff))
	w.skip(8)
	return layerEthernet
}

// erspan3 is type III (4.3 there), with its optional platform subheader.
func (w *walk) erspan3() layer {
	const frameEthernet, frameIP = 0, 2
	if !w.has(12, TunnelTruncated) {
		return done
	}
	h := w.rest
	if h[0]>>4 != 2 {
		return done
	}
	length := 12
	if h[11]&1 != 0 {
		length += 8
	}
	if !w.has(length, TunnelTruncated) {
		return done
	}
	w.enter(inERSPAN, int64(binary.BigEndian.Uint16(h[2:4])&0x3ff))
	w.skip(length)
	switch h[10] >> 2 & 0x1f {
	case frameEthernet:
		return layerEthernet
	case frameIP:
		return ipOrNothing(w.rest)
	}
	return done
}

// etherIP is Ethernet straight in IP, RFC 3378.
func (w *walk) etherIP() layer {
	if !w.has(2, TunnelTruncated) {
		return done
	}
	if w.rest[0]>>4 != 3 {
		return done
	}
	w.enter(inEtherIP, noID)
	w.skip(2)
	return layerEthernet
}
