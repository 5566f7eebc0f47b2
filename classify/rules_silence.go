package classify

import (
	"math"

	"hangup/assembler"
)

// Silence has no packet of its own. These rules look at what was sent and
// never answered, and at how long the capture goes on after the last try:
// only then can "gave up" and "still trying" be told apart. Whether the far
// host or the path in between fell silent is not in one connection's packets,
// so the actor stays unknown here; the second pass may know more.

// silent calls f for both sides whose thing was tried at least min times and
// not answered, the one that tried last first.
func (v *view) silent(what func(*assembler.End) *assembler.Tries, min uint32) (*assembler.End, *assembler.Tries) {
	var who *assembler.End
	var best *assembler.Tries
	if finished(v.c) {
		return nil, nil // whatever comes now is an echo
	}
	for i := range v.c.Ends {
		e := &v.c.Ends[i]
		if t := what(e); t.Pending() && t.Count >= min && (best == nil || t.Last.Time > best.Last.Time) {
			who, best = e, t
		}
	}
	return who, best
}

func dataOf(e *assembler.End) *assembler.Tries  { return &e.Data }
func finOf(e *assembler.End) *assembler.Tries   { return &e.FIN }
func probeOf(e *assembler.End) *assembler.Tries { return &e.Probe }

// endedBy reports whether e gave t up: nothing follows for long enough, or a
// RST of its own does. Linux sends none until another packet reaches it; BSD
// sends RST+ACK at once, when the next try would have been due (tcp_drop).
func (v *view) endedBy(e *assembler.End, t *assembler.Tries) bool {
	if v.rst == nil {
		return v.gaveUp(t)
	}
	if v.sender() != e || v.rst.Time <= t.Last.Time {
		return false
	}
	wait := v.rst.Time - t.Last.Time
	if bare(v.rst) {
		return wait > settle(t)
	}
	return t.Count >= 5 && wait >= t.Interval() && v.receiver().Last.Time < t.First.Time
}

// stalled reports whether the data waits because the reader's window is shut.
func (v *view) stalled(writer *assembler.End) bool {
	reader := &v.c.Ends[0]
	if reader == writer {
		reader = &v.c.Ends[1]
	}
	return reader.ZeroWindow.Pending()
}

// fullProbes are the fewest probes after which a system gives up by default:
// 8 on BSD and macOS, 9 on Linux and in Go, 10 on Windows.
const fullProbes = 8

// keepaliveTimeout: probes unanswered until the prober gave up, as a rule
// with a RST+ACK of its own (RFC 9293 3.8.4; tcp_keepalive_timer).
func keepaliveTimeout(v *view) (finding, bool) {
	e, t := v.silent(probeOf, 1)
	if e == nil || v.stalled(e) {
		return finding{}, false
	}
	f := finding{TimedOut, ByUnknown, Likely, doubts{}}
	if v.rst == nil {
		// Who gives up on probes says so with a RST, which is missing as well.
		v.mayBeHidden(&f, t, math.MaxUint32)
		return f, t.Count >= 2 && v.gaveUp(t)
	}
	if v.sender() != e || bare(v.rst) || v.rst.Time <= t.Last.Time {
		return finding{}, false
	}
	wait := v.rst.Time - t.Last.Time
	onTime := wait > t.Interval()-t.Interval()/32 && wait < t.Interval()+t.Interval()/32
	switch {
	case t.Count >= fullProbes && onTime:
		f.confidence = Certain
	case t.Count >= 3 && onTime:
		f.alts = doubts{{AbortiveClose, WhyOtherDeadline}}
	case t.Count < 2 && wait < second/2:
		return finding{}, false
	case !onTime:
		f.confidence = Possible
		f.alts = doubts{{AbortiveClose, WhyProgramGaveUp}}
	}
	return f, true
}

// fullSize is the least payload (bytes) of a segment that a path's MTU may
// stop while smaller ones pass: below the 1220 of IPv6's minimum MTU nothing
// is ever too big (RFC 8200 5), 536 is IPv4's (RFC 9293 3.7.1).
const fullSize = 536

// pmtuBlackhole: only full-size segments stay unacknowledged while smaller
// ones get through and the peer is heard (RFC 2923 2.1, RFC 4821).
func pmtuBlackhole(v *view) (finding, bool) {
	e, t := v.silent(dataOf, 3)
	if e == nil || v.stalled(e) || v.rst != nil {
		return finding{}, false
	}
	o := &v.c.Ends[0]
	if o == e {
		o = &v.c.Ends[1]
	}
	if e.Highest < fullSize || e.HighestAcked >= e.Highest || t.Len <= e.HighestAcked || !e.AckSeen {
		return finding{}, false
	}
	heard := o.Last.Time > t.First.Time && o.Last.Time > t.First.Time+v.c.RTTServer+v.c.RTTClient
	if !heard && !smallerAsked(v.c) {
		return finding{}, false
	}
	if smallLost(o, t) {
		return finding{}, false
	}
	f := finding{HalfOpen, ByNetwork, Likely, doubts{{PeerVanished, WhyMaybeTrying}}}
	if v.gaveUp(t) {
		f.class = TimedOut
		f.alts = doubts{{RetransmissionTimeout, WhySizeOnly}}
	}
	return f, true
}

// smallLost reports whether acknowledgments, small as they are, do not get
// through to o either: it repeats what was acknowledged since t began.
func smallLost(o *assembler.End, t *assembler.Tries) bool {
	return o.Deaf.Count > 1 && o.Deaf.Last.Time > t.First.Time
}

