package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about SYNs that nothing answered.
const (
	KindUnreachable = "unreachable"
	KindSYNLoss     = "syn-loss"
)

const (
	unreachableMin = 3
	// synLossMin and synLossShare: a SYN is lost here and there on any path
	// (well below one percent); each costs its caller a second.
	synLossMin   = 5
	synLossShare = 0.02
	// loadFactor is how much busier the moments of loss must be than the
	// others for the load to be the likely cause.
	loadFactor = 2
)

// unheardSYNs tells servers that were away from servers that dropped some
// SYNs. It keeps unheardMax endpoints (17 kB each at most) of which SYNs were
// not answered at once.
type unheardSYNs struct {
	by     bounded[endpoint, unheard]
	ledger *ledger
}

const unheardMax = 1 << 10

type unheard struct {
	vain     failures // dials that nothing answered
	clients  crowd    // who made them
	lossy    group    // SYNs sent again, whether answered in the end or not
	timeouts uint64
	retried  uint64 // established, by a later SYN
	losses   eventCount
	delay    spread // from the first SYN to the SYN-ACK of those retried
}

func newUnanswered(l *ledger) *unheardSYNs {
	u := &unheardSYNs{ledger: l}
	u.by.max = unheardMax
	return u
}

func (u *unheardSYNs) clone(l *ledger) collector {
	return &unheardSYNs{u.by.clone(func(g *unheard) { g.vain.part() }), l}
}

func (u *unheardSYNs) add(x *subject) {
	c, v := x.c, x.v
	cl := x.w.cl
	if cl.SYN.Count < 2 || c.Partial&assembler.OneWay != 0 || c.Predecessor != 0 && c.Gap < timeWaitWindows {
		return // a SYN into an old connection has a finding of its own
	}
	t := c.First.Time
	again := point{cl.SYN.Last, assembler.Client, saysSYNAgain, int64(cl.SYN.Count)}
	switch {
	case v.Cause == ConnectTimeout && v.Confidence > Possible:
		g := u.by.at(x.pair.server)
		g.timeouts++
		g.losses.add(t)
		g.clients.addHash(&cl.Addr, x.clientHash)
		f := failedAt(c)
		f.shown.points = [3]point{{cl.SYN.First, assembler.Client, saysSYN, 0}, again}
		g.vain.add(f)
		g.lossy.note(x, t, again)
	case c.Established.Seen() && !answeredFirst(c):
		g := u.by.at(x.pair.server)
		g.retried++
		g.losses.add(t)
		g.delay.add(c.Established.Time - t)
		g.lossy.note(x, t, again)
	}
}

// answeredFirst reports whether the SYN was repeated although its answer was
// on the way: slow path, not loss.
func answeredFirst(c *assembler.Conn) bool {
	return c.End(assembler.Server).SYNACK.First.Time <= c.End(assembler.Client).SYN.Last.Time
}

func (u *unheardSYNs) finish(s *scene) (list []Finding) {
	for i := range u.by.items {
		g, k := &u.by.items[i].val, u.by.items[i].key
		if s.scans.onlyScanners(&g.lossy) || s.scans.flooded(k) || s.eyeballs.excused(k, g.timeouts) {
			continue
		}
		l := u.ledger.server(k)
		if l == nil {
			l = new(serverStat)
		}
		lost := g.timeouts + g.retried
		o := worst(g.vain.runs(&l.ok))
		alone := o.n >= unreachableMin && 10*o.n >= 8*g.timeouts
		switch {
		case alone:
			list = append(list, g.unreachable(k, &o, l, u.by.dropped+u.ledger.servers.dropped))
		case lost >= synLossMin && float64(lost) >= synLossShare*float64(lost+g.atOnce(l)):
			list = append(list, g.lossFinding(k, l, u.by.dropped+u.ledger.servers.dropped))
		}
	}
	return list
}

// atOnce is how many dials were answered at the first SYN.
func (g *unheard) atOnce(l *serverStat) uint64 {
	return uint64(l.ok.n) - min(uint64(l.ok.n), g.retried)
}

