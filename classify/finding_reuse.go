package classify

import (
	"fmt"
	"maps"
	"slices"

	"hangup/assembler"
)

const (
	// waitBits: so many of the latest sockets in TIME_WAIT are remembered until
	// a connection takes their tuple over: a thousand a second.
	waitBits = 16
	waitRoom = 8 // in a place, which fills a cache line
	// reuseMin is how many failures of that kind make a finding.
	reuseMin = 2
	// reusesKept is how many takeovers are remembered whose old connection
	// has not been seen yet.
	reusesKept = 1 << 12
)

// reuse follows SYNs that met a server's socket in TIME_WAIT. Old and new
// connection find each other by ID, whichever comes first; the memory of both
// is bounded (512 kB of waits, 4,096 takeovers), and so are the pairs, reuseMax.
type reuse struct {
	waits *waitTable
	fresh []waited         // not yet in waits: to enter many at a time waits less for memory
	early map[uint64]taken // by the ID of the old connection
	by    bounded[relation, reused]
}

const reuseMax = 1 << 10

// waitTable is by ID; in each place the latest come first.
type waitTable [1 << waitBits / waitRoom][waitRoom]wait

// waited is a server's socket in TIME_WAIT.
type waited struct {
	id     uint64
	from   int64
	system System // which says for how long
}

// wait is how a waited is kept, or 0: when it began, in ms, the system in
// systemBits of them, and in the upper tagBits what its place does not tell of
// the ID.
type wait uint64

const (
	systemBits = 2
	tagBits    = 20
)

func (r *reuse) place(id uint64) (p *[waitRoom]wait, tag uint64) {
	const places = uint64(len(r.waits))
	return &r.waits[id%places], id / places % (1 << tagBits)
}

func (w wait) tag() uint64 { return uint64(w) >> (64 - tagBits) }

// before reports whether the ID of w came before that with the tag: tags come
// round after billions of connections.
func (w wait) before(tag uint64) bool { return w == 0 || (tag-w.tag())%(1<<tagBits) < 1<<(tagBits-1) }

func (w wait) waited(id uint64) waited {
	ms := uint64(w) << tagBits >> (tagBits + systemBits)
	return waited{id, int64(ms) * milli, System(w % (1 << systemBits))}
}

// taken is a connection that took a tuple over.
type taken struct {
	pair    relation
	began   int64
	fate    reuseFate
	example example
}

// reuseFate is what became of a SYN into TIME_WAIT.
type reuseFate uint8

const (
	reuseAccepted reuseFate = iota
	reuseDelayed
	reuseRefused
	reuseSilent
)

type reused struct {
	group
	all, accepted, delayed, refused, silent uint64
	ages                                    spread
}

func newReuse() *reuse {
	r := &reuse{early: map[uint64]taken{}}
	r.by.max = reuseMax
	return r
}

func (r *reuse) clone(*ledger) collector {
	c := &reuse{r.waits, slices.Clone(r.fresh), maps.Clone(r.early), r.by.clone(nil)}
	if r.waits != nil {
		own := *r.waits
		c.waits = &own
	}
	return c
}

func (r *reuse) add(x *subject) {
	if c := x.c; c != nil && c.Predecessor != 0 && c.Gap < timeWaitWindows && x.dials {
		t := takenBy(x)
		if w, ok := r.find(c.Predecessor); ok {
			r.meet(&t, w)
		} else {
			r.await(c.Predecessor, t)
		}
	}
	w, ok := timeWaitOfServer(x)
	if len(r.early) > 0 {
		if t, met := r.early[x.o.ID]; met {
			delete(r.early, x.o.ID)
			if ok {
				r.meet(&t, w)
			}
			return
		}
	}
	if ok {
		r.keep(w)
	}
}

// await keeps a takeover until its old connection comes. Most never do, since
// their TIME_WAIT was the client's, or none: the older half goes when there
// is no room.
func (r *reuse) await(old uint64, t taken) {
	if len(r.early) >= reusesKept {
		var began []int64
		for _, o := range r.early {
			began = append(began, o.began)
		}
		slices.Sort(began)
		maps.DeleteFunc(r.early, func(_ uint64, o taken) bool { return o.began <= began[len(began)/2] })
	}
	r.early[old] = t
}

// timeWaitOfServer is the TIME_WAIT that the server's socket ended in.
func timeWaitOfServer(x *subject) (w waited, ok bool) {
	if first, ok := x.closer(); !ok || first != assembler.Server && (x.c == nil || !x.w.sv.FINCrossed) {
		return w, false
	}
	t := x.tenure(assembler.Server)
	if !t.waiting {
		return w, false
	}
	return waited{x.o.ID, t.waits - t.waits%milli, x.system(assembler.Server)}, true
}

// freshMost is how many enter waits together.
const freshMost = 64

func (r *reuse) keep(w waited) {
	if r.fresh = append(r.fresh, w); len(r.fresh) == freshMost {
		r.settle()
	}
}

// settle enters what is fresh, unless there are waitRoom of later IDs in its
// place.
func (r *reuse) settle() {
	if r.waits == nil {
		r.waits = new(waitTable)
	}
	for _, w := range r.fresh {
		p, tag := r.place(w.id)
		for i := range p {
			if p[i].before(tag) {
				copy(p[i+1:], p[i:])
				p[i] = wait(tag<<(64-tagBits) | uint64(w.from/milli)<<(tagBits+systemBits)>>tagBits | uint64(w.system))
				break
			}
		}
	}
	r.fresh = r.fresh[:0]
}

func (r *reuse) find(id uint64) (waited, bool) {
	r.settle()
	p, tag := r.place(id)
	for _, w := range p {
		if w != 0 && w.tag() == tag {
			return w.waited(id), true
		}
	}
	return waited{}, false
}

// takenBy tells what became of a SYN into TIME_WAIT. A kernel takes it if its
// timestamp or sequence number is beyond the old connection's (RFC 6191, RFC
// 1122 4.2.2.13; tcp_timewait_state_process), else it answers with an ACK of
// the old connection, which the dialler resets before it tries again, or
// drops it.
func takenBy(x *subject) taken {
	c, cl := x.c, x.w.cl
	t := taken{pair: x.pair, began: c.First.Time, example: example{id: c.ID, at: c.First.Time, points: [3]point{
		{c.First, assembler.Client, saysReuse, 0}, {cl.SYN.Last, assembler.Client, saysSYNAgain, int64(cl.SYN.Count)}}}}
	switch {
	case c.Established.Seen() && cl.SYN.Count == 1:
		t.fate = reuseAccepted
	case c.Established.Seen():
		t.fate = reuseDelayed
	case x.v.Cause == ConnectionRefused:
		t.fate = reuseRefused
	default:
		t.fate = reuseSilent
	}
	return t
}

// meet counts a takeover, if the old socket was still there.
func (r *reuse) meet(t *taken, w waited) {
	if t.began < w.from || t.began >= w.from+w.system.TimeWait() {
		return
	}
	u := r.by.at(t.pair)
	u.all++
	u.ages.add(t.began - w.from)
	switch t.fate {
	case reuseAccepted:
		u.accepted++
		return
	case reuseDelayed:
		u.delayed++
	case reuseRefused:
		u.refused++
	case reuseSilent:
		u.silent++
	}
	u.count(t.began)
	if u.wants(t.began, t.example.id) {
		u.keep(&t.example)
	}
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
