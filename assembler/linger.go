package assembler

import (
	"math"

	"hangup/capture"
)

// A connection that is over stays as it is for a while, so that late packets
// still change it: repeated FINs, the RST of a program that closed before it
// had read all, a SYN that meets TIME_WAIT, an end that talks on after a RST
// and so casts doubt on it. What comes later finds a tomb.
//
// While few connections end, that is longer than any TIME_WAIT. Where many
// end it is as long as there is room for those that ended last, told by the
// FINs and RSTs of the whole input: so it depends neither on the number of
// trackers nor on how fast anything runs.
const (
	lingerMost  = 150e9   // ns of packet time
	lingerLeast = 1e9     //
	lingerFINs  = 1 << 13 // a connection that is closed has two of them
	lingerRSTs  = 1 << 11 // a connection that was reset takes more memory
)

// clock is packet time, and what it says of those that are over.
type clock struct {
	now        int64 // latest packet time seen, long ago before the first
	fins, rsts recent
}

func newClock() clock {
	return clock{now: math.MinInt64 / 2, fins: recent{limit: lingerFINs}, rsts: recent{limit: lingerRSTs}}
}

// tick takes a packet.
func (k *clock) tick(s *capture.Slip) {
	k.now = max(k.now, s.Time)
	fin, rst := s.Ends()
	if fin {
		k.fins.add(k.now)
	}
	if rst {
		k.rsts.add(k.now)
	}
}

// dues are the times since before which a connection has to have been silent
// to be reported, if it is over: closed by both ends, or reset.
type dues struct{ now, closed, reset int64 }

func (k *clock) dues() dues {
	since := func(r *recent) int64 {
		return max(k.now-lingerMost, min(k.now-lingerLeast, r.oldest()))
	}
	return dues{k.now, since(&k.fins), since(&k.rsts)}
}

// recent keeps the latest of a series of times.
type recent struct {
	times []int64
	next  int
	limit int
}

func (r *recent) add(t int64) {
	if len(r.times) < r.limit {
		r.times = append(r.times, t)
		return
	}
	r.times[r.next] = t
	r.next = (r.next + 1) % r.limit
}

// oldest is the earliest time kept, long ago while there is room for more.
func (r *recent) oldest() int64 {
	if len(r.times) < r.limit {
		return math.MinInt64
	}
	return r.times[r.next]
}
