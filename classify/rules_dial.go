package classify

import (
	"hangup/assembler"
)

// connectionRefused: SYN answered by RST+ACK that acknowledges it (RFC 9293
// 3.10.7.1 and 3.10.7.3; tcp_v4_send_reset, tcp_rcv_synsent_state_process).
func connectionRefused(v *view) (finding, bool) {
	r := v.rst
	if r == nil || r.Fit != assembler.FitSYN || v.sv.SYNACK.Seen() || v.c.Established.Seen() {
		return finding{}, false
	}
	return finding{Reset, BySide(r.Side), Likely, []Alternative{{InjectedReset, WhyFirewallReset}}}, true
}

// fatalOnSYN reports whether the error ends a dial: Linux gives up on any
// destination unreachable but "fragmentation needed", on time exceeded and
// on parameter problem while in SYN_SENT (tcp_v4_err, tcp_v6_err).
func fatalOnSYN(i *assembler.ICMP) bool {
	if i.Quotes != assembler.ToSYN {
		return false
	}
	if i.V6 {
		return i.Type == 1 || i.Type == 3 || i.Type == 4
	}
	return i.Type == 3 && i.Code != 4 || i.Type == 11 || i.Type == 12
}

// icmpRejected: an ICMP error that quotes the SYN, after which the client
// stopped trying (RFC 1122 4.2.3.9 calls it a hint, RFC 5461 2.1 and Linux
// let it end the dial).
func icmpRejected(v *view) (finding, bool) {
	if v.c.Established.Seen() || v.sv.SYNACK.Seen() {
		return finding{}, false
	}
	for _, i := range v.c.KeptICMP() {
		e := v.c.End(i.Side)
		if !fatalOnSYN(&i) || e.SYN.Last.Time > i.Time {
			continue
		}
		by := ByNetwork
		if i.Router == v.c.End(i.Side.Peer()).Addr {
			by = BySide(i.Side.Peer())
		}
		return finding{Reset, by, Certain, nil}, true
	}
	return finding{}, false
}

// dialCancelled: a SYN-ACK answered by the client's RST (RFC 9293 3.10.7.1):
// the socket that had asked for it was gone.
func dialCancelled(v *view) (finding, bool) {
	if v.c.Established.Seen() || !v.cl.SYN.Seen() || !v.sv.SYNACK.Seen() {
		return finding{}, false
	}
	for _, r := range v.c.KeptResets() {
		if r.Side == assembler.Client && r.From <= assembler.SynSent && r.Seq == v.cl.ISN+1 {
			return finding{Reset, ByClient, Likely, nil}, true
		}
	}
	return finding{}, false
}

// connectTimeout: SYNs, and nothing came back (RFC 9293 3.8.3; tcp_write_timeout).
func connectTimeout(v *view) (finding, bool) {
	if !v.cl.SYN.Seen() || v.sv.Packets > 0 || v.cl.Packets > v.cl.SYN.Count || v.c.NResets > 0 {
		return finding{}, false
	}
	f := finding{class: TimedOut, by: ByUnknown, confidence: Likely}
	if !v.gaveUp(&v.cl.SYN) {
		f.confidence = Possible
		f.alts = []Alternative{{StillOpen, WhyMaybeTrying}}
	}
	return f, true
}

// handshakeIncomplete: SYN-ACKs that nothing acknowledged.
func handshakeIncomplete(v *view) (finding, bool) {
	if !v.sv.SYNACK.Seen() || v.c.Established.Seen() || v.rst != nil || v.cl.Packets > v.cl.SYN.Count {
		return finding{}, false
	}
	f := finding{class: HalfOpen, by: ByUnknown, confidence: Likely}
	if v.after(v.sv.SYNACK.Last.Time) < second {
		f.confidence = Possible
		f.alts = []Alternative{{StillOpen, WhyTooEarly}}
	}
	return f, true
}

// overflowGrace is how long (ns) after the round trip a listener's RST still
// counts as the answer to the handshake's ACK.
const overflowGrace = 20 * milli

// overflowReset: a stateless RST straight after the handshake, as a listener
// sends it whose queue is full (tcp_check_req with tcp_abort_on_overflow), or
// that has forgotten the request after its SYN-ACKs ran out.
func overflowReset(v *view) (finding, bool) {
	r := v.rst
	if r == nil || r.Side != assembler.Server || !bare(r) || !v.c.Established.Seen() ||
		v.sv.FirstData.Seen() || v.sv.FIN.Seen() || v.cl.FIN.Seen() || v.sv.SndNxt != v.sv.ISN+1 || !v.sv.HasISN {
		return finding{}, false
	}
	if v.cl.AckSeen && v.cl.SndUna != v.cl.ISN+1 {
		return finding{}, false // it acknowledged data: a socket was there
	}
	f := finding{Reset, ByServer, Likely, []Alternative{{PeerLostState, WhyReboot}, {InjectedReset, WhyFirewallReset}}}
	if v.sv.SYNACK.Last.Time > v.c.Established.Time {
		return f, true
	}
	return f, r.Time-v.c.Established.Time <= 2*(v.c.RTTServer+v.c.RTTClient)+overflowGrace
}

// overflowSilent: the server repeats its SYN-ACK although the client
// acknowledged it, and never acknowledges data: the ACK found the accept
// queue full and was dropped (tcp_v4_syn_recv_sock, tcp_check_req).
func overflowSilent(v *view) (finding, bool) {
	if !v.c.Established.Seen() || v.rst != nil || v.sv.FirstData.Seen() || !v.sv.HasISN || v.sv.FIN.Seen() ||
		v.sv.SYNACK.Last.Time <= v.c.Established.Time || v.sv.Packets > v.sv.SYNACK.Count ||
		v.cl.AckSeen && v.cl.SndUna != v.cl.ISN+1 {
		return finding{}, false
	}
	f := finding{HalfOpen, ByServer, Likely, []Alternative{{HandshakeIncomplete, WhyAckLost}}}
	if v.sv.SYNACK.Count < 3 {
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
			return finding{Reset, BySide(r.Side), Certain, nil}, true
		}
	}
	return finding{}, false
}
