package classify

import (
	"fmt"
	"math"

	"hangup/assembler"
)

// KindNeverClosed is a program that does not close what its peer has closed.
const KindNeverClosed = "never-closed"

const (
	// leakMany is from how many leaked sockets on a program endpoint is in
	// trouble: with the usual limit of 1,024 descriptors a percent of them
	// per capture is gone within hours.
	leakMany = 10
	// leakLate is how many closes must come after the peer's FIN_WAIT2 has
	// expired to be worth a line: one may be a slow last request.
	leakLate = 3
	// descriptors is the soft limit of open files that most systems start
	// programs with (ulimit -n); Go raises it to the hard limit since 1.19,
	// which containers often set to 1,048,576 and distributions to 4,096 or more.
	descriptors = 1024
)

// leaker is a program endpoint: a server's address and port, or a client host
// towards one.
type leaker struct {
	relation // client is zero if the server leaks
	side     assembler.Side
}

type leak struct {
	group
	late     group // closed at last, when FIN_WAIT2 had expired or would have
	lateMost int64
	expired  uint64 // leaked ones whose peer's FIN_WAIT2 has run out by now
	answered uint64 // leaked with the last request answered
	times    eventCount
	young    group  // not closed either, but watched for less than leakAge
	evicted  uint64 // of these, told early for want of room
}

// leaks keeps leaksMax program endpoints that leaked, of 3 kB.
type leaks struct {
	by     bounded[leaker, leak]
	ledger *ledger
}

const leaksMax = 1 << 10

func newLeaks(l *ledger) *leaks {
	k := &leaks{ledger: l}
	k.by.max = leaksMax
	return k
}

func (l *leaks) clone(led *ledger) collector { return &leaks{l.by.clone(nil), led} }

func (l *leaks) add(x *subject) {
	c, v := x.c, x.v
	if v.Cause != CloseWaitLeak && v.Cause != FinWait2Expired {
		return
	}
	env := x.env
	w := x.w
	first, ok := w.firstFIN()
	if !ok || c.Partial&assembler.OneWay != 0 {
		return
	}
	passive := first.Peer()
	closer, e := c.End(first), c.End(passive)
	k := leaker{x.pair, passive}
	if passive == assembler.Server {
		k.client = [16]byte{}
	}
	switch {
	case v.Cause == CloseWaitLeak && w.after(max(closer.FIN.Answered.Time, e.LastData.Time)) >= leakAge:
		g := l.by.at(k)
		g.times.add(closer.FIN.Answered.Time)
		if closer.AckedPastFIN == 0 {
			g.expired++
		}
		if e.LastData.Time > closer.LastData.Time {
			g.answered++
		}
		g.note(x, closer.FIN.Answered.Time, point{closer.FIN.First, first, saysFIN, 0},
			point{closer.FIN.Answered, passive, saysFINAcked, env.End - closer.FIN.Answered.Time})
	case v.Cause == CloseWaitLeak:
		g := l.by.at(k)
		g.evicted += uint64(b2i(c.Partial&assembler.Evicted != 0))
		g.young.note(x, closer.FIN.Answered.Time, point{closer.FIN.First, first, saysFIN, 0},
			point{closer.FIN.Answered, passive, saysFINAcked, env.End - closer.FIN.Answered.Time})
	case v.Cause == FinWait2Expired && e.FIN.Seen():
		g := l.by.at(k)
		took := e.FIN.First.Time - closer.FIN.First.Time
		g.lateMost = max(g.lateMost, took)
		g.late.note(x, e.FIN.First.Time, point{closer.FIN.First, first, saysFIN, 0}, point{e.FIN.First, passive, saysLateFIN, took})
	}
}

// closed is how many connections the same side closed after its peer, in time.
func (l *leaks) closed(k leaker) uint32 {
	if k.side == assembler.Server {
		if s := l.ledger.server(k.server); s != nil {
			return s.closedAfter
		}
	} else if p := l.ledger.pair(k.relation); p != nil {
		return p.closedAfter
	}
	return 0
}

func (l *leaks) finish(s *scene) (list []Finding) {
	for i := range l.by.items {
		g, k := &l.by.items[i].val, l.by.items[i].key
		dropped := l.by.dropped + l.ledger.servers.dropped
		switch {
		case g.n > 0 && s.scans.onlyScanners(&g.group):
		case g.n > 0 || g.late.n >= leakLate:
			list = append(list, g.report(k, s, l.closed(k), dropped))
		case g.evicted >= leakMany && s.env.End-g.young.first >= leakAge && !s.scans.onlyScanners(&g.young):
			list = append(list, g.unknown(k, dropped))
		}
	}
	return list
}

// perHour is the rate at which sockets leak, 0 where it cannot be told: over
// less than two minutes or five leaks.
func (g *leak) perHour(s *scene) float64 {
	// A leak shows only leakAge after its FIN: the last minute has none yet.
	span := s.length() - leakAge
	if g.n < 5 || span < 2*60*second {
		return 0
	}
	return float64(g.n) / (float64(span) / 3600e9)
}

