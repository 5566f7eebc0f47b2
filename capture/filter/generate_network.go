package filter

import "golang.org/x/net/bpf"

// IP protocol numbers that the language has words for.
const (
	ipICMP     = 1
	ipIGMP     = 2
	ipTCP      = 6
	ipIGRP     = 9
	ipUDP      = 17
	ipFragment = 44
	ipESP      = 50
	ipAH       = 51
	ipICMP6    = 58
	ipPIM      = 103
	ipVRRP     = 112
	ipSCTP     = 132
)

// protocol tests for a protocol alone.
func (g *generator) protocol(n *node, p protocol) (*code, error) {
	switch p {
	case protoTCP:
		return g.number(n, anyProtocol, ipTCP)
	case protoUDP:
		return g.number(n, anyProtocol, ipUDP)
	case protoSCTP:
		return g.number(n, anyProtocol, ipSCTP)
	case protoICMP:
		return g.number(n, protoIP, ipICMP)
	case protoICMP6:
		return g.number(n, protoIP6, ipICMP6)
	case protoIGMP:
		return g.number(n, protoIP, ipIGMP)
	case protoIGRP:
		return g.number(n, protoIP, ipIGRP)
	case protoPIM:
		return g.number(n, anyProtocol, ipPIM)
	case protoVRRP, protoCARP:
		return g.number(n, protoIP, ipVRRP)
	case protoAH:
		return g.number(n, anyProtocol, ipAH)
	case protoESP:
		return g.number(n, anyProtocol, ipESP)
	}
	return g.ethertype(n, etherTypeOf(p))
}

func etherTypeOf(p protocol) uint32 {
	switch p {
	case protoIP:
		return etherIPv4
	case protoIP6:
		return etherIPv6
	case protoARP:
		return etherARP
	case protoRARP:
		return etherRARP
	case protoATalk:
		return etherATalk
	case protoAARP:
		return etherAARP
	case protoDECnet:
		return etherDECnet
	case protoLAT:
		return etherLAT
	case protoSCA:
		return etherSCA
	case protoMOPDL:
		return etherMOPDL
	case protoMOPRC:
		return etherMOPRC
	case protoISO:
		return sapISO
	case protoSTP:
		return sapSTP
	case protoIPX:
		return sapIPX
	}
	return sapNetBEUI
}

// number tests a protocol number under IPv4, IPv6 (there also behind a
// fragment header), either, or the link layer.
func (g *generator) number(n *node, under protocol, v uint32) (*code, error) {
	switch under {
	case anyProtocol:
		four, err := g.number(n, protoIP, v)
		if err != nil {
			return nil, err
		}
		six, err := g.number(n, protoIP6, v)
		return or(four, six), err
	case protoIP:
		version, err := g.ethertype(n, etherIPv4)
		return and(version, equal(g.loadNetwork(9, sizeB), v)), err
	case protoIP6:
		version, err := g.ethertype(n, etherIPv6)
		fragment := and(equal(g.loadNetwork(6, sizeB), ipFragment), equal(g.loadNetwork(40, sizeB), v))
		return and(version, or(equal(g.loadNetwork(6, sizeB), v), fragment)), err
	}
	return g.ethertype(n, v)
}

// directed combines the tests of the two ends of a packet.
func directed(d direction, at func(source bool) *code) *code {
	switch d {
	case source:
		return at(true)
	case destination:
		return at(false)
	case bothWays:
		return and(at(true), at(false))
	}
	return or(at(true), at(false))
}

func (g *generator) host4(n *node) (*code, error) {
	switch n.q.protocol {
	case protoIP:
		return g.hostIn(n, etherIPv4, 12, 16)
	case protoARP:
		return g.hostIn(n, etherARP, 14, 24)
	case protoRARP:
		return g.hostIn(n, etherRARP, 14, 24)
	}
	c, err := g.hostIn(n, etherIPv4, 12, 16)
	if err != nil || g.labels > 0 {
		return c, err
	}
	arp, err := g.hostIn(n, etherARP, 14, 24)
	if err != nil {
		return nil, err
	}
	rarp, err := g.hostIn(n, etherRARP, 14, 24)
	return anyOf(c, arp, rarp), err
}

// hostIn tests the addresses at two offsets of a protocol's header.
func (g *generator) hostIn(n *node, etherType uint32, src, dst int) (*code, error) {
	if _, err := g.ethertype(n, etherType); err != nil {
		return nil, err
	}
	return directed(n.q.direction, func(source bool) *code {
		offset := dst
		if source {
			offset = src
		}
		version, _ := g.ethertype(n, etherType)
		return and(version, maskedEqual(g.loadNetwork(offset, sizeW), n.v, n.mask))
	}), nil
}

func (g *generator) host6(n *node) *code {
	return directed(n.q.direction, func(source bool) *code {
		offset := 24
		if source {
			offset = 8
		}
		word := func(i int) *code {
			return maskedEqual(g.loadNetwork(offset+4*i, sizeW), n.addr6[i], n.mask6[i])
		}
		version, _ := g.ethertype(n, etherIPv6)
		return and(version, allOf(word(0), word(1), word(2), word(3)))
	})
}

