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

// unheardSYNs tells servers that were away from servers that dropped some SYNs.
type unheardSYNs struct {
	by bounded[endpoint, unheard]
}

type unheard struct {
	run, worst outage // of dials that nothing answered
	lossy      group  // SYNs sent again, whether answered in the end or not
	timeouts   uint64
	retried    uint64 // established, by a later SYN
	ok         uint64 // established, by the first
	lastOK     int64
	dials      eventCount
	losses     eventCount
	rtt        spread
	delay      spread // from the first SYN to the SYN-ACK of those retried
}

func newUnanswered() *unheardSYNs {
	u := &unheardSYNs{}
	u.by.max = 1024
	return u
}

func (u *unheardSYNs) add(x *subject) {
	c, v := x.c, x.v
	cl := c.End(assembler.Client)
	if !cl.SYN.Seen() || c.Partial&assembler.OneWay != 0 || c.Predecessor != 0 && c.Gap < timeWaitWindows {
		return // a SYN into an old connection has a finding of its own
	}
	g := u.by.at(endpointOf(c.End(assembler.Server)))
	t := c.First.Time
	if g.dials.width == 0 {
		g.losses.start, g.losses.width = t, firstWidth
	}
	g.dials.add(t)
	again := point{cl.SYN.Last, assembler.Client, saysSYNAgain, int64(cl.SYN.Count)}
	switch {
	case v.Cause == ConnectTimeout && cl.SYN.Count >= 2 && v.Confidence > Possible:
		g.timeouts++
		g.losses.add(t)
		if g.run.n == 0 {
			g.run.after = g.lastOK
		}
		g.run.note(c, t, point{cl.SYN.First, assembler.Client, saysSYN, 0}, again)
		g.lossy.note(c, t, again)
	case c.Established.Seen() && cl.SYN.Count >= 2 && !answeredFirst(c):
		g.retried++
		g.losses.add(t)
		g.delay.add(c.Established.Time - t)
		g.lossy.note(c, t, again)
		g.succeeded(t)
	case c.Established.Seen():
		g.ok++
		g.rtt.add(c.RTTServer + c.RTTClient)
		g.succeeded(t)
	}
}

// answeredFirst reports whether the SYN was repeated although its answer was
// on the way: slow path, not loss.
func answeredFirst(c *assembler.Conn) bool {
	return c.End(assembler.Server).SYNACK.First.Time <= c.End(assembler.Client).SYN.Last.Time
}

func (g *unheard) succeeded(t int64) {
	g.lastOK = t
	if g.run.n > 0 {
		g.run.before = t
		g.close()
	}
}

func (g *unheard) close() {
	if g.run.n > g.worst.n {
		g.worst = g.run
	}
	g.run = outage{}
}

func (u *unheardSYNs) finish(s *scene) (list []Finding) {
	for i := range u.by.items {
		g, k := &u.by.items[i].val, u.by.items[i].key
		g.close()
		if s.scans.onlyScanners(&g.lossy) || s.scans.flooded(k) || s.eyeballs.excused(k, g.timeouts) {
			continue
		}
		lost := g.timeouts + g.retried
		alone := g.worst.n >= unreachableMin && 10*g.worst.n >= 8*g.timeouts
		switch {
		case alone:
			list = append(list, g.unreachable(k, u.by.dropped))
		case lost >= synLossMin && float64(lost) >= synLossShare*float64(lost+g.ok):
			list = append(list, g.lossFinding(k, u.by.dropped))
		}
	}
	return list
}

func (g *unheard) unreachable(server endpoint, dropped uint64) Finding {
	o := &g.worst
	f := o.finding(KindUnreachable, Serious, Likely)
	if (o.after != 0 || o.before != 0) && (o.n >= 20 || o.clients.size() >= 3) {
		f.Severity = Critical
	}
	f.at("server", server)
	f.clients(&o.group)
	f.number("dials that nothing answered", float64(g.timeouts), "")
	f.number("dials that succeeded", float64(g.ok+g.retried), "")
	f.seconds("first to last", o.last-o.first)
	if o.after != 0 {
		f.seconds("from the last success to the first failure", o.first-o.after)
	}
	if o.before != 0 {
		f.seconds("from the last failure to the next success", o.before-o.last)
	}
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s answered no SYN at all: %s in vain.", server, plural(o.n, "dial"))
	f.What = "SYNs were repeated and nothing came back, neither RST nor ICMP: the host is down, the address is wrong, or a firewall drops silently. Callers hang until their own timeout; the kernel's is over two minutes."
	f.Advice = "Set net.Dialer.Timeout to a few seconds (http.DefaultTransport has 30 s), and dial under the request's context. Try several addresses in parallel or in turn. A firewall that rejects with ICMP or RST instead of dropping lets callers fail at once."
	return f
}

func (g *unheard) lossFinding(server endpoint, dropped uint64) Finding {
	busy, calm, quietLoss := g.load()
	lost := g.timeouts + g.retried
	f := g.lossy.finding(KindSYNLoss, Serious, Likely)
	f.at("server", server)
	f.clients(&g.lossy)
	f.number("dials whose first SYN was not answered", float64(lost), "")
	f.number("of them never answered", float64(g.timeouts), "")
	f.number("dials answered at once", float64(g.ok), "")
	f.number("share", 100*float64(lost)/float64(lost+g.ok), "%")
	if g.delay.total > 0 {
		f.seconds("median time to connect for those repeated", g.delay.quantile(0.5))
	}
	if g.rtt.total > 0 {
		f.seconds("median time to connect for the others", g.rtt.quantile(0.5))
	}
	f.number("dials per second where SYNs were lost", busy, "/s")
	f.number("dials per second elsewhere", calm, "/s")
	f.overflow(dropped)
	f.Title = fmt.Sprintf("%s or the path to it loses SYNs: %d of %d dials had to wait for a repeat.", server, lost, lost+g.ok)
	f.What = "A lost SYN is sent again after a second, then two, then four: callers see connects that take just about 1, 3 or 7 s while all others take a round trip. "
	if busy >= loadFactor*calm && calm > 0 && quietLoss < 0.2 {
		f.Confidence = Likely
		f.Title = fmt.Sprintf("%s drops SYNs under load: %d of %d dials had to wait for a repeat.", server, lost, lost+g.ok)
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
func (g *unheard) load() (busy, calm, quietLoss float64) {
	for g.losses.width < g.dials.width {
		g.losses.widen()
	}
	for g.dials.width < g.losses.width {
		g.dials.widen()
	}
	var nb, nc, lost, quiet float64
	for i, n := range g.dials.n {
		switch {
		case n == 0:
		case g.losses.n[i] > 0:
			busy += float64(n)
			nb++
		default:
			calm += float64(n)
			nc++
		}
	}
	w := float64(g.dials.width) / 1e9
	if nb > 0 {
		busy /= nb * w
	}
	if nc > 0 {
		calm /= nc * w
	}
	for i, n := range g.losses.n {
		lost += float64(n)
		if float64(g.dials.n[i])/w < (busy+calm)/2 {
			quiet += float64(n)
		}
	}
	if lost > 0 {
		quietLoss = quiet / lost
	}
	return busy, calm, quietLoss
}
