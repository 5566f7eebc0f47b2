package assembler_test

import (
	"cmp"
	"runtime"
	"slices"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/generate"
)

// seen is what n trackers tell of a capture: connections by ID when they are
// over and when reported, all those that are followed after each batch, and
// how many ends are in which state.
type seen struct {
	over, done []*assembler.Conn
	each       []uint64
	states     []assembler.States
	open       []int
}

// inParallel runs the batches through n trackers; a live view has ticks
// between them, and looks on.
func (all batches) inParallel(n int, live bool) (got seen) {
	cfg := assembler.Config{Done: func(c *assembler.Conn) { got.done = append(got.done, c.Bare()) }}
	if live {
		cfg.Lone = func(l *assembler.Lone) {
			c := new(assembler.Conn)
			l.Expand(c)
			got.done = append(got.done, c)
		}
		cfg.Over, cfg.OverAfter = func(c *assembler.Conn) { got.over = append(got.over, c.Bare()) }, 2e9
		cfg.Expire = true
	}
	s := assembler.NewParallel(cfg, n)
	for i := range all {
		b := s.Fresh()
		b.Packets = append(b.Packets[:0], all[i].Packets...)
		b.Data = append(b.Data[:0], all[i].Data...)
		s.Batch()
		if !live {
			continue
		}
		s.Tick(b.Packets[len(b.Packets)-1].Time + 1e9)
		var ids []uint64
		s.Each(func(c *assembler.Conn) { ids = append(ids, s.Number(c.ID)) })
		slices.Sort(ids)
		got.each = append(got.each, ids...)
		got.states = append(got.states, s.States())
		got.open = append(got.open, s.Open())
	}
	s.Finish()
	for _, conns := range [][]*assembler.Conn{got.over, got.done} {
		for _, c := range conns {
			for _, id := range []*uint64{&c.ID, &c.Predecessor, &c.SuccessorID} {
				*id = s.Number(*id)
			}
		}
		slices.SortFunc(conns, func(a, b *assembler.Conn) int { return cmp.Compare(a.ID, b.ID) })
	}
	return got
}

func same(a, b *assembler.Conn) bool { return *a == *b }

// Any number of trackers finds the same.
func TestParallel(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want, _ := all.track(t, assembler.New, assembler.Config{})
		for _, n := range []int{0, 1, 2, 3, 7} {
			if got := all.inParallel(n, false); !slices.EqualFunc(got.done, want, same) {
				t.Errorf("%s: %d trackers report other connections", m.Name, n)
			}
		}
	}
}

// Nor does it matter how many processors there are: with one, the goroutine
// that reads does all the work itself.
func TestParallelProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want, _ := all.track(t, assembler.New, assembler.Config{})
		for _, procs := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(procs)
			if got := all.inParallel(3, false); !slices.EqualFunc(got.done, want, same) {
				t.Errorf("%s: 3 trackers on %d processors report other connections", m.Name, procs)
			}
		}
	}
}

// Any number of trackers shows the same at any time.
func TestParallelLive(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want := all.inParallel(1, true)
		if m.Exchanges > 0 && len(want.over) == 0 {
			t.Errorf("%s: never over", m.Name)
		}
		for _, n := range []int{2, 3, 7} {
			got := all.inParallel(n, true)
			if !slices.EqualFunc(got.done, want.done, same) || !slices.EqualFunc(got.over, want.over, same) {
				t.Errorf("%s: %d trackers report other connections", m.Name, n)
			}
			if !slices.Equal(got.each, want.each) || !slices.Equal(got.states, want.states) || !slices.Equal(got.open, want.open) {
				t.Errorf("%s: %d trackers show other connections in between", m.Name, n)
			}
		}
	}
}

// Several trackers report in the same order in every run.
func TestParallelOrder(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		var want []uint64
		for run := range 5 {
			var got []uint64
			s := assembler.NewParallel(assembler.Config{
				Done: func(c *assembler.Conn) { got = append(got, c.ID) },
				Lone: func(l *assembler.Lone) { got = append(got, l.ID) },
			}, 3)
			for i := range all {
				b := s.Fresh()
				b.Packets = append(b.Packets[:0], all[i].Packets...)
				b.Data = append(b.Data[:0], all[i].Data...)
				s.Batch()
			}
			s.Finish()
			if run == 0 {
				want = got
			} else if !slices.Equal(got, want) {
				t.Fatalf("%s: run %d has another order", m.Name, run)
			}
		}
	}
}

// A trace comes in the order of the packets, whatever was asked for.
func TestParallelTrace(t *testing.T) {
	var last capture.Ref
	s := assembler.NewParallel(assembler.Config{
		Done: func(*assembler.Conn) {},
		Trace: func(p assembler.Step) {
			if p.Packet.Ref <= last {
				t.Errorf("packet %d after %d", p.Packet.Ref, last)
			}
			last = p.Packet.Ref
		},
	}, 4)
	for _, b := range load(t, "", generated(t, generate.Mixes[0])) {
		*s.Fresh() = b
		s.Batch()
	}
	s.Finish()
	if last == 0 {
		t.Error("nothing traced")
	}
}
