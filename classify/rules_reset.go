package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

// injectedReset: a RST whose header is out of step with everything else its
// alleged sender sent (Weaver, Sommer, Paxson, NDSS 2009). False negatives
// are preferred: one odd field of a weak kind proves nothing.
func injectedReset(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !v.established() {
		return finding{}, false
	}
	cues := forgedCues(v, r)
	if cues == 0 {
		return finding{}, false
	}
	f := finding{Reset, ByMiddlebox, Likely, nil}
	if cues > 1 {
		f.confidence = Certain
	} else if bare(r) {
		f.alts = []Alternative{{PeerLostState, WhyReboot}}
	} else {
		f.alts = []Alternative{{AbortiveClose, WhyOwnHostFirewall}}
	}
	return f, true
}

// forgedCues counts the independent signs that r's alleged sender did not send it.
func forgedCues(v *view, r *assembler.Reset) int {
	e := v.c.End(r.Side)
	n := 0
	for _, cue := range []bool{oddTTL(e, r), oddIPID(e, r), oddTimestamp(r), climbing(v.c, r)} {
		if cue {
			n++
		}
	}
	// A socket that talks on did not send the RST; where the packet does not
	// look like its own kernel's stateless answer either, somebody else did.
	if talksOn(e, r) && !genuineStateless(v.c, e, r) {
		n++
	}
	return n
}

// oddTTL: the sender's hop count never varied, and the RST's differs.
func oddTTL(e *assembler.End, r *assembler.Reset) bool {
	ordinary := e.Packets - e.Resets
	return r.TTL != 0 && ordinary >= 2 && e.TTLMin == e.TTLMax && e.TTLMin != 0 && r.TTL != e.TTLMin
}

// oddIPID: the sender counts its IP IDs up, and the RST's is neither 0 (a
// stateless answer) nor near, although it came at once.
func oddIPID(e *assembler.End, r *assembler.Reset) bool {
	const far = 4096
	if e.IPIDKind != assembler.IPIDRising || r.Traits&capture.HasIPID == 0 || r.IPID == 0 || e.Packets < 4 || r.Idle > second {
		return false
	}
	return r.IPIDDelta > far || r.IPIDDelta < -far
}

// oddTimestamp: the RST's TSval lies before one already sent, or further
// ahead than any clock of RFC 7323 5.4 (1 us to 1 s a tick) runs.
func oddTimestamp(r *assembler.Reset) bool {
	if !r.HasTS || r.TSElapsed == 0 && r.TSDelta == 0 {
		return false
	}
	return r.TSDelta < -1 || int64(r.TSDelta) > r.TSElapsed/1000+10_000
}

// climbing: several RSTs at once whose sequence numbers climb past what the
// sender had sent, as injectors fire them to hit a moving window.
func climbing(c *assembler.Conn, r *assembler.Reset) bool {
	e := c.End(r.Side)
	for _, o := range c.KeptResets() {
		d := o.Time - r.Time
		if o.Ref != r.Ref && o.Side == r.Side && d >= 0 && d < 10*milli && o.Fit == assembler.FitLate &&
			int32(o.Seq-r.Seq) > 1 && int32(o.Seq-e.SndNxt) > 0 {
			return true
		}
	}
	return false
}

// talksOn reports whether the RST's sender sent ordinary packets of the same
// connection afterwards, which only a living socket does.
func talksOn(e *assembler.End, r *assembler.Reset) bool {
	return r.SenderAfter.Seen() && e.AfterReset > 0
}

// genuineStateless reports whether r is what the sender's own kernel sends
// where it finds no socket: bare, window 0, no timestamps, IP ID 0, and the
// hop count of its other packets.
func genuineStateless(c *assembler.Conn, e *assembler.End, r *assembler.Reset) bool {
	return r.Stateless && (r.Traits&capture.HasIPID == 0 || r.IPID == 0) && (e.TTLMin == 0 || r.TTL >= e.TTLMin && r.TTL <= e.TTLMax)
}

// resetByOwnHost: the host's kernel answered in the socket's name, the
// socket lives on (conntrack INVALID without drop, kubernetes#74839).
func resetByOwnHost(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !v.established() || !talksOn(v.sender(), r) || !genuineStateless(v.c, v.sender(), r) {
		return finding{}, false
	}
	return finding{Reset, BySide(r.Side), Likely, []Alternative{{InjectedReset, WhyFirewallReset}}}, true
}

// lateAlert: what drew the RST was the last alert of a TLS session whose two
// programs had both closed: nobody was told.
func lateAlert(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !v.cl.FIN.Seen() || !v.sv.FIN.Seen() {
		return finding{}, false
	}
	s, ok := v.firstFIN()
	if !ok || !tlsLateAlert(v.c) || r.Side != s {
		return finding{}, false
	}
	return finding{Graceful, BySide(s), Likely, nil}, true
}

