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
	cues := forgedCues(v.c, r)
	if cues == 0 {
		// No kernel aborts with a bare RST, and nothing is there that this
		// one would answer.
		f := finding{Reset, ByUnknown, Possible, doubts{{PeerLostState, WhyLateAbort}, {AbortiveClose, WhyOddAbort}}}
		return f, bare(r) && !talksOn(v.c, r) && unsolicited(v, r) && !v.partial(assembler.NoStart|assembler.OneWay|assembler.Gaps)
	}
	f := finding{Reset, ByMiddlebox, Likely, doubts{}}
	switch {
	case cues > 1 && elsewhere(v, r):
		f.alts = doubts{{PeerLostState, WhyOtherMachine}}
	case cues > 1:
		f.confidence = Certain
	case bare(r):
		f.alts = doubts{{PeerLostState, WhyOneSign}}
	default:
		f.alts = doubts{{AbortiveClose, WhyOneSign}}
	}
	if cues == 1 && rerouted(v.c.End(r.Side), r) {
		f.confidence = Possible
	}
	return f, true
}

// elsewhere reports whether another machine behind the same address, to which
// the path was changed, sends the same: the answer of a host without a socket
// to what reached it, from another distance.
func elsewhere(v *view, r *assembler.Reset) bool {
	return statelessForm(r) && r.Trigger != assembler.NoTrigger && !unsolicited(v, r) &&
		!climbing(v.c, r) && !talksOn(v.c, r) && !bothWays(v.c, r)
}

// forgedCues counts the independent signs that r's alleged sender did not send it.
func forgedCues(c *assembler.Conn, r *assembler.Reset) int {
	e := c.End(r.Side)
	if talksOn(c, r) && genuineStateless(e, r) {
		return 0
	}
	n := 0
	for _, cue := range []bool{oddTTL(e, r), oddIPID(e, r), oddTimestamp(r), climbing(c, r), talksOn(c, r), bothWays(c, r)} {
		if cue {
			n++
		}
	}
	if n > 0 && r.LinkDiffers && !rerouted(e, r) {
		n++ // no proof by itself: redundant routers have two addresses
	}
	return n
}

// oddTTL: the sender's hop count never varied, and the RST's differs. Where
// the capture shows packets before and behind a router, one copy may be lost.
func oddTTL(e *assembler.End, r *assembler.Reset) bool {
	ordinary := e.Packets - e.Resets
	return r.TTL != 0 && r.TTL != e.CopyTTL && ordinary >= 2 && e.TTLMin == e.TTLMax && e.TTLMin != 0 && r.TTL != e.TTLMin
}

// rerouted reports whether another path would explain the hop count: a step
// or two after a long silence.
func rerouted(e *assembler.End, r *assembler.Reset) bool {
	return oddTTL(e, r) && r.TTLDelta >= -2 && r.TTLDelta <= 2 && r.Idle > 30*second
}

// oddIPID: the sender counts its IP IDs up, and the RST's is not near,
// although it came at once and claims to be the same socket's. A stateless
// answer takes its ID from elsewhere: 0 on Linux today, the host's or the
// destination's counter on older kernels and other systems.
func oddIPID(e *assembler.End, r *assembler.Reset) bool {
	const far = 4096
	if e.IPIDKind != assembler.IPIDRising || r.Traits&capture.HasIPID == 0 || r.IPID == 0 || bare(r) || e.Packets < 4 || r.Idle > second {
		return false
	}
	return r.IPIDDelta > far || r.IPIDDelta < -far
}

// oddTimestamp: the RST's TSval lies before one already sent, or further
// ahead than any clock of RFC 7323 5.4 (1 ms to 1 s a tick; some tick in
// microseconds) runs. Some stacks put 0 into every RST.
func oddTimestamp(r *assembler.Reset) bool {
	if !r.HasTS || r.TSVal == 0 || r.TSElapsed == 0 && r.TSDelta == 0 {
		return false
	}
	return r.TSDelta < -1 || int64(r.TSDelta) > max(r.TSElapsed, 0)/1000+10_000
}

// climbing: several RSTs at once whose sequence numbers climb past what the
// sender had sent, as injectors fire them to hit a moving window.
func climbing(c *assembler.Conn, r *assembler.Reset) bool {
	e := c.End(r.Side)
	for _, o := range c.KeptResets() {
		d := o.Time - r.Time
		if o.Ref != r.Ref && o.Side == r.Side && d >= 0 && d < 10*milli && !o.Fit.TakesEffect() &&
			int32(o.Seq-r.Seq) > 1 && int32(o.Seq-e.SndNxt) > 0 {
			return true
		}
	}
	return false
}

// bothWays: at the same moment another RST with an odd hop count bears the
// other end's address, as a middlebox sends them that gives a connection up.
func bothWays(c *assembler.Conn, r *assembler.Reset) bool {
	for _, o := range c.KeptResets() {
		d := o.Time - r.Time
		if o.Side != r.Side && d > -10*milli && d < 10*milli && oddTTL(c.End(r.Side), r) && oddTTL(c.End(o.Side), &o) {
			return true
		}
	}
	return false
}

// swapped is how much (ns) a capture may swap packets of one sender, taken
// from several queues of a network card.
const swapped = milli / 2

// talksOn reports whether the RST's sender sent ordinary packets of the same
// connection afterwards, which only a living socket does: so much later that
// the capture cannot have swapped them, or answered by a host that had taken
// the RST and had no socket any more.
func talksOn(c *assembler.Conn, r *assembler.Reset) bool {
	if !r.SenderAfter.Seen() || c.End(r.Side).AfterReset == 0 {
		return false
	}
	for _, o := range c.KeptResets() {
		if d := o.Time - r.SenderAfter.Time; o.Side != r.Side && bare(&o) && d >= 0 && d < second {
			return true
		}
	}
	return r.SenderAfter.Time-r.Time > swapped
}

// genuineStateless reports whether r is what the sender's own kernel sends
// where it finds no socket: bare, window 0, no timestamps, IP ID 0, and the
// hop count of its other packets, or one more where these are forwarded from
// a container behind it.
func genuineStateless(e *assembler.End, r *assembler.Reset) bool {
	near := e.TTLMin == 0 || r.TTL >= e.TTLMin && (r.TTL <= e.TTLMax || r.TTL == e.TTLMax+1)
	return near && statelessForm(r)
}

// statelessForm is genuineStateless wherever the host is.
func statelessForm(r *assembler.Reset) bool {
	return bare(r) && r.Stateless && (r.Traits&capture.HasIPID == 0 || r.IPID == 0)
}

// bornBetween reports whether the capture shows the sender's other packets at
// two places, and r at one of them only: it was made behind the first.
func bornBetween(e *assembler.End, r *assembler.Reset) bool {
	return !r.Copied && e.Duplicates >= 2 && e.Duplicates+1 >= e.Packets-e.Resets
}

// resetByOwnHost: the host's kernel answered in the socket's name, the
// socket lives on (conntrack INVALID without drop, kubernetes#74839).
func resetByOwnHost(v *view) (finding, bool) {
	r := v.rst
	if r == nil || !v.established() || !talksOn(v.c, r) || !genuineStateless(v.sender(), r) {
		return finding{}, false
	}
	f := finding{Reset, BySide(r.Side), Likely, doubts{{InjectedReset, WhyFirewallReset}}}
	if oddTTL(v.sender(), r) || bornBetween(v.sender(), r) {
		f.confidence = Possible // one hop nearer is a container's host, or any router
	}
	return f, true
}
