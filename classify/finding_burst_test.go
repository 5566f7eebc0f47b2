package classify

import (
	"hangup/assembler"
	"math/rand/v2"
	"slices"
	"testing"
)

// steady are so many ends, at random in [from, to) ns.
func steady(rng *rand.Rand, n int, from, to int64) (list []badEnd) {
	for range n {
		list = append(list, badEnd{Stamp: assembler.Stamp{Time: from + rng.Int64N(to-from)}})
	}
	return list
}

func TestASteadyShareOfBadEndsIsNoBurst(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		// Two busy minutes in ten, and in a day.
		for _, span := range []int64{600 * second, 86400 * second} {
			ends := steady(rng, 3600, 100*second, 220*second)
			slices.SortFunc(ends, byEnd)
			if list := burstsIn(ends, span); len(list) > 0 {
				t.Errorf("seed %d: a burst of %d ends in steady traffic", seed, len(list[0].ends))
			}
		}
	}
}

func TestABurstAmongSteadyBadEnds(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		ends := append(steady(rng, 1200, 0, 120*second), steady(rng, 300, 60*second, 60*second+second/2)...)
		slices.SortFunc(ends, byEnd)
		list := burstsIn(ends, 600*second)
		if len(list) != 1 {
			t.Fatalf("seed %d: %d bursts, want 1", seed, len(list))
		}
		b := list[0]
		if n, took := len(b.ends), b.ends[len(b.ends)-1].Time-b.ends[0].Time; n < 300 || n > 340 || took > 2*second {
			t.Errorf("seed %d: burst of %d ends in %s, want 300 in 500 ms", seed, n, dur(took))
		}
		if b.usual < 1.8 || b.usual > 2.1 { // 1200 in 600 s
			t.Errorf("seed %d: %g per second otherwise, want 2", seed, b.usual)
		}
	}
}
