package host

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// pass is one way through all processes, a few at a time.
type pass struct {
	pids   []int // still to be looked at
	table  map[uint32][]int
	began  time.Duration // since boot
	denied uint64
	cost   time.Duration
	last   time.Duration // cost of the pass before
}

// slice is how much CPU one step of a pass takes, about.
const slice = 3 * time.Millisecond

// scan goes on with a pass, or begins one where it is needed and can be paid
// for: what it costs must have been saved up, so that looking up connections
// goes on. It reports whether it did anything.
func (s *seeker) scan(busy bool) bool {
	if s.pass.table == nil {
		if len(s.wanted) == 0 {
			return false
		}
		if s.scanRecent() {
			return true
		}
		// A server's connections have an answer already: a better one waits
		// until there is nothing else to do.
		if _, due := s.wantDue(); !due || s.urgent == 0 && busy || s.budget.wait(s.pass.last) > 0 {
			return false
		}
		s.pass = pass{pids: s.holders.pids(), table: map[uint32][]int{}, began: sinceBoot(), last: s.pass.last}
	}
	start := threadCPU()
	for len(s.pass.pids) > 0 && threadCPU()-start < slice {
		if s.holders.look(s.pass.pids[0], s.pass.table) {
			s.pass.denied++
		}
		s.pass.pids = s.pass.pids[1:]
	}
	s.pass.cost += threadCPU() - start
	if len(s.pass.pids) == 0 {
		s.passed()
	}
	return true
}

// scanRecent looks at the few processes that held the last connections: a
// client that opens one opens more.
func (s *seeker) scanRecent() bool {
	fresh := false
	for _, w := range s.wanted {
		fresh = fresh || !w.asked && !w.provided
		w.asked = true
	}
	if !fresh || len(s.recent) == 0 {
		return false
	}
	for _, pid := range s.recent {
		s.holders.look(pid, s.holders.by)
	}
	s.resolve(false)
	return true
}

// passed ends a pass: its table is what is known now.
func (s *seeker) passed() {
	s.holders.by, s.holders.at = s.pass.table, s.pass.began
	denied := s.pass.denied
	s.p.count(func(st *Stats) { st.Scans++; st.Denied = denied })
	began := s.pass.began
	s.pass = pass{last: s.pass.cost}
	s.resolve(true)
	for inode, w := range s.wanted {
		switch {
		case w.since > began:
		case w.failed == 0:
			w.failed = began // accept(2) makes the socket first, and its descriptor then
		default:
			s.drop(inode) // nobody's that may be seen, or gone
			if len(s.unfound) >= maxWanted {
				clear(s.unfound)
			}
			s.unfound[inode] = began
		}
	}
}

// resolve answers what the table can answer now. Whole is a pass's table:
// it names all holders of a socket.
func (s *seeker) resolve(whole bool) {
	for inode, w := range s.wanted {
		pids := s.alive(inode)
		if len(pids) == 0 || !whole && w.how == ByListener {
			continue
		}
		s.drop(inode)
		for _, e := range w.ends {
			if w.how == ByListener {
				s.listening(e, false)
			} else {
				s.answer(e, w.uid, inode, w.how, pids)
			}
		}
	}
}

// alive are the holders of a socket that are still the processes that were
// seen with it.
func (s *seeker) alive(inode uint32) []int {
	var pids []int
	for _, pid := range s.holders.by[inode] {
		if s.holders.person(pid, s.holders.at) != nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// answer tells who holds an end.
func (s *seeker) answer(e endpoint, uid, inode uint32, how How, pids []int) {
	g := s.group(pids, how)
	s.p.tell(e, answer{group: g, uid: uid, inode: inode, how: how})
	if how == BySocket && !slices.Contains(s.recent, pids[0]) {
		s.recent = slices.Insert(s.recent, 0, pids[0])
		s.recent = s.recent[:min(len(s.recent), recentPIDs)]
	}
}

// group is what callers are told of processes, made once for many sockets.
func (s *seeker) group(pids []int, how How) *group {
	pids = pids[:min(len(pids), maxHolders)]
	var key strings.Builder
	fmt.Fprint(&key, how == ByListener)
	people := make([]*person, 0, len(pids))
	for _, pid := range pids {
		if q := s.holders.people[pid]; q != nil {
			people = append(people, q)
			fmt.Fprint(&key, " ", pid, q.start, q.comm)
		}
	}
	g := s.groups[key.String()]
	if g == nil {
		if len(s.groups) >= 4096 {
			clear(s.groups)
		}
		g = &group{together(people, how)}
		s.groups[key.String()] = g
	}
	return g
}

// together is what can be said of several processes: what they have in common.
func together(people []*person, how How) Process {
	var p Process
	for i, q := range people {
		one := Process{PID: q.pid, Command: q.comm, Args: q.args, Cgroup: q.cgroup, Container: q.container,
			Runtime: q.runtime, Pod: q.pod, Unit: q.unit}
		if i == 0 {
			p = one
		} else if how == ByListener {
			p = common(p, one)
		}
		p.PIDs = append(p.PIDs, q.pid)
	}
	if how == ByListener && len(people) > 1 {
		p.PID = 0
	}
	return p
}

func common(p, q Process) Process {
	same := func(a *string, b string) {
		if *a != b {
			*a = ""
		}
	}
	same(&p.Command, q.Command)
	same(&p.Args, q.Args)
	same(&p.Cgroup, q.Cgroup)
	same(&p.Container, q.Container)
	same(&p.Runtime, q.Runtime)
	same(&p.Pod, q.Pod)
	same(&p.Unit, q.Unit)
	return p
}

// wantDue is how long until a pass makes sense for some socket; due if at once.
func (s *seeker) wantDue() (d time.Duration, due bool) {
	now := sinceBoot()
	d = secondLook
	for _, w := range s.wanted {
		if w.failed == 0 || now-w.failed >= secondLook {
			return 0, true
		}
		d = min(d, secondLook-(now-w.failed))
	}
	return d, false
}

// nextDue is when there is something to do although no connection comes.
func (s *seeker) nextDue() (d time.Duration, ok bool) {
	if len(s.wanted) > 0 {
		later, _ := s.wantDue()
		d, ok = max(later, s.budget.wait(s.pass.last), time.Millisecond), true
	}
	if len(s.retries) > 0 {
		if until := max(time.Until(s.retries[0].at), 0); !ok || until < d {
			d, ok = until, true
		}
	}
	return d, ok
}
