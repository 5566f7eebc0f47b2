package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about TIME_WAIT and ports.
const (
	KindPorts = "port-exhaustion"
	KindChurn = "time-wait-pileup"
	KindReuse = "syn-into-time-wait"
)

const (
	// portsWarn, portsSerious, portsCritical are shares of the range in use
	// at once towards one destination. Linux's search for a free port becomes
	// slow from about half of the range on, since it tries odd and even ports
	// one after the other (__inet_hash_connect).
	portsWarn     = 0.5
	portsSerious  = 0.8
	portsCritical = 0.97
	// churnPorts is from how many sockets in TIME_WAIT on connections are
	// plainly not reused: a tenth of Linux's range.
	churnPorts = 2823
	// busyWindow is how long (ns) a rate must last to be extrapolated.
	busyWindow = 10 * second
)

// ports reports on local ports by client host and destination, which the
// ledger counts.
type ports struct{ ledger *ledger }

func (p *ports) add(*subject) {}

func (p *ports) clone(l *ledger) collector { return &ports{l} }

// portUse is what a client's dials to one destination did to its ports.
type portUse struct {
	tried    uint32
	byClient uint32 // closed actively by the client
	byServer uint32
	failed   uint32
	again    uint32 // dials from a port that another connection had left less than a TIME_WAIT before
	systems  [numSystems]uint32
	min, max uint16     // client ports seen
	fresh    [2]fresh   // from even ports, from odd ones
	early    uint64     // the latest of the dials that earlyDials keep
	over     *portTimes // nil until there are portsTimed dials
}

// portTimes is what many dials of one client deserve: 12 kB.
type portTimes struct {
	closed   group   // those that one side closed, with the FIN that did
	held     sampled // ports in use on the client: alive, or in its TIME_WAIT
	clientTW sampled // of these, in TIME_WAIT
	serverTW sampled // TIME_WAIT on the server
	dials    eventCount
	lifetime spread
}

// portsTimed is from how many dials on a client's ports are counted over
// time: one percent of the range.
const portsTimed = 256

func (u *portUse) add(x *subject, l *ledger) {
	o, v := x.o, x.v
	if !o.Established.Seen() {
		u.failed++
	}
	by := assembler.Client
	switch {
	case v.Class != Graceful:
	case v.By == ByServer:
		by = assembler.Server
		u.byServer++
	default:
		u.byClient++
	}
	if x.c != nil && x.c.Predecessor != 0 && x.c.Gap < x.system(assembler.Client).TimeWait() && o.Established.Seen() {
		u.again++
	} else {
		u.fresh[o.Ends[assembler.Client].Port%2].add(o.First.Time)
	}
	d := portDial{id: o.ID, began: o.First.Time, lasted: o.Last.Time - o.First.Time, fin: o.Ends[by].FIN, by: by, orderly: v.Class == Graceful}
	if t := x.tenure(assembler.Client); t.some {
		d.held, d.waiting, d.waits = span{t.from, t.until}, t.waiting, t.waits
	}
	if t := x.tenure(assembler.Server); t.waiting {
		d.serverTW = span{t.waits, t.until}
	}
	u.dial(x, o.Ends[assembler.Client].Port, x.system(assembler.Client), l, &d)
}

// dial counts a dial: over time once there are many, from the first on.
func (u *portUse) dial(x *subject, from uint16, os System, l *ledger, d *portDial) {
	if u.min == 0 || from < u.min {
		u.min = from
	}
	u.max = max(u.max, from)
	u.systems[os]++
	u.tried++
	switch {
	case u.over != nil:
		u.over.add(&x.pair.client, x.clientHash, d)
	case u.tried < portsTimed:
		l.early.keep(d, &u.early)
	case l.mayTime():
		u.time(&x.pair.client, x.clientHash, l)
		u.over.add(&x.pair.client, x.clientHash, d)
	}
}

// time begins to count dials over time, with those that are kept.
func (u *portUse) time(client *[16]byte, hash uint64, l *ledger) {
	u.over = new(portTimes)
	l.early.before(u.early, func(d *portDial) { u.over.add(client, hash, d) })
}

