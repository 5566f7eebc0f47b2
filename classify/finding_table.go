package classify

import (
	"math/bits"
	"slices"
)

// table is a bounded map for what every connection touches: it finds an
// entry by a hash that its caller has at hand, copies in one go, and drops
// entries in linear time. As with bounded, what is touched often stays.
type table[K comparable, V any] struct {
	max     int
	slots   []int32 // index of an entry, plus one; a power of two of them
	items   []entry[K, V]
	dropped uint64 // touches of entries that were dropped
}

type entry[K comparable, V any] struct {
	key    K
	hash   uint64
	weight uint32 // how often at asked for it
	val    V
}

// at returns the entry of k, whose hash is h, new or old, and counts it. The
// pointer holds until the next call.
func (t *table[K, V]) at(k *K, h uint64) *V {
	i := t.seek(k, h)
	if i < 0 {
		i = t.enter(k, h)
	}
	return t.touch(i)
}

// seek is where the entry of k is, -1 if there is none.
func (t *table[K, V]) seek(k *K, h uint64) int {
	if len(t.slots) == 0 {
		return -1
	}
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if e := &t.items[t.slots[i]-1]; e.hash == h && e.key == *k {
			return int(t.slots[i] - 1)
		}
	}
	return -1
}

// enter makes an entry of k, which has none.
func (t *table[K, V]) enter(k *K, h uint64) int {
	if len(t.items) >= t.max {
		t.prune()
	}
	if len(t.items) >= len(t.slots)/2 {
		t.grow()
	}
	t.items = append(t.items, entry[K, V]{key: *k, hash: h})
	t.slots[t.free(h)] = int32(len(t.items))
	return len(t.items) - 1
}

// touch counts the i-th entry, and returns what it holds.
func (t *table[K, V]) touch(i int) *V {
	e := &t.items[i]
	if e.weight != 1<<32-1 {
		e.weight++
	}
	return &e.val
}

// find returns the entry of k, nil if there is none.
func (t *table[K, V]) find(k *K, h uint64) *V {
	if i := t.seek(k, h); i >= 0 {
		return &t.items[i].val
	}
	return nil
}

// free is a slot for hash h.
func (t *table[K, V]) free(h uint64) uint64 {
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

// grow doubles the slots.
func (t *table[K, V]) grow() {
	t.slots = make([]int32, max(16, 2*len(t.slots)))
	t.index()
}

// index fills the slots anew.
func (t *table[K, V]) index() {
	clear(t.slots)
	for n := range t.items {
		t.slots[t.free(t.items[n].hash)] = int32(n + 1)
	}
}

// prune drops half of the entries: those touched least, of about as often
// touched ones the older.
func (t *table[K, V]) prune() {
	var classes [33]int
	for i := range t.items {
		classes[bits.Len32(t.items[i].weight)]++
	}
	drop := (len(t.items) + 1) / 2
	limit := 0
	for drop > classes[limit] {
		drop -= classes[limit]
		limit++
	}
	kept := t.items[:0]
	for i := range t.items {
		e := &t.items[i]
		class := bits.Len32(e.weight)
		if class < limit || class == limit && drop > 0 {
			if class == limit {
				drop--
			}
			t.dropped += uint64(e.weight)
			continue
		}
		kept = append(kept, *e)
	}
	clear(t.items[len(kept):])
	t.items = kept
	t.index()
}

// clone is an independent copy; deep, if not nil, parts what values point to.
func (t *table[K, V]) clone(deep func(*V)) table[K, V] {
	c := *t
	c.slots, c.items = slices.Clone(t.slots), slices.Clone(t.items)
	if deep != nil {
		for i := range c.items {
			deep(&c.items[i].val)
		}
	}
	return c
}
