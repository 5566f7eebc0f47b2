package classify

import (
	"fmt"

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

// eyeballsMax is of how many endpoints they are told.
const eyeballsMax = 256

type eyeball struct {
	group
	other   uint64 // the endpoint that won, as a hash; of several the least
	delay   spread
	refused uint64
}

func (g *eyeball) add(lost *loser, won *winning) {
	if g.n == 0 || won.server < g.other {
		g.other = won.server
	}
	if lost.refused {
		g.refused++
	}
	g.delay.add(max(won.at.Time-lost.at.Time, 0))
	g.count(lost.at.Time)
	if g.wants(lost.at.Time, lost.id) {
		g.keep(&example{id: lost.id, at: lost.at.Time, points: [3]point{
			{lost.at, assembler.Client, saysSYN, 0}, {won.at, assembler.Client, saysOtherFamily, 0}}})
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
			if e := &b.examples[i]; a.wants(e.at, e.id) {
				a.keep(e)
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
