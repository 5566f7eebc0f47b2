package assembler_test

import (
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/generate"
)

// However many connections a capture has at once, no more are followed than
// allowed, and every packet is accounted for.
func TestEvict(t *testing.T) {
	for _, m := range generate.Mixes {
		for _, limit := range []int{1, 7, 30} {
			var conns []*assembler.Conn
			var total, counted, evicted int
			all := load(t, "", generated(t, m))
			tr := assembler.New(assembler.Config{MaxConns: limit, Done: func(c *assembler.Conn) { conns = append(conns, c.Bare()) }})
			for i := range all {
				for j := range all[i].Packets {
					if all[i].Packets[j].Kind == capture.TCP {
						total++
					}
					tr.Batch(&capture.Batch{Packets: all[i].Packets[j : j+1], Data: all[i].Data})
					if n := tr.Live(); n > limit {
						t.Fatalf("%s: %d connections, allowed are %d", m.Name, n, limit)
					}
				}
			}
			tr.Finish()
			for _, c := range conns {
				counted += int(c.Ends[0].Packets + c.Ends[1].Packets + c.Ends[0].Duplicates + c.Ends[1].Duplicates)
				if c.Partial&assembler.Evicted != 0 {
					evicted++
				}
			}
			if evicted == 0 || uint64(evicted) != tr.Evicted() {
				t.Errorf("%s: %d connections marked as evicted, %d counted", m.Name, evicted, tr.Evicted())
			}
			if counted+int(tr.LatePackets()) != total {
				t.Errorf("%s: %d packets in connections and %d late ones, of %d", m.Name, counted, tr.LatePackets(), total)
			}
		}
	}
}
