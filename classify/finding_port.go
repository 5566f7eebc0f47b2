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
	// portsLinux is net.ipv4.ip_local_port_range's default, 32768-60999;
	// portsIANA is what Windows, macOS and RFC 6335 use, 49152-65535.
	portsLinux = 28232
	portsIANA  = 16384
	// portsWarn, portsSerious, portsCritical are shares of the range in use
	// at once towards one destination. Linux's search for a free port becomes
	// slow from about half of the range on, since it tries odd and even ports
	// one after the other (__inet_hash_connect).
	portsWarn     = 0.5
	portsSerious  = 0.8
	portsCritical = 0.97
	// churnPorts is from how many sockets in TIME_WAIT on connections are
	// plainly not reused: a tenth of the range.
	churnPorts = portsLinux / 10
	// busyWindow is how long (ns) a rate must last to be extrapolated.
	busyWindow = 10 * second
)

// ports accounts for local ports by client host and destination.
type ports struct {
	by bounded[relation, portUse]
}

type portUse struct {
	group
	tried    uint64
	byClient uint64 // closed actively by the client
	byServer uint64
	failed   uint64
	min, max uint16 // client ports seen
	os       string
	over     *portTimes // nil until there are portsTimed dials
}

// portTimes is what many dials of one client deserve.
type portTimes struct {
	held     sampled // ports in use on the client: alive, or in its TIME_WAIT
	clientTW sampled // of these, in TIME_WAIT
	serverTW sampled // TIME_WAIT on the server
	dials    eventCount
	lifetime spread
}

// portsTimed is from how many dials on a client's ports are counted over
// time: one percent of the range, so that the ones before do not matter.
const portsTimed = 256

func newPorts() *ports {
	p := &ports{}
	p.by.max = 4096
	return p
}

func (p *ports) add(x *subject) {
	c, v := x.c, x.v
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if !cl.SYN.Seen() {
		return
	}
	u := p.by.at(relationOf(c))
	if u.min == 0 || cl.Port < u.min {
		u.min = cl.Port
	}
	u.max = max(u.max, cl.Port)
	u.os = guessOS(cl)
	if !c.Established.Seen() {
		u.failed++
	}
	u.closes(c, v, cl, sv)
	if u.tried++; u.tried < portsTimed {
		return
	}
	if u.over == nil {
		u.over = new(portTimes)
	}
	u.over.add(x)
}

func (u *portTimes) add(x *subject) {
	c := x.c
	u.dials.add(c.First.Time)
	if x.v.Class == Graceful {
		u.lifetime.add(c.Last.Time - c.First.Time)
	}
	if list := x.lives[assembler.Client].list(); len(list) > 0 {
		u.held.add(list[0].From, list[len(list)-1].To)
		if last := list[len(list)-1]; last.State == assembler.TimeWait {
			u.clientTW.add(last.From, last.To)
		}
	}
	if list := x.lives[assembler.Server].list(); len(list) > 0 {
		if last := list[len(list)-1]; last.State == assembler.TimeWait {
			u.serverTW.add(last.From, last.To)
		}
	}
}

func (u *portUse) closes(c *assembler.Conn, v *Verdict, cl, sv *assembler.End) {
	if v.Class != Graceful {
		return
	}
	by, at := assembler.Client, cl.FIN.First
	if v.By == ByServer {
		by, at = assembler.Server, sv.FIN.First
		u.byServer++
	} else {
		u.byClient++
	}
	u.note(c, c.First.Time, point{at, by, saysFIN, 0})
}

// size is how many local ports the client has, as far as can be told.
func (u *portUse) size() int {
	n := portsLinux
	if u.os != "linux" {
		n = portsIANA
	}
	if low := 32768; u.os == "linux" && (u.min < uint16(low) || u.max > 60999) {
		n = max(n, int(u.max)-int(u.min)+1) // the range has been widened
	}
	return n
}

func (p *ports) finish(s *scene) (list []Finding) {
	for i := range p.by.items {
		u, k := &p.by.items[i].val, p.by.items[i].key
		if u.over == nil || s.scans.scanner(k.client) || s.scans.flooded(k.server) {
			continue
		}
		if f, ok := u.exhaustion(k); ok {
			list = append(list, f)
		} else if f, ok := u.churn(k); ok {
			list = append(list, f)
		}
	}
	return list
}

// exhaustion reports ports that ran out, or will.
func (u *portUse) exhaustion(k relation) (Finding, bool) {
	size := float64(u.size())
	peak, at := u.over.held.peak()
	hold := float64(timeWaitLinux) / 1e9
	if u.byServer > u.byClient {
		hold = 0 // the client's port is free once the server has closed
	}
	rate, _ := u.over.dials.busiest(busyWindow)
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
	f.number("share in use at the peak", 100*used, "%")
	f.number("new connections at the busiest", rate, "/s")
	if steady > float64(peak) {
		f.number("ports in use if that rate lasts a minute", steady, "")
	}
	if rate > 0 && steady >= size {
		f.number("seconds from none in use to all, at that rate", size/rate, "s")
	}
	u.describe(&f, k)
	f.First, f.Last = at, at
	verb := "comes close to running out of"
	if sev == Critical {
		verb = "has run out of"
	}
	f.Title = fmt.Sprintf("%s %s local ports towards %s: %d of about %.0f in use.", endpoint{addr: k.client}, verb, k.server, peak, size)
	if used < portsWarn {
		f.Title = fmt.Sprintf("%s will run out of local ports towards %s if it goes on: %.0f new connections a second, each port held for a minute.", endpoint{addr: k.client}, k.server, rate)
	}
	f.What = "Each connection needs a local port of its own towards one destination. The side that closes first keeps the port in TIME_WAIT for 60 s on Linux, whatever the program does. " +
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
	f.Advice = portAdvice
	f.harm /= 10
	return f, true
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
