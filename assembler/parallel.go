package assembler

import (
	"sync"
	"sync/atomic"

	"hangup/capture"
)

// Parallel follows connections as a Tracker does, beside the goroutine that
// reads and decodes, by several trackers that share the tuples out among
// themselves. What they find does not depend on their number, only in which
// order it is reported; unless Config.MaxConns or MaxMemory, which they share
// out as well, come into play. Its methods are for one goroutine, that which
// reads.
//
// With more than one tracker nobody knows, when a connection opens, how many
// have opened before: Conn.ID is then the number of its first packet in the
// whole input, which orders connections as well. So are Predecessor and
// SuccessorID. [Parallel.Number] gives the ID.
type Parallel struct {
	trackers []*Tracker
	jobs     []chan *job
	free     chan *job
	current  *job
	done     sync.WaitGroup
	seed     uint64
	read     uint64 // packets so far
	clock    clock
}

// job is a batch on its way through the trackers.
type job struct {
	batch  capture.Batch
	own    []capture.Slip // memory for slips, if the batch has none
	slips  []capture.Slip
	mine   [][]uint32 // for each tracker, which packets are its
	before uint64     // packets of the input before the batch
	dues   dues
	left   atomic.Int32 // trackers that still need it

	pause func() // if not nil: instead of all that, call it
}

// jobsAhead is how many batches may be on their way for each tracker: enough
// to even out what the others do, few enough to stay in the cache.
const jobsAhead = 2

// NewParallel returns a Parallel with n trackers, at least one; a Trace wants
// its packets in order, and allows no more. The Config's functions are called
// from the trackers' goroutines, never two at once.
//
// Waking a goroutine costs as much as tracking some dozen packets: batches of
// 2048 (capture.OpenConfig.BatchSize) make that little, the usual 512 a tenth
// of all. Work that Done does is not shared out; while it is less than half
// of all, two trackers are worth it, on two processors, beside the goroutine
// that reads. In which order several report depends on the packets alone.
func NewParallel(cfg Config, n int) *Parallel {
	if n < 1 || cfg.Trace != nil {
		n = 1
	}
	o := newOrder(n)
	s := &Parallel{free: make(chan *job, jobsAhead+n), seed: newSeed(), clock: newClock()}
	for range cap(s.free) {
		s.free <- &job{mine: make([][]uint32, n)}
	}
	for k := range n {
		u := &turn{order: o, k: k}
		t := New(cfg.share(n, u))
		t.seed = s.seed
		if n > 1 {
			t.opened = new(series)
		}
		jobs := make(chan *job, jobsAhead)
		s.trackers = append(s.trackers, t)
		s.jobs = append(s.jobs, jobs)
		s.done.Go(func() { s.follow(t, k, u, jobs) })
	}
	return s
}

// share is the Config of one of n trackers.
func (cfg Config) share(n int, u *turn) Config {
	if n == 1 {
		return cfg
	}
	cfg.sharers = n
	cfg.MaxConns = (cfg.MaxConns + n - 1) / n
	cfg.MaxMemory = (cfg.MaxMemory + n - 1) / n
	cfg.Done, cfg.Over = inTurn(u, cfg.Done), inTurn(u, cfg.Over)
	cfg.Lone, cfg.Plain = inTurn(u, cfg.Lone), inTurn(u, cfg.Plain)
	return cfg
}

// Fresh returns a batch to fill for the next call of Batch. Waiting for the
// trackers is done here.
func (s *Parallel) Fresh() *capture.Batch {
	if s.current == nil {
		s.current = <-s.free
		s.current.batch.Lazy, s.current.batch.Seed = true, s.seed
	}
	return &s.current.batch
}

// Batch takes the packets of the batch that Fresh returned, which is then no
// longer the caller's.
func (s *Parallel) Batch() {
	j := s.current
	s.current = nil
	s.clock.now = max(s.clock.now, j.batch.Now)
	j.share(s)
	s.send(j)
}

func (s *Parallel) send(j *job) {
	for _, c := range s.jobs {
		c <- j
	}
}

