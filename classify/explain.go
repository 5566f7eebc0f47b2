package classify

import (
	"cmp"
	"fmt"
	"slices"

	"hangup/assembler"
)

// Explain spells a verdict out: evidence, Go outcomes, advice.
func Explain(c *assembler.Conn, v Verdict, env Env) Result {
	w := newView(c, env)
	r := Result{Conn: c, Verdict: v}
	for _, a := range v.Alt[:v.NAlt] {
		r.AltText = append(r.AltText, a.Why.String())
	}
	r.Evidence = w.evidence(&v)
	r.Detail = w.detail(&v)
	r.Advice = w.advice(&v)
	r.IdleBeforeEnd = w.idleBeforeEnd(&v)
	if env.EncapName != nil && c.Encap != 0 {
		r.Encap = env.EncapName(c.Encap)
	}
	r.Go = Outcomes(c, v, env)
	r.App = AppOutcomes(c, v)
	return r
}

// evidence lists the packets behind a verdict in the order of time.
func (v *view) evidence(out *Verdict) []Evidence {
	p := &proof{v: v}
	switch out.Cause {
	case ConnectionRefused, HandshakeIncomplete:
		p.handshake()
		p.reset()
	case DialCancelled:
		p.handshake()
		p.withdrawal()
	case ICMPRejected:
		p.handshake()
	case ConnectTimeout:
		p.handshake()
		p.pause(v.cl.SYN.Last.Time, "no answer and no further try")
	case AcceptQueueOverflow:
		p.overflow()
		p.reset()
	case ListenerClosed, CloseWithUnreadData:
		p.unread()
		p.reset()
	case OrderlyClose, SimultaneousClose, HalfClose, FinWait2Expired, WriteAfterClose, CloseWaitLeak:
		if out.is("unsent-fin") {
			p.tries(repeated(v.sender()), v.rst.Side, "data")
			p.reset()
			break
		}
		p.closing(out)
	case StaleTuple:
		p.challenge()
		p.reset()
	case PMTUBlackhole:
		p.silence(dataOf, "data")
		p.sizes()
	case RetransmissionTimeout:
		p.silence(dataOf, "data")
		if out.is("retransmission-timeout-deaf") {
			p.deaf()
		}
		p.reset()
	case KeepaliveTimeout:
		p.silence(probeOf, "keep-alive probe")
		p.reset()
	case FinTimeout:
		p.silence(finOf, "FIN")
		p.reset()
	case PeerVanished:
		p.silence(dataOf, "data")
		p.silence(probeOf, "keep-alive probe")
		p.silence(finOf, "FIN")
	case ZeroWindowStall:
		p.window()
	case StillOpen:
		p.add(v.c.Last, lastSide(v.c), "the last packet")
	default:
		if out.Even() {
			p.unread()
		}
		p.reset()
		p.mptcp()
	}
	p.icmp()
	slices.SortStableFunc(p.lines, Evidence.compare)
	return slices.CompactFunc(p.lines, func(a, b Evidence) bool { return a == b })
}

// compare orders by time; what no packet shows comes last.
func (a Evidence) compare(b Evidence) int {
	switch {
	case a.Time != b.Time:
		return cmp.Compare(a.Time, b.Time)
	case a.Ref == 0 || b.Ref == 0:
		return cmp.Compare(b.Ref, a.Ref)
	}
	return cmp.Compare(a.Ref, b.Ref)
}

// closing shows the FINs, and what came of them.
func (p *proof) closing(out *Verdict) {
	p.fins()
	p.late()
	switch {
	case out.Cause == WriteAfterClose:
		p.crossed()
	case out.is("unseen-fin"):
		p.unseen()
	case out.Cause == OrderlyClose:
		p.farewells()
		p.mptcp()
	}
	p.reset()
	if out.Class == HalfOpen {
		p.pause(p.v.c.Last.Time, "no FIN from the other side")
	}
}

// withdrawal shows the RST that answered a late SYN-ACK.
func (p *proof) withdrawal() {
	for _, r := range p.v.c.KeptResets() {
		if r.Side == assembler.Client {
			p.add(r.Stamp, r.Side, "%s", describeReset(p.v.c, &r))
			return
		}
	}
}

func (p *proof) overflow() {
	p.tries(&p.v.sv.SYNACK, assembler.Server, "SYN-ACK")
	p.add(p.v.c.Established, assembler.Client, "acknowledges the SYN-ACK")
	if d := p.v.cl.Data; d.Pending() {
		p.tries(&d, assembler.Client, "data that the server never acknowledges")
	}
}

func (p *proof) mptcp() {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		e := p.v.c.End(s)
		p.add(e.FastClose, s, "MPTCP MP_FASTCLOSE")
		p.add(e.DataFIN, s, "MPTCP DATA_FIN")
	}
}

func lastSide(c *assembler.Conn) assembler.Side {
	if c.Ends[assembler.Server].Last == c.Last {
		return assembler.Server
	}
	return assembler.Client
}

