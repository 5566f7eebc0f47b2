package classify

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFitIntervals holds the fit to series whose law is known.
func TestFitIntervals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	series := func(n int, next func(i int) float64) []int64 {
		list := make([]int64, n)
		for i := range list {
			list[i] = int64(next(i) * 1e9)
		}
		return list
	}
	jitter := func(share float64) float64 { return 1 + share*(2*rng.Float64()-1) }
	tests := []struct {
		name   string
		list   []int64
		want   pattern
		base   float64 // s
		factor float64
		cap    float64
	}{
		{"constant", series(10, func(int) float64 { return 2 }), constantInterval, 2, 0, 0},
		{"constant, ±20 %", series(30, func(int) float64 { return 5 * jitter(0.2) }), constantInterval, 5, 0, 0},
		{"doubling", series(8, func(i int) float64 { return 0.1 * math.Pow(2, float64(i)) }), exponentialInterval, 0.1, 2, 0},
		{"gRPC: 1.6, ±20 %", series(9, func(i int) float64 { return math.Pow(1.6, float64(i)) * jitter(0.2) }), exponentialInterval, 1, 1.6, 0},
		{"doubling up to 8 s", series(20, func(i int) float64 { return min(8, 0.25*math.Pow(2, float64(i))) }), exponentialInterval, 0.25, 2, 8},
		{"as random as dice", series(30, func(int) float64 { return rng.ExpFloat64() * 3 }), noPattern, 0, 0, 0},
		{"full jitter", series(10, func(i int) float64 { return math.Pow(2, float64(i)) * rng.Float64() }), noPattern, 0, 0, 0},
		{"too few", series(3, func(int) float64 { return 2 }), noPattern, 0, 0, 0},
		{"zeros", make([]int64, 10), constantInterval, 0, 0, 0},
	}
	near := func(got, want float64) bool { return math.Abs(got-want) <= 0.15*want+1e-9 }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fitIntervals(tt.list)
			if f.pattern != tt.want {
				t.Fatalf("%+v", f)
			}
			if tt.base > 0 && !near(float64(f.base)/1e9, tt.base) || tt.factor > 0 && !near(f.factor, tt.factor) || !near(float64(f.cap)/1e9, tt.cap) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestSampledFoldsExactly compares the bins with a count from scratch, far
// beyond the first width.
func TestSampledFoldsExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var s sampled
	type stay struct{ from, to int64 }
	var all []stay
	for range 3000 {
		from := int64(1e18) + rng.Int64N(int64(3*3600e9))
		if len(all) == 0 {
			from = 1e18
		}
		b := stay{from, from + rng.Int64N(int64(300e9))}
		all = append(all, b)
		s.add(b.from, b.to)
	}
	sum := int32(0)
	for i := s.lo; i <= s.hi; i++ {
		sum += s.diff[place(i)]
		at := i * s.width()
		want := int32(0)
		for _, b := range all {
			if b.from <= at && at < b.to {
				want++
			}
		}
		if sum != want {
			t.Fatalf("at bin %d: %d, want %d", i, sum, want)
		}
	}
	if w := s.width(); w < 3*3600e9/bins || w > 2*3*3600e9/(bins/2) {
		t.Errorf("width %d", w)
	}
}

// TestEventCount: nothing is lost when bins are joined, and the busiest
// window is the one in which most happened.
func TestEventCount(t *testing.T) {
	var c eventCount
	for i := range 10_000 {
		c.add(1e18 + int64(i)*second)
	}
	for range 500 {
		c.add(1e18 + 5000*second)
	}
	total := uint32(0)
	for _, n := range c.n {
		total += n
	}
	rate, at := c.busiest(busyWindow)
	if total != 10_500 || at > 1e18+5000*second || at < 1e18+5000*second-2*c.width() {
		t.Errorf("%d events, busiest %.1f/s at %d", total, rate, at)
	}
}

// TestBounded: what occurs often survives any amount of chaff.
func TestBounded(t *testing.T) {
	b := bounded[int, int]{max: 100}
	for i := range 100_000 {
		*b.at(1000 + i)++
		if i%5 == 0 { // each of ten is one touch in sixty: more than one in max
			*b.at(i / 5 % 10)++
		}
	}
	kept := uint64(0)
	for _, it := range b.items {
		kept += it.weight
	}
	if len(b.items) > 100 || kept+b.dropped != 120_000 {
		t.Errorf("%d entries, %d kept, %d dropped", len(b.items), kept, b.dropped)
	}
	for k := range 10 {
		if v := b.find(k); v == nil || *v < 1800 {
			t.Errorf("%d was dropped: %v", k, v)
		}
	}
	for i := range b.items {
		if b.index[b.items[i].key] != int32(i) {
			t.Fatalf("index of %d is wrong", b.items[i].key)
		}
	}
}

// TestCrowd: exact for few, close for many.
func TestCrowd(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 10, 100, 1000} {
		var w crowd
		for range 3 {
			for i := range n {
				w.add([16]byte{10: 0xff, 11: 0xff, 12: 10, 14: byte(i >> 8), 15: byte(i)})
			}
		}
		if got := w.size(); math.Abs(float64(got-n)) > 0.12*float64(n) {
			t.Errorf("%d of %d", got, n)
		}
	}
}

// TestSpread: quantiles are right within a step of the histogram.
func TestSpread(t *testing.T) {
	var s spread
	for i := range 1000 {
		s.add(int64(i+1) * milli)
	}
	for _, q := range []float64{0.1, 0.5, 0.9} {
		if got, want := float64(s.quantile(q)), q*1e9; math.Abs(got-want) > 0.1*want {
			t.Errorf("quantile %v: %v", q, got)
		}
	}
	if s.min != milli || s.max != second {
		t.Errorf("%d to %d", s.min, s.max)
	}
}

// TestTailBoundsPoisson compares the bound with the exact chance.
func TestTailBoundsPoisson(t *testing.T) {
	for _, expected := range []float64{0.01, 0.5, 3, 20} {
		for n := math.Ceil(expected + 1); n < 60; n += 3 {
			exact, term := 0.0, math.Exp(-expected)
			for k := 0.0; k < 200; k++ {
				if k >= n {
					exact += term
				}
				term *= expected / (k + 1)
			}
			if b := tail(n, expected); b < exact*(1-1e-9) || b > 1 {
				t.Errorf("%v or more of %v: bound %v, exact %v", n, expected, b, exact)
			}
		}
	}
}
