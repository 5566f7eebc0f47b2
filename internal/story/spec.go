package story

import (
	"fmt"
	"strings"
	"time"
)

// kind is how a packet's fields are chosen.
type kind uint8

const (
	ordinary kind = iota
	stateless
	rexmit
	keepalive
)

// spec is what a line asks of a packet.
type spec struct {
	tok     token // the flags, or the word that stands for them
	kind    kind
	flags   uint16
	payload payload
	values  values
}

const flagUsage = "write the flags as tcpdump does (S, S., ., P., F., FP., R., and UEWe, or none), or one of rexmit, keepalive, probe, stateless"

// parseSpec reads what follows > or <.
func parseSpec(cur *cursor) (*spec, error) {
	sp := &spec{tok: cur.next(), values: values{}}
	if err := sp.parseKind(); err != nil {
		return nil, err
	}
	for cur.more() {
		tok := cur.next()
		ok, err := sp.payload.parse(tok)
		if err == nil && !ok {
			err = sp.values.add(tok, packetAttributes)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := sp.payload.fill(sp.values); err != nil {
		return nil, err
	}
	if sp.payload.size > maxPayload {
		return nil, sp.tok.fail(fmt.Sprintf("send at most %d bytes, or use exchange", maxPayload), "a payload of %d bytes does not fit one packet", sp.payload.size)
	}
	return sp, sp.check()
}

func (sp *spec) parseKind() error {
	tok := sp.tok
	switch tok.text {
	case "stateless":
		sp.kind = stateless
	case "rexmit":
		sp.kind = rexmit
	case "keepalive", "probe":
		sp.kind, sp.flags = keepalive, ack
	case "live":
		return tok.fail("write `R.`: an ordinary packet has the socket's next sequence number, window, timestamp and IP ID", "live is the default")
	case "none":
	default:
		flags, ok := parseFlags(tok.text)
		if !ok || tok.quoted {
			return tok.fail(flagUsage, "%q are no TCP flags", tok.text)
		}
		sp.flags = flags
	}
	return nil
}

func parseFlags(text string) (uint16, bool) {
	var flags uint16
	for _, letter := range text {
		i := strings.IndexRune("FSRP.UEWe", letter)
		if i < 0 || flags&(1<<i) != 0 {
			return 0, false
		}
		flags |= 1 << i
	}
	return flags, flags != 0
}

// check refuses what is most likely not meant.
func (sp *spec) check() error {
	v := sp.values
	if sp.flags&(rst|ack) == rst && sp.kind == ordinary && !v.has("seq") && !v.has("forged") {
		return sp.tok.fail("write `stateless` (the answer of a kernel without the socket), `R.` (a live socket aborts), `R forged`, or give seq=", "a bare R has no number of its own")
	}
	if v.has("last") && sp.kind != rexmit {
		return v["last"].tok.fail("write `rexmit last`", "last is for rexmit")
	}
	if v.has("to") && sp.kind != stateless {
		return v["to"].tok.fail("write `stateless to=#label`", "to= is for stateless")
	}
	if v.has("crossed") && v["crossed"].isNumber && v["crossed"].n == 0 {
		return v["crossed"].tok.fail("write crossed, or leave it out", "crossed=0 says nothing")
	}
	if (sp.kind == rexmit || sp.kind == stateless) && sp.payload.size > 0 {
		return sp.tok.fail("give the range by hand, as in `P. seq=1 len=100`", "%s sends its own content", sp.tok.text)
	}
	if v.has("uncaptured") && (v.has("cut") || v.has("pad")) {
		return v["uncaptured"].tok.fail("drop cut= and pad", "nothing of an uncaptured packet is in the capture")
	}
	return nil
}

// segment chooses every field of the packet. It changes nothing.
func (c *compiler) segment(cn *conn, from side, sp *spec) (*segment, error) {
	e, peer := &cn.ends[from], &cn.ends[from.other()]
	s := &segment{conn: cn, from: from, src: e.addr, dst: peer.addr, ttl: e.ttl, flags: sp.flags, seq: e.next}
	known, err := sp.known(e)
	if err != nil {
		return nil, err
	}
	if err := sp.choose(c, s); err != nil {
		return nil, err
	}
	if s.flags&ack != 0 && sp.kind != stateless {
		s.ack = known.next
	}
	if s.flags&syn != 0 {
		s.seq = e.isn
	}
	if sp.kind == ordinary && (s.flags&fin != 0 || sp.payload.size > 0) && s.flags&rst == 0 && e.finSent && !sp.values.has("seq") && !sp.values.has("forged") {
		return nil, sp.tok.fail("write `rexmit`, or give seq=", "the %s has sent its FIN already", from)
	}
	s.seq = sp.values.apply("seq", s.seq, e.isn)
	s.ack = sp.values.apply("ack", s.ack, peer.isn)
	s.ttl = uint8(sp.values.apply("ttl", uint32(s.ttl), 0))
	s.urgent = uint16(sp.values.apply("urg", 0, 0))
	s.badsum = sp.values.has("badsum")
	if s.payload == nil {
		s.payload = sp.payload.bytes(s.seq - e.isn)
	}
	own := cn.own(s, sp)
	s.window = uint16(sp.values.apply("win", uint32(cn.window(s, sp)), 0))
	sp.timestamps(cn, s, own, known, c.clock)
	s.options, err = cn.options(s, sp, own)
	return s, err
}

// known is what the end had received when it sent the packet.
func (sp *spec) known(e *end) (snapshot, error) {
	v, ok := sp.values["crossed"]
	if !ok {
		return snapshot{e.received.to, e.tsRecent}, nil
	}
	n := 1
	if v.isNumber {
		n = int(v.n)
	}
	if n > len(e.arrivals) {
		return snapshot{}, v.tok.fail("lower the number", "only %d packets have reached this end so far", len(e.arrivals))
	}
	return e.arrivals[len(e.arrivals)-n], nil
}

// choose applies the packet's kind.
func (sp *spec) choose(c *compiler, s *segment) error {
	e := &s.conn.ends[s.from]
	switch sp.kind {
	case keepalive:
		s.seq = e.next - 1
	case stateless:
		trigger, err := sp.trigger(c, e, s.from)
		if err != nil {
			return err
		}
		// RFC 9293 3.10.7.1, Linux tcp_v4_send_reset.
		s.flags, s.seq = rst, trigger.ack
		if trigger.flags&ack == 0 {
			s.flags, s.seq, s.ack = rst|ack, 0, trigger.end()
		}
	case rexmit:
		old, err := sp.outstanding(e, s.from)
		if err != nil {
			return err
		}
		s.flags, s.seq, s.payload = old.flags, old.seq, append([]byte{}, old.payload...)
	}
	return nil
}

func (sp *spec) trigger(c *compiler, e *end, from side) (*segment, error) {
	trigger, at := e.latest, sp.tok
	if v, ok := sp.values["to"]; ok {
		f, err := c.labelled(v)
		if err != nil {
			return nil, err
		}
		trigger, at = f.tcp, v.tok
	}
	switch {
	case trigger == nil:
		return nil, at.fail("let the peer send one first, or name a TCP packet with to=#label", "no segment for the %s to answer", from)
	case trigger.from == from:
		return nil, at.fail("name one of the peer's", "that packet is the %s's own", from)
	case trigger.flags&rst != 0:
		return nil, at.fail("name another with to=#label", "nobody answers a RST")
	}
	return trigger, nil
}

func (sp *spec) outstanding(e *end, from side) (*segment, error) {
	list := e.outstanding()
	if v, ok := sp.values["seq"]; ok {
		seq := sp.values.apply("seq", e.next, e.isn)
		for _, s := range e.sent {
			if s.seq == seq {
				return s, nil
			}
		}
		return nil, v.tok.fail("give the range by hand, as in `P. seq=1 len=100`", "the %s has sent no segment that starts there", from)
	}
	if len(list) == 0 {
		return nil, sp.tok.fail("mark a packet or its acknowledgement lost, or give the range by hand, as in `P. seq=1 len=100`", "all that the %s sent is acknowledged", from)
	}
	if sp.values.has("last") {
		return list[len(list)-1], nil
	}
	return list[0], nil
}

// own is what the segment's sender offers, on a SYN as the line changes it.
func (c *conn) own(s *segment, sp *spec) offer {
	e := &c.ends[s.from]
	if s.flags&syn == 0 {
		return offer{}
	}
	own := offer{ts: e.ts, sack: e.sack, wscale: e.wscale != none, mptcp: e.mptcp, mss: c.mss(s.from)}
	if peer := c.offer(s.from.other()); s.flags&ack != 0 {
		own.ts = own.ts && peer.ts
		own.sack = own.sack && peer.sack
		own.wscale = own.wscale && peer.wscale
		if peer.mptcp == "" {
			own.mptcp = ""
		}
	}
	if sp.values.is("sack", off) {
		own.sack = false
	}
	if sp.values.is("mptcp", off) {
		own.mptcp = ""
	}
	if sp.bare() {
		return offer{}
	}
	return own
}

// bare reports whether the packet carries no options of the socket's.
func (sp *spec) bare() bool { return sp.kind == stateless || sp.values.has("forged") }

func (c *conn) mss(s side) int {
	e := &c.ends[s]
	switch {
	case e.mss == none:
		return 0
	case e.mss != 0:
		return e.mss
	case e.addr.Addr().Is6():
		return 1440
	}
	return 1460
}

// window is the header's field: bytes on a SYN, scaled afterwards.
func (c *conn) window(s *segment, sp *spec) uint16 {
	if sp.bare() {
		return 0
	}
	e := &c.ends[s.from]
	w := e.config.window
	if s.flags&syn == 0 && c.negotiated(func(o offer) bool { return o.wscale }) {
		w >>= min(uint32(e.wscale), 14)
	}
	return uint16(min(w, 65535))
}

func (sp *spec) timestamps(c *conn, s *segment, own offer, known snapshot, clock time.Duration) {
	v := sp.values
	s.hasTS = c.negotiated(func(o offer) bool { return o.ts })
	if s.flags&syn != 0 {
		s.hasTS = own.ts
	}
	s.hasTS = s.hasTS && !sp.bare() || v.has("tsval") || v.has("tsecr") || v.is("ts", on)
	if v.is("ts", off) {
		s.hasTS = false
	}
	s.tsval = v.apply("tsval", c.ends[s.from].tsval+uint32(clock/time.Millisecond), 0)
	if s.flags&ack != 0 {
		s.tsecr = known.tsRecent
	}
	s.tsecr = v.apply("tsecr", s.tsecr, 0)
}
