package generate

import "encoding/binary"

// conn is one connection on its way through its script.
type conn struct {
	id        int
	at        int64 // time of its next packet, ns
	begun, v6 bool
	ending    Ending
	exchanges int
	left      int // response bytes still to send
	tries     int
	phase     phase
	rtt       int64
	end       [2]end
}

type end struct {
	host   uint32
	port   uint16
	id     uint16 // next IP ID
	ttl    uint8
	seq    uint32 // next to send
	got    uint32 // next expected of the peer
	ts     uint32 // TSval at the epoch, ms
	lastTS uint32 // the peer's, to echo
}

type phase uint8

const (
	phSYN phase = iota
	phSYNACK
	phACK
	phRequest
	phRequestACK
	phResponse
	phResponseACK
	phThink
	phEnd // and everything behind it belongs to the ending
)

const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

const (
	mss    = 1448
	second = int64(1e9)
)

// step sends the connection's next packet. It returns the time (ns) until
// the one after it, and whether there is one.
func (c *conn) step(g *generator) (wait int64, more bool) {
	switch c.phase {
	case phSYN:
		return c.dial(g)
	case phSYNACK:
		g.send(c, 1, syn|ack, 0)
		c.phase = phACK
		return c.rtt / 2, true
	case phACK:
		g.send(c, 0, ack, 0)
		c.phase = phRequest
		if c.exchanges == 0 {
			c.phase = phEnd
		}
		return c.rtt / 4, true
	case phRequest:
		g.send(c, 0, ack, g.mix.Request)
		c.phase = phRequestACK
		return c.rtt / 2, true
	case phRequestACK:
		g.send(c, 1, ack, 0)
		c.phase, c.left = phResponse, g.mix.Response
		return c.rtt, true
	case phResponse:
		n := min(c.left, mss)
		g.send(c, 1, ack, n)
		if c.left -= n; c.left == 0 {
			c.phase = phResponseACK
			return c.rtt / 2, true
		}
		return 1000, true
	case phResponseACK:
		g.send(c, 0, ack, 0)
		c.exchanges--
		c.phase = phRequest
		if c.exchanges <= 0 {
			c.phase = phEnd
		}
		return int64(g.rng.ExpFloat64() * g.mix.Think * 1e9), true
	}
	return c.finish(g)
}

// dial sends the SYN, and what follows where none is answered as usual.
func (c *conn) dial(g *generator) (int64, bool) {
	isn := c.end[0].seq
	switch {
	case c.tries > 0 && c.ending == Refused:
		g.stateless(c, 1)
		return 0, false
	case c.ending == NoAnswer && c.tries == 4:
		return 0, false
	}
	g.send(c, 0, syn, 0)
	switch c.ending {
	case LoneSYN:
		return 0, false
	case Refused:
		c.tries++
		return c.rtt / 2, true
	case NoAnswer:
		c.end[0].seq = isn
		c.tries++
		return second << (c.tries - 1), true
	}
	c.phase = phSYNACK
	return c.rtt / 2, true
}

// move is one packet of an ending: who sends what, and how long (in round
// trips) until the next.
type move struct {
	from  int
	flags byte
	data  int // payload; -1 is the mix's request
	trips float64
}

var scripts = [numEndings][]move{
	CloseByClient:   {{0, fin | ack, 0, 0.5}, {1, ack, 0, 0.3}, {1, fin | ack, 0, 0.5}, {0, ack, 0, 0}},
	CloseByServer:   {{1, fin | ack, 0, 0.5}, {0, ack, 0, 0.3}, {0, fin | ack, 0, 0.5}, {1, ack, 0, 0}},
	ThreeSegments:   {{0, fin | ack, 0, 0.5}, {1, fin | ack, 0, 0.5}, {0, ack, 0, 0}},
	HalfClose:       {{0, fin | ack, 0, 0.5}, {1, ack, 0, 1}, {1, ack, 700, 0.5}, {0, ack, 0, 0.1}, {1, fin | ack, 0, 0.5}, {0, ack, 0, 0}},
	AbortByClient:   {{0, rst | ack, 0, 0}},
	AbortByServer:   {{1, rst | ack, 0, 0}},
	WriteAfterClose: {{1, fin | ack, 0, 0.5}, {0, ack, 0, 2}, {0, ack, -1, 0.5}},
	Leak:            {{0, fin | ack, 0, 0.5}, {1, ack, 0, 0}},
	LostState:       {{0, ack, -1, 0.5}},
}

// finish plays the ending.
func (c *conn) finish(g *generator) (int64, bool) {
	k := int(c.phase - phEnd)
	switch c.ending {
	case Simultaneous:
		return c.simultaneous(g, k)
	case Unanswered:
		return c.unanswered(g)
	case KeepAlive:
		return c.keepAlive(g)
	}
	s := scripts[c.ending]
	if k >= len(s) { // WriteAfterClose and LostState: the answer has no socket
		g.stateless(c, 1)
		return 0, false
	}
	m := s[k]
	n := m.data
	if n < 0 {
		n = g.mix.Request
	}
	g.send(c, m.from, m.flags, n)
	c.phase++
	more := k+1 < len(s) || c.ending == WriteAfterClose || c.ending == LostState
	return int64(m.trips * float64(c.rtt)), more
}

