package assembler

import "hangup/capture"

// answer makes a flow of the lone SYN at hand if p is the SYN-ACK that it is
// waiting for, and reports whether it is.
func (t *Tracker) answer(at found, p *capture.Packet) bool {
	i := at.ref().index()
	l := t.lones.at(i)
	const kind = capture.SYN | capture.RST | capture.ACK | capture.FIN
	if at.from != Server || p.Flags&kind != capture.SYN|capture.ACK || p.Ack != l.seq+1 ||
		p.Len > 0 || p.Window == 0 || p.Seq+1 == 0 || p.Time < l.time || p.Time-l.time >= zeekAttemptDelay ||
		p.Encap != t.places.list[l.place].encap() || p.Options&oddOptions != 0 || p.Has(capture.HeaderCut) {
		return false
	}
	n := t.flows.take()
	f := t.flows.at(n)
	*f = flow{
		cport: l.cport, sport: l.sport, lastTime: p.Time, maxIdle: p.Time - l.time, id: l.id(), bits: flowServerLast,
		first: Stamp{l.ref, l.time}, answered: Stamp{p.Ref, p.Time},
		history: [16]byte{'S', 'h'}, nhistory: 2,
	}
	f.client, f.server = t.addrs(l)
	if f.maxIdle > 0 {
		f.maxIdleEnd = f.answered
	}
	e := &f.end[Client]
	e.link, e.place, e.ttl = l.link&(1<<48-1), t.places.list[l.place], l.ttl
	e.begin(l.seq, l.options, l.wscale&^(loneWide|loneHeir), l.mss, l.ipid, l.tsval)
	e.last, e.sndUna = f.first, l.seq+1
	f.seen[Client][0] = sighting{l.sig, uint32(l.time >> sightingTick)}

	e = &f.end[Server]
	e.link, e.place, e.ttl = p.Link, placeOf(p), p.TTL
	e.begin(p.Seq, p.Options, min(p.WScale, 14), p.MSS, p.IPID, p.TSVal)
	e.last, e.lastNewAck = f.answered, f.answered
	e.rawWindow, e.maxWindow = p.Window, uint32(p.Window)
	f.seen[Server][0] = sightingOf(p)
	if f.end[Client].options&e.options&capture.OptWScale != 0 {
		f.end[Client].shift, e.shift = f.end[Client].wscale, e.wscale
	}
	if l.wscale&loneHeir != 0 {
		f.bits |= flowHeir
	}
	t.freeLone(i)
	r := makeRef(aFlow, n)
	at.set(r)
	t.accepted(r, f, Server, p)
	return true
}

// begin gives e what its SYN or SYN-ACK says. Its link, place and ttl are set.
func (e *flowEnd) begin(isn uint32, options capture.Options, wscale uint8, mss, ipid uint16, tsval uint32) {
	e.packets = 1
	e.isn, e.sndUna, e.sndNxt = isn, isn, isn+1
	e.zeekNext, e.zeekTrim = isn+1, isn+1
	e.letters = zeekSeenSYN
	e.options, e.wscale, e.mss = options, wscale, mss
	e.where = e.place.with(e.link, e.ttl)
	if e.place.has(capture.HasIPID) && !e.place.has(capture.IPv6) {
		e.bits |= endIPv4ID
		e.ipid, e.ipidKind = ipid, IPIDUnknown.next(ipid, 0)
	}
	if options&capture.OptTimestamps != 0 {
		e.bits |= endStamps
		e.tsLast = tsval
	}
}
