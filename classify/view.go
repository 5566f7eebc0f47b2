package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

// view is one connection as a rule looks at it.
type view struct {
	c   *assembler.Conn
	env Env
	cl  *assembler.End
	sv  *assembler.End
	rst *assembler.Reset // the RST that ended the connection, nil if none did
}

func newView(c *assembler.Conn, env Env) *view {
	return &view{c: c, env: env, cl: c.End(assembler.Client), sv: c.End(assembler.Server), rst: decisive(c)}
}

// decisive is the RST that ended the connection: the first that took effect,
// or, in a capture too partial to weigh sequence numbers, the first whose
// receiver fell silent.
func decisive(c *assembler.Conn) *assembler.Reset {
	if r := c.EffectiveReset(); r != nil {
		return r
	}
	kept := c.KeptResets()
	for i := range kept {
		r := &kept[i]
		lost := r.Fit == assembler.FitInWindow && c.Partial&(assembler.Gaps|assembler.OneWay|assembler.NoStart) != 0
		if (r.Fit == assembler.FitUnknown || lost) && !r.ReceiverAfter.Seen() {
			return r
		}
	}
	return nil
}

func (v *view) partial(p assembler.Partial) bool { return v.c.Partial&p != 0 }

// after is the time (ns) that the capture goes on after t.
func (v *view) after(t int64) int64 { return v.env.End - t }

// sender and receiver of the decisive RST.
func (v *view) sender() *assembler.End   { return v.c.End(v.rst.Side) }
func (v *view) receiver() *assembler.End { return v.c.End(v.rst.Side.Peer()) }

func (v *view) established() bool {
	return v.c.Established.Seen() || v.partial(assembler.NoStart) && v.cl.Started && v.sv.Started
}

// firstFIN is the side whose FIN came first; ok is false if there was none.
func (v *view) firstFIN() (s assembler.Side, ok bool) {
	a, b := &v.cl.FIN, &v.sv.FIN
	switch {
	case a.Seen() && b.Seen():
		if b.First.Time < a.First.Time || b.First.Time == a.First.Time && b.First.Ref < a.First.Ref {
			return assembler.Server, true
		}
		return assembler.Client, true
	case a.Seen():
		return assembler.Client, true
	case b.Seen():
		return assembler.Server, true
	}
	return 0, false
}

// live reports whether the RST has the form that only a socket's own end
// produces: RST+ACK with its window, and timestamps where they were
// negotiated (tcp_send_active_reset).
func live(c *assembler.Conn, r *assembler.Reset) bool {
	if !r.Flags.Has(capture.ACK) {
		return false
	}
	if c.Timestamps() {
		return r.HasTS
	}
	return !r.Stateless || r.Window != 0
}

// bare reports whether the RST carries no acknowledgment: how a host without
// a socket answers a segment that had one (tcp_v4_send_reset).
func bare(r *assembler.Reset) bool { return !r.Flags.Has(capture.ACK) }

const (
	second = int64(1e9)
	milli  = int64(1e6)
)

// settle is how long after the last try of t a sender that had not given up
// would have tried again at the latest: twice the last interval, and never
// less than a first retransmission timeout with its back-off may take.
func settle(t *assembler.Tries) int64 {
	return max(2*t.Interval(), 3*second)
}

// gaveUp reports whether the capture goes on so long after the last try that
// the sender must have stopped.
func (v *view) gaveUp(t *assembler.Tries) bool {
	return !v.env.Truncated && v.after(t.Last.Time) > settle(t)
}
