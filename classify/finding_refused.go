package classify

import (
	"fmt"

	"hangup/assembler"
)

// KindServerDown is a server on whose port nothing listened for a while.
const KindServerDown = "server-down"

// refusedMin is how many refusals at one endpoint mean that a service was
// down, and not that somebody tried a port once or twice.
const refusedMin = 3

const (
	// severalClients make an outage matter to more than one program.
	severalClients = 3
	// hiccup is how long (ns) an outage is bridged by a retry or two, and
	// outageLong what a restart takes that nobody planned to hide.
	hiccup     = second
	outageLong = 5 * second
)

// refusals finds servers that refused connections between two times. It
// keeps refusalsMax endpoints (15 kB each at most) of those that refused.
type refusals struct {
	by     table[endpoint, refusal]
	ledger *ledger
}

const refusalsMax = 1 << 10

type refusal struct {
	refused failures
	n       uint64
	clients crowd
}

func newRefusals(l *ledger) *refusals {
	r := &refusals{ledger: l}
	r.by.max = refusalsMax
	return r
}

func (r *refusals) clone(l *ledger) collector {
	return &refusals{r.by.clone(func(g *refusal) { g.refused.part() }), l}
}

func (r *refusals) add(x *subject) {
	c := x.c
	if x.v.Cause != ConnectionRefused {
		return
	}
	g := r.by.at(&x.pair.server, x.serverHash)
	g.n++
	g.clients.addHash(&x.w.cl.Addr, x.clientHash)
	f := failedAt(c)
	f.shown.points[0] = point{x.w.cl.SYN.First, assembler.Client, saysSYN, 0}
	if rst := c.EffectiveReset(); rst != nil {
		f.shown.points[1] = point{rst.Stamp, rst.Side, saysRefused, 0}
	}
	g.refused.add(f)
}

// failedAt is one failure, yet without the packets that show it.
func failedAt(c *assembler.Conn) failure {
	t := c.First.Time
	return failure{n: 1, first: t, last: t, end: c.Last.Time, shown: example{id: c.ID, at: t}}
}

// outages are the runs of at least refusedMin failures.
func outages(list []run) (n int) {
	for i := range list {
		n += b2i(list[i].n >= refusedMin)
	}
	return n
}

func (r *refusals) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		g, k := &r.by.items[i].val, r.by.items[i].key
		ok := r.ledger.successes(k)
		runs := g.refused.runs(ok)
		o := worst(runs)
		all := o.group(&g.clients)
		if o.n < refusedMin || s.scans.onlyScanners(&all) || s.eyeballs.excused(k, g.n) {
			continue
		}
		f := all.finding(KindServerDown, Serious, Likely)
		if ok.n == 0 {
			f.Severity = Warning // never seen up: perhaps it never was meant to be
		}
		if o.after != noTime || o.before != noTime {
			f.Confidence = Certain
		}
		switch length := o.last - o.first; {
		case ok.n == 0:
		case o.after == noTime && g.clients.size() < severalClients, length < hiccup:
			f.Severity = Warning // it was only starting, or gone for a moment
		case length >= outageLong && (g.clients.size() >= severalClients || o.n >= 20):
			f.Severity = Critical
		}
		f.at("server", k)
		f.clients(&all)
		f.number("dials refused", float64(g.n), "")
		f.number("in the longest run", float64(o.n), "")
		f.number("runs", float64(outages(runs)), "")
		f.number("dials that succeeded", float64(ok.n), "")
		f.seconds("first to last refusal", o.last-o.first)
		span := "" // unless there is more than one moment to tell of
		if o.last > o.first {
			span = fmt.Sprintf(" for at least %s", dur(o.last-o.first))
		}
		if o.after != noTime {
			f.seconds("from the last success to the first refusal", o.first-o.after)
		}
		if o.before != noTime {
			f.seconds("from the last refusal to the next success", o.before-o.last)
		}
		if o.after != noTime && o.before != noTime {
			span = fmt.Sprintf(" for %s at least and %s at most", dur(o.last-o.first), dur(o.before-o.after))
		}
		f.overflow(r.by.dropped + r.ledger.servers.dropped)
		f.Title = fmt.Sprintf("Nothing listened on %s%s: %s refused.", k, span, plural(o.n, "dial"))
		if times := outages(runs); times > 1 {
			f.Title = fmt.Sprintf("%d times nothing listened on %s, the longest time%s: %s refused in all.", times, k, span, plural(g.n, "dial"))
		}
		f.What = "The server's host answered SYNs with RST: the host is up, and no program listens on this port (it crashed, restarts, or has not begun), or a firewall there rejects. Callers got ECONNREFUSED at once."
		f.Advice = "Keep the listener open across restarts (systemd socket activation, passing the listener's file, SO_REUSEPORT with the new process listening before the old one stops), and drain before you stop: fail the readiness check first, then wait, then Shutdown. " +
			"In clients treat ECONNREFUSED as a reason to try another address at once, and this one later."
		if ok.n == 0 && r.ledger.servers.dropped == 0 {
			f.What += " No dial there succeeded while the capture ran, so perhaps nothing ever listens there."
			f.Advice = "Compare address and port with what is meant, and with what listens on that host (ss -ltn; a listener on 127.0.0.1 is not reached from outside). If a firewall answers, its rules say so. " +
				"In clients treat ECONNREFUSED as a reason to try another address at once, and this one later."
		}
		list = append(list, f)
	}
	return list
}
