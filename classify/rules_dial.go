package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

// connectionRefused: SYN answered by RST+ACK that acknowledges it (RFC 9293
// 3.10.7.1 and 3.10.7.3; tcp_v4_send_reset, tcp_rcv_synsent_state_process).
func connectionRefused(v *view) (finding, bool) {
	r := v.rst
	if r == nil || v.sv.SYNACK.Seen() || v.c.Established.Seen() {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Likely, doubts{{InjectedReset, WhyFirewallReset}}}
	// Where only the answer was captured: nobody else sends sequence number 0.
	lone := v.partial(assembler.NoStart) && v.partial(assembler.OneWay) && r.Flags.Has(capture.ACK) &&
		r.Seq == 0 && r.Stateless && v.c.NResets == v.sender().Packets
	return f, r.Fit == assembler.FitSYN || lone
}

// fatalOnSYN reports whether the error ends a dial: Linux gives up on every
// error that it turns into an errno while in SYN_SENT (tcp_v4_err,
// tcp_v6_err).
func fatalOnSYN(i *assembler.ICMP) bool {
	return i.Quotes == assembler.ToSYN && icmpErrno(i) != noError
}

// rejection is the ICMP error behind which the client sent no SYN any more.
// A SYN that was answered while its connect was still busy sending is sent
// again, and only the next error counts (sock_owned_by_user in tcp_v4_err).
func (v *view) rejection() *assembler.ICMP {
	if v.c.Established.Seen() || v.sv.SYNACK.Seen() || v.c.NResets > 0 {
		return nil
	}
	for i := range v.c.KeptICMP() {
		m := &v.c.ICMP[i]
		dialler := v.c.End(m.Side)
		if v.c.End(m.Side.Peer()).Packets > 0 || dialler.Packets > dialler.SYN.Count {
			continue // the handshake was not captured, and yet the connection lived
		}
		if fatalOnSYN(m) && metSocket(&dialler.SYN, m) {
			return m
		}
	}
	return nil
}

// metSocket reports whether the dial can have heard of the error: no SYN
// followed, and none was due before it. A router that waits for ARP reports
// after seconds, when a program with a short deadline has closed long ago.
func metSocket(syn *assembler.Tries, m *assembler.ICMP) bool {
	due := max(2*syn.Interval(), synRetry)
	due += due/8 + 100*milli
	switch {
	case m.Last.Time < syn.Last.Time:
		return false
	case m.Time >= syn.Last.Time: // of several the first counts: the router answers each SYN that it had kept
		return m.Time-syn.Last.Time <= due
	}
	return m.Count > 2 || m.Last.Time-syn.Last.Time <= due // those between were not kept
}

// ofOthers reports whether the error says what no host says of itself, unless
// it is told to: that it cannot be reached. A translator (DNAT) puts its own
// address into the errors of those behind it (nf_nat_icmp_reply_translation).
func ofOthers(m *assembler.ICMP) bool {
	if m.V6 {
		return m.Type == timeExceeded6 || m.Type == unreachable6 && (m.Code == 0 || m.Code == 3)
	}
	return m.Type == timeExceeded4 || m.Type == unreachable4 && (m.Code <= 1 || m.Code >= 6 && m.Code <= 8 || m.Code == 11 || m.Code == 12)
}

// icmpRejected: an ICMP error that quotes the SYN, after which the client
// stopped trying (RFC 1122 4.2.3.9 calls it a hint, RFC 5461 2.1 and Linux
// let it end the dial; Windows and BSD go on trying).
func icmpRejected(v *view) (finding, bool) {
	m := v.rejection()
	if m == nil {
		return finding{}, false
	}
	f := finding{Reset, ByNetwork, Certain, doubts{}}
	if m.Router == v.c.End(m.Side.Peer()).Addr {
		f.by = BySide(m.Side.Peer())
		if ofOthers(m) {
			f.by, f.confidence = ByUnknown, Likely
		}
	}
	if os := systemOf(v.c.End(m.Side), v.env.OS); os == Windows || os == Darwin {
		f.confidence = Likely
		f.alts = doubts{{ConnectTimeout, WhyTriesOn}}
	}
	if !v.gaveUp(&v.c.End(m.Side).SYN) {
		f.confidence = Likely
		f.alts = doubts{{ConnectTimeout, WhyMaybeTrying}}
	}
	return f, true
}

// dialCancelled: a SYN-ACK answered by the client's RST (RFC 9293 3.10.7.1):
// the socket that had asked for it was gone.
func dialCancelled(v *view) (finding, bool) {
	if v.c.Established.Seen() || !v.sv.SYNACK.Seen() || v.sv.FirstData.Seen() {
		return finding{}, false
	}
	for _, r := range v.c.KeptResets() {
		if r.Side != assembler.Client || r.From > assembler.SynSent {
			continue
		}
		if !v.cl.SYN.Seen() {
			// A SYN-ACK that nobody seems to have asked for: its SYN was not
			// captured, or bore a forged address.
			return finding{Reset, ByClient, Possible, doubts{{PeerLostState, WhyCaptureGap}}}, r.Trigger == assembler.ToSYNACK
		}
		if r.Seq == v.cl.ISN+1 {
			return finding{Reset, ByClient, Likely, doubts{}}, true
		}
	}
	return finding{}, false
}

