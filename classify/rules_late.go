package classify

import "hangup/assembler"

// lateAlert: what drew the RST was the last alert of a TLS session whose two
// programs had both closed: nobody was told. Either it came behind the
// closer's FIN, or it lay unread when its receiver, which had sent its own,
// closed as well.
func lateAlert(v *view) (finding, bool) {
	r := v.rst
	s, ok := v.firstFIN()
	if r == nil || !ok {
		return finding{}, false
	}
	unread := r.Side != s && live(v.c, r) && r.Ack == v.c.End(s).FIN.Seq+1
	first, both := notified(v.outline())
	both = both && endsWithAlert(v.c, v.cl) && endsWithAlert(v.c, v.sv)
	switch {
	case r.Side == s && (tlsLateAlert(v.c) || crossedByAlert(v.c, v.sender(), v.receiver())):
	case unread && both:
		s = first
	default:
		return finding{}, false
	}
	f := finding{Graceful, BySide(s), Likely, doubts{}}
	if w := v.c.End(r.Side.Peer()); r.Side == s && !endsWithAlert(v.c, v.sender()) && w.App.TLS().Last != alertRecord {
		f.alts = doubts{{WriteAfterClose, WhyShortRecord}}
	}
	return f, true
}

// crossedByAlert reports whether what crossed closer's FIN was a TLS alert alone.
func crossedByAlert(c *assembler.Conn, closer, w *assembler.End) bool {
	return crossedFIN(closer, w) && endsWithAlert(c, w) && w.Data.Len == uint32(w.App.TLS().LastLen)+recordHeader
}

// writeAfterClose: payload behind the peer's FIN, answered by a stateless
// RST: a socket that was closed, not half-closed, takes no more data (RFC
// 9293 3.10.7.4; tcp_rcv_state_process in FIN_WAIT, tcp_v4_send_reset).
func writeAfterClose(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !stateless(v.c, r) || !v.sender().FIN.Seen() {
		return finding{}, false
	}
	w := v.receiver()
	late := w.LateData.Seen() && w.LateData.First.Time <= r.Time
	if !late && !crossedFIN(v.sender(), w) {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side.Peer()), Certain, doubts{}}
	if takesLeave(v.c, r.Side) {
		f.confidence = Likely
		f.alts.add(Alternative{OrderlyClose, WhyGoodbye})
	}
	if !w.LateAfterAck || v.sender().AckedPastFIN > 0 || farewells(w) || v.heldBack(w) {
		// It may have crossed the FIN, the closer's reading half may have
		// lived on for a while, the writer was closing as well, or its
		// program had written before the FIN came.
		f.confidence = Likely
	}
	if late && w.LateData.Idle >= finWait {
		f.confidence = Likely
		f.alts.add(Alternative{PeerLostState, WhyMiddleboxExpired})
	}
	return f, true
}

// atEOF is how soon (ns), beyond a round trip, a program that waited in Read
// writes when the EOF wakes it.
const atEOF = 10 * milli

// farewellMax bounds what a goodbye is long, bytes: some give a reason.
const farewellMax = 256

// justMissed reports whether what came behind closer's FIN was written when
// its writer's kernel had heard of the FIN only just now: either upon the EOF,
// by a program that was reading, or by one that could hardly have seen it.
func justMissed(c *assembler.Conn, closer assembler.Side) bool {
	w, fin := c.End(closer.Peer()), &c.End(closer).FIN
	late := &w.LateData
	return fin.Seen() && late.Seen() && w.LateAfterAck && late.Last.Time-fin.First.Time <= c.RTTServer+c.RTTClient+atEOF
}

// takesLeave reports whether it may have been a client's goodbye, as many
// protocols have one: GOAWAY, Terminate, QUIT. HTTP/1 has none, and what a
// server writes is an answer.
func takesLeave(c *assembler.Conn, closer assembler.Side) bool {
	w := c.End(closer.Peer())
	return closer == assembler.Server && justMissed(c, closer) && w.LateData.Len <= farewellMax && w.App.Protocol() != assembler.AppHTTP1
}

// heldBack reports whether w's kernel may have held its late payload back
// since before the FIN: for a window that was too small (tcp_snd_wnd_test),
// or behind payload that was not acknowledged yet (tcp_cwnd_test,
// tcp_nagle_test). Otherwise it would have sent it at once.
func (v *view) heldBack(w *assembler.End) bool {
	closer, first := v.sender(), &w.LateData.First
	z := &closer.ZeroWindow
	switch {
	case z.Seen() && (z.Pending() || z.Answered.Time >= closer.FIN.First.Time), w.WinProbes > 0:
		return true
	case closer.Window < uint32(w.MSS), closer.Window < w.Highest:
		return true
	case w.Data.Pending() && int32(w.LateData.Seq-w.Data.Seq) > 0:
		return true
	}
	// What it acknowledged last let the rest go.
	freed := max(closer.LastNewAck.Time, closer.FIN.First.Time)
	return closer.LastNewAck.Time >= closer.FIN.First.Time && first.Time-freed <= grace(v.c)
}

// crossedFIN reports whether payload of w, on its way when closer's FIN was
// sent, was never taken.
func crossedFIN(closer, w *assembler.End) bool {
	return w.Data.Pending() && w.Data.First.Time <= closer.FIN.First.Time
}

// farewells reports whether e speaks a protocol in which closing means to
// write once more: a TLS alert, an HTTP/2 GOAWAY.
func farewells(e *assembler.End) bool {
	p := e.App.Protocol()
	return p == assembler.AppTLS || p == assembler.AppHTTP2 || e.FIN.Seen()
}

// unsentFIN: a bare RST from a host whose socket repeated its unanswered
// payload just before cannot be that of a host which lost the socket. It was
// closed meanwhile: its FIN waits behind that payload, for after a timeout the
// congestion window lets nothing more out (tcp_write_xmit, RFC 9293 3.10.4),
// and a closed socket answers payload with RST (tcp_rcv_state_process in
// FIN_WAIT1).
func unsentFIN(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !v.established() || !closedUnsent(v.c, r) || !genuineStateless(v.sender(), r) {
		return finding{}, false
	}
	return finding{Reset, BySide(r.Side.Peer()), Likely, doubts{{InjectedReset, WhyMiddleboxExpired}, {ResetByOwnHost, WhyFirewallReset}}}, true
}

// closedUnsent reports whether r shows that its sender had closed, although no
// FIN of it did.
func closedUnsent(c *assembler.Conn, r *assembler.Reset) bool {
	e, o := c.End(r.Side), c.End(r.Side.Peer())
	t := repeated(e)
	return bare(r) && !e.FIN.Seen() && r.Answers.Seen() && !r.SenderAfter.Seen() &&
		t != nil && t.Last.Time <= r.Time && r.Time-t.Last.Time <= grace(c) &&
		max(o.LastData.Time, o.Data.Last.Time) > t.First.Time
}

// repeated is e's payload that it sent more than once for want of an answer,
// whether none came or none reached it; nil if there was none.
func repeated(e *assembler.End) *assembler.Tries {
	switch {
	case e.Deaf.Seen() && e.Deaf.Last.Time >= e.Data.Last.Time:
		return &e.Deaf
	case e.Data.Count > 1:
		return &e.Data
	}
	return nil
}
