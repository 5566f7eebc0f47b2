package assembler

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

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
	fromA = t.set(&p.Src, p.SrcPort, &p.Dst, p.DstPort)
	return t, fromA
}

// set makes t the canonical key of two endpoints, and tells whether the first
// is its a end.
func (t *tuple) set(x *[16]byte, xp uint16, y *[16]byte, yp uint16) (firstIsA bool) {
	if firstIsA = ordered(x, xp, y, yp); !firstIsA {
		x, xp, y, yp = y, yp, x, xp
	}
	t.a, t.b, t.ap, t.bp = *x, *y, xp, yp
	return firstIsA
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

// mix is a hash of two numbers.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x8ebc6af09c88c6e3, b^0x589965cc75374cc3)
	return hi ^ lo
}

// ref names a record: its kind in the upper three bits, one more than its
// number in that kind's pool in the others. The zero ref names none.
type ref uint32

const (
	aTomb   ref = iota << refBits // a connection that was reported
	aLone                         // one SYN
	aFlow                         // a plain connection
	aNoted                        // one of these and some notes
	aConn                         // the newest of a tuple's connections in general
	aParked                       // a Conn, packed

	refBits = 29
)

func makeRef(kind ref, i uint32) ref { return kind | ref(i+1) }
func (r ref) kind() ref              { return r &^ (1<<refBits - 1) }
func (r ref) index() uint32          { return uint32(r&(1<<refBits-1)) - 1 }

// slot is a table entry: a tag, which is half of the tuple's hash, above a
// ref. The key itself is in the record, and verified there. 0 is free.
type slot uint64

func makeSlot(tag uint32, r ref) slot { return slot(tag)<<32 | slot(r) }
func (s slot) tag() uint32            { return uint32(s >> 32) }
func (s slot) ref() ref               { return ref(s) }

// table finds records by tag: extendible hashing over pages of open
// addressing with linear probing. The tag's upper bits choose the page, its
// lower ones the place there. A page that fills up is split into two, which
// needs no key, moves only its own entries and never holds the whole table
// twice.
type table struct {
	dir   []*slotPage
	depth uint8      // the directory tells pages apart by so many bits
	spare []slotPage // not yet used
	pages int
	arena *arena
}

const (
	slotBits = 12
	slotMask = 1<<slotBits - 1
	slotFill = 3 << slotBits / 4 // slots used before a page is split
)

type slotPage struct {
	slots [1 << slotBits]slot
	used  int
	depth uint8 // all tags in it agree in so many upper bits
}

// at returns slot i; as to why so, see pool.at.
func (pg *slotPage) at(i uint32) *slot {
	return (*slot)(unsafe.Add(unsafe.Pointer(pg), uintptr(i&slotMask)*unsafe.Sizeof(slot(0))))
}

func newTable(a *arena) *table {
	tb := &table{arena: a}
	tb.dir = []*slotPage{tb.newPage()}
	return tb
}

// newPage takes a page from a slab that grows with the table.
func (tb *table) newPage() *slotPage {
	if len(tb.spare) == 0 {
		size := unsafe.Sizeof(slotPage{})
		tb.spare = fresh[slotPage](tb.arena, 1+min(tb.pages/4, int(poolSlab/size)))
	}
	pg := &tb.spare[0]
	tb.spare = tb.spare[1:]
	tb.pages++
	return pg
}

func (tb *table) page(tag uint32) *slotPage { return tb.dir[tag>>(32-tb.depth)] }

// first is where the search for a tag begins.
func (tb *table) first(tag uint32) unsafe.Pointer { return unsafe.Pointer(tb.page(tag).at(tag)) }

// guess returns the first record with the tag, nearly always the right one.
func (tb *table) guess(tag uint32) ref {
	pg := tb.page(tag)
	for i := tag; ; i++ {
		if s := *pg.at(i); s == 0 || s.tag() == tag {
			return s.ref()
		}
	}
}

// add enters a record whose tuple is not in the table yet.
func (tb *table) add(tag uint32, r ref) {
	pg := tb.page(tag)
	for pg.used >= slotFill {
		tb.split(tag)
		pg = tb.page(tag)
	}
	pg.add(makeSlot(tag, r))
}

func (pg *slotPage) add(s slot) {
	i := s.tag() & slotMask
	for pg.slots[i] != 0 {
		i = (i + 1) & slotMask
	}
	pg.slots[i] = s
	pg.used++
}

// split divides the page of tag by one more bit.
func (tb *table) split(tag uint32) {
	old := tb.page(tag)
	if old.depth == tb.depth {
		dir := make([]*slotPage, 2*len(tb.dir))
		for i := range dir {
			dir[i] = tb.dir[i/2]
		}
		tb.dir = dir
		tb.depth++
	}
	old.depth++
	upper := tb.newPage()
	upper.depth = old.depth
	bit := uint32(1) << (32 - old.depth)
	all := old.slots
	old.slots, old.used = [1 << slotBits]slot{}, 0
	for _, s := range all {
		switch {
		case s == 0:
		case s.tag()&bit != 0:
			upper.add(s)
		default:
			old.add(s)
		}
	}
	span := 1 << (tb.depth - old.depth) // directory entries of each half
	first := int(tag>>(32-old.depth)|1) * span
	for i := range span {
		tb.dir[first+i] = upper
	}
}

// remove frees slot i and moves up the entries that it had displaced, so
// that no gap remains in their way.
func (pg *slotPage) remove(i uint32) {
	pg.used--
	for j := i; ; {
		pg.slots[i] = 0
		for {
			j = (j + 1) & slotMask
			if pg.slots[j] == 0 {
				return
			}
			home := pg.slots[j].tag() & slotMask
			if (j-home)&slotMask >= (j-i)&slotMask {
				break
			}
		}
		pg.slots[i] = pg.slots[j]
		i = j
	}
}
