package filter

import "golang.org/x/net/bpf"

// computed is a sum whose value the instructions leave in a scratch word, and
// what must hold of the packet before they may run.
type computed struct {
	code  []bpf.RawInstruction
	word  uint32
	guard *code
}

// reserve finds a free scratch word.
func (g *generator) reserve() (uint32, bool) {
	for range scratchWords {
		if !g.used[g.cursor] {
			g.used[g.cursor] = true
			return uint32(g.cursor), true
		}
		g.cursor = (g.cursor + 1) % scratchWords
	}
	return 0, false
}

func (c *computed) add(op uint16, k uint32) {
	c.code = append(c.code, bpf.RawInstruction{Op: op, K: k})
}

// store puts A into a free word.
func (g *generator) store(s *sum, c *computed) error {
	word, ok := g.reserve()
	if !ok {
		return &SyntaxError{Expr: g.expr, Pos: s.pos, What: "too much to remember for the 16 words that a program has",
			Instead: "split the sum, or compute constants beforehand"}
	}
	c.word = word
	c.add(classST, word)
	return nil
}

func (g *generator) sum(n *node, s *sum) (computed, error) {
	var c computed
	switch s.kind {
	case sumNumber:
		c.add(classLD|modeIMM, s.value)
		return c, g.store(s, &c)
	case sumLength:
		c.add(classLD|modeLEN, 0)
		return c, g.store(s, &c)
	case sumNegative:
		c, err := g.sum(n, s.left)
		c.add(classLD|modeMEM, c.word)
		c.add(classALU|aluNEG, 0)
		c.add(classST, c.word)
		return c, err
	case sumLoad:
		return g.load(n, s)
	}
	left, err := g.sum(n, s.left)
	if err != nil {
		return c, err
	}
	right, err := g.sum(n, s.right)
	if err != nil {
		return c, err
	}
	// Like tcpdump, take only the left side's guard; see the package comment.
	c.guard = left.guard
	c.code = append(left.code, right.code...)
	c.add(classLDX|modeMEM, right.word)
	c.add(classLD|modeMEM, left.word)
	c.add(aluOf(s.operator), 0)
	g.used[left.word], g.used[right.word] = false, false
	return c, g.store(s, &c)
}

func aluOf(operator byte) uint16 {
	op := uint16(aluADD)
	switch operator {
	case '-':
		op = aluSUB
	case '*':
		op = aluMUL
	case '/':
		op = aluDIV
	case '%':
		op = aluMOD
	case '&':
		op = aluAND
	case '|':
		op = aluOR
	case '^':
		op = aluXOR
	case '<':
		op = aluLSH
	case '>':
		op = aluRSH
	}
	return classALU | op | srcX
}

func sizeOf(bytes uint32) uint16 {
	switch bytes {
	case 4:
		return sizeW
	case 2:
		return sizeH
	}
	return sizeB
}

// load reads bytes of a protocol at a computed index.
func (g *generator) load(n *node, s *sum) (computed, error) {
	c, err := g.sum(n, s.left)
	if err != nil {
		return c, err
	}
	index := c.word
	word, ok := g.reserve()
	if !ok {
		return c, g.store(s, &c)
	}
	size := classLD | modeIND | sizeOf(s.size)
	switch s.protocol {
	case protoLink:
		if g.link == CookedSocket {
			return c, &SyntaxError{Expr: g.expr, Pos: s.pos, What: "a capture on any has no link-layer header whose bytes could be tested",
				Instead: "capture on one interface, or leave this test out"}
		}
		g.indexShifted(&c, index, g.inner)
		c.add(size, uint32(g.header))
	case protoTCP, protoUDP, protoSCTP, protoICMP, protoIGMP, protoIGRP, protoPIM, protoVRRP, protoCARP:
		c.code = append(c.code, g.headerLength()...)
		c.add(classLD|modeMEM, index)
		c.add(classALU|aluADD|srcX, 0)
		c.add(classMISC|miscTAX, 0)
		c.add(size, uint32(g.network(0)))
		err = g.guardTransport(n, s.protocol, &c)
	case protoICMP6:
		g.indexShifted(&c, index, g.tagged)
		c.add(size, uint32(g.network(40)))
		err = g.guard(n, protoIP6, &c)
		c.guard = and(c.guard, equal(g.loadNetwork(6, sizeB), ipICMP6))
	default:
		g.indexShifted(&c, index, g.tagged)
		c.add(size, uint32(g.network(0)))
		err = g.guard(n, s.protocol, &c)
	}
	g.used[index] = false
	c.add(classST, word)
	c.word = word
	return c, err
}

