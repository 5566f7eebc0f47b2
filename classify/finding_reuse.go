package classify

import (
	"fmt"
	"sort"

	"hangup/assembler"
)

const (
	// reuseKept is how many of the latest sockets in TIME_WAIT are remembered
	// until a connection takes their tuple over: more than a host's ports.
	reuseKept = 1 << 16
	// reuseMin is how many failures of that kind make a finding.
	reuseMin = 2
)

// reuse follows SYNs that met a socket in TIME_WAIT.
type reuse struct {
	waits []waited // ring, in the order of IDs
	n     int
	by    bounded[relation, reused]
}

// waited is a socket in TIME_WAIT.
type waited struct {
	id       uint64
	from, to int64
	side     assembler.Side // whose it is
}

type reused struct {
	group
	all, accepted, delayed, refused, silent uint64
	ages                                    spread
}

func newReuse() *reuse {
	r := &reuse{}
	r.by.max = 1024
	return r
}

func (r *reuse) add(x *subject) {
	c, v := x.c, x.v
	if c.Predecessor != 0 && c.Gap < timeWaitWindows && c.End(assembler.Client).SYN.Seen() {
		if w, ok := r.find(c.Predecessor); ok && w.from <= c.First.Time && c.First.Time < w.to {
			r.outcome(c, v, w)
		}
	}
	for s := range c.Ends {
		list := x.lives[s].list()
		if len(list) == 0 || list[len(list)-1].State != assembler.TimeWait {
			continue
		}
		last := list[len(list)-1]
		w := waited{c.ID, last.From, last.From + TimeWaitOf(c.End(assembler.Side(s))), assembler.Side(s)}
		if len(r.waits) < reuseKept {
			r.waits = append(r.waits, w)
		} else {
			r.waits[r.n%reuseKept] = w
		}
		r.n++
		return
	}
}

// find looks a connection up among those remembered, by bisection: they came
// in the order of their IDs.
func (r *reuse) find(id uint64) (waited, bool) {
	n := len(r.waits)
	at := func(i int) *waited { return &r.waits[(r.n+i)%n] }
	if n < reuseKept {
		at = func(i int) *waited { return &r.waits[i] }
	}
	i := sort.Search(n, func(i int) bool { return at(i).id >= id })
	if i < n && at(i).id == id {
		return *at(i), true
	}
	return waited{}, false
}

// outcome tells what became of a SYN into TIME_WAIT. A kernel takes it if its
// timestamp or sequence number is beyond the old connection's (RFC 6191, RFC
// 1122 4.2.2.13; tcp_timewait_state_process), else it answers with an ACK of
// the old connection, which the dialler resets before it tries again, or
// drops it.
func (r *reuse) outcome(c *assembler.Conn, v *Verdict, w waited) {
	u := r.by.at(relationOf(c))
	u.all++
	u.ages.add(c.First.Time - w.from)
	cl := c.End(assembler.Client)
	switch {
	case c.Established.Seen() && cl.SYN.Count == 1:
		u.accepted++
		return
	case w.side == assembler.Client:
		// Its own TIME_WAIT does not answer for the server.
		return
	case c.Established.Seen():
		u.delayed++
	case v.Cause == ConnectionRefused:
		u.refused++
	default:
		u.silent++
	}
	u.note(c, c.First.Time, point{c.First, assembler.Client, saysReuse, 0}, point{cl.SYN.Last, assembler.Client, saysSYNAgain, int64(cl.SYN.Count)})
}

func (r *reuse) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		u, k := &r.by.items[i].val, r.by.items[i].key
		if u.delayed+u.silent < reuseMin || s.scans.scanner(k.client) {
			continue
		}
		f := u.finding(KindReuse, Warning, Likely)
		if u.silent > 0 {
			f.Severity = Serious
		}
		f.at("client", endpoint{addr: k.client})
		f.at("server", k.server)
		f.number("tuples used again within TIME_WAIT", float64(u.all), "")
		f.number("accepted at once", float64(u.accepted), "")
		f.number("accepted only after another SYN", float64(u.delayed), "")
		f.number("refused", float64(u.refused), "")
		f.number("never answered", float64(u.silent), "")
		f.seconds("median age of the TIME_WAIT", u.ages.quantile(0.5))
		f.Title = fmt.Sprintf("%d dials from %s to %s hit a socket in TIME_WAIT and were delayed or lost.", u.n, endpoint{addr: k.client}, k.server)
		f.What = "The server closed first and keeps the old connection in TIME_WAIT, while the client already uses the same port again. " +
			"A kernel accepts such a SYN when its timestamp or sequence number is clearly newer; when a NAT or load balancer mixes several clients behind one address, or timestamps are off or random, it may not be, and the dial waits for a retry of one second or more."
		f.Advice = "Reuse connections, so that ports come round later; let the client close first, so that its own kernel keeps the port away from new dials; " +
			"give the NAT more addresses. Keep net.ipv4.tcp_timestamps on, and never use tcp_tw_recycle (removed in Linux 4.12)."
		list = append(list, f)
	}
	return list
}
