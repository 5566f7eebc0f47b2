package classify

import (
	"fmt"
	"strings"

	"hangup/assembler"
	"hangup/capture"
)

// reset shows the decisive RST, what it answers and what its header says.
func (p *proof) reset() {
	r := p.v.rst
	p.unheard()
	if r == nil {
		return
	}
	if r.Trigger != assembler.NoTrigger && bare(r) && forgedCues(p.v.c, r) == 0 && !unsolicited(p.v, r) {
		p.trigger(r)
	}
	p.add(r.Stamp, r.Side, "%s", describeReset(p.v.c, r))
	if talksOn(p.v.c, r) {
		p.add(r.SenderAfter, r.Side, "sends on as if it had sent no RST")
	}
	p.otherResets(r)
}

// trigger shows what r answers, unless another line tells more of it.
func (p *proof) trigger(r *assembler.Reset) {
	for _, l := range p.lines {
		if l.Ref == r.Answers.Ref {
			return
		}
	}
	p.add(r.Answers, r.Side.Peer(), "%s", triggerNames[r.Trigger])
}

// otherResets shows the RSTs that belong to the decisive one: of the other
// socket, in the same volley, or the echo that got through.
func (p *proof) otherResets(r *assembler.Reset) {
	for _, o := range p.v.c.KeptResets() {
		d := o.Time - r.Time
		switch {
		case o.Ref == r.Ref:
		case o.Side != r.Side && d >= 0 && d < grace(p.v.c) && live(p.v.c, &o) && live(p.v.c, r):
			p.add(o.Stamp, o.Side, "RST+ACK of the other live socket, which had not received the first")
		case o.Side == r.Side && climbing(p.v.c, r) && d > 0:
			p.add(o.Stamp, o.Side, "RST of the same volley, seq %d higher", int32(o.Seq-r.Seq))
		case forgedCues(p.v.c, r) > 0 && d > -second && d < second:
			p.add(o.Stamp, o.Side, "%s", describeReset(p.v.c, &o))
		case o.Side == r.Side && d > 0 && live(p.v.c, r) && bare(&o):
			p.add(o.Stamp, o.Side, "RST without a socket, in answer to what came later: the first RST had not arrived")
		case o.Side == r.Side && d > 0 && o.Flags.Has(capture.ACK) && r.Fit == assembler.FitSYN:
			p.add(o.Stamp, o.Side, "RST+ACK to the next SYN as well")
		}
	}
}

// unheard shows a RST that its receiver outlived.
func (p *proof) unheard() {
	for _, r := range p.v.c.KeptResets() {
		if r.Fit.TakesEffect() && outlived(p.v.c, &r) && (p.v.rst == nil || p.v.rst.Ref != r.Ref) {
			p.add(r.Stamp, r.Side, "RST, which the %s's socket never took: it goes on as before", r.Side.Peer())
		}
	}
}

var triggerNames = [...]string{
	assembler.NoTrigger: "", assembler.ToSYN: "SYN", assembler.ToSYNACK: "SYN-ACK", assembler.ToData: "data",
	assembler.ToFIN: "FIN", assembler.ToKeepAlive: "keep-alive probe", assembler.ToWinProbe: "window probe",
	assembler.ToChallenge: "challenge ACK", assembler.ToACK: "ACK",
}

// describeReset says what a RST looks like and what that means.
func describeReset(c *assembler.Conn, r *assembler.Reset) string {
	var b strings.Builder
	b.WriteString("RST")
	if r.Flags.Has(capture.ACK) {
		b.WriteString("+ACK")
	}
	fit := map[assembler.ResetFit]string{
		assembler.FitExact: "seq = next expected", assembler.FitFIN: "seq of the FIN", assembler.FitSYN: "acknowledges the SYN",
		assembler.FitUnknown: "seq cannot be checked", assembler.FitInWindow: "seq in window, but not the next expected",
		assembler.FitOutside: "seq out of window", assembler.FitLate: "after the end", assembler.FitBadSYN: "acknowledges no SYN of the receiver's",
	}
	how := fit[r.Fit]
	if d := decisive(c); r.Fit == assembler.FitLate && d != nil && d.Ref == r.Ref {
		how = "after one that was never taken"
		if wasOvertaken(c, r) {
			how = "behind one of its host's that had overtaken it"
		}
	}
	if overtook(c, r) {
		how = "seq = the end of the data that was captured behind it"
	}
	fmt.Fprintf(&b, ", %s, window %d", how, r.Window)
	if c.Timestamps() {
		switch {
		case !r.HasTS:
			b.WriteString(", no timestamps")
		case oddTimestamp(r):
			b.WriteString(", TSval out of step")
		default:
			b.WriteString(", TSval in step")
		}
	}
	e := c.End(r.Side)
	if oddTTL(e, r) {
		fmt.Fprintf(&b, ", TTL %d where the %s's other packets have %d", r.TTL, r.Side, e.TTLMin)
	}
	if oddIPID(e, r) {
		fmt.Fprintf(&b, ", IP ID %d steps away from the series", r.IPIDDelta)
	}
	switch {
	case forgedCues(c, r) > 0:
	case bare(r) && r.Stateless:
		b.WriteString(": sent without a socket")
	case r.Fit == assembler.FitSYN:
		b.WriteString(": nobody listens, or a firewall rejects")
	case live(c, r) && !r.Stateless:
		b.WriteString(": sent by the live socket")
	}
	return b.String()
}

// unread shows what the aborter had most likely not read.
func (p *proof) unread() {
	r := p.v.rst
	if r == nil {
		return
	}
	e, o := p.v.c.End(r.Side), p.v.c.End(r.Side.Peer())
	if n := unanswered(r); n > 0 && o.LastData.Time <= r.Time {
		p.add(o.LastData, r.Side.Peer(), "last of %s that the %s acknowledged and never answered", plural(n, "byte"), r.Side)
	}
	switch held := windowHeld(p.v, r); {
	case !held && windowFell(p.v, r):
		p.add(o.LastData, r.Side, "its window had fallen from %d to %d bytes: its program did not read", e.MaxWindow, e.Window)
	case held:
		at := e.ZeroWindow.First
		if !at.Seen() {
			at = o.LastData
		}
		p.add(at, r.Side, "its window has not moved since: at least %s unread", plural(uint64(r.Unread), "byte"))
	}
	if endsWithAlert(p.v.c, e) {
		p.add(e.LastData, r.Side, "a TLS alert: its program takes leave with Close")
	}
}

// crossed shows payload that was on its way when its receiver closed.
func (p *proof) crossed() {
	if p.v.rst == nil {
		return
	}
	if w := p.v.receiver(); !w.LateData.Seen() && w.Data.Pending() {
		p.add(w.Data.First, p.side(w), "%s, on the way when the %s closes", plural(uint64(w.Data.Len), "payload byte"), p.v.rst.Side)
	}
}

// challenge shows the new SYN and what it drew.
func (p *proof) challenge() {
	c := p.v.c
	if !c.Successor.Seen() {
		return
	}
	s := assembler.Client
	if p.v.rst != nil {
		s = p.v.rst.Side
	}
	p.add(c.Successor, s, "SYN of a new connection on the same tuple")
	p.add(c.End(s.Peer()).LastChallenge, s.Peer(), "challenge ACK: the old connection is still alive here")
}
