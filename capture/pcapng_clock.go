package capture

import (
	"math"
	"math/bits"
	"time"
)

// clock turns the timestamps of one pcapng interface into nanoseconds:
// ticks * mul / div, or ticks * 1e9 >> shift, plus offset.
type clock struct {
	mul, div uint64
	shift    uint8
	offset   int64 // seconds, if_tsoffset
}

// newClock reads if_tsresol: the negative exponent of ten, or of two with
// the top bit set. All 256 values are legal, if not sensible.
func newClock(resolution byte, offset int64) clock {
	n := resolution & 0x7f
	c := clock{mul: 1, div: 1, offset: offset}
	switch {
	case resolution&0x80 != 0:
		c.mul, c.shift = uint64(time.Second), n
	case n <= 9:
		c.mul = pow10(9 - n)
	case n <= 28:
		c.div = pow10(n - 9)
	default: // 64 bits of such ticks do not amount to a nanosecond
		c.mul = 0
	}
	return c
}

func pow10(n uint8) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// ns is the time of ticks in nanoseconds since the epoch, the nearest one
// that fits. Ticks beyond the year 2262 are read as negative: writers that
// rewrite timestamps produce them, and no network is that old.
func (c *clock) ns(ticks uint64) int64 {
	v, ok := c.scale(ticks)
	if !ok {
		v = math.MaxInt64
		if int64(ticks) < 0 {
			if v, ok = c.scale(-ticks); !ok {
				v = math.MaxInt64
			}
			v = -v
		}
	}
	if c.offset == 0 {
		return v
	}
	return addSeconds(v, c.offset)
}

// scale converts without the offset; it is false if the result overflows.
func (c *clock) scale(ticks uint64) (int64, bool) {
	hi, lo := bits.Mul64(ticks, c.mul)
	switch {
	case c.shift >= 64:
		hi, lo = 0, hi>>(c.shift-64)
	case c.shift > 0:
		hi, lo = hi>>c.shift, hi<<(64-c.shift)|lo>>c.shift
	case c.div > 1: // mul is 1 then, hi therefore 0
		lo /= c.div
	}
	return int64(lo), hi == 0 && lo <= math.MaxInt64
}

func addSeconds(ns, seconds int64) int64 {
	const limit = math.MaxInt64 / int64(time.Second)
	seconds = max(-limit, min(limit, seconds))
	sum := ns + seconds*int64(time.Second)
	switch {
	case ns > 0 && seconds > 0 && sum < 0:
		return math.MaxInt64
	case ns < 0 && seconds < 0 && sum > 0:
		return math.MinInt64
	}
	return sum
}
