package assembler

import (
	"math/rand/v2"
	"testing"
)

func TestSeries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, step := range []uint64{1, 3, 200, 1 << 20, 1 << 45} {
		var s series
		var all []uint64
		last := uint64(0)
		for range 20_000 {
			last += 1 + r.Uint64N(step)
			s.add(last)
			all = append(all, last)
		}
		for i, n := range all {
			if i%97 != 0 && i < len(all)-1 {
				continue
			}
			between := i // of those up to n-1
			if got := s.upTo(n); got != uint64(i+1) {
				t.Fatalf("steps of %d: %d up to the number %d", step, got, i+1)
			}
			if got := s.upTo(n - 1); got != uint64(between) {
				t.Fatalf("steps of %d: %d before the number %d", step, got, i+1)
			}
		}
		if s.upTo(0) != 0 || s.upTo(1<<63) != uint64(len(all)) {
			t.Errorf("steps of %d: %d at the most", step, s.upTo(1<<63))
		}
	}
	if n := new(series).upTo(5); n != 0 {
		t.Errorf("%d of none", n)
	}
}
