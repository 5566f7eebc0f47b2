package filter

import "golang.org/x/net/bpf"

// shifted are the instructions that put into X what must be added to the
// constant part of an offset: nothing, unless a vlan has been tested live.
func (g *generator) shifted() []bpf.RawInstruction {
	if !g.tagged {
		return nil
	}
	return []bpf.RawInstruction{{Op: classLDX | modeMEM, K: shiftWord}}
}

// loadAt loads size bytes at an offset of the frame that moves with VLAN tags.
func (g *generator) loadAt(offset int, size uint16) []bpf.RawInstruction {
	mode := uint16(modeABS)
	if g.tagged {
		mode = modeIND
	}
	return append(g.shifted(), bpf.RawInstruction{Op: classLD | mode | size, K: uint32(offset)})
}

// network is the offset of a byte of the network-layer header.
func (g *generator) network(offset int) int { return g.body + 4*g.labels + offset }

func (g *generator) loadNetwork(offset int, size uint16) []bpf.RawInstruction {
	return g.loadAt(g.network(offset), size)
}

// loadHeader loads from the link-layer header, whose beginning does not move
// with VLAN tags unless it is a header within another.
func (g *generator) loadHeader(offset int, size uint16) []bpf.RawInstruction {
	if g.inner {
		return g.loadAt(g.header+offset, size)
	}
	return []bpf.RawInstruction{{Op: classLD | modeABS | size, K: uint32(g.header + offset)}}
}

func (g *generator) loadType() []bpf.RawInstruction {
	if g.link == CookedSocket {
		return []bpf.RawInstruction{{Op: classLD | modeABS | sizeH, K: extensionProtocol}}
	}
	return g.loadAt(g.typ, sizeH)
}

func equal(before []bpf.RawInstruction, v uint32) *code { return leaf(before, jumpJEQ, v) }

// maskedEqual compares after an and, which a full mask does not need.
func maskedEqual(before []bpf.RawInstruction, v, mask uint32) *code {
	if mask != 1<<32-1 {
		before = append(before, bpf.RawInstruction{Op: classALU | aluAND, K: mask})
	}
	return equal(before, v)
}

// ethertype tests what the payload of the link layer is: v is an EtherType, or
// an LLC service access point if it is no more than 1500.
func (g *generator) ethertype(n *node, v uint32) (*code, error) {
	if g.labels > 0 {
		return g.underLabels(n, v)
	}
	switch g.link {
	case linkEthernet:
		return g.etherFrame(v), nil
	case linkSLL, CookedSocket:
		return g.cookedFrame(v), nil
	case linkNull, linkLoop:
		return g.loopbackFrame(v), nil
	case linkPPP, linkPPPHDLC, linkPPPEther:
		return equal(g.loadType(), pppProtocol(v)), nil
	case linkCHDLC:
		if v == sapISO {
			v = sapISO<<8 | sapISO
		}
	case linkIPv4:
		return always(v == etherIPv4), nil
	case linkIPv6:
		return always(v == etherIPv6), nil
	case linkRaw, linkRaw12, linkRaw14:
		switch v {
		case etherIPv4:
			return maskedEqual(g.loadHeader(0, sizeB), 0x40, 0xf0), nil
		case etherIPv6:
			return maskedEqual(g.loadHeader(0, sizeB), 0x60, 0xf0), nil
		}
		return always(false), nil
	}
	return equal(g.loadType(), v), nil
}

// underLabels tests the first nibble behind a last MPLS label: no field says
// what the payload is.
func (g *generator) underLabels(n *node, v uint32) (*code, error) {
	version := uint32(0x40)
	switch v {
	case etherIPv6:
		version = 0x60
	case etherIPv4:
	default:
		return nil, g.fail(n, "behind mpls only IPv4 and IPv6 can be told", "write this test before mpls")
	}
	return and(g.lastLabel(true), maskedEqual(g.loadNetwork(0, sizeB), version, 0xf0)), nil
}

