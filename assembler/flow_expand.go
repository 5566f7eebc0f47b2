package assembler

import "hangup/capture"

// expandFlow makes c what the general code makes of f's packets. It sets all
// that any flow sets, so that c may hold another one before.
func (t *Tracker) expandFlow(f *flow, c *Conn) {
	c.ID, c.RoleKnown, c.First, c.Last, c.before = f.id, true, f.first, f.sent[f.lastSide()].last, f.lastTime
	c.Partial, c.Expired, c.Until, c.Told = f.partial(), Watched, 0, f.bits&flowTold != 0
	c.Predecessor, c.Gap = 0, 0
	if f.bits&flowHeir != 0 {
		h := t.heirs[c.ID]
		c.Predecessor, c.Gap = h.id, h.gap
	}
	pl := f.tail[Client].place
	c.Encap, c.Depth, c.Iface, c.V6 = pl.encap(), pl.depth(), pl.iface(), pl.has(capture.IPv6)
	c.MaxIdle, c.MaxIdleEnd = f.maxIdle, f.maxIdleEnd
	c.Established = f.established
	c.RTTServer, c.RTTClient = f.roundTrips()
	e, o := &c.Ends[Client], &c.Ends[Server]
	t.addrs(f.client, f.server, f.bits&flowWide != 0, &e.Addr, &o.Addr)
	e.Port, o.Port = f.cport, f.sport
	c.setKey()
	e.First, o.First = f.first, f.answered
	e.SYN.once(f.first, -1, f.tail[Client].isn, 0, f.answered)
	o.SYNACK.once(f.answered, f.answered.Time-f.first.Time, f.tail[Server].isn, 0, f.established)
	for s := Client; s <= Server; s++ {
		t.expandEnd(f, s, &c.Ends[s])
	}
	f.expandZeek(c)
}

func (f *flow) lastSide() Side {
	if f.bits&flowServerLast != 0 {
		return Server
	}
	return Client
}

// expandEnd is expandFlow for one end.
func (t *Tracker) expandEnd(f *flow, s Side, e *End) {
	x, tail, peer := &f.sent[s], &f.tail[s], s.Peer()
	e.State = f.state(s)
	e.HasISN, e.ISN, e.Opts, e.MSS, e.WScale = true, tail.isn, tail.options, tail.mss, tail.wscale
	e.Started, e.SndNxt, e.SndUna, e.firstSeq = true, f.sndNxt[s], f.sndUna[s], tail.isn+1
	e.AckSeen = s == Client || f.bits&flowEstablished != 0
	e.Highest, e.HighestAcked = uint32(f.highest[s]), uint32(f.highestAcked[s])
	e.rawWindow, e.Window = x.rawWindow, uint32(x.rawWindow)
	if x.packets > 1 {
		e.Window <<= x.shift
	}
	e.MaxWindow = max(uint32(tail.window), uint32(x.topWindow)<<x.shift)
	e.edgeKnown, e.RightEdge, e.WindowAck = f.has(s, endEdge), x.rightEdge, x.windowAck
	e.Packets, e.Bytes = x.packets, uint64(f.dataEnd(s)-tail.isn-1)
	e.Last, e.FirstData, e.LastData = x.last, tail.firstData, x.lastData
	e.LastNewAck, e.AckStep, e.LastAckStep = x.lastNewAck, f.ackStep[s], Stamp{}
	if e.AckStep != 0 {
		e.LastAckStep = x.lastNewAck
	}
	f.expandData(s, e)
	f.expandFIN(s, e)
	e.SinceData, e.PureFINAcked, e.Beat = f.sinceData(s), f.has(peer, endFINAcked), t.beatOf(f, s)
	e.TTLFirst, e.TTLLast, e.TTLMin, e.TTLMax = tail.ttl, tail.ttl, tail.ttl, tail.ttl
	e.IPIDLast, e.IPIDKind = x.ipid, x.ipidKind
	e.TSLast, e.TSLastTime, e.TSCount = 0, 0, 0
	if f.has(s, endStamps) {
		e.TSLast, e.TSLastTime, e.TSCount = x.tsLast, x.last.Time, x.packets
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

func (f *flow) expandData(s Side, e *End) {
	x := &f.sent[s]
	if !f.has(s, endData) {
		e.Data = Tries{}
		return
	}
	var answered Stamp
	switch {
	case f.has(s, endPending):
	case f.has(s, endSettled):
		answered = f.tail[s].answered
	default:
		answered = f.sent[s.Peer()].lastNewAck
	}
	e.Data.once(x.unacked, x.idle, x.seq, x.len, answered)
}

// once makes t one try, where it was never more than that.
func (t *Tries) once(at Stamp, idle int64, seq, n uint32, answered Stamp) {
	t.First, t.Last, t.Idle, t.Seq, t.Len, t.Count, t.Answered = at, at, idle, seq, n, 1, answered
}

func (f *flow) expandFIN(s Side, e *End) {
	tail, peer := &f.tail[s], s.Peer()
	if !f.has(s, endFIN) {
		e.FIN, e.FINWithData, e.FINSawPeer, e.finAck, e.finAcked = Tries{}, false, false, 0, false
		return
	}
	var answered Stamp
	if f.has(s, endFINAcked) {
		answered = f.sent[peer].lastNewAck
	}
	e.FIN.once(tail.fin, tail.finIdle, f.sndNxt[s]-1, uint32(tail.finLen), answered)
	e.FINWithData, e.finAck, e.finAcked = tail.finLen > 0, tail.finAck, true
	e.FINSawPeer = f.has(peer, endFIN) && tail.finAck == f.sndNxt[peer]
}

// expandZeek is expandFlow for Zeek's view.
func (f *flow) expandZeek(c *Conn) {
	z := &c.zeek
	z.begun, z.attempt, z.removal = true, f.first.Time+zeekAttemptDelay, 0
	if f.ends[0]&f.ends[1]&endFIN != 0 {
		z.removal = f.removal()
	}
	z.n = f.nhistory
	clear(z.history[copy(z.history[:], f.history[:]):])
	for s := Client; s <= Server; s++ {
		x, e := &f.tail[s], &c.Ends[s].zeek
		e.start, e.last, e.ack = x.isn, f.sndNxt[s], f.sndUna[s]
		e.seqWraps, e.ackWraps = wraps(x.isn, e.last), wraps(x.isn, e.ack)
		e.next, e.trim = uint64(f.delivered(s)-x.isn), uint64(f.trimmed(s)-x.isn)
		e.gaps, e.seen = x.gaps, f.sent[s].letters
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
func (f *flow) removal() int64 { return max(f.tail[0].fin.Time, f.tail[1].fin.Time) + zeekCloseDelay }

// wraps is how often a number passed 0 on its way from the initial one.
func wraps(isn, now uint32) uint16 {
	if now < isn {
		return 1
	}
	return 0
}
