package assembler

import "unsafe"

// A pool holds records of one type in pages, so that growth copies nothing
// and a record never moves. None of the types holds a pointer: the collector
// has no more to look at than the list of pages.
type pool[T any] struct {
	pages []unsafe.Pointer // to [poolPage]T
	free  []uint32         // records given back, the latest on top, where it is still cached
	taken uint32           // records ever taken from the pages
}

const (
	poolBits = 6
	poolPage = 1 << poolBits
	poolSlab = 4 << 20 // bytes that a large pool grows by
)

// at returns record i. Indexing a pointer to an array would read the array's
// first byte, a cache line of another record, to see that it is not nil.
func (p *pool[T]) at(i uint32) *T {
	var t T
	return (*T)(unsafe.Add(p.pages[i>>poolBits], uintptr(i%poolPage)*unsafe.Sizeof(t)))
}

// take returns the number of a record, which may hold what it held before.
func (p *pool[T]) take() uint32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return i
	}
	if int(p.taken) == len(p.pages)*poolPage {
		p.grow()
	}
	p.taken++
	return p.taken - 1
}

// grow adds a quarter to a small pool, a slab to a large one.
func (p *pool[T]) grow() {
	size := unsafe.Sizeof([poolPage]T{})
	slab := make([][poolPage]T, 1+min(len(p.pages)/4, int(poolSlab/size)))
	advise(unsafe.Pointer(&slab[0]), uintptr(len(slab))*size)
	for i := range slab {
		p.pages = append(p.pages, unsafe.Pointer(&slab[i]))
	}
}

func (p *pool[T]) release(i uint32) { p.free = append(p.free, i) }

// inUse is the number of records taken and not given back.
func (p *pool[T]) inUse() int { return int(p.taken) - len(p.free) }
