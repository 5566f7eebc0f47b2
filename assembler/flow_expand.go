package assembler

import "hangup/capture"

// expandFlow makes c what the general code makes of f's packets. It sets all
// that any flow sets, so that c may hold another one before.
func (t *Tracker) expandFlow(f *flow, c *Conn) {
	k := t.cold(f)
	at := func(m moment) Stamp { return t.stamp(f, m) }
	c.ID, c.RoleKnown, c.First, c.Last, c.before = k.id, true, at(k.first), at(f.last(k, f.lastSide())), f.lastTime
	c.Partial, c.Expired, c.Until, c.Told = f.partial(), Watched, 0, f.bits&flowTold != 0
	c.Predecessor, c.Gap = 0, 0
	if f.bits&flowHeir != 0 {
		h := t.heirs[c.ID]
		c.Predecessor, c.Gap = h.id, h.gap
	}
	pl := k.ends[Client].place
	c.Encap, c.Depth, c.Iface, c.V6 = pl.encap(), pl.depth(), pl.iface(), pl.has(capture.IPv6)
	c.MaxIdle, c.MaxIdleEnd = k.maxIdle, at(k.maxIdleEnd)
	answered := at(k.answered)
	c.Established = at(k.established)
	c.RTTServer, c.RTTClient = f.roundTrips(k)
	e, o := &c.Ends[Client], &c.Ends[Server]
	t.addrs(f.client, f.server, f.bits&flowWide != 0, &e.Addr, &o.Addr)
	e.Port, o.Port = f.cport, f.sport
	c.setKey()
	e.First, o.First = c.First, answered
	e.SYN.once(c.First, -1, k.ends[Client].isn, 0, answered)
	o.SYNACK.once(answered, answered.Time-c.First.Time, k.ends[Server].isn, 0, c.Established)
	for s := Client; s <= Server; s++ {
		t.expandEnd(f, k, s, &c.Ends[s])
	}
	t.expandZeek(f, k, c)
}

func (f *flow) lastSide() Side {
	if f.bits&flowServerLast != 0 {
		return Server
	}
	return Client
}

// last is the moment of the end's latest packet.
func (f *flow) last(k *flowCold, s Side) moment {
	switch {
	case f.has(s, endLastData):
		return f.sides[s].lastData
	case f.has(s, endLastAck):
		return f.sides[s].lastNewAck
	}
	return k.ends[s].last
}

// expandEnd is expandFlow for one end.
func (t *Tracker) expandEnd(f *flow, k *flowCold, s Side, e *End) {
	x, tail, peer := &f.sides[s], &k.ends[s], s.Peer()
	e.State = f.state(s)
	e.HasISN, e.ISN, e.Opts, e.MSS, e.WScale = true, tail.isn, tail.options, tail.mss, tail.wscale
	e.Started, e.SndNxt, e.SndUna, e.firstSeq = true, f.sndNxt[s], f.sndUna[s], tail.isn+1
	e.AckSeen = s == Client || f.bits&flowEstablished != 0
	e.Highest, e.HighestAcked = uint32(x.highest), uint32(x.highestAcked)
	if e.SndUna == e.SndNxt {
		e.HighestAcked = e.Highest
	}
	e.rawWindow, e.Window = x.rawWindow, uint32(x.rawWindow)
	if x.packets > 1 {
		e.Window <<= x.shift()
	}
	e.MaxWindow = max(uint32(tail.window), uint32(x.topWindow)<<x.shift())
	e.edgeKnown, e.RightEdge, e.WindowAck = x.packets > 1, f.rightEdge(s, tail), tail.windowAck
	if f.has(s, endNewEdge) {
		e.WindowAck = f.sndUna[peer]
	}
	e.Packets, e.Bytes = x.packets, uint64(f.dataEnd(s)-tail.isn-1)
	e.Last, e.FirstData, e.LastData = t.stamp(f, f.last(k, s)), t.stamp(f, tail.firstData), t.stamp(f, x.lastData)
	e.LastNewAck, e.AckStep, e.LastAckStep = t.stamp(f, x.lastNewAck), x.ackStep, Stamp{}
	if e.AckStep != 0 {
		e.LastAckStep = e.LastNewAck
	}
	t.expandData(f, tail, s, e)
	t.expandFIN(f, tail, s, e)
	e.SinceData, e.PureFINAcked, e.Beat = f.sinceData(s), f.has(peer, endFINAcked), t.beatOf(f, k, s)
	e.TTLFirst, e.TTLLast, e.TTLMin, e.TTLMax = tail.ttl, tail.ttl, tail.ttl, tail.ttl
	e.IPIDLast, e.IPIDKind = x.ipid, x.kind()
	e.TSLast, e.TSLastTime, e.TSCount = 0, 0, 0
	if f.has(s, endStamps) {
		e.TSLast, e.TSLastTime, e.TSCount = x.tsLast, e.Last.Time, x.packets
	}
	e.Link, e.lastLen = tail.link, uint32(x.lastLen)
	e.App, e.appNext = *t.framing(f, s), f.dataEnd(s)
	for i := range e.copies {
		e.copies[i] = copyKey{}
		if i < int(x.packets) {
			e.copies[i] = copyKey{x.signatures[i], tail.place, linkKey(tail.link), tail.ttl}
		}
	}
	e.ncopies, e.sameID = uint8(x.packets%keptCopies), f.has(s, endSameID)
}

