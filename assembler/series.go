package assembler

import (
	"encoding/binary"
	"sort"
)

// series is an ascending series of numbers, in little more than a byte each
// where they are close.
type series struct {
	pages []seriesPage
	last  uint64
	n     uint64
}

// seriesPage holds the steps from one number to the next.
type seriesPage struct {
	before uint64 // the number that the first step starts from
	n      uint64 // numbers in the pages before
	steps  []byte
}

const seriesPageSize = 4 << 10 // bytes

func (s *series) add(n uint64) {
	k := len(s.pages) - 1
	if k < 0 || len(s.pages[k].steps)+binary.MaxVarintLen64 > seriesPageSize {
		s.pages = append(s.pages, seriesPage{before: s.last, n: s.n, steps: make([]byte, 0, seriesPageSize)})
		k++
	}
	s.pages[k].steps = binary.AppendUvarint(s.pages[k].steps, n-s.last)
	s.last = n
	s.n++
}

// upTo counts the numbers that are not above n.
func (s *series) upTo(n uint64) uint64 {
	k := sort.Search(len(s.pages), func(k int) bool { return s.pages[k].before > n }) - 1
	if k < 0 {
		return 0
	}
	pg := &s.pages[k]
	count, at := pg.n, pg.before
	for steps := pg.steps; len(steps) > 0; count++ {
		step, size := binary.Uvarint(steps)
		if at += step; at > n {
			break
		}
		steps = steps[size:]
	}
	return count
}
