package filter

import "strings"

// deepest is how many parentheses, brackets, "not" and minus signs may stand
// within each other.
const deepest = 500

// Parse checks the syntax of a filter expression; the empty one matches every
// packet. The error is a *SyntaxError.
func Parse(expr string) (*Expr, error) {
	tokens, err := scan(expr)
	if err != nil {
		return nil, err
	}
	e := &Expr{text: expr}
	if tokens[0].kind == end {
		return e, nil
	}
	p := &parser{expr: expr, tokens: tokens}
	v, err := p.sequence(qualifier{protocol: noProtocol})
	if err != nil {
		return nil, err
	}
	if p.next().kind != end {
		return nil, p.trailing()
	}
	if v.tree == nil {
		return nil, p.incomplete(v)
	}
	e.root = v.tree
	return e, nil
}

type parser struct {
	expr   string
	tokens []token
	at     int
	depth  int
}

func (p *parser) next() token { return p.tokens[p.at] }

func (p *parser) after() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

// take returns the next token and moves past it, except past the end.
func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) takeIf(text string) bool {
	if p.next().is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) fail(pos int, what, instead string) error {
	return &SyntaxError{Expr: p.expr, Pos: pos, What: what, Instead: instead}
}

func (p *parser) deeper(pos int) error {
	if p.depth++; p.depth > deepest {
		return p.fail(pos, "nested too deep", "")
	}
	return nil
}

// value is what a part of an expression turned out to be: a tree that is true
// or false, or a sum that may go on to be compared; a bare number may as well
// be an identifier, as in "port 80 or 443".
type value struct {
	pos  int
	tree *node
	sum  *sum
	q    qualifier // what a following identifier inherits
	bare bool      // tree is a list of identifiers that inherited all they mean
}

// sequence parses terms joined by "and" and "or", which bind equally and from
// the left. A sequence that begins with a bare identifier goes on with bare
// identifiers only, as tcpdump has it.
func (p *parser) sequence(inherited qualifier) (value, error) {
	v, err := p.term(inherited)
	if err != nil || v.sum != nil && !p.next().is("and", "or") {
		return v, err
	}
	if v, err = p.identified(v, inherited); err != nil {
		return v, err
	}
	for p.next().is("and", "or") {
		operator, pos := p.take(), p.next().pos
		r, err := p.term(v.q)
		if err == nil {
			r, err = p.identified(r, v.q)
		}
		if err != nil {
			return v, err
		}
		if v.bare && !r.bare {
			return v, p.fail(pos, "a list that begins with a bare "+noun(v.q.address)+" cannot go on with anything else",
				"put the parentheses round whole tests: (port 80 or port 443 or icmp)")
		}
		join := testAnd
		if operator.text == "or" {
			join = testOr
		}
		v.tree = &node{test: join, pos: operator.pos, left: v.tree, right: r.tree}
		v.q = r.q
	}
	return v, nil
}

// identified turns a value that is a lone number into the identifier that it
// must be.
func (p *parser) identified(v value, inherited qualifier) (value, error) {
	if v.sum == nil {
		return v, nil
	}
	if v.sum.kind != sumNumber {
		return v, p.incomplete(v)
	}
	tree, err := p.numbered(token{kind: number, pos: v.pos, value: v.sum.value}, inherited)
	return value{pos: v.pos, tree: tree, q: inherited, bare: true}, err
}

func (p *parser) incomplete(v value) error {
	if v.sum.kind == sumNumber {
		return p.undefined(token{kind: number, pos: v.pos})
	}
	t := p.next()
	return p.fail(t.pos, "a comparison is expected here, not "+t.shown(), "such as tcp[13] & 4 != 0, or len > 100")
}

func (p *parser) trailing() error {
	t := p.next()
	if t.is(")") {
		return p.fail(t.pos, "a closing parenthesis without an opening one", "")
	}
	if t.is("[") {
		return p.fail(t.pos, "only a protocol has bytes to look at", "such as tcp[13], ip[9] or ether[0:4]")
	}
	return p.fail(t.pos, t.shown()+" is not expected here", p.joining(t))
}

// joining guesses what was meant by t, which nothing joins to what is before.
func (p *parser) joining(t token) string {
	afterNumber := p.at > 0 && p.tokens[p.at-1].kind == number
	switch {
	case t.is("/") && afterNumber:
		return "spell all four numbers of the network: net 10.0.0.0/8"
	case t.is("-") && afterNumber:
		return "write a range of ports without spaces: portrange 8000-8010"
	case t.is("&", "|"):
		return "join two tests with and (&&), or (||)"
	case t.kind == number:
		return "a port needs its word: and port " + t.text
	case t.kind == dotted || t.kind == address6:
		return "an address needs its word: and host " + t.text
	case t.kind == name && isKeyword(strings.ToLower(t.text)):
		return "write " + strings.ToLower(t.text) + " in small letters"
	}
	return "join two tests with and, or; to deny one, write not before it"
}

// term parses one test, a list of identifiers in parentheses, or a sum.
func (p *parser) term(inherited qualifier) (value, error) {
	t := p.next()
	if err := p.deeper(t.pos); err != nil {
		return value{}, err
	}
	defer func() { p.depth-- }()
	switch {
	case t.is("not"):
		return p.negation(inherited)
	case t.is("("):
		return p.group(inherited)
	case p.beginsSum(t):
		left, err := p.sum(looseOperator)
		if err != nil {
			return value{}, err
		}
		return p.comparison(value{pos: t.pos, sum: left})
	case t.kind == keyword:
		return p.primitive()
	case t.kind == end:
		return value{}, p.fail(t.pos, "the expression breaks off here", "something like tcp or host 192.0.2.1 is missing")
	case t.kind == operator:
		return value{}, p.fail(t.pos, "a test is expected here, not "+t.shown(), "such as tcp, host 192.0.2.1, port 443")
	}
	tree, err := p.identifier(inherited)
	return value{pos: t.pos, tree: tree, q: inherited, bare: true}, err
}

func (p *parser) negation(inherited qualifier) (value, error) {
	pos := p.take().pos
	v, err := p.term(inherited)
	if err == nil {
		v, err = p.identified(v, inherited)
	}
	if err != nil {
		return v, err
	}
	v.tree = &node{test: testNot, pos: pos, left: v.tree}
	v.pos = pos
	return v, nil
}

// group parses what stands in parentheses, which may be a whole expression, a
// list of identifiers, or the beginning of a sum.
func (p *parser) group(inherited qualifier) (value, error) {
	open := p.take()
	v, err := p.sequence(inherited)
	if err != nil {
		return v, err
	}
	if t := p.next(); !p.takeIf(")") {
		if t.kind == end {
			return v, p.fail(open.pos, "this parenthesis is not closed", "in a shell, put the whole filter into single quotes")
		}
		return v, p.trailing()
	}
	v.pos = open.pos
	if v.sum != nil {
		if v.sum, err = p.sumRest(v.sum, looseOperator); err != nil {
			return v, err
		}
		return p.comparison(v)
	}
	v.q = inherited // as in tcpdump, what stands in parentheses leaves nothing behind
	return v, nil
}

// comparison goes on behind the left sum of what may be a comparison.
func (p *parser) comparison(v value) (value, error) {
	t := p.next()
	if !t.is("=", "!=", "<", "<=", ">", ">=") {
		return v, nil
	}
	p.take()
	right, err := p.sum(looseOperator)
	if err != nil {
		return v, err
	}
	tree := &node{test: testCompare, pos: v.pos, operator: t.text, a: v.sum, b: right}
	return value{pos: v.pos, tree: tree, q: qualifier{protocol: noProtocol}}, nil
}
