package classify

import (
	"fmt"

	"hangup/assembler"
	"hangup/capture"
)

// Kinds of findings about servers that could not be reached.
const (
	KindServerDown = "server-down"
	KindOverflow   = "accept-queue-overflow"
	KindRejected   = "icmp-rejections"
)

// refusedMin is how many refusals at one endpoint mean that a service was
// down, and not that somebody tried a port once or twice.
const refusedMin = 3

// refusals finds servers that refused connections between two times.
type refusals struct {
	by bounded[endpoint, refusal]
}

type refusal struct {
	run, worst outage
	refused    uint64 // in all
	ok         uint64
	lastOK     int64
	outages    uint32
}

// outage is a run of refusals without a success in between.
type outage struct {
	group
	after  int64 // ns: the last success before, 0 if none
	before int64 // ns: the first success behind, 0 if none
}

func newRefusals() *refusals {
	r := &refusals{}
	r.by.max = 4096
	return r
}

func (r *refusals) add(x *subject) {
	c, v := x.c, x.v
	sv := c.End(assembler.Server)
	switch {
	case v.Cause == ConnectionRefused:
		g := r.by.at(endpointOf(sv))
		g.refused++
		if g.run.n == 0 {
			g.run.after = g.lastOK
		}
		points := []point{{c.End(assembler.Client).SYN.First, assembler.Client, saysSYN, 0}}
		if rst := c.EffectiveReset(); rst != nil {
			points = append(points, point{rst.Stamp, rst.Side, saysRefused, 0})
		}
		g.run.note(c, c.First.Time, points...)
	case c.Established.Seen() && c.End(assembler.Client).SYN.Seen():
		g := r.by.at(endpointOf(sv))
		g.ok++
		g.lastOK = c.First.Time
		if g.run.n > 0 {
			g.run.before = c.First.Time
			g.close()
		}
	}
}

func (g *refusal) close() {
	if g.run.n >= refusedMin {
		g.outages++
	}
	if g.run.n > g.worst.n {
		g.worst = g.run
	}
	g.run = outage{}
}

func (r *refusals) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		g, k := &r.by.items[i].val, r.by.items[i].key
		g.close()
		o := &g.worst
		if o.n < refusedMin || s.scans.onlyScanners(&o.group) || s.eyeballs.excused(k, g.refused) {
			continue
		}
		f := o.finding(KindServerDown, Serious, Likely)
		if g.ok == 0 {
			f.Severity = Warning // never seen up: perhaps it never was meant to be
		}
		if o.after != 0 || o.before != 0 {
			f.Confidence = Certain
			if o.clients.size() >= 3 || o.n >= 20 {
				f.Severity = Critical
			}
		}
		f.at("server", k)
		f.clients(&o.group)
		f.number("dials refused", float64(g.refused), "")
		f.number("in the longest run", float64(o.n), "")
		f.number("runs", float64(g.outages), "")
		f.number("dials that succeeded", float64(g.ok), "")
		f.seconds("first to last refusal", o.last-o.first)
		span := fmt.Sprintf("for at least %s", dur(o.last-o.first))
		if o.after != 0 {
			f.seconds("from the last success to the first refusal", o.first-o.after)
		}
		if o.before != 0 {
			f.seconds("from the last refusal to the next success", o.before-o.last)
		}
		if o.after != 0 && o.before != 0 {
			span = fmt.Sprintf("between %s and %s", dur(o.last-o.first), dur(o.before-o.after))
		}
		f.overflow(r.by.dropped)
		f.Title = fmt.Sprintf("Nothing listened on %s %s: %s refused.", k, span, plural(o.n, "dial"))
		f.What = "The server's host answered SYNs with RST: the host is up, and no program listens on this port (it crashed, restarts, or has not begun), or a firewall there rejects. Callers got ECONNREFUSED at once."
		f.Advice = "Keep the listener open across restarts (systemd socket activation, passing the listener's file, SO_REUSEPORT with the new process listening before the old one stops), and drain before you stop: fail the readiness check first, then wait, then Shutdown. " +
			"In clients treat ECONNREFUSED as a reason to try another address at once, and this one later."
		list = append(list, f)
	}
	return list
}

// overflows finds listeners whose accept queue was full.
type overflows struct {
	by bounded[endpoint, overflow]
}

type overflow struct {
	group
	reset, silent uint64
	dials         uint64
	waiting       spread // from the handshake's end to the last SYN-ACK
}

func newOverflows() *overflows {
	o := &overflows{}
	o.by.max = 2048
	return o
}

