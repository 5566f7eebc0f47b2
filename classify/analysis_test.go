package classify

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// closed is a connection that its client closed in order.
func closed(id uint64) *assembler.Conn {
	at := func(n uint64) assembler.Stamp {
		return assembler.Stamp{Ref: capture.MakeRef(0, id*10+n), Time: int64(id)*1e6 + int64(n)*1e3}
	}
	c := &assembler.Conn{ID: id, RoleKnown: true, First: at(0), Last: at(9), Established: at(2)}
	for s := range c.Ends {
		e := &c.Ends[s]
		e.Addr, e.Port = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(s + 1)}, uint16(40000*(1-s)+443)
		e.First, e.Last, e.Packets, e.Started, e.AckSeen = at(0), at(9), 5, true, true
		e.ISN, e.HasISN, e.TTLMin, e.TTLMax = uint32(id)*7919, true, 64, 64
		e.FIN = assembler.Tries{First: at(6), Last: at(6), Count: 1, Answered: at(7), Delivered: true}
		e.State = assembler.Closed
	}
	c.Ends[0].State = assembler.TimeWait
	c.Ends[1].FIN.First, c.Ends[1].FIN.Last, c.Ends[1].FIN.Answered = at(7), at(7), at(8)
	c.Ends[1].FINSawPeer = true
	c.Ends[0].SYN = assembler.Tries{First: at(0), Last: at(0), Count: 1, Answered: at(1)}
	c.Ends[1].SYNACK = assembler.Tries{First: at(1), Last: at(1), Count: 1, Answered: at(2)}
	return c
}

// Connections that ended well leave nothing behind but counts and a few words.
func TestPlainConnectionsAllocateNothing(t *testing.T) {
	a := Analysis{Whole: 50}
	id := uint64(0)
	c := closed(1)
	add := func() {
		id++
		c.ID = id
		a.Add(c)
	}
	for range 200 {
		add()
	}
	if n := testing.AllocsPerRun(2000, add); n != 0 {
		t.Errorf("%v allocations per connection", n)
	}
	a.Finish(Env{})
	if s := a.Summary(); s.ByCause[OrderlyClose] != id || a.Len() > 0 || len(a.held.at) > 0 {
		t.Errorf("%d of %d closed in order, %d kept", s.ByCause[OrderlyClose], id, a.Len())
	}
}

// A flood of SYNs with forged addresses, at as many servers, must neither
// exhaust memory nor lose count.
func TestFloodIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("adds a million connections")
	}
	a := Analysis{Whole: 50}
	a.Ends(Env{End: 3e15})
	rng := rand.New(rand.NewPCG(3, 3))
	var c assembler.Conn
	const n = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint64(n) {
		at := assembler.Stamp{Ref: capture.MakeRef(0, i+1), Time: int64(i+1) * 1e6}
		c = assembler.Conn{ID: i + 1, RoleKnown: true, First: at, Last: at}
		for s := range c.Ends {
			x := rng.Uint32()
			c.Ends[s].Addr = [16]byte{10: 0xff, 11: 0xff, 12: byte(x >> 24), 13: byte(x >> 16), 14: byte(x >> 8), 15: byte(x)}
			c.Ends[s].Port = uint16(rng.Uint32())
		}
		e := &c.Ends[assembler.Client]
		e.First, e.Last, e.Packets, e.TTLMin, e.TTLMax = at, at, 1, 64, 64
		e.SYN = assembler.Tries{First: at, Last: at, Count: 1}
		a.Add(&c)
	}
	a.Finish(Env{End: 3e15})
	groups := a.Digest(false).Groups()
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := a.Summary()
	if s.Connections != n || s.ByCause[ConnectTimeout] != n {
		t.Errorf("%d connections, %d of them timed out, want %d", s.Connections, s.ByCause[ConnectTimeout], n)
	}
	total := uint64(0)
	for _, g := range groups {
		total += g.N
	}
	if total != n {
		t.Errorf("%d connections in groups, want %d", total, n)
	}
	if !s.HostsAbout || s.Hosts < 2*n*9/10 || s.Hosts > 2*n*11/10 {
		t.Errorf("%d hosts, about: %v", s.Hosts, s.HostsAbout)
	}
	if used := int64(after.HeapAlloc-before.HeapAlloc) >> 20; used > 200 {
		t.Errorf("%d MB in use", used)
	}
	runtime.KeepAlive(&a)
}