// Tick is [Tracker.Tick]. What is due is reported some time after it returns.
func (s *Parallel) Tick(now int64) {
	b := s.Fresh()
	b.Packets, b.Data, b.Slips, b.Now = b.Packets[:0], b.Data[:0], b.Slips[:0], now
	s.Batch()
}

// paused calls f while all trackers stand still, all batches done.
func (s *Parallel) paused(f func()) {
	var arrived sync.WaitGroup
	arrived.Add(len(s.trackers))
	resume := make(chan struct{})
	s.send(&job{pause: func() {
		arrived.Done()
		<-resume
	}})
	arrived.Wait()
	f()
	close(resume)
}

// Wait returns when the trackers have taken all batches, and nothing is
// reported until the next one.
func (s *Parallel) Wait() { s.paused(func() {}) }

// Each is [Tracker.Each].
func (s *Parallel) Each(visit func(*Conn)) {
	s.paused(func() {
		for _, t := range s.trackers {
			t.Each(visit)
		}
	})
}

// States is [Tracker.States].
func (s *Parallel) States() (all States) {
	s.paused(func() {
		for _, t := range s.trackers {
			for state, n := range t.States() {
				all[state][Client] += n[Client]
				all[state][Server] += n[Server]
			}
		}
	})
	return all
}

// Open is [Tracker.Open].
func (s *Parallel) Open() (n int) {
	s.paused(func() { n = int(s.sum(func(t *Tracker) uint64 { return uint64(t.Open()) })) })
	return n
}

// Memory is [Tracker.Memory].
func (s *Parallel) Memory() (n int) {
	s.paused(func() { n = int(s.sum(func(t *Tracker) uint64 { return uint64(t.Memory()) })) })
	return n
}

// share prepares the batch for the trackers.
func (j *job) share(s *Parallel) {
	n := len(s.trackers)
	for k := range j.mine {
		j.mine[k] = j.mine[k][:0]
	}
	j.slips = j.batch.AllSlips(&j.own, s.seed)
	for i := range j.slips {
		p := &j.slips[i]
		if s.clock.tick(p); p.AboutTCP() {
			k := p.Part(n)
			j.mine[k] = append(j.mine[k], uint32(i))
		}
	}
	j.before, j.dues = s.read, s.clock.dues()
	s.read += uint64(len(j.slips))
	j.left.Store(int32(n))
}

// follow is the goroutine of t, tracker k.
func (s *Parallel) follow(t *Tracker, k int, u *turn, jobs <-chan *job) {
	for j := range jobs {
		if j.pause != nil {
			j.pause()
			continue
		}
		t.before, t.clock.now = j.before, j.dues.now
		t.share(&j.batch, j.slips, j.mine[k], j.dues)
		u.end()
		if j.left.Add(-1) == 0 {
			s.free <- j
		}
	}
	t.Finish()
	u.end()
}

// Finish waits for the trackers and reports every connection that is left.
// Nothing but the counters and Number may be called afterwards.
func (s *Parallel) Finish() {
	for _, c := range s.jobs {
		close(c)
	}
	s.done.Wait()
}

// Number is the ID, from 1 in the order of first packets, of a connection
// whose Conn.ID was id. It may be called by what Each calls, and after Finish.
func (s *Parallel) Number(id uint64) uint64 {
	if len(s.trackers) == 1 || id == 0 {
		return id
	}
	n := uint64(0)
	for _, t := range s.trackers {
		n += t.opened.upTo(id)
	}
	return n
}

// OrphanICMP is [Tracker.OrphanICMP]; to be called after Finish, as those below.
func (s *Parallel) OrphanICMP() uint64 { return s.sum((*Tracker).OrphanICMP) }

// LatePackets is [Tracker.LatePackets].
func (s *Parallel) LatePackets() uint64 { return s.sum((*Tracker).LatePackets) }

// Evicted is [Tracker.Evicted].
func (s *Parallel) Evicted() uint64 { return s.sum((*Tracker).Evicted) }

func (s *Parallel) sum(of func(*Tracker) uint64) (n uint64) {
	for _, t := range s.trackers {
		n += of(t)
	}
	return n
}
