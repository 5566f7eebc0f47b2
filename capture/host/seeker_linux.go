package host

import (
	"net/netip"
	"slices"
	"time"
)

// seeker is the worker's own: nobody else touches it.
type seeker struct {
	p       *Processes
	share   float64
	budget  budget
	diag    diag
	locals  *locals
	holders *holders

	todo    []endpoint // local ends to be looked up
	retries []retry    // in order of their time
	wanted  map[uint32]*want
	unfound map[uint32]time.Duration // sockets whose holder a pass did not show: when, since boot
	urgent  int                      // of wanted: nothing better than a UID is known of them

	listeners map[uint16][]sock
	listed    time.Time

	pass    pass
	oneCost time.Duration // of a single request, a moving mean
	allCost time.Duration // of the last dump

	recent []int             // PIDs that held the connections found last, latest first
	groups map[string]*group // by their PIDs and start times
}

// retry is an end whose socket was nobody's when it was looked at.
type retry struct {
	endpoint
	at time.Time
}

// want is a socket whose holder is looked for.
type want struct {
	ends     []endpoint
	uid      uint32
	how      How // of the answer, once there is one
	provided bool
	since    time.Duration // since boot
	failed   time.Duration // since boot: when a pass did not show it; 0 if none did
	asked    bool          // the recent PIDs were looked at for it
}

// Bounds of what waits for a pass through all processes.
const (
	maxWanted   = 1 << 15
	maxRetries  = 1024
	retryAfter  = 300 * time.Millisecond
	batch       = 64
	listenEvery = 5 * time.Second
	recentPIDs  = 4
	secondLook  = 200 * time.Millisecond
	seekAgain   = time.Minute // for the holder of a socket that nobody seems to hold
)

func newSeeker(p *Processes, c Config, d diag, l *locals, listeners map[uint16][]sock) *seeker {
	return &seeker{
		p: p, share: c.Budget, diag: d, locals: l, holders: newHolders(c.Proc),
		wanted: map[uint32]*want{}, unfound: map[uint32]time.Duration{}, groups: map[string]*group{},
		listeners: listeners, listed: time.Now(),
		oneCost: 20 * time.Microsecond, allCost: 20 * time.Millisecond,
	}
}

// first takes a connection from the queue: its local ends are to be looked
// up, and what was known of them was of an earlier connection.
func (s *seeker) first(c pair) {
	a, b := plain(c.a), plain(c.b)
	_, la := s.locals.has(a.Addr())
	_, lb := s.locals.has(b.Addr())
	from := len(s.todo)
	if la {
		s.todo = append(s.todo, endpoint{a, b})
	}
	if lb {
		s.todo = append(s.todo, endpoint{b, a})
	}
	s.todo = s.todo[:from+len(s.p.anew(s.todo[from:]))]
}

// collect empties the queue. What has waited longest is dropped when too much
// waits: it is the least likely to be there still.
func (s *seeker) collect() {
	for range len(s.p.queue) {
		s.first(<-s.p.queue) // nobody else takes from it
	}
	if over := len(s.todo) - 2*queueLen; over > 0 {
		for _, e := range s.todo[:over] {
			s.p.miss(e)
		}
		s.todo = slices.Delete(s.todo, 0, over)
	}
	s.p.count(func(st *Stats) { st.Waiting = len(s.todo) })
}

// serve looks up a batch of what waits, the newest first, and reports whether
// there was any.
func (s *seeker) serve() bool {
	s.collect()
	for range batch {
		if len(s.retries) == 0 || time.Until(s.retries[0].at) > 0 {
			break
		}
		s.lookup(s.retries[0].endpoint, true)
		s.retries = s.retries[1:]
	}
	if len(s.todo) == 0 {
		return false
	}
	most := min(batch, len(s.todo))
	if time.Duration(len(s.todo))*s.oneCost > s.allCost {
		most = len(s.todo)
	}
	rest := len(s.todo) - most
	now := s.todo[rest:]
	s.todo = s.todo[:rest]
	now = slices.DeleteFunc(now, s.short)
	if most > batch {
		s.lookupAll(now)
		return true
	}
	start := threadCPU()
	for _, e := range slices.Backward(now) {
		s.lookup(e, false)
	}
	if len(now) > 0 {
		s.oneCost += ((threadCPU()-start)/time.Duration(len(now)) - s.oneCost) / 8
	}
	return true
}

// short answers a server's end by what is known of its listener, without a
// question to the kernel, while the budget is nearly spent.
func (s *seeker) short(e endpoint) bool {
	if s.budget.tokens > s.budget.most()/2 || time.Since(s.listed) > listenEvery {
		return false
	}
	ls := s.listenersOf(e.local)
	if len(ls) != 1 || len(s.holders.by[ls[0].inode]) != 1 {
		return false
	}
	return s.listening(e, false)
}

// lookup asks for one end.
func (s *seeker) lookup(e endpoint, again bool) {
	link, _ := s.locals.has(e.local.Addr())
	found, ok, err := s.diag.one(e, link)
	s.p.count(func(st *Stats) { st.Requests++ })
	if err != nil {
		ok = false
	}
	s.judge(e, found, ok, again)
}

