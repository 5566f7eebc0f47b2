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
	unsent  bool             // ... which shows that it was closed, with its FIN unsent
	forged  *assembler.Reset // RST in its name that it did not send

	finBefore bool // the peer's FIN was in before its own FIN or RST
	finTaken  bool // the peer's FIN was taken, before or after
	finDoubt  bool // sent, and whether it arrived does not show
	finished  bool // both FINs acknowledged

	struck  *assembler.Reset // RST from the peer's address that it took
	missed  *assembler.Reset // ... that came to nothing, as it goes on
	nmissed int
	far     *assembler.Reset // ... that most likely found the same way barred as all before it
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

// ownResets sorts the RSTs that bear the endpoint's address. One whose number
// does not fit ended nothing and shows nothing: a socket knows its own.
func (h *history) ownResets() {
	for i := range h.c.KeptResets() {
		r := &h.c.Resets[i]
		late := r.Fit == assembler.FitLate
		switch {
		case r.Side != h.side || late && h.bothAcked() || !late && !h.fits(r):
		case h.notItsOwn(r):
			if h.forged == nil {
				h.forged = r
			}
		case r.Flags.Has(capture.ACK):
			// tcp_send_active_reset; a host without a socket sets ACK only
			// when it answers a segment without one (tcp_v4_send_reset).
			if h.ownRST == nil {
				h.ownRST = r
			}
		case h.bareRST == nil:
			h.bareRST, h.unsent = r, closedUnsent(h.c, r) && genuineStateless(h.x, r)
		}
	}
}

// reorder is how much (ns) a capture may swap packets of one sender.
const reorder = milli

// notItsOwn reports whether the endpoint's socket cannot have sent the RST:
// it goes on talking after it, or the header is out of step with the rest
// (which the verdict has weighed).
func (h *history) notItsOwn(r *assembler.Reset) bool {
	if r.SenderAfter.Seen() && r.SenderAfter.Time-r.Time > reorder && overtaken(h.c, r) == nil {
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
		switch {
		case r.Side == h.side || !h.fits(r):
		case h.aliveAfter(r.Time):
			h.missed = r
			h.nmissed++
		case h.multipath && !h.o.FastClose.Seen():
			h.subflow = r
			return
		case h.barred(r):
			h.far = r
			return
		default:
			h.struck = r
			return
		}
	}
}

// fits reports whether the endpoint's kernel took the RST if it arrived: by
// its number, or because there is nothing to compare it with, or because the
// tracker took the endpoint for dead of a RST that it had survived.
func (h *history) fits(r *assembler.Reset) bool {
	switch r.Fit {
	case assembler.FitUnknown:
		return true
	case assembler.FitLate:
		return !h.bothAcked() && (h.forged != nil || h.missed != nil)
	case assembler.FitInWindow:
		return h.c.Partial&(assembler.Gaps|assembler.OneWay|assembler.NoStart) != 0
	}
	return r.Fit.TakesEffect()
}

// barred reports whether the RST is likely to have been lost like what came
// before it: other RSTs, to a firewall of the endpoint's own, or a series of
// tries that the endpoint never answered, whose last word it is.
func (h *history) barred(r *assembler.Reset) bool {
	if !r.Flags.Has(capture.ACK) {
		return h.nmissed > 1
	}
	for _, t := range [...]*assembler.Tries{&h.o.Data, &h.o.Probe, &h.o.WProb} {
		if t.Pending() && (t.Count > 1 || t == &h.o.Probe) && h.x.Last.Time < t.First.Time {
			return true
		}
	}
	return false
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
		h.finBefore = own.Seen() && h.o.DataFIN.Time < own.Time
		return
	}
	if !fin.Seen() {
		// An acknowledgment that moves by one is that of a FIN which the
		// capture missed.
		own := h.ownEnd()
		h.finTaken = h.x.AckStep == 1 && (h.o.Lost > 0 || h.o.Packets == 0)
		h.finBefore = h.finTaken && own.Seen() && h.x.LastAckStep.Time <= own.Time
		return
	}
	h.finBefore = h.x.FINSawPeer || h.ownRST != nil && h.ownRST.Ack == fin.Seq+1
	h.finTaken = h.finBefore || fin.Answered.Seen() || fin.Delivered
	if h.finTaken || h.ownRST != nil || h.bareRST != nil {
		return
	}
	if h.struck != nil {
		h.finThenReset(fin)
		return
	}
	// Sent once, and the capture ends before it could have been repeated: it
	// most likely arrived. Repeated: it did not.
	h.finDoubt = true
	h.finTaken = fin.Count == 1 && h.env.End-fin.Last.Time < second
}

