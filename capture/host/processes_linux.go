package host

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// queueLen bounds the connections that wait for the budget; those seen while
// it is full are not asked about.
const queueLen = 4096

// Processes finds out which process holds the local end of a connection.
//
// All work is done by one thread, which counts its own CPU time and rests
// when its budget is spent. It sees the network namespace in which
// NewProcesses was called, and the processes of its own PID namespace: a
// container's connections, captured on the host's bridge, are none of this
// namespace's.
type Processes struct {
	queue chan pair
	stop  chan struct{}
	done  sync.WaitGroup
	once  sync.Once

	skipped atomic.Uint64

	mu      sync.RWMutex // guards what follows
	answers map[endpoint]answer
	order   []endpoint // ring: when full, next is the oldest
	next    int
	stats   Stats

	started time.Time
}

// answer is what is known of an end; group is shared by all ends of a process.
type answer struct {
	*group
	uid, inode uint32
	how        How
	none       bool          // nothing is known
	waits      bool          // ... as its turn has not come
	seen       time.Duration // since boot: when the connection was seen first
}

// oneSight is how long a connection that is seen again is still the same, with
// its SYN repeated or answered: its answer stays. Addresses are hardly used
// again so soon (TIME_WAIT).
const oneSight = 2 * time.Second

// group are the processes that hold one socket, as they are told to callers.
type group struct{ Process }

// NewProcesses starts to wait for connections. It needs no privilege; without
// CAP_SYS_PTRACE (root) only the caller's own processes are found, of others
// the owner's UID. The error says what the kernel refused.
func NewProcesses(c Config) (*Processes, error) {
	c = c.withDefaults()
	d, err := openDiag()
	if err != nil {
		return nil, err
	}
	l, err := openLocals()
	if err != nil {
		_ = d.conn.Close()
		return nil, err
	}
	listeners, err := d.listeners()
	if err != nil {
		l.close()
		_ = d.conn.Close()
		return nil, fmt.Errorf("processes of connections: asking for listeners: %w (kernel without CONFIG_INET_DIAG?)", err)
	}
	p := &Processes{
		queue: make(chan pair, queueLen), stop: make(chan struct{}),
		answers: map[endpoint]answer{}, order: make([]endpoint, c.Remember), started: time.Now(),
	}
	p.done.Go(func() { l.listen(p.stop) })
	p.done.Go(func() {
		defer d.conn.Close()
		defer l.close() // ends listen, too
		newSeeker(p, c, d, l, listeners).work()
	})
	return p, nil
}

// Seen says that the connection between a and b was seen for the first time,
// or again at most two seconds after, by its SYN-ACK or a repeated SYN.
// Which of them is on this host is found out later: neither, one, or both.
// It never blocks, costs about as much as a send on a channel, and may be
// called from any goroutine, on a nil *Processes too.
func (p *Processes) Seen(a, b netip.AddrPort) {
	if p == nil {
		return
	}
	select {
	case p.queue <- pair{a, b}:
	default:
		p.skipped.Add(1)
	}
}

// Of is what is known now of the process that holds the end local of its
// connection with remote. ok is false if that is nothing (yet): local is not
// on this host, its turn has not come, or its socket was gone before it came.
func (p *Processes) Of(local, remote netip.AddrPort) (proc Process, ok bool) {
	if p == nil {
		return proc, false
	}
	e := endpoint{plain(local), plain(remote)}
	p.mu.RLock()
	a, ok := p.answers[e]
	p.mu.RUnlock()
	if !ok || a.none {
		return proc, false
	}
	if a.group != nil {
		proc = a.group.Process.clone()
	}
	proc.UID, proc.Inode, proc.How = a.uid, a.inode, a.how
	return proc, true
}

