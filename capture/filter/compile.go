package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// CookedSocket stands for the frames of a Linux packet socket of type
// SOCK_DGRAM, which is what a capture on "any" reads: they begin at the network
// header, and the kernel keeps the protocol apart. Only CompileLive knows it.
const CookedSocket uint16 = 0xffff

// Link types that expressions are compiled for, as capture files number them
// (LINKTYPE_ values, https://www.tcpdump.org/linktypes.html).
const (
	linkNull     = 0
	linkEthernet = 1
	linkPPP      = 9
	linkRaw12    = 12 // DLT_RAW of most systems
	linkRaw14    = 14 // that of OpenBSD
	linkPPPHDLC  = 50
	linkPPPEther = 51
	linkRaw      = 101
	linkCHDLC    = 104
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// Compile makes the program for frames in a file of the given link type, a
// LINKTYPE_ value. A frame that passes returns snaplen, which must not be 0.
// The error is a *SyntaxError if a part of the expression has no meaning on
// that link.
func (e *Expr) Compile(link uint16, snaplen uint32) (*Program, error) {
	if link == CookedSocket {
		return nil, fmt.Errorf("frames of a cooked socket are never in a file; compile for SLL or SLL2")
	}
	return e.compile(link, snaplen, false)
}

// CompileLive makes the program to attach to a Linux packet socket: one of type
// SOCK_RAW on an interface with Ethernet, raw IP or PPP frames, or CookedSocket.
// There the kernel has often taken the outermost VLAN tag off the frame; "vlan"
// looks for it in both places. "inbound" and "outbound" ask the kernel.
// snaplen, not 0, is how many bytes of a frame that passes the socket delivers.
func (e *Expr) CompileLive(link uint16, snaplen uint32) (*Program, error) {
	switch link {
	case linkSLL, linkSLL2:
		return nil, fmt.Errorf("cooked headers are not part of what a socket's filter sees; compile for CookedSocket")
	}
	return e.compile(link, snaplen, true)
}

func (e *Expr) compile(link uint16, snaplen uint32, live bool) (*Program, error) {
	if snaplen == 0 {
		return nil, fmt.Errorf("a snapshot length of 0 would refuse every packet")
	}
	accept := &block{body: []bpf.RawInstruction{{Op: classRET | retK, K: snaplen}}}
	reject := &block{body: []bpf.RawInstruction{{Op: classRET | retK}}}
	g, err := newGenerator(link, live)
	if err != nil {
		return nil, err
	}
	first := accept
	if e.root != nil {
		g.expr = e.text
		c, err := g.tree(e.root)
		if err != nil {
			return nil, err
		}
		first = c.chain(accept, reject)
		first.body = append(g.prologue(), first.body...)
	}
	most := mostInFile
	if live {
		most = mostInstructions
	}
	return newProgram(layout(first), most)
}

// generator turns a tree into code. It goes through the tree from left to
// right, for vlan, mpls and pppoes move everything that stands behind them.
type generator struct {
	expr   string
	link   uint16 // what the tests of link layer look at, linkPPP behind pppoes
	live   bool
	header int  // where the link-layer header begins
	typ    int  // where its protocol field is
	body   int  // where its payload begins
	labels int  // MPLS labels passed, four bytes each, between body and the network layer
	tagged bool // live, behind a first vlan: see shifted
	inner  bool // live, tagged and behind pppoes: header is shifted as well
	used   [scratchWords]bool
	cursor int // where the search for a free scratch word begins
}

// shiftWord is the scratch word that holds 4 if the outermost VLAN tag stands
// in the frame, 0 if the kernel has taken it off.
const shiftWord = scratchWords - 1

func newGenerator(link uint16, live bool) (*generator, error) {
	g := &generator{link: link, live: live}
	g.used[shiftWord] = live
	switch link {
	case linkEthernet:
		g.typ, g.body = 12, 14
	case linkSLL:
		g.typ, g.body = 14, 16
	case linkSLL2:
		g.typ, g.body = 0, 20
	case linkNull, linkLoop:
		g.body = 4
	case linkPPP, linkPPPHDLC, linkCHDLC:
		g.typ, g.body = 2, 4
	case linkPPPEther:
		g.typ, g.body = 6, 8
	case linkRaw, linkRaw12, linkRaw14, linkIPv4, linkIPv6, CookedSocket:
	default:
		return nil, fmt.Errorf("filters are not compiled for link type %d; they are for Ethernet, Linux cooked, raw IP, loopback, PPP and HDLC frames", link)
	}
	return g, nil
}

func (g *generator) fail(n *node, what, instead string) error {
	return &SyntaxError{Expr: g.expr, Pos: n.pos, What: what, Instead: instead}
}

// prologue computes the shift that tests behind a live vlan need.
func (g *generator) prologue() []bpf.RawInstruction {
	if !g.tagged {
		return nil
	}
	return []bpf.RawInstruction{
		{Op: classLD | modeABS | sizeB, K: extensionTagged},
		{Op: classJMP | jumpJEQ, K: 0, Jf: 2},
		{Op: classLD | modeIMM, K: 4},
		{Op: classJMP | jumpJA, K: 1},
		{Op: classLD | modeIMM, K: 0},
		{Op: classST, K: shiftWord},
	}
}

func (g *generator) tree(n *node) (*code, error) {
	switch n.test {
	case testNot:
		c, err := g.tree(n.left)
		if err != nil {
			return nil, err
		}
		return not(c), nil
	case testAnd, testOr:
		l, err := g.tree(n.left)
		if err != nil {
			return nil, err
		}
		r, err := g.tree(n.right)
		if err != nil {
			return nil, err
		}
		return &code{join: n.test, left: l, right: r}, nil
	}
	return g.primitive(n)
}

func (g *generator) primitive(n *node) (*code, error) {
	switch n.test {
	case testHost4:
		return g.host4(n)
	case testHost6:
		return g.host6(n), nil
	case testStation:
		return g.station(n, n.mac, n.q.direction)
	case testPorts:
		return or(g.ports6(n), g.ports4(n)), nil
	case testNumber:
		return g.number(n, n.q.protocol, n.v)
	case testProtocol:
		return g.protocol(n, n.q.protocol)
	case testBroadcast:
		return g.broadcast(n)
	case testMulticast:
		return g.multicast(n)
	case testLess:
		return not(leaf(length(), jumpJGT, n.v)), nil
	case testGreater:
		return leaf(length(), jumpJGE, n.v), nil
	case testByte:
		return g.byteAt(n)
	case testInbound:
		c, err := g.outbound(n)
		if err != nil {
			return nil, err
		}
		return not(c), nil
	case testOutbound:
		return g.outbound(n)
	case testVLAN:
		return g.vlan(n)
	case testMPLS:
		return g.mpls(n)
	case testPPPoED:
		return g.ethertype(n, etherPPPoED)
	case testPPPoES:
		return g.pppoe(n)
	}
	return g.comparison(n)
}

func length() []bpf.RawInstruction {
	return []bpf.RawInstruction{{Op: classLD | modeLEN}}
}
