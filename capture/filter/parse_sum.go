package filter

// How tightly the operators of sums bind. % and ^ have no rank in tcpdump's
// grammar: each takes as its right side everything that follows, whatever
// stands to its left, and so len % 3 + 1 is len % (3 + 1). To mean the same as
// tcpdump, this does too.
const (
	looseOperator = iota
	orOperator    // |
	andOperator   // &
	shiftOperator // << >>
	plusOperator  // + -
	timesOperator // * /
	signOperator  // the minus sign before a sum
	greedyOperator
)

func rank(t token) int {
	switch {
	case t.is("|"):
		return orOperator
	case t.is("&"):
		return andOperator
	case t.is("<<", ">>"):
		return shiftOperator
	case t.is("+", "-"):
		return plusOperator
	case t.is("*", "/"):
		return timesOperator
	case t.is("%", "^"):
		return greedyOperator
	}
	return looseOperator
}

// beginsSum says whether t, the next token, can only be the beginning of a
// sum, or is a number, which is one until proved otherwise.
func (p *parser) beginsSum(t token) bool {
	if t.kind == number || t.is("-", "len", "length") {
		return true
	}
	return t.kind == keyword && p.after().is("[")
}

// sum parses a sum whose operators bind tighter than loosest.
func (p *parser) sum(loosest int) (*sum, error) {
	if err := p.deeper(p.next().pos); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	return p.sumRest(left, loosest)
}

func (p *parser) sumRest(left *sum, loosest int) (*sum, error) {
	for {
		t := p.next()
		r := rank(t)
		if r <= loosest {
			return left, nil
		}
		p.take()
		within := r
		if r == greedyOperator {
			within = looseOperator
		}
		right, err := p.sum(within)
		if err != nil {
			return nil, err
		}
		if err := p.sensible(t, right); err != nil {
			return nil, err
		}
		left = &sum{kind: sumOperator, pos: t.pos, operator: t.text[0], left: left, right: right}
	}
}

// sensible refuses the constants for which an operator has no result.
func (p *parser) sensible(operator token, right *sum) error {
	if right.kind != sumNumber {
		return nil
	}
	if operator.is("/", "%") && right.value == 0 {
		return p.fail(operator.pos, "a division by zero", "")
	}
	if operator.is("<<", ">>") && right.value > 31 {
		return p.fail(operator.pos, "a shift by more than 31 bits", "")
	}
	return nil
}

func (p *parser) operand() (*sum, error) {
	t := p.take()
	switch {
	case t.kind == number:
		return &sum{kind: sumNumber, pos: t.pos, value: t.value}, nil
	case t.is("len", "length"):
		return &sum{kind: sumLength, pos: t.pos}, nil
	case t.is("-"):
		inner, err := p.sum(signOperator)
		return &sum{kind: sumNegative, pos: t.pos, left: inner}, err
	case t.is("("):
		inner, err := p.sum(looseOperator)
		if err != nil {
			return nil, err
		}
		if !p.takeIf(")") {
			return nil, p.fail(p.next().pos, "a closing parenthesis is expected here, not "+p.next().shown(), "")
		}
		return inner, nil
	case t.kind == keyword && p.next().is("["):
		return p.load(t)
	}
	return nil, p.fail(t.pos, "a number, len or something like tcp[13] is expected here, not "+t.shown(), "")
}

// load parses the brackets behind a protocol.
func (p *parser) load(word token) (*sum, error) {
	proto, ok := protocolWord(word.text)
	if !ok || !indexable(proto) {
		return nil, p.fail(word.pos, "the bytes of "+word.shown()+" cannot be looked at",
			"ether, ip, ip6, arp, rarp, tcp, udp, sctp, icmp, icmp6, igmp, igrp, pim, vrrp and carp have bytes: tcp[13]")
	}
	p.take()
	index, err := p.sum(looseOperator)
	if err != nil {
		return nil, err
	}
	size := token{kind: number, value: 1}
	if p.takeIf(":") {
		size = p.take()
	}
	if size.kind != number || size.value != 1 && size.value != 2 && size.value != 4 {
		return nil, p.fail(size.pos, "the number of bytes must be 1, 2 or 4", "such as ip[2:2] or ether[0:4]")
	}
	if t := p.next(); !p.takeIf("]") {
		return nil, p.fail(t.pos, "a closing bracket is expected here, not "+t.shown(), "such as tcp[13] or ip[2:2]")
	}
	return &sum{kind: sumLoad, pos: word.pos, protocol: proto, left: index, size: size.value}, nil
}

func indexable(p protocol) bool {
	switch p {
	case protoAH, protoESP, protoAARP, protoISO, protoSTP, protoIPX, protoNetBEUI:
		return false
	}
	return true
}
