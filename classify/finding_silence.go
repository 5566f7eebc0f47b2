package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about peers that fell silent and signs of life.
const (
	KindSilentPeer = "silent-peer"
	KindHeartbeats = "heartbeats"
)

// silentMin is how many connections to one host must fall silent to be its
// pattern and not one bad day of a laptop.
const silentMin = 2

// silences gathers connections whose far end went quiet in use.
type silences struct {
	by bounded[silentEnd, silence] // silencesMax of 2 kB
}

const silencesMax = 1 << 10

type silentEnd struct {
	host [16]byte
	side assembler.Side
}

type silence struct {
	group
	found        spread // from the last sign of life to the last try
	probes, data uint64
	trying       uint64
	server       endpoint
	bytes        uint64
}

func newSilences() *silences {
	s := &silences{}
	s.by.max = silencesMax
	return s
}

func (s *silences) clone(*ledger) collector { return &silences{s.by.clone(nil)} }

func (s *silences) add(x *subject) {
	c, v := x.c, x.v
	switch v.Cause {
	case RetransmissionTimeout, KeepaliveTimeout, PeerVanished:
	default:
		return
	}
	w := x.w
	if idle, _, ok := fatalSilence(w, v); ok && idle >= idleCutMin {
		return // quiet before: a matter of idle timers
	}
	e, t := w.silent(dataOf, 1)
	by := &silence{}
	if e == nil {
		if e, t = w.silent(probeOf, 1); e == nil {
			return
		}
		by.probes++
	} else {
		by.data++
	}
	gone := w.sideOf(e).Peer()
	o := c.End(gone)
	if !o.Last.Seen() {
		return // never heard: an unanswered dial, or one direction missing
	}
	g := s.by.at(silentEnd{o.Addr, gone})
	g.probes += by.probes
	g.data += by.data
	if v.Cause == PeerVanished {
		g.trying++
	}
	if sv := x.pair.server; g.n == 0 || sv.less(&g.server) {
		g.server = sv // of several, one that does not depend on who came first
	}
	g.bytes += uint64(e.Outstanding())
	last := t.Last
	if w.rst != nil && w.rst.Time > last.Time {
		last = w.rst.Stamp
	}
	took := last.Time - o.Last.Time
	g.found.add(took)
	g.note(x, o.Last.Time, point{o.Last, gone, saysLastHeard, 0}, point{last, gone.Peer(), saysLastTry, took})
}

func (s *silences) finish(sc *scene) (list []Finding) {
	for i := range s.by.items {
		g, k := &s.by.items[i].val, s.by.items[i].key
		if g.n < silentMin {
			continue
		}
		f := g.finding(KindSilentPeer, Serious, Likely)
		f.at(k.side.String(), endpoint{addr: k.host})
		if k.side == assembler.Server {
			f.Where[0].Port = g.server.port
			f.clients(&g.group)
		} else {
			f.at("server", g.server)
		}
		f.number("connections that fell silent", float64(g.n), "")
		f.number("noticed by data sent in vain", float64(g.data), "")
		f.number("noticed by keep-alive", float64(g.probes), "")
		f.number("still being tried when the capture ends", float64(g.trying), "")
		f.seconds("shortest time to give up", g.found.min)
		f.seconds("median time to give up", g.found.quantile(0.5))
		f.seconds("longest time to give up", g.found.max)
		f.number("bytes never acknowledged", float64(g.bytes), "bytes")
		f.overflow(s.by.dropped)
		f.Title = fmt.Sprintf("%s stopped answering in %d connections; half of them noticed within %s.", f.Where[0], g.n, dur(g.found.quantile(0.5)))
		f.What = "Packets to this host went unanswered from one moment on, without FIN or RST: the host or its network went away, or something in between drops its packets. " +
			"The other side can only wait for its own timer, and its callers wait with it: Linux retransmits for 15 minutes and more, Go's keep-alive takes 150 s."
		f.Advice = silentAdvice
		list = append(list, f)
	}
	return list
}

const silentAdvice = "Decide how long a request may hang and say so: a context with a deadline on each request, SetReadDeadline before each Read, http.Client.Timeout or ResponseHeaderTimeout. " +
	"For the connection itself set TCP_USER_TIMEOUT (by net.Dialer.Control; gRPC-Go does it by its keepalive parameters) and net.KeepAliveConfig; for HTTP/2 http2.Transport.ReadIdleTimeout."

// heartbeats recognises what keeps quiet connections alive.
type heartbeats struct {
	by bounded[endpoint, heartbeat] // heartbeatsMax of 4 kB
}

const heartbeatsMax = 512

