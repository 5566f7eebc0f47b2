package story

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

func defaults() [2]config {
	var both [2]config
	for s := range both {
		both[s] = config{ttl: 64, idStep: 1, wscale: 7, sack: true, ts: true}
	}
	both[client].addr = netip.MustParseAddrPort("192.0.2.1:40000")
	both[client].id, both[client].isn, both[client].tsval, both[client].window = 4096, 1000000, 100000, 64240
	both[server].addr = netip.MustParseAddrPort("192.0.2.2:8080")
	both[server].id, both[server].isn, both[server].tsval, both[server].window = 32768, 5000000, 700000, 65160
	return both
}

// declare parses a declaration; ok is false if the verb is none.
func (c *compiler) declare(verb token, cur *cursor) (ok bool, err error) {
	switch verb.text {
	case "client", "server":
		err = c.declareEnd(verb, cur)
	case "conn":
		err = c.declareConn(cur)
	case "link":
		err = c.declareLink(verb, cur)
	case "rtt":
		err = c.declareRTT(cur)
	case "start":
		err = c.declareStart(verb, cur)
	case "snaplen":
		err = c.declareSnaplen(verb, cur)
	case "mirror":
		err = c.declareMirror(cur)
	default:
		return false, nil
	}
	if err == nil {
		err = cur.end("end the line here")
	}
	return true, err
}

// first refuses a declaration that packets above have relied on.
func (c *compiler) first(verb token) error {
	if c.begun || len(c.conns) > 0 {
		return verb.fail("move it above them", "%s is declared behind packets or connections", verb.text)
	}
	return nil
}

func (c *compiler) declareEnd(verb token, cur *cursor) error {
	if err := c.first(verb); err != nil {
		return err
	}
	s := client
	if verb.text == "server" {
		s = server
	}
	return c.configs[s].parse(cur)
}

// parse reads [ADDR:PORT] and attributes, up to the word client or server.
func (cf *config) parse(cur *cursor) error {
	if tok := cur.peek(); cur.more() && !strings.Contains(tok.text, "=") {
		if err := cf.parseAddr(cur.next()); err != nil {
			return err
		}
	}
	got := values{}
	for cur.more() && cur.peek().text != "client" && cur.peek().text != "server" {
		if err := got.add(cur.next(), endAttributes); err != nil {
			return err
		}
	}
	return cf.set(got)
}

// parseAddr reads ADDR:PORT, or :PORT to keep the address.
func (cf *config) parseAddr(tok token) error {
	if port, ok := strings.CutPrefix(tok.text, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return tok.fail("write for example :40001", "%q is not a port", tok.text)
		}
		cf.addr = netip.AddrPortFrom(cf.addr.Addr(), uint16(n))
		return nil
	}
	addr, err := netip.ParseAddrPort(tok.text)
	if err != nil || addr.Addr().Zone() != "" || addr.Addr().Is4In6() {
		return tok.fail("write 192.0.2.1:40000, [2001:db8::1]:40000 or :40000", "%q is not an address and port", tok.text)
	}
	cf.addr = addr
	return nil
}

func (cf *config) set(v values) (err error) {
	cf.ttl = uint8(v.apply("ttl", uint32(cf.ttl), 0))
	cf.id = uint16(v.apply("id", uint32(cf.id), 0))
	cf.isn = v.apply("isn", cf.isn, 0)
	cf.tsval = v.apply("tsval", cf.tsval, 0)
	cf.window = v.apply("window", cf.window, 0)
	cf.idStep = v.orNone("idstep", "random", cf.idStep)
	cf.mss = v.orNone("mss", off, cf.mss)
	cf.wscale = v.orNone("wscale", off, cf.wscale)
	cf.sack = !v.is("sack", off) && (cf.sack || v.has("sack"))
	cf.ts = !v.is("ts", off) && (cf.ts || v.has("ts"))
	if got, ok := v["mptcp"]; ok {
		cf.mptcp = strings.TrimPrefix(got.text, off)
	}
	if got, ok := v["mac"]; ok {
		m, err := parseMAC(got)
		if err != nil {
			return err
		}
		cf.mac = &m
	}
	if got, ok := v["vlan"]; ok {
		cf.vlans, err = parseVLAN(got)
	}
	return err
}

// orNone is a number, or none where the word stands for it.
func (v values) orNone(name, word string, def int) int {
	if v.is(name, word) {
		return none
	}
	return int(int32(v.apply(name, uint32(def), 0)))
}

