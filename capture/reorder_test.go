package capture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestReorder writes packets as dumpcap does, interface by interface every
// quarter of a second; they must come out by time, each with its number in
// the file and its own payload.
func TestReorder(t *testing.T) {
	const packets, step, burst = 30_000, 100_000, 250_000_000
	type written struct {
		time  int64
		iface uint32
		seq   uint32
	}
	r := rand.New(rand.NewPCG(3, 4))
	var all []written
	for i := range packets {
		all = append(all, written{at(0, 0) + int64(i)*step, r.Uint32N(3), uint32(i + 1)})
	}
	slices.SortStableFunc(all, func(a, b written) int {
		if x, y := a.time/burst, b.time/burst; x != y {
			return int(x - y)
		}
		return int(a.iface) - int(b.iface)
	})
	f := &ngFile{}
	f.section()
	for i := range 3 {
		f.iface(1, 0, ifName, fmt.Append(nil, "eth", i))
	}
	numbers := map[uint32]uint64{}
	for i, w := range all {
		f.enhanced(w.iface, ngMicros(w.time), testFrame(w.seq), 60)
		numbers[w.seq] = uint64(i + 1)
	}
	for _, batch := range []int{0, 7} {
		s, err := Open([]string{write(t, t.TempDir()+"/a", f.buf)}, OpenConfig{BatchSize: batch})
		if err != nil {
			t.Fatal(err)
		}
		ps := readAll(t, s)
		if len(ps) != packets {
			t.Fatalf("%d packets, want %d", len(ps), packets)
		}
		for i, p := range ps {
			if p.Seq != uint32(i+1) || p.Ref.Number() != numbers[p.Seq] {
				t.Fatalf("batch %d: packet %d has sequence number %d and number %d", batch, i+1, p.Seq, p.Ref.Number())
			}
		}
		in := s.Inputs()[0]
		if in.Backwards != 0 || in.First != at(0, 0) || in.Packets != packets {
			t.Errorf("%+v", in)
		}
	}
}

// What goes back further than any buffer explains is a clock that was set, or
// one packet's time that is wrong: the file's order is better then.
func TestReorderClockSet(t *testing.T) {
	f := &ngFile{}
	f.section().iface(1, 0).iface(1, 0)
	for i, sec := range []int64{100, 900, 101, 103, 50, 51, 52} {
		f.enhanced(uint32(i%2), ngMicros(at(sec, 0)), testFrame(uint32(i+1)), 60)
	}
	ps, in := readBytes(t, f.buf)
	if !slices.Equal(seqs(ps), []uint32{1, 2, 3, 4, 5, 6, 7}) || in.Backwards != 2 || in.First != at(50, 0) || in.Last != at(900, 0) {
		t.Errorf("order %v, %+v", seqs(ps), in)
	}
}
