package assembler

import "hangup/capture"

// keptTombs is how many reported connections are remembered, the newest, by
// all trackers of an input together.
const keptTombs = 1 << 16

// tomb is what is kept of a connection that was over, and reported, so that
// a late packet of it does not look like a connection that began before the
// capture. Such packets change nothing any more: they are counted
// (Tracker.LatePackets). The next connection of the tuple learns from the
// tomb whose successor it is.
type tomb struct {
	key     tuple
	encap   uint32
	isn     [2]uint32 // of the a end and the b end; sndNxt where it is not known
	sndNxt  [2]uint32
	tag     uint32
	started [2]bool // sndNxt is known
	expired bool    // it was given up, so that it may yet prove to be alive
	last    int64
	id      uint64 // 0 if it is not in the table any more
}

func tombOf(c *Conn, tag uint32) tomb {
	b := tomb{key: c.key, encap: c.Encap, tag: tag, expired: c.Expired != Watched, last: c.Last.Time, id: c.ID}
	for i := range b.isn {
		e := &c.Ends[c.side(i == 0)]
		b.isn[i], b.sndNxt[i], b.started[i] = e.SndNxt, e.SndNxt, e.Started
		if e.HasISN {
			b.isn[i] = e.ISN
		}
	}
	return b
}

// ofFlow makes b that of f, which p describes.
func (b *tomb) ofFlow(f *flow, k *flowCold, p *Plain) {
	c, s := &p.Ends[Client], &p.Ends[Server]
	client := Client
	if !b.key.set(&c.Addr, c.Port, &s.Addr, s.Port) {
		client = Server
	}
	b.encap, b.tag, b.started, b.expired = k.ends[Client].place.encap(), k.tag, [2]bool{true, true}, false
	b.isn[client], b.sndNxt[client] = k.ends[Client].isn, f.sndNxt[Client]
	b.isn[client.Peer()], b.sndNxt[client.Peer()] = k.ends[Server].isn, f.sndNxt[Server]
	b.last, b.id = f.lastTime, k.id
}

// tombs is a ring of them.
type tombs struct {
	pool pool[tomb]
	next uint32
	most uint32
}

// bury lets a tomb stand where a connection of that tag stood. It is yet to
// be filled in.
func (t *Tracker) bury(at found, tag uint32) *tomb {
	i := t.tombs.next
	t.tombs.next = (i + 1) % t.tombs.most
	if int(i) == t.tombs.pool.used {
		t.tombs.pool.take()
	}
	r := makeRef(aTomb, i)
	b := t.tombs.pool.at(i)
	*at.pg.at(at.i) = makeSlot(tag, r)
	if b.id != 0 {
		t.exhume(makeSlot(b.tag, r), at)
	}
	return b
}

// exhume takes the tomb of slot s out of the table; at is another's, even if
// it looks the same.
func (t *Tracker) exhume(s slot, at found) {
	pg := t.table.page(s.tag())
	for i := s.tag() & slotMask; *pg.at(i) != 0; i = (i + 1) & slotMask {
		if *pg.at(i) == s && (pg != at.pg || i != at.i) {
			pg.remove(i)
			return
		}
	}
}

// isLate takes p if it belongs to the connection of the tomb at hand.
func (t *Tracker) isLate(at found, p *capture.Packet) bool {
	r := at.ref()
	if r == 0 || !t.tombs.pool.at(r.index()).covers(p, at.from) {
		return false
	}
	t.late++
	return true
}

// covers reports whether p belongs to the connection of b, and not to
// another one of its tuple.
func (b *tomb) covers(p *capture.Packet, from Side) bool {
	switch {
	case b.encap != p.Encap:
		return false
	case p.Flags&(capture.SYN|capture.RST) == capture.SYN:
		return b.started[from] && p.Seq == b.isn[from]
	case p.Flags.Has(capture.RST):
		return true // a stray RST never opens a connection where there was one
	}
	if b.expired {
		return false // it lives after all: what follows is reported as its successor
	}
	peer := from.Peer()
	return (!b.started[from] || near(p.Seq, b.sndNxt[from])) &&
		(!b.started[peer] || !p.Flags.Has(capture.ACK) || near(p.Ack, b.sndNxt[peer]))
}

// heir is what a connection has of the one before it on its tuple.
type heir struct {
	id  uint64
	gap int64
}

// inherit removes a tomb that the table no longer needs, since p begins
// another connection of its tuple, and tells whose heir that is.
func (t *Tracker) inherit(i uint32, p *capture.Packet) (heir, bool) {
	b := t.tombs.pool.at(i)
	h := heir{b.id, p.Time - b.last}
	b.id = 0
	return h, b.encap == p.Encap
}
