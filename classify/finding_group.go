package classify

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"math/bits"
	"slices"

	"hangup/assembler"
)

// bounded is a map that keeps at most max entries. When it is full, the half
// that was touched least is dropped and counted, so that what occurs often
// stays however much chaff comes by.
type bounded[K comparable, V any] struct {
	max     int
	index   map[K]int32
	items   []item[K, V]
	dropped uint64 // touches of entries that were dropped
}

type item[K comparable, V any] struct {
	key    K
	weight uint64 // how often at asked for it
	val    V
}

// at returns the entry of k, new or old, and counts it. The pointer holds
// until the next call.
func (b *bounded[K, V]) at(k K) *V {
	if i, ok := b.index[k]; ok {
		b.items[i].weight++
		return &b.items[i].val
	}
	if b.index == nil {
		b.index = make(map[K]int32)
	}
	if len(b.items) >= b.max {
		b.prune()
	}
	b.index[k] = int32(len(b.items))
	b.items = append(b.items, item[K, V]{key: k, weight: 1})
	return &b.items[len(b.items)-1].val
}

// find returns the entry of k, nil if there is none.
func (b *bounded[K, V]) find(k K) *V {
	if i, ok := b.index[k]; ok {
		return &b.items[i].val
	}
	return nil
}

// clone is an independent copy; deep, if not nil, parts what values point to.
func (b *bounded[K, V]) clone(deep func(*V)) bounded[K, V] {
	c := *b
	c.index, c.items = maps.Clone(b.index), slices.Clone(b.items)
	if deep != nil {
		for i := range c.items {
			deep(&c.items[i].val)
		}
	}
	return c
}

// prune drops the lighter half, the older of equals.
func (b *bounded[K, V]) prune() {
	order := make([]int32, len(b.items))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(x, y int32) int { return cmp.Compare(b.items[x].weight, b.items[y].weight) })
	out := order[:(len(order)+1)/2]
	slices.Sort(out)
	kept := b.items[:0]
	for i := range b.items {
		if len(out) > 0 && out[0] == int32(i) {
			b.dropped += b.items[i].weight
			delete(b.index, b.items[i].key)
			out = out[1:]
			continue
		}
		b.index[b.items[i].key] = int32(len(kept))
		kept = append(kept, b.items[i])
	}
	clear(b.items[len(kept):])
	b.items = kept
}

// endpoint is an address and port; port 0 is any.
type endpoint struct {
	addr [16]byte
	port uint16
}

func (e *endpoint) less(o *endpoint) bool {
	return cmp.Or(bytes.Compare(e.addr[:], o.addr[:]), cmp.Compare(e.port, o.port)) < 0
}

func endpointOf(e *assembler.End) endpoint { return endpoint{e.Addr, e.Port} }

// relation is a client host and the server endpoint that it talks to.
type relation struct {
	client [16]byte
	server endpoint
}

func relationOf(c *assembler.Conn) relation {
	return relation{c.End(assembler.Client).Addr, endpointOf(c.End(assembler.Server))}
}