// add counts a dial of the pair of x.
func (u *portTimes) add(client *[16]byte, hash uint64, d *portDial) {
	u.dials.add(d.began)
	if d.orderly {
		u.lifetime.add(d.lasted)
		u.closed.noted(client, hash, d.id, d.began, point{d.fin, d.by, saysFIN, 0})
	}
	if d.held.to != 0 {
		u.held.add(d.held.from, d.held.to)
		if d.waiting {
			u.clientTW.add(d.waits, d.held.to)
		}
	}
	if d.serverTW.to != 0 {
		u.serverTW.add(d.serverTW.from, d.serverTW.to)
	}
}

// until is when the state ends, although the capture may end before, or not
// have come as far yet.
func (iv *Interval) until(env Env) int64 {
	if iv.To > env.End && iv.Expires > iv.To {
		return iv.Expires
	}
	return iv.To
}

// system is what most of the client's dials look like.
func (u *portUse) system() System {
	best := Linux
	for s, n := range u.systems {
		if n > u.systems[best] {
			best = System(s)
		}
	}
	return best
}

func (p *ports) finish(s *scene) (list []Finding) {
	for i := range p.ledger.pairs.items {
		u, k := &p.ledger.pairs.items[i].val.ports, p.ledger.pairs.items[i].key
		if u.over == nil && u.mayBeFull() && p.ledger.mayTime() { // a range too narrow for the dials that are counted over time
			u.time(&k.client, hashOf(&k.client), p.ledger)
		}
		if u.over == nil || s.scans.scanner(k.client) || s.scans.flooded(k.server) {
			continue
		}
		if f, ok := u.exhaustion(k); ok {
			f.overflow(p.ledger.untimed + p.ledger.pairs.dropped)
			list = append(list, f)
		} else if f, ok := u.churn(k); ok {
			f.overflow(p.ledger.untimed + p.ledger.pairs.dropped)
			list = append(list, f)
		}
	}
	return list
}

// exhaustion reports ports that ran out, or will.
func (u *portUse) exhaustion(k relation) (Finding, bool) {
	size := float64(u.size())
	peak, at := u.over.held.peak()
	hold := float64(u.system().TimeWait()) / 1e9
	window := busyWindow
	recycled := u.recycled(k)
	switch {
	case recycled:
		alive := u.over.held.less(&u.over.clientTW)
		peak, at = alive.peak()
		hold = float64(recycleDelay) / 1e9
		window = 2 * recycleDelay
	case u.byServer > u.byClient:
		hold = 0 // the client's port is free once the server has closed
	}
	rate, _ := u.over.dials.busiest(window)
	steady := rate * hold
	used := float64(peak) / size
	forecast := steady >= portsSerious*size
	if used < portsWarn && !forecast {
		return Finding{}, false
	}
	sev := Warning
	switch {
	case used >= portsCritical:
		sev = Critical
	case used >= portsSerious || steady >= size:
		sev = Serious
	}
	f := u.finding(KindPorts, sev, Likely)
	f.number("ports in use at the peak", float64(peak), "")
	f.number("ports there are", size, "")
	if u.narrow() > 0 {
		why := "the client uses ports %d to %d again and again and no others"
		if u.filled() {
			why = "ports %d to %d were all in use at once, those of one parity before the others, as Linux fills its range (net.ipv4.ip_local_port_range)"
		}
		f.Alternatives = append(f.Alternatives, fmt.Sprintf("the range is inferred, since "+why+"; the program or a NAT may pick them so", u.min, u.max))
	}
	f.number("share in use at the peak", 100*used, "%")
	f.number("new connections at the busiest", rate, "/s")
	if steady > float64(peak) {
		f.number("ports in use if that rate lasts", steady, "")
	}
	if rate > 0 && steady >= size {
		f.number("seconds from none in use to all, at that rate", size/rate, "s")
	}
	u.describe(&f, k)
	f.First, f.Last = at, at
	kept := "a minute"
	what := "The side that closes first keeps the port in TIME_WAIT for 60 s on Linux, whatever the program does. "
	if recycled {
		kept = "a second"
		what = "This client's kernel takes ports out of TIME_WAIT after a second (tcp_tw_reuse), but no sooner. "
	}
	verb := "comes close to running out of"
	if sev == Critical {
		verb = "has run out of"
	}
	f.Title = fmt.Sprintf("%s %s local ports towards %s: %d of about %.0f in use.", endpoint{addr: k.client}, verb, k.server, peak, size)
	if used < portsWarn {
		f.Title = fmt.Sprintf("%s will run out of local ports towards %s if it goes on: %.0f new connections a second, each port held for %s.", endpoint{addr: k.client}, k.server, rate, kept)
	}
	f.What = "Each connection needs a local port of its own towards one destination. " + what +
		"When all are taken, Dial fails at once with EADDRNOTAVAIL (cannot assign requested address): no packet shows those failures, only the gap they leave."
	f.Advice = portAdvice
	return f, true
}

