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

	named bool // a rule has named the cause
	hangs bool // something asked would be answered otherwise if the capture ended later

	outlined bool
	outlines assembler.Outline // of c, if outlined
}

func newView(c *assembler.Conn, env Env) *view {
	v := new(view)
	v.look(c, env)
	return v
}

// look makes v the view of c.
func (v *view) look(c *assembler.Conn, env Env) {
	if c.Until != 0 {
		env.End, env.Truncated = c.Until, false // it was not watched any longer
	}
	v.c, v.env, v.cl, v.sv, v.rst = c, env, c.End(assembler.Client), c.End(assembler.Server), decisive(c)
	v.named, v.hangs, v.outlined = false, false, false
}

// outline is that of the connection.
func (v *view) outline() *assembler.Outline {
	if !v.outlined {
		v.c.Outline(&v.outlines)
		v.outlined = true
	}
	return &v.outlines
}

// decisive is the RST that ended the connection: the first that took effect,
// or, in a capture too partial to weigh sequence numbers, the first whose
// receiver fell silent. A RST that its receiver outlives was lost or dropped
// behind the capture; where two were, the third was as well.
func decisive(c *assembler.Conn) *assembler.Reset {
	kept := c.KeptResets()
	var outlasted [2]int
	var first *assembler.Reset
	for i := range kept {
		r := &kept[i]
		switch {
		case outlasted[r.Side] > 1:
			continue
		case r.Fit.TakesEffect(), overtook(c, r):
		case r.Fit == assembler.FitLate && first != nil && !finished(c):
		case !weighable(c, r) && !r.ReceiverAfter.Seen():
		default:
			continue
		}
		if outlived(c, r) {
			outlasted[r.Side]++
			if first == nil {
				first = r
			}
			continue
		}
		if first != nil && first.Side == r.Side && live(c, first) {
			return first // r only repeats, without a socket, what first said
		}
		if own := overtaken(c, r); own != nil {
			return own
		}
		return r
	}
	return nil
}

// overtaken is the RST of the live socket that the bare one r overtook: what a
// socket sent last waits in its own queue where packets are paced (fq), while
// its host, once the socket is gone, answers what comes in at once.
func overtaken(c *assembler.Conn, r *assembler.Reset) *assembler.Reset {
	for i := range c.KeptResets() {
		o := &c.Resets[i]
		d := o.Time - r.Time
		if bare(r) && o.Side == r.Side && d > 0 && d < second/2 && c.Timestamps() && live(c, o) && !oddTTL(c.End(o.Side), o) && !oddTimestamp(o) &&
			int32(o.Seq-r.Seq) >= 0 && (!r.SenderAfter.Seen() || r.SenderAfter.Time <= o.Time) {
			return o
		}
	}
	return nil
}

// wasOvertaken reports whether o is the RST that overtaken finds.
func wasOvertaken(c *assembler.Conn, o *assembler.Reset) bool {
	for i := range c.KeptResets() {
		if own := overtaken(c, &c.Resets[i]); own != nil && own.Ref == o.Ref {
			return true
		}
	}
	return false
}

// weighable reports whether the capture holds what r's sequence number has
// to be compared with.
func weighable(c *assembler.Conn, r *assembler.Reset) bool {
	lost := r.Fit == assembler.FitInWindow && c.Partial&(assembler.Gaps|assembler.OneWay|assembler.NoStart) != 0
	return r.Fit != assembler.FitUnknown && !lost
}

// overtook reports whether r only seemed to lie beyond the next sequence
// number: its sender's payload up to there was captured behind it (several
// queues, several interfaces), and its receiver fell silent.
func overtook(c *assembler.Conn, r *assembler.Reset) bool {
	e, o := c.End(r.Side), c.End(r.Side.Peer())
	return r.Fit == assembler.FitInWindow && r.Seq == e.SndNxt && r.SenderAfter.Seen() &&
		o.Challenges == 0 && o.Last.Time <= r.Time+grace(c)
}

// outlived reports whether r's receiver went on longer than a packet that
// passed the capture needs to reach it and have an answer come back.
func outlived(c *assembler.Conn, r *assembler.Reset) bool {
	e := c.End(r.Side.Peer())
	limit := r.Time + grace(c)
	for _, s := range [...]assembler.Stamp{
		e.LastData, e.LastNewAck, e.Data.Last, e.FIN.Last, e.Probe.Last, e.WProb.Last,
	} {
		if s.Seen() && s.Time > limit {
			return true
		}
	}
	return false
}

