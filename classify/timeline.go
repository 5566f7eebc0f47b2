package classify

// The timelines below have a fixed number of bins; when time runs beyond the
// last one, pairs of bins become one and each lasts twice as long. So they
// need no knowledge of how long a capture is, and never grow.

// bins is a timeline's resolution: a minute-long capture shows 60 ms, a day
// three minutes, which is what a plot across a terminal can show anyway.
const bins = 512

// firstWidth is how long (ns) a bin lasts at first. Half a second is below
// every lifetime that is eventCount here (TIME_WAIT 30 s).
const firstWidth = second / 2

// sampled counts how many of something exist at the moments Start + i·Width.
type sampled struct {
	start, width int64
	diff         [bins]int32
}

// add lets one exist from one time until, exclusively, another (ns).
func (s *sampled) add(from, to int64) {
	if to <= from {
		return
	}
	if s.width == 0 {
		s.start, s.width = from, firstWidth
	}
	for (to-s.start)/s.width >= bins-1 {
		s.fold()
	}
	if i, j := s.index(from), s.index(to); i < j {
		s.diff[i]++
		s.diff[j]--
	}
}

// index is the first moment at or after t.
func (s *sampled) index(t int64) int64 {
	return (max(t-s.start, 0) + s.width - 1) / s.width
}

// fold drops every second moment, exactly.
func (s *sampled) fold() {
	var d [bins]int32
	for i, n := range s.diff {
		d[(i+1)/2] += n
	}
	s.diff = d
	s.width *= 2
}

// peak is the largest count at any of the moments, and when it occurred.
func (s *sampled) peak() (n int32, at int64) {
	sum := int32(0)
	for i, d := range s.diff {
		if sum += d; sum > n {
			n, at = sum, s.start+int64(i)*s.width
		}
	}
	return n, at
}

// eventCount counts events per bin [Start + i·Width, Start + (i+1)·Width).
type eventCount struct {
	start, width int64
	n            [bins]uint32
}

func (c *eventCount) add(t int64) {
	if c.width == 0 {
		c.start, c.width = t, firstWidth
	}
	for (t-c.start)/c.width >= bins {
		c.widen()
	}
	c.n[max(t-c.start, 0)/c.width]++
}

// widen joins pairs of bins.
func (c *eventCount) widen() {
	for i := range bins / 2 {
		c.n[i] = c.n[2*i] + c.n[2*i+1]
	}
	clear(c.n[bins/2:])
	c.width *= 2
}

// busiest is the largest number of events per second (of time) within any
// window of at least the given length (ns), and when that window began.
func (c *eventCount) busiest(window int64) (perSecond float64, at int64) {
	if c.width == 0 {
		return 0, 0
	}
	k := int(max(1, (window+c.width-1)/c.width))
	sum := uint32(0)
	for i, n := range c.n {
		sum += n
		if i >= k {
			sum -= c.n[i-k]
		}
		if r := float64(sum) * float64(second) / float64(int64(k)*c.width); r > perSecond {
			perSecond, at = r, c.start+int64(max(0, i-k+1))*c.width
		}
	}
	return perSecond, at
}