// lookupAll asks for all sockets, and picks those that are wanted.
func (s *seeker) lookupAll(ends []endpoint) {
	start := threadCPU()
	socks := make(map[endpoint]sock, len(ends))
	for _, e := range ends {
		socks[e] = sock{}
	}
	_ = s.diag.all(statesOfConns, func(k sock) { // what an error keeps back is asked for below
		if _, ok := socks[k.endpoint]; ok {
			socks[k.endpoint] = k
		}
	})
	s.p.count(func(st *Stats) { st.Dumps++ })
	for _, e := range ends {
		// A dump walks through a table that changes meanwhile, and may miss a
		// socket: only a question of its own says that there is none.
		if k := socks[e]; k.state != 0 {
			s.judge(e, k, true, false)
		} else {
			s.lookup(e, false)
		}
	}
	s.allCost = threadCPU() - start
}

// judge draws what there is from the kernel's answer about one end.
func (s *seeker) judge(e endpoint, k sock, ok, again bool) {
	queued := ok && k.queued()
	if ok && k.state == stateListen &&
		!slices.ContainsFunc(s.listenersOf(e.local), func(l sock) bool { return l.inode == k.inode }) {
		s.list() // a new one, such as a restarted server's
	}
	switch {
	case ok && k.inode != 0 && k.state != stateListen:
		s.held(e, k)
	case again: // it has an answer already, and nothing better came
	case !s.listening(e, queued || ok && k.state == stateListen):
		s.p.miss(e)
	case queued && len(s.retries) < maxRetries:
		s.retries = append(s.retries, retry{e, time.Now().Add(retryAfter)})
	}
}

// held: the connection has a socket of its own.
func (s *seeker) held(e endpoint, k sock) {
	if pids := s.alive(k.inode); len(pids) > 0 {
		s.answer(e, k.uid, k.inode, BySocket, pids)
		return
	}
	provided := s.listening(e, false)
	if !provided {
		s.p.tell(e, answer{uid: k.uid, inode: k.inode, how: ByOwner})
	}
	s.want(k.inode, e, k.uid, BySocket, provided)
}

// listening answers with the process that listens where the connection ends,
// if one does; sure: the kernel says that one does, or did when the
// connection was made.
func (s *seeker) listening(e endpoint, sure bool) bool {
	age := time.Since(s.listed)
	ls := s.listenersOf(e.local)
	if age > listenEvery || len(ls) == 0 && (sure || age > retryAfter && s.mayListen(e)) {
		s.list()
		ls = s.listenersOf(e.local)
	}
	if len(ls) == 0 {
		return false
	}
	var pids []int
	for _, l := range ls {
		held := s.alive(l.inode)
		if len(held) == 0 {
			// One of a group is not known: nor is who accepts.
			s.p.tell(e, answer{uid: l.uid, how: ByOwner})
			s.want(l.inode, e, l.uid, ByListener, false)
			return true
		}
		for _, pid := range held {
			if i, found := slices.BinarySearch(pids, pid); !found {
				pids = slices.Insert(pids, i, pid)
			}
		}
	}
	s.answer(e, ls[0].uid, 0, ByListener, pids)
	return true
}

// mayListen: a port that a client was given for its connection is not worth
// another look at the listeners.
func (s *seeker) mayListen(e endpoint) bool {
	return e.local.Port() < 32768 || e.remote.Port() >= 32768
}

// list asks for all listeners.
func (s *seeker) list() {
	s.listed = time.Now()
	if ls, err := s.diag.listeners(); err == nil {
		s.listeners = ls
	}
}

// listenersOf are those that a connection to a local address reaches: the
// most specific ones (compute_score), several where they share the port
// (SO_REUSEPORT), among which the kernel picks by a hash.
func (s *seeker) listenersOf(local netip.AddrPort) []sock {
	var best []sock
	score := 0
	for _, l := range s.listeners[local.Port()] {
		n := 0
		switch a := l.local.Addr(); {
		case a == local.Addr():
			n = 3
		case !a.IsUnspecified():
		case l.v6 != local.Addr().Is6():
			if l.v6 && !l.v6only {
				n = 1
			}
		default:
			n = 2
		}
		if n == 0 || n < score {
			continue
		}
		if n > score {
			best, score = best[:0:0], n
		}
		best = append(best, l)
	}
	return best
}

// want notes that a socket's holder is to be looked for.
func (s *seeker) want(inode uint32, e endpoint, uid uint32, how How, provided bool) {
	w := s.wanted[inode]
	if w == nil {
		at, failed := s.unfound[inode]
		if len(s.wanted) >= maxWanted || failed && sinceBoot()-at < seekAgain {
			return
		}
		w = &want{uid: uid, how: how, provided: provided, since: sinceBoot()}
		s.wanted[inode] = w
		if !provided {
			s.urgent++
		}
	}
	if len(w.ends) < 1024 {
		w.ends = append(w.ends, e)
	}
}

// drop ends the search for a socket's holder.
func (s *seeker) drop(inode uint32) {
	if w := s.wanted[inode]; w != nil {
		if !w.provided {
			s.urgent--
		}
		delete(s.wanted, inode)
	}
}
