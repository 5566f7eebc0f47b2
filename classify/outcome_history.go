package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

// history is what one endpoint's kernel received and did, as far as the
// capture tells, in the terms of a socket's life.
//
// Their order needs no clock. A socket that took a RST sends nothing of its
// own any more, so a FIN or a RST+ACK of its own always came before a RST it
// took; and every segment carries RCV.NXT, so its FIN and its RST+ACK
// themselves say whether the peer's FIN had come in before.
type history struct {
	c    *assembler.Conn
	v    Verdict
	env  Env
	side assembler.Side
	x, o *assembler.End // the endpoint and its peer
	w    wording

	multipath bool

	ownFIN  bool             // FIN sent, or DATA_FIN
	half    bool             // ... by CloseWrite: it went on receiving
	shut    bool             // ... by Close: it answered data with RST
	ownRST  *assembler.Reset // RST+ACK from its live socket
	bareRST *assembler.Reset // RST of a host without the socket
	forged  *assembler.Reset // RST in its name that it did not send

	finBefore bool // the peer's FIN was in before its own FIN or RST
	finTaken  bool // the peer's FIN was taken, before or after
	finDoubt  bool // sent, and whether it arrived does not show
	finished  bool // both FINs acknowledged

	struck  *assembler.Reset // RST from the peer's address that it took
	subflow *assembler.Reset // the same on an MPTCP subflow, which is no end by itself

	tries   *assembler.Tries // what it sent and nothing answered, nil if it waits for nothing
	stopped bool             // ... and it did not try again when it should have
	soft    Token            // sk_err_soft
}

// recall gathers the history of one side of an established connection.
func recall(c *assembler.Conn, v Verdict, env Env, side assembler.Side) *history {
	h := &history{c: c, v: v, env: env, side: side, x: c.End(side), o: c.End(side.Peer())}
	h.w = wording{h.x.AddrPort(), h.o.AddrPort()}
	h.multipath = c.MPTCP
	h.ownResets()
	h.peerResets()
	h.fins()
	h.ownClosing()
	h.silence()
	return h
}

// ownResets sorts the RSTs that bear the endpoint's address.
func (h *history) ownResets() {
	for i := range h.c.KeptResets() {
		r := &h.c.Resets[i]
		switch {
		case r.Side != h.side:
		case h.notItsOwn(r):
			if h.forged == nil {
				h.forged = r
			}
		case r.Fit == assembler.FitLate && h.bothAcked():
		case r.Flags.Has(capture.ACK):
			// tcp_send_active_reset; a host without a socket sets ACK only
			// when it answers a segment without one (tcp_v4_send_reset).
			if h.ownRST == nil {
				h.ownRST = r
			}
		case h.bareRST == nil:
			h.bareRST = r
		}
	}
}

// reorder is how much (ns) a capture may swap packets of one sender.
const reorder = milli

// notItsOwn reports whether the endpoint's socket cannot have sent the RST:
// it goes on talking after it, or the header is out of step with the rest
// (which the verdict has weighed).
func (h *history) notItsOwn(r *assembler.Reset) bool {
	if r.SenderAfter.Seen() && r.SenderAfter.Time-r.Time > reorder {
		return true
	}
	if h.v.Cause != InjectedReset && h.v.Cause != ResetByOwnHost {
		return false
	}
	d := decisive(h.c)
	return d != nil && d.Side == h.side && r.Time >= d.Time
}

// peerResets finds the RST that ended the endpoint's socket.
func (h *history) peerResets() {
	for i := range h.c.KeptResets() {
		r := &h.c.Resets[i]
		if r.Side == h.side || !h.fits(r) || h.aliveAfter(r.Time) {
			continue
		}
		if h.multipath && !h.o.FastClose.Seen() {
			h.subflow = r
			return
		}
		h.struck = r
		return
	}
}

// fits reports whether the endpoint's kernel took the RST if it arrived:
// by its number, or because the capture lacks what its number would have to
// be compared with.
func (h *history) fits(r *assembler.Reset) bool {
	switch r.Fit {
	case assembler.FitUnknown:
		return true
	case assembler.FitInWindow:
		return h.c.Partial&(assembler.Gaps|assembler.OneWay|assembler.NoStart) != 0
	}
	return r.Fit.TakesEffect()
}

// aliveAfter reports whether the endpoint's socket still acts so long after t
// that a packet which passed the capture at t would have reached it: a RST on
// its way to it was lost, or dropped by its firewall.
func (h *history) aliveAfter(t int64) bool {
	limit := t + h.grace()
	for _, s := range [...]assembler.Stamp{
		h.x.LastData, h.x.LastNewAck, h.x.LastChallenge, h.x.Data.Last, h.x.FIN.Last, h.x.Probe.Last, h.x.WProb.Last,
	} {
		if s.Seen() && s.Time > limit {
			return true
		}
	}
	return false
}

