package classify

import (
	"fmt"

	"hangup/assembler"
)

const (
	// reusePending is how many tuples in TIME_WAIT are remembered until the
	// connection that took them over comes by.
	reusePending = 1 << 14
	// reuseMin is how many failures of that kind make a finding.
	reuseMin = 2
)

// reuse follows SYNs that met a socket in TIME_WAIT.
type reuse struct {
	pending map[uint64]waited // by the ID of the connection that took the tuple over
	by      bounded[relation, reused]
}

type waited struct {
	side assembler.Side // whose socket was in TIME_WAIT
	age  int64          // ns since it began
	at   assembler.Stamp
}

type reused struct {
	group
	all, accepted, delayed, refused, silent uint64
	ages                                    spread
}

func newReuse() *reuse {
	r := &reuse{pending: map[uint64]waited{}}
	r.by.max = 1024
	return r
}

func (r *reuse) add(c *assembler.Conn, v *Verdict, env Env) {
	if w, ok := r.pending[c.ID]; ok {
		delete(r.pending, c.ID)
		r.outcome(c, v, w)
	}
	if !c.Successor.Seen() || c.SuccessorID <= c.ID || len(r.pending) >= reusePending {
		return
	}
	for s := range c.Ends {
		side := assembler.Side(s)
		for _, iv := range Lifetimes(c, side, env) {
			if iv.State == assembler.TimeWait && iv.From <= c.Successor.Time && c.Successor.Time <= iv.To {
				r.pending[c.SuccessorID] = waited{side, c.Successor.Time - iv.From, c.Successor}
			}
		}
	}
}

// outcome tells what became of a SYN into TIME_WAIT. A kernel takes it if its
// timestamp or sequence number is beyond the old connection's (RFC 6191, RFC
// 1122 4.2.2.13; tcp_timewait_state_process), else it answers with an ACK of
// the old connection, which the dialler resets before it tries again, or
// drops it.
func (r *reuse) outcome(c *assembler.Conn, v *Verdict, w waited) {
	u := r.by.at(relationOf(c))
	u.all++
	u.ages.add(w.age)
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
	u.note(c, c.First.Time, point{w.at, assembler.Client, saysReuse, 0}, point{cl.SYN.Last, assembler.Client, saysSYNAgain, int64(cl.SYN.Count)})
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