// churn reports many short connections well before ports run out.
func (u *portUse) churn(k relation) (Finding, bool) {
	a, atA := u.over.clientTW.peak()
	b, atB := u.over.serverTW.peak()
	if max(a, b) < churnPorts {
		return Finding{}, false
	}
	f := u.finding(KindChurn, Warning, Certain)
	f.First = atA
	if b > a {
		f.First = atB
	}
	u.describe(&f, k)
	rate, _ := u.over.dials.busiest(busyWindow)
	f.number("new connections at the busiest", rate, "/s")
	f.Title = fmt.Sprintf("%s opens a new connection to %s for nearly everything: up to %d sockets in TIME_WAIT at once.", endpoint{addr: k.client}, k.server, max(a, b))
	f.What = "Connections are closed after a short use and dialled anew, which costs a round trip (three with TLS) each time and leaves a socket in TIME_WAIT on the side that closes first. " +
		"Those sockets are cheap, but on the client each holds a port of which there are 28,232 by default towards one destination."
	if u.recycled(k) {
		f.What += " There it does so for a second only: this client's kernel takes ports out of TIME_WAIT (tcp_tw_reuse, by default 2: on the loopback)."
	}
	f.Advice = portAdvice
	f.harm /= 10
	return f, true
}

func (u *portUse) finding(kind string, sev Severity, conf Confidence) Finding {
	f := u.over.closed.finding(kind, sev, conf)
	f.Total = uint64(u.byClient) + uint64(u.byServer)
	f.harm = float64(f.Total)
	return f
}

func (u *portUse) describe(f *Finding, k relation) {
	f.at("client", endpoint{addr: k.client})
	f.at("server", k.server)
	a, _ := u.over.clientTW.peak()
	b, _ := u.over.serverTW.peak()
	f.number("in TIME_WAIT on the client at the peak", float64(a), "")
	f.number("in TIME_WAIT on the server at the peak", float64(b), "")
	f.number("closed first by the client", float64(u.byClient), "")
	f.number("closed first by the server", float64(u.byServer), "")
	f.number("dials that failed", float64(u.failed), "")
	if u.over.lifetime.total > 0 {
		f.seconds("median lifetime of a connection", u.over.lifetime.quantile(0.5))
	}
}

const portAdvice = "Reuse connections: one http.Client for the whole program, MaxIdleConnsPerHost near the number of parallel requests (its default is 2, so all others are closed after each answer), " +
	"read every response body to its end and close it, and never set DisableKeepAlives or Connection: close. For other protocols use a pool. " +
	"If connections must be short, let the side with more to spare close first: TIME_WAIT on the server holds no port of the client's. " +
	"net.ipv4.tcp_tw_reuse=1 lets a Linux client take a port over after one second if timestamps are on, a wider ip_local_port_range or more addresses on either side help in proportion; " +
	"SO_REUSEADDR, SO_REUSEPORT and tcp_fin_timeout do not: they concern listeners and FIN_WAIT2."
