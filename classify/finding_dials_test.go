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
		w := winning{at: assembler.Stamp{Ref: 1, Time: rng.Int64N(1000 * second)}, client: rng.Uint64N(3) + 1, server: uint64(i)}
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
