package capture

import "encoding/binary"

// tcpFlagsEnd is how far a TCP header must have been captured to be of use:
// ports, sequence numbers, data offset and flags.
const tcpFlagsEnd = 14

// decodeTCP completes p from the TCP header at the start of h. h ends where
// the IP length says or the capture stopped, off is its place in Data, and
// wire is the length of header and payload by IP.
func decodeTCP(p *Packet, h []byte, off, wire uint32) {
	if len(h) < tcpFlagsEnd {
		p.Kind, p.Problem = Bad, TCPTruncated
		return
	}
	header := uint32(h[12]>>4) * 4
	if header < 20 || header > wire {
		p.Kind, p.Problem = Bad, TCPHeaderLength
		return
	}
	p.segment(h, off, wire)
}

// segment is decodeTCP for a header that is known to have its flags, and a
// length that can be.
func (p *Packet) segment(h []byte, off, wire uint32) {
	ports := binary.BigEndian.Uint32(h[0:4])
	marks := binary.BigEndian.Uint16(h[12:14])
	header := uint32(marks>>12) * 4
	p.Kind = TCP
	p.SrcPort, p.DstPort = uint16(ports>>16), uint16(ports)
	p.Seq = binary.BigEndian.Uint32(h[4:8])
	p.Ack = binary.BigEndian.Uint32(h[8:12])
	p.Flags = Flags(marks & 0x1ff)
	p.Len = wire - header
	if uint32(len(h)) < header {
		tcpHeaderCut(p, h, off)
		return
	}
	p.Window = binary.BigEndian.Uint16(h[14:16])
	p.Off = off + header
	p.CapLen = uint32(len(h)) - header
	// A record may be shorter than its frame by Ethernet padding only.
	p.Traits &^= SnapCut
	if p.CapLen != p.Len {
		p.Traits |= SnapCut
	}
	switch {
	case header == 20:
	case header == 32 && binary.BigEndian.Uint32(h[20:24]) == timestampsAlone:
		p.Options = OptTimestamps
		p.TSVal = binary.BigEndian.Uint32(h[24:28])
		p.TSEcr = binary.BigEndian.Uint32(h[28:32])
	default:
		decodeOptions(p, h[20:header])
	}
}

// tcpHeaderCut takes from a header that the snaplen cut what is left of it.
func tcpHeaderCut(p *Packet, h []byte, off uint32) {
	p.Traits |= SnapCut | HeaderCut
	p.Off = off + uint32(len(h))
	if len(h) >= 16 {
		p.Window = binary.BigEndian.Uint16(h[14:16])
	}
	if h[12]>>4 > 5 {
		p.Options |= OptBroken
	}
	if len(h) > 20 {
		decodeOptions(p, h[20:])
	}
}

// timestampsAlone is how an option list begins that holds two NOPs and the
// timestamps, as RFC 7323 appendix A recommends and nearly every segment
// after the handshake has it.
const timestampsAlone = 0x0101080a

// decodeOptions reads the option list o, RFC 9293 3.1. An option of a wrong
// length is left out and OptBroken set; one that runs past the list ends it.
func decodeOptions(p *Packet, o []byte) {
	for len(o) > 0 {
		switch o[0] {
		case 0:
			return
		case 1:
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			p.Options |= OptBroken
			return
		}
		decodeOption(p, o[0], o[2:o[1]])
		o = o[o[1]:]
	}
}

// decodeOption reads one option of the given kind; v is what follows its
// length byte.
func decodeOption(p *Packet, kind uint8, v []byte) {
	switch {
	case kind == 2 && len(v) == 2:
		p.Options |= OptMSS
		p.MSS = binary.BigEndian.Uint16(v)
	case kind == 3 && len(v) == 1:
		p.Options |= OptWScale
		p.WScale = v[0]
	case kind == 4 && len(v) == 0:
		p.Options |= OptSACKPermitted
	case kind == 5 && len(v) >= 8 && len(v)%8 == 0:
		p.Options |= OptSACK
		p.SACK[0] = binary.BigEndian.Uint32(v[0:4])
		p.SACK[1] = binary.BigEndian.Uint32(v[4:8])
	case kind == 8 && len(v) == 8:
		p.Options |= OptTimestamps
		p.TSVal = binary.BigEndian.Uint32(v[0:4])
		p.TSEcr = binary.BigEndian.Uint32(v[4:8])
	case kind == 19, kind == 29:
		p.Options |= OptMD5
	case kind == 30:
		decodeMPTCP(p, v)
	case kind == 34:
		p.Options |= OptFastOpen
	case kind == 254:
		// RFC 6994: an experiment of another magic is none of ours.
		if len(v) >= 2 && v[0] == 0xf9 && v[1] == 0x89 {
			p.Options |= OptFastOpen
		}
	case kind <= 5 || kind == 8:
		p.Options |= OptBroken
	}
}

// decodeMPTCP reads an MPTCP option, RFC 8684 3 (and RFC 6824, alike as far
// as this goes).
func decodeMPTCP(p *Packet, v []byte) {
	if len(v) == 0 {
		p.Options |= OptBroken
		return
	}
	switch v[0] >> 4 {
	case 0:
		p.Options |= OptMPCapable
	case 1:
		p.Options |= OptMPJoin
		if len(v) == 10 && p.Flags&(SYN|ACK) == SYN {
			p.MPToken = binary.BigEndian.Uint32(v[2:6])
		}
	case 2:
		const dataFIN = 0x10
		if len(v) >= 2 && v[1]&dataFIN != 0 {
			p.Options |= OptMPDataFIN
		} else {
			p.Options |= OptMPOther
		}
	case 6:
		p.Options |= OptMPFail
	case 7:
		p.Options |= OptMPFastClose
	case 8:
		p.Options |= OptMPReset
	default:
		p.Options |= OptMPOther
	}
}
