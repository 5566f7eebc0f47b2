package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

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
		b.FIN.First.Time < a.FIN.Answered.Time || stillHeld(a) {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side.Peer()), Likely, doubts{{PeerLostState, WhyMiddleboxExpired}}}
	if b.FIN.First.Time-a.FIN.Answered.Time < finWait {
		f.confidence = Possible
		f.alts = doubts{{PeerLostState, WhyShortFinWait}}
	}
	return f, true
}

// stillHeld reports whether e's program still held its socket when the peer had
// acknowledged its FIN: a closed one takes no data (tcp_rcv_state_process) and
// sends no keep-alive (tcp_keepalive_timer: SOCK_DEAD in FIN_WAIT2).
func stillHeld(e *assembler.End) bool {
	return e.AckedPastFIN > 0 || e.FIN.Answered.Seen() && e.Probe.Seen() && e.Probe.Last.Time > e.FIN.Answered.Time
}

// peerLostState: a stateless RST in answer to a segment of an established
// connection: the host had no such socket any more (RFC 9293 3.5.1, half-open
// connections; tcp_v4_send_reset).
func peerLostState(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !bare(r) || !v.established() || unsolicited(v, r) {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Likely, doubts{{InjectedReset, WhyMiddleboxExpired}}}
	if r.Trigger == assembler.NoTrigger || !r.Stateless {
		f.confidence = Possible
		f.alts.add(Alternative{AbortiveClose, WhyLateAbort})
	}
	return f, true
}

