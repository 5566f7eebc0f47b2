package capture

import (
	"runtime"
	"testing"
	"time"
)

// TestLiveAllocatesNothing: in a steady state a packet costs no memory, be it
// given its VLAN tag back, put behind a cooked header, or shown to a Tap. The
// timers that read counters allocate a little, ten times a second.
func TestLiveAllocatesNothing(t *testing.T) {
	const n = 20000
	p := newPlace(t)
	p.veth("va", "vb")
	for _, names := range [][]string{{"vb"}, {"any"}, {"va", "vb"}} {
		tapped := 0
		l := p.open(LiveConfig{Interfaces: names, Tap: func(f *Frame, p *Packet) { tapped += len(f.Data) }})
		s := p.sender("va")
		frames := [][]byte{numbered(1, 0), withTags(numbered(2, 400), 0x8100, 7)}
		var b Batch
		round := func(n int) (got int) {
			for i := range n {
				s.send(frames[i%2])
			}
			for quiet := 0; quiet < 2; {
				if err := l.Next(&b); err != nil {
					t.Fatal(err)
				}
				got += len(b.Packets)
				if len(b.Packets) == 0 {
					quiet++
				}
			}
			return got
		}
		round(n) // the memory of batches and of a description of the VLAN
		var before, after runtime.MemStats
		start := time.Now()
		runtime.ReadMemStats(&before)
		got := round(n)
		runtime.ReadMemStats(&after)
		allowed := 100 + uint64(time.Since(start)/watchEvery+1)*20*uint64(len(names))
		if allocs := after.Mallocs - before.Mallocs; allocs > allowed || got < n/2 || tapped == 0 {
			t.Errorf("%v: %d allocations for %d packets, %+v", names, allocs, got, l.Inputs())
		}
		l.Close()
	}
}
