package classify

import (
	"fmt"
	"slices"

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
	// bounded the retries, unless they come like clockwork: health checks come
	// every second or two as well, and are meant to go on.
	loopLong  = 50
	loopSlow  = 3 * second
	clockwork = 0.1 // of jitter, at most
	// keptIntervals is how much of a series is kept for the fit.
	keptIntervals = 32
)

// reconnects follows each client's dials to each server. It keeps
// reconnectsMax pairs (17 kB each at most) of which dials failed.
type reconnects struct {
	by     table[relation, attempts]
	ledger *ledger
}

const reconnectsMax = 1 << 10

// attempts are the futile dials of one client to one server.
type attempts struct {
	vain  failures
	early []span // the first keptIntervals+1 of them, in order
	why   causes
}

// series is one run of attempts.
type series struct {
	run
	intervals []int64 // ns, in order; of buckets that joined several their mean
	parallel  uint64  // begun while another was under way
	success   int64   // ns: when an attempt succeeded at last, noTime if none did
}

func newReconnects(l *ledger) *reconnects {
	r := &reconnects{ledger: l}
	r.by.max = reconnectsMax
	return r
}

func (r *reconnects) clone(l *ledger) collector {
	return &reconnects{r.by.clone(func(a *attempts) {
		a.vain.part()
		a.early = slices.Clone(a.early)
	}), l}
}

// fruitless reports whether the dial led to no answer: it failed, or the
// server took the connection and dropped it without a byte.
func fruitless(c *assembler.Conn, v *Verdict) bool {
	if probed(c, v) {
		return false
	}
	if failedDial(v) || v.Cause == AcceptQueueOverflow || v.Cause == HandshakeIncomplete {
		return true
	}
	dropped := v.Class == Reset || v.Class == Graceful && v.By == ByServer
	return dropped && c.Established.Seen() && c.End(assembler.Server).Bytes == 0 && v.By != ByClient
}

// probeTrip is how soon (ns) a SYN-ACK comes that no dial can have given up
// waiting for.
const probeTrip = 100 * milli

// probed reports whether the client only asked whether somebody answers SYNs,
// and reset the handshake as soon as it knew: load balancers check health so
// (half-open or "SYN" checks), without a socket of their kernel's.
func probed(c *assembler.Conn, v *Verdict) bool {
	a := c.End(assembler.Server).SYNACK
	return v.Cause == DialCancelled && a.Seen() && c.End(assembler.Client).SYN.Count == 1 && a.First.Time-c.First.Time < probeTrip
}

func (r *reconnects) add(x *subject) {
	c := x.c
	a := r.by.at(&x.pair, x.pairHash)
	a.why.add(x.v.Cause)
	a.next(span{c.First.Time, c.Last.Time})
	if a.vain.again(c.First.Time, c.Last.Time) {
		return
	}
	f := failedAt(c)
	f.shown.points[0] = point{c.First, assembler.Client, saysSYN, 0}
	if rst := c.EffectiveReset(); rst != nil {
		f.shown.points[1] = point{rst.Stamp, rst.Side, saysRST, 0}
	}
	a.vain.add(f)
}

// next notes when an attempt began and was over, once there are two.
func (a *attempts) next(s span) {
	first := &a.vain.one
	if first.n == 0 {
		return
	}
	if a.early == nil {
		a.early = append(make([]span, 0, 4), span{first.first, first.end})
	}
	a.begun(s)
}

// begun keeps an attempt if it is among the first.
func (a *attempts) begun(s span) {
	i := len(a.early)
	for i > 0 && (s.from < a.early[i-1].from || s.from == a.early[i-1].from && s.to < a.early[i-1].to) {
		i--
	}
	if i > keptIntervals {
		return
	}
	if a.early = slices.Insert(a.early, i, s); len(a.early) > keptIntervals+1 {
		a.early = a.early[:keptIntervals+1]
	}
}

