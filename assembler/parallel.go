package assembler

import (
	"runtime"
	"sync"

	"hangup/capture"
)

// Parallel follows connections as a Tracker does, by several trackers that
// share the tuples out among themselves, while the input is read. What they
// find does not depend on their number, only in which order it is reported;
// unless Config.MaxConns or MaxMemory, which they share out as well, come into
// play. Its methods are for one goroutine, that which reads.
//
// With more than one tracker nobody knows, when a connection opens, how many
// have opened before: Conn.ID is then the number of its first packet in the
// whole input, which orders connections as well. So are Predecessor and
// SuccessorID. [Parallel.Number] gives the ID.
type Parallel struct {
	trackers []*Tracker
	seed     uint64
	read     uint64 // packets so far
	clock    clock

	jobs    []job // a ring: number i is jobs[i % len]
	given   int   // how many there have been
	helpers sync.WaitGroup

	mu       sync.Mutex // of what follows, and given
	moved    sync.Cond  // it has changed
	progress []progress // of each tracker
	finished bool       // nothing more is given
}

// job is a batch on its way through the trackers.
type job struct {
	batch  capture.Batch
	own    []capture.Slip // memory for slips, if the batch has none
	slips  []capture.Slip
	mine   [][]uint32 // for each tracker, which packets are its
	before uint64     // packets of the input before the batch
	dues   dues
	last   bool // instead of all that, finish
}

// jobsAhead is how many batches may be on their way: enough to even out what
// some take longer than others, few enough to stay in the cache.
const jobsAhead = 4

// NewParallel returns a Parallel with n trackers, at least one; a Trace wants
// its packets in order, and allows no more. The Config's functions are called
// from several goroutines, never two at once.
//
// Waking a goroutine costs as much as tracking some dozen packets: batches of
// 2048 (capture.OpenConfig.BatchSize) make that little, the usual 512 a tenth
// of all. Work that Done does is not shared out; while it is less than half
// of all, two trackers are worth it on two processors. In which order several
// report depends on the packets alone.
func NewParallel(cfg Config, n int) *Parallel {
	if n < 1 || cfg.Trace != nil {
		n = 1
	}
	helpers := min(n, runtime.GOMAXPROCS(0)-1)
	ahead := jobsAhead
	if helpers == 0 {
		ahead = 1
	}
	s := &Parallel{seed: newSeed(), clock: newClock(), jobs: make([]job, ahead), progress: make([]progress, n)}
	s.moved.L = &s.mu
	for i := range s.jobs {
		s.jobs[i].mine = make([][]uint32, n)
	}
	for k := range n {
		t := New(cfg.share(n, &turn{s: s, k: k}))
		t.seed = s.seed
		if n > 1 {
			t.opened = new(series)
		}
		s.trackers = append(s.trackers, t)
	}
	for range helpers {
		s.helpers.Go(s.help)
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

// Fresh returns a batch to fill for the next call of Batch. When too many are
// on their way, it lends a hand.
func (s *Parallel) Fresh() *capture.Batch {
	s.until(s.given + 1 - len(s.jobs))
	b := &s.jobs[s.given%len(s.jobs)].batch
	b.Lazy, b.Seed = true, s.seed
	return b
}

// Batch takes the packets of the batch that Fresh returned, which is then no
// longer the caller's.
func (s *Parallel) Batch() {
	j := &s.jobs[s.given%len(s.jobs)]
	s.clock.now = max(s.clock.now, j.batch.Now)
	j.share(s)
	s.give(false)
}

// give lets the trackers have the next job.
func (s *Parallel) give(last bool) {
	s.mu.Lock()
	s.given++
	s.finished = last
	s.mu.Unlock()
	s.moved.Broadcast()
}

// Tick is [Tracker.Tick]. What is due is reported some time after it returns.
func (s *Parallel) Tick(now int64) {
	b := s.Fresh()
	b.Packets, b.Data, b.Slips, b.Now = b.Packets[:0], b.Data[:0], b.Slips[:0], now
	s.Batch()
}

// Wait returns when the trackers have taken all batches, and nothing is
// reported until the next one.
func (s *Parallel) Wait() { s.until(s.given) }

// Each is [Tracker.Each].
func (s *Parallel) Each(visit func(*Conn)) {
	s.Wait()
	for _, t := range s.trackers {
		t.Each(visit)
	}
}

// States is [Tracker.States].
func (s *Parallel) States() (all States) {
	s.Wait()
	for _, t := range s.trackers {
		for state, n := range t.States() {
			all[state][Client] += n[Client]
			all[state][Server] += n[Server]
		}
	}
	return all
}

// Open is [Tracker.Open].
func (s *Parallel) Open() int {
	s.Wait()
	return int(s.sum(func(t *Tracker) uint64 { return uint64(t.Open()) }))
}

// Memory is [Tracker.Memory].
func (s *Parallel) Memory() int {
	s.Wait()
	return int(s.sum(func(t *Tracker) uint64 { return uint64(t.Memory()) }))
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
}

// Finish waits for the trackers and reports every connection that is left.
// Nothing but the counters and Number may be called afterwards.
func (s *Parallel) Finish() {
	s.Fresh()
	s.jobs[s.given%len(s.jobs)].last = true
	s.give(true)
	s.Wait()
	s.helpers.Wait()
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
