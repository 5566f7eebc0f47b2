package classify

import (
	"math/rand/v2"
	"slices"
	"testing"

	"hangup/assembler"
)

// TestAWaveLongPast: a wave is told however many dials came since, and even if
// the log shed between the loss and the return.
func TestAWaveLongPast(t *testing.T) {
	for _, before := range []int{0, dialsKept - 10, 3*dialsKept + 7} {
		var l dialLog
		id, now := uint64(0), int64(second)
		dial := func(client, server uint64, lost int64) {
			id++
			l.note(&subject{clientHash: client, serverHash: server}, id, assembler.Stamp{Ref: 1, Time: now}, lost)
		}
		quiet := func(n int) {
			for range n {
				now += milli / 10
				dial(mix(id%500+1000), mix(7), 0)
			}
		}
		quiet(before)
		for i := range uint64(20) {
			dial(mix(i+1), mix(9), now+second)
		}
		quiet(20_000)
		for i := range uint64(20) {
			now += milli
			dial(mix(i+1), mix(9), 0)
		}
		quiet(2 * dialsKept)
		s := l.judge()
		if w := s[mix(9)]; len(s) != 1 || w.waves != 1 || w.peak.clients != 20 || w.peak.dials != 20 {
			t.Errorf("after %d dials: %d servers, %d waves, %d clients", before, len(s), w.waves, w.peak.clients)
		}
	}
}

// TestWinnersInAnyOrder: which winners stay depends on all that came, not on
// their order, also where there is no room for most.
func TestWinnersInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	type won struct {
		t team
		w winning
	}
	var list []won
	for i := range 200_000 {
		w := winning{at: assembler.Stamp{Ref: 1, Time: rng.Int64N(1000 * second)}, client: rng.Uint64N(3) + 1, server: uint64(i), n: 1}
		list = append(list, won{team(mix(rng.Uint64N(50)+1) | 2), w})
	}
	var want families
	for _, x := range list {
		want.win(x.t, &x.w)
	}
	for range 3 {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		var got families
		for _, x := range list {
			got.win(x.t, &x.w)
		}
		if *got.won != *want.won || got.teams != want.teams {
			t.Fatal("another order, other winners")
		}
	}
}

// TestRacesAreNoCoincidence: a failed dial of a host that connects all the
// time has no winner, and one that another connection answers has, however
// fast such dials follow each other and whatever the order of their ends.
func TestRacesAreNoCoincidence(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	const rivals = team(77<<20 | 2)
	for _, x := range []struct {
		name        string
		losers      int
		every       int64 // ns between losers
		wins        int   // of the rivals, for each loser
		told, least uint64
	}{
		{"a dial an hour", 10, 3600 * second, 1, 10, 10},
		{"a dial a second", 300, second, 1, 300, 300},
		{"a hundred dials a second", 3000, second / 100, 1, 3000, 3000},
		{"one of 50 fails, slowly", 300, 10 * second, 50, 0, 0},
		{"one of 50 fails", 300, second, 50, 0, 0},
		{"one of 50 fails, fast", 20_000, second / 100, 50, 20, 0},
	} {
		type dial struct {
			at   int64
			lost bool
		}
		var dials []dial
		for i := range x.losers {
			at := int64(i+1) * x.every
			dials = append(dials, dial{at, true})
			for k := range x.wins {
				dials = append(dials, dial{at + 300*milli + int64(k)*2*second/int64(x.wins), false})
			}
		}
		rng.Shuffle(len(dials), func(i, j int) { dials[i], dials[j] = dials[j], dials[i] })
		var f families
		for i, d := range dials {
			at := assembler.Stamp{Ref: 1, Time: d.at}
			if d.lost {
				f.lose(&loser{at: at, id: uint64(i), rivals: rivals, server: 5})
			} else {
				f.win(rivals, &winning{at: at, client: 9, server: 6, n: 1})
			}
		}
		if n := uint64(f.judge()[5].n); n > x.told || n < x.least {
			t.Errorf("%s: %d of %d lost a race", x.name, n, x.losers)
		}
	}
}

// TestHalfway: about half of a list lies before, and some of it always does.
func TestHalfway(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	list := make([]int64, 50_000)
	for i := range list {
		list[i] = rng.Int64N(1 << 40)
	}
	at := func(x *int64) int64 { return *x }
	for range 2 {
		h, n := halfway(list, at), 0
		for _, x := range list {
			n += b2i(x < h)
		}
		if n < len(list)*2/5 || n > len(list)*3/5 {
			t.Errorf("%d of %d before", n, len(list))
		}
		slices.Sort(list)
	}
	clear(list)
	if h := halfway(list, at); h != 1 {
		t.Errorf("all at 0: %d", h)
	}
}
