package classify

import (
	"math/bits"

	"hangup/assembler"
)

// Rule is one entry of the ordered list; the first that matches names the cause.
type Rule struct {
	Cause  Cause
	Name   string // as its story in testdata/stories is called
	Doc    string // what it means, what proves it, RFC section, kernel function
	Advice string // what to do about it in Go; "" if nothing is wrong
	match  func(*view) (finding, bool)
	needs  needs
	advise func(*view, *Verdict) string // advice that fits this connection better than Advice; "" if none does
}

// finding is what a rule that matches has to say.
type finding struct {
	class      Class
	by         Party
	confidence Confidence
	alts       doubts
}

// doubts are the alternatives to a finding, as many as have a Why.
type doubts [4]Alternative

// add appends a; there is room for all that one rule can think of.
func (d *doubts) add(a Alternative) {
	for i := range d {
		if d[i].Why == 0 {
			d[i] = a
			return
		}
	}
}

// Rules is the ordered list, specific before general.
func Rules() []Rule { return rules }

var rules = []Rule{
	{Cause: StaleTuple, Name: "stale-tuple", match: staleTuple, needs: needsAnyRST,
		Doc: docStaleTuple, Advice: adviseStaleTuple},
	{Cause: ConnectionRefused, Name: "connection-refused", match: connectionRefused, needs: needsRST,
		Doc: docConnectionRefused, Advice: adviseConnectionRefused},
	{Cause: ICMPRejected, Name: "icmp-rejected", match: icmpRejected, needs: needsICMP,
		Doc: docICMPRejected, Advice: adviseICMPRejected},
	{Cause: DialCancelled, Name: "dial-cancelled", match: dialCancelled, needs: needsAnyRST | needsUpgrade,
		Doc: docDialCancelled, Advice: adviseDialCancelled},
	{Cause: ConnectTimeout, Name: "connect-timeout", match: connectTimeout, needs: needsUnserved,
		Doc: docConnectTimeout, Advice: adviseConnectTimeout},
	{Cause: OrderlyClose, Name: "mptcp-close", match: multipathClose, needs: needsMPTCP,
		Doc: docMultipathClose},
	{Cause: AbortiveClose, Name: "mptcp-fastclose", match: fastClose, needs: needsMPTCP,
		Doc: docFastClose, Advice: adviseAbortiveClose},
	{Cause: InjectedReset, Name: "injected-reset", match: injectedReset, needs: needsRST,
		Doc: docInjectedReset, Advice: adviseInjectedReset},
	{Cause: ResetByOwnHost, Name: "reset-by-own-host", match: resetByOwnHost, needs: needsRST,
		Doc: docOwnHost, Advice: adviseOwnHost},
	{Cause: AcceptQueueOverflow, Name: "accept-queue-overflow-reset", match: overflowReset, needs: needsRST | needsMute,
		Doc: docOverflowReset, Advice: adviseOverflow},
	{Cause: AcceptQueueOverflow, Name: "accept-queue-overflow", match: overflowSilent, needs: needsMute,
		Doc: docOverflowSilent, Advice: adviseOverflow},
	{Cause: HandshakeIncomplete, Name: "handshake-incomplete", match: handshakeIncomplete, needs: needsUpgrade,
		Doc: docHandshakeIncomplete, Advice: adviseHandshakeIncomplete},
	{Cause: OrderlyClose, Name: "late-alert", match: lateAlert, needs: needsRST,
		Doc: docLateAlert},
	{Cause: WriteAfterClose, Name: "write-after-close", match: writeAfterClose, needs: needsRST,
		Doc: docWriteAfterClose, Advice: adviseWriteAfterClose, advise: adviseLateWriter},
	{Cause: WriteAfterClose, Name: "unsent-fin", match: unsentFIN, needs: needsRST,
		Doc: docUnsentFIN, Advice: adviseUnsentFIN},
	{Cause: FinWait2Expired, Name: "fin-wait2-expired", match: finWait2Expired, needs: needsRST,
		Doc: docFinWait2Expired, Advice: adviseFinWait2Expired},
	{Cause: KeepaliveTimeout, Name: "keepalive-timeout", match: keepaliveTimeout, needs: needsSilence,
		Doc: docKeepaliveTimeout, Advice: adviseKeepaliveTimeout},
	{Cause: PMTUBlackhole, Name: "pmtu-blackhole", match: pmtuBlackhole, needs: needsSilence,
		Doc: docPMTUBlackhole, Advice: advisePMTUBlackhole},
	{Cause: RetransmissionTimeout, Name: "retransmission-timeout", match: retransmissionTimeout, needs: needsSilence,
		Doc: docRetransmissionTimeout, Advice: adviseRetransmissionTimeout},
	{Cause: FinTimeout, Name: "fin-timeout", match: finTimeout, needs: needsSilence,
		Doc: docFinTimeout, Advice: adviseFinTimeout},
	{Cause: PeerLostState, Name: "peer-lost-state", match: peerLostState, needs: needsRST,
		Doc: docPeerLostState, Advice: advisePeerLostState},
	{Cause: ListenerClosed, Name: "listener-closed", match: byNeighbours,
		Doc: docListenerClosed, Advice: adviseListenerClosed},
	{Cause: CloseWithUnreadData, Name: "close-with-unread-data", match: closeWithUnreadData, needs: needsRST,
		Doc: docUnreadData, Advice: adviseUnreadData, advise: adviseAborter},
	{Cause: AbortiveClose, Name: "abortive-close", match: abortiveClose, needs: needsRST,
		Doc: docAbortiveClose, Advice: adviseAbortiveClose, advise: adviseAborter},
	{Cause: HalfClose, Name: "half-close", match: halfClose, needs: needsBothFINs | needsLateAck,
		Doc: docHalfClose},
	{Cause: SimultaneousClose, Name: "simultaneous-close", match: simultaneousClose, needs: needsBothFINs | needsCrossing,
		Doc: docSimultaneousClose},
	{Cause: OrderlyClose, Name: "orderly-close", match: orderlyClose, needs: needsBothFINs,
		Doc: docOrderlyClose},
	{Cause: OrderlyClose, Name: "unseen-fin", match: unseenFIN, needs: needsOneFIN,
		Doc: docUnseenFIN},
	{Cause: RetransmissionTimeout, Name: "retransmission-timeout-deaf", match: deafSender, needs: needsDeafness,
		Doc: docDeaf, Advice: adviseRetransmissionTimeout},
	{Cause: PeerVanished, Name: "peer-vanished", match: peerVanished, needs: needsSilence,
		Doc: docPeerVanished, Advice: advisePeerVanished},
	{Cause: ZeroWindowStall, Name: "zero-window-stall", match: zeroWindowStall, needs: needsShutWindow,
		Doc: docZeroWindow, Advice: adviseZeroWindow},
	{Cause: CloseWaitLeak, Name: "close-wait-leak", match: closeWaitLeak, needs: needsOneFIN,
		Doc: docCloseWaitLeak, Advice: adviseCloseWaitLeak},
	{Cause: StillOpen, Name: "still-open", match: stillOpen,
		Doc: docStillOpen},
}

