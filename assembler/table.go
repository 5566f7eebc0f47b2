package assembler

import (
	"encoding/binary"
	"math/bits"

	"hangup/capture"
)

// tuple is a pair of endpoints in canonical order (a before b by address,
// then port), so that both directions of a connection have the same key.
type tuple struct {
	a, b   [16]byte
	ap, bp uint16
}

// tupleOf returns the canonical key of p and whether p was sent by its a end.
func tupleOf(p *capture.Packet) (t tuple, fromA bool) {
	if ordered(&p.Src, p.SrcPort, &p.Dst, p.DstPort) {
		return tuple{p.Src, p.Dst, p.SrcPort, p.DstPort}, true
	}
	return tuple{p.Dst, p.Src, p.DstPort, p.SrcPort}, false
}

func ordered(x *[16]byte, xp uint16, y *[16]byte, yp uint16) bool {
	xh, yh := binary.BigEndian.Uint64(x[:8]), binary.BigEndian.Uint64(y[:8])
	if xh != yh {
		return xh < yh
	}
	xl, yl := binary.BigEndian.Uint64(x[8:]), binary.BigEndian.Uint64(y[8:])
	if xl != yl {
		return xl < yl
	}
	return xp <= yp
}

// hash mixes t with a per-run seed, so that nobody can prepare a capture
// whose tuples all collide.
func (t *tuple) hash(seed uint64) uint64 {
	h := seed ^ uint64(t.ap)<<16 ^ uint64(t.bp)
	h = mix(h^binary.LittleEndian.Uint64(t.a[8:]), binary.LittleEndian.Uint64(t.b[8:])^0xa0761d6478bd642f)
	return mix(h^binary.LittleEndian.Uint64(t.a[:8]), binary.LittleEndian.Uint64(t.b[:8])^0xe7037ed1a0b428db)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x8ebc6af09c88c6e3, b^0x589965cc75374cc3)
	return hi ^ lo
}

// table maps tuples to the newest connection of each: open addressing with
// linear probing, keys in the slots so that a lookup touches one cache line
// of it, and no pointer for the collector to follow.
type table struct {
	slots []slot
	mask  uint64
	used  int
	seed  uint64
}

type slot struct {
	key  tuple
	conn int32 // index of the newest connection, plus one; 0 is a free slot
}

func newTable(seed uint64) *table {
	return &table{slots: make([]slot, 1024), mask: 1023, seed: seed}
}

// find returns the slot of t, or the free slot where it belongs.
func (tb *table) find(t *tuple, h uint64) *slot {
	for i := h & tb.mask; ; i = (i + 1) & tb.mask {
		s := &tb.slots[i]
		if s.conn == 0 || s.key == *t {
			return s
		}
	}
}

// put makes conn the newest connection of t.
func (tb *table) put(t *tuple, conn int32) {
	if tb.used*4 >= len(tb.slots)*3 {
		tb.grow()
	}
	s := tb.find(t, t.hash(tb.seed))
	if s.conn == 0 {
		s.key = *t
		tb.used++
	}
	s.conn = conn + 1
}

func (tb *table) grow() {
	old := tb.slots
	tb.slots = make([]slot, 2*len(old))
	tb.mask = uint64(len(tb.slots) - 1)
	for i := range old {
		if old[i].conn != 0 {
			*tb.find(&old[i].key, old[i].key.hash(tb.seed)) = old[i]
		}
	}
}

// remove frees t's slot and moves up the entries that had been displaced by
// it, so that no tombstone remains.
func (tb *table) remove(t *tuple) {
	i := t.hash(tb.seed) & tb.mask
	for ; tb.slots[i].key != *t || tb.slots[i].conn == 0; i = (i + 1) & tb.mask {
		if tb.slots[i].conn == 0 {
			return
		}
	}
	tb.used--
	for j := i; ; {
		tb.slots[i] = slot{}
		for {
			j = (j + 1) & tb.mask
			if tb.slots[j].conn == 0 {
				return
			}
			home := tb.slots[j].key.hash(tb.seed) & tb.mask
			if (j-home)&tb.mask >= (j-i)&tb.mask {
				break
			}
		}
		tb.slots[i] = tb.slots[j]
		i = j
	}
}