// detail is the one figure that a reader wants beside the cause.
func (v *view) detail(out *Verdict) string {
	if out.LostTo != 0 {
		return fmt.Sprintf("connection %d over the other address family was established instead (happy eyeballs): the caller saw no error of this one", out.LostTo)
	}
	if v.rst != nil && out.Class == Reset && (v.c.MPToken != 0 || v.c.MPTCP && !v.cl.FastClose.Seen() && !v.sv.FastClose.Seen()) {
		return "the RST of an MPTCP subflow: the MPTCP connection may go on over another"
	}
	switch out.Cause {
	case ICMPRejected:
		if m := v.rejection(); m != nil {
			return icmpName(m)
		}
	case InjectedReset:
		return v.forgeryDetail()
	case ConnectionRefused:
		if out.By == ByMiddlebox && v.rst != nil {
			return fmt.Sprintf("TTL %d where the server's other packets came a longer way: refused by something on it", v.rst.TTL)
		}
	case DialCancelled:
		return v.withdrawn()
	case ConnectTimeout:
		if t := &v.cl.SYN; t.Count > 1 {
			return fmt.Sprintf("%d SYNs in %s", t.Count, dur(t.Last.Time-t.First.Time))
		}
		if v.gaveUp(&v.cl.SYN) {
			return "1 SYN, never repeated"
		}
	case AbortiveClose, CloseWithUnreadData:
		switch {
		case v.c.MPTCP:
		case out.Cause == CloseWithUnreadData && ignored(v, v.rst):
			return fmt.Sprintf("%s after the peer's last words and FIN, most likely unread", dur(v.rst.Time-v.receiver().FIN.First.Time))
		case toldNobody(v):
			return fmt.Sprintf("the %s had closed before: its program hardly hears of this RST", v.rst.Side.Peer())
		}
	case WriteAfterClose:
		switch {
		case out.is("unsent-fin"):
			t := repeated(v.sender())
			return fmt.Sprintf("the %s's FIN never left: it waits behind data that it repeated for %s", v.rst.Side, dur(t.Last.Time-t.First.Time))
		case !v.receiver().LateAfterAck:
			return "the data had been sent before the FIN was acknowledged: it crossed the close"
		case takesLeave(v.c, v.rst.Side):
			late := &v.receiver().LateData
			return fmt.Sprintf("written %s behind the FIN: a goodbye upon the EOF, or a request that only just missed it", dur(late.First.Time-v.sender().FIN.First.Time))
		}
	case PMTUBlackhole:
		if e, t := v.tried(dataOf); e != nil {
			return fmt.Sprintf("segments of %d bytes get through, those of %d do not", e.HighestAcked, t.Len)
		}
	case RetransmissionTimeout, KeepaliveTimeout, FinTimeout, PeerVanished:
		if out.By == ByClient || out.By == ByServer {
			return fmt.Sprintf("the %v's host answered for another connection later that it had lost", out.By)
		}
	case CloseWaitLeak:
		if s, ok := v.firstFIN(); ok && v.lasts(v.c.End(s).FIN.Answered.Time, second) {
			return fmt.Sprintf("in CLOSE_WAIT for at least %s", dur(v.after(v.c.End(s).FIN.Answered.Time)))
		}
	}
	return middleboxTimer(v, out)
}

// scanTime is how soon (ns) after its SYN a half-open scanner resets: a round
// trip, where no dial has a reason to give up yet.
const scanTime = 200 * milli

// withdrawn says how long a cancelled dial had waited.
func (v *view) withdrawn() string {
	waited := v.c.Last.Time - v.cl.SYN.First.Time
	switch {
	case !v.cl.SYN.Seen():
		return "no SYN asked for it in this capture"
	case v.cl.SYN.Count == 1 && waited < scanTime:
		return fmt.Sprintf("%s after the SYN: a port scan looks the same", dur(waited))
	}
	return fmt.Sprintf("%s after the first SYN", dur(waited))
}

func (v *view) forgeryDetail() string {
	r := v.rst
	if r == nil {
		return ""
	}
	e := v.sender()
	switch {
	case oddTTL(e, r):
		return fmt.Sprintf("TTL %d instead of %d: another distance away", r.TTL, e.TTLMin)
	case oddIPID(e, r):
		return fmt.Sprintf("IP ID %d steps away from the sender's series", r.IPIDDelta)
	case oddTimestamp(r):
		return "TCP timestamp out of step with the sender's clock"
	case climbing(v.c, r):
		return "fired in a volley of climbing sequence numbers"
	case !talksOn(v.c, r):
		return fmt.Sprintf("out of %s of silence, in answer to nothing", dur(r.Idle))
	}
	return "the sender's socket went on as if it had sent no RST"
}

// idleBeforeEnd is the silence (ns) before the packet that ended the
// connection, or before the first try that nothing answered.
func (v *view) idleBeforeEnd(out *Verdict) int64 {
	if out.Class == TimedOut || out.Cause == PeerVanished {
		for _, what := range []func(*assembler.End) *assembler.Tries{dataOf, probeOf, finOf} {
			if e, t := v.tried(what); e != nil {
				return max(t.Idle, 0)
			}
		}
	}
	switch f := out.FirstEnd; {
	case f.Flag == FlagRST && v.rst != nil:
		return max(v.rst.Idle, 0)
	case f.Flag == FlagFIN:
		return max(v.c.End(f.Side).FIN.Idle, 0)
	}
	return 0
}