// growth says how many were open at the quarters of the capture: leaked
// sockets only ever add up.
func (g *leak) growth(f *Finding, s *scene) {
	if g.n < 4 {
		return
	}
	for q := int64(1); q <= 4; q++ {
		until := s.first + s.length()*q/4
		f.number(fmt.Sprintf("in CLOSE_WAIT at %d %% of the capture", 25*q), float64(g.times.until(until)), "")
	}
}

func (g *leak) report(k leaker, s *scene, closed uint32, dropped uint64) Finding {
	f := g.finding(KindNeverClosed, g.severity(), Likely)
	if g.n == 0 {
		f = g.late.finding(KindNeverClosed, g.severity(), Likely)
		f.harm /= 2
	}
	who := k.who(&f)
	f.number("sockets never closed", float64(g.n), "")
	if g.n > 0 {
		f.seconds("youngest", s.env.End-g.last)
		f.seconds("median age", s.env.End-min(max(g.times.median(), g.first), g.last))
		f.seconds("oldest", s.env.End-g.first)
		f.number("peers whose FIN_WAIT2 has expired", float64(g.expired), "")
	}
	if g.young.n > 0 {
		f.number("not closed either, seen for less than a minute behind the FIN", float64(g.young.n), "")
	}
	if g.evicted > 0 {
		f.number("of these, told early for want of room", float64(g.evicted), "")
	}
	f.number("closed only after the peer's FIN_WAIT2 had expired", float64(g.late.n), "")
	f.number("closed in time meanwhile", float64(closed), "")
	g.growth(&f, s)
	rate := g.perHour(s)
	if rate > 0 {
		f.number("leaked per hour", math.Round(rate), "/h")
		f.seconds(fmt.Sprintf("until %d descriptors are used up", descriptors), int64(descriptors/rate*3600e9))
	}
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s does not close %s that the other side has closed.", upper(who), plural(g.n, "connection"))
	if g.n == 0 {
		f.Title = fmt.Sprintf("%s closes %s later than the other side's kernel waits.", upper(who), plural(g.late.n, "connection"))
	}
	f.What = "The other side said goodbye (FIN) and the kernel acknowledged it, but the program never called Close. " +
		"Each such socket stays in CLOSE_WAIT, for which there is no timer, and holds a file descriptor and usually a goroutine until the process ends; then accept and dial fail with EMFILE. " +
		"The side that closed waits in FIN_WAIT2, which its kernel gives up after 60 s on Linux."
	f.Advice = leakAdvice(k.side, g.answered*2 > g.n)
	if g.n == 1 {
		f.Confidence = Possible
		f.Alternatives = []string{WhyMayYetClose.String()}
	}
	return f
}

// who names the program that does not close, and notes where it is.
func (k *leaker) who(f *Finding) string {
	if k.side == assembler.Server {
		f.at("server", k.server)
		return "the server program at " + k.server.String()
	}
	f.at("client", endpoint{addr: k.client})
	f.at("server", k.server)
	return fmt.Sprintf("the client program on %s, towards %s,", endpoint{addr: k.client}, k.server)
}

// unknown says that connections were not followed for long enough to tell.
func (g *leak) unknown(k leaker, dropped uint64) Finding {
	f := g.young.finding(KindNeverClosed, Info, Possible)
	who := k.who(&f)
	f.number("not closed when last seen, less than a minute behind the FIN", float64(g.young.n), "")
	f.number("of these, told early for want of room", float64(g.evicted), "")
	f.overflow(dropped)
	f.Title = fmt.Sprintf("Whether %s closes %s cannot be told: there was no room to follow them for a minute.", who, plural(g.young.n, "connection"))
	f.What = "The other side said goodbye (FIN), and the program had not closed when hangup told of the connection early, to stay within its bounds. It may have closed later, or never."
	f.Advice = "Give more room (--max-conns, --max-memory), or look at fewer connections (a capture filter, --port, --host)."
	f.Alternatives = []string{WhyMayYetClose.String()}
	return f
}

// severity: one socket may be a program still at work; from leakMany on
// descriptors run out, and no program works that long on as many.
func (g *leak) severity() Severity {
	switch {
	case g.n >= leakMany:
		return Serious
	case g.n >= 2 || g.late.n >= leakLate:
		return Warning
	}
	return Info
}

func leakAdvice(side assembler.Side, answered bool) string {
	if side == assembler.Client {
		return "Look for the path that returns without Close. With net/http: defer resp.Body.Close() right after the error check, also when only the status is wanted, and on every early return; " +
			"read the body to its end if the connection is to be used again. An idle pooled connection that nobody reads does not notice the FIN: set IdleConnTimeout below the server's idle timeout."
	}
	if answered {
		return "The last request was answered, and nobody reads the connection any more. Look for the handler goroutine that blocks elsewhere (a channel, a lock, a call without deadline; pprof's goroutine profile names it) " +
			"or for an error path that returns without conn.Close(): put defer conn.Close() right behind Accept. Hijacked connections are yours to close."
	}
	return "The last request was never answered: the handler hangs. pprof's goroutine profile names the line. Give what it calls a context with a deadline, put defer conn.Close() right behind Accept, " +
		"and let a goroutine read the connection while the handler works, so that EOF cancels it (net/http does this by r.Context())."
}

// upper makes the first letter a capital.
func upper(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