// Stats are the counters up to now.
func (p *Processes) Stats() Stats {
	if p == nil {
		return Stats{}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := p.stats
	s.Skipped, s.Elapsed = p.skipped.Load(), time.Since(p.started)
	s.Waiting += len(p.queue)
	return s
}

// Close ends the work. What is known stays to be asked.
func (p *Processes) Close() {
	if p == nil {
		return
	}
	p.once.Do(func() { close(p.stop) })
	p.done.Wait()
}

// tell notes an answer in the place of the one before, unless that was better.
func (p *Processes) tell(e endpoint, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, known := p.answers[e]; known {
		if !before.none && before.how == BySocket && a.how != BySocket {
			return
		}
		if !before.none {
			*p.stats.by(before.how)--
		}
		a.seen = before.seen
	}
	p.put(e, a)
	*p.stats.by(a.how)++
}

// put makes room where it has to. The caller holds mu.
func (p *Processes) put(e endpoint, a answer) {
	if _, known := p.answers[e]; !known {
		delete(p.answers, p.order[p.next])
		p.order[p.next] = e
		p.next = (p.next + 1) % len(p.order)
	}
	p.answers[e] = a
}

// anew takes the local ends of a connection that was seen, and returns those
// to be looked up. What was known of them was of an earlier connection.
func (p *Processes) anew(ends []endpoint) []endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ends) == 0 {
		p.stats.Remote++
	}
	now := sinceBoot()
	ends = slices.DeleteFunc(ends, func(e endpoint) bool {
		a, known := p.answers[e]
		return known && now-a.seen < oneSight && (a.waits || !a.none)
	})
	for _, e := range ends {
		p.put(e, answer{none: true, waits: true, seen: now})
	}
	p.stats.Lookups += uint64(len(ends))
	return ends
}

// miss notes that an end stays unknown.
func (p *Processes) miss(e endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Misses++
	if a, known := p.answers[e]; known {
		a.waits = false
		p.answers[e] = a
	}
}

func (p *Processes) count(f func(*Stats)) {
	p.mu.Lock()
	f(&p.stats)
	p.mu.Unlock()
}

// budget is CPU time that may be spent now; below zero it is a debt.
type budget struct {
	share  float64
	tokens time.Duration
	last   time.Time
	spent  time.Duration
	step   time.Duration // the most that was used between two settlements
}

func newBudget(share float64, now time.Time, used time.Duration) budget {
	return budget{share: share, tokens: time.Duration(share * float64(burst)), last: now, spent: used}
}

func (b *budget) most() time.Duration { return time.Duration(b.share * float64(burst)) }

// settle books what the thread has used, and what time has earned.
func (b *budget) settle(now time.Time, used time.Duration) {
	b.step = max(b.step, used-b.spent)
	b.tokens += time.Duration(b.share*float64(now.Sub(b.last))) - (used - b.spent)
	b.tokens = min(b.tokens, b.most())
	b.last, b.spent = now, used
}

// wait is how long to rest until there are so many tokens.
func (b *budget) wait(need time.Duration) time.Duration {
	need = min(need, b.most())
	if b.tokens >= need {
		return 0
	}
	return time.Duration(float64(need-b.tokens) / b.share)
}

// threadCPU is what the calling thread has used since it was made.
func threadCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // always there
	return time.Duration(ts.Nano())
}

// work is the thread: it answers what waits, looks through the processes
// where an answer needs that, and rests in debt.
func (s *seeker) work() {
	runtime.LockOSThread() // and never unlocked: the thread ends with its work
	base := threadCPU()    // what the thread did before is not ours
	s.budget = newBudget(s.share, time.Now(), base)
	for {
		s.budget.settle(time.Now(), threadCPU())
		s.p.count(func(st *Stats) { st.CPU, st.Step = s.budget.spent-base, s.budget.step })
		if !s.rest(s.budget.wait(0)) {
			return
		}
		if s.locals.changed.Load() {
			_ = s.locals.refresh() // what was known before still stands
		}
		worked := s.serve()
		if s.scan(worked) || worked {
			continue
		}
		if !s.idle() {
			return
		}
	}
}

// rest sleeps, and reports false when it is time to end.
func (s *seeker) rest(d time.Duration) bool {
	if d <= 0 {
		select {
		case <-s.p.stop:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.p.stop:
		return false
	case <-timer.C:
		return true
	}
}

// idle waits for the next connection, retry or affordable scan.
func (s *seeker) idle() bool {
	var alarm <-chan time.Time
	if d, ok := s.nextDue(); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-s.p.stop:
		return false
	case c := <-s.p.queue:
		s.first(c)
	case <-alarm:
	}
	return true
}