func (t *Tracker) expandData(f *flow, tail *coldEnd, s Side, e *End) {
	x := &f.sides[s]
	if !f.has(s, endData) {
		e.Data = Tries{}
		return
	}
	var answered moment
	switch {
	case f.has(s, endPending):
	case f.has(s, endSettled):
		answered = tail.answered
	default:
		answered = f.sides[s.Peer()].lastNewAck
	}
	e.Data.once(t.stamp(f, x.unacked), int64(x.idleHigh)<<32|int64(x.idle), x.seq, x.len, t.stamp(f, answered))
}

// once makes t one try, where it was never more than that.
func (t *Tries) once(at Stamp, idle int64, seq, n uint32, answered Stamp) {
	t.First, t.Last, t.Idle, t.Seq, t.Len, t.Count, t.Answered = at, at, idle, seq, n, 1, answered
}

func (t *Tracker) expandFIN(f *flow, tail *coldEnd, s Side, e *End) {
	peer := s.Peer()
	if !f.has(s, endFIN) {
		e.FIN, e.FINWithData, e.FINSawPeer, e.finAck, e.finAcked = Tries{}, false, false, 0, false
		return
	}
	var answered moment
	if f.has(s, endFINAcked) {
		answered = f.sides[peer].lastNewAck
	}
	e.FIN.once(t.stamp(f, tail.fin), tail.finIdle, f.sndNxt[s]-1, uint32(tail.finLen), t.stamp(f, answered))
	e.FINWithData, e.finAck, e.finAcked = tail.finLen > 0, tail.finAck, true
	e.FINSawPeer = f.has(peer, endFIN) && tail.finAck == f.sndNxt[peer]
}

// expandZeek is expandFlow for Zeek's view.
func (t *Tracker) expandZeek(f *flow, k *flowCold, c *Conn) {
	z := &c.zeek
	z.begun, z.attempt, z.removal = true, c.First.Time+zeekAttemptDelay, 0
	if f.ends[0]&f.ends[1]&endFIN != 0 {
		z.removal = t.removal(f, k)
	}
	z.n = k.nhistory
	clear(z.history[copy(z.history[:], k.history[:]):])
	for s := Client; s <= Server; s++ {
		x, e := &k.ends[s], &c.Ends[s].zeek
		e.start, e.last, e.ack = x.isn, f.sndNxt[s], f.sndUna[s]
		e.seqWraps, e.ackWraps = wraps(x.isn, e.last), wraps(x.isn, e.ack)
		e.next, e.trim = uint64(f.delivered(s, k)-x.isn), uint64(f.trimmed(s, k)-x.isn)
		e.gaps, e.seen = uint32(f.gaps[s]), f.sides[s].letters
		e.orig, e.spoke = s == Client, true
		e.state, e.prev = zeekEstablished, zeekInactive
		if e.orig {
			e.prev = zeekSYNSent
		}
		fin := f.has(s, endFIN)
		e.hasFIN, e.didClose, e.eof, e.fin, e.lastFIN = fin, fin, fin, 0, 0
		if fin {
			e.state, e.prev = zeekClosed, zeekEstablished
			e.fin, e.lastFIN = uint64(e.last-x.isn), e.last-1-x.isn
		}
	}
}

// removal is zeekConn.removal of a flow with two FINs.
func (t *Tracker) removal(f *flow, k *flowCold) int64 {
	return t.epochs[f.epoch].Time + max(k.ends[0].fin.ns(), k.ends[1].fin.ns()) + zeekCloseDelay
}

// wraps is how often a number passed 0 on its way from the initial one.
func wraps(isn, now uint32) uint16 {
	if now < isn {
		return 1
	}
	return 0
}
