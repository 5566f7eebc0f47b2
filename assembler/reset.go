package assembler

import "hangup/capture"

// reset takes a RST and weighs it as its receiver would have (RFC 9293
// 3.10.7.4 second check, RFC 5961 3.2; tcp_validate_incoming, tcp_reset_check).
func (c *Conn) reset(from Side, p *capture.Packet, at Stamp, idle int64) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	r := Reset{
		Stamp: at, Side: from, Flags: p.Flags, Seq: p.Seq, Ack: p.Ack, Len: p.Len,
		Window: p.Window, IPID: p.IPID, TTL: p.TTL, Traits: p.Traits,
		HasTS: p.Options&capture.OptTimestamps != 0, TSVal: p.TSVal, Link: p.Link,
		Idle: idle, Before: e.Last, From: e.State, To: o.State,
		Unacked: e.Outstanding(), Unread: e.UnreadHint(o), SinceData: e.SinceData,
	}
	r.Fit = c.fitReset(e, o, p)
	c.lastAck(&r, o)
	c.triggerReset(&r, e, o, p)
	r.compare(c, e, o, p)
	e.Resets++
	c.keepReset(r)
	if e.Resets == 1 {
		e.RefState = e.State
	}
	if !r.Fit.TakesEffect() && r.Fit != FitUnknown {
		c.mark(at, from, ResetIgnored, uint32(r.Fit))
		if r.Fit == FitInWindow {
			o.mayChallenge = at.Time
		}
		return NoteResetIgnored
	}
	if !o.ResetAccepts.Seen() {
		o.ResetAccepts = at
		o.RefState = o.State
	}
	e.move(onReset)
	o.move(onReset)
	return NoteReset
}

// lastAck accounts for what r, a live socket's last word, says it had received
// and this capture never showed.
func (c *Conn) lastAck(r *Reset, o *End) {
	live := r.Flags.Has(capture.ACK) && (r.HasTS || r.Window != 0) && r.Fit == FitExact
	if live && o.Started && seqLT(o.SndNxt, r.Ack) && near(r.Ack, o.SndNxt) {
		c.unseen(o, r.Ack)
	}
}

// resetCopy takes a RST seen again elsewhere. A router's capture shows it with
// the TTL and MAC of either side, and of an address that is translated only
// one side's packets may belong to the connection: where the copy is like its
// sender's other packets, it is the one to compare with them.
func (c *Conn) resetCopy(from Side, p *capture.Packet) {
	e := &c.Ends[from]
	usual := func(ttl uint8) bool { return ttl >= e.TTLMin && ttl <= e.TTLMax }
	for i := range c.KeptResets() {
		r := &c.Resets[i]
		if r.Side != from || r.Seq != p.Seq || r.Ack != p.Ack || r.Flags != p.Flags {
			continue
		}
		r.Copied = true
		if usual(r.TTL) || !usual(p.TTL) {
			continue
		}
		r.TTL, r.TTLDelta, r.Link = p.TTL, int16(p.TTL)-int16(e.TTLLast), p.Link
		r.LinkDiffers = e.Link != 0 && p.Link != 0 && e.Link != p.Link
	}
}

// keepReset keeps the first three and the last.
func (c *Conn) keepReset(r Reset) {
	i := min(int(c.NResets), len(c.Resets)-1)
	c.Resets[i] = r
	c.NResets++
}

// fitReset compares the RST's sequence number with what its receiver, o, expects.
func (c *Conn) fitReset(e, o *End, p *capture.Packet) ResetFit {
	if o.State == SynSent && !e.SYN.Seen() && !e.SYNACK.Seen() {
		// RFC 9293 3.10.7.3: in SYN-SENT a RST counts only if its ACK does.
		if p.Flags.Has(capture.ACK) && seqLT(o.ISN, p.Ack) && seqLEQ(p.Ack, o.SndNxt) {
			return FitSYN
		}
		return FitBadSYN
	}
	if o.State == Closed || o.State == TimeWait {
		return FitLate
	}
	if !e.Started && !e.AckSeen {
		return FitUnknown
	}
	switch nxt := c.expected(e); {
	case p.Seq == nxt, e.Started && p.Seq == e.SndNxt:
		return FitExact
	case p.Seq == nxt-1 && e.FIN.Seen() && (o.State == CloseWait || o.State == LastAck || o.State == Closing):
		return FitFIN
	case seqLT(p.Seq, nxt):
		return FitOutside
	case e.Started && seqLT(p.Seq, e.SndNxt):
		// Between what is acknowledged and what is in flight: exact if just
		// so much of the flight had arrived.
		return FitExact
	case o.edgeKnown && seqLT(p.Seq, o.RightEdge):
		return FitInWindow
	case !o.edgeKnown && seqLT(p.Seq, nxt+max(o.Window, 65535)):
		if c.Partial&NoStart != 0 && !o.edgeKnown && o.Packets == 0 {
			return FitUnknown
		}
		return FitInWindow
	}
	return FitOutside
}

