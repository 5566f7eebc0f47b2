package classify

import "hangup/assembler"

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

// endedBy reports whether the decisive RST, if any, came from e itself once
// it had given up t: at once (a keep-alive's RST+ACK), or as the stateless
// answer to a packet that came too late.
func (v *view) endedBy(e *assembler.End, t *assembler.Tries) bool {
	if v.rst == nil {
		return v.gaveUp(t)
	}
	return v.sender() == e && v.rst.Time-t.Last.Time > settle(t) && bare(v.rst)
}

// stalled reports whether the data waits because the reader's window is shut.
func (v *view) stalled(writer *assembler.End) bool {
	reader := &v.c.Ends[0]
	if reader == writer {
		reader = &v.c.Ends[1]
	}
	return reader.ZeroWindow.Pending()
}

// keepaliveTimeout: probes unanswered until the prober gave up, as a rule
// with a RST+ACK of its own (RFC 9293 3.8.4; tcp_keepalive_timer).
func keepaliveTimeout(v *view) (finding, bool) {
	e, t := v.silent(probeOf, 1)
	if e == nil || v.stalled(e) {
		return finding{}, false
	}
	f := finding{TimedOut, ByUnknown, Certain, nil}
	if v.rst == nil {
		f.confidence = Likely
		return f, t.Count >= 2 && v.gaveUp(t)
	}
	own := v.sender() == e && !bare(v.rst) && v.rst.Time > t.Last.Time
	if t.Count < 2 {
		f.confidence = Possible
		f.alts = []Alternative{{AbortiveClose, WhyProgramGaveUp}}
		return f, own && v.rst.Time-t.Last.Time > second/2
	}
	if own && v.rst.Time-t.Last.Time < t.Interval()/2 {
		f.confidence = Possible
		f.alts = []Alternative{{AbortiveClose, WhyProgramGaveUp}}
	}
	return f, own
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
	f := finding{HalfOpen, ByNetwork, Likely, []Alternative{{PeerVanished, WhyMaybeTrying}}}
	if v.gaveUp(t) {
		f.class = TimedOut
		f.alts = []Alternative{{RetransmissionTimeout, WhyAckLost}}
	}
	return f, true
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
	return finding{TimedOut, ByUnknown, Likely, nil}, true
}

// finTimeout: a FIN sent again and never acknowledged (tcp_orphan_retries).
func finTimeout(v *view) (finding, bool) {
	e, t := v.silent(finOf, 2)
	if e == nil || !v.endedBy(e, t) {
		return finding{}, false
	}
	return finding{TimedOut, ByUnknown, Likely, nil}, true
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
		e, _ := v.silent(s.what, 2)
		if e == nil || v.stalled(e) {
			continue
		}
		return finding{HalfOpen, ByUnknown, Possible, []Alternative{{s.alt, WhyMaybeGaveUp}}}, true
	}
	return finding{}, false
}

// stallAge is how long (ns) a window must stay shut to be a stall: longer
// than a busy reader needs, shorter than anybody waits.
const stallAge = 3 * second

// zeroWindowStall: the reader's window stays shut (RFC 9293 3.8.6.1;
// tcp_probe_timer).
func zeroWindowStall(v *view) (finding, bool) {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		reader, writer := v.c.End(s), v.c.End(s.Peer())
		z := &reader.ZeroWindow
		if !z.Pending() || v.rst != nil || v.env.End-z.First.Time < stallAge {
			continue
		}
		f := finding{Open, BySide(s), Likely, nil}
		if p := &writer.WProb; p.Pending() && p.Count >= 2 {
			f.class, f.by, f.confidence = HalfOpen, ByUnknown, Possible
			if v.gaveUp(p) {
				f.class, f.confidence = TimedOut, Likely
			}
		}
		return f, true
	}
	return finding{}, false
}
