package assembler

import "hangup/capture"

// accept takes p, which from sent, into the flow if it is plain; otherwise
// it changes nothing and returns false. Each step is the general code's of
// the same name with all that cannot happen here left out.
func (t *Tracker) accept(f *flow, from Side, p *capture.Packet) bool {
	from &= 1 // which the compiler then knows
	x, una := &f.sides[from], f.sndUna[from^1]
	at, near := momentOf(Stamp{p.Ref, p.Time}, &t.epochs[f.epoch])
	// Is it the segment that from sends next when all goes well?
	if p.Flags&(capture.SYN|capture.RST|capture.ACK) != capture.ACK ||
		p.Seq != f.sndNxt[from] || p.Ack-una > f.sndNxt[from^1]-una ||
		p.Window == 0 || p.Len >= 1<<16 || p.Time < f.lastTime || !near ||
		placeOf(p).with(p.Link, p.TTL) != x.where || p.Traits&capture.HeaderCut != 0 || p.Options&oddOptions != 0 ||
		p.Options&capture.OptTimestamps != 0 != (f.ends[from]&endStamps != 0) {
		return false
	}
	sig := signature(p)
	if f.unsure(from, p, una) && !t.allows(f, from, p, sig) {
		return false
	}
	idle := p.Time - f.lastTime
	if idle>>idleTick >= int64(f.idleBound) {
		t.idled(f, at, idle)
	}
	f.lastTime = p.Time
	f.bits = f.bits&^flowServerLast | flowServerLast*flowBits(from)
	if kind := letterOf(p); x.letters&kind == 0 {
		x.letters |= kind
		t.cold(f).letter(f, from, kind)
	}

	if p.Ack != una || p.Window != x.rawWindow || f.ends[from]&endNewEdge == 0 {
		t.window(f, from, p)
	}

	last := endBits(0)
	if p.Ack != una {
		t.acknowledge(f, from, p, at)
		last = endLastAck
	}
	if p.Len > 0 {
		t.payload(f, from, p, at, idle)
		last = endLastData
	}
	if last == 0 {
		t.cold(f).ends[from].last = at
	}
	f.ends[from] = f.ends[from]&^(endLastAck|endLastData) | last
	if p.Flags&capture.FIN != 0 {
		t.fin(f, from, p, at, idle)
	}
	if f.ends[from]&endIPv4ID != 0 {
		f.fingerprint(from, p)
	}
	x.signatures[x.packets%keptCopies] = sig
	x.packets++
	x.tsLast, x.lastLen = p.TSVal, uint16(p.Len)
	return true
}

const (
	flowBytes   = 1 << 30         // sequence space of one end beyond which numbers might wrap
	flowPackets = flowBytes >> 16 // packets that certainly need less
	flowHeld    = zeekExcessive / 2
)

// unsure reports whether p, which acknowledges anything beyond una, takes the
// second look of allows.
func (f *flow) unsure(from Side, p *capture.Packet, una uint32) bool {
	if f.bits&(flowEstablished|flowFull) != flowEstablished || (f.ends[0]|f.ends[1])&endFIN != 0 ||
		p.Flags&capture.FIN != 0 || p.Ack == 0 || f.sides[from].packets >= flowPackets {
		return true
	}
	if p.Len == 0 {
		return p.Ack == una
	}
	return p.CapLen >= p.Len && f.ends[from]&endLags != 0 || p.Seq-f.sndUna[from] > flowHeld
}

// allows takes the second look: p is as expected, but of a kind that not
// always leaves the flow plain.
func (t *Tracker) allows(f *flow, from Side, p *capture.Packet, sig uint32) bool {
	peer := from.Peer()
	fin, fresh := p.Flags.Has(capture.FIN), p.Ack != f.sndUna[peer]
	whole := p.CapLen >= p.Len
	k := t.cold(f)
	switch {
	case f.bits&flowFull != 0, p.Ack == 0, p.Seq-f.sndUna[from] > flowHeld, t.cfg.Expire && f.expires() < p.Time,
		f.sides[from].packets >= flowPackets && p.Seq-k.ends[from].isn > flowBytes:
		return false
	case p.Len > 0 && whole && f.has(from, endLags):
		return false // beyond a hole of Zeek's, which takes no notice of cut payload
	case f.bits&flowEstablished == 0:
		return from == Client && fresh && !fin
	case f.has(from, endFIN):
		// It may acknowledge no more than the peer's FIN.
		return p.Len == 0 && !fin && !f.over() && (!f.has(peer, endFIN) || p.Time < t.removal(f, k)) &&
			(fresh && f.has(peer, endFIN) && p.Ack == f.sndNxt[peer] && k.ends[from].finAck == p.Ack-1 ||
				!fresh && f.reopens(from, p, sig))
	case f.has(peer, endFIN) && (p.Len > 0 || fin && p.Ack != f.sndNxt[peer]):
		return false // late payload; FINs that cross
	case fin:
		// Zeek closes at once if nothing is undelivered or unacknowledged.
		return whole && !f.has(from, endLags) && seqLEQ(f.delivered(peer, k), p.Ack)
	case p.Len == 0 && !fresh:
		return f.reopens(from, p, sig)
	}
	return true
}

