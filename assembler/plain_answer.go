package assembler

import "hangup/capture"

// answer makes a flow of the lone SYN at hand if p is the SYN-ACK that it is
// waiting for, and reports whether it is.
func (t *Tracker) answer(at found, p *capture.Packet, tag uint32) bool {
	i := at.ref().index()
	l := t.lones.at(i)
	const kind = capture.SYN | capture.RST | capture.ACK | capture.FIN
	if at.from != Server || p.Flags&kind != capture.SYN|capture.ACK || p.Ack != l.seq+1 ||
		p.Len > 0 || p.Window == 0 || p.Seq+1 == 0 || p.Time < l.time || p.Time-l.time >= zeekAttemptDelay ||
		p.Encap != t.places.list[l.place].encap() || p.Options&oddOptions != 0 || p.Has(capture.HeaderCut) {
		return false
	}
	epoch, ok := t.epochOf(Stamp{l.ref, l.time})
	if !ok {
		return false
	}
	first, _ := momentOf(Stamp{l.ref, l.time}, &t.epochs[epoch])
	answered, near := momentOf(Stamp{p.Ref, p.Time}, &t.epochs[epoch])
	if !near {
		return false
	}
	n := t.flows.take()
	f := t.flows.at(n)
	*f = flow{cold: t.colds.take(), epoch: epoch}
	k := t.cold(f)
	*k = flowCold{id: l.id(), tag: tag, first: first, answered: answered}
	f.lastTime = p.Time
	f.client, f.server, f.cport, f.sport = l.client, l.server, l.cport, l.sport
	f.bits = flowLive | flowServerLast
	k.history[0], k.history[1], k.nhistory = 'S', 'h', 2
	t.idled(f, answered, p.Time-l.time)
	x := &k.ends[Client]
	x.link, x.place, x.ttl, x.isn = l.link&(1<<48-1), t.places.list[l.place], l.ttl, l.seq
	x.options, x.mss, x.wscale = l.options, l.mss, l.wscale&^loneFlags
	x = &k.ends[Server]
	x.link, x.place, x.ttl, x.isn = p.Link, placeOf(p), p.TTL, p.Seq
	x.options, x.mss, x.wscale, x.window = p.Options, p.MSS, min(p.WScale, 14), p.Window
	f.begin(k, Client, first, l.sig, l.ipid, l.tsval)
	f.begin(k, Server, answered, signature(p), p.IPID, p.TSVal)
	f.sndUna[Client]++
	f.sides[Server].lastNewAck = answered
	f.sides[Server].rawWindow = p.Window
	if l.options&p.Options&capture.OptWScale != 0 {
		for s := range f.sides {
			f.sides[s].kindShift |= k.ends[s].wscale << 4
		}
	}
	if l.wscale&loneHeir != 0 {
		f.bits |= flowHeir
	}
	if l.wscale&loneWide != 0 {
		f.bits |= flowWide // whose record is now the flow's
	}
	t.lones.release(i)
	l.ref = 0
	r := makeRef(aFlow, n)
	at.set(r)
	t.accepted(r, f, Server, p)
	return true
}

// begin gives an end what its SYN or SYN-ACK says.
func (f *flow) begin(k *flowCold, s Side, at moment, sig uint32, ipid uint16, tsval uint32) {
	x, end := &f.sides[s], &k.ends[s]
	f.sndUna[s], f.sndNxt[s] = end.isn, end.isn+1
	end.last, x.packets, x.signatures[0] = at, 1, sig
	x.letters = zeekSeenSYN
	x.where = end.place.with(end.link, end.ttl)
	if end.place.has(capture.HasIPID) && !end.place.has(capture.IPv6) {
		f.ends[s] |= endIPv4ID
		x.ipid = ipid
		x.setKind(IPIDUnknown.next(ipid, 0))
	}
	if end.options&capture.OptTimestamps != 0 {
		f.ends[s] |= endStamps
		x.tsLast = tsval
	}
}
