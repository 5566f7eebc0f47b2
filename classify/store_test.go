package classify

import (
	"math/rand/v2"
	"testing"

	"hangup/assembler"
)

// A store gives back what it was given, over several chunks.
func TestStore(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var s store
	var want []assembler.Conn
	var at []packedAt
	for i := range 3000 {
		var c assembler.Conn
		c.ID, c.First.Time = uint64(i), rng.Int64()
		for m := range c.Marks {
			c.Marks[m].Time = rng.Int64()
		}
		for m := range c.Resets {
			c.Resets[m].Time, c.Resets[m].Seq = rng.Int64(), rng.Uint32()
		}
		for s := range c.Ends {
			e := &c.Ends[s]
			for _, x := range []*assembler.Tries{&e.SYN, &e.SYNACK, &e.ZeroWindow, &e.Data, &e.Deaf, &e.Probe, &e.WProb, &e.FIN} {
				x.First.Time, x.Last.Time, x.Prev = rng.Int64(), rng.Int64(), rng.Int64()
			}
		}
		want, at = append(want, c), append(at, s.add(&c))
	}
	var got assembler.Conn
	for i := range want {
		if s.load(at[i], &got); got != want[i] {
			t.Fatalf("connection %d came back different", i)
		}
	}
	if len(s.chunks) < 2 {
		t.Errorf("%d chunks try nothing", len(s.chunks))
	}
}

// Few hosts are counted, many estimated.
func TestCensus(t *testing.T) {
	for _, n := range []int{5_000, 300_000, 2_000_000} {
		var hosts addresses
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		for i := range n {
			a := [16]byte{10: 0xff, 11: 0xff, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
			for range 1 + rng.IntN(2) {
				if i%3 == 0 {
					hosts.peek(&a)
				} else {
					hosts.at(&a)
				}
			}
		}
		got, about := hosts.size()
		if about != (n > maxRoster) || !about && got != uint64(n) || got < uint64(n)*93/100 || got > uint64(n)*107/100 {
			t.Errorf("%d hosts counted as %d, about: %v", n, got, about)
		}
	}
}