// synRetry is when (ns) a SYN is repeated for the first time (RFC 6298 2.1):
// until then, silence is an answer on its way.
const synRetry = second

// connectTimeout: SYNs, and nothing came back (RFC 9293 3.8.3; tcp_write_timeout).
func connectTimeout(v *view) (finding, bool) {
	if !v.cl.SYN.Seen() || v.sv.Packets > 0 || v.cl.Packets > v.cl.SYN.Count || v.c.NResets > 0 {
		return finding{}, false
	}
	f := finding{class: TimedOut, by: ByUnknown, confidence: Likely}
	switch {
	case !v.gaveUp(&v.cl.SYN) && v.cl.SYN.Count == 1 && !v.lasts(v.cl.SYN.Last.Time, synRetry):
		return finding{}, false // no repeat is due yet
	case !v.gaveUp(&v.cl.SYN):
		f.confidence = Possible
		f.alts = doubts{{StillOpen, WhyMaybeTrying}}
	case v.cl.SYN.Count == 1:
		// Every kernel repeats a SYN: this one's owner gave up first, or
		// only what it sent was captured.
		f.confidence = Possible
		f.alts = doubts{{DialCancelled, WhyProgramGaveUp}, {StillOpen, WhyOneWay}}
	}
	for i := range v.c.KeptICMP() {
		if m := &v.c.ICMP[i]; fatalOnSYN(m) && m.Last.Time >= v.cl.SYN.Last.Time {
			f.alts.add(Alternative{ICMPRejected, WhyErrorLate})
			break
		}
	}
	return f, true
}

// handshakeIncomplete: SYN-ACKs that nothing acknowledged.
func handshakeIncomplete(v *view) (finding, bool) {
	if !v.sv.SYNACK.Seen() || v.c.Established.Seen() || v.rst != nil || v.cl.Packets > v.cl.SYN.Count || v.sv.Packets > v.sv.SYNACK.Count {
		return finding{}, false
	}
	f := finding{class: HalfOpen, by: ByUnknown, confidence: Likely}
	if !v.lasts(v.sv.SYNACK.Last.Time, second) {
		f.confidence = Possible
		f.alts = doubts{{StillOpen, WhyTooEarly}}
	}
	return f, true
}

// overflowGrace is how long (ns) after the round trip a listener's RST still
// counts as the answer to the handshake's ACK.
const overflowGrace = 20 * milli

// neverServed reports whether nothing shows that the server ever had more
// than a half-open request: it sent SYN-ACKs and acknowledged no payload.
func (v *view) neverServed() bool {
	return v.c.Established.Seen() && v.sv.HasISN && !v.sv.FirstData.Seen() && !v.sv.FIN.Seen() &&
		v.sv.SndNxt == v.sv.ISN+1 && !(v.cl.AckSeen && v.cl.SndUna != v.cl.ISN+1)
}

// overflowReset: a stateless RST straight after the handshake, as a listener
// sends it whose queue is full (tcp_check_req with tcp_abort_on_overflow), or
// that has forgotten the request after its SYN-ACKs ran out.
func overflowReset(v *view) (finding, bool) {
	r := v.rst
	if r == nil || r.Side != assembler.Server || !bare(r) || !v.neverServed() || v.cl.FIN.Seen() {
		return finding{}, false
	}
	f := finding{Reset, ByServer, Likely, doubts{
		{PeerLostState, WhyReboot}, {ListenerClosed, WhyListenerUnknown}, {InjectedReset, WhyFirewallReset},
	}}
	if v.sv.SYNACK.Last.Time > v.c.Established.Time {
		return f, true
	}
	return f, r.Time-v.c.Established.Time <= 2*(v.c.RTTServer+v.c.RTTClient)+overflowGrace
}

// overflowSilent: the server repeats its SYN-ACK although the client
// acknowledged it, and never acknowledges data: the ACK found the accept
// queue full and was dropped (tcp_v4_syn_recv_sock, tcp_check_req).
func overflowSilent(v *view) (finding, bool) {
	if v.rst != nil || !v.neverServed() || v.sv.SYNACK.Last.Time <= v.c.Established.Time || v.sv.Packets > v.sv.SYNACK.Count {
		return finding{}, false
	}
	f := finding{HalfOpen, ByServer, Likely, doubts{{HandshakeIncomplete, WhyAckLost}}}
	if v.sv.SYNACK.Count < 3 || !v.cl.FirstData.Seen() {
		// With TCP_DEFER_ACCEPT a listener repeats its SYN-ACK until data comes.
		f.confidence = Possible
	}
	return f, true
}

// staleTuple: a SYN from a new socket met the old connection of the same
// tuple, which challenged it (RFC 5961 4.2) and was reset for that.
func staleTuple(v *view) (finding, bool) {
	if !v.c.Successor.Seen() {
		return finding{}, false
	}
	for _, r := range v.c.KeptResets() {
		old := v.c.End(r.Side.Peer())
		if r.Time < v.c.Successor.Time || !bare(&r) || !r.Fit.TakesEffect() {
			continue
		}
		if old.Challenges > 0 && old.LastChallenge.Time >= v.c.Successor.Time {
			return finding{Reset, BySide(r.Side), Certain, doubts{}}, true
		}
	}
	return finding{}, false
}
