package assembler

import "hangup/capture"

// expandFlow makes c what the general code makes of f's packets. It sets all
// that any flow sets, so that c may hold another one before.
func (t *Tracker) expandFlow(f *flow, c *Conn) {
	c.ID, c.RoleKnown, c.First, c.Last, c.before = f.id, true, f.first, f.end[f.lastSide()].last, f.lastTime
	c.Partial = 0
	c.Predecessor, c.Gap = 0, 0
	if f.bits&flowHeir != 0 {
		h := t.heirs[c.ID]
		c.Predecessor, c.Gap = h.id, h.gap
	}
	if f.bits&flowCut != 0 {
		c.Partial = Snaplen
	}
	pl := f.end[Client].place
	c.Encap, c.Depth, c.Iface, c.V6 = pl.encap(), pl.depth(), pl.iface(), pl.has(capture.IPv6)
	c.MaxIdle, c.MaxIdleEnd = f.maxIdle, f.maxIdleEnd
	c.Established = f.established
	c.RTTServer, c.RTTClient = f.answered.Time-f.first.Time, 0
	if f.bits&flowPureACK != 0 {
		c.RTTClient = f.established.Time - f.answered.Time
	}
	e, o := &c.Ends[Client], &c.Ends[Server]
	e.Addr, e.Port, o.Addr, o.Port = f.client, f.cport, f.server, f.sport
	c.setKey()
	e.First, e.SYN = f.first, Tries{First: f.first, Last: f.first, Idle: -1, Seq: f.end[Client].isn, Count: 1, Answered: f.answered}
	o.First, o.SYNACK = f.answered, Tries{
		First: f.answered, Last: f.answered, Idle: f.answered.Time - f.first.Time,
		Seq: f.end[Server].isn, Count: 1, Answered: f.established,
	}
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
	x, y := &f.end[s], &f.end[s.Peer()]
	e.State = f.state(s)
	e.HasISN, e.ISN, e.Opts, e.MSS, e.WScale = true, x.isn, x.options, x.mss, x.wscale
	e.Started, e.SndNxt, e.SndUna, e.firstSeq = true, x.sndNxt, x.sndUna, x.isn+1
	e.AckSeen = s == Client || f.bits&flowEstablished != 0
	e.Highest, e.HighestAcked = uint32(x.highest), uint32(x.highestAcked)
	e.rawWindow, e.MaxWindow, e.Window = x.rawWindow, x.maxWindow, uint32(x.rawWindow)
	if x.packets > 1 {
		e.Window <<= x.shift
	}
	e.edgeKnown, e.RightEdge, e.WindowAck = x.has(endEdge), x.rightEdge, x.windowAck
	e.Packets, e.Bytes = x.packets, uint64(x.dataEnd()-x.isn-1)
	e.Last, e.FirstData, e.LastData = x.last, x.firstData, x.lastData
	e.LastNewAck, e.AckStep, e.LastAckStep = x.lastNewAck, x.ackStep, Stamp{}
	if x.ackStep != 0 {
		e.LastAckStep = x.lastNewAck
	}
	e.Data = Tries{}
	if x.firstData.Seen() {
		e.Data = Tries{First: x.firstUnacked, Last: x.firstUnacked, Idle: x.idle, Seq: x.seq, Len: x.len, Count: 1, Answered: x.answered}
		if x.has(endPending) {
			e.Data.Answered = Stamp{}
		}
	}
	e.SinceData, e.PureFINAcked = uint64(x.sinceData), y.has(endFINAcked)
	e.Beat = x.beat
	x.expandFIN(y, e)
	e.TTLFirst, e.TTLLast, e.TTLMin, e.TTLMax = x.ttl, x.ttl, x.ttl, x.ttl
	e.IPIDLast, e.IPIDKind = x.ipid, x.ipidKind
	e.TSLast, e.TSLastTime, e.TSCount = 0, 0, 0
	if x.has(endStamps) {
		e.TSLast, e.TSLastTime, e.TSCount = x.tsLast, x.last.Time, x.packets
	}
	e.Link, e.lastLen = x.link, uint32(x.lastLen)
	e.App, e.appNext = t.apps.get(x.app), x.dataEnd()
	for i := range e.copies {
		e.copies[i] = copyKey{}
		if i < int(x.packets) {
			e.copies[i] = copyKey{f.seen[s][i], x.place, linkKey(x.link), x.ttl}
		}
	}
	e.ncopies, e.sameID = uint8(x.packets%keptCopies), x.has(endSameID)
}

func (x *flowEnd) expandFIN(y *flowEnd, e *End) {
	e.FIN, e.FINWithData, e.FINSawPeer, e.finAck, e.finAcked = Tries{}, false, false, 0, false
	if !x.has(endFIN) {
		return
	}
	e.FIN = Tries{First: x.fin, Last: x.fin, Idle: x.finIdle, Seq: x.sndNxt - 1, Len: uint32(x.finLen), Count: 1}
	if x.has(endFINAcked) {
		e.FIN.Answered = y.lastNewAck
	}
	e.FINWithData, e.finAck, e.finAcked = x.finLen > 0, x.finAck, true
	e.FINSawPeer = y.has(endFIN) && x.finAck == y.sndNxt
}

// expandZeek is expandFlow for Zeek's view.
func (f *flow) expandZeek(c *Conn) {
	z := &c.zeek
	z.begun, z.attempt, z.removal = true, f.first.Time+zeekAttemptDelay, 0
	if f.end[0].bits&f.end[1].bits&endFIN != 0 {
		z.removal = f.removal()
	}
	z.n = f.nhistory
	clear(z.history[copy(z.history[:], f.history[:]):])
	for s := range f.end {
		x, e := &f.end[s], &c.Ends[s].zeek
		e.start, e.last, e.ack = x.isn, x.sndNxt, x.sndUna
		e.seqWraps, e.ackWraps = wraps(x.isn, x.sndNxt), wraps(x.isn, x.sndUna)
		e.next, e.trim = uint64(x.zeekNext-x.isn), uint64(x.zeekTrim-x.isn)
		e.gaps, e.seen = x.gaps, x.letters
		e.orig, e.spoke = Side(s) == Client, true
		e.state, e.prev = zeekEstablished, zeekInactive
		if e.orig {
			e.prev = zeekSYNSent
		}
		fin := x.has(endFIN)
		e.hasFIN, e.didClose, e.eof, e.fin, e.lastFIN = fin, fin, fin, 0, 0
		if fin {
			e.state, e.prev = zeekClosed, zeekEstablished
			e.fin, e.lastFIN = uint64(x.sndNxt-x.isn), x.sndNxt-1-x.isn
		}
	}
}

// removal is zeekConn.removal of a flow with two FINs.
func (f *flow) removal() int64 { return max(f.end[0].fin.Time, f.end[1].fin.Time) + zeekCloseDelay }

// wraps is how often a number passed 0 on its way from the initial one.
func wraps(isn, now uint32) uint16 {
	if now < isn {
		return 1
	}
	return 0
}
