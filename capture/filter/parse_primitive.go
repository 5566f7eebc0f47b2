package filter

import "fmt"

// primitive parses a test that begins with a keyword.
func (p *parser) primitive() (value, error) {
	t := p.next()
	if why, refused := refusedWord(t.text); refused {
		return value{}, p.fail(t.pos, why, "leave this test out")
	}
	if v, err := p.standalone(t); v.tree != nil || err != nil {
		return v, err
	}
	q, err := p.qualifiers()
	if err != nil {
		return value{}, err
	}
	if q.tree != nil {
		return q, nil
	}
	v, err := p.identifiers(q.q)
	v.pos = t.pos
	return v, err
}

// identifiers parses what stands behind qualifiers: one identifier or a list
// of them in parentheses.
func (p *parser) identifiers(q qualifier) (value, error) {
	switch t := p.next(); {
	case t.kind == keyword && q.address == protoNumber && !t.is("not"):
		return value{}, p.fail(t.pos, t.shown()+" is a word of the language", `write \`+t.text+" (the filter in single quotes), or the number")
	case t.kind == end, t.kind == keyword && !t.is("not"), t.kind == operator && !t.is("(", "not"):
		return value{}, p.fail(t.pos, fmt.Sprintf("a %s is expected here, not %s", noun(q.address), t.shown()), example(q))
	}
	pos := p.next().pos
	v, err := p.identifierList(q)
	if err == nil && !v.bare {
		err = p.fail(pos, "these parentheses may only hold a list of one kind", "such as port (80 or 443)")
	}
	v.bare = false
	return v, err
}

// identifierList is a bare identifier, "not" before one, or a list.
func (p *parser) identifierList(q qualifier) (value, error) {
	if t := p.next(); t.kind == number {
		p.take()
		tree, err := p.numbered(t, q)
		return value{pos: t.pos, tree: tree, q: q, bare: true}, err
	}
	v, err := p.term(q)
	if err == nil {
		v, err = p.identified(v, q)
	}
	return v, err
}

// standalone parses the tests that take no identifier. The value has no tree
// if t does not begin one of them.
func (p *parser) standalone(t token) (value, error) {
	n := &node{pos: t.pos}
	var err error
	switch t.text {
	case "less", "greater":
		n.test = testLess
		if t.text == "greater" {
			n.test = testGreater
		}
		p.take()
		n.v, err = p.plainNumber("a number of bytes", 1<<32-1)
	case "byte":
		p.take()
		err = p.byteTest(n)
	case "inbound", "outbound":
		p.take()
		n.test = testInbound
		if t.text == "outbound" {
			n.test = testOutbound
		}
	case "vlan":
		err = p.tagged(n, testVLAN, "a VLAN number", 0xfff)
	case "mpls":
		err = p.tagged(n, testMPLS, "an MPLS label", 0xfffff)
	case "pppoes":
		err = p.tagged(n, testPPPoES, "a PPPoE session", 0xffff)
	case "pppoed":
		p.take()
		n.test = testPPPoED
	default:
		return value{}, nil
	}
	return value{pos: t.pos, tree: n, q: qualifier{protocol: noProtocol}}, err
}

// tagged parses vlan, mpls or pppoes, with or without the number behind it,
// which may stand in parentheses.
func (p *parser) tagged(n *node, what test, noun string, most uint32) error {
	p.take()
	n.test = what
	open, from := 0, p.at
	for p.next().is("(") {
		p.take()
		open++
	}
	if p.next().kind != number {
		p.at = from
		return nil
	}
	v, err := p.plainNumber(noun, most)
	if err != nil {
		return err
	}
	for ; open > 0; open-- {
		if t := p.next(); !p.takeIf(")") {
			return p.fail(t.pos, "a closing parenthesis is expected here, not "+t.shown(), "")
		}
	}
	n.v, n.given = v, true
	return nil
}

func (p *parser) plainNumber(noun string, most uint32) (uint32, error) {
	t := p.take()
	if t.kind != number {
		return 0, p.fail(t.pos, noun+" is expected here, not "+t.shown(), "")
	}
	if t.value > most {
		return 0, p.fail(t.pos, fmt.Sprintf("%s is at most %d", noun, most), "")
	}
	return t.value, nil
}

func (p *parser) byteTest(n *node) error {
	var err error
	n.test = testByte
	if n.v, err = p.plainNumber("the offset of a byte", 1<<32-1); err != nil {
		return err
	}
	t := p.take()
	if !t.is("=", "<", ">", "&", "|") {
		return p.fail(t.pos, "one of = < > & | is expected here, not "+t.shown(), "such as byte 0 = 1; or write ether[0] = 1")
	}
	n.operator = t.text
	n.mask, err = p.plainNumber("a number", 1<<32-1)
	return err
}

// qualifiers parses protocol, direction and kind of identifier. It returns a
// tree if the words are a test by themselves, such as "tcp" or "ip multicast".
func (p *parser) qualifiers() (value, error) {
	t := p.next()
	q, named := qualifier{}, false
	if q.protocol, named = protocolWord(t.text); named {
		p.take()
	} else {
		q.protocol = anyProtocol
	}
	switch w := p.next(); {
	case w.is("broadcast", "multicast"):
		p.take()
		return p.casting(t, w, q)
	case w.is("src", "dst"):
		if err := p.direction(&q); err != nil {
			return value{}, err
		}
		p.kindOfAddress(&q)
	case w.is("proto"):
		p.take()
		q.address = protoNumber
		return value{q: q}, p.numberable(t, q)
	case w.is("protochain"):
		return value{}, p.fail(w.pos, "protochain would need a loop, which the kernel refuses", "write proto instead")
	case w.is("gateway"):
		return value{}, p.fail(w.pos, "gateway needs names to be looked up, which hangup never does", "write ether host 00:00:5e:00:53:01 and not host 192.0.2.1")
	case p.kindOfAddress(&q):
	case named:
		return p.abbreviation(t, q)
	default:
		return value{}, p.fail(t.pos, "a test cannot begin with "+t.shown(), "such as tcp, host 192.0.2.1, port 443")
	}
	return value{q: q}, p.addressable(t, q)
}

func (p *parser) direction(q *qualifier) error {
	first := p.take()
	q.direction = source
	if first.is("dst") {
		q.direction = destination
	}
	join := p.next()
	if !join.is("and", "or") {
		return nil
	}
	p.take()
	second := p.take()
	if !second.is("src", "dst") || second.text == first.text {
		return p.fail(second.pos, "the other direction is expected here, not "+second.shown(), "src or dst, src and dst")
	}
	q.direction = bothWays
	if join.is("or") {
		q.direction = eitherWay
	}
	return nil
}

// kindOfAddress parses host, net, port or portrange, if one of them is next.
func (p *parser) kindOfAddress(q *qualifier) bool {
	switch t := p.next(); {
	case t.is("host"):
		q.address = hostAddress
	case t.is("net"):
		q.address = netAddress
	case t.is("port"):
		q.address = portAddress
	case t.is("portrange"):
		q.address = rangeAddress
	default:
		return false
	}
	p.take()
	return true
}

// abbreviation is a protocol alone.
func (p *parser) abbreviation(t token, q qualifier) (value, error) {
	if q.protocol == protoLink {
		next := p.next()
		return value{}, p.fail(next.pos, t.shown()+" says nothing alone", "ether host 00:00:5e:00:53:01, ether proto 0x0800, ether[0] & 1 != 0")
	}
	return value{pos: t.pos, tree: &node{test: testProtocol, pos: t.pos, q: q}, q: qualifier{protocol: noProtocol}}, nil
}

func (p *parser) casting(t, word token, q qualifier) (value, error) {
	n := &node{test: testBroadcast, pos: t.pos, q: q}
	if word.is("multicast") {
		n.test = testMulticast
	}
	switch q.protocol {
	case anyProtocol, protoLink, protoIP:
	case protoIP6:
		if n.test == testMulticast {
			break
		}
		return value{}, p.fail(t.pos, "IPv6 has no broadcast", "write ip6 multicast")
	default:
		return value{}, p.fail(t.pos, t.shown()+" has no "+word.text+" of its own", "write ip "+word.text+" or ether "+word.text)
	}
	return value{pos: t.pos, tree: n, q: qualifier{protocol: noProtocol}}, nil
}
