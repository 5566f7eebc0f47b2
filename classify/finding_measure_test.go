package classify

import (
	"math"
	"math/rand/v2"
	"slices"
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
	for _, n := range []int{0, 1, 3, 4, 10, 100, 1000, 5000, 100_000, 300_000} {
		var w crowd
		for range 3 {
			for i := range n {
				w.add([16]byte{10: 0xff, 11: 0xff, 12: 10, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
			}
		}
		tolerance := 0.12
		if n > 2000 {
			tolerance = 0.35 // two and a half standard deviations
		}
		if got := w.size(); math.Abs(float64(got-n)) > tolerance*float64(n) {
			t.Errorf("%d of %d", got, n)
		}
	}
}

// TestMoments compares the bitmap with the times themselves: it may see a
// success where there was none within a bin, never the reverse.
func TestMoments(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 3, 4, 5, 50, 2000} {
		for range 20 {
			var times []int64
			base := int64(1e18) + rng.Int64N(1e18)
			length := int64(1) << (10 + rng.Uint64N(40))
			for range n {
				times = append(times, base+rng.Int64N(length))
			}
			m, back := moments{fine: n%2 == 0}, moments{fine: n%2 == 0}
			for i := range times {
				m.add(times[i])
				back.add(times[n-1-i])
			}
			slices.Sort(times)
			if !slices.Equal(m.bits, back.bits) || m.shift != back.shift {
				t.Fatal("the order shows")
			}
			bin := int64(0)
			if m.bits != nil {
				bin = 1 << m.shift
			}
			if width := (times[n-1] - times[0]) / max(m.size()/2, 1); m.bits != nil && bin > max(1<<momentShift, 2*width) {
				t.Errorf("bins of %d ns for %d ns", bin, times[n-1]-times[0])
			}
			for range 200 {
				at := base - length/10 + rng.Int64N(length+length/5)
				to := at + rng.Int64N(length/20+1)
				i, _ := slices.BinarySearch(times, at)
				inside := i < n && times[i] <= to
				if got := m.within(at, to); inside && !got {
					t.Fatalf("%d times: none in [%d, %d]", n, at, to)
				} else if got && !inside && !closer(times, at, to, bin) {
					t.Fatalf("%d times: one in [%d, %d], of bins of %d", n, at, to, bin)
				}
				// What shares a bin with at may be on either side of it.
				next, prev := m.after(at), m.before(at)
				if next != noTime && (next <= at || !closer(times, next, next, bin) || between(times, at+bin, next-bin)) || next == noTime && between(times, at+bin, never) {
					t.Fatalf("%d times: %d follows %d, bins of %d", n, next, at, bin)
				}
				if prev != noTime && (prev >= at || !closer(times, prev, prev, bin) || between(times, prev+bin, at-bin)) || prev == noTime && between(times, 0, at-bin) {
					t.Fatalf("%d times: %d is before %d, bins of %d", n, prev, at, bin)
				}
			}
		}
	}
}

// between reports whether one of the times lies in (from, to).
func between(times []int64, from, to int64) bool {
	return slices.ContainsFunc(times, func(t int64) bool { return t > from && t < to })
}

// closer reports whether one of the times lies within a bin of [from, to].
func closer(times []int64, from, to, bin int64) bool {
	return slices.ContainsFunc(times, func(t int64) bool { return t >= from-bin && t <= to+bin })
}

// TestFailuresInAnyOrder: buckets are those of the set of failures, and no more
// than there may be.
func TestFailuresInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1, 2, 10, mostFailures, mostFailures + 1, 5000} {
		var list []failure
		for i := range n {
			at := int64(1e18) + rng.Int64N(int64(3600e9))
			if i%7 == 0 && i > 0 {
				at = list[i-1].first // as many at the same time
			}
			list = append(list, failure{n: 1, first: at, last: at, end: at + 5, shown: example{id: uint64(i), at: at}})
		}
		var want failures
		for _, f := range list {
			want.add(f)
		}
		for range 5 {
			rng.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
			var got failures
			for _, f := range list {
				got.add(f)
			}
			if got.shift != want.shift || !slices.Equal(got.buckets, want.buckets) || len(got.buckets) > mostFailures {
				t.Fatalf("%d failures: %d buckets of %d ns, want %d of %d", n, len(got.buckets), 1<<got.shift, len(want.buckets), 1<<want.shift)
			}
		}
		r := want.runs(new(moments))
		if len(r) != 1 || r[0].n != uint64(n) {
			t.Errorf("%d failures: %d runs, the first of %d", n, len(r), r[0].n)
		}
	}
}

// TestTable: as TestBounded; and what it says of the entries it has is right.
func TestTable(t *testing.T) {
	b := table[int, int]{max: 100}
	at := func(k int) *int { return b.at(&k, mix(uint64(k))) }
	for i := range 100_000 {
		*at(1000 + i)++
		if i%5 == 0 {
			*at(i / 5 % 10)++
		}
	}
	kept := uint64(0)
	for _, it := range b.items {
		kept += uint64(it.weight)
	}
	if len(b.items) > 100 || kept+b.dropped != 120_000 {
		t.Errorf("%d entries, %d kept, %d dropped", len(b.items), kept, b.dropped)
	}
	for k := range 10 {
		if v := b.find(&k, mix(uint64(k))); v == nil || *v < 1800 {
			t.Errorf("%d was dropped: %v", k, v)
		}
	}
	for i := range b.items {
		if v := b.find(&b.items[i].key, b.items[i].hash); v != &b.items[i].val {
			t.Fatalf("%d is not found", b.items[i].key)
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

// TestOctave: the steps are eighths of octaves, wherever a duration lies.
func TestOctave(t *testing.T) {
	for i := range 8 * 40 {
		low := 1000 * math.Exp2(float64(i)/8)
		for _, d := range []float64{low * (1 + 1e-9), low * 1.05, low * math.Exp2(1.0/8) * (1 - 1e-9)} {
			want := min(255, int(math.Floor(8*math.Log2(float64(int64(d))/1000))))
			if got := octave(int64(d)); got != max(want, 0) {
				t.Fatalf("%d ns: step %d, want %d", int64(d), got, want)
			}
		}
	}
}
