package assembler

import (
	"iter"
	"math/bits"
	"unsafe"
)

// A pool holds records of one type in pages, so that growth copies nothing
// and a record never moves. None of the types holds a pointer: the collector
// has no more to look at than the list of pages.
//
// Records are taken from the page that had one freed last, where it is still
// cached. A flood leaves pages of which no record is in use; their memory
// goes back to the system, but for a reserve.
type pool[T any] struct {
	pages  []unsafe.Pointer // to [poolPage]T
	free   []uint64         // of each page, which records are free
	open   []uint32         // pages with free records, each once
	lent   []bool           // pages whose memory the system has
	used   int              // records in use
	empty  int              // pages without a record in use, not lent
	hold   int              // pages not lent
	nomore bool             // the system takes none
	arena  *arena           // where large slabs come from
}

const (
	poolBits = 6
	poolPage = 1 << poolBits
	poolSlab = 16 << 20  // bytes that a large pool grows by
	poolFree = 1<<64 - 1 // pool.free of an empty page
	poolKeep = 1 << 20   // bytes of empty pages that every pool may keep
)

// at returns record i. Indexing a pointer to an array would read the array's
// first byte, a cache line of another record, to see that it is not nil.
func (p *pool[T]) at(i uint32) *T {
	var t T
	return (*T)(unsafe.Add(p.pages[i>>poolBits], uintptr(i%poolPage)*unsafe.Sizeof(t)))
}

// take returns the number of a record, which may hold what it held before.
func (p *pool[T]) take() uint32 {
	if len(p.open) == 0 {
		p.grow()
	}
	page := p.open[len(p.open)-1]
	free := &p.free[page]
	if *free == poolFree {
		p.occupy(page)
	}
	i := page<<poolBits | uint32(bits.TrailingZeros64(*free))
	if *free &= *free - 1; *free == 0 {
		p.open = p.open[:len(p.open)-1]
	}
	p.used++
	return i
}

// occupy notes that the page is empty no longer.
func (p *pool[T]) occupy(page uint32) {
	if p.lent[page] {
		p.lent[page] = false
		p.hold++
		return
	}
	p.empty--
}

// grow adds a quarter to a small pool, a slab to a large one.
func (p *pool[T]) grow() {
	size := unsafe.Sizeof([poolPage]T{})
	n := 1 + len(p.pages)/4
	if n*int(size) > 1<<20 {
		n = int(poolSlab / size)
	}
	slab := fresh[[poolPage]T](p.arena, n)
	first := len(p.pages)
	for i := range slab {
		p.pages = append(p.pages, unsafe.Pointer(&slab[i]))
		p.free = append(p.free, poolFree)
		p.lent = append(p.lent, true) // until it is written to
	}
	for i := len(p.pages) - 1; i >= first; i-- {
		p.open = append(p.open, uint32(i)) // the first on top
	}
}

// release gives record i back.
func (p *pool[T]) release(i uint32) {
	page := i >> poolBits
	free := &p.free[page]
	if *free == 0 {
		p.open = append(p.open, page)
	}
	*free |= 1 << (i % poolPage)
	p.used--
	if *free != poolFree {
		return
	}
	p.empty++
	size := int(unsafe.Sizeof([poolPage]T{}))
	if !p.nomore && p.empty > p.hold/4 && p.empty*size > poolKeep {
		p.lend(page, uintptr(size))
	}
}

// lend gives the memory of an empty page to the system, to come back as
// zeros when it is written to.
func (p *pool[T]) lend(page uint32, size uintptr) {
	if !discard(p.pages[page], size) {
		p.nomore = true
		return
	}
	p.lent[page] = true
	p.empty--
	p.hold--
}

// trim lends what is kept in reserve.
func (p *pool[T]) trim() {
	for page := 0; p.empty > 0 && !p.nomore; page++ {
		if p.free[page] == poolFree && !p.lent[page] {
			p.lend(uint32(page), unsafe.Sizeof([poolPage]T{}))
		}
	}
}

// has reports whether record i is in use.
func (p *pool[T]) has(i uint32) bool { return p.free[i>>poolBits]>>(i%poolPage)&1 == 0 }

// after returns the first record in use from number i on, going round; there
// must be one.
func (p *pool[T]) after(i uint32) uint32 {
	page := i >> poolBits % uint32(len(p.free))
	used := ^p.free[page] >> (i % poolPage) << (i % poolPage)
	for used == 0 {
		page = (page + 1) % uint32(len(p.free))
		used = ^p.free[page]
	}
	return page<<poolBits | uint32(bits.TrailingZeros64(used))
}

// all visits the records in use, which the visitor may release.
func (p *pool[T]) all() iter.Seq2[uint32, *T] { return p.among(0, len(p.pages)) }

// among is all for the pages from..to-1.
func (p *pool[T]) among(from, to int) iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for page := from; page < to; page++ {
			for used := ^p.free[page]; used != 0; used &= used - 1 {
				i := uint32(page)<<poolBits | uint32(bits.TrailingZeros64(used))
				if p.has(i) && !yield(i, p.at(i)) {
					return
				}
			}
		}
	}
}

// bytes is the memory that the pool holds, and how much of that is in use.
func (p *pool[T]) bytes() (held, used int) {
	var t T
	size := int(unsafe.Sizeof(t))
	return p.hold * poolPage * size, p.used * size
}