// grace is how long (ns) packets of the endpoint may still pass the capture
// after one that ends it: a round trip to it, with room for a slow path.
func (h *history) grace() int64 {
	rtt := h.c.RTTClient
	if h.side == assembler.Server {
		rtt = h.c.RTTServer
	}
	if rtt == 0 {
		return 250 * milli
	}
	return 2*rtt + 20*milli
}

// bothAcked reports an orderly end, after which a RST tells nobody anything.
func (h *history) bothAcked() bool {
	return h.x.FIN.Answered.Seen() && h.o.FIN.Answered.Seen()
}

// fins decides whether the peer's FIN reached the endpoint, and whether
// before its own end.
func (h *history) fins() {
	fin := &h.o.FIN
	if h.multipath && h.o.DataFIN.Seen() {
		h.finTaken = true // DATA_FIN: mptcp_check_data_fin does what tcp_fin does
		own := h.ownEnd()
		h.finBefore = !own.Seen() || h.o.DataFIN.Time < own.Time
		return
	}
	if !fin.Seen() {
		return
	}
	covers := func(r *assembler.Reset) bool { return r != nil && r.Ack == fin.Seq+1 }
	behind := h.struck != nil && h.struck.Seq == fin.Seq+1
	h.finBefore = h.x.FINSawPeer || h.ownRST != nil && covers(h.ownRST)
	h.finTaken = h.finBefore || fin.Answered.Seen() || fin.Delivered || behind
	if h.finTaken || h.ownRST != nil || h.bareRST != nil || h.struck != nil {
		return
	}
	// Sent once, and the capture ends before it could have been repeated: it
	// most likely arrived. Repeated: it did not.
	h.finDoubt = true
	h.finTaken = fin.Count == 1 && h.env.End-fin.Last.Time < second
}

// ownEnd is the packet by which the endpoint first ended its sending.
func (h *history) ownEnd() assembler.Stamp {
	switch {
	case h.multipath && h.x.DataFIN.Seen():
		return h.x.DataFIN
	case h.x.FIN.Seen():
		return h.x.FIN.First
	case h.ownRST != nil:
		return h.ownRST.Stamp
	}
	return assembler.Stamp{}
}

// ownClosing decides what the endpoint's FIN was. Only a socket that the
// program still holds acknowledges new data in FIN_WAIT, and sends
// keep-alives in FIN_WAIT_2 (tcp_keepalive_timer): a closed one answers data
// with RST (tcp_rcv_state_process, TCP_ABORT_ON_DATA; tcp_timewait_state_process).
func (h *history) ownClosing() {
	h.ownFIN = h.x.FIN.Seen() || h.multipath && h.x.DataFIN.Seen()
	if !h.ownFIN {
		return
	}
	fin := &h.x.FIN
	h.half = h.x.AckedPastFIN > 0 ||
		fin.Answered.Seen() && h.x.Probe.Seen() && h.x.Probe.Last.Time > fin.Answered.Time
	h.shut = h.ownRST != nil || h.bareRST != nil
	h.finished = fin.Answered.Seen() && h.finTaken ||
		h.multipath && h.x.DataFIN.Seen() && h.o.DataFIN.Seen()
}

// silence finds what the endpoint waits for.
func (h *history) silence() {
	if h.struck != nil || h.o.Packets == 0 {
		return
	}
	for _, t := range [...]*assembler.Tries{&h.x.Data, &h.x.FIN, &h.x.Probe, &h.x.WProb} {
		if t.Pending() && (h.tries == nil || t.Last.Time > h.tries.Last.Time) {
			h.tries = t
		}
	}
	if h.tries == nil {
		return
	}
	end := h.env.End
	if h.bareRST != nil {
		end = h.bareRST.Time
	}
	if h.tries.Count == 1 && end-h.tries.Last.Time < second {
		h.tries = nil // the answer may be on its way
		return
	}
	// The RST of a host that had the socket, and has it no longer, proves
	// that it did not wait for ever.
	h.stopped = h.bareRST != nil || !h.env.Truncated && end-h.tries.Last.Time > settle(h.tries)
	h.softError()
}

// softError is the last ICMP error that no acknowledgment followed: tcp_ack
// clears sk_err_soft, and tcp_write_err reports it when the kernel gives up.
func (h *history) softError() {
	var last int64
	for i := range h.c.KeptICMP() {
		m := &h.c.ICMP[i]
		if m.Side != h.side || m.Quotes == assembler.ToSYN || m.Last.Time < h.o.Last.Time || m.Last.Time < last {
			continue
		}
		if e := icmpErrno(m); e != noError {
			h.soft, last = e, m.Last.Time
		}
	}
}
