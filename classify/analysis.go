package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// Analysis gathers connections as they end, judges each, and refines all
// verdicts once the whole capture is known. Connections are kept as plain
// values, so memory follows their number and never that of the packets.
type Analysis struct {
	conns    []assembler.Conn
	verdicts []Verdict
	env      Env
	summary  Summary
}

// Add takes a copy of c, which has ended or was cut off by the end of the capture.
func (a *Analysis) Add(c *assembler.Conn) {
	a.conns = append(a.conns, *c)
}

// Finish judges and refines. Afterwards connections stand in the order of
// their first packets.
func (a *Analysis) Finish(env Env) {
	slices.SortFunc(a.conns, func(x, y assembler.Conn) int { return cmp.Compare(x.ID, y.ID) })
	if env.End == 0 {
		for i := range a.conns {
			env.End = max(env.End, a.conns[i].Last.Time)
		}
	}
	a.env = env
	a.verdicts = make([]Verdict, len(a.conns))
	for i := range a.conns {
		a.verdicts[i] = Judge(&a.conns[i], env)
	}
	refine(a.conns, a.verdicts, env)
	a.count()
}

func (a *Analysis) count() {
	s := Summary{Connections: uint64(len(a.conns)), End: a.env.End}
	hosts := map[[16]byte]struct{}{}
	for i := range a.conns {
		c, v := &a.conns[i], &a.verdicts[i]
		s.ByClass[v.Class]++
		s.ByCause[v.Cause]++
		s.Packets += uint64(c.Ends[0].Packets) + uint64(c.Ends[1].Packets)
		hosts[c.Ends[0].Addr] = struct{}{}
		hosts[c.Ends[1].Addr] = struct{}{}
		if s.First == 0 || c.First.Time < s.First {
			s.First = c.First.Time
		}
		s.Last = max(s.Last, c.Last.Time)
	}
	s.Hosts = uint64(len(hosts))
	a.summary = s
}

// Len is the number of connections.
func (a *Analysis) Len() int { return len(a.conns) }

// Conn is the i-th connection, 0 <= i < Len.
func (a *Analysis) Conn(i int) *assembler.Conn { return &a.conns[i] }

// Verdict is the i-th connection's verdict; valid after Finish.
func (a *Analysis) Verdict(i int) *Verdict { return &a.verdicts[i] }

// Result spells the i-th verdict out.
func (a *Analysis) Result(i int) Result { return Explain(&a.conns[i], a.verdicts[i], a.env) }

// Summary counts what Finish found.
func (a *Analysis) Summary() Summary { return a.summary }