func (g *unheard) unreachable(server endpoint, o *run, l *serverStat, dropped uint64) Finding {
	all := o.group(&g.clients)
	f := all.finding(KindUnreachable, Serious, Likely)
	if (o.after != noTime || o.before != noTime) && (o.n >= 20 || g.clients.size() >= 3) {
		f.Severity = Critical
	}
	f.at("server", server)
	f.clients(&all)
	f.number("dials that nothing answered", float64(g.timeouts), "")
	f.number("dials that succeeded", float64(l.ok.n), "")
	f.seconds("first to last", o.last-o.first)
	if o.after != noTime {
		f.seconds("from the last success to the first failure", o.first-o.after)
	}
	if o.before != noTime {
		f.seconds("from the last failure to the next success", o.before-o.last)
	}
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s answered no SYN at all: %s in vain.", server, plural(o.n, "dial"))
	f.What = "SYNs were repeated and nothing came back, neither RST nor ICMP: the host is down, the address is wrong, or a firewall drops silently. Callers hang until their own timeout; the kernel's is over two minutes."
	f.Advice = "Set net.Dialer.Timeout to a few seconds (http.DefaultTransport has 30 s), and dial under the request's context. Try several addresses in parallel or in turn. A firewall that rejects with ICMP or RST instead of dropping lets callers fail at once."
	return f
}

func (g *unheard) lossFinding(server endpoint, l *serverStat, dropped uint64) Finding {
	busy, calm, quietLoss := g.load(l)
	ok := g.atOnce(l)
	lost := g.timeouts + g.retried
	f := g.lossy.finding(KindSYNLoss, Serious, Likely)
	f.at("server", server)
	f.clients(&g.lossy)
	f.number("dials whose first SYN was not answered", float64(lost), "")
	f.number("of them never answered", float64(g.timeouts), "")
	f.number("dials answered at once", float64(ok), "")
	f.number("share", 100*float64(lost)/float64(lost+ok), "%")
	if g.delay.total > 0 {
		f.seconds("median time to connect for those repeated", g.delay.quantile(0.5))
	}
	if l.rtt.total > 0 {
		f.seconds("median time to connect for the others", l.rtt.median())
	}
	f.number("dials per second where SYNs were lost", busy, "/s")
	f.number("dials per second elsewhere", calm, "/s")
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s or the path to it loses SYNs: %d of %d dials had to wait for a repeat.", server, lost, lost+ok)
	f.What = "A lost SYN is sent again after a second, then two, then four: callers see connects that take just about 1, 3 or 7 s while all others take a round trip. "
	if busy >= loadFactor*calm && calm > 0 && quietLoss < 0.2 {
		f.Confidence = Likely
		f.Title = fmt.Sprintf("%s drops SYNs under load: %d of %d dials had to wait for a repeat.", server, lost, lost+ok)
		f.What += fmt.Sprintf("The losses come when there are %.0f dials a second and hardly at %.0f: the listener's queue of connections waiting for Accept is full (its kernel then drops SYNs too), or a rate limit or full conntrack table strikes.", busy, calm)
		f.Advice = "Accept faster (a loop that does nothing else), raise net.core.somaxconn, look at ListenOverflows and ListenDrops (nstat) and nf_conntrack_count. In clients reuse connections: each dial saved is a SYN that cannot be lost."
		return f
	}
	f.Confidence = Possible
	f.What += "Either the path loses packets, or the server's kernel drops SYNs because a queue is full; these losses do not follow the load clearly enough to tell."
	f.Advice = "Look for loss on the path (the packet-loss finding, if there is one) and at ListenOverflows, ListenDrops and nf_conntrack_count on the server. In clients reuse connections."
	return f
}

// load compares the rate of dials in moments with losses to that in moments
// without, and tells which share of the losses fell into calm moments.
func (g *unheard) load(l *serverStat) (busy, calm, quietLoss float64) {
	if l.dialled == nil {
		return 0, 0, 0
	}
	losses, dials := g.losses, *l.dialled
	for losses.shift < dials.shift {
		losses.widen()
	}
	for dials.shift < losses.shift {
		dials.widen()
	}
	var nb, nc, lost, quiet float64
	for i := dials.lo; i <= dials.hi; i++ {
		n := float64(dials.in(i))
		switch {
		case n == 0:
		case losses.in(i) > 0:
			busy += n
			nb++
		default:
			calm += n
			nc++
		}
	}
	w := float64(dials.width()) / 1e9
	if nb > 0 {
		busy /= nb * w
	}
	if nc > 0 {
		calm /= nc * w
	}
	for i := losses.lo; i <= losses.hi; i++ {
		n := float64(losses.in(i))
		lost += n
		if float64(dials.in(i))/w < (busy+calm)/2 {
			quiet += n
		}
	}
	if lost > 0 {
		quietLoss = quiet / lost
	}
	return busy, calm, quietLoss
}