// lastLabel tests the bottom-of-stack bit of the label just passed.
func (g *generator) lastLabel(yes bool) *code {
	v := uint32(0)
	if yes {
		v = 1
	}
	return maskedEqual(g.loadNetwork(-2, sizeB), v, 1)
}

// SNAP headers, as far as protocols behind LLC need them.
const (
	snapEther = 0xaaaa0300 // organisation 0: an EtherType follows
	snapApple = 0xaaaa0308 // with two more bytes of AppleTalk's organisation, 0x0007
)

// snap tests a SNAP header for a protocol of an organisation: the last four
// of its eight bytes, then the first four.
func (g *generator) snap(head, tail uint32) *code {
	return and(equal(g.loadAt(g.body+4, sizeW), tail), equal(g.loadAt(g.body, sizeW), head))
}

func (g *generator) etherFrame(v uint32) *code {
	llc := not(leaf(g.loadType(), jumpJGT, largestLength))
	switch v {
	case sapISO, sapIP, sapNetBEUI:
		return and(llc, equal(g.loadAt(g.body, sizeH), v<<8|v))
	case sapIPX:
		within := anyOf(g.snap(snapEther, etherIPX),
			equal(g.loadAt(g.body, sizeB), sapIPX), equal(g.loadAt(g.body, sizeH), 0xffff))
		return or(equal(g.loadType(), etherIPX), and(llc, within))
	case etherATalk:
		return or(equal(g.loadType(), v), and(llc, g.snap(snapApple, 0x0007<<16|etherATalk)))
	case etherAARP:
		return or(equal(g.loadType(), v), and(llc, g.snap(snapEther, etherAARP)))
	}
	if v <= largestLength {
		return and(llc, equal(g.loadAt(g.body, sizeB), v))
	}
	return equal(g.loadType(), v)
}

// The protocol field of Linux's cooked header has numbers of its own for
// frames without EtherType (linux/if_ether.h).
const (
	cookedNovell = 1 // ETH_P_802_3: Novell's IPX without LLC
	cookedLLC    = 4 // ETH_P_802_2
)

func (g *generator) cookedFrame(v uint32) *code {
	llc := equal(g.loadType(), cookedLLC)
	switch v {
	case sapISO, sapIP, sapNetBEUI:
		return and(llc, equal(g.loadAt(g.body, sizeH), v<<8|v))
	case sapIPX:
		within := or(equal(g.loadAt(g.body, sizeB), sapIPX), g.snap(snapEther, etherIPX))
		return anyOf(equal(g.loadType(), etherIPX), equal(g.loadType(), cookedNovell), and(llc, within))
	case etherATalk:
		return or(equal(g.loadType(), v), and(llc, g.snap(snapApple, 0x0007<<16|etherATalk)))
	case etherAARP:
		return or(equal(g.loadType(), v), and(llc, g.snap(snapEther, etherAARP)))
	}
	if v <= largestLength {
		return and(llc, equal(g.loadAt(g.body, sizeB), v))
	}
	return equal(g.loadType(), v)
}

// loopbackFrame tests the address family of BSD's loopback header. The file
// does not say which system wrote it: every byte order and every system's
// number of AF_INET6 will do, unlike in tcpdump, which takes that of the
// system it runs on.
func (g *generator) loopbackFrame(v uint32) *code {
	var families []uint32
	switch v {
	case etherIPv4:
		families = []uint32{2}
	case etherIPv6:
		families = []uint32{10, 23, 24, 28, 30} // Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS
	default:
		return always(false)
	}
	var c *code
	for _, f := range families {
		either := or(equal(g.loadHeader(0, sizeW), f<<24), equal(g.loadHeader(0, sizeW), f))
		if c == nil {
			c = either
		} else {
			c = or(c, either)
		}
	}
	return c
}

// pppProtocol is the number that PPP has for an EtherType.
func pppProtocol(v uint32) uint32 {
	switch v {
	case etherIPv4:
		return 0x21
	case etherIPv6:
		return 0x57
	case etherDECnet:
		return 0x27
	case etherATalk:
		return 0x29
	case sapISO:
		return 0x23
	case sapSTP:
		return 0x31
	case sapIPX:
		return 0x2b
	}
	return v
}