func (o *overflows) add(x *subject) {
	c, v := x.c, x.v
	if v.Cause != AcceptQueueOverflow && !c.Established.Seen() {
		return
	}
	sv := c.End(assembler.Server)
	g := o.by.at(endpointOf(sv))
	g.dials++
	late := sv.SYNACK.Last.Time - c.Established.Time
	// A connection that was served in the end had waited as well, if the
	// SYN-ACK came again behind the client's ACK and payload was repeated.
	waited := c.Established.Seen() && sv.SYNACK.Count >= 2 && late > 0 && c.End(assembler.Client).Retransmits > 0
	if v.Cause != AcceptQueueOverflow && !waited {
		return
	}
	if v.Class == Reset {
		g.reset++
	} else {
		g.silent++
	}
	g.waiting.add(max(late, 0))
	p := point{c.Established, assembler.Client, saysHandshake, 0}
	q := point{sv.SYNACK.Last, assembler.Server, saysSYNACKAgain, int64(sv.SYNACK.Count)}
	if rst := c.EffectiveReset(); rst != nil && rst.Side == assembler.Server {
		q = point{rst.Stamp, rst.Side, saysBareRST, 0}
	}
	g.note(c, c.First.Time, p, q)
}

func (o *overflows) finish(s *scene) (list []Finding) {
	for i := range o.by.items {
		g, k := &o.by.items[i].val, o.by.items[i].key
		if g.n < 2 {
			continue
		}
		f := g.finding(KindOverflow, Serious, Likely)
		f.at("server", k)
		f.clients(&g.group)
		f.number("connections caught in the full queue", float64(g.n), "")
		f.number("of them left waiting", float64(g.silent), "")
		f.number("of them reset", float64(g.reset), "")
		f.number("handshakes", float64(g.dials), "")
		f.overflow(o.by.dropped)
		f.Title = fmt.Sprintf("%s does not accept fast enough: %s caught in a full accept queue.", k, plural(g.n, "connection"))
		f.What = "The handshake was done as far as the client could see, and its Dial returned nil; but the server's queue of connections waiting for Accept was full, so its kernel threw the last packet away and repeats its SYN-ACK. " +
			"The client's requests are not acknowledged until a place is free, if ever. (A lost ACK looks alike for a moment, but not many times at one server.)"
		f.Advice = "Call Accept in a loop that does nothing else: start a goroutine per connection at once, and do TLS handshakes and locks there. Go takes the queue's length from net.core.somaxconn (4,096 since Linux 5.4): raise it, and look at ListenOverflows in nstat. " +
			"If a limit is wanted (netutil.LimitListener), reject early instead of letting callers hang."
		list = append(list, f)
	}
	return list
}

// rejectedMin is how many dials ICMP must have ended at one router for a finding.
const rejectedMin = 3

// rejections groups dials that ICMP errors ended by who sent them.
type rejections struct {
	by bounded[rejectionKey, rejection]
}

type rejectionKey struct {
	router    [16]byte
	typ, code uint8
	v6        bool
}

type rejection struct {
	group
	servers crowd
	server  endpoint
}

func newRejections() *rejections {
	r := &rejections{}
	r.by.max = 1024
	return r
}

func (r *rejections) add(x *subject) {
	c, v := x.c, x.v
	if v.Cause != ICMPRejected {
		return
	}
	for _, m := range c.KeptICMP() {
		if !fatalOnSYN(&m) {
			continue
		}
		g := r.by.at(rejectionKey{m.Router, m.Type, m.Code, m.V6})
		sv := c.End(assembler.Server)
		g.servers.add(target(sv))
		g.server = endpointOf(sv)
		g.note(c, m.Time, point{c.First, assembler.Client, saysSYN, 0}, point{m.Stamp, m.Side.Peer(), saysICMP, 0})
		return
	}
}

func (r *rejections) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		g, k := &r.by.items[i].val, r.by.items[i].key
		if g.n < rejectedMin || s.scans.onlyScanners(&g.group) || g.servers.size() == 1 && s.eyeballs.excused(g.server, g.n) {
			continue
		}
		m := assembler.ICMP{Type: k.typ, Code: k.code, V6: k.v6}
		f := g.finding(KindRejected, Serious, Certain)
		f.at("router", endpoint{addr: k.router})
		if g.servers.size() == 1 {
			f.at("server", g.server)
		}
		f.clients(&g.group)
		f.number("dials ended", float64(g.n), "")
		f.number("server endpoints", float64(g.servers.size()), "")
		f.overflow(r.by.dropped)
		f.Title = fmt.Sprintf("%s ends %s with %s.", capture.Addr(k.router), plural(g.n, "dial"), icmpName(&m))
		f.What = "A router or the server's own host answers SYNs with an ICMP error, and the dialling kernel gives up at once. \"Prohibited\" is a firewall's rule, \"host unreachable\" a host that does not answer on its own network, \"network unreachable\" a missing route."
		f.Advice = "Ask whoever runs the address in the first place. In Go the error is a syscall.Errno inside net.OpError: EHOSTUNREACH, ENETUNREACH or EACCES; it is as final as ECONNREFUSED, so try another address at once."
		list = append(list, f)
	}
	return list
}
