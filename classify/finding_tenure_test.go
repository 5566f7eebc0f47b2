package classify

import (
	"math/rand/v2"
	"testing"

	"hangup/assembler"
)

// TestTenure: the short way says what the states of the socket do.
func TestTenure(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	short := 0
	for range 200_000 {
		c := closedConn(rng)
		w := newView(c, Env{End: rng.Int64N(60)})
		for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
			var got, want tenure
			if !got.orderly(w, s) {
				continue
			}
			short++
			var l lives
			l.derive(w, s)
			if want.of(&l, w.env); got != want {
				t.Fatalf("%v: %+v, want %+v, of %+v", s, got, want, l.list())
			}
		}
	}
	if short < 20_000 {
		t.Errorf("only %d went the short way", short)
	}
}

// closedConn is a connection whose packets came at about the times that they
// should have, now and then in another order or not at all.
func closedConn(rng *rand.Rand) *assembler.Conn {
	now := int64(1)
	at := func() assembler.Stamp {
		now += rng.Int64N(4)
		s := assembler.Stamp{Ref: 1, Time: now}
		if rng.IntN(20) == 0 {
			s.Time = rng.Int64N(40)
		}
		if rng.IntN(40) == 0 {
			s.Ref = 0
		}
		return s
	}
	c := new(assembler.Conn)
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	cl.SYN = assembler.Tries{First: at(), Count: 1}
	sv.SYNACK = assembler.Tries{First: at(), Count: 1}
	cl.SYN.Last, sv.SYNACK.Last = cl.SYN.First, sv.SYNACK.First
	cl.SYN.Answered = sv.SYNACK.First
	c.Established = at()
	sv.SYNACK.Answered = c.Established
	first, second := cl, sv
	if rng.IntN(2) == 0 {
		first, second = sv, cl
	}
	first.FIN = assembler.Tries{First: at(), Count: 1}
	if rng.IntN(4) > 0 {
		first.FIN.Answered = at()
	}
	second.FIN = assembler.Tries{First: at(), Count: 1}
	second.FIN.Answered = at()
	if !first.FIN.Answered.Seen() {
		first.FIN.Answered = at()
	}
	first.FINCrossed, second.FINCrossed = rng.IntN(8) == 0, rng.IntN(8) == 0
	first.FIN.Last, second.FIN.Last = first.FIN.First, at()
	for _, e := range []*assembler.End{cl, sv} {
		e.First, e.Last, e.Started, e.Packets = cl.SYN.First, at(), true, 4
		if rng.IntN(20) == 0 {
			e.Data = assembler.Tries{First: at(), Last: at(), Count: 2}
		}
	}
	if sv.First = sv.SYNACK.First; !sv.First.Seen() {
		sv.First.Ref = 1
	}
	cl.First.Ref = 1
	return c
}
