package classify

// The timelines below have a fixed number of bins, which lie at multiples of
// their width. When time spans more than they hold, pairs of bins become one
// and each lasts twice as long. So they need no knowledge of how long a
// capture is, never grow, and do not depend on the order in which they are
// filled.

// bins is a timeline's resolution: a minute-long capture shows 125 ms, a day
// four minutes, which is what a plot across a terminal can show anyway.
const bins = 512

// firstWidth is how long (ns) a bin lasts at first. Half a second is below
// every lifetime that is counted here (TIME_WAIT 30 s).
const firstWidth = second / 2

// ring is where the bins of a timeline are: bin b at b modulo bins.
type ring struct {
	shift  uint8 // each bin lasts firstWidth<<shift
	used   bool
	lo, hi int64 // first and last bin in use
}

func (r *ring) width() int64 { return firstWidth << r.shift }

// start is when the first bin in use begins, or is.
func (r *ring) start() int64 { return r.lo * r.width() }

// bin is floor(t / width), with the only division by what the compiler knows.
func (r *ring) bin(t int64) int64 {
	const twos = 8
	const odd = firstWidth >> twos
	t >>= twos + r.shift
	if t < 0 {
		t -= odd - 1
	}
	return t / odd
}

func place(bin int64) int { return int(uint64(bin) % bins) }

// sampled counts how many of something exist at the moments i·width.
type sampled struct {
	ring
	diff [bins]int32
}

// add lets one exist from one time until, exclusively, another (ns).
func (s *sampled) add(from, to int64) {
	i, j := s.index(from), s.index(to)
	if j <= i {
		if to <= from {
			return
		}
		j = i // it spans no moment, but time
	}
	for !s.take(i, j) {
		s.fold()
		i, j = s.index(from), s.index(to)
	}
	s.diff[place(i)]++
	s.diff[place(j)]--
}

// take makes room for bins from i to j, and reports whether there is any.
func (r *ring) take(i, j int64) bool {
	if r.used {
		i, j = min(i, r.lo), max(j, r.hi)
	}
	if j-i >= bins {
		return false
	}
	r.lo, r.hi, r.used = i, j, true
	return true
}

// index is the first moment at or after t.
func (r *ring) index(t int64) int64 { return r.bin(t-1) + 1 }

// fold drops every second moment, exactly.
func (s *sampled) fold() {
	var d [bins]int32
	if s.used {
		for i := s.lo; i <= s.hi; i++ {
			d[place((i+1)>>1)] += s.diff[place(i)]
		}
		s.lo, s.hi = (s.lo+1)>>1, (s.hi+1)>>1
	}
	s.diff = d
	s.shift++
}

// less is what is left where each of t is one of s as well.
func (s *sampled) less(t *sampled) sampled {
	a, b := *s, *t
	for b.used && a.shift < b.shift {
		a.fold()
	}
	for b.used && b.shift < a.shift {
		b.fold()
	}
	for i := b.lo; b.used && i <= b.hi; i++ {
		a.diff[place(i)] -= b.diff[place(i)]
	}
	return a
}

// peak is the largest count at any of the moments, and when it occurred.
func (s *sampled) peak() (n int32, at int64) {
	sum := int32(0)
	for i := s.lo; i <= s.hi; i++ {
		if sum += s.diff[place(i)]; sum > n {
			n, at = sum, i*s.width()
		}
	}
	return n, at
}

// eventCount counts events per bin [i·width, (i+1)·width).
type eventCount struct {
	ring
	n [bins]uint32
}

func (c *eventCount) add(t int64) {
	for {
		i := c.bin(t)
		if c.take(i, i) {
			c.n[place(i)]++
			return
		}
		c.widen()
	}
}

// widen joins pairs of bins.
func (c *eventCount) widen() {
	var n [bins]uint32
	if c.used {
		for i := c.lo; i <= c.hi; i++ {
			n[place(i>>1)] += c.n[place(i)]
		}
		c.lo, c.hi = c.lo>>1, c.hi>>1
	}
	c.n = n
	c.shift++
}

// in is how many events bin i counts.
func (c *eventCount) in(i int64) uint32 {
	if !c.used || i < c.lo || i > c.hi {
		return 0
	}
	return c.n[place(i)]
}

// until is how many events happened before t, as far as bins tell.
func (c *eventCount) until(t int64) (n uint64) {
	for i := c.lo; c.used && i <= c.hi && i*c.width() <= t; i++ {
		n += uint64(c.in(i))
	}
	return n
}

// median is a time before and after which about as many events happened.
func (c *eventCount) median() int64 {
	total, sum := uint64(0), uint64(0)
	for _, n := range c.n {
		total += uint64(n)
	}
	for i := c.lo; i <= c.hi; i++ {
		if sum += uint64(c.in(i)); 2*sum >= total {
			return i*c.width() + c.width()/2
		}
	}
	return 0
}

// busiest is the largest number of events per second (of time) within any
// window of at least the given length (ns), and when that window began.
func (c *eventCount) busiest(window int64) (perSecond float64, at int64) {
	if !c.used {
		return 0, 0
	}
	k := max(1, (window+c.width()-1)/c.width())
	sum := uint32(0)
	for i := c.lo; i <= c.hi; i++ {
		sum += c.in(i)
		if i-k >= c.lo {
			sum -= c.in(i - k)
		}
		if r := float64(sum) * float64(second) / float64(k*c.width()); r > perSecond {
			perSecond, at = r, max(c.lo, i-k+1)*c.width()
		}
	}
	return perSecond, at
}
