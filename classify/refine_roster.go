package classify

import (
	"encoding/binary"
)

// roster numbers hosts or servers, the latest as many as it has room for: the
// first that was not asked for since the hand last came by makes room for a
// new one (the CLOCK algorithm), so that days of strangers leave no trace.
type roster[K comparable, V any] struct {
	index  map[K]number
	slots  []slot[K, V] // the first is nobody's
	hand   int
	recent [1 << recentBits]struct { // of the same hash; spares the map most questions
		key K
		n   number
	}
	nobody V
}

// number is a slot, and in the upper bits how often it changed hands. 0 is
// nobody, of whom nothing is known.
type number uint32

type slot[K comparable, V any] struct {
	key  K
	val  V
	turn uint16
	used bool // since the hand last came by
}

// maxRoster bounds each roster to some 15 MB.
const (
	rosterBits = 17
	maxRoster  = 1 << rosterBits
	recentBits = 10
	maxTurn    = 1<<(32-rosterBits) - 1
)

// at is the number of k, whose hash is given. It may have entered just now.
func (r *roster[K, V]) at(k K, hash uint32) (n number, entered bool) {
	c := &r.recent[hash>>(32-recentBits)]
	if c.key == k && r.holds(c.n) {
		return c.n, false
	}
	n, ok := r.index[k]
	if !ok {
		n = r.enter(k)
	}
	r.slots[n%maxRoster].used = true
	c.key, c.n = k, n
	return n, !ok
}

// peek is at for those whom nothing but one forgeable packet speaks of: they
// are entered only while nobody has to leave for it.
func (r *roster[K, V]) peek(k K, hash uint32) (n number, entered bool) {
	if len(r.slots) < maxRoster {
		return r.at(k, hash)
	}
	if c := &r.recent[hash>>(32-recentBits)]; c.key == k && r.holds(c.n) {
		return c.n, false
	}
	return r.index[k], false
}

func (r *roster[K, V]) enter(k K) number {
	if r.index == nil {
		r.index, r.slots = map[K]number{}, make([]slot[K, V], 1)
	}
	if len(r.slots) < maxRoster {
		r.slots = append(r.slots, slot[K, V]{key: k})
		n := number(len(r.slots) - 1)
		r.index[k] = n
		return n
	}
	i := r.leaver()
	s := &r.slots[i]
	delete(r.index, s.key)
	*s = slot[K, V]{key: k, turn: (s.turn + 1) & maxTurn}
	n := number(s.turn)<<rosterBits | number(i)
	r.index[k] = n
	return n
}

// leaver is the slot to give away.
func (r *roster[K, V]) leaver() int {
	for {
		if r.hand++; r.hand >= len(r.slots) {
			r.hand = 1
		}
		if s := &r.slots[r.hand]; s.used {
			s.used = false
			continue
		}
		return r.hand
	}
}

// holds reports whether n is still whom it was.
func (r *roster[K, V]) holds(n number) bool {
	return n != 0 && r.slots[n%maxRoster].turn == uint16(n>>rosterBits)
}

// val is what is known of number n; the pointer holds until the next at. What
// is written of nobody, or of one who has left, is lost.
func (r *roster[K, V]) val(n number) *V {
	if !r.holds(n) {
		var none V
		r.nobody = none
		return &r.nobody
	}
	return &r.slots[n%maxRoster].val
}

func (r *roster[K, V]) full() bool { return len(r.slots) >= maxRoster }

func hashAddr(a *[16]byte) uint64 {
	h := binary.LittleEndian.Uint64(a[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(a[8:])
	return (h ^ h>>32) * 0xff51afd7ed558ccd
}

// addresses is the roster of hosts, which are also counted.
type addresses struct {
	roster[[16]byte, host]
	census census
}

func (h *addresses) at(a *[16]byte) number {
	n, entered := h.roster.at(*a, uint32(hashAddr(a)>>32))
	if entered {
		h.count(a)
	}
	return n
}

// peek is at for the sender of a SYN that nobody answered.
func (h *addresses) peek(a *[16]byte) number {
	n, entered := h.roster.peek(*a, uint32(hashAddr(a)>>32))
	if entered || n == 0 {
		h.count(a)
	}
	return n
}

// count notes a host that may be new.
func (h *addresses) count(a *[16]byte) {
	if h.census.registers == nil {
		if !h.full() {
			return
		}
		for i := range h.slots[1:] {
			h.census.add(&h.slots[1+i].key)
		}
	}
	h.census.add(a)
}

// size is the number of hosts, an estimate once there were too many to list.
func (h *addresses) size() (n uint64, about bool) {
	if h.census.registers == nil {
		return uint64(max(len(h.slots), 1) - 1), false
	}
	return h.census.size(), true
}

// servers is the roster of server endpoints.
type servers struct{ roster[endpoint, server] }

func (r *servers) at(e endpoint) number {
	n, _ := r.roster.at(e, hashEndpoint(&e))
	return n
}

func (r *servers) peek(e endpoint) number {
	n, _ := r.roster.peek(e, hashEndpoint(&e))
	return n
}

func hashEndpoint(e *endpoint) uint32 {
	return uint32((hashAddr(&e.addr) + uint64(e.port)*0x9e3779b97f4a7c15) >> 32)
}