// indexShifted puts the index, plus the shift of the frame, into X.
func (g *generator) indexShifted(c *computed, index uint32, shifted bool) {
	if !shifted {
		c.add(classLDX|modeMEM, index)
		return
	}
	c.add(classLDX|modeMEM, shiftWord)
	c.add(classLD|modeMEM, index)
	c.add(classALU|aluADD|srcX, 0)
	c.add(classMISC|miscTAX, 0)
}

// guard adds to c's guard that the packet is of a protocol.
func (g *generator) guard(n *node, p protocol, c *computed) error {
	is, err := g.protocol(n, p)
	if c.guard != nil {
		is = and(c.guard, is)
	}
	c.guard = is
	return err
}

// guardTransport adds that the packet is an IPv4 packet of a protocol, and a
// first fragment. IPv6 is left out, as in tcpdump.
func (g *generator) guardTransport(n *node, p protocol, c *computed) error {
	is, err := g.protocol(n, p)
	if err != nil {
		return err
	}
	is = and(is, g.firstFragment())
	if c.guard != nil {
		is = and(c.guard, is)
	}
	four, err := g.protocol(n, protoIP)
	c.guard = and(four, is)
	return err
}

// comparison compares two sums.
func (g *generator) comparison(n *node) (*code, error) {
	a, err := g.sum(n, n.a)
	if err != nil {
		return nil, err
	}
	b, err := g.sum(n, n.b)
	if err != nil {
		return nil, err
	}
	c := a
	c.code = append(c.code, b.code...)
	c.add(classLDX|modeMEM, b.word)
	c.add(classLD|modeMEM, a.word)
	g.used[a.word], g.used[b.word] = false, false
	var is *code
	switch n.operator {
	case "=", "!=":
		c.add(classALU|aluSUB|srcX, 0)
		is = leaf(c.code, jumpJEQ, 0)
	case ">", "<=":
		is = leaf(c.code, jumpJGT|srcX, 0)
	default:
		is = leaf(c.code, jumpJGE|srcX, 0)
	}
	switch n.operator {
	case "!=", "<", "<=":
		is = not(is)
	}
	switch {
	case a.guard != nil && b.guard != nil:
		is = and(and(a.guard, b.guard), is)
	case a.guard != nil:
		is = and(a.guard, is)
	case b.guard != nil:
		is = and(b.guard, is)
	}
	return is, nil
}

// byteAt compares one byte of the frame with a constant.
func (g *generator) byteAt(n *node) (*code, error) {
	if g.link == CookedSocket {
		return nil, g.fail(n, "a capture on any has no link-layer header whose bytes could be tested", "capture on one interface, or leave this test out")
	}
	load := []bpf.RawInstruction{{Op: classLD | modeABS | sizeB, K: n.v}}
	if g.inner {
		load = g.loadAt(g.header+int(n.v), sizeB)
	} else {
		load[0].K += uint32(g.header)
	}
	switch n.operator {
	case "=":
		return equal(load, n.mask), nil
	case "<":
		return not(leaf(load, jumpJGE, n.mask)), nil
	case ">":
		return leaf(load, jumpJGT, n.mask), nil
	case "|":
		return not(equal(append(load, bpf.RawInstruction{Op: classALU | aluOR, K: n.mask}), 0)), nil
	}
	return not(equal(append(load, bpf.RawInstruction{Op: classALU | aluAND, K: n.mask}), 0)), nil
}