// unsolicited reports whether no segment of the peer can have drawn the RST:
// its sender had spoken since, or its sequence number is not the one that
// the peer's last segment acknowledged.
func unsolicited(v *view, r *assembler.Reset) bool {
	if !r.Answers.Seen() || r.Time-r.Answers.Time > 2*(v.c.RTTServer+v.c.RTTClient)+second {
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

// queueSize is how many bytes (two full segments) the window must show as
// unread before they count: many stacks move the window's edge only then.
const queueSize = 2 * 1000

// unreadShown reports whether the aborter's own window showed bytes that its
// program had not taken.
func unreadShown(v *view, r *assembler.Reset) bool { return windowHeld(v, r) || windowFell(v, r) }

// windowHeld reports whether its right edge stood still over so much.
func windowHeld(v *view, r *assembler.Reset) bool {
	z := &v.c.End(r.Side).ZeroWindow
	return r.Unread >= queueSize || r.Unread > 0 && z.Pending() && z.Last.Time <= r.Time
}

// windowFell reports whether the aborter's window had fallen to less than
// half of what it once was, while payload came that it never answered. The
// right edge may have crept on meanwhile, since Linux lets the window grow
// with what comes (tcp_grow_window); but a program that reads so much has its
// kernel say so at once (tcp_cleanup_rbuf: a window that doubles is announced).
func windowFell(v *view, r *assembler.Reset) bool {
	e := v.c.End(r.Side)
	return e.Window <= e.MaxWindow/2 && e.MaxWindow-e.Window >= queueSize && unanswered(r) >= uint64(e.MaxWindow-e.Window)
}

// closeWithUnreadData: RST+ACK from a live socket that had acknowledged bytes
// which its program most likely had not read (RFC 2525 2.17, RFC 1122
// 4.2.2.13; tcp_close with data_was_unread). What answers the aborter's own
// request has most likely been read, unless more of it was on its way.
func closeWithUnreadData(v *view) (finding, bool) {
	r := v.rst
	if r == nil || bare(r) || !v.established() {
		return finding{}, false
	}
	// Who takes leave in TLS and then resets has called Close, not SetLinger.
	polite := endsWithAlert(v.c, v.sender()) && v.receiver().FirstData.Seen()
	shown := unreadShown(v, r) || polite || ignored(v, r)
	if !shown && (unanswered(r) == 0 || v.asked() == r.Side && r.AckBehind == 0) {
		// abortive-close names it, and as no more than possible where nothing
		// shows that the answer was read.
		return finding{}, false
	}
	f := finding{Reset, v.aborter(), Possible, doubts{{AbortiveClose, WhyReadUnknown}}}
	if shown {
		f.confidence = Likely
	}
	v.mayBeListener(&f)
	v.mayBeForged(&f)
	return f, true
}

// ignoredFor is how long (ns) a program that reads would hardly have let an EOF
// lie before it acted.
const ignoredFor = second

// ignored reports whether the peer's last words came with its FIN, and the
// aborter did nothing about either until long after: a pooled connection, on
// which a server says why it closes, and nobody reads it.
func ignored(v *view, r *assembler.Reset) bool {
	fin, last := &v.receiver().FIN, v.receiver().LastData
	return fin.Seen() && r.Ack == fin.Seq+1 && unanswered(r) > 0 && r.AckBehind == 0 &&
		fin.First.Time-last.Time < alertBefore && r.Time-fin.First.Time >= ignoredFor
}

// toldNobody reports whether no program was told of the RST: its receiver had
// sent FIN, and nothing shows that this was CloseWrite.
func toldNobody(v *view) bool {
	if v.rst == nil {
		return false
	}
	e := v.receiver()
	return e.FIN.Seen() && e.FIN.First.Time <= v.rst.Time && e.AckedPastFIN == 0
}

// aborter is whoever sent the RST; both, if RSTs of two live sockets crossed:
// a socket that has taken one sends none.
func (v *view) aborter() Party {
	for _, r := range v.c.KeptResets() {
		if r.Side != v.rst.Side && r.Time >= v.rst.Time && r.Time-v.rst.Time < grace(v.c) && live(v.c, &r) && live(v.c, v.rst) {
			return ByBoth
		}
	}
	return BySide(v.rst.Side)
}

// mayBeListener adds that a server which had not spoken yet may have died in
// its listener's queue.
func (v *view) mayBeListener(f *finding) {
	if v.rst.Side == assembler.Server && !v.sv.FirstData.Seen() && !v.sv.FIN.Seen() && v.established() {
		f.alts.add(Alternative{ListenerClosed, WhyListenerUnknown})
	}
}

// mayBeForged adds that a RST+ACK without the timestamps agreed on may be a
// firewall's. The live sockets of BSD, macOS and Windows leave them out too.
func (v *view) mayBeForged(f *finding) {
	if !live(v.c, v.rst) {
		f.confidence = Possible
		f.alts.add(Alternative{InjectedReset, WhyFirewallReset})
	}
}

// fastClose: MPTCP's abortive close is an option (RFC 8684 3.5;
// mptcp_do_fastclose); the RSTs of the subflows only follow it.
func fastClose(v *view) (finding, bool) {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		if v.c.MPTCP && v.c.End(s).FastClose.Seen() {
			f := finding{Reset, BySide(s), Certain, doubts{}}
			if v.c.End(s.Peer()).FirstData.Seen() {
				f.confidence, f.alts = Likely, doubts{{CloseWithUnreadData, WhyUnreadUnknown}}
			}
			return f, true
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
	f := finding{Reset, v.aborter(), Likely, doubts{}}
	if r.Side == assembler.Server && synProxy(v) && !v.sv.FirstData.Seen() {
		f.confidence = Possible
		f.alts = doubts{{ConnectionRefused, WhySYNProxy}, {InjectedReset, WhyFirewallReset}}
		return f, true
	}
	if bare(r) {
		f.confidence = Possible
		f.alts = doubts{{PeerLostState, WhyLateAbort}, {InjectedReset, WhyMiddleboxExpired}}
		return f, true
	}
	if v.receiver().FirstData.Seen() || v.receiver().Lost > 0 {
		f.alts.add(Alternative{CloseWithUnreadData, WhyUnreadUnknown})
		if refuses(v, r) || unanswered(r) > 0 {
			// Nothing shows that what came last was read: neither the RST
			// nor the window is another if one byte is left or none
			// (tcp_close empties the queue before tcp_send_active_reset;
			// tcp_select_window rounds so little away), and a program that
			// read all before may be stopped before it reads this.
			f.confidence = Possible
		}
	}
	v.mayBeListener(&f)
	if f.alts[0].Why == 0 && inStep(v, r) {
		f.confidence = Certain
	}
	v.mayBeForged(&f)
	return f, true
}

// refuses reports whether the aborter answered what lay before it with one
// short message and reset at once: as often as not it read enough to say no
// (too many connections, another protocol, too long), closed properly and left
// the rest unread. An abort by choice would have endangered its own answer.
// Of a whole HTTP request that got its response nothing is left.
func refuses(v *view, r *assembler.Reset) bool {
	e, o := v.c.End(r.Side), v.c.End(r.Side.Peer())
	at := e.LastData
	return at.Seen() && r.Time-at.Time < atOnce && e.Bytes < queueSize && o.LastData.Seen() && o.LastData.Time <= at.Time &&
		(o.Bytes >= queueSize || !answeredHTTP(e, o))
}

// answeredHTTP reports whether all that e was sent is whole HTTP/1 requests,
// and e answered in kind.
func answeredHTTP(e, o *assembler.End) bool {
	if e.App.Protocol() != assembler.AppHTTP1 || o.App.Protocol() != assembler.AppHTTP1 || e.App.Lost() || o.App.Lost() {
		return false
	}
	asked := o.App.HTTP()
	return asked.Complete == asked.Messages
}

// inStep reports whether everything about r fits the live socket it claims
// to come from, so that nobody else can have sent it without seeing and
// imitating the connection.
func inStep(v *view, r *assembler.Reset) bool {
	return r.HasTS && !v.c.MPTCP && r.TTLDelta == 0 && !oddTimestamp(r) && r.Fit.TakesEffect() && v.c.Established.Seen() && follows(v, r)
}

// follows reports whether r comes right behind the last packet that was
// captured of its sender, as far as IP IDs tell. Where some are missing, they
// may have been probes that nobody answered. Of a segment that the network
// card was to split, each part has an ID.
func follows(v *view, r *assembler.Reset) bool {
	e, o := v.sender(), v.receiver()
	if e.IPIDKind != assembler.IPIDRising || r.Traits&capture.HasIPID == 0 {
		return true
	}
	parts := uint32(1)
	if o.MSS > 0 {
		parts = max(parts, (e.Highest+uint32(o.MSS)-1)/uint32(o.MSS))
	}
	return r.IPIDDelta >= 1 && uint32(r.IPIDDelta) <= parts
}
