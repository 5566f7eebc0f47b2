package generate

import (
	"bufio"
	"cmp"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// Sown is one fault that was sown among healthy traffic: the kind of finding
// that must come of it, and one of the places that it must name.
type Sown struct {
	Kind  string
	Where string // an address, or address and port; "" if any will do
}

// SownMix says how much healthy traffic the faults are sown into.
type SownMix struct {
	Connections int // all in all; beyond 50,000 ports run out somewhere as well
	Seed        uint64
}

// WriteSown writes a capture of half an hour as a nanosecond pcap: healthy
// traffic of 60 clients and 30 services, and one fault of each kind that
// findings know, each at a service of its own. It returns what it has sown.
func WriteSown(w io.Writer, m SownMix) ([]Sown, Stats, error) {
	f := &field{rng: rand.New(rand.NewPCG(m.Seed, 0x736f776e)), ports: map[uint32]uint16{}}
	for _, sow := range sowings {
		sow(f)
	}
	if m.Connections >= 50_000 {
		f.exhaustion()
		f.churn()
	}
	for len(f.conns) < m.Connections {
		f.healthy()
	}
	slices.SortStableFunc(f.plays, func(a, b play) int { return cmp.Compare(a.at, b.at) })
	out := bufio.NewWriterSize(w, 1<<20)
	g := &generator{mix: Mix{Snaplen: 96}, rng: f.rng}
	g.begin(out)
	for _, p := range f.plays {
		g.now = epoch + p.at
		g.play(&f.conns[p.conn], p)
	}
	g.now += after
	g.noise()
	g.stats.Connections = uint64(len(f.conns))
	if err := out.Flush(); g.err == nil {
		g.err = err
	}
	return f.sown, g.stats, g.err
}

// field is what is sown into.
type field struct {
	rng   *rand.Rand
	conns []conn
	plays []play
	ports map[uint32]uint16 // next local port by client
	sown  []Sown
	hosts uint32 // servers given to faults so far
}

// play is one packet to come.
type play struct {
	at    int64 // ns since the epoch of the capture
	conn  int32
	from  uint8
	how   manner
	flags byte
	data  int32
}

// manner is what is special about a packet.
type manner uint8

const (
	plain     manner = iota
	lost             // captured, but never delivered
	again            // the latest payload once more
	probe            // keep-alive
	crossed          // sent before the peer's FIN arrived
	stateless        // RST of a kernel without a socket
	forged           // RST of a device on the way
	shut             // advertises window 0
	sameSYN          // the SYN once more
)

// seconds is a time in ns.
func seconds(s float64) int64 { return int64(s * 1e9) }

// span is how long (s) the healthy traffic lasts.
const span = 1800

// line is one connection as it is written down: from now on, one packet
// after the other.
type line struct {
	f   *field
	id  int32
	now int64
	rtt int64
}

// open begins a connection of a client host (from 1) to a server host and port at a time (s).
func (f *field) open(client, server uint32, port uint16, at float64) *line {
	local := f.ports[client]
	if local < 32768 || local > 60998 {
		local = 32768
	}
	f.ports[client] = local + 1
	return f.openFrom(client, local, server, port, at)
}

func (f *field) openFrom(client uint32, local uint16, server uint32, port uint16, at float64) *line {
	c := conn{id: len(f.conns), rtt: int64(2e5 + f.rng.ExpFloat64()*2e6)}
	for s := range c.end {
		e := &c.end[s]
		e.seq, e.id, e.ts, e.ttl = f.rng.Uint32(), uint16(f.rng.Uint32()), f.rng.Uint32(), 64
	}
	c.end[1].ttl = 57
	c.end[0].host, c.end[0].port = client, local
	c.end[1].host, c.end[1].port = server, port
	f.conns = append(f.conns, c)
	return &line{f, int32(c.id), seconds(at), c.rtt}
}

func (l *line) do(from uint8, how manner, flags byte, data int) *line {
	l.f.plays = append(l.f.plays, play{l.now, l.id, from, how, flags, int32(data)})
	l.now += l.rtt / 2
	return l
}

func (l *line) wait(s float64) *line { l.now += seconds(s); return l }

// think waits for a random time of s seconds on average.
func (l *line) think(s float64) *line { return l.wait(l.f.rng.ExpFloat64() * s) }

func (l *line) send(from uint8, flags byte, data int) *line { return l.do(from, plain, flags, data) }

func (l *line) handshake() *line {
	return l.send(0, syn, 0).send(1, syn|ack, 0).send(0, ack, 0)
}

func (l *line) exchange(request, response int) *line {
	l.send(0, ack, request).send(1, ack, 0)
	for ; response > 0; response -= mss {
		l.send(1, ack, min(response, mss))
	}
	return l.send(0, ack, 0)
}

func (l *line) close(first uint8) *line {
	return l.send(first, fin|ack, 0).send(1-first, fin|ack, 0).send(first, ack, 0)
}

// finOnly is a FIN that is acknowledged and not answered.
func (l *line) finOnly(from uint8) *line { return l.send(from, fin|ack, 0).send(1-from, ack, 0) }

// play writes one packet.
func (g *generator) play(c *conn, p play) {
	s := int(p.from)
	e, o := &c.end[s], &c.end[1-s]
	got, seq := o.got, e.seq
	switch p.how {
	case stateless:
		c.phase = phEnd
		if o.got == 0 {
			c.phase = phSYN
		}
		g.stateless(c, s)
		return
	case forged:
		e.ttl -= 9
		g.segment(c, s, segment{flags: rst | ack, seq: e.seq, ack: e.got, window: 0, id: e.id + 7000})
		e.ttl += 9
		return
	case shut:
		g.segment(c, s, segment{flags: ack, seq: e.seq, ack: e.got, window: 0, id: e.id, opts: g.stamps(e)})
		e.id++
		return
	case again:
		e.seq -= uint32(p.data)
	case probe:
		e.seq--
	case sameSYN:
		e.seq--
	case crossed:
		e.got--
	}
	g.send(c, s, p.flags, int(p.data))
	switch p.how {
	case lost:
		o.got = got
	case again:
		if seq != e.seq {
			e.seq = seq
		}
	case probe:
		e.seq, o.got = seq, got
	case crossed:
		e.got++
	}
}

// stamps are the timestamps option of an end that sends now.
func (g *generator) stamps(e *end) []byte {
	now := e.ts + uint32((g.now-epoch)/1e6)
	return []byte{1, 1, 8, 10, byte(now >> 24), byte(now >> 16), byte(now >> 8), byte(now),
		byte(e.lastTS >> 24), byte(e.lastTS >> 16), byte(e.lastTS >> 8), byte(e.lastTS)}
}

// server gives a fault a server of its own and notes what must be found there.
func (f *field) server(kinds ...string) (host uint32, port uint16) {
	f.hosts++
	host, port = 1000+f.hosts, uint16(8000+f.hosts)
	for _, kind := range kinds {
		f.sown = append(f.sown, Sown{kind, endpointName(host, port)})
	}
	return host, port
}

func endpointName(host uint32, port uint16) string {
	c := conn{}
	c.end[1].host, c.end[1].port = host, port
	return c.addr(1).String()
}

func clientName(host uint32) string {
	c := conn{}
	c.end[0].host = host
	a := c.ip(0)
	return netip.AddrFrom16(a).Unmap().String()
}

// at is a random time (s) with room for what takes the given time.
func (f *field) at(room float64) float64 { return 20 + f.rng.Float64()*(span-20-room) }

// client is a random client host.
func (f *field) client() uint32 { return 1 + f.rng.Uint32N(60) }

// healthy is one connection of the background: it works, and ends in one of
// the ways that services end, now and then with a hitch that is no fault.
func (f *field) healthy() {
	server := 1 + f.rng.Uint32N(30)
	l := f.open(f.client(), server, 443, f.rng.Float64()*span)
	x := f.rng.Float64()
	if x < 0.002 { // one lost SYN
		l.send(0, syn, 0).wait(1).do(0, sameSYN, syn, 0).send(1, syn|ack, 0).send(0, ack, 0)
	} else if x < 0.003 { // refused once
		l.send(0, syn, 0).do(1, stateless, 0, 0)
		return
	} else {
		l.handshake()
	}
	for range 1 + int(f.rng.ExpFloat64()*2) {
		l.exchange(200+f.rng.IntN(400), 200+f.rng.IntN(4000)).think(3)
	}
	f.ending(l)
}

func (f *field) ending(l *line) {
	switch x := f.rng.Float64(); {
	case x < 0.55:
		l.close(0)
	case x < 0.75:
		l.think(20).close(1)
	case x < 0.80: // half-close: the server streams on for a while
		l.send(0, ack, 300).send(1, ack, 0).finOnly(0).think(5).send(1, ack, 1000).send(0, ack, 0).think(5).send(1, fin|ack, 0).send(0, ack, 0)
	case x < 0.82: // slow to close
		l.finOnly(0).think(5).send(1, fin|ack, 0).send(0, ack, 0)
	case x < 0.83: // a pool that closes with SetLinger(0), all answered
		l.send(0, rst|ack, 0)
	case x < 0.85: // quiet for long, and used again
		l.wait(f.rng.Float64()*300).exchange(200, 500).close(0)
	case x < 0.86: // one segment sent again
		l.send(0, ack, 300).wait(0.2).do(0, again, ack, 300).send(1, ack, 0).close(0)
	default:
		l.send(0, fin|ack, 0).send(1, ack, 0).think(0.05).send(1, fin|ack, 0).send(0, ack, 0)
	}
}
