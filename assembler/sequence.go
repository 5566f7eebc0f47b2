package assembler

import "hangup/capture"

// reorderWait is how long (ns) after a hole appeared its filling is still
// taken for reordering on the path rather than for a retransmission of a
// segment lost before the capture point. Wireshark uses 3 ms where it knows
// no round trip; retransmissions take at least one.
const reorderWait = 3e6

// sequence applies the segment's sequence space: what is new, what repeats,
// what is a probe.
func (c *Conn) sequence(from Side, p *capture.Packet, at Stamp, idle int64, b *capture.Batch) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	seq := p.Seq
	if p.Flags.Has(capture.SYN) {
		seq++
	}
	if !e.Started {
		e.start(p, seq)
	}
	if e.beganWithProbe(o, p, idle) {
		e.SndNxt++
	}
	if e.isProbe(o, p) {
		return c.probe(e, o, p, at, idle)
	}
	end := seq + p.Len
	if p.Flags.Has(capture.FIN) {
		end++
	}
	if end == seq {
		return 0
	}
	e.Highest = max(e.Highest, p.Len)
	notes := c.place(e, seq, end, p, at, idle, b)
	if p.Len > 0 {
		notes |= c.payload(e, o, seq, p, at, idle, notes)
	}
	return notes
}

// start begins an end's sequence space with its first segment.
func (e *End) start(p *capture.Packet, seq uint32) {
	e.Started = true
	e.firstSeq = seq
	e.SndNxt = seq
	e.appNext = seq
	if !e.AckSeen {
		e.SndUna = p.Seq
	}
	if e.AckSeen && seqLT(e.SndNxt, e.SndUna) && near(e.SndUna, e.SndNxt) && p.Len == 0 {
		e.SndNxt = e.SndUna // began with a keep-alive probe or an old segment
	}
}

// probePause is the shortest time (ns) between keep-alive probes: Windows, the
// least patient, takes a second.
const probePause = 900e6

// beganWithProbe reports whether p shows that e's first packet was a
// keep-alive probe: the same bare ACK again after a pause, though its peer
// never said a word that it could answer.
func (e *End) beganWithProbe(o *End, p *capture.Packet, idle int64) bool {
	return !e.HasISN && !e.AckSeen && e.Packets > 1 && o.Packets == 0 && idle >= probePause &&
		p.Len == 0 && p.Flags&(capture.SYN|capture.FIN|capture.RST) == 0 &&
		p.Seq == e.SndNxt && p.Seq == e.firstSeq && p.Ack == o.SndUna && p.Window == e.rawWindow
}

// isProbe reports whether p is a keep-alive or window probe: one below what
// its sender has already sent and the peer acknowledged, with at most a
// garbage byte (RFC 9293 3.8.4; tcp_xmit_probe_skb).
func (e *End) isProbe(o *End, p *capture.Packet) bool {
	if p.Len > fewBytes || p.Flags&(capture.SYN|capture.FIN|capture.RST) != 0 || !e.Started {
		return false
	}
	if e.FIN.Answered.Seen() && o.FIN.Answered.Seen() {
		return false // nobody probes a connection that is over: an old ACK, reordered
	}
	if p.Seq == e.SndNxt-1 && p.Seq != e.ISN {
		return e.AckSeen && e.SndUna == e.SndNxt || !e.AckSeen && p.Len == 0
	}
	if p.Seq == e.SndNxt-1 && e.HasISN && p.Seq == e.ISN {
		return p.Len == 0 && e.AckSeen && e.SndUna == e.SndNxt // idle since the handshake
	}
	// Linux probes below SND.UNA when the peer's window stays shut.
	return p.Len == 0 && e.AckSeen && p.Seq == e.SndUna-1 && o.rawWindow == 0 && o.ZeroWindow.Pending()
}

// probe counts a keep-alive or window probe.
func (c *Conn) probe(e, o *End, p *capture.Packet, at Stamp, idle int64) Notes {
	run, note := &e.Probe, NoteKeepAlive
	if o.ZeroWindow.Pending() {
		run, note = &e.WProb, NoteWindowProbe
		e.WinProbes++
	} else {
		e.KeepAlives++
	}
	if run.Pending() {
		run.again(at, idle, p.Seq, p.Len)
		return note
	}
	prev := run.Last.Time
	*run = Tries{}
	run.again(at, idle, p.Seq, p.Len)
	if gap := at.Time - prev; prev != 0 && idle > gap-gap/8 {
		run.Prev = prev // nothing but the answer came between: one rhythm
	}
	return note
}

// place finds the segment's place among what its sender has sent: next in
// order, beyond a hole, filling one, or repeating.
func (c *Conn) place(e *End, seq, end uint32, p *capture.Packet, at Stamp, idle int64, b *capture.Batch) Notes {
	switch {
	case seq == e.SndNxt:
		e.SndNxt = end
	case seqLT(e.SndNxt, seq):
		if o := &c.Ends[c.sideOf(e).Peer()]; !near(seq, e.SndNxt) && !o.acknowledgedBy(p) {
			return 0 // out of any window: nothing of this connection
		}
		e.addHole(span{e.SndNxt, seq}, at.Time)
		e.SndNxt = end
		e.feed(seq, p, b)
		e.Bytes += uint64(p.Len)
		return NoteGap
	default:
		return c.repeat(e, seq, end, p, at, b)
	}
	e.feed(seq, p, b)
	e.Bytes += uint64(p.Len)
	return 0
}

