package classify

import (
	"cmp"
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

// begun remembers when connections of each server began, the latest some
// millions of them.
type begun struct {
	pages [][]start
}

type start struct {
	at      int64 // ns
	server  int32
	refused bool
}

const (
	startPage  = 1 << 14
	startPages = 1 << 8
)

func (b *begun) add(server int32, at int64, refused bool) {
	last := len(b.pages) - 1
	if last < 0 || len(b.pages[last]) == startPage {
		page := []start(nil)
		if len(b.pages) == startPages {
			page = b.pages[0][:0]
			b.pages = append(b.pages[:0], b.pages[1:]...)
		} else if last >= 0 {
			page = make([]start, 0, startPage)
		}
		b.pages = append(b.pages, page)
		last = len(b.pages) - 1
	}
	b.pages[last] = append(b.pages[last], start{at, server, refused})
}

// of lists the beginnings at the servers that are keys of wanted, in order.
func (b *begun) of(wanted map[int32][]*question) map[int32][]start {
	all := map[int32][]start{}
	for _, page := range b.pages {
		for _, s := range page {
			if _, ok := wanted[s.server]; ok {
				all[s.server] = append(all[s.server], s)
			}
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b start) int { return cmp.Compare(a.at, b.at) })
	}
	return all
}
