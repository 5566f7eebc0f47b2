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
	f := finding{Graceful, by, Certain, nil}
	if v.cl.FIN.Pending() || v.sv.FIN.Pending() {
		f.confidence = Likely
		f.alts = []Alternative{{FinTimeout, WhyNoFinAck}}
	}
	return f
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
	return v.settled(BySide(s)), true
}

// leakAge is how long (ns) an unanswered FIN must have waited before the
// missing second FIN is likely a leak and not a program still at work: the
// other side's FIN_WAIT2 expires after as long on Linux.
const leakAge = 60 * second

// closeWaitLeak: one FIN, acknowledged by the other kernel and never answered
// by the other program (RFC 9293 3.10.4; state CLOSE_WAIT has no timer).
func closeWaitLeak(v *view) (finding, bool) {
	s, ok := v.firstFIN()
	if !ok || v.rst != nil {
		return finding{}, false
	}
	closer, leaker := v.c.End(s), v.c.End(s.Peer())
	if leaker.FIN.Seen() || !closer.FIN.Answered.Seen() {
		return finding{}, false
	}
	if closer.AckedPastFIN > 0 && v.after(leaker.LastData.Time) < leakAge {
		return finding{}, false // half-closed on purpose, and in use
	}
	f := finding{HalfOpen, BySide(s.Peer()), Likely, nil}
	if v.after(max(closer.FIN.Answered.Time, leaker.LastData.Time)) < leakAge {
		f.confidence = Possible
		f.alts = []Alternative{{HalfClose, WhyMayYetClose}, {OrderlyClose, WhyTooEarly}}
	}
	return f, true
}

// stillOpen: nothing in the capture ends it.
func stillOpen(v *view) (finding, bool) {
	f := finding{Open, ByUnknown, Likely, nil}
	if _, ok := v.firstFIN(); ok {
		f.confidence = Possible
		f.alts = []Alternative{{OrderlyClose, WhyTooEarly}}
		if v.partial(assembler.OneWay) {
			f.alts = []Alternative{{OrderlyClose, WhyOneWay}}
		}
	}
	if v.c.NResets > 0 {
		f.confidence = Possible
	}
	return f, true
}