// declareConn reads conn NAME [client ...] [server ...].
func (c *compiler) declareConn(cur *cursor) error {
	name := cur.next()
	if !isName(name.text) || slices.Contains(words(), name.text) {
		return name.fail("write conn and a name that is no word of the language: conn b client 192.0.2.1:40001", "%q is no name for a connection", name.text)
	}
	if c.conn(name.text) != nil {
		return name.fail("choose another name", "connection %s is declared already", name.text)
	}
	index := max(len(c.conns), 1)
	configs := c.configs
	for s := range configs {
		cf := &configs[s]
		cf.isn += uint32(index) * 10000000
		cf.tsval += uint32(index) * 1000000
		cf.id += uint16(index) * 256
	}
	configs[client].addr = netip.AddrPortFrom(configs[client].addr.Addr(), configs[client].addr.Port()+uint16(index))
	for _, s := range []side{client, server} {
		if cur.take(s.String()) {
			if err := configs[s].parse(cur); err != nil {
				return err
			}
		}
	}
	if configs[client].addr.Addr().Is4() != configs[server].addr.Addr().Is4() {
		return name.fail("give both ends addresses of one family", "one end is IPv4, the other IPv6")
	}
	if err := c.open(name); err != nil {
		return err
	}
	c.conns = append(c.conns, newConn(name.text, index, configs))
	return cur.end("write conn NAME, then client and its words, then server and its words")
}

// open makes the default connection, once.
func (c *compiler) open(tok token) error {
	if len(c.conns) > 0 {
		return nil
	}
	if c.configs[client].addr.Addr().Is4() != c.configs[server].addr.Addr().Is4() {
		return tok.fail("declare `client` and `server` with addresses of one family", "one end is IPv4, the other IPv6")
	}
	c.conns = append(c.conns, newConn("", 0, c.configs))
	return nil
}

// conn finds a declared connection by name, or nil.
func (c *compiler) conn(name string) *conn {
	for _, cn := range c.conns {
		if cn.name == name && name != "" {
			return cn
		}
	}
	return nil
}

func (c *compiler) declareLink(verb token, cur *cursor) error {
	if c.begun {
		return verb.fail("move it above them", "link is declared behind packets")
	}
	tok := cur.next()
	i := slices.Index(linkNames, tok.text)
	if i < 0 {
		return tok.fail("write link "+strings.Join(linkNames, ", link "), "unknown link type %q", tok.text)
	}
	c.story.link = link(i)
	if !cur.take("at") {
		return nil
	}
	s, err := parseSide(cur.next())
	c.capture = s
	return err
}

func (c *compiler) declareRTT(cur *cursor) error {
	tok := cur.next()
	m, ok := parseMoment("+" + tok.text)
	if !ok {
		return tok.fail("write rtt 0.02 or rtt 20ms", "%q is no duration", tok.text)
	}
	c.rtt = m.d
	return nil
}

func (c *compiler) declareStart(verb token, cur *cursor) error {
	tok := cur.next()
	if c.begun {
		return verb.fail("move it above them", "start is declared behind packets")
	}
	t, err := time.Parse(time.RFC3339Nano, tok.text)
	if err != nil || t.Year() < 1981 || t.Year() > 2095 {
		return tok.fail("write start 2026-01-01T00:00:00Z, between 1981 and 2095", "%q is no start", tok.text)
	}
	c.start = t.UTC()
	return nil
}

func (c *compiler) declareSnaplen(verb token, cur *cursor) error {
	tok := cur.next()
	n, err := strconv.Atoi(tok.text)
	if err != nil || n < 1 || n > 262144 {
		return tok.fail("write snaplen 96, from 1 to 262144", "%q is no snaplen", tok.text)
	}
	if c.begun {
		return verb.fail("move it above them, or write cut=96 on a packet", "snaplen is declared behind packets")
	}
	c.story.snaplen = n
	return nil
}

func (c *compiler) declareMirror(cur *cursor) error {
	if cur.take(off) {
		c.mirror = nil
		return nil
	}
	v, err := attributes(cur, copyAttributes)
	if err != nil {
		return err
	}
	if got, ok := v["of"]; ok {
		return got.tok.fail("drop of=", "mirror repeats every packet")
	}
	c.mirror = v
	return c.fitsLink(v)
}