type heartbeat struct {
	tcp, app     group
	tcpPeriod    spread
	appPeriod    spread
	sides        [2]uint64 // whose payload beats
	both         uint64
	probeSides   [2]uint64
	silentProbes uint64
	silentBeats  uint64
}

func newHeartbeats() *heartbeats {
	h := &heartbeats{}
	h.by.max = heartbeatsMax
	return h
}

func (h *heartbeats) clone(*ledger) collector { return &heartbeats{h.by.clone(nil)} }

// probesMin is how many keep-alive probes show a period.
const probesMin = 2

func (h *heartbeats) add(x *subject) {
	c := x.c
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	beat := (cl.Beat.Count > 0 || sv.Beat.Count > 0) && !polls(cl, sv)
	if !beat && !answeredOnce(cl) && !answeredOnce(sv) {
		return
	}
	g := h.by.at(x.pair.server)
	for s := range c.Ends {
		e, side := &c.Ends[s], assembler.Side(s)
		if e.Probe.Idle > 0 && answeredOnce(e) {
			g.probeSides[s]++
			// A run of unanswered probes has its own, shorter interval.
			g.tcpPeriod.add(e.Probe.Idle)
			if e.Probe.Pending() {
				g.silentProbes++
			}
			g.tcp.note(x, e.Probe.First.Time, point{e.Probe.First, side, saysProbe, e.Probe.Idle})
		}
		if e.Beat.Count > 0 {
			g.sides[s]++
		}
	}
	if !beat {
		return
	}
	side, e := assembler.Client, cl
	if sv.Beat.Count > cl.Beat.Count {
		side, e = assembler.Server, sv
	}
	if cl.Beat.Count > 0 && sv.Beat.Count > 0 {
		g.both++
	}
	if e.Data.Pending() {
		g.silentBeats++
	}
	g.appPeriod.add(e.Beat.Period)
	g.app.note(x, e.LastData.Time, point{e.LastData, side, saysBeat, e.Beat.Period})
}

// pollBytes is the least answer to a regular payload that makes it
// a poll (a metrics scrape, a queue's fetch) and no sign of life.
const pollBytes = 1024

// polls reports whether the other end answered the latest beat at length.
func polls(cl, sv *assembler.End) bool {
	e := cl
	if sv.Beat.Count > cl.Beat.Count {
		e = sv
	}
	return e.SinceData >= pollBytes
}

// answeredOnce reports whether any of e's probes was answered: only then do
// they keep something alive.
func answeredOnce(e *assembler.End) bool {
	return e.KeepAlives >= probesMin && (e.Probe.Answered.Seen() || e.KeepAlives > e.Probe.Count)
}

func (h *heartbeats) finish(*scene) (list []Finding) {
	for i := range h.by.items {
		g := &h.by.items[i].val
		if g.app.n+g.tcp.n == 0 {
			continue
		}
		g2 := g.app
		if g.app.n == 0 {
			g2 = g.tcp
		}
		f := g2.finding(KindHeartbeats, Info, Likely)
		f.at("server", h.by.items[i].key)
		period := int64(1<<63 - 1)
		what := ""
		if g.app.n > 0 {
			period = g.appPeriod.quantile(0.5)
			what = fmt.Sprintf("a small payload every %s", dur(period))
			f.number("connections with a heartbeat of the program's", float64(g.app.n), "")
			f.seconds("its period", period)
			f.number("with both sides beating or answering", float64(g.both), "")
			f.number("whose last beat was not acknowledged", float64(g.silentBeats), "")
		}
		if g.tcp.n > 0 {
			p := g.tcpPeriod.quantile(0.5)
			period = min(period, p)
			if what != "" {
				what += " and "
			}
			what += fmt.Sprintf("a TCP keep-alive probe after %s of silence", dur(p))
			f.number("connections with TCP keep-alive", float64(g.tcp.n), "")
			f.seconds("probes after a silence of", p)
			f.number("probed by the client", float64(g.probeSides[0]), "")
			f.number("probed by the server", float64(g.probeSides[1]), "")
			f.number("whose last probe was not answered", float64(g.silentProbes), "")
		}
		f.harm, f.beat = 0, what
		f.Title = fmt.Sprintf("Quiet connections to %s are kept alive by %s.", h.by.items[i].key, what)
		f.What = "Heartbeats tell a dead peer from a quiet one, and keep the entries of NATs and load balancers fresh. The period must be below the shortest idle timer on the way."
		if s := timersShorter(period); s != "" {
			f.Advice = "This period is longer than these idle timers, should one be on the way: " + s + ". Beat at less than half the shortest."
		}
		list = append(list, f)
	}
	return list
}
