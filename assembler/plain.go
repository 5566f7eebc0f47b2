package assembler

import "hangup/capture"

// accept takes p, which from sent, into the flow if it is plain; otherwise
// it changes nothing and returns false. Each step is the general code's of
// the same name with all that cannot happen here left out.
func (t *Tracker) accept(f *flow, from Side, p *capture.Packet) bool {
	e, o := &f.end[from], &f.end[from.Peer()]
	s := sightingOf(p)
	if !f.expects(e, o, p) || f.unsure(e, o, p) && !f.allows(from, p, s.sig) {
		return false
	}
	at := Stamp{p.Ref, p.Time}
	idle := p.Time - f.lastTime
	if idle > f.maxIdle {
		f.maxIdle, f.maxIdleEnd = idle, at
	}
	f.seen[from][e.packets%keptCopies] = s
	e.packets++
	e.last, f.lastTime = at, p.Time
	f.bits = f.bits&^flowServerLast | flowServerLast*flowBits(from)

	f.letter(e, from, p)
	if p.Ack != o.sndUna {
		f.acknowledge(e, o, from, p, at)
	}
	if p.Len > 0 {
		f.payload(e, o, p, at, idle)
		t.feed(e, p)
	}
	if p.Flags.Has(capture.FIN) {
		f.fin(e, o, from, p, at, idle)
	}
	e.window(p)
	e.fingerprint(p)
	return true
}

// expects reports whether p is the segment that e sends next when all goes
// well, as far as one look tells.
func (f *flow) expects(e, o *flowEnd, p *capture.Packet) bool {
	return p.Flags&(capture.SYN|capture.RST|capture.ACK) == capture.ACK &&
		p.Seq == e.sndNxt &&
		p.Ack-o.sndUna <= o.sndNxt-o.sndUna &&
		p.Window != 0 &&
		p.Len <= 1<<16-1 &&
		p.Time >= f.lastTime &&
		placeOf(p).with(p.Link, p.TTL) == e.where &&
		p.Options&oddOptions == 0 &&
		p.Options&capture.OptTimestamps != 0 == e.has(endStamps) &&
		p.Traits&capture.HeaderCut == 0
}

const (
	flowBytes = 1 << 30 // payload of one end beyond which numbers might wrap
	flowHeld  = zeekExcessive / 2
)

// unsure reports whether p takes the second look of allows.
func (f *flow) unsure(e, o *flowEnd, p *capture.Packet) bool {
	switch {
	case f.bits&flowEstablished == 0, (e.bits|o.bits)&endFIN != 0, p.Flags.Has(capture.FIN),
		int(f.nhistory) > len(f.history)-2, p.Ack == 0:
		return true
	case p.Len == 0:
		return p.Ack == o.sndUna
	}
	return p.CapLen >= p.Len && p.Seq != e.zeekNext || p.Seq-e.zeekTrim > flowHeld || p.Seq-e.isn > flowBytes
}

// allows takes the second look: p is as expected, but of a kind that not
// always leaves the flow plain.
func (f *flow) allows(from Side, p *capture.Packet, sig uint32) bool {
	e, o := &f.end[from], &f.end[from.Peer()]
	fin, fresh := p.Flags.Has(capture.FIN), p.Ack != o.sndUna
	switch {
	case int(f.nhistory) > len(f.history)-2, p.Ack == 0, p.Seq-e.zeekTrim > flowHeld, p.Seq-e.isn > flowBytes:
		return false
	case p.Len > 0 && p.CapLen >= p.Len && p.Seq != e.zeekNext:
		return false // beyond a hole of Zeek's, which saw cut payload before
	case f.bits&flowEstablished == 0:
		return from == Client && fresh && !fin
	case e.has(endFIN):
		// It may acknowledge no more than the peer's FIN.
		return p.Len == 0 && !fin && !f.over() && (!o.has(endFIN) || p.Time < f.removal()) &&
			(fresh && o.has(endFIN) && p.Ack == o.sndNxt && e.finAck == p.Ack-1 || !fresh && f.repeats(from, p, sig))
	case o.has(endFIN) && (p.Len > 0 || fin && p.Ack != o.sndNxt):
		return false // late payload; FINs that cross
	case fin:
		// Zeek closes at once if nothing is undelivered or unacknowledged.
		return p.CapLen >= p.Len && p.Seq == e.zeekNext && seqLEQ(o.zeekNext, p.Ack)
	case p.Len == 0 && !fresh:
		return f.repeats(from, p, sig)
	}
	return true
}

