package filter

import (
	"encoding/binary"
	"net/netip"
)

// The kinds of packets of a connection that are tried.
const (
	kindSYN = iota
	kindACK
	kindData // a few bytes
	kindFull // a full segment
	kindJumbo
	kindFIN
	kindRST
	kinds
)

const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

// sample is a kind of TCP segment as Linux sends it.
type sample struct {
	flags   byte
	words   byte // of the TCP header
	payload int
}

func samples(answer bool) [kinds]sample {
	syn := byte(flagSYN)
	if answer {
		syn |= flagACK
	}
	return [kinds]sample{
		kindSYN:   {syn, 10, 0},
		kindACK:   {flagACK, 8, 0},
		kindData:  {flagACK | flagPSH, 8, 3},
		kindFull:  {flagACK, 8, 1448},
		kindJumbo: {flagACK, 8, 60000}, // several segments in one, before or behind the network card
		kindFIN:   {flagFIN | flagACK, 8, 0},
		kindRST:   {flagRST | flagACK, 5, 0},
	}
}

// probe tries every kind of packet, in both directions.
func probe(p *Program, link uint16, c contact, tunnel []*node) (passed [2][kinds]bool) {
	var frame [256]byte
	for way := range passed {
		for kind, s := range samples(way == 1) {
			n := writeFrame(frame[:], link, way == 1, c, tunnel, s)
			passed[way][kind] = p.Match(frame[:n], n+s.payload)
		}
	}
	return passed
}

// writeFrame builds a frame up to the end of its TCP header and returns how
// long it is. On the cooked link, answers are those that came in.
func writeFrame(b []byte, link uint16, answer bool, c contact, tunnel []*node, s sample) int {
	clear(b)
	src, dst, from, to := c.a, c.b, c.macA, c.macB
	if answer {
		src, dst, from, to = dst, src, to, from
	}
	n := 12
	if link == linkSLL {
		n = 14
		if !answer {
			b[1] = packetTypeOutgoing
		}
	} else {
		copy(b, to[:])
		copy(b[6:], from[:])
	}
	etherType := uint16(etherIPv4)
	if src.Addr().Is6() {
		etherType = etherIPv6
	}
	n = writeTunnels(b, n, etherType, tunnel)
	n = writeNetwork(b, n, src.Addr(), dst.Addr(), int(s.words)*4+s.payload)
	binary.BigEndian.PutUint16(b[n:], src.Port())
	binary.BigEndian.PutUint16(b[n+2:], dst.Port())
	b[n+12], b[n+13] = s.words<<4, s.flags
	return n + int(s.words)*4
}

// writeTunnels writes from the type field on up to the network layer.
func writeTunnels(b []byte, n int, etherType uint16, tunnel []*node) int {
	ppp, labels := false, 0
	protocol := func(v uint16) {
		if ppp {
			v = uint16(pppProtocol(uint32(v)))
		}
		binary.BigEndian.PutUint16(b[n:], v)
		n += 2
	}
	for _, t := range tunnel {
		switch t.test {
		case testVLAN:
			protocol(etherVLAN)
			binary.BigEndian.PutUint16(b[n:], uint16(t.v))
			n += 2
		case testMPLS:
			if labels == 0 {
				protocol(etherMPLS)
			} else {
				b[n-2] &^= 1
			}
			binary.BigEndian.PutUint32(b[n:], t.v<<12|1<<8|64)
			n, labels = n+4, labels+1
		case testPPPoES:
			protocol(etherPPPoES)
			b[n] = 0x11
			binary.BigEndian.PutUint16(b[n+2:], uint16(t.v))
			n, ppp, labels = n+6, true, 0
		}
	}
	if labels == 0 {
		protocol(etherType)
	}
	return n
}

func writeNetwork(b []byte, n int, src, dst netip.Addr, length int) int {
	if src.Is4() {
		b[n], b[n+6], b[n+8], b[n+9] = 0x45, 0x40, 64, ipTCP
		binary.BigEndian.PutUint16(b[n+2:], uint16(20+length))
		s, d := src.As4(), dst.As4()
		copy(b[n+12:], s[:])
		copy(b[n+16:], d[:])
		return n + 20
	}
	b[n], b[n+6], b[n+7] = 0x60, ipTCP, 64
	binary.BigEndian.PutUint16(b[n+4:], uint16(length))
	s, d := src.As16(), dst.As16()
	copy(b[n+8:], s[:])
	copy(b[n+24:], d[:])
	return n + 40
}
