package assembler

import "hangup/capture"

// found is a place in the table: that of a packet's tuple. pg is nil if the
// tuple is not there.
type found struct {
	pg   *slotPage
	i    uint32
	from Side // who sent the packet; of a tomb Client means its a end, of a Conn nothing
}

func (at *found) ref() ref {
	if at.pg == nil {
		return 0
	}
	return at.pg.slots[at.i].ref()
}

// set lets another record stand for the tuple.
func (at *found) set(r ref) { at.pg.slots[at.i] = makeSlot(at.pg.slots[at.i].tag(), r) }

// tag is that of any packet of t.
func (t *tuple) tag(seed uint64) uint32 { return capture.Tag(&t.a, t.ap, &t.b, t.bp, seed) }

// find looks p's tuple up.
func (t *Tracker) find(p *capture.Packet, tag uint32) found {
	pg := t.table.page(tag)
	for i := tag & slotMask; ; i = (i + 1) & slotMask {
		s := *pg.at(i)
		if s == 0 {
			return found{}
		}
		if s.tag() != tag {
			continue
		}
		if from, ok := t.match(s.ref(), p); ok {
			return found{pg, i, from}
		}
	}
}

// match tells whether p is of the tuple of r, and who sent it.
func (t *Tracker) match(r ref, p *capture.Packet) (from Side, ok bool) {
	switch r.kind() {
	case aNoted:
		return t.baseSide(t.noted.at(r.index()).base, p)
	case aLone:
		return t.loneSide(t.lones.at(r.index()), p)
	case aFlow:
		return t.side(t.flows.at(r.index()), p)
	}
	key, fromA := tupleOf(p)
	if fromA {
		from = Client
	} else {
		from = Server
	}
	switch r.kind() {
	case aConn:
		return from, t.conns.at(r.index()).key == key
	case aParked:
		return from, t.parked.at(r.index()).key == key
	}
	return from, t.tombs.pool.at(r.index()).key == key
}

// locate looks a record up that is known to be in the table.
func (t *Tracker) locate(tag uint32, r ref) found {
	pg := t.table.page(tag)
	for i := tag & slotMask; ; i = (i + 1) & slotMask {
		if pg.slots[i] == makeSlot(tag, r) {
			return found{pg: pg, i: i}
		}
	}
}
