package classify

import "hangup/assembler"

// closed reports whether both ends sent FIN and no RST decided before that.
func (v *view) closed() (first assembler.Side, ok bool) {
	first, _ = v.firstFIN()
	if !v.cl.FIN.Seen() || !v.sv.FIN.Seen() || v.rst != nil {
		return first, false
	}
	return first, true
}

// settled grades a close by both FINs: certain once both are acknowledged.
func (v *view) settled(by Party) finding {
	f := finding{Graceful, by, Certain, doubts{}}
	if v.cl.FIN.Pending() || v.sv.FIN.Pending() {
		f.confidence = Likely
		f.alts = doubts{{FinTimeout, WhyNoFinAck}}
	}
	return f
}

// multipathClose: both ends of an MPTCP connection sent DATA_FIN (RFC 8684
// 3.3.3; mptcp_check_data_fin). What becomes of the subflow under it
// afterwards is no end of the connection.
func multipathClose(v *view) (finding, bool) {
	a, b := v.cl.DataFIN, v.sv.DataFIN
	if !v.c.MPTCP || !a.Seen() || !b.Seen() || v.cl.FastClose.Seen() || v.sv.FastClose.Seen() {
		return finding{}, false
	}
	return finding{Graceful, BySide(v.firstDataFIN().Side), Likely, doubts{}}, true
}

// firstDataFIN is the first DATA_FIN of an MPTCP connection in which both are.
func (v *view) firstDataFIN() FirstEnd {
	s := assembler.Client
	if v.sv.DataFIN.Time < v.cl.DataFIN.Time {
		s = assembler.Server
	}
	return FirstEnd{Stamp: v.c.End(s).DataFIN, Side: s, Flag: FlagFIN}
}

// unseenFIN: one FIN is not in the capture, but its acknowledgment is: a
// single sequence number that the other side's payload does not account for.
func unseenFIN(v *view) (finding, bool) {
	s, ok := v.firstFIN()
	if !ok || v.rst != nil {
		return finding{}, false
	}
	shown, other := v.c.End(s), v.c.End(s.Peer())
	if other.FIN.Seen() || shown.AckStep != 1 || other.Lost == 0 && !v.partial(assembler.OneWay) {
		return finding{}, false
	}
	f := finding{Graceful, BySide(s), Possible, doubts{{CloseWaitLeak, WhyCaptureGap}}}
	if shown.LastAckStep.Time <= shown.FIN.First.Time {
		f.by = BySide(s.Peer())
		f.alts[0].Cause = StillOpen
	}
	if v.partial(assembler.OneWay) {
		f.alts[0].Why = WhyOneWay
	}
	return f, true
}

// halfClose: the side that sent FIN first went on accepting data, which only
// CloseWrite allows (RFC 9293 3.6 case 1; tcp_shutdown, SEND_SHUTDOWN).
func halfClose(v *view) (finding, bool) {
	s, ok := v.closed()
	if !ok || v.c.End(s).AckedPastFIN == 0 {
		return finding{}, false
	}
	return v.settled(BySide(s)), true
}

// simultaneousClose: each FIN was sent before the other had been received
// (RFC 9293 3.6 case 3, figure 13; state CLOSING).
func simultaneousClose(v *view) (finding, bool) {
	if _, ok := v.closed(); !ok || !v.cl.FINCrossed {
		return finding{}, false
	}
	return v.settled(ByBoth), true
}

// orderlyClose: FIN, FIN, both acknowledged (RFC 9293 3.6, figure 12; tcp_fin).
func orderlyClose(v *view) (finding, bool) {
	s, ok := v.closed()
	if !ok {
		return finding{}, false
	}
	f := v.settled(BySide(s))
	f.heed(v.outline(), s)
	return f, true
}

// heed lets f, that the side whose FIN came first has closed, be corrected by
// what was said before.
func (f *finding) heed(o *assembler.Outline, first assembler.Side) {
	if n, ok := notified(o); ok && n != first {
		f.by = BySide(n)
		f.confidence = min(f.confidence, Likely)
	}
	if cutShort(o, first) {
		f.confidence = min(f.confidence, Likely)
	}
}

// cutShort reports whether s closed at once when the other side had spoken, or
// may have, with no more than a word in between, and the capture lacks what
// was said, or what tells how to read it: the other may have taken its leave.
func cutShort(o *assembler.Outline, s assembler.Side) bool {
	e, peer := &o.Ends[s], &o.Ends[s.Peer()]
	late := o.Partial&assembler.NoStart != 0
	p := peer.App.Protocol()
	if p != assembler.AppTLS && p != assembler.AppUnknown {
		return false // it has no other way of taking leave
	}
	soon := atOnce + o.RTTServer + o.RTTClient
	if late && !peer.LastData.Seen() {
		return e.FIN.Time-o.First.Time < soon
	}
	blind := o.Partial&assembler.Snaplen != 0 || late && p == assembler.AppUnknown || e.App.Missed() || peer.App.Missed()
	wait := e.FIN.Time - peer.LastData.Time
	return blind && peer.LastData.Seen() && peer.SinceData <= alertAtMost && wait >= 0 && wait < soon
}

