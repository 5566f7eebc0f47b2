package classify

import (
	"math"
	"math/bits"
	"slices"
	"sort"
)

// moments is a set of times as a bitmap of bins, which double in width as it
// spans more time: when it was empty and when not is known to one part in a
// thousand of that span (in eight thousand, if fine), and its size is bounded
// (256 bytes, or 2 kB). What it holds depends on the set alone, not on the
// order of add.
//
// Over a day a fine one tells 5 to 10 s apart, over a week a minute: who
// watches for longer should begin anew now and then, or short outages hide
// between successes.
type moments struct {
	fine        bool
	n           uint32
	shift       uint8 // a bin is 1<<shift ns
	first, last int64
	few         [fewMoments]int64 // all of them, until there are more
	bits        []uint64
}

const (
	fewMoments = 4
	momentBits = 1 << 11
	fineBits   = 1 << 14
	// momentShift makes the narrowest bin 65 µs: no two outages are closer.
	momentShift = 16
)

func (m *moments) add(t int64) {
	first, last := m.first, m.last
	if m.n == 0 {
		first, last = t, t
	}
	low := first // of what the bitmap holds
	m.first, m.last = min(first, t), max(last, t)
	if m.n != 1<<32-1 {
		m.n++
	}
	switch {
	case m.n <= fewMoments:
		m.few[m.n-1] = t
		return
	case m.bits == nil:
		m.bits = make([]uint64, momentBits/64)
		if m.fine {
			m.bits = make([]uint64, fineBits/64)
		}
		m.shift = momentShift
		for m.last>>m.shift-m.first>>m.shift >= m.size() {
			m.shift++
		}
		for _, old := range m.few {
			m.set(old >> m.shift)
		}
	}
	for m.last>>m.shift-m.first>>m.shift >= m.size() {
		m.widen(low >> m.shift)
	}
	m.set(t >> m.shift)
}

// size is how many bins there are: a power of two.
func (m *moments) size() int64 { return int64(64 * len(m.bits)) }

// place is where bin b is: the bitmap goes round.
func (m *moments) place(b int64) uint64 { return uint64(b) & uint64(m.size()-1) }

func (m *moments) set(bin int64) {
	i := m.place(bin)
	m.bits[i/64] |= 1 << (i % 64)
}

// widen joins pairs of bins, of which low is the first that may be set.
func (m *moments) widen(low int64) {
	var old [fineBits / 64]uint64
	copy(old[:], m.bits)
	clear(m.bits)
	for w, word := range old[:len(m.bits)] {
		for ; word != 0; word &= word - 1 {
			place := int64(w*64 + bits.TrailingZeros64(word))
			bin := low + int64(m.place(place-low))
			m.set(bin >> 1)
		}
	}
	m.shift++
}

// within reports whether there may be a time in [from, to]: false is certain.
func (m *moments) within(from, to int64) bool {
	from, to = max(from, m.first), min(to, m.last)
	if m.n == 0 || from > to {
		return false
	}
	if m.bits == nil {
		return slices.ContainsFunc(m.few[:m.n], func(t int64) bool { return from <= t && t <= to })
	}
	next := m.nextBin(from >> m.shift)
	return next<<m.shift <= to
}

// nextBin is the first bin from b on that is set; there must be one.
func (m *moments) nextBin(b int64) int64 {
	for {
		i := m.place(b)
		if word := m.bits[i/64] >> (i % 64); word != 0 {
			return b + int64(bits.TrailingZeros64(word))
		}
		b += int64(64 - i%64)
	}
}

// lastBin is the last bin up to b that is set; there must be one.
func (m *moments) lastBin(b int64) int64 {
	for {
		i := m.place(b)
		if word := m.bits[i/64] << (63 - i%64); word != 0 {
			return b - int64(bits.LeadingZeros64(word))
		}
		b -= int64(i%64) + 1
	}
}

// noTime is a time (ns) that none is; 0 is the time of many a first packet.
const noTime = math.MinInt64

// after is the first time later than t, noTime if there is none. Where bins are
// all that is known, it is right to one of them, and what shares one with t
// does not count.
func (m *moments) after(t int64) int64 {
	switch {
	case m.n == 0 || m.last <= t:
		return noTime
	case t < m.first:
		return m.first
	case m.bits != nil && m.last>>m.shift == t>>m.shift:
		return m.last
	case m.bits != nil:
		return min(m.last, max(t+1, m.nextBin(t>>m.shift+1)<<m.shift))
	}
	best := m.last
	for _, x := range m.few[:m.n] {
		if x > t {
			best = min(best, x)
		}
	}
	return best
}

