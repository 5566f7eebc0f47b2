package assembler_test

import (
	"cmp"
	"slices"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/generate"
)

// inParallel is track by n trackers.
func (all batches) inParallel(n int) (conns []*assembler.Conn) {
	s := assembler.NewParallel(assembler.Config{Done: func(c *assembler.Conn) { conns = append(conns, c.Bare()) }}, n)
	for i := range all {
		b := s.Fresh()
		b.Packets = append(b.Packets[:0], all[i].Packets...)
		b.Data = append(b.Data[:0], all[i].Data...)
		s.Batch()
	}
	s.Finish()
	for _, c := range conns {
		for _, id := range []*uint64{&c.ID, &c.Predecessor, &c.SuccessorID} {
			*id = s.Number(*id)
		}
	}
	slices.SortFunc(conns, func(a, b *assembler.Conn) int { return cmp.Compare(a.ID, b.ID) })
	return conns
}

// Any number of trackers finds the same.
func TestParallel(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want, _ := all.track(assembler.New, assembler.Config{})
		for _, n := range []int{0, 1, 2, 3, 7} {
			got := all.inParallel(n)
			if len(got) != len(want) {
				t.Fatalf("%s: %d trackers find %d connections, one %d", m.Name, n, len(got), len(want))
			}
			for i := range got {
				if *got[i] != *want[i] {
					t.Fatalf("%s: %d trackers differ on connection %d, one has %d", m.Name, n, got[i].ID, want[i].ID)
				}
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
