package classify

import (
	"fmt"
	"sort"

	"hangup/assembler"
)

// KindEyeballs is a failed dial that its caller never saw.
const KindEyeballs = "happy-eyeballs"

const (
	// eyeballsWindow is how far apart (ns) the attempts of both families
	// may begin: Go waits 300 ms before it tries the other one
	// (net.Dialer.FallbackDelay), curl 200 ms, RFC 8305 at most 2 s; and a
	// refused attempt starts the other at once.
	eyeballsWindow = 2 * second
	// eyeballsShare is which share of an endpoint's failures must have been
	// harmless for it not to be reported as down.
	eyeballsShare = 0.8
)

// eyeballs are the dials of one address family that lost against the other
// (RFC 8305; net.dialParallel), by the endpoint that failed, as a hash.
type eyeballs map[uint64]eyeball

// eyeballsMax is of how many endpoints those long past are remembered.
const eyeballsMax = 256

type eyeball struct {
	group
	other   uint64 // the endpoint that won, as a hash; of several the least
	delay   spread
	refused uint64
}

// team is whose dials may race: one host, known by its MAC (where that is a
// router's, with several clients behind it, nobody can tell whose dial it
// was), or loopback; to one port over one family.
type team struct {
	link uint64
	port uint16
	v6   bool
	loop bool
}

func (d *dialled) team() (t team, ok bool) {
	t = team{d.link, d.port, d.flags&dialV6 != 0, d.flags&dialLoopback != 0}
	if t.loop {
		t.link = 0
	}
	return t, t.loop || t.link != 0
}

// eyeballsOf looks for races in dials, which are in order.
func eyeballsOf(dials []dialled) eyeballs {
	var failed, won [2]bool
	for i := range dials {
		f := dials[i].flags
		v6 := b2i(f&dialV6 != 0)
		failed[v6] = failed[v6] || f&(dialFailed|dialCounted) == dialFailed
		won[v6] = won[v6] || f&dialWon != 0
	}
	if !(failed[0] && won[1] || failed[1] && won[0]) {
		return eyeballs{}
	}
	lost := map[team]bool{}
	for i := range dials {
		if t, ok := dials[i].team(); ok && dials[i].flags&(dialFailed|dialCounted) == dialFailed {
			lost[t] = true
		}
	}
	winners := map[team][]*dialled{}
	for i := range dials {
		t, ok := dials[i].team()
		rival := t
		rival.v6 = !t.v6
		if ok && lost[rival] && dials[i].flags&dialWon != 0 {
			winners[t] = append(winners[t], &dials[i])
		}
	}
	out := eyeballs{}
	for i := range dials {
		d := &dials[i]
		t, ok := d.team()
		t.v6 = !t.v6
		if !ok || d.flags&(dialFailed|dialCounted) != dialFailed {
			continue
		}
		if o := d.winner(winners[t]); o != nil {
			g := out[d.server]
			g.add(d, o)
			out[d.server] = g
		}
	}
	return out
}

// winner is the dial among list that began about when d did, nil if there is
// none, or several hosts' could be it.
func (d *dialled) winner(list []*dialled) (found *dialled) {
	from := sort.Search(len(list), func(i int) bool { return list[i].at > d.at-eyeballsWindow })
	for _, o := range list[from:] {
		if o.at-d.at >= eyeballsWindow {
			break
		}
		if found != nil && found.client != o.client {
			return nil
		}
		found = o
	}
	return found
}

func (g *eyeball) add(lost, won *dialled) {
	if g.n == 0 || won.server < g.other {
		g.other = won.server
	}
	if lost.flags&dialRefused != 0 {
		g.refused++
	}
	g.delay.add(max(won.at-lost.at, 0))
	g.count(lost.at)
	e := example{id: lost.id, at: lost.at, points: [3]point{
		{lost.stamp(), assembler.Client, saysSYN, 0}, {won.stamp(), assembler.Client, saysOtherFamily, 0}}}
	if g.keeps(&e) {
		g.keep(&e)
	}
}

// join adds what was seen at another time.
func (e eyeballs) join(o eyeballs) {
	for k, b := range o {
		a, known := e[k]
		if !known && len(e) >= eyeballsMax {
			continue
		}
		if !known {
			e[k] = b
			continue
		}
		a.n += b.n
		a.refused += b.refused
		a.other = min(a.other, b.other)
		a.first, a.last = min(a.first, b.first), max(a.last, b.last)
		a.delay.join(&b.delay)
		for i := range b.examples[:b.kept] {
			if a.keeps(&b.examples[i]) {
				a.keep(&b.examples[i])
			}
		}
		e[k] = a
	}
}

func (e eyeballs) findings(sc *scene) (list []Finding) {
	names := map[uint64]endpoint{}
	for i := range sc.ledger.servers.items {
		names[sc.ledger.servers.items[i].hash] = sc.ledger.servers.items[i].key
	}
	for k, g := range e {
		server, ok := names[k]
		if !ok {
			continue
		}
		list = append(list, g.report(server, names[g.other]))
	}
	return list
}

func (g *eyeball) report(server, other endpoint) Finding {
	f := g.finding(KindEyeballs, Info, Likely)
	f.harm = 0
	f.at("server", server)
	if other != (endpoint{}) {
		f.at("server", other)
	}
	f.number("failed dials that no caller saw", float64(g.n), "")
	f.number("of them refused", float64(g.refused), "")
	f.seconds("median head start of the family that lost", g.delay.quantile(0.5))
	f.Title = fmt.Sprintf("%s to %s failed harmlessly: the other address family connected.", upper(plural(g.n, "dial")), server)
	f.What = "The name has addresses of both families. The client tried one, and when it failed or was slow the other, whose connection it used (happy eyeballs, RFC 8305). No program saw an error."
	if d := g.delay.quantile(0.5); d > 100*milli {
		f.What += fmt.Sprintf(" But each such dial came %s late.", dur(d))
		f.Advice = "Repair the family that does not work, or take its addresses out of the DNS: every new connection waits for net.Dialer.FallbackDelay (300 ms)."
	}
	return f
}

// excused reports whether nearly all of n failures of an endpoint were lost
// races whose callers got the other family's connection.
func (e eyeballs) excused(k endpoint, n uint64) bool {
	g, ok := e[k.hash()]
	return ok && n > 0 && float64(g.n) >= eyeballsShare*float64(n)
}