// hashOf mixes an address well (MurmurHash3's finalizer).
func hashOf(addr *[16]byte) uint64 {
	h := binary.LittleEndian.Uint64(addr[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(addr[8:])
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// crowd counts distinct hosts, many by estimate, and names a few of them:
// those of the smallest hashes, so that it does not matter who came first.
type crowd struct {
	named  [4][16]byte
	hashes [4]uint64
	n      uint8
	last   uint64 // the hash that was added last, 0 if none was: it comes again, mostly
	all    distinct
}

func (w *crowd) add(addr [16]byte) { w.addHash(&addr, hashOf(&addr)) }

func (w *crowd) addHash(addr *[16]byte, h uint64) {
	if h == w.last && h != 0 {
		return
	}
	w.last = h
	w.all.add(h)
	if int(w.n) == len(w.named) && h >= w.hashes[w.n-1] {
		return
	}
	i := int(w.n)
	for ; i > 0 && w.hashes[i-1] >= h; i-- {
		if w.hashes[i-1] == h && w.named[i-1] == *addr {
			return
		}
	}
	if int(w.n) < len(w.named) {
		w.n++
	}
	copy(w.named[i+1:], w.named[i:])
	copy(w.hashes[i+1:], w.hashes[i:])
	w.named[i], w.hashes[i] = *addr, h
}

// names are the hosts it can name, in the order of their addresses.
func (w *crowd) names() [][16]byte {
	list := slices.Clone(w.named[:w.n])
	slices.SortFunc(list, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return list
}

// size is exact up to four, then an estimate.
func (w *crowd) size() int {
	if int(w.n) < len(w.named) {
		return int(w.n)
	}
	return max(int(w.n), w.all.size())
}

// distinct estimates how many different hashes it was given: by linear
// counting (Whang, Vander-Zanden, Taylor 1990), good to some percent up to
// 2,000, beyond that by HyperLogLog (Flajolet et al. 2007), good to 13 %.
type distinct struct {
	bits  [8]uint64
	ranks [64]uint8
}

func (d *distinct) add(h uint64) {
	d.bits[h>>61] |= 1 << (h >> 55 & 63)
	r := &d.ranks[h&63]
	*r = max(*r, uint8(bits.TrailingZeros64(h>>6|1<<48)+1))
}

func (d *distinct) size() int {
	const m = 64 * len(d.bits)
	set := 0
	for _, b := range d.bits {
		set += bits.OnesCount64(b)
	}
	if set < m*49/50 {
		return int(math.Round(-float64(m) * math.Log(1-float64(set)/float64(m))))
	}
	sum := 0.0
	for _, r := range d.ranks {
		sum += math.Ldexp(1, -int(r))
	}
	const n = float64(len(d.ranks))
	return int(math.Round(0.709 * n * n / sum))
}

// spread is a histogram of durations with steps of about 9 % (eight to an
// octave), from 1 µs to centuries.
type spread struct {
	n        [256]uint32
	total    uint64
	min, max int64
}

func (s *spread) add(d int64) {
	if s.total == 0 || d < s.min {
		s.min = d
	}
	s.max = max(s.max, d)
	s.total++
	s.n[octave(d)]++
}

// join adds the durations of o.
func (s *spread) join(o *spread) {
	if o.total == 0 {
		return
	}
	if s.total == 0 || o.min < s.min {
		s.min = o.min
	}
	s.max = max(s.max, o.max)
	s.total += o.total
	for i, n := range o.n {
		s.n[i] += n
	}
}

func octave(d int64) int {
	if d < 1000 {
		return 0
	}
	// Eight times the logarithm to base 2: the exponent, and which eighths of
	// an octave the mantissa reaches.
	b := math.Float64bits(float64(d) / 1000)
	i, m := int(b>>52)-1023, b<<12
	k := int(eighthOf[m>>56])
	if k < 7 && m >= eighths[k+1] {
		k++
	}
	return min(255, 8*i+k)
}

// eighthOf tells by the upper 8 bits of a mantissa which of the eighths it
// reaches at least: it may be one more.
var eighthOf = func() (list [256]uint8) {
	k := uint8(0)
	for i := range list {
		for k < 7 && eighths[k+1] <= uint64(i)<<56 {
			k++
		}
		list[i] = k
	}
	return list
}()

// eighths are the mantissas of 2^(k/8), as fractions of 2^64.
var eighths = func() (e [8]uint64) {
	for k := range e {
		e[k] = math.Float64bits(math.Exp2(float64(k)/8)) << 12
	}
	return e
}()

// quantile is the duration (ns) below which the share q of them lies.
func (s *spread) quantile(q float64) int64 {
	want := uint64(q * float64(s.total))
	var sum uint64
	for i, n := range s.n {
		if sum += uint64(n); sum > want {
			mid := int64(1000 * math.Exp2((float64(i)+0.5)/8))
			return min(max(mid, s.min), s.max)
		}
	}
	return s.max
}

// edge is the shortest duration (ns) of a step.
func edge(i int) int64 { return int64(1000 * math.Exp2(float64(i)/8)) }