// outbound asks for the direction a packet had at the capturing host.
func (g *generator) outbound(n *node) (*code, error) {
	switch {
	case g.link == linkSLL:
		return equal([]bpf.RawInstruction{{Op: classLD | modeABS | sizeH}}, packetTypeOutgoing), nil
	case g.link == linkSLL2:
		return equal([]bpf.RawInstruction{{Op: classLD | modeABS | sizeB, K: 10}}, packetTypeOutgoing), nil
	case g.live:
		return equal([]bpf.RawInstruction{{Op: classLD | modeABS | sizeH, K: extensionType}}, packetTypeOutgoing), nil
	}
	return nil, g.fail(n, "frames of this kind of file do not say which direction they had",
		"inbound and outbound work live, and on files captured from any; write src host or dst host")
}

// vlan tests for a tag, and lets all that follows look behind it.
func (g *generator) vlan(n *node) (*code, error) {
	if g.labels > 0 {
		return nil, g.fail(n, "a VLAN tag cannot follow an MPLS label", "write vlan before mpls")
	}
	if g.link != linkEthernet {
		return nil, g.fail(n, "frames of this link have no VLAN tags that could be tested", "leave vlan out; the rest of the filter finds packets with and without tags")
	}
	if g.live && !g.tagged {
		return g.outerTag(n), nil
	}
	c := g.tag(n)
	g.typ, g.body = g.typ+4, g.body+4
	return c, nil
}

// tag tests for a tag in the frame.
func (g *generator) tag(n *node) *code {
	c := anyOf(g.etherFrame(etherVLAN), g.etherFrame(etherVLANOuter), g.etherFrame(etherVLANOld))
	if n.given {
		c = and(c, maskedEqual(g.loadAt(g.body, sizeH), n.v, 0xfff))
	}
	return c
}

// outerTag tests, live, the tag that the kernel has taken off the frame, or
// else the one that is still there. From here on offsets are counted in the
// frame without it, and shiftWord says how far they must move.
func (g *generator) outerTag(n *node) *code {
	taken := func() *code {
		return equal([]bpf.RawInstruction{{Op: classLD | modeABS | sizeB, K: extensionTagged}}, 1)
	}
	apart := taken()
	if n.given {
		load := []bpf.RawInstruction{{Op: classLD | modeABS | sizeH, K: extensionTag}}
		apart = and(apart, maskedEqual(load, n.v, 0xfff))
	}
	c := or(apart, and(not(taken()), g.tag(n)))
	g.tagged = true
	return c
}

// mpls tests for a label, and lets all that follows look behind it.
func (g *generator) mpls(n *node) (*code, error) {
	var c *code
	switch {
	case g.labels > 0:
		c = g.lastLabel(false)
	case g.link == linkEthernet || g.link == linkCHDLC:
		c = equal(g.loadType(), etherMPLS)
	case g.link == linkPPP:
		c = equal(g.loadType(), 0x0281)
	default:
		return nil, g.fail(n, "labels cannot be tested in frames of this link", "leave mpls out; the rest of the filter then finds no labelled packets")
	}
	if n.given {
		c = and(c, maskedEqual(g.loadNetwork(0, sizeW), n.v<<12, 0xfffff000))
	}
	g.labels++
	return c, nil
}

// pppoe tests for a session, and lets all that follows look into its PPP.
func (g *generator) pppoe(n *node) (*code, error) {
	c, err := g.ethertype(n, etherPPPoES)
	if err != nil {
		return nil, err
	}
	if n.given {
		c = and(c, maskedEqual(g.loadNetwork(0, sizeW), n.v, 0xffff))
	}
	g.header = g.network(6)
	g.typ, g.body = g.header, g.header+2
	g.link, g.labels, g.inner = linkPPP, 0, g.tagged
	return c, nil
}