// before is the last time earlier than t, likewise.
func (m *moments) before(t int64) int64 {
	switch {
	case m.n == 0 || m.first >= t:
		return noTime
	case t > m.last:
		return m.last
	case m.bits != nil && m.first>>m.shift == t>>m.shift:
		return m.first
	case m.bits != nil:
		return max(m.first, min(t-1, (m.lastBin(t>>m.shift-1)+1)<<m.shift-1))
	}
	best := m.first
	for _, x := range m.few[:m.n] {
		if x < t {
			best = max(best, x)
		}
	}
	return best
}

func (m *moments) part() { m.bits = slices.Clone(m.bits) }

// failures are the times at which something failed, exact while there are no
// more than mostFailures, later joined to buckets of a width that leaves no
// more. So they are bounded (10 kB) however many there are, and depend on
// nothing but what was added.
type failures struct {
	shift   uint8
	one     failure   // the only one, if there is no other
	buckets []failure // in order, if there are several
}

// mostFailures is the resolution of series of failures.
const mostFailures = 128

// failure is one failure, or several of about the same time.
type failure struct {
	n           uint32
	first, last int64 // when they began
	end         int64 // when the latest was over
	shown       example
}

// again counts a failure that shows nothing new, of which there are many when
// there are any; it reports whether it is one.
func (s *failures) again(at, end int64) bool {
	if s.shift == 0 || len(s.buckets) == 0 {
		return false
	}
	b := &s.buckets[len(s.buckets)-1]
	if b.first>>s.shift != at>>s.shift || at <= b.shown.at {
		return false
	}
	b.n++
	b.last, b.end = max(b.last, at), max(b.end, end)
	return true
}

func (s *failures) add(f failure) {
	switch {
	case s.one.n == 0:
		s.one = f
		return
	case s.buckets == nil:
		s.buckets = append(make([]failure, 0, 4), s.one)
	}
	bin := f.first >> s.shift
	i := sort.Search(len(s.buckets), func(i int) bool {
		b := &s.buckets[i]
		return b.first>>s.shift > bin || b.first>>s.shift == bin && (s.shift > 0 || f.shown.before(&b.shown))
	})
	if s.shift > 0 && i < len(s.buckets) && s.buckets[i].first>>s.shift == bin {
		s.buckets[i].join(&f)
		return
	}
	s.buckets = slices.Insert(s.buckets, i, f)
	for len(s.buckets) > mostFailures {
		s.widen()
	}
}

// join takes another of the same bucket in.
func (a *failure) join(b *failure) {
	a.n += b.n
	if b.shown.before(&a.shown) {
		a.shown = b.shown
	}
	a.first, a.last, a.end = min(a.first, b.first), max(a.last, b.last), max(a.end, b.end)
}

// widen doubles the width of buckets.
func (s *failures) widen() {
	s.shift++
	kept := s.buckets[:1]
	for i := range s.buckets[1:] {
		b := s.buckets[1+i]
		if last := &kept[len(kept)-1]; last.first>>s.shift == b.first>>s.shift {
			last.join(&b)
			continue
		}
		kept = append(kept, b)
	}
	s.buckets = kept
}

// run is a series of failures without a success in between.
type run struct {
	buckets     []failure
	n           uint64
	first, last int64
	after       int64 // ns: about the last success before, noTime if none
	before      int64 // ns: about the first success behind, noTime if none
}

// runs splits the failures where successes came between. Where both are so
// dense that their order is not known, successes are taken to have come
// between: nothing was down for long then.
func (s *failures) runs(ok *moments) (list []run) {
	all := s.buckets
	if len(all) == 0 && s.one.n > 0 {
		all = []failure{s.one}
	}
	start := 0
	for i := range all {
		b := &all[i]
		mixed := b.n > 1 && ok.within(b.first, b.last)
		if i > start && (mixed || ok.within(all[i-1].last, b.first)) {
			list = append(list, newRun(all[start:i], ok))
			start = i
		}
		if mixed {
			list = append(list, run{buckets: all[i : i+1], n: 1, first: b.first, last: b.first, after: noTime, before: noTime})
			start = i + 1
		}
	}
	if start < len(all) {
		list = append(list, newRun(all[start:], ok))
	}
	return list
}

func newRun(b []failure, ok *moments) run {
	r := run{buckets: b, first: b[0].first, last: b[len(b)-1].last}
	for i := range b {
		r.n += uint64(b[i].n)
		r.last = max(r.last, b[i].last)
	}
	r.after, r.before = ok.before(r.first), ok.after(r.last)
	return r
}

// worst is the longest run, of equals the first.
func worst(list []run) (w run) {
	for i := range list {
		if list[i].n > w.n {
			w = list[i]
		}
	}
	return w
}

// group makes the run a group of the clients of all.
func (r *run) group(clients *crowd) group {
	g := group{n: r.n, first: r.first, last: r.last, clients: *clients}
	for i := range r.buckets {
		if g.kept < maxExamples {
			g.keep(&r.buckets[i].shown)
		}
	}
	return g
}

func (s *failures) part() { s.buckets = slices.Clone(s.buckets) }