// simultaneous lets both FINs cross: neither acknowledges the other.
func (c *conn) simultaneous(g *generator, k int) (int64, bool) {
	c.phase++
	switch k {
	case 0:
		g.send(c, 0, fin|ack, 0)
		return c.rtt / 8, true
	case 1:
		c.end[1].got-- // the client's FIN has not arrived
		g.send(c, 1, fin|ack, 0)
		c.end[1].got++
		return c.rtt / 2, true
	case 2:
		g.send(c, 1, ack, 0)
		return c.rtt / 8, true
	}
	g.send(c, 0, ack, 0)
	return 0, false
}

// unanswered retransmits a request with exponential back-off until it gives up.
func (c *conn) unanswered(g *generator) (int64, bool) {
	e := &c.end[0]
	seq := e.seq
	g.send(c, 0, ack, g.mix.Request)
	e.seq = seq
	c.tries++
	if c.tries > 6 {
		return 0, false
	}
	return int64(200e6) << (c.tries - 1), true
}

// keepAlive probes every 15 s, nine times, and aborts, as Go's sockets do.
func (c *conn) keepAlive(g *generator) (int64, bool) {
	e := &c.end[0]
	c.tries++
	switch {
	case c.tries == 1:
		return 15 * second, true
	case c.tries <= 10:
		e.seq--
		g.send(c, 0, ack, 0)
		e.seq++
		return 15 * second, true
	}
	g.send(c, 0, rst|ack, 0)
	return 0, false
}

// send writes a segment of end s and lets its peer have received it.
func (g *generator) send(c *conn, s int, flags byte, n int) {
	e, o := &c.end[s], &c.end[1-s]
	opts := g.buf[240:240]
	now := e.ts + uint32((g.now-epoch)/1e6)
	if flags&syn != 0 {
		opts = append(opts, 2, 4, 0x05, 0xb4, 4, 2)
	} else {
		opts = append(opts, 1, 1)
	}
	opts = append(opts, 8, 10)
	opts = binary.BigEndian.AppendUint32(opts, now)
	opts = binary.BigEndian.AppendUint32(opts, e.lastTS)
	if flags&syn != 0 {
		opts = append(opts, 1, 3, 3, 7)
	}
	id := e.id
	e.id++
	if flags == syn|ack {
		id, e.id = 0, e.id-1
	}
	window := uint16(502)
	if flags&syn != 0 {
		window = 64240
	}
	ackNo := e.got
	if flags&ack == 0 {
		ackNo = 0
	}
	g.segment(c, s, segment{flags: flags, seq: e.seq, ack: ackNo, window: window, id: id, opts: opts, data: n})
	e.seq += uint32(n)
	if flags&(syn|fin) != 0 {
		e.seq++
	}
	o.got, o.lastTS = e.seq, now
}

// stateless writes the RST of a host without a socket: RST+ACK to a SYN, a
// bare RST at the peer's acknowledgment to anything else.
func (g *generator) stateless(c *conn, s int) {
	p := &c.end[1-s]
	if c.phase == phSYN {
		g.segment(c, s, segment{flags: rst | ack, ack: p.seq})
		return
	}
	g.segment(c, s, segment{flags: rst, seq: p.got})
}

type segment struct {
	flags    byte
	seq, ack uint32
	window   uint16
	id       uint16
	opts     []byte
	data     int
}

// segment writes one Ethernet frame.
func (g *generator) segment(c *conn, s int, t segment) {
	f := g.buf[:]
	n := 14
	tcp := 20 + len(t.opts)
	mac := [2]byte{0x0a, 0x0b}
	clear(f[:12])
	f[0], f[6], f[5], f[11] = 2, 2, mac[1-s], mac[s]
	src, dst := c.ip(s), c.ip(1-s)
	// The options lie at buf[240:], beyond any header: move them first.
	head := 20
	if c.v6 {
		head = 40
	}
	copy(f[n+head+20:], t.opts)
	if c.v6 {
		f[12], f[13] = 0x86, 0xdd
		h := f[n : n+40]
		binary.BigEndian.PutUint32(h, 6<<28)
		binary.BigEndian.PutUint16(h[4:], uint16(tcp+t.data))
		h[6], h[7] = 6, c.end[s].ttl
		copy(h[8:], src[:])
		copy(h[24:], dst[:])
	} else {
		f[12], f[13] = 8, 0
		h := f[n : n+20]
		clear(h)
		h[0], h[8], h[9] = 0x45, c.end[s].ttl, 6
		binary.BigEndian.PutUint16(h[2:], uint16(20+tcp+t.data))
		binary.BigEndian.PutUint16(h[4:], t.id)
		h[6] = 0x40
		copy(h[12:], src[12:])
		copy(h[16:], dst[12:])
		binary.BigEndian.PutUint16(h[10:], checksum(h))
	}
	h := f[n+head:]
	binary.BigEndian.PutUint16(h, c.end[s].port)
	binary.BigEndian.PutUint16(h[2:], c.end[1-s].port)
	binary.BigEndian.PutUint32(h[4:], t.seq)
	binary.BigEndian.PutUint32(h[8:], t.ack)
	h[12], h[13] = byte(tcp/4)<<4, t.flags
	binary.BigEndian.PutUint16(h[14:], t.window)
	clear(h[16:20])
	g.record(n + head + tcp + t.data)
}

func checksum(h []byte) uint16 {
	var sum uint32
	for i := 0; i < len(h); i += 2 {
		sum += uint32(h[i])<<8 | uint32(h[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