// station tests Ethernet addresses: their last four bytes first.
func (g *generator) station(n *node, mac [6]byte, d direction) (*code, error) {
	if g.link != linkEthernet {
		return nil, g.fail(n, "frames of this link have no Ethernet addresses", "leave this test out; write host 192.0.2.1")
	}
	return directed(d, func(source bool) *code {
		offset := 0
		if source {
			offset = 6
		}
		low := uint32(mac[2])<<24 | uint32(mac[3])<<16 | uint32(mac[4])<<8 | uint32(mac[5])
		return and(equal(g.loadHeader(offset+2, sizeW), low),
			equal(g.loadHeader(offset, sizeH), uint32(mac[0])<<8|uint32(mac[1])))
	}), nil
}

// transports are the IP protocols whose ports a test means.
func transports(p protocol) []uint32 {
	switch p {
	case protoTCP:
		return []uint32{ipTCP}
	case protoUDP:
		return []uint32{ipUDP}
	case protoSCTP:
		return []uint32{ipSCTP}
	}
	return []uint32{ipSCTP, ipTCP, ipUDP}
}

// portTest compares the ports of a packet, which load reads, with n's.
func portTest(n *node, load func(source bool) []bpf.RawInstruction) *code {
	return directed(n.q.direction, func(source bool) *code {
		if n.q.address == portAddress {
			return equal(load(source), n.v)
		}
		return and(leaf(load(source), jumpJGE, n.v), not(leaf(load(source), jumpJGT, n.mask)))
	})
}

// ports4 tests ports in the first fragment, which alone has them.
func (g *generator) ports4(n *node) *code {
	var any *code
	for _, transport := range transports(n.transport) {
		c := allOf(equal(g.loadNetwork(9, sizeB), transport), g.firstFragment(),
			portTest(n, func(source bool) []bpf.RawInstruction {
				return g.loadTransport4(portOffset(source), sizeH)
			}))
		if any == nil {
			any = c
		} else {
			any = or(any, c)
		}
	}
	version, _ := g.ethertype(n, etherIPv4)
	return and(version, any)
}

func (g *generator) ports6(n *node) *code {
	var any *code
	for _, transport := range transports(n.transport) {
		c := and(equal(g.loadNetwork(6, sizeB), transport),
			portTest(n, func(source bool) []bpf.RawInstruction {
				return g.loadNetwork(40+portOffset(source), sizeH)
			}))
		if any == nil {
			any = c
		} else {
			any = or(any, c)
		}
	}
	version, _ := g.ethertype(n, etherIPv6)
	return and(version, any)
}

func portOffset(source bool) int {
	if source {
		return 0
	}
	return 2
}

func (g *generator) firstFragment() *code {
	return not(leaf(g.loadNetwork(6, sizeH), jumpJSET, 0x1fff))
}

// loadTransport4 loads from behind the IPv4 header.
func (g *generator) loadTransport4(offset int, size uint16) []bpf.RawInstruction {
	return append(g.headerLength(), bpf.RawInstruction{Op: classLD | modeIND | size, K: uint32(g.network(offset))})
}

// headerLength puts the length of the IPv4 header, plus the shift of the
// frame, into X.
func (g *generator) headerLength() []bpf.RawInstruction {
	if !g.tagged {
		return []bpf.RawInstruction{{Op: classLDX | modeMSH | sizeB, K: uint32(g.network(0))}}
	}
	return append(g.loadNetwork(0, sizeB),
		bpf.RawInstruction{Op: classALU | aluAND, K: 0xf},
		bpf.RawInstruction{Op: classALU | aluLSH, K: 2},
		bpf.RawInstruction{Op: classALU | aluADD | srcX},
		bpf.RawInstruction{Op: classMISC | miscTAX})
}

// broadcast knows no network's mask: of IPv4 it takes the addresses all ones
// and all zeros, as tcpdump does for files.
func (g *generator) broadcast(n *node) (*code, error) {
	if n.q.protocol != protoIP {
		if g.link != linkEthernet {
			return nil, g.fail(n, "this link has no broadcast", "write ip broadcast")
		}
		return g.station(n, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, destination)
	}
	version, err := g.ethertype(n, etherIPv4)
	return and(version, or(equal(g.loadNetwork(16, sizeW), 0), equal(g.loadNetwork(16, sizeW), 1<<32-1))), err
}

func (g *generator) multicast(n *node) (*code, error) {
	switch n.q.protocol {
	case protoIP:
		version, err := g.ethertype(n, etherIPv4)
		return and(version, leaf(g.loadNetwork(16, sizeB), jumpJGE, 224)), err
	case protoIP6:
		version, err := g.ethertype(n, etherIPv6)
		return and(version, equal(g.loadNetwork(24, sizeB), 255)), err
	}
	if g.link != linkEthernet {
		return nil, g.fail(n, "this link has no multicast addresses", "write ip multicast or ip6 multicast")
	}
	return leaf(g.loadHeader(0, sizeB), jumpJSET, 1), nil
}
