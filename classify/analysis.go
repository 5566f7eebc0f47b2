package classify

import (
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
	a.env = env
	// sort by ID, judge each, refine with neighbours, count
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
