package filter

import "golang.org/x/net/bpf"

// code is compiled truth: a test that jumps one of two ways, or a combination
// of such tests.
type code struct {
	join        test // testAnd, testOr, testNot; of a leaf, testCompare
	left, right *code
	before      []bpf.RawInstruction // loads and sums ahead of the jump
	jump        bpf.RawInstruction
}

func leaf(before []bpf.RawInstruction, op uint16, k uint32) *code {
	return &code{join: testCompare, before: before, jump: bpf.RawInstruction{Op: classJMP | op, K: k}}
}

func and(l, r *code) *code { return &code{join: testAnd, left: l, right: r} }
func or(l, r *code) *code  { return &code{join: testOr, left: l, right: r} }
func not(c *code) *code    { return &code{join: testNot, left: c} }

// anyOf is true if one of its parts is, tried in their order.
func anyOf(first *code, rest ...*code) *code {
	for _, c := range rest {
		first = or(first, c)
	}
	return first
}

// allOf is true if all its parts are, tried in their order.
func allOf(first *code, rest ...*code) *code {
	for _, c := range rest {
		first = and(first, c)
	}
	return first
}

// always is true, or false, without a look at the packet.
func always(yes bool) *code {
	k := uint32(1)
	if yes {
		k = 0
	}
	return leaf([]bpf.RawInstruction{{Op: classLD | modeIMM, K: k}}, jumpJEQ, 0)
}

// block is a test with its two ways on, or a return without.
type block struct {
	body    []bpf.RawInstruction // the last one jumps or returns
	yes, no *block
	placed  bool
	fromEnd int // instructions from the block's first to the program's end
}

// chain makes blocks of c that go on to yes or no, and returns the first.
func (c *code) chain(yes, no *block) *block {
	switch c.join {
	case testAnd:
		return c.left.chain(c.right.chain(yes, no), no)
	case testOr:
		return c.left.chain(yes, c.right.chain(yes, no))
	case testNot:
		return c.left.chain(no, yes)
	}
	return &block{body: append(c.before[:len(c.before):len(c.before)], c.jump), yes: yes, no: no}
}

// layout writes the blocks reachable from first one behind the other, each
// before those it goes on to: classic BPF only jumps forward.
func layout(first *block) []bpf.RawInstruction {
	var order []*block // from the program's end to its beginning
	total := 0
	var place func(b *block)
	place = func(b *block) {
		if b == nil || b.placed {
			return
		}
		b.placed = true
		place(b.no)
		place(b.yes)
		if b.yes != nil {
			b.aim(total)
		}
		total += len(b.body)
		b.fromEnd = total
		order = append(order, b)
	}
	place(first)
	raw := make([]bpf.RawInstruction, 0, total)
	for i := len(order) - 1; i >= 0; i-- {
		raw = append(raw, order[i].body...)
	}
	return raw
}

// aim fills in the distances of a block's jump, given how many instructions
// come behind the block. Those that do not fit into eight bits go by way of an
// unconditional jump behind the test.
func (b *block) aim(behind int) {
	yes, no := behind-b.yes.fromEnd, behind-b.no.fromEnd
	longYes, longNo := 0, 0
	for {
		extra := longYes + longNo
		switch {
		case longYes == 0 && yes+extra > 255:
			longYes = 1
			continue
		case longNo == 0 && no+extra > 255:
			longNo = 1
			continue
		}
		break
	}
	extra, jump := longYes+longNo, &b.body[len(b.body)-1]
	jump.Jt, jump.Jf = uint8(yes+extra), uint8(no+extra)
	if longYes == 1 {
		jump.Jt = 0
	}
	if longNo == 1 {
		jump.Jf = uint8(longYes)
	}
	if longYes == 1 {
		b.body = append(b.body, bpf.RawInstruction{Op: classJMP | jumpJA, K: uint32(yes + longNo)})
	}
	if longNo == 1 {
		b.body = append(b.body, bpf.RawInstruction{Op: classJMP | jumpJA, K: uint32(no)})
	}
}
