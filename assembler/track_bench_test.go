package assembler_test

import (
	"bytes"
	"io"
	"testing"

	"hangup/assembler"
	"hangup/internal/generate"
)

// BenchmarkTrack runs the tracker over small captures of the standard mixes,
// decoded before, with as many connections at once as the full ones have for
// their size.
func BenchmarkTrack(b *testing.B) {
	for _, m := range generate.Mixes {
		b.Run(m.Name, func(b *testing.B) {
			m.Connections, m.Concurrent = min(m.Connections, 40_000), min(m.Concurrent, 20_000)
			m.Exchanges = min(m.Exchanges, 3)
			var pcap bytes.Buffer
			if _, err := generate.Write(&pcap, io.Discard, m); err != nil {
				b.Fatal(err)
			}
			all := load(b, "", &pcap)
			packets := 0
			for i := range all {
				packets += len(all[i].Packets)
			}
			for b.Loop() {
				tr := assembler.New(assembler.Config{Done: func(*assembler.Conn) {}})
				for i := range all {
					tr.Batch(&all[i])
				}
				tr.Finish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(packets), "ns/packet")
		})
	}
}