// alertAtMost is as much as an alert takes that answers another (bytes): its
// record with two blocks, a MAC of SHA-384 and an IV of TLS 1.2.
const alertAtMost = recordHeader + 16 + 16 + 48 + 16

// notified is the side that ended its TLS session first: its last words are
// an alert, and the other side had nothing to say to that but an alert of its
// own. Its program closed first, however fast the other's FIN was.
func notified(o *assembler.Outline) (s assembler.Side, ok bool) {
	a, b := endedTLS(o, assembler.Client), endedTLS(o, assembler.Server)
	if a && b {
		a = o.Ends[assembler.Client].LastData.Time <= o.Ends[assembler.Server].LastData.Time
	}
	switch {
	case a:
		return assembler.Client, true
	case b:
		return assembler.Server, true
	}
	return 0, false
}

func endedTLS(o *assembler.Outline, s assembler.Side) bool {
	e, peer := &o.Ends[s], &o.Ends[s.Peer()]
	version := selected(e.App, peer.App)
	if !alertLast(e.App, version) {
		return false
	}
	if e.SinceData == 0 {
		return true
	}
	return alertLast(peer.App, version) && e.SinceData == uint64(peer.App.TLS().LastLen)+recordHeader
}

const recordHeader = 5 // bytes, RFC 8446 5.1

// endsWithAlert reports whether the last that e sent looks like a TLS alert.
func endsWithAlert(c *assembler.Conn, e *assembler.End) bool {
	return alertLast(&e.App, tlsVersion(c))
}

// alertLast is endsWithAlert of a stream of the given TLS version.
func alertLast(f *assembler.Framing, version uint16) bool {
	if f.Protocol() != assembler.AppTLS || f.Lost() || !f.AtBoundary() {
		return false
	}
	state := f.TLS()
	return state.AlertLast(mayBe13(version))
}

// leakAge is how long (ns) an unanswered FIN must have waited before the
// missing second FIN is likely a leak and not a program still at work: the
// other side's FIN_WAIT2 expires after as long on Linux.
const leakAge = 60 * second

// closeWaitLeak: one FIN, acknowledged by the other kernel and never answered
// by the other program (RFC 9293 3.10.4; state CLOSE_WAIT has no timer).
func closeWaitLeak(v *view) (finding, bool) {
	s, ok := v.firstFIN()
	if !ok || v.rst != nil || v.partial(assembler.OneWay) {
		return finding{}, false
	}
	closer, leaker := v.c.End(s), v.c.End(s.Peer())
	if leaker.FIN.Seen() || !closer.FIN.Answered.Seen() {
		return finding{}, false
	}
	if closer.AckedPastFIN > 0 && !v.lasts(leaker.LastData.Time, leakAge) {
		return finding{}, false // half-closed on purpose, and in use
	}
	f := finding{HalfOpen, BySide(s.Peer()), Likely, doubts{}}
	if stillHeld(closer) {
		f.confidence = Possible
	}
	if asked := s == assembler.Client && closer.LastData.Seen() && closer.LastData.Time > leaker.LastData.Time; asked || stillHeld(closer) {
		f.alts = doubts{{HalfClose, WhyHalfAlive}}
	}
	if !v.lasts(max(closer.FIN.Answered.Time, leaker.LastData.Time), leakAge) {
		f.confidence = Possible
		f.alts = doubts{{HalfClose, WhyMayYetClose}, {OrderlyClose, WhyTooEarly}}
	}
	return f, true
}

// stillOpen: nothing in the capture ends it.
func stillOpen(v *view) (finding, bool) {
	f := finding{Open, ByUnknown, Likely, doubts{}}
	if v.named {
		return f, true // hidden: what may follow does not matter
	}
	if s, ok := v.firstFIN(); ok {
		f.confidence = Possible
		f.alts = doubts{{OrderlyClose, WhyTooEarly}}
		if v.c.End(s).AckedPastFIN > 0 {
			f.alts = doubts{{HalfClose, WhyMayYetClose}}
		}
		if v.partial(assembler.OneWay) {
			f.alts = doubts{{OrderlyClose, WhyOneWay}}
		}
	}
	for _, r := range v.c.KeptResets() {
		if !weighable(v.c, &r) {
			f.confidence = Possible
			f.alts.add(Alternative{AbortiveClose, WhyUnweighed})
			break
		}
	}
	return f, true
}