// acknowledgedBy reports whether p acknowledges exactly what this end has
// sent, or had acknowledged before. Only the peer does, so that p belongs to
// the connection however much of it the capture has lost.
func (o *End) acknowledgedBy(p *capture.Packet) bool {
	return p.Flags.Has(capture.ACK) && o.Started && (p.Ack == o.SndNxt || o.AckSeen && p.Ack == o.SndUna)
}

// repeat handles a segment that begins in sequence space already passed.
func (c *Conn) repeat(e *End, seq, end uint32, p *capture.Packet, at Stamp, b *capture.Batch) Notes {
	filled := e.fillHoles(seq, end)
	fresh := uint32(0)
	if seqLT(e.SndNxt, end) {
		fresh = end - e.SndNxt
		e.SndNxt = end
		e.feed(seq, p, b)
		if p.Flags.Has(capture.FIN) {
			fresh--
		}
	} else if filled > 0 {
		e.feed(seq, p, b) // only a FIN or a bare ACK had come before it, which the framing did not hear of
	}
	e.Bytes += uint64(min(filled+fresh, p.Len))
	if filled > 0 && at.Time-e.holeTime < max(reorderWait, min(c.RTTServer+c.RTTClient, 50e6)/2) {
		e.Reordered++
		return NoteReordered
	}
	if p.Len > 0 && fresh < p.Len {
		e.Retransmits++
		return NoteRetransmission
	}
	return 0
}

// payload keeps the books of data: what is outstanding, what came late.
func (c *Conn) payload(e, o *End, seq uint32, p *capture.Packet, at Stamp, idle int64, notes Notes) Notes {
	again := notes&NoteRetransmission != 0
	switch {
	case e.AckSeen && seqLEQ(seq+p.Len, e.SndUna):
		// Acknowledged already: repeated for nothing, or seen late.
		if again {
			e.Deaf.again(at, idle, seq, p.Len)
		}
	case !e.Data.Pending():
		e.Data = Tries{}
		e.Data.again(at, idle, seq, p.Len)
	case again && seqLEQ(seq, e.Data.Seq) && seqLT(e.Data.Seq, seq+p.Len):
		e.Data.again(at, idle, seq, p.Len)
	}
	if again {
		return 0
	}
	e.Deaf = Tries{}
	if notes&NoteReordered == 0 {
		e.beat(at, p.Len)
		if !e.FirstData.Seen() {
			e.FirstData = at
		}
		e.LastData = at
	} else if e.FIN.Seen() && seq+p.Len == e.FIN.Seq {
		e.LastData = at // the FIN that was captured before it came behind it
	}
	e.SinceData = 0
	o.SinceData += uint64(p.Len)
	if !o.FIN.Seen() || notes&NoteReordered != 0 {
		return 0
	}
	// The first try stands for when; its length sums what came late.
	late := e.LateData.Len + p.Len
	e.LateData.again(at, idle, seq, p.Len)
	e.LateData.Len = late
	if e.LateData.Count == 1 {
		e.LateAfterAck = !e.sentUnseen && (e.PureFINAcked || p.Flags.Has(capture.ACK) && seqLT(o.FIN.Seq, p.Ack))
		c.mark(at, c.sideOf(e), DataAfterClose, p.Len)
	}
	return NoteAfterFIN
}

// feed hands payload that continues e's stream to its framing.
func (e *End) feed(seq uint32, p *capture.Packet, b *capture.Batch) {
	if p.Len == 0 || b == nil {
		return
	}
	skip := uint32(0)
	switch d := int32(seq - e.appNext); {
	case d > 0:
		e.App.Skip(uint32(d))
	case d < 0:
		skip = uint32(-d)
	}
	if skip >= p.Len {
		return
	}
	e.appNext = seq + p.Len
	if e.App.Deaf() {
		return
	}
	seg := b.Payload(p)
	if int(skip) > len(seg) {
		e.App.Skip(p.Len - skip)
		return
	}
	e.App.Feed(seg[skip:], p.Len-skip)
}

// addHole remembers sequence space that was passed over. When there are more
// holes than fit, the oldest ones merge into one.
func (e *End) addHole(h span, now int64) {
	e.holeTime = now
	if e.nhole == maxHoles {
		e.holes[0].to = e.holes[1].to
		copy(e.holes[1:], e.holes[2:])
		e.nhole--
	}
	e.holes[e.nhole] = h
	e.nhole++
}

// fillHoles takes [from, to) out of the holes and returns how much of it they held.
func (e *End) fillHoles(from, to uint32) uint32 {
	var filled uint32
	for i := 0; i < int(e.nhole); i++ {
		h := &e.holes[i]
		l, r := seqMax(h.from, from), to
		if seqLT(h.to, r) {
			r = h.to
		}
		if !seqLT(l, r) {
			continue
		}
		filled += r - l
		switch {
		case l == h.from && r == h.to:
			copy(e.holes[i:], e.holes[i+1:e.nhole])
			e.nhole--
			i--
		case l == h.from:
			h.from = r
		case r == h.to:
			h.to = l
		default:
			h.to = l // the part behind is given up: it can only be counted too low
		}
	}
	return filled
}

// dropHoles turns the holes that ack covers into bytes the capture missed.
func (e *End) dropHoles(ack uint32) {
	for e.nhole > 0 && seqLT(e.holes[0].from, ack) {
		h := &e.holes[0]
		to := h.to
		if seqLT(ack, to) {
			to = ack
		}
		e.Lost += uint64(to - h.from)
		h.from = to
		if h.from != h.to {
			return
		}
		copy(e.holes[:], e.holes[1:e.nhole])
		e.nhole--
	}
}