// smallerAsked reports whether a router asked for smaller packets.
func smallerAsked(c *assembler.Conn) bool {
	for _, i := range c.KeptICMP() {
		if i.V6 && i.Type == 2 || !i.V6 && i.Type == 3 && i.Code == 4 {
			return true
		}
	}
	return false
}

// retransmissionTimeout: data sent again and again, never acknowledged, until
// the sender stopped (RFC 9293 3.8.3; tcp_write_timeout, tcp_retries2 or
// TCP_USER_TIMEOUT).
func retransmissionTimeout(v *view) (finding, bool) {
	e, t := v.silent(dataOf, 2)
	if e == nil || v.stalled(e) || !v.endedBy(e, t) {
		return finding{}, false
	}
	f := finding{TimedOut, ByUnknown, Likely, doubts{}}
	if v.rst != nil && !bare(v.rst) {
		f.alts = doubts{{AbortiveClose, WhyProgramGaveUp}}
	}
	v.mayBeHidden(&f, t, allRetries)
	if v.larger(e, t) {
		f.alts.add(Alternative{PMTUBlackhole, WhyLarger})
	}
	return f, true
}

// allRetries and orphanRetries are how often a Linux kernel left to itself
// sends data (tcp_retries2), and what a closed socket leaves (tcp_orphan_retries).
const (
	allRetries    = 16
	orphanRetries = 9
)

// longestTry is how long (ns) Linux goes on trying at the most, by default:
// tcp_retries2 doublings, the last of them of 120 s each.
const longestTry = 1100 * second

// mayBeHidden adds that who seems to have given up may only have lost its next
// hop: what waits for ARP and gets no answer is dropped before any capture on
// that host (neigh_resolve_output), while TCP counts on. The more tries were
// seen, up to all that a system makes, the less.
func (v *view) mayBeHidden(f *finding, t *assembler.Tries, all uint32) {
	if v.rst == nil && t.Count < all && v.after(t.First.Time) < longestTry {
		f.alts.add(Alternative{PeerVanished, WhyNextHop})
	}
}

// larger reports whether what is not acknowledged is larger than all that
// was: then nothing tells a path that passes small packets only from one
// that passes none (RFC 2923 2.1).
func (v *view) larger(e *assembler.End, t *assembler.Tries) bool {
	o := v.cl
	if e == v.cl {
		o = v.sv
	}
	return !smallLost(o, t) && t.Len >= fullSize && e.AckSeen && e.HighestAcked < t.Len
}

// deafSender: data repeated with back-off although the capture shows it
// acknowledged every time: the way back to the sender is cut, and it gives up
// like one that is never answered.
func deafSender(v *view) (finding, bool) {
	deaf := func(e *assembler.End) bool { return e.Deaf.Count >= 3 && e.Deaf.Last == e.Last }
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		e := v.c.End(s)
		if !deaf(e) || v.rst != nil || e.FIN.Answered.Seen() {
			continue
		}
		if v.gaveUp(&e.Deaf) {
			return finding{TimedOut, ByUnknown, Likely, doubts{{StillOpen, WhyDeaf}}}, true
		}
	}
	return finding{}, false
}

// finTimeout: a FIN sent again and never acknowledged (tcp_orphan_retries).
func finTimeout(v *view) (finding, bool) {
	e, t := v.silent(finOf, 2)
	if e == nil || !v.endedBy(e, t) {
		return finding{}, false
	}
	f := finding{TimedOut, ByUnknown, Likely, doubts{}}
	v.mayBeHidden(&f, t, orphanRetries)
	return f, true
}

// peerVanished: data, FIN or probes unanswered, and the sender still trying
// when the capture ends.
func peerVanished(v *view) (finding, bool) {
	if v.rst != nil {
		return finding{}, false
	}
	for _, s := range []struct {
		what func(*assembler.End) *assembler.Tries
		alt  Cause
	}{{dataOf, RetransmissionTimeout}, {finOf, FinTimeout}, {probeOf, KeepaliveTimeout}} {
		e, t := v.silent(s.what, 2)
		if e == nil || v.stalled(e) {
			continue
		}
		f := finding{HalfOpen, ByUnknown, Possible, doubts{{s.alt, WhyMaybeGaveUp}}}
		if s.alt == RetransmissionTimeout && v.larger(e, t) {
			f.alts.add(Alternative{PMTUBlackhole, WhyLarger})
		}
		return f, true
	}
	return finding{}, false
}

// stallAge is how long (ns) a window must stay shut to be a stall without any
// probe: longer than a busy reader needs, shorter than anybody waits.
const stallAge = 3 * second

// zeroWindowStall: the reader's window stays shut (RFC 9293 3.8.6.1;
// tcp_probe_timer).
func zeroWindowStall(v *view) (finding, bool) {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		reader, writer := v.c.End(s), v.c.End(s.Peer())
		z, p := &reader.ZeroWindow, &writer.WProb
		if !z.Pending() || v.rst != nil || writer.WinProbes < 2 && !v.lasts(z.First.Time, stallAge) {
			continue
		}
		f := finding{Open, BySide(s), Likely, doubts{}}
		probed := p.Seen() && p.First.Time > z.First.Time
		switch {
		case probed && p.Interval() > 0 && v.gaveUp(p):
			f.class = TimedOut
			if !p.Pending() {
				f.confidence = Possible // answered probes end by TCP_USER_TIMEOUT alone
			}
			v.mayBeHidden(&f, p, math.MaxUint32)
		case probed && p.Pending() && p.Count >= 2:
			f.class, f.confidence = HalfOpen, Possible
			f.alts = doubts{{PeerVanished, WhyMaybeTrying}}
		}
		return f, true
	}
	return finding{}, false
}
