package classify_test

import (
	"testing"

	"hangup/assembler"

	"hangup/classify"
	"hangup/internal/generate"
)

// BenchmarkAnalysis is what a connection costs once it is over: judging it,
// asking its neighbours, counting it.
func BenchmarkAnalysis(b *testing.B) {
	for _, m := range generate.Mixes {
		pcap, _ := small(b, m, 0.001)
		r := follows(b, m.Name, pcap)
		for _, findings := range []bool{false, true} {
			name := m.Name
			if findings {
				name += "-findings"
			}
			b.Run(name, func(b *testing.B) {
				a := &classify.Analysis{Whole: -1, NoFindings: !findings}
				a.Ends(r.env)
				all := append(r.before, r.last...)
				b.ReportAllocs()
				id := uint64(0)
				for i := 0; b.Loop(); i++ {
					e := all[i%len(all)]
					id++
					if e.lone != nil {
						e.lone.ID = id
					} else {
						// Another one that is like it.
						e.conn.ID = id
						e.conn.Ends[0].ISN, e.conn.Ends[1].ISN = uint32(id)*0x9e3779b1, uint32(id)*0x85ebca77
					}
					e.add(a)
				}
			})
		}
	}
}

// BenchmarkInterim looks at a hundred thousand connections that go on, beside
// as many that have ended.
func BenchmarkInterim(b *testing.B) {
	pcap, _ := small(b, generate.Mixes[2], 0.01)
	r := follows(b, "churn", pcap)
	a := &classify.Analysis{Whole: -1, Live: true}
	const n = 100_000
	id := uint64(0)
	each := func(visit func(*assembler.Conn)) {
		for i := range n {
			if c := r.before[i%len(r.before)].conn; c != nil {
				id++
				c.ID, c.Ends[0].Port = id, uint16(id)
				c.Ends[0].ISN, c.Ends[1].ISN = uint32(id)*0x9e3779b1, uint32(id)*0x85ebca77
				visit(c)
			}
		}
	}
	each(a.Add)
	a.Open = each
	for b.Loop() {
		if s := a.Interim(r.env.End).Summary(); s.Connections < n {
			b.Fatalf("%d connections", s.Connections)
		}
	}
}
