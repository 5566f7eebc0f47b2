package assembler

import "hangup/capture"

// accept takes p, which from sent, into the flow if it is plain; otherwise
// it changes nothing and returns false. Each step is the general code's of
// the same name with all that cannot happen here left out.
func (t *Tracker) accept(f *flow, from Side, p *capture.Packet) bool {
	from &= 1 // which the compiler then knows
	sig := signature(p)
	if !f.expects(from, p) || f.unsure(from, p) && (!f.allows(from, p, sig) || t.cfg.Expire && f.expires() < p.Time) {
		return false
	}
	at := Stamp{p.Ref, p.Time}
	idle := p.Time - f.lastTime
	if idle>>idleTick >= int64(f.idleBound) {
		f.idled(at, idle)
	}
	x := &f.sent[from]
	x.signatures[x.packets%keptCopies] = sig
	x.packets++
	x.last, f.lastTime = at, p.Time
	f.bits = f.bits&^flowServerLast | flowServerLast*flowBits(from)
	if kind := letterOf(p); x.letters&kind == 0 {
		f.letter(from, kind)
	}
	if p.Ack != f.sndUna[^from&1] {
		f.acknowledge(from, p, at)
	}
	if p.Len > 0 {
		t.payload(f, from, p, at, idle)
		if f.ends[from]&endDeaf == 0 {
			t.feed(f, from, p)
		}
	}
	if p.Flags&capture.FIN != 0 {
		f.fin(from, p, at, idle)
	}

	// Conn.window.
	x.rawWindow = p.Window
	x.topWindow = max(x.topWindow, p.Window)
	if edge := p.Ack + uint32(p.Window)<<(x.shift&15); f.ends[from]&endEdge == 0 || seqLT(x.rightEdge, edge) {
		x.rightEdge, x.windowAck = edge, p.Ack
		f.ends[from] |= endEdge
	}

	// Conn.fingerprint.
	if f.ends[from]&endIPv4ID != 0 {
		f.ends[from] &^= endSameID
		if p.IPID == x.ipid {
			f.ends[from] |= endSameID
		}
		if x.ipidKind != IPIDRising || p.IPID-x.ipid >= maxIPIDStep {
			x.ipidKind = x.ipidKind.next(p.IPID, x.ipid)
		}
		x.ipid = p.IPID
	}
	x.tsLast = p.TSVal
	x.lastLen = uint16(p.Len)
	return true
}

const (
	flowBytes   = 1 << 30         // sequence space of one end beyond which numbers might wrap
	flowPackets = flowBytes >> 16 // packets that certainly need less
	flowHeld    = zeekExcessive / 2
)

// expects reports whether p is the segment that from sends next when all goes
// well, as far as one look tells.
func (f *flow) expects(from Side, p *capture.Packet) bool {
	from &= 1
	una := f.sndUna[^from&1]
	return p.Flags&(capture.SYN|capture.RST|capture.ACK) == capture.ACK &&
		p.Seq == f.sndNxt[from] &&
		p.Ack-una <= f.sndNxt[^from&1]-una &&
		p.Window != 0 &&
		p.Len < 1<<16 &&
		p.Time >= f.lastTime &&
		placeOf(p).with(p.Link, p.TTL) == f.sent[from].where &&
		p.Options&oddOptions == 0 &&
		p.Options&capture.OptTimestamps != 0 == (f.ends[from]&endStamps != 0) &&
		p.Traits&capture.HeaderCut == 0
}

// unsure reports whether p takes the second look of allows.
func (f *flow) unsure(from Side, p *capture.Packet) bool {
	from &= 1
	switch {
	case f.bits&(flowEstablished|flowFull) != flowEstablished, (f.ends[0]|f.ends[1])&endFIN != 0,
		p.Flags&capture.FIN != 0, p.Ack == 0, f.sent[from].packets >= flowPackets:
		return true
	case p.Len == 0:
		return p.Ack == f.sndUna[^from&1]
	}
	return p.CapLen >= p.Len && f.ends[from]&endLags != 0 || p.Seq-f.sndUna[from] > flowHeld
}

