package capture

import (
	"encoding/binary"
	"math"
)

// ICMP messages that quote the packet they are about (RFC 1122 3.2.2 counts
// redirect and source quench among the errors).
const (
	icmpUnreachable  = 3
	icmpSourceQuench = 4
	icmpRedirect     = 5
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmpFragmentationNeeded = 4 // code of icmpUnreachable

	icmp6Unreachable  = 1
	icmp6PacketTooBig = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
)

// icmp looks for a quoted TCP segment in an ICMP error, RFC 792.
func (w *walk) icmp() layer {
	h := w.rest
	if len(h) < 8 {
		return done
	}
	var mtu uint16
	switch h[0] {
	case icmpUnreachable:
		if h[1] == icmpFragmentationNeeded {
			mtu = binary.BigEndian.Uint16(h[6:8])
		}
	case icmpSourceQuench, icmpRedirect, icmpTimeExceeded, icmpParameter:
	default:
		return done
	}
	var q quote
	if q.ipv4(h[8:]) {
		w.report(&q, mtu)
	}
	return done
}

// icmpv6 does the same for RFC 4443.
func (w *walk) icmpv6() layer {
	h := w.rest
	if len(h) < 8 {
		return done
	}
	var mtu uint16
	switch h[0] {
	case icmp6PacketTooBig:
		mtu = uint16(min(binary.BigEndian.Uint32(h[4:8]), math.MaxUint16))
	case icmp6Unreachable, icmp6TimeExceeded, icmp6Parameter:
	default:
		return done
	}
	var q quote
	if q.ipv6(h[8:]) {
		w.report(&q, mtu)
	}
	return done
}

// quote is the beginning of a TCP segment as an ICMP error quotes it.
type quote struct {
	src, dst [16]byte
	tcp      []byte // at least eight bytes
	length   int    // of header and payload by the quoted IP header, 0 if unknown
}

// tcpQuoteMin is how much an ICMP error must quote: ports and sequence
// number.
const tcpQuoteMin = 8

// ipv4 finds TCP in a quoted IPv4 packet; false if there is none.
func (q *quote) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != protocolTCP {
		return false
	}
	header := int(b[0]&15) * 4
	fragment := binary.BigEndian.Uint16(b[6:8])
	if header < 20 || len(b) < header+tcpQuoteMin || fragment&ipOffsetMask != 0 {
		return false
	}
	q.length = int(binary.BigEndian.Uint16(b[2:4])) - header
	if fragment&ipMoreFragments != 0 {
		q.length = 0
	}
	mapIPv4(&q.src, b[12:16])
	mapIPv4(&q.dst, b[16:20])
	q.tcp = b[header:]
	return true
}

// ipv6 is the same for IPv6, extension headers included.
func (q *quote) ipv6(b []byte) bool {
	if len(b) < 40 || b[0]>>4 != 6 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:6]))
	next := b[6]
	q.src, q.dst = [16]byte(b[8:24]), [16]byte(b[24:40])
	b = b[40:]
	for n := 0; next != protocolTCP; n++ {
		if n == maxQuotedExtensions || len(b) < 8 {
			return false
		}
		header := int(b[1])*8 + 8
		switch next {
		case protocolHopByHop, protocolRouting, protocolOptions:
		case protocolFragment:
			header = 8
			place := binary.BigEndian.Uint16(b[2:4])
			if place&^7 != 0 {
				return false
			}
			if place&1 != 0 {
				length = 0
			}
		default:
			return false
		}
		if len(b) < header {
			return false
		}
		next, b, length = b[0], b[header:], length-header
	}
	q.tcp, q.length = b, length
	return len(b) >= tcpQuoteMin
}

// maxQuotedExtensions bounds the extension headers of a quoted packet.
const maxQuotedExtensions = 8

// report makes the packet the error about the segment that it quotes.
func (w *walk) report(q *quote, mtu uint16) {
	p, h := w.p, w.rest
	p.Kind = ICMPError
	p.ICMPType, p.ICMPCode, p.MTU = h[0], h[1], mtu
	p.Router = p.Src
	p.Src, p.Dst = q.src, q.dst
	p.SrcPort = binary.BigEndian.Uint16(q.tcp[0:2])
	p.DstPort = binary.BigEndian.Uint16(q.tcp[2:4])
	p.Seq = binary.BigEndian.Uint32(q.tcp[4:8])
	if len(q.tcp) < tcpFlagsEnd {
		return
	}
	header := int(q.tcp[12]>>4) * 4
	if header < 20 {
		return // zeros that fill up to an extension (RFC 4884 4)
	}
	p.Ack = binary.BigEndian.Uint32(q.tcp[8:12])
	p.Flags = Flags(binary.BigEndian.Uint16(q.tcp[12:14]) & 0x1ff)
	if len(q.tcp) >= 16 {
		p.Window = binary.BigEndian.Uint16(q.tcp[14:16])
	}
	if q.length > header {
		p.Len = uint32(q.length - header)
	}
}