// expected is the receiver's RCV.NXT as far as it has said so, else what the
// sender began with.
func (c *Conn) expected(e *End) uint32 {
	if e.AckSeen {
		return e.SndUna
	}
	return e.firstSeq
}

// triggerReset finds what the RST answers: a stateless one carries the
// answered segment's numbers (RFC 9293 3.10.7.1), a live one its own.
func (c *Conn) triggerReset(r *Reset, e, o *End, p *capture.Packet) {
	r.Stateless = p.Window == 0 && !r.HasTS && p.Len == 0
	if p.Flags.Has(capture.ACK) && o.State == SynSent {
		if o.SYN.Seen() {
			r.Trigger, r.Answers = ToSYN, o.SYN.Last
		}
		return
	}
	if p.Flags.Has(capture.ACK) || !o.Last.Seen() {
		return
	}
	r.Answers = o.Last
	switch last := o.Last; {
	case last == o.SYNACK.Last:
		r.Trigger = ToSYNACK
	case last == o.FIN.Last:
		r.Trigger = ToFIN
	case last == o.Probe.Last:
		r.Trigger = ToKeepAlive
	case last == o.WProb.Last:
		r.Trigger = ToWinProbe
	case last == o.LastChallenge:
		r.Trigger = ToChallenge
	case last == o.LastData || last == o.Data.Last || o.lastLen > 0:
		r.Trigger = ToData
	default:
		r.Trigger = ToACK
	}
}

// compare holds the RST's header against its sender's ordinary packets.
func (r *Reset) compare(c *Conn, e, o *End, p *capture.Packet) {
	if o.Started && p.Flags.Has(capture.ACK) && seqLT(p.Ack, o.SndNxt) && near(p.Ack, o.SndNxt) {
		r.AckBehind = o.SndNxt - p.Ack
	} else if o.Started && !p.Flags.Has(capture.ACK) {
		r.AckBehind = o.Outstanding()
	}
	if e.TTLFirst != 0 {
		r.TTLDelta = int16(p.TTL) - int16(e.TTLLast)
	}
	if p.Has(capture.HasIPID) && e.IPIDKind != IPIDUnknown {
		r.IPIDDelta = int16(p.IPID - e.IPIDLast)
	}
	if r.HasTS && e.TSCount > 0 {
		r.TSDelta = int32(p.TSVal - e.TSLast)
		r.TSElapsed = r.Time - e.TSLastTime
	}
	r.LinkDiffers = e.Link != 0 && p.Link != 0 && e.Link != p.Link
}

// pastReset counts what an end goes on to send after a RST of its address.
func (c *Conn) pastReset(e *End, at Stamp, p *capture.Packet) Notes {
	if e.Started && !near(p.Seq, e.SndNxt) || !e.Started && e.AckSeen && !near(p.Seq, e.SndUna) {
		return 0
	}
	e.AfterReset++
	if !e.FirstAfter.Seen() {
		e.FirstAfter = at
		c.mark(at, c.sideOf(e), DataPastReset, p.Len)
	}
	return NotePastReset
}

// afterResets notes who still talks after each kept RST.
func (c *Conn) afterResets(from Side, at Stamp, p *capture.Packet) {
	if p.Flags.Has(capture.RST) {
		return
	}
	for i := range c.KeptResets() {
		r := &c.Resets[i]
		if r.Stamp == at {
			continue
		}
		s := &r.ReceiverAfter
		if r.Side == from {
			s = &r.SenderAfter
		}
		if !s.Seen() {
			*s = at
		}
	}
}

// fingerprint follows what an end's ordinary packets look like.
func (c *Conn) fingerprint(e *End, p *capture.Packet) {
	if p.Has(capture.HasIPID) && !p.Has(capture.IPv6) {
		e.IPIDKind = e.IPIDKind.next(p.IPID, e.IPIDLast)
		e.IPIDLast = p.IPID
	}
	if p.Options&capture.OptTimestamps != 0 {
		e.TSLast, e.TSLastTime = p.TSVal, p.Time
		e.TSCount++
	}
	e.lastLen = p.Len
}

// maxIPIDStep is the largest step between two of one host's packets to the
// same peer that still counts as a rising series.
const maxIPIDStep = 4096

func (k IPIDKind) next(id, last uint16) IPIDKind {
	step := id - last
	switch {
	case k == IPIDUnknown && id == 0:
		return IPIDZero
	case k == IPIDUnknown:
		return IPIDFirst
	case k == IPIDZero && id == 0:
		return IPIDZero
	case k == IPIDZero, k == IPIDFirst && step > 0 && step < maxIPIDStep:
		return IPIDRising // Linux sends its SYN-ACK with ID 0, then counts
	case k == IPIDRising && (id == 0 || step < maxIPIDStep || -step < 64):
		return IPIDRising
	}
	return IPIDOther
}