// writeAfterClose: payload behind the peer's FIN, answered by a stateless
// RST: a socket that was closed, not half-closed, takes no more data (RFC
// 9293 3.10.7.4; tcp_rcv_state_process in FIN_WAIT, tcp_v4_send_reset).
func writeAfterClose(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !bare(r) || !v.sender().FIN.Seen() {
		return finding{}, false
	}
	w := v.receiver()
	if !w.LateData.Seen() || w.LateData.First.Time > r.Time {
		return finding{}, false
	}
	return finding{Reset, BySide(r.Side.Peer()), Certain, nil}, true
}

// finWait is the least silence (ns) after which a socket in FIN_WAIT2 is
// likely to have expired: Linux's tcp_fin_timeout is 60 s by default.
const finWait = 50 * second

// finWait2Expired: a closed socket waited for the peer's FIN until its kernel
// dropped it; the FIN that came at last found nothing (tcp_time_wait with
// TCP_FIN_WAIT2, net.ipv4.tcp_fin_timeout).
func finWait2Expired(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !bare(r) {
		return finding{}, false
	}
	a, b := v.sender(), v.receiver()
	if !a.FIN.Answered.Seen() || !b.FIN.Seen() || b.FIN.First.Time > r.Time || b.LateData.Seen() ||
		b.FIN.First.Time < a.FIN.Answered.Time {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side.Peer()), Likely, nil}
	if b.FIN.First.Time-a.FIN.Answered.Time < finWait {
		f.confidence = Possible
		f.alts = []Alternative{{PeerLostState, WhyShortFinWait}}
	}
	return f, true
}

// peerLostState: a stateless RST in answer to a segment of an established
// connection: the host had no such socket any more (RFC 9293 3.5.1, half-open
// connections; tcp_v4_send_reset).
func peerLostState(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !bare(r) || !v.established() || unsolicited(v, r) {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Likely, []Alternative{{InjectedReset, WhyMiddleboxExpired}}}
	if r.Trigger == assembler.NoTrigger {
		f.confidence = Possible
	}
	return f, true
}

// unsolicited reports whether no segment of the peer can have drawn the RST:
// its sender had spoken since, or its sequence number is not the one that
// the peer's last segment acknowledged.
func unsolicited(v *view, r *assembler.Reset) bool {
	if !r.Answers.Seen() {
		return true
	}
	if r.Before.Seen() && r.Before.Time > r.Answers.Time && r.Unacked == 0 && r.Idle > milli {
		return true
	}
	return r.Unacked > 0 && r.Fit == assembler.FitExact && r.Seq == v.c.End(r.Side).SndNxt
}

// unanswered is how many payload bytes r's sender had acknowledged, by the
// RST at the latest, since it last sent any of its own.
func unanswered(r *assembler.Reset) uint64 {
	return r.SinceData - min(r.SinceData, uint64(r.AckBehind))
}

// closeWithUnreadData: RST+ACK from a live socket that had acknowledged bytes
// and not answered them (RFC 2525 2.17, RFC 1122 4.2.2.13; tcp_close with
// data_was_unread).
func closeWithUnreadData(v *view) (finding, bool) {
	r := v.rst
	if r == nil || bare(r) || !v.established() || unanswered(r) == 0 {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Possible, []Alternative{{AbortiveClose, WhyReadUnknown}}}
	if uint64(r.Unread) >= unanswered(r) && r.Unread > 0 && r.Idle > 5*milli {
		f.confidence = Likely
	}
	if r.Side == assembler.Server && !v.sv.FirstData.Seen() {
		f.alts = append(f.alts, Alternative{ListenerClosed, WhyListenerUnknown})
	}
	return f, true
}

// fastClose: MPTCP's abortive close is an option (RFC 8684 3.5;
// mptcp_do_fastclose); the RSTs of the subflows only follow it.
func fastClose(v *view) (finding, bool) {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		if v.c.MPTCP && v.c.End(s).FastClose.Seen() {
			return finding{Reset, BySide(s), Certain, nil}, true
		}
	}
	return finding{}, false
}

// abortiveClose: any other RST that took effect; of a live socket's form it
// is SetLinger(0), a killed process or a proxy (RFC 9293 3.10.5 ABORT;
// tcp_disconnect, tcp_close with zero linger).
func abortiveClose(v *view) (finding, bool) {
	r := v.rst
	if r == nil {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Likely, nil}
	inStep := r.HasTS && r.TTLDelta == 0 && !oddTimestamp(r)
	switch {
	case r.Side == assembler.Server && !v.sv.FirstData.Seen() && v.established():
		f.alts = []Alternative{{ListenerClosed, WhyListenerUnknown}}
	case live(v.c, r) && inStep && unanswered(r) == 0 && r.Fit.TakesEffect() && v.c.Established.Seen():
		f.confidence = Certain
	}
	if bare(r) {
		f.confidence = Possible
		f.alts = append(f.alts, Alternative{PeerLostState, WhyLateAbort}, Alternative{InjectedReset, WhyMiddleboxExpired})
	}
	return f, true
}
