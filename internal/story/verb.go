package story

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	copyGap    = 20 * time.Microsecond // between a packet and its second sighting
	segmentGap = 10 * time.Microsecond // between segments sent back to back
	thinkTime  = time.Millisecond      // of the server in an exchange
	maxBulk    = 10 << 20
)

// words are the words that can start a line, times and names aside.
func words() []string {
	return []string{">", "<", "handshake", "exchange", "close", "dup", "icmp", "other",
		"client", "server", "conn", "link", "rtt", "start", "snaplen", "mirror"}
}

// verb parses a line behind its time. A declaration takes effect at once and
// has no action.
func (c *compiler) verb(cur *cursor) (*action, error) {
	verb := cur.next()
	c.at = verb
	if done, err := c.declare(verb, cur); done {
		return nil, err
	}
	if err := c.open(verb); err != nil {
		return nil, err
	}
	cn := c.conns[0]
	if named := c.conn(verb.text); named != nil {
		cn, verb = named, cur.next()
		c.at = verb
	}
	switch verb.text {
	case ">":
		return c.packet(cn, client, cur)
	case "<":
		return c.packet(cn, server, cur)
	case "handshake":
		return c.handshake(cn, cur)
	case "exchange":
		return c.exchange(cn, cur)
	case "close":
		return c.close(cn, cur)
	case "dup":
		return c.dup(cur)
	case "icmp":
		return c.icmp(cn, cur)
	case "other":
		return c.other(cn, cur)
	}
	return nil, c.unknownVerb(verb)
}

func (c *compiler) unknownVerb(verb token) error {
	remedy := "a line is [TIME] [CONNECTION] > FLAGS ..., or one of " + strings.Join(words(), ", ")
	known := words()
	for _, cn := range c.conns[1:] {
		known = append(known, cn.name)
	}
	if near := nearest(verb.text, known); near != "" {
		remedy = "did you mean " + near + "?"
	}
	switch verb.text {
	case "C", "S":
		remedy = "write `> S` for a packet of the client, `< S.` for one of the server"
	case "end", "wait":
		remedy = "write `+60 other`: an unrelated packet, 60 s later, ends the capture"
	}
	if verb.text == "" {
		return verb.fail(remedy, "the line ends too early")
	}
	return verb.fail(remedy, "unknown word %q", verb.text)
}

func (c *compiler) packet(cn *conn, from side, cur *cursor) (*action, error) {
	sp, err := parseSpec(cur)
	if err != nil {
		return nil, err
	}
	c.at = sp.tok
	timed := sp.kind == rexmit || sp.kind == keepalive
	return &action{func() error { return c.send(cn, from, sp) }, c.rtt / 2, timed}, nil
}

// plain sends one packet of a shorthand.
func (c *compiler) plain(cn *conn, from side, flags uint16, content payload) error {
	return c.send(cn, from, &spec{tok: c.at, flags: flags, payload: content})
}