// byNeighbours matches nothing: what one connection shows does not suffice
// for the rule, and refine applies it.
func byNeighbours(*view) (finding, bool) { return finding{}, false }

// became makes a rule that refine applied the one that decides.
func (v *Verdict) became(rule string) {
	for i := range rules {
		if rules[i].Name == rule {
			v.Matched |= 1 << i
			v.Cause = rules[i].Cause
		}
	}
}

// Judge applies the rules to one connection.
func Judge(c *assembler.Conn, env Env) Verdict { return newView(c, env).judge() }

func (v *view) judge() Verdict {
	c := v.c
	out := Verdict{Partial: c.Partial}
	for rest := (uint64(1)<<len(rules) - 1) &^ hopeless(v.lacking()); rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if i == len(rules)-1 && v.named {
			out.Matched |= 1 << i // still-open matches whatever there is
			break
		}
		f, ok := rules[i].match(v)
		if !ok {
			continue
		}
		out.Matched |= 1 << i
		if v.named {
			continue
		}
		v.named = true
		out.name(rules[i].Cause, &f)
	}
	out.doubt()
	out.FirstEnd = v.firstEnd(&out)
	if out.Class == Open || out.Class == HalfOpen {
		out.Partial |= assembler.NoEnd
	}
	return out
}

// name takes what the rule that names the cause has found.
func (v *Verdict) name(cause Cause, f *finding) {
	v.Class, v.Cause, v.By, v.Confidence = f.class, cause, f.by, f.confidence
	for _, a := range f.alts {
		if a.Why != 0 {
			v.addAlt(a)
		}
	}
}

// Rule is the rule that named the cause: the first that matched.
func (v *Verdict) Rule() *Rule {
	for i := range rules {
		if v.Matched&(1<<i) != 0 && rules[i].Cause == v.Cause {
			return &rules[i]
		}
	}
	return nil
}

// is reports whether the rule of that name decided.
func (v *Verdict) is(rule string) bool {
	r := v.Rule()
	return r != nil && r.Name == rule
}

func (v *Verdict) addAlt(a Alternative) {
	if a.Cause == v.Cause || int(v.NAlt) == len(v.Alt) {
		return
	}
	for _, b := range v.Alt[:v.NAlt] {
		if b.Cause == a.Cause {
			return
		}
	}
	v.Alt[v.NAlt] = a
	v.NAlt++
}

// leadAlt puts a before the other alternatives.
func (v *Verdict) leadAlt(a Alternative) {
	rest := v.Alt
	n := v.NAlt
	v.NAlt = 0
	v.addAlt(a)
	for _, b := range rest[:n] {
		v.addAlt(b)
	}
}

// doubt lowers the confidence where the capture lacks what would settle it.
func (v *Verdict) doubt() {
	unanswered := v.Cause == ConnectTimeout || v.Cause == ICMPRejected // one way by nature
	if v.Partial&assembler.OneWay != 0 && !unanswered && v.Confidence > Possible {
		v.Confidence = Possible
		v.addAlt(Alternative{StillOpen, WhyOneWay})
	}
	if v.Partial&(assembler.Gaps|assembler.Evicted|assembler.Dropped) != 0 && v.Confidence == Certain {
		v.Confidence = Likely
	}
}

// firstEnd is the first packet that ended the connection or a half of it.
func (v *view) firstEnd(out *Verdict) FirstEnd {
	var f FirstEnd
	if out.Cause == ICMPRejected {
		if m := v.rejection(); m != nil {
			at := m.Last
			if m.Time >= v.c.End(m.Side).SYN.Last.Time {
				at = m.Stamp
			}
			return FirstEnd{Stamp: at, Side: m.Side.Peer(), Flag: FlagICMP, Network: out.By == ByNetwork}
		}
	}
	if v.c.MPTCP && out.is("mptcp-close") {
		return v.firstDataFIN()
	}
	if s, ok := v.firstFIN(); ok {
		f = FirstEnd{Stamp: v.c.End(s).FIN.First, Side: s, Flag: FlagFIN}
	}
	if v.rst != nil && (!f.Seen() || v.rst.Time < f.Time) {
		f = FirstEnd{Stamp: v.rst.Stamp, Side: v.rst.Side, Flag: FlagRST}
	}
	return f
}
