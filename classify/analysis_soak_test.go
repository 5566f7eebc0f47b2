package classify

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// stranger makes c one of the connections that a busy host on the open
// internet may see, at a time and between ends that were never seen before.
func stranger(c *assembler.Conn, rng *rand.Rand, id uint64, now int64) {
	at := func(back int64) assembler.Stamp {
		return assembler.Stamp{Ref: capture.MakeRef(0, id), Time: now - back}
	}
	*c = assembler.Conn{ID: id, RoleKnown: true, First: at(2e9), Last: at(1e9)}
	for s := range c.Ends {
		e, x := &c.Ends[s], rng.Uint32()
		e.Addr = [16]byte{10: 0xff, 11: 0xff, 12: byte(x >> 24), 13: byte(x >> 16), 14: byte(x >> 8), 15: byte(x)}
		e.Port, e.Link = uint16(rng.Uint32()), rng.Uint64()>>16
		e.First, e.Last, e.Packets, e.TTLMin, e.TTLMax = at(2e9), at(1e9), 3, 64, 64
		e.ISN, e.HasISN = x, true
	}
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	cl.SYN = assembler.Tries{First: at(2e9), Last: at(2e9), Count: 1}
	rst := func(s assembler.Side, flags capture.Flags, fit assembler.ResetFit) {
		c.NResets, c.Resets[0] = 1, assembler.Reset{Stamp: at(1e9), Side: s, Flags: flags, Fit: fit, TTL: 64, Stateless: flags&capture.ACK == 0}
		c.End(s).Resets = 1
	}
	kind := id % 6
	if kind > 1 {
		cl.SYN.Answered, c.Established = at(1.9e9), at(1.8e9)
		sv.SYNACK = assembler.Tries{First: at(1.9e9), Last: at(1.9e9), Count: 1, Answered: at(1.8e9)}
	}
	switch kind {
	case 0: // nobody answers
		*sv = assembler.End{Addr: sv.Addr, Port: sv.Port}
		cl.Packets = 1
	case 1: // refused
		cl.Packets, sv.Packets = 1, 1
		rst(assembler.Server, capture.RST|capture.ACK, assembler.FitSYN)
	case 2: // it may have waited in a listener's queue
		rst(assembler.Server, capture.RST|capture.ACK, assembler.FitExact)
	case 3: // lost, on the tuple of one before
		cl.FirstData, sv.FirstData, cl.LastData, sv.LastData = at(1.5e9), at(1.5e9), at(1.5e9), at(1.5e9)
		rst(assembler.Server, capture.RST, assembler.FitExact)
		c.Resets[0].Answers, c.Resets[0].Trigger = at(1e9), assembler.ToData
		c.Partial, c.Predecessor = assembler.NoStart, id-1
	case 4: // silence
		cl.Data = assembler.Tries{First: at(1.5e9), Last: at(1e9), Prev: now - 1.2e9, Count: 5}
	default: // the same twice, closed in order
		for s := range c.Ends {
			c.Ends[s].FIN = assembler.Tries{First: at(1.2e9), Last: at(1.2e9), Count: 1, Answered: at(1e9)}
			c.Ends[s].ISN = uint32(id / 12)
		}
	}
}

// TestDaysLeaveNothingBehind: a live analysis that has seen three times as
// many strangers, over weeks, needs no more memory.
func TestDaysLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("adds more than a million connections")
	}
	a := Analysis{Whole: 4096, Live: true, NoFindings: true}
	rng := rand.New(rand.NewPCG(8, 9))
	var c assembler.Conn
	now, id := int64(1e18), uint64(0)
	heap := func(until uint64) int64 {
		for ; id < until; now += int64(rng.ExpFloat64() * float64(second)) {
			id++
			stranger(&c, rng, id, now)
			a.Add(&c)
			a.Clock(now)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	first := heap(500_000)
	middle := heap(1_000_000)
	last := heap(1_500_000)
	t.Logf("%d, %d, %d MB", first>>20, middle>>20, last>>20)
	if last > first+first/4 || last > middle+middle/10 || last > 200<<20 {
		t.Errorf("the heap grew from %d to %d to %d MB", first>>20, middle>>20, last>>20)
	}
	if n := len(a.open); n > 2*maxOpen {
		t.Errorf("%d verdicts are open", n)
	}
	a.Finish(Env{})
	if s := a.Summary(); s.Connections != id || s.ByCause[ConnectTimeout] != id/6 || s.ByCause[OrderlyClose] < id/7 || s.ByCause[ConnectionRefused] < id/7 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkFlood is what a SYN of a flood costs, whose sender is made up.
func BenchmarkFlood(b *testing.B) {
	for _, server := range []struct {
		name   string
		random bool
	}{{"at a server", false}, {"anywhere", true}} {
		b.Run(server.name, func(b *testing.B) {
			a := Analysis{Whole: -1, Live: true}
			rng := rand.New(rand.NewPCG(4, 4))
			l := assembler.Lone{ServerPort: 443, TTL: 64}
			address := func(x uint32) [16]byte {
				return [16]byte{10: 0xff, 11: 0xff, 12: byte(x >> 24), 13: byte(x >> 16), 14: byte(x >> 8), 15: byte(x)}
			}
			for b.Loop() {
				l.ID++
				l.SYN = assembler.Stamp{Ref: capture.MakeRef(0, l.ID), Time: int64(1e18) + int64(l.ID)*1000}
				l.Until = l.SYN.Time + 180e9
				l.Client, l.ClientPort = address(rng.Uint32()), uint16(rng.Uint32())
				if server.random {
					l.Server = address(rng.Uint32())
				}
				a.AddLone(&l)
			}
		})
	}
}
