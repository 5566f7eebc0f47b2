package classify

// choice is one reading of what the packets leave open. The zero choice is
// not the default: see usual.
type choice struct {
	half     bool  // its FIN was CloseWrite, not Close
	peerHalf bool  // the peer's FIN was CloseWrite, not Close
	finTaken bool  // the peer's FIN arrived
	gaveUp   bool  // the kernel stopped trying
	local    Token // ... with this error, of its own host's making, instead of what the path reported
	closed   bool  // Close was called, and no packet shows it
	killed   Token // the RST+ACK was not the program's doing, and left this error
	itself   bool  // a RST that looks forged was its own
	lost     bool  // no MPTCP subflow came back
	struck   bool  // a RST reached it, although it is not likely, or not to be seen
	full     bool  // no room in the send buffer
}

// usual is the reading that the main outcome follows.
func (h *history) usual() choice {
	ch := choice{
		half:     h.half,
		peerHalf: h.o.AckedPastFIN > 0,
		finTaken: h.finTaken,
		gaveUp:   h.stopped && !h.unsent,
		closed:   h.unsent,
		full:     h.o.Window == 0 && h.x.WProb.Pending() || h.o.ZeroWindow.Pending() && h.x.WProb.Seen(),
	}
	if h.ownRST != nil && h.keptAlive() {
		ch.killed = h.timeout(choice{})
	}
	return ch
}

// keptAlive reports whether the endpoint's RST+ACK came when the next
// keep-alive probe was due and none had been answered (tcp_keepalive_timer).
func (h *history) keptAlive() bool {
	p := &h.x.Probe
	if !p.Pending() || p.Count < 2 {
		return false
	}
	due, late := p.Interval(), h.ownRST.Time-p.Last.Time
	return late > due/2 && late < 2*due
}

// play lets a socket live through the history.
func (h *history) play(ch choice) socket {
	s := socket{full: ch.full}
	if h.finBefore {
		s.fin()
	}
	if h.ownFIN {
		if ch.half {
			s.shutdown()
		} else {
			s.close()
		}
	}
	if ch.finTaken && !h.finBefore {
		s.fin()
	}
	switch {
	case h.ownRST != nil && ch.killed != noError:
		s.fail(ch.killed)
	case h.ownRST != nil, h.ownFIN && h.shut, ch.itself:
		s.close()
	}
	if h.finished {
		s.finish()
	}
	if ch.closed {
		s.close()
	}
	if h.struck != nil || ch.struck {
		s.reset()
	}
	if ch.lost {
		s.abandon()
	}
	if ch.gaveUp {
		s.fail(h.timeout(ch))
	}
	s.peer = h.peer(ch)
	return s
}

// timeout is the error of tcp_write_err.
func (h *history) timeout(ch choice) Token {
	switch {
	case ch.local != noError:
		return ch.local
	case h.soft != noError:
		return h.soft
	}
	return eTIMEDOUT
}

// peer is what the next write meets.
func (h *history) peer(ch choice) peerKind {
	switch {
	case h.multipath:
		return peerTakes // acknowledged and thrown away (mptcp_incoming_options)
	case ch.finTaken && !ch.peerHalf:
		return peerGone
	case !ch.finTaken && h.peerDied():
		return peerGone
	}
	return peerTakes
}

// peerDied reports whether the peer's socket ended without the endpoint's
// being told: by a RST in the endpoint's name, or by one of its own that was
// lost. Behind a barred way there is nobody to answer a write.
func (h *history) peerDied() bool {
	if h.struck != nil {
		return false
	}
	return h.missed != nil || h.forged != nil && h.forged.Fit.TakesEffect() && !h.forged.ReceiverAfter.Seen()
}

// flip is one way in which a choice may differ from the usual one.
type flip struct {
	when  string
	apply func(*choice)
	alone bool // too remote to be combined with others
}

