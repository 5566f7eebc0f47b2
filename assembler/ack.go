package assembler

import "hangup/capture"

// ack applies the acknowledgment number (RFC 9293 3.10.7.4, fifth check).
func (c *Conn) ack(from Side, p *capture.Packet, at Stamp) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	missing := !o.Started || !seqLEQ(p.Ack, o.SndNxt) // the capture lacks what this acknowledges
	if o.Started && missing {
		if lost := e.Started && p.Seq == e.SndNxt && p.Ack != 0; !near(p.Ack, o.SndNxt) && !lost {
			return 0 // acknowledges nothing of this connection
		}
		c.unseen(o, p.Ack)
	}
	fresh := !o.AckSeen || seqLT(o.SndUna, p.Ack)
	if !fresh && seqLT(p.Ack, o.SndUna) {
		return 0 // reordered: older than one already seen
	}
	pure := p.Len == 0 && p.Flags&(capture.SYN|capture.FIN) == 0
	// What comes when the other end has reset the connection answers nothing
	// of it any more: the RST may not even have arrived.
	tooLate := e.ResetAccepts.Seen() && o.AfterReset == 0
	var notes Notes
	if pure && !fresh {
		notes = c.repeatedACK(e, o, p, at)
	}
	if fresh {
		if e.FIN.Seen() {
			c.pastFIN(e, o, p, at, missing)
		}
		if o.AckSeen {
			e.AckStep, e.LastAckStep = p.Ack-o.SndUna, at
		}
		o.SndUna, o.AckSeen = p.Ack, true
		e.LastNewAck = at
		e.Deaf = Tries{}
		if o.dropHoles(p.Ack); o.Lost > 0 {
			c.Partial |= Gaps
		}
		if !tooLate {
			c.acknowledge(o, p.Ack, at)
			if pure && o.FIN.Seen() && o.FIN.Answered == at && e.Started {
				e.sentUnseen = seqLT(e.SndNxt, p.Seq) && near(p.Seq, e.SndNxt)
			}
		}
	}
	if !tooLate && !e.isProbe(o, p) {
		c.alive(e, o, at, &notes, pure)
	}
	c.established(from, p, at, pure)
	return notes
}

// alive settles the probes of o that a packet of e answers.
func (c *Conn) alive(e, o *End, at Stamp, notes *Notes, pure bool) {
	if o.Probe.Pending() {
		o.Probe.Answered = at
		e.LastNewAck = at
		if pure {
			*notes = *notes&^NoteDupACK | NoteKeepAliveAnswer
		}
	}
	if o.WProb.Pending() {
		o.WProb.Answered = at
		e.LastNewAck = at
		*notes &^= NoteDupACK
	}
}

// unseen accounts for sequence space that o's peer acknowledged and this
// capture never showed.
func (c *Conn) unseen(o *End, ack uint32) {
	n := ack - o.SndNxt
	if n == 1 && o.SndNxt == o.firstSeq && !o.HasISN {
		// Nothing but keep-alive probes so far, which begin one below (RFC 9293 3.8.4).
		o.SndNxt = ack
		return
	}
	o.Lost += uint64(n)
	o.App.Skip(n)
	o.SndNxt = ack
	c.Partial |= Gaps
}

// repeatedACK tells a challenge ACK from a duplicate one.
func (c *Conn) repeatedACK(e, o *End, p *capture.Packet, at Stamp) Notes {
	if e.mayChallenge != 0 && at.Time-e.mayChallenge < challengeWait && p.Seq == e.SndNxt {
		e.mayChallenge = 0
		e.Challenges++
		e.LastChallenge = at
		c.mark(at, c.sideOf(e), ChallengeACK, 0)
		return NoteChallengeACK
	}
	if o.Outstanding() > 0 && p.Window == e.rawWindow {
		e.DupAcks++
		return NoteDupACK
	}
	return 0
}

// challengeWait is how long (ns) after an unacceptable SYN or RST an ACK is
// taken for its challenge ACK: a round trip of any real path.
const challengeWait = 2e9

// pastFIN counts what a half-closed socket goes on to accept. A fully closed
// one answers data with RST instead (tcp_rcv_state_process, FIN_WAIT states).
//
// A single sequence number that was not captured is more likely the peer's
// FIN than a byte.
func (c *Conn) pastFIN(e, o *End, p *capture.Packet, at Stamp, missing bool) {
	top := p.Ack
	if o.FIN.Seen() && seqLT(o.FIN.Seq, top) {
		top = o.FIN.Seq
	}
	if !e.finAcked || !seqLT(e.finAck, top) || missing && top == e.finAck+1 {
		return
	}
	if !e.FirstPastFIN.Seen() {
		e.FirstPastFIN = at
	}
	e.AckedPastFIN = top - e.finAck
}

// acknowledge settles what o had sent and an ACK now covers.
func (c *Conn) acknowledge(o *End, ack uint32, at Stamp) {
	if ack == o.SndNxt {
		o.HighestAcked = o.Highest
	}
	if o.HasISN && seqLT(o.ISN, ack) {
		for _, t := range []*Tries{&o.SYN, &o.SYNACK} {
			if t.Pending() {
				t.Answered = at
			}
		}
	}
	if o.Data.Pending() && seqLT(o.Data.Seq, ack) {
		if end := o.dataEnd(); seqLT(ack, end) {
			o.nextData(ack)
		} else {
			o.Data.Answered = at
		}
	}
	if o.FIN.Pending() && seqLT(o.FIN.Seq, ack) {
		o.FIN.Answered = at
		o.move(onFINAcked)
		e := &c.Ends[c.sideOf(o).Peer()]
		e.PureFINAcked = true
		e.move(onPeerFIN)
	}
}

// dataEnd is one past the last payload byte o has sent.
func (e *End) dataEnd() uint32 {
	if e.FIN.Seen() && seqLEQ(e.FIN.Seq, e.SndNxt) {
		return e.FIN.Seq
	}
	return e.SndNxt
}

// nextData makes what lies beyond ack the oldest unacknowledged payload. It
// was sent no later than the last new data, and when exactly is not kept.
func (e *End) nextData(ack uint32) {
	first := e.LastData
	if seqLT(e.Data.Seq+e.Data.Len, ack) || e.Data.Count == 1 {
		e.Data = Tries{First: first, Last: first, Seq: ack, Count: 1, Len: e.dataEnd() - ack}
		return
	}
	e.Data = Tries{First: first, Last: e.Data.Last, Seq: ack, Count: 1, Len: e.dataEnd() - ack}
}

// established notes the end of the handshake.
func (c *Conn) established(from Side, p *capture.Packet, at Stamp, pure bool) {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	if p.Flags.Has(capture.SYN) {
		return
	}
	if o.State == SynReceived && o.HasISN && seqLT(o.ISN, p.Ack) {
		if !c.Established.Seen() {
			c.Established = at
			if pure && o.SYNACK.Count == 1 {
				c.RTTClient = at.Time - o.SYNACK.First.Time
			}
		}
		o.move(onHandshake)
		e.move(onHandshake)
	}
	if e.State == Unknown {
		e.move(onHandshake)
	}
}
