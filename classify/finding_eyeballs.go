package classify

import (
	"fmt"

	"hangup/assembler"
	"hangup/capture"
)

// KindEyeballs is a failed dial that its caller never saw.
const KindEyeballs = "happy-eyeballs"

const (
	// eyeballsWindow is how far apart (ns) the attempts of both families
	// may begin: Go waits 300 ms before it tries the other one
	// (net.Dialer.FallbackDelay), curl 200 ms, RFC 8305 at most 2 s; and a
	// refused attempt starts the other at once.
	eyeballsWindow = 2 * second
	// eyeballsKept is how many recent dials of each outcome are compared.
	eyeballsKept = 256
	// eyeballsShare is which share of an endpoint's failures must have been
	// harmless for it not to be reported as down.
	eyeballsShare = 0.8
)

// eyeballs recognises dials of one address family that lost against the
// other (RFC 8305; net.dialParallel).
type eyeballs struct {
	failed, won recent
	by          bounded[endpoint, eyeball] // by the endpoint of the family that failed
}

type eyeball struct {
	group
	other        endpoint
	delay        spread
	refused, cut uint64
}

// recent are the latest dials, newest overwriting oldest.
type recent struct {
	list [eyeballsKept]dialled
	n    int
}

type dialled struct {
	id     uint64
	at     assembler.Stamp
	link   uint64 // the client's MAC, 0 if unknown
	client [16]byte
	server endpoint
	v6     bool
	used   bool
	cause  Cause
}

func newEyeballs() *eyeballs {
	e := &eyeballs{}
	e.by.max = 1024
	return e
}

func (e *eyeballs) add(x *subject) {
	c, v := x.c, x.v
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if !cl.SYN.Seen() {
		return
	}
	d := dialled{c.ID, cl.SYN.First, cl.Link, cl.Addr, endpointOf(sv), c.V6, false, v.Cause}
	switch {
	case failedDial(v):
		if o := e.won.match(&d); o != nil {
			e.pair(c, &d, o)
			return
		}
		e.failed.keep(d)
	case c.Established.Seen():
		for o := e.failed.match(&d); o != nil; o = e.failed.match(&d) {
			o.used = true
			e.pair(c, o, &d)
		}
		e.won.keep(d)
	}
}

func (r *recent) keep(d dialled) {
	r.list[r.n%eyeballsKept] = d
	r.n++
}

// match finds a dial of the other family by the same host, to the same port,
// about the same time. The host is known by its MAC; where that is a
// router's, with several clients behind it, nobody can tell whose dial it was.
func (r *recent) match(d *dialled) (found *dialled) {
	for i := range r.list[:min(r.n, eyeballsKept)] {
		o := &r.list[i]
		near := o.at.Time-d.at.Time < eyeballsWindow && d.at.Time-o.at.Time < eyeballsWindow
		if o.used || o.v6 == d.v6 || o.server.port != d.server.port || !near {
			continue
		}
		if o.link == 0 || o.link != d.link {
			if !loopback(o.client) || !loopback(d.client) {
				continue
			}
		}
		if found != nil && found.client != o.client {
			return nil
		}
		found = o
	}
	return found
}

func loopback(a [16]byte) bool { return capture.Addr(a).IsLoopback() }

func (e *eyeballs) pair(c *assembler.Conn, lost, won *dialled) {
	g := e.by.at(lost.server)
	g.other = won.server
	if lost.cause == ConnectionRefused {
		g.refused++
	} else {
		g.cut++
	}
	g.delay.add(max(won.at.Time-lost.at.Time, 0))
	g.note(c, lost.at.Time, point{lost.at, assembler.Client, saysSYN, 0}, point{won.at, assembler.Client, saysOtherFamily, 0})
	if g.n <= maxExamples {
		g.examples[g.n-1].id = lost.id
	}
}

// excused reports whether nearly all of n failures of an endpoint were lost
// races whose callers got the other family's connection.
func (e *eyeballs) excused(k endpoint, n uint64) bool {
	g := e.by.find(k)
	return g != nil && n > 0 && float64(g.n) >= eyeballsShare*float64(n)
}

func (e *eyeballs) finish(*scene) (list []Finding) {
	for i := range e.by.items {
		g, k := &e.by.items[i].val, e.by.items[i].key
		if g.n == 0 {
			continue
		}
		f := g.finding(KindEyeballs, Info, Likely)
		f.harm = 0
		f.at("server", k)
		f.at("server", g.other)
		f.number("failed dials that no caller saw", float64(g.n), "")
		f.number("of them refused", float64(g.refused), "")
		f.seconds("median head start of the family that lost", g.delay.quantile(0.5))
		f.overflow(e.by.dropped)
		f.Title = fmt.Sprintf("%s to %s failed harmlessly: the other address family connected.", upper(plural(g.n, "dial")), k)
		f.What = "The name has addresses of both families. The client tried one, and when it failed or was slow the other, whose connection it used (happy eyeballs, RFC 8305). No program saw an error."
		if d := g.delay.quantile(0.5); d > 100*milli {
			f.What += fmt.Sprintf(" But each such dial came %s late.", dur(d))
			f.Advice = "Repair the family that does not work, or take its addresses out of the DNS: every new connection waits for net.Dialer.FallbackDelay (300 ms)."
		}
		list = append(list, f)
	}
	return list
}
