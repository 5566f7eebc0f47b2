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
	n := t.flows.take()
	f := t.flows.at(n)
	*f = flow{}
	f.lastTime, f.id = p.Time, l.id()
	f.tail[0].tag, f.tail[1].tag = uint16(tag>>16), uint16(tag)
	f.client, f.server, f.cport, f.sport = l.client, l.server, l.cport, l.sport
	f.bits = flowLive | flowServerLast
	f.first, f.answered = Stamp{l.ref, l.time}, Stamp{p.Ref, p.Time}
	f.history[0], f.history[1], f.nhistory = 'S', 'h', 2
	f.idled(f.answered, p.Time-l.time)
	x := &f.tail[Client]
	x.link, x.place, x.ttl, x.isn = l.link&(1<<48-1), t.places.list[l.place], l.ttl, l.seq
	x.options, x.mss, x.wscale = l.options, l.mss, l.wscale&^loneFlags
	x = &f.tail[Server]
	x.link, x.place, x.ttl, x.isn = p.Link, placeOf(p), p.TTL, p.Seq
	x.options, x.mss, x.wscale, x.window = p.Options, p.MSS, min(p.WScale, 14), p.Window
	f.begin(Client, f.first, l.sig, l.ipid, l.tsval)
	f.begin(Server, f.answered, signature(p), p.IPID, p.TSVal)
	f.sndUna[Client]++
	f.sent[Server].lastNewAck = f.answered
	f.sent[Server].rawWindow = p.Window
	if l.options&p.Options&capture.OptWScale != 0 {
		f.sent[Client].shift, f.sent[Server].shift = f.tail[Client].wscale, f.tail[Server].wscale
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
func (f *flow) begin(s Side, at Stamp, sig uint32, ipid uint16, tsval uint32) {
	x, tail := &f.sent[s], &f.tail[s]
	f.sndUna[s], f.sndNxt[s] = tail.isn, tail.isn+1
	x.last, x.packets, x.signatures[0] = at, 1, sig
	x.letters = zeekSeenSYN
	x.where = tail.place.with(tail.link, tail.ttl)
	if tail.place.has(capture.HasIPID) && !tail.place.has(capture.IPv6) {
		f.ends[s] |= endIPv4ID
		x.ipid, x.ipidKind = ipid, IPIDUnknown.next(ipid, 0)
	}
	if tail.options&capture.OptTimestamps != 0 {
		f.ends[s] |= endStamps
		x.tsLast = tsval
	}
}