// finThenReset: the acknowledgment of a FIN is delayed by up to 40 ms
// (tcp_fin schedules it), so a RST may kill the socket before. A RST numbered
// behind the FIN counts only if that was taken. One numbered like the FIN, as
// an answer to data that crossed it, counts with it (tcp_reset_check) and
// without it: then the order on the wire decides.
func (h *history) finThenReset(fin *assembler.Tries) {
	if h.struck.Seq == fin.Seq+1 {
		h.finTaken = true
		return
	}
	h.finDoubt = true
	h.finTaken = fin.Count == 1 && fin.First.Time <= h.struck.Time && !h.aliveAfter(fin.First.Time)
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
	h.half = stillHeld(h.x)
	h.shut = h.ownRST != nil || h.bareRST != nil
	h.finished = fin.Answered.Seen() && h.finTaken ||
		h.multipath && h.x.DataFIN.Seen() && h.o.DataFIN.Seen()
}

// silence finds what the endpoint waits for.
func (h *history) silence() {
	if h.struck != nil || h.o.Packets == 0 {
		return
	}
	if h.x.Deaf.Count > 1 && h.x.Deaf.Last.Time >= h.x.LastData.Time {
		h.tries = &h.x.Deaf // answered, but not in its eyes
	}
	for _, t := range [...]*assembler.Tries{&h.x.Data, &h.x.FIN, &h.x.Probe, &h.x.WProb} {
		if t.Pending() && (h.tries == nil || t.Last.Time > h.tries.Last.Time) {
			h.tries = t
		}
	}
	if h.tries == nil {
		return
	}
	silent := h.env.End - h.tries.Last.Time
	if h.tries.Count == 1 && silent < second {
		h.tries = nil // the answer may be on its way
		return
	}
	// The RST of a host that had the socket, and has it no longer, proves
	// that it did not wait for ever. A single try proves nothing: every
	// kernel makes a second one, so the capture misses something.
	h.stopped = h.tries.Count > 1 && (h.bareRST != nil || !h.env.Truncated && silent > settle(h.tries))
	h.softError()
}

// softError is the last ICMP error that no acknowledgment followed: tcp_ack
// clears sk_err_soft, and tcp_write_err reports it when the kernel gives up.
func (h *history) softError() {
	var last int64
	heard := h.o.Last.Time
	if h.bareRST != nil {
		heard = h.o.LastNewAck.Time // what a RST answered found no socket: it cleared nothing
	}
	for i := range h.c.KeptICMP() {
		m := &h.c.ICMP[i]
		// tcp_v4_err ignores what quotes a number below SND.UNA, as keep-alive
		// and window probes bear it (tcp_xmit_probe_skb).
		if h.x.AckSeen && int32(m.Seq-h.x.SndUna) < 0 {
			continue
		}
		if h.ownRST != nil && m.Time >= h.ownRST.Time {
			continue // nobody was left to hear of it
		}
		if m.Side != h.side || m.Quotes == assembler.ToSYN || m.Last.Time < heard || m.Last.Time < last {
			continue
		}
		if e := icmpErrno(m); e != noError {
			h.soft, last = e, m.Last.Time
		}
	}
}