// steps is what happens half a round trip after the other.
func (c *compiler) steps(list ...func() error) error {
	for i, step := range list {
		if i > 0 {
			c.clock += c.rtt / 2
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) handshake(cn *conn, cur *cursor) (*action, error) {
	send := func(from side, flags uint16) func() error {
		return func() error { return c.plain(cn, from, flags, payload{}) }
	}
	run := func() error {
		return c.steps(send(client, syn), send(server, syn|ack), send(client, ack))
	}
	return &action{run: run, gap: c.rtt / 2}, cur.end("handshake stands alone; write the packets out to change one")
}

func (c *compiler) close(cn *conn, cur *cursor) (*action, error) {
	if !cur.take("by") {
		return nil, cur.peek().fail("write `close by C` or `close by S`", "close by whom?")
	}
	by, err := parseSide(cur.next())
	if err != nil {
		return nil, err
	}
	send := func(from side, flags uint16) func() error {
		return func() error { return c.plain(cn, from, flags, payload{}) }
	}
	run := func() error {
		return c.steps(send(by, fin|ack), send(by.other(), fin|ack), send(by, ack))
	}
	return &action{run: run, gap: c.rtt / 2}, cur.end("write the packets out for another order")
}

func parseSide(tok token) (side, error) {
	switch tok.text {
	case "C", "client":
		return client, nil
	case "S", "server":
		return server, nil
	}
	return client, tok.fail("write C or S", "%q is no end of a connection", tok.text)
}

// exchange reads REQUEST RESPONSE [by C|S], each a length or a payload.
func (c *compiler) exchange(cn *conn, cur *cursor) (*action, error) {
	var content [2]payload
	for i := range content {
		if err := content[i].one(cur.next()); err != nil {
			return nil, err
		}
	}
	by := client
	if cur.take("by") {
		s, err := parseSide(cur.next())
		if err != nil {
			return nil, err
		}
		by = s
	}
	run := func() error {
		if err := c.transfer(cn, by, content[0]); err != nil {
			return err
		}
		c.clock += thinkTime
		return c.transfer(cn, by.other(), content[1])
	}
	return &action{run: run, gap: c.rtt / 2}, cur.end("write `exchange 100 2000`, and `by S` if the server asks")
}

// one reads the whole payload from one token.
func (p *payload) one(tok token) error {
	ok, err := p.parse(tok)
	if err != nil || ok {
		return err
	}
	n, err := strconv.Atoi(tok.text)
	if err != nil || n < 1 || n > maxBulk {
		return tok.fail(`write its length in bytes (up to 10485760), "text", hex:1503 or tls:23:100`, "%q is no payload", tok.text)
	}
	p.add(piece{filler: n})
	return nil
}

// transfer sends the payload in segments and has it acknowledged at the end.
func (c *compiler) transfer(cn *conn, from side, content payload) error {
	e := &cn.ends[from]
	size := cn.segmentSize(from)
	rest := content.bytes(e.next - e.isn)
	for i := 0; len(rest) > 0; i++ {
		if i > 0 {
			c.clock += segmentGap
		}
		n := min(len(rest), size)
		flags := ack
		if n == len(rest) {
			flags |= psh
		}
		part := payload{}
		part.add(piece{bytes: rest[:n]})
		if err := c.plain(cn, from, flags, part); err != nil {
			return err
		}
		rest = rest[n:]
	}
	c.clock += c.rtt / 2
	return c.plain(cn, from.other(), ack, payload{})
}

// segmentSize is what fits the peer's MSS beside the options that every
// segment carries.
func (c *conn) segmentSize(from side) int {
	size := c.mss(from.other())
	if size == 0 {
		size = 536 // RFC 9293 3.7.1
	}
	if c.negotiated(func(o offer) bool { return o.ts }) {
		size -= 12
	}
	if c.negotiated(func(o offer) bool { return o.mptcp != "" }) {
		size -= 20
	}
	return min(max(size, 64), maxPayload)
}

func (c *compiler) dup(cur *cursor) (*action, error) {
	v, err := attributes(cur, copyAttributes)
	if err != nil {
		return nil, err
	}
	if err := c.fitsLink(v); err != nil {
		return nil, err
	}
	at := c.at
	run := func() error {
		f := c.last
		if got, ok := v["of"]; ok {
			if f, err = c.labelled(got); err != nil {
				return err
			}
		}
		if f == nil {
			return at.fail("put it behind one", "no packet to repeat")
		}
		f, err := c.copy(f, v, at)
		if err != nil {
			return err
		}
		return c.emit(f)
	}
	return &action{run: run, gap: copyGap}, nil
}

// copy is the frame as another point of the path shows it.
func (c *compiler) copy(f *frame, v values, at token) (*frame, error) {
	twin := *f
	if err := twin.change(v); err != nil {
		return nil, err
	}
	if !v.has("ttl") && !v.has("nat") {
		return &twin, nil
	}
	if f.tcp == nil {
		if c.mirror != nil {
			return &twin, nil
		}
		return nil, at.fail("drop ttl= and nat=", "only TCP packets can be repeated with them")
	}
	s := *f.tcp
	s.ttl = uint8(v.apply("ttl", uint32(s.ttl), 0))
	if got, ok := v["nat"]; ok {
		addr, err := netip.ParseAddrPort(got.text)
		if err != nil || addr.Addr().Is4() != s.src.Addr().Is4() {
			return nil, got.tok.fail("write nat=198.51.100.1:50000, of the packet's family", "%q is not an address and port here", got.text)
		}
		if s.from == client {
			s.src = addr
		} else {
			s.dst = addr
		}
	}
	twin.ip, twin.tcp = s.encode(), &s
	return &twin, nil
}

func (c *compiler) other(cn *conn, cur *cursor) (*action, error) {
	run := func() error {
		a, b := &cn.ends[client], &cn.ends[server]
		ip := datagram(a.addr.Addr(), b.addr.Addr(), a.ttl)
		return c.emit(&frame{ip: ip, src: a.linkAddr(), dst: b.linkAddr(), iface: 1, outgoing: c.capture == client})
	}
	return &action{run: run, timed: true}, cur.end("write `+60 other`")
}