// grace is how long (ns) packets may still pass the capture after one that
// ends their sender: a round trip, with room for a slow host.
func grace(c *assembler.Conn) int64 {
	rtt := c.RTTServer + c.RTTClient
	if rtt == 0 {
		return 250 * milli
	}
	return 2*rtt + 20*milli
}

// finished reports whether both FINs were acknowledged.
func finished(c *assembler.Conn) bool {
	return c.Ends[0].FIN.Answered.Seen() && c.Ends[1].FIN.Answered.Seen()
}

func (v *view) partial(p assembler.Partial) bool { return v.c.Partial&p != 0 }

// after is the time (ns) that the capture goes on after t.
func (v *view) after(t int64) int64 { return v.env.End - t }

// lasts reports whether the capture goes on for at least wait (ns) after t.
// Once it has, no later end of the capture changes that.
func (v *view) lasts(t, wait int64) bool {
	if v.after(t) >= wait {
		return true
	}
	v.hangs = v.c.Until == 0
	return false
}

// sender and receiver of the decisive RST.
func (v *view) sender() *assembler.End   { return v.c.End(v.rst.Side) }
func (v *view) receiver() *assembler.End { return v.c.End(v.rst.Side.Peer()) }

// established reports whether the handshake was over: seen to be, or so
// before the capture began.
func (v *view) established() bool {
	if v.c.Established.Seen() {
		return true
	}
	ordinary := v.cl.Packets + v.sv.Packets - v.cl.Resets - v.sv.Resets
	return v.partial(assembler.NoStart) && ordinary > 0 && !v.sv.SYNACK.Seen() && !v.cl.SYN.Seen()
}

// firstFIN is the side whose FIN came first; ok is false if there was none.
func (v *view) firstFIN() (s assembler.Side, ok bool) {
	a, b := &v.cl.FIN, &v.sv.FIN
	switch {
	case a.Seen() && b.Seen() && v.cl.FINSawPeer != v.sv.FINSawPeer:
		if v.cl.FINSawPeer {
			return assembler.Server, true // whatever the clocks of two captures say
		}
		return assembler.Client, true
	case a.Seen() && b.Seen():
		return earlier(&a.First, &b.First), true
	case a.Seen():
		return assembler.Client, true
	case b.Seen():
		return assembler.Server, true
	}
	return 0, false
}

// earlier is the side whose packet came first.
func earlier(client, server *assembler.Stamp) assembler.Side {
	if server.Time < client.Time || server.Time == client.Time && server.Ref < client.Ref {
		return assembler.Server
	}
	return assembler.Client
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

// stateless reports whether r looks like the answer of a host without a
// socket, of any system: Windows sets ACK even there.
func stateless(c *assembler.Conn, r *assembler.Reset) bool {
	return bare(r) || r.Stateless && !live(c, r)
}

const (
	second = int64(1e9)
	milli  = int64(1e6)
)

// settle is how long after the last try of t a sender that had not given up
// would have tried again at the latest: twice the last interval, with some
// room for its clock. The first repeat may be a tail-loss probe (RFC 8985 7),
// far sooner than the timeouts that follow.
func settle(t *assembler.Tries) int64 {
	wait := 2*t.Interval() + t.Interval()/64 + 5*milli
	if t.Count < 3 {
		wait = max(wait, 3*second)
	}
	return wait
}

// gaveUp reports whether the capture goes on so long after the last try that
// the sender must have stopped.
func (v *view) gaveUp(t *assembler.Tries) bool {
	if v.env.Truncated {
		return false
	}
	return v.lasts(t.Last.Time, settle(t)+1)
}

// tried is what remained unanswered: of two sides' tries the one repeated.
func (v *view) tried(what func(*assembler.End) *assembler.Tries) (*assembler.End, *assembler.Tries) {
	if e, t := v.silent(what, 2); e != nil {
		return e, t
	}
	return v.silent(what, 1)
}

// asked is the side that asks, as far as roles tell: the client, once it has
// said anything (many servers greet first). What it is sent it waits for.
func (v *view) asked() assembler.Side {
	if v.cl.FirstData.Seen() {
		return assembler.Client
	}
	return assembler.Server
}
