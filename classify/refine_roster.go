package classify

import (
	"cmp"
	"math"
	"slices"
)

// roster numbers hosts or servers in the order in which they come, as many as
// it has room for. Number 0 is all those that came later, of which nothing is
// known.
type roster[K comparable, V any] struct {
	index map[K]int32
	vals  []V
	late  V
	last  K // of the latest: neighbours often share a host
	lastN int32
}

// maxRoster bounds each roster to some 20 MB.
const maxRoster = 1 << 18

func (r *roster[K, V]) at(k K) int32 {
	if k == r.last && r.lastN != 0 {
		return r.lastN
	}
	n, ok := r.index[k]
	if !ok {
		if n = r.enter(k); n == 0 {
			return 0
		}
	}
	r.last, r.lastN = k, n
	return n
}

func (r *roster[K, V]) enter(k K) int32 {
	if r.index == nil {
		r.index = map[K]int32{}
	}
	if len(r.vals) >= maxRoster {
		return 0
	}
	var v V
	r.vals = append(r.vals, v)
	n := int32(len(r.vals))
	r.index[k] = n
	return n
}

// val is what is known of number n; the pointer holds until the next at. What
// is written to number 0 is lost.
func (r *roster[K, V]) val(n int32) *V {
	if n == 0 {
		var none V
		r.late = none
		return &r.late
	}
	return &r.vals[n-1]
}

// begun remembers when connections of each server began: the latest two
// million of them, in 8 bytes each.
type begun struct{ pages []beginnings }

// beginnings are connections that began at about the same time.
type beginnings struct {
	base int64 // ns
	list []beginning
}

type beginning struct {
	after  uint32 // µs since base
	server uint32 // shifted left by one, lowest bit set if it refused
}

const (
	beginningsPage = 1 << 14
	begunPages     = 1 << 7
)

func (b *begun) add(server int32, at int64, refused bool) {
	k := len(b.pages) - 1
	if k < 0 || len(b.pages[k].list) == beginningsPage || at < b.pages[k].base || (at-b.pages[k].base)/1000 > math.MaxUint32 {
		b.turn(at)
		k = len(b.pages) - 1
	}
	p := &b.pages[k]
	p.list = append(p.list, beginning{uint32((at - p.base) / 1000), uint32(server)<<1 | uint32(b2i(refused))})
}

// turn starts a page, in place of the oldest once there are enough. Endings
// come later than what is reported first may have begun: some way back.
func (b *begun) turn(at int64) {
	p := beginnings{base: at - 30*60*second}
	if len(b.pages) == begunPages {
		p.list = b.pages[0].list[:0]
		b.pages = b.pages[:copy(b.pages, b.pages[1:])]
	}
	b.pages = append(b.pages, p)
}

// start is when a connection began, ns, and whether it was refused.
type start struct {
	at      int64
	refused bool
}

// of lists the beginnings at the servers that are keys of wanted, in order.
func (b *begun) of(wanted map[int32][]*question) map[int32][]start {
	all := map[int32][]start{}
	for _, p := range b.pages {
		for _, s := range p.list {
			server := int32(s.server >> 1)
			if _, ok := wanted[server]; ok {
				all[server] = append(all[server], start{p.base + int64(s.after)*1000, s.server&1 != 0})
			}
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b start) int { return cmp.Compare(a.at, b.at) })
	}
	return all
}