// open lists what the packets leave open, likeliest first.
func (h *history) open(usual choice) []flip {
	var fs []flip
	add := func(ok bool, when string, apply func(*choice)) {
		if ok {
			var ch choice
			apply(&ch)
			fs = append(fs, flip{when, apply, ch.local != noError})
		}
	}
	add(h.ownFIN && !h.half && !h.shut, "it was CloseWrite, not Close", func(ch *choice) { ch.half = true })
	add(h.finDoubt, pick(usual.finTaken, "that FIN did not reach it", "a FIN of the peer's reached it"),
		func(ch *choice) { ch.finTaken = !ch.finTaken })
	add(h.o.FIN.Seen() && !usual.peerHalf, "the peer only shut down its sending half (CloseWrite)", func(ch *choice) { ch.peerHalf = true })
	add(usual.full, "its send buffer still had room", func(ch *choice) { ch.full = false })
	add(h.far != nil, "that RST reached it", func(ch *choice) { ch.struck = true })
	add(h.forged != nil, "it did send that RST itself", func(ch *choice) { ch.itself = true })
	add(h.forged != nil && h.struck == nil, "it was reset as well, out of this capture's sight", func(ch *choice) { ch.struck = true })
	add(h.subflow != nil, "the connection had fallen back to plain TCP", func(ch *choice) { ch.struck = true })
	add(h.subflow != nil, "no subflow came back within net.mptcp.close_timeout (60 s by default)", func(ch *choice) { ch.lost = true })
	add(h.unsent, "it was not closed, and a firewall or middlebox sent that RST", func(ch *choice) { ch.closed = false })
	h.openAbort(usual, add)
	h.openLoss(add)
	h.openSilence(usual, add)
	return fs
}

func pick(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// openAbort: who made the kernel send RST+ACK does not show.
func (h *history) openAbort(usual choice, add func(bool, string, func(*choice))) {
	if h.ownRST == nil {
		return
	}
	timeout := h.timeout(choice{})
	add(usual.killed != noError, "the program closed it before that (SetLinger(0), unread data)", func(ch *choice) { ch.killed = noError })
	add(usual.killed == noError && h.tries != nil, "the kernel gave up waiting for an answer", func(ch *choice) { ch.killed = timeout })
	add(true, "it was destroyed from outside (ss -K)", func(ch *choice) { ch.killed = eCONNABORTED })
}

// openLoss: how a host came to have no socket any more does not show.
func (h *history) openLoss(add func(bool, string, func(*choice))) {
	if !h.vanished() || h.stopped {
		return
	}
	add(true, "a RST had reached it that this capture does not show", func(ch *choice) { ch.struck = true })
	add(true, "it had given up on packets that this capture does not show", func(ch *choice) { ch.gaveUp = true })
}

// vanished reports whether a host that had the connection's socket answers
// like one that has not, and nothing shows how it ended.
func (h *history) vanished() bool {
	return h.bareRST != nil && !h.unsent && !h.ownFIN && h.ownRST == nil && h.struck == nil
}

// openSilence: what became of an endpoint that nobody answers does not show,
// nor whether one that seems to rest has tried where this capture cannot see.
func (h *history) openSilence(usual choice, add func(bool, string, func(*choice))) {
	if h.ownRST != nil || h.struck != nil || h.unsent || h.vanished() && h.tries == nil {
		return
	}
	gaveUp := func(err Token) func(*choice) {
		return func(ch *choice) { ch.gaveUp, ch.local = true, err }
	}
	add(usual.full, "TCP_USER_TIMEOUT ran out, which counts answered window probes too", gaveUp(noError))
	if h.tries == nil {
		add(usual.full && !h.ownFIN, "Close was called before", func(ch *choice) { ch.closed = true })
		add(true, "the peer has vanished since, and it gave up", gaveUp(noError))
		add(true, "the next hop has stopped answering ARP or neighbour discovery since, and it gave up", gaveUp(eHOSTUNREACH))
		return
	}
	add(!usual.gaveUp, "it gave up", gaveUp(noError))
	// One repeat may be a tail-loss probe, whose interval tells nothing of the
	// next (RFC 8985 7); a third try would have come at its time.
	add(usual.gaveUp && h.bareRST == nil && h.tries.Count < 3, "it was still trying", func(ch *choice) { ch.gaveUp = false })
	hidden := usual.gaveUp && h.bareRST == nil && h.tries.Count >= 3 && h.tries.Count < allRetries && h.env.End-h.tries.First.Time < longestTry
	add(hidden, "the next hop answered no ARP any more, so that further tries never left it, and it was still trying",
		func(ch *choice) { ch.gaveUp = false })
	add(!usual.gaveUp && !usual.full, "its send buffer is full", func(ch *choice) { ch.full = true })
	add(!h.ownFIN, "Close was called before", func(ch *choice) { ch.closed = true })
	add(h.soft != eHOSTUNREACH, "it gave up after the next hop stopped answering ARP or neighbour discovery", gaveUp(eHOSTUNREACH))
	add(h.soft != eNETUNREACH, "it gave up after its own host lost the route", gaveUp(eNETUNREACH))
}