// allows takes the second look: p is as expected, but of a kind that not
// always leaves the flow plain.
func (f *flow) allows(from Side, p *capture.Packet, sig uint32) bool {
	peer := from.Peer()
	fin, fresh := p.Flags.Has(capture.FIN), p.Ack != f.sndUna[peer]
	whole := p.CapLen >= p.Len
	switch {
	case f.bits&flowFull != 0, p.Ack == 0, p.Seq-f.sndUna[from] > flowHeld,
		f.sent[from].packets >= flowPackets && p.Seq-f.tail[from].isn > flowBytes:
		return false
	case p.Len > 0 && whole && f.has(from, endLags):
		return false // beyond a hole of Zeek's, which takes no notice of cut payload
	case f.bits&flowEstablished == 0:
		return from == Client && fresh && !fin
	case f.has(from, endFIN):
		// It may acknowledge no more than the peer's FIN.
		return p.Len == 0 && !fin && !f.over() && (!f.has(peer, endFIN) || p.Time < f.removal()) &&
			(fresh && f.has(peer, endFIN) && p.Ack == f.sndNxt[peer] && f.tail[from].finAck == p.Ack-1 ||
				!fresh && f.reopens(from, p, sig))
	case f.has(peer, endFIN) && (p.Len > 0 || fin && p.Ack != f.sndNxt[peer]):
		return false // late payload; FINs that cross
	case fin:
		// Zeek closes at once if nothing is undelivered or unacknowledged.
		return whole && !f.has(from, endLags) && seqLEQ(f.delivered(peer), p.Ack)
	case p.Len == 0 && !fresh:
		return f.reopens(from, p, sig)
	}
	return true
}

// reopens reports whether p, which carries nothing new, is merely a new
// window: no duplicate ACK, and not the same packet again.
func (f *flow) reopens(from Side, p *capture.Packet, sig uint32) bool {
	x, peer := &f.sent[from], from.Peer()
	if f.sndUna[peer] != f.sndNxt[peer] && p.Window == x.rawWindow {
		return false
	}
	for _, s := range x.signatures {
		if s == sig {
			return false
		}
	}
	return true
}

// idled is Conn.idle for a silence that may be the longest. Nearly always
// idleBound alone tells, and what is only written need not be waited for.
func (f *flow) idled(at Stamp, idle int64) {
	if ticks := idle >> idleTick; ticks > int64(f.idleBound) && ticks < 1<<16 || idle > f.maxIdle {
		f.maxIdle, f.maxIdleEnd = idle, at
		f.idleBound = uint16(min(ticks, 1<<16-1))
	}
}

// letterOf is which letter of Zeek's history p calls for.
func letterOf(p *capture.Packet) uint8 {
	switch {
	case p.Flags&capture.FIN != 0:
		return zeekSeenFIN
	case p.Len > 0:
		return zeekSeenData
	}
	return zeekSeenACK
}

// letter is zeekConn.once.
func (f *flow) letter(from Side, kind uint8) {
	f.sent[from].letters |= kind
	switch kind {
	case zeekSeenFIN:
		f.add('F', from)
	case zeekSeenData:
		f.add('D', from)
	default:
		f.add('A', from)
	}
}

func (f *flow) add(letter byte, from Side) {
	f.history[f.nhistory] = letter | 0x20*byte(from)
	if f.nhistory++; int(f.nhistory) > len(f.history)-2 {
		f.bits |= flowFull // one packet may add two letters
	}
}

// acknowledge is Conn.ack and what it calls, for an acknowledgment of
// something new.
func (f *flow) acknowledge(from Side, p *capture.Packet, at Stamp) {
	from &= 1
	peer := ^from & 1
	x, y := &f.sent[from], &f.sent[peer]
	if f.bits&flowEstablished == 0 {
		f.bits |= flowEstablished
		if p.Len == 0 {
			f.bits |= flowPureACK
		}
		f.established = at
	} else {
		f.ackStep[from] = p.Ack - f.sndUna[peer]
	}
	if p.Ack == f.sndNxt[peer] {
		f.highestAcked[peer] = f.highest[peer]
		if f.has(peer, endFIN) {
			f.closeAcked(peer)
		}
	}
	x.lastNewAck = at
	f.sndUna[peer] = p.Ack
	end := f.dataEnd(peer)
	if f.has(peer, endPending) {
		if seqLT(p.Ack, end) {
			y.unacked, y.idle, y.seq, y.len = y.lastData, 0, p.Ack, end-p.Ack
		} else {
			f.ends[peer] &^= endPending // and lastNewAck is Data.Answered
		}
	}
	if f.has(peer, endLags|endEager) {
		f.deliver(peer, p.Ack, end)
	}
}

