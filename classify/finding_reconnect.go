package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about dialling again.
const (
	KindReconnectLoop = "reconnect-loop"
	KindReconnects    = "reconnects"
	KindStorm         = "reconnect-storm"
)

const (
	// loopMin is how many futile attempts in a row make a loop. A person or
	// a start script tries three or four times.
	loopMin = 8
	// reconnectMin is from how many on a series is worth an informative line.
	reconnectMin = 5
	// loopFast is the mean interval (ns) below which attempts without growth
	// do harm: one per second and client is what health checks and polite
	// clients stay above.
	loopFast = second
	// loopHot is where a series becomes a busy loop.
	loopHot = 100 * milli
	// loopLong is from how many attempts on even loopSlow shows that nobody
	// bounded the retries. Health checks, every 5 s or so, are slower still.
	loopLong = 50
	loopSlow = 3 * second
	// keptIntervals is how much of a series is kept for the fit.
	keptIntervals = 32
)

// reconnects follows each client's dials to each server.
type reconnects struct {
	by bounded[relation, dialSeries]
}

// dialSeries is the current run of futile attempts, and the longest.
type dialSeries struct {
	run, worst attempts
	runs       uint32 // of at least reconnectMin
}

type attempts struct {
	group
	begin, prev, prevEnd int64
	intervals            [keptIntervals]int64
	nint                 uint32
	sum                  int64
	parallel             uint32
	success              int64 // ns: when an attempt succeeded at last, 0 if none did
}

func newReconnects() *reconnects {
	r := &reconnects{}
	r.by.max = 1024
	return r
}

// fruitless reports whether the dial led to no answer: it failed, or the
// server took the connection and dropped it without a byte.
func fruitless(c *assembler.Conn, v *Verdict) bool {
	if failedDial(v) || v.Cause == AcceptQueueOverflow || v.Cause == HandshakeIncomplete {
		return true
	}
	dropped := v.Class == Reset || v.Class == Graceful && v.By == ByServer
	return dropped && c.Established.Seen() && c.End(assembler.Server).Bytes == 0 && v.By != ByClient
}

func (r *reconnects) add(x *subject) {
	c, v := x.c, x.v
	if !c.End(assembler.Client).SYN.Seen() {
		return
	}
	k := relationOf(c)
	if !fruitless(c, v) {
		if s := r.by.find(k); s != nil && s.run.n > 0 {
			s.run.success = c.First.Time
			s.close()
		}
		return
	}
	s := r.by.at(k)
	s.run.attempt(c)
}

func (a *attempts) attempt(c *assembler.Conn) {
	t := c.First.Time
	p := point{c.First, assembler.Client, saysSYN, 0}
	if rst := c.EffectiveReset(); rst != nil {
		a.note(c, t, p, point{rst.Stamp, rst.Side, saysRST, 0})
	} else {
		a.note(c, t, p)
	}
	switch {
	case a.n == 1:
		a.begin = t
	case t < a.prevEnd:
		a.parallel++ // begun while another was under way: a pool, not a retry
		a.prevEnd = max(a.prevEnd, c.Last.Time)
		return
	default:
		if a.nint < keptIntervals {
			a.intervals[a.nint] = t - a.prev
		}
		a.nint++
		a.sum += t - a.prev
	}
	a.prev, a.prevEnd = t, c.Last.Time
}

// close ends the current run.
func (s *dialSeries) close() {
	if s.run.n >= reconnectMin {
		s.runs++
	}
	if s.run.n > s.worst.n {
		s.worst = s.run
	}
	s.run = attempts{}
}

// fit is the law of the first intervals of the series: those that show a
// growth before it reaches its cap.
func (a *attempts) fit() fit { return fitIntervals(a.intervals[:min(a.nint, keptIntervals)]) }

func (r *reconnects) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		d, k := &r.by.items[i].val, r.by.items[i].key
		d.close()
		a := &d.worst
		if a.n < reconnectMin || a.nint < fitMin || s.scans.scanner(k.client) || s.scans.flooded(k.server) {
			continue
		}
		list = append(list, a.report(k, d.runs, s, r.by.dropped))
	}
	return list
}

func (a *attempts) report(k relation, runs uint32, s *scene, dropped uint64) Finding {
	law := a.fit()
	mean := a.sum / int64(a.nint)
	loop := law.pattern != exponentialInterval && (a.n >= loopMin && mean < loopFast || a.n >= loopLong && mean < loopSlow)
	f := a.finding(KindReconnects, Info, Certain)
	client := endpoint{addr: k.client}
	if loop {
		f.Kind, f.Severity = KindReconnectLoop, Warning
		if mean < loopHot && a.n >= loopLong {
			f.Severity = Serious
		}
	}
	f.at("client", client)
	f.at("server", k.server)
	f.number("attempts in a row", float64(a.n), "")
	f.number("such series", float64(runs), "")
	f.seconds("mean interval", mean)
	if law.pattern == exponentialInterval {
		f.number("growth factor", law.factor, "")
	}
	f.number("jitter", 100*law.jitter, "%")
	f.number("begun while another was under way", float64(a.parallel), "")
	end := "none succeeded while the capture ran"
	if a.success != 0 {
		f.seconds("from the first attempt to success", a.success-a.begin)
		end = fmt.Sprintf("the next one succeeded, %s after the first", dur(a.success-a.begin))
	}
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s dialled %s in vain %d times in a row; %s.", client, k.server, a.n, end)
	f.What = fmt.Sprintf("Every attempt failed, or was dropped before the server sent a byte. The intervals between them are %s. ", law)
	if loop {
		f.What += "Attempts that come this often and never slow down keep a server busy that is just coming back, fill logs, and use up local ports."
		f.Advice = "Wait between attempts: double the delay from about 100 ms up to 30 s or so, multiply it by a random factor between 0.5 and 1 (math/rand/v2), and stop when the context's deadline is over. " +
			"Reset the delay only once a connection has proved useful, not when Dial returns: a proxy in front of a dead server accepts, and drops."
		return f
	}
	f.What += "That is what the client should do while a server is away."
	if law.pattern == exponentialInterval && law.jitter < 0.02 {
		f.Advice = "Add jitter: many clients that lost the same server at the same time come back in step otherwise."
	}
	return f
}