// repeats reports whether p, which carries nothing new, is merely a new
// window: no duplicate ACK, and not the same packet again.
func (f *flow) repeats(from Side, p *capture.Packet, sig uint32) bool {
	e, o := &f.end[from], &f.end[from.Peer()]
	if o.sndUna != o.sndNxt && p.Window == e.rawWindow {
		return false
	}
	for _, s := range f.seen[from] {
		if s.sig == sig {
			return false
		}
	}
	return true
}

// letter is zeekConn.flags.
func (f *flow) letter(e *flowEnd, from Side, p *capture.Packet) {
	bit, letter := zeekSeenACK, byte('A')
	switch {
	case p.Flags.Has(capture.FIN):
		bit, letter = zeekSeenFIN, 'F'
	case p.Len > 0:
		bit, letter = zeekSeenData, 'D'
	}
	if e.letters&bit == 0 {
		e.letters |= bit
		f.add(letter, from)
	}
}

func (f *flow) add(letter byte, from Side) {
	f.history[f.nhistory] = letter | 0x20*byte(from)
	f.nhistory++
}

// acknowledge is Conn.ack and what it calls, for an acknowledgment of
// something new; and Zeek's takeACK and deliverTo.
func (f *flow) acknowledge(e, o *flowEnd, from Side, p *capture.Packet, at Stamp) {
	if f.bits&flowEstablished == 0 {
		f.bits |= flowEstablished
		if p.Len == 0 {
			f.bits |= flowPureACK
		}
		f.established = at
	} else {
		e.ackStep = p.Ack - o.sndUna
	}
	e.lastNewAck = at
	if p.Ack == o.sndNxt {
		o.highestAcked = o.highest
	}
	end := o.dataEnd()
	if o.has(endPending) {
		if seqLT(p.Ack, end) {
			o.firstUnacked, o.idle, o.seq, o.len = o.lastData, 0, p.Ack, end-p.Ack
		} else {
			o.bits &^= endPending
			o.answered = at
		}
	}
	o.sndUna = p.Ack
	delivered := p.Ack
	if o.has(endFIN) && p.Ack == o.sndNxt {
		o.bits |= endFINAcked
		delivered = end
	}
	if !seqLT(o.zeekTrim, delivered) {
		return
	}
	o.zeekTrim = delivered
	if seqLT(o.zeekNext, delivered) {
		o.zeekNext = delivered
		f.gap(o, from.Peer())
	}
}

// gap is zeekConn.scaled of the letter G.
func (f *flow) gap(o *flowEnd, side Side) {
	o.gaps++
	n := o.gaps
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		f.add('G', side)
	}
}

// payload is End.place and Conn.payload; and zeekEnd.data.
func (f *flow) payload(e, o *flowEnd, p *capture.Packet, at Stamp, idle int64) {
	e.sndNxt += p.Len
	e.highest = max(e.highest, uint16(p.Len))
	if !e.has(endPending) {
		e.bits |= endPending
		e.firstUnacked, e.idle, e.seq, e.len = at, idle, p.Seq, p.Len
	}
	e.beat.take(e.lastData, at, p.Len)
	if !e.firstData.Seen() {
		e.firstData = at
	}
	e.lastData = at
	e.sinceData = 0
	o.sinceData += p.Len
	if p.CapLen < p.Len {
		if p.Has(capture.SnapCut) {
			f.bits |= flowCut
		}
		return
	}
	e.zeekNext = e.sndNxt
	if e.sndUna == e.isn+1 && e.sndNxt-e.sndUna > zeekInitialWindow {
		e.zeekTrim = e.zeekNext
	}
}

// fin is Conn.fin.
func (f *flow) fin(e, o *flowEnd, from Side, p *capture.Packet, at Stamp, idle int64) {
	if from == Server && !o.has(endFIN) {
		f.bits |= flowServerFIN
	}
	e.sndNxt++
	e.bits |= endFIN
	e.fin, e.finIdle, e.finLen, e.finAck = at, idle, uint16(p.Len), p.Ack
}

// window is Conn.window.
func (e *flowEnd) window(p *capture.Packet) {
	w := uint32(p.Window) << e.shift
	e.rawWindow = p.Window
	e.maxWindow = max(e.maxWindow, w)
	if edge := p.Ack + w; !e.has(endEdge) || seqLT(e.rightEdge, edge) {
		e.rightEdge, e.windowAck = edge, p.Ack
		e.bits |= endEdge
	}
}

// fingerprint is Conn.fingerprint, and End.remember's part of it.
func (e *flowEnd) fingerprint(p *capture.Packet) {
	if e.has(endIPv4ID) {
		e.bits &^= endSameID
		if p.IPID == e.ipid {
			e.bits |= endSameID
		}
		e.ipidKind = e.ipidKind.next(p.IPID, e.ipid)
		e.ipid = p.IPID
	}
	e.tsLast = p.TSVal
	e.lastLen = uint16(p.Len)
}