// closeAcked notes that all that s has sent, its FIN included, is now
// acknowledged. Its payload may have been before.
func (f *flow) closeAcked(s Side) {
	if f.ends[s]&(endData|endPending) == endData {
		f.tail[s].answered = f.sent[s.Peer()].lastNewAck
		f.ends[s] |= endSettled
	}
	f.ends[s] |= endFINAcked
}

// deliver is zeekConn.deliverTo, for an acknowledgment of what s sent, where
// Zeek's view of it is not simply what was sent and what acknowledged.
func (f *flow) deliver(s Side, ack, end uint32) {
	x := &f.tail[s]
	if seqLT(end, ack) {
		ack = end
	}
	if f.has(s, endEager) {
		if !seqLT(x.zeekTrim, ack) {
			return
		}
		f.ends[s] &^= endEager
	}
	if f.has(s, endLags) && seqLT(x.zeekNext, ack) {
		x.zeekNext = ack
		f.gap(x, s)
	}
	if f.has(s, endLags) && x.zeekNext == end {
		f.ends[s] &^= endLags
	}
}

// gap is zeekConn.scaled of the letter G.
func (f *flow) gap(x *flowTail, s Side) {
	x.gaps++
	n := x.gaps
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		f.add('G', s)
	}
}

// payload is End.place and Conn.payload; and zeekEnd.data.
func (t *Tracker) payload(f *flow, from Side, p *capture.Packet, at Stamp, idle int64) {
	from &= 1
	x := &f.sent[from]
	if f.ends[from]&(endData|endBusy) != endData|endBusy || p.Len <= beatBytes && at.Time-x.lastData.Time >= beatPause {
		t.beat(f, from, p, at)
	}
	f.sndNxt[from] += p.Len
	f.highest[from] = max(f.highest[from], uint16(p.Len))
	if !f.has(from, endPending) {
		f.ends[from] |= endPending
		x.unacked, x.idle, x.seq, x.len = at, idle, p.Seq, p.Len
	}
	x.lastData = at
	if last := f.bits&flowServerData != 0; last != (from == Server) {
		f.since = 0
		f.bits ^= flowServerData
	}
	f.since += p.Len
	if p.CapLen < p.Len {
		f.cut(from, p)
	} else if f.sndNxt[from]-f.sndUna[from] > zeekInitialWindow && f.sndUna[from] == f.tail[from].isn+1 {
		f.tail[from].zeekTrim = f.sndNxt[from]
		f.ends[from] |= endEager
	}
}

// beat is what payload rarely has to do: to note the first, and to feel the
// rhythm after a pause. Before the first pause there is none to feel, so that
// Beats are kept apart from the flows: flowTail.beat is one more than the
// number of one in Tracker.beats, 0 until then.
func (t *Tracker) beat(f *flow, from Side, p *capture.Packet, at Stamp) {
	x := &f.tail[from]
	b := t.beatOf(f, from)
	if !f.has(from, endData) {
		f.ends[from] |= endData
		x.firstData = at
	}
	b.take(f.sent[from].lastData, at, p.Len)
	f.ends[from] &^= endBusy
	if b.busy() {
		f.ends[from] |= endBusy
	}
	if x.beat == 0 && b == (Beat{len: b.len}) {
		return
	}
	if x.beat == 0 {
		x.beat = t.beats.take() + 1
	}
	*t.beats.at(x.beat - 1) = b
}

// beatOf is End.Beat of a flow.
func (t *Tracker) beatOf(f *flow, s Side) Beat {
	if beat := f.tail[s].beat; beat != 0 {
		return *t.beats.at(beat - 1)
	}
	return Beat{len: min(f.dataEnd(s)-f.tail[s].isn-1, beatBytes+1)}
}

// cut notes payload that Zeek does not see.
func (f *flow) cut(from Side, p *capture.Packet) {
	if p.Has(capture.SnapCut) {
		f.bits |= flowCut
	}
	if !f.has(from, endLags) {
		f.ends[from] |= endLags
		f.tail[from].zeekNext = p.Seq
	}
}

// fin is Conn.fin.
func (f *flow) fin(from Side, p *capture.Packet, at Stamp, idle int64) {
	if from == Server && !f.has(Client, endFIN) {
		f.bits |= flowServerFIN
	}
	f.sndNxt[from]++
	f.ends[from] |= endFIN
	x := &f.tail[from]
	x.fin, x.finIdle, x.finLen, x.finAck = at, idle, uint16(p.Len), p.Ack
}
