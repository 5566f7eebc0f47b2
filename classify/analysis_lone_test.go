package classify

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// TestLonesAreConnections: a lone SYN leaves what its Conn would leave, more
// of them than verdicts may be open, before and after the end is known.
func TestLonesAreConnections(t *testing.T) {
	const n = 3 * maxOpen
	short, long := &Analysis{Whole: -1}, &Analysis{Whole: -1}
	told := [2]map[uint64]Verdict{{}, {}}
	for i, a := range []*Analysis{short, long} {
		a.Each = func(c *assembler.Conn, v *Verdict) {
			if _, twice := told[i][c.ID]; twice {
				t.Fatalf("connection %d is told of twice", c.ID)
			}
			told[i][c.ID] = *v
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	end := Env{End: 1e18 + n*1e6 + 2e9} // too early to know whether the last have given up
	var c assembler.Conn
	for i := range uint64(n) {
		x := rng.Uint32()
		l := assembler.Lone{
			ID: i + 1, SYN: assembler.Stamp{Ref: capture.MakeRef(0, i+1), Time: 1e18 + int64(i)*1e6}, Seq: x, TTL: 64 - uint8(x%3), Link: uint64(x % 100),
			Client:     [16]byte{10: 0xff, 11: 0xff, 12: 10, 14: byte(x >> 8), 15: byte(x)},
			Server:     [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 1, 15: byte(x >> 16 % 200)},
			ClientPort: uint16(x >> 4), ServerPort: uint16(1 + x>>24%3),
		}
		if x%50 == 0 {
			l.Partial, l.Until = assembler.Evicted, l.SYN.Time+int64(x%6)*second
		}
		if i == n/2 {
			short.Ends(end)
			long.Ends(end)
		}
		short.AddLone(&l)
		c = assembler.Conn{}
		l.Expand(&c)
		long.Add(&c)
	}
	short.Finish(end)
	long.Finish(end)
	if a, b := short.Summary(), long.Summary(); a != b || a.Connections != n || a.ByCause[ConnectTimeout]+a.ByCause[StillOpen] != n || a.ByCause[StillOpen] == 0 {
		t.Errorf("summary\n%+v, want\n%+v", a, b)
	}
	spell := func(a *Analysis) (s string) {
		for _, g := range a.Digest(false).Groups() {
			list, more := g.Clients()
			s += fmt.Sprintln(g.GroupKey, g.N, g.Possible, g.First, g.Last, g.FirstID, list, more)
		}
		return s
	}
	if a, b := spell(short), spell(long); a != b {
		t.Errorf("groups\n%.2000s, want\n%.2000s", a, b)
	}
	for id, want := range told[1] {
		if got := told[0][id]; got != want {
			t.Fatalf("connection %d is told of as\n%+v, want\n%+v", id, got, want)
		}
	}
	if a, b := fmt.Sprint(short.Findings()), fmt.Sprint(long.Findings()); a != b {
		t.Errorf("findings\n%.3000s, want\n%.3000s", a, b)
	}
}
