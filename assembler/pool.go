package assembler

// A pool holds records of one type in pages, so that growth copies nothing
// and a record never moves. None of the types holds a pointer: the collector
// has no more to look at than the list of pages.
type pool[T any] struct {
	pages []*[poolPage]T
	free  []uint32 // records given back, the latest on top, where it is still cached
	taken uint32   // records ever taken from the pages
}

const (
	poolBits = 7
	poolPage = 1 << poolBits
)

func (p *pool[T]) at(i uint32) *T { return &p.pages[i>>poolBits][i%poolPage] }

// take returns the number of a record, which may hold what it held before.
func (p *pool[T]) take() uint32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return i
	}
	if p.taken%poolPage == 0 {
		p.pages = append(p.pages, new([poolPage]T))
	}
	p.taken++
	return p.taken - 1
}

func (p *pool[T]) release(i uint32) { p.free = append(p.free, i) }

// inUse is the number of records taken and not given back.
func (p *pool[T]) inUse() int { return int(p.taken) - len(p.free) }