// reopens reports whether p, which carries nothing new, is merely a new
// window: no duplicate ACK, and not the same packet again.
func (f *flow) reopens(from Side, p *capture.Packet, sig uint32) bool {
	x, peer := &f.sides[from], from.Peer()
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
func (t *Tracker) idled(f *flow, at moment, idle int64) {
	k := t.cold(f)
	if ticks := idle >> idleTick; ticks > int64(f.idleBound) && ticks < 1<<16 || idle > k.maxIdle {
		k.maxIdle, k.maxIdleEnd = idle, at
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
func (k *flowCold) letter(f *flow, from Side, kind uint8) {
	switch kind {
	case zeekSeenFIN:
		k.add(f, 'F', from)
	case zeekSeenData:
		k.add(f, 'D', from)
	default:
		k.add(f, 'A', from)
	}
}

func (k *flowCold) add(f *flow, letter byte, from Side) {
	k.history[k.nhistory] = letter | 0x20*byte(from)
	if k.nhistory++; int(k.nhistory) > len(k.history)-2 {
		f.bits |= flowFull // one packet may add two letters
	}
}

// window is Conn.window for another window, or the same one further on.
func (t *Tracker) window(f *flow, from Side, p *capture.Packet) {
	from &= 1
	x, una := &f.sides[from], f.sndUna[from^1]
	shift := x.shift() & 15
	was, edge := una+uint32(x.rawWindow)<<shift, p.Ack+uint32(p.Window)<<shift
	x.rawWindow, x.topWindow = p.Window, max(x.topWindow, p.Window)
	if f.ends[from]&endNewEdge != 0 && seqLT(was, edge) {
		return
	}
	k := &t.cold(f).ends[from]
	switch {
	case f.ends[from]&endNewEdge != 0:
		k.rightEdge, k.windowAck = was, una
		f.ends[from] &^= endNewEdge
	case x.packets == 1 || seqLT(k.rightEdge, edge):
		f.ends[from] |= endNewEdge
	}
}

// rightEdge is End.RightEdge, after the first packet that says anything of it.
func (f *flow) rightEdge(s Side, k *coldEnd) uint32 {
	if f.has(s, endNewEdge) {
		x := &f.sides[s]
		return f.sndUna[s.Peer()] + uint32(x.rawWindow)<<x.shift()
	}
	return k.rightEdge
}

// acknowledge is Conn.ack and what it calls, for an acknowledgment of
// something new.
func (t *Tracker) acknowledge(f *flow, from Side, p *capture.Packet, at moment) {
	from &= 1
	peer := from ^ 1
	x, una := &f.sides[from], f.sndUna[peer]
	if f.bits&flowEstablished == 0 {
		f.bits |= flowEstablished
		if p.Len == 0 {
			f.bits |= flowPureACK
		}
		t.cold(f).established = at
	} else {
		x.ackStep = p.Ack - una
	}
	f.sndUna[peer] = p.Ack
	ends := f.ends[peer]
	if ends&endFIN != 0 && p.Ack == f.sndNxt[peer] {
		t.closeAcked(f, peer)
	}
	x.lastNewAck = at
	if ends&(endPending|endLags|endEager) == 0 {
		return
	}
	end := f.dataEnd(peer)
	if ends&endPending != 0 {
		if seqLT(p.Ack, end) {
			y := &f.sides[peer]
			y.unacked, y.idle, y.idleHigh, y.seq, y.len = y.lastData, 0, 0, p.Ack, end-p.Ack
		} else {
			f.ends[peer] &^= endPending // and lastNewAck is Data.Answered
		}
	}
	if ends&(endLags|endEager) != 0 {
		t.deliver(f, peer, una, p.Ack, end)
	}
}

// closeAcked notes that all that s has sent, its FIN included, is now
// acknowledged. Its payload may have been before.
func (t *Tracker) closeAcked(f *flow, s Side) {
	if f.ends[s]&(endData|endPending) == endData {
		t.cold(f).ends[s].answered = f.sides[s.Peer()].lastNewAck
		f.ends[s] |= endSettled
	}
	f.ends[s] |= endFINAcked
}

// deliver is zeekConn.deliverTo, for an acknowledgment that takes what s sent
// from una to ack, where Zeek's view of it is not simply what was sent and
// what acknowledged. Zeek takes note of cut payload only when it is
// acknowledged, so that it nearly always is where the acknowledgments are.
func (t *Tracker) deliver(f *flow, s Side, una, ack, end uint32) {
	if seqLT(end, ack) {
		ack = end
	}
	if f.has(s, endEager) {
		k := &t.cold(f).ends[s]
		if !seqLT(k.zeekTrim, ack) {
			if f.has(s, endAtUna) {
				k.zeekNext = una
				f.ends[s] &^= endAtUna
			}
			return
		}
		f.ends[s] &^= endEager
	}
	if !f.has(s, endLags) {
		return
	}
	next := una
	if !f.has(s, endAtUna) {
		next = t.cold(f).ends[s].zeekNext
	}
	if seqLT(next, ack) {
		next = ack
		f.ends[s] |= endAtUna
		t.gap(f, s)
	}
	if next == end {
		f.ends[s] &^= endLags | endAtUna
	}
}

// gap is zeekConn.scaled of the letter G.
func (t *Tracker) gap(f *flow, s Side) {
	f.gaps[s]++
	n := f.gaps[s]
	if n == 1<<16-1 {
		f.bits |= flowFull
	}
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		t.cold(f).add(f, 'G', s)
	}
}

// payload is End.place and Conn.payload; and zeekEnd.data.
func (t *Tracker) payload(f *flow, from Side, p *capture.Packet, at moment, idle int64) {
	from &= 1
	x := &f.sides[from]
	if f.ends[from]&(endData|endBusy) != endData|endBusy || p.Len <= beatBytes && at.since(x.lastData) >= beatPause {
		t.beat(f, from, p, at)
	}
	f.settle(from)
	f.sndNxt[from] += p.Len
	x.highest = max(x.highest, uint16(p.Len))
	if f.ends[from]&endPending == 0 {
		f.ends[from] |= endPending
		x.unacked, x.idle, x.idleHigh, x.seq, x.len = at, uint32(idle), uint16(idle>>32), p.Seq, p.Len
	}
	x.lastData = at
	if last := f.bits&flowServerData != 0; last != (from == Server) {
		f.since = 0
		f.bits ^= flowServerData
	}
	f.since += p.Len
	if p.CapLen < p.Len {
		t.cut(f, from, p)
	} else if f.sndNxt[from]-f.sndUna[from] > zeekInitialWindow {
		if k := &t.cold(f).ends[from]; f.sndUna[from] == k.isn+1 {
			k.zeekTrim = f.sndNxt[from]
			f.ends[from] |= endEager
		}
	}
	if f.ends[from]&endDeaf == 0 {
		t.feed(f, from, p)
	}
}

// settle keeps highestAcked, which need not be said while everything is
// acknowledged, before more is sent.
func (f *flow) settle(s Side) {
	if f.sndUna[s] == f.sndNxt[s] {
		f.sides[s].highestAcked = f.sides[s].highest
	}
}

// beat is what payload rarely has to do: to note the first, and to feel the
// rhythm after a pause. Before the first pause there is none to feel, so that
// Beats are kept apart from the flows: coldEnd.beat is one more than the
// number of one in Tracker.beats, 0 until then.
func (t *Tracker) beat(f *flow, from Side, p *capture.Packet, at moment) {
	k := t.cold(f)
	b := t.beatOf(f, k, from)
	if !f.has(from, endData) {
		f.ends[from] |= endData
		k.ends[from].firstData = at
	}
	b.take(t.stamp(f, f.sides[from].lastData), t.stamp(f, at), p.Len)
	f.ends[from] &^= endBusy
	if b.busy() {
		f.ends[from] |= endBusy
	}
	n := &k.ends[from].beat
	if *n == 0 && b == (Beat{len: b.len}) {
		return
	}
	if *n == 0 {
		*n = t.beats.take() + 1
	}
	*t.beats.at(*n - 1) = b
}

// beatOf is End.Beat of a flow.
func (t *Tracker) beatOf(f *flow, k *flowCold, s Side) Beat {
	if beat := k.ends[s].beat; beat != 0 {
		return *t.beats.at(beat - 1)
	}
	return Beat{len: min(f.dataEnd(s)-k.ends[s].isn-1, beatBytes+1)}
}

// cut notes payload that Zeek does not see.
func (t *Tracker) cut(f *flow, from Side, p *capture.Packet) {
	if p.Has(capture.SnapCut) {
		f.bits |= flowCut
	}
	if f.has(from, endLags) {
		return
	}
	f.ends[from] |= endLags
	if p.Seq == f.sndUna[from] {
		f.ends[from] |= endAtUna
	} else {
		t.cold(f).ends[from].zeekNext = p.Seq
	}
}

// fin is Conn.fin.
func (t *Tracker) fin(f *flow, from Side, p *capture.Packet, at moment, idle int64) {
	if from == Server && !f.has(Client, endFIN) {
		f.bits |= flowServerFIN
	}
	f.settle(from)
	f.sndNxt[from]++
	f.ends[from] |= endFIN
	k := &t.cold(f).ends[from]
	k.fin, k.finIdle, k.finLen, k.finAck = at, idle, uint16(p.Len), p.Ack
}

// fingerprint is Conn.fingerprint.
func (f *flow) fingerprint(from Side, p *capture.Packet) {
	x := &f.sides[from]
	f.ends[from] &^= endSameID
	if p.IPID == x.ipid {
		f.ends[from] |= endSameID
	}
	if kind := x.kind(); kind != IPIDRising || p.IPID-x.ipid >= maxIPIDStep {
		x.setKind(kind.next(p.IPID, x.ipid))
	}
	x.ipid = p.IPID
}