// worst is the longest run, and how many there were of reconnectMin attempts.
func (a *attempts) worst(ok *moments) (s series, runs int) {
	list := a.vain.runs(ok)
	for i := range list {
		runs += b2i(list[i].n >= reconnectMin)
	}
	s.run = worst(list)
	s.success = ok.after(s.last)
	var spans []span
	for i := range s.buckets {
		b := &s.buckets[i]
		step := (b.last - b.first) / int64(max(b.n-1, 1))
		for k := range min(int64(b.n), keptIntervals) {
			from := b.first + k*step
			to := from // no more is known of those that were joined
			if b.n == 1 {
				to = b.end
			}
			spans = append(spans, span{from, to})
		}
	}
	if joined := len(spans) > mostFailures; joined && len(a.early) > fitMin && a.early[0].from == s.first {
		spans = a.early
	}
	s.measure(spans)
	return s, runs
}

// measure takes the intervals between attempts that followed each other;
// one begun while another was under way is a pool's, not a retry.
func (s *series) measure(spans []span) {
	prev := span{}
	for i, a := range spans {
		switch {
		case i == 0:
			prev = a
		case a.from < prev.to:
			s.parallel++
			prev.to = max(prev.to, a.to)
		default:
			s.intervals = append(s.intervals, a.from-prev.from)
			prev = a
		}
	}
}

// mean is the mean interval (ns).
func (s *series) mean() int64 {
	if len(s.buckets) < int(s.n) { // joined: whatever overlapped is not known
		return (s.last - s.first) / int64(s.n-1)
	}
	sum := int64(0)
	for _, d := range s.intervals {
		sum += d
	}
	return sum / int64(len(s.intervals))
}

func (r *reconnects) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		a, k := &r.by.items[i].val, r.by.items[i].key
		if s.scans.scanner(k.client) || s.scans.flooded(k.server) {
			continue
		}
		ok := new(moments)
		if p := r.ledger.pair(k); p != nil {
			ok = &p.ok
		}
		w, runs := a.worst(ok)
		if w.n < reconnectMin || len(w.intervals) < fitMin {
			continue
		}
		list = append(list, w.report(k, a.why, runs, r.by.dropped+r.ledger.pairs.dropped))
	}
	return list
}

const loopHarm = "Attempts that come this often and never slow down keep a server busy that is just coming back, fill logs, and use up local ports."

func (a *series) report(k relation, why causes, runs int, dropped uint64) Finding {
	// The first intervals show a growth before it reaches its cap.
	law := fitIntervals(a.intervals[:min(len(a.intervals), keptIntervals)])
	mean := a.mean()
	steady := law.pattern == constantInterval && law.jitter < clockwork
	loop := law.pattern != exponentialInterval && (a.n >= loopMin && mean < loopFast || a.n >= loopLong && mean < loopSlow && !steady)
	one := crowd{}
	one.add(k.client)
	all := a.group(&one)
	f := all.finding(KindReconnects, Info, Certain)
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
	if a.success != noTime {
		f.seconds("from the first attempt to success", a.success-a.first)
		end = fmt.Sprintf("the next one succeeded, %s after the first", dur(a.success-a.first))
	}
	f.overflow(dropped)
	f.retries = &retries{k.server, client, a.n, 1, mean, law, why}
	f.Title = fmt.Sprintf("%s dialled %s in vain %d times in a row; %s.", client, k.server, a.n, end)
	f.What = fmt.Sprintf(everyAttempt+"The intervals between them are %s. ", law)
	if loop {
		f.What += loopHarm
		f.Advice = "Wait between attempts: double the delay from about 100 ms up to 30 s or so, multiply it by a random factor between 0.5 and 1 (math/rand/v2), and stop when the context's deadline is over. " +
			"Reset the delay only once a connection has proved useful, not when Dial returns: a proxy in front of a dead server accepts, and drops."
		return f
	}
	f.What += "That is what the client should do while a server is away."
	if steady && a.n >= loopLong {
		f.Advice = "If this is no health check, let the client double its delay after each failure, up to 30 s or so, with jitter."
	}
	if law.pattern == exponentialInterval && law.jitter < 0.02 {
		f.Advice = "Add jitter: many clients that lost the same server at the same time come back in step otherwise."
	}
	return f
}
