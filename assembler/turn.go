package assembler

// A tracker does one job after the other, in two steps: it takes the packets,
// and reports what is over by then. What is reported comes in the same order
// in every run: job by job, and of each one tracker after the other. Whoever
// has nothing better to do, the goroutine that reads or one that only helps,
// does of all steps whose time has come the oldest that nobody is at. So nobody
// waits for a certain other one, and hardly ever at all as long as there are
// more trackers than goroutines; to wait and be woken costs as much as some
// dozen packets.

// until returns when all trackers have done n jobs, and helps meanwhile.
func (s *Parallel) until(n int) {
	s.mu.Lock()
	for !s.reached(n, len(s.trackers)) {
		if !s.step(s.given, 0) {
			s.moved.Wait()
		}
	}
	s.mu.Unlock()
}

// help does what is to be done until the last job is.
func (s *Parallel) help() {
	s.mu.Lock()
	for !s.finished || !s.reached(s.given, len(s.trackers)) {
		if !s.step(s.given, 0) {
			s.moved.Wait()
		}
	}
	s.mu.Unlock()
}

// progress is how far a tracker is.
type progress struct {
	done  int  // jobs
	taken bool // of the next one, all packets
	busy  bool // somebody is at it
}

// reached reports whether the first k trackers have done n jobs, and the
// others all but the last of these.
func (s *Parallel) reached(n, k int) bool {
	for other := range s.progress {
		done := s.progress[other].done
		if other >= k {
			done++
		}
		if done < n {
			return false
		}
	}
	return true
}

// step does what comes first of all that nobody is at and that comes before
// job n of tracker k, if there is anything. The lock, which the caller holds,
// is free meanwhile.
func (s *Parallel) step(n, k int) bool {
	first := -1
	for other := range s.trackers {
		at := &s.progress[other]
		if at.busy || at.done > n || at.done == n && other >= k || at.taken && !s.reached(at.done+1, other) {
			continue
		}
		if first < 0 || at.done < s.progress[first].done {
			first = other
		}
	}
	if first < 0 {
		return false
	}
	at := &s.progress[first]
	at.busy = true
	s.mu.Unlock()
	t, j := s.trackers[first], &s.jobs[at.done%len(s.jobs)]
	if at.taken {
		t.finish(j)
	} else {
		t.start(j, first)
	}
	s.mu.Lock()
	at.busy = false
	if at.taken {
		at.done++
	}
	at.taken = !at.taken
	s.moved.Broadcast()
	return true
}

// start does of a job of t, tracker k, what nearly never is reported of.
func (t *Tracker) start(j *job, k int) {
	if j.last {
		return
	}
	t.before, t.clock.now = j.before, j.dues.now
	t.share(&j.batch, j.slips, j.mine[k])
}

// finish does the rest, when it is the tracker's turn.
func (t *Tracker) finish(j *job) {
	if j.last {
		t.Finish()
		return
	}
	t.dues = j.dues
	t.settle()
}

// turn is the right of a tracker to call the Config's functions.
type turn struct {
	s   *Parallel
	k   int
	job int // for which it has it, from 1
}

// wait returns when all has been done that comes before what the tracker is at.
func (u *turn) wait() {
	s := u.s
	s.mu.Lock()
	n := s.progress[u.k].done
	for !s.reached(n+1, u.k) {
		if !s.step(n, u.k) {
			s.moved.Wait()
		}
	}
	s.mu.Unlock()
	u.job = n + 1
}

// inTurn is f when it is u's turn, nil if that is nil.
func inTurn[T any](u *turn, f func(T)) func(T) {
	if f == nil {
		return nil
	}
	return func(x T) {
		if u.job != u.s.progress[u.k].done+1 {
			u.wait()
		}
		f(x)
	}
}
