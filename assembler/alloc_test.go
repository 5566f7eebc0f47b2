package assembler_test

import (
	"testing"

	"hangup/assembler"
	"hangup/internal/generate"
)

// Memory follows the connections that are alive, never the packets: a tracker
// that has seen a capture a few times allocates nothing for seeing it again,
// but a page now and then for those of its connections that never end.
func TestTrackAllocatesNothing(t *testing.T) {
	for _, m := range generate.Mixes {
		if m.Exchanges == 0 {
			continue // 300 connections, all alive
		}
		t.Run(m.Name, func(t *testing.T) {
			all := load(t, "", generated(t, m))
			tr := assembler.New(assembler.Config{Done: func(*assembler.Conn) {}})
			span := all[len(all)-1].Packets[len(all[len(all)-1].Packets)-1].Time - all[0].Packets[0].Time + 1e9
			round := func() {
				for i := range all {
					tr.Batch(&all[i])
					for j := range all[i].Packets {
						p := &all[i].Packets[j]
						p.Time += span
						p.Seq += 1 << 28
						p.Ack += 1 << 28
					}
				}
			}
			for range 8 {
				round()
			}
			if n := testing.AllocsPerRun(3, round); n > float64(packets(all))/1000 {
				t.Errorf("%v allocations in %d packets", n, packets(all))
			}
		})
	}
}

func packets(all batches) (n int) {
	for i := range all {
		n += len(all[i].Packets)
	}
	return n
}
