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

// tagOf is the same for both directions.
func tagOf(p *capture.Packet, seed uint64) uint32 {
	return uint32((hashEnd(&p.Src, p.SrcPort, seed) + hashEnd(&p.Dst, p.DstPort, seed)) >> 32)
}

// tag is tagOf any packet of t.
func (t *tuple) tag(seed uint64) uint32 {
	return uint32((hashEnd(&t.a, t.ap, seed) + hashEnd(&t.b, t.bp, seed)) >> 32)
}

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
func (t *Tracker) locate(k *tuple, r ref) found {
	tag := k.tag(t.seed)
	pg := t.table.page(tag)
	for i := tag & slotMask; ; i = (i + 1) & slotMask {
		if pg.slots[i] == makeSlot(tag, r) {
			return found{pg: pg, i: i}
		}
	}
}

// blockSize is how many packets go through the passes of take together: so
// many that the waits for memory overlap, so few that what was fetched is
// still in the nearest cache when it is used.
const blockSize = 64

// block is what take knows of each packet of a block.
type block struct {
	tags  [blockSize]uint32
	refs  [blockSize]ref
	flows [blockSize]*flow // what refs name, if flows
	sink  uint32           // what the passes have read, lest the reads be optimised away
}

// take takes up to blockSize packets, in passes: each reads what the next one
// needs, in loops so short that many waits for memory run side by side. Only
// the last pass decides anything, and it relies on nothing that the others
// found: a packet before it may have changed the table.
func (t *Tracker) take(packets []capture.Packet) {
	b := &t.block
	for i := range packets {
		b.tags[i] = tagOf(&packets[i], t.seed)
	}
	b.sink += t.table.touch(b.tags[:len(packets)])
	for i := range packets {
		r := t.table.guess(b.tags[i])
		b.refs[i], b.flows[i] = r, nil
		if r.kind() == aFlow {
			b.flows[i] = t.flows.at(r.index())
		}
	}
	b.sink += touchFlows(b.flows[:len(packets)]) + touchSent(b.flows[:len(packets)], packets)
	for i := range packets {
		p := &packets[i]
		switch p.Kind {
		case capture.TCP:
			t.tcp(p, b.tags[i], b.refs[i])
		case capture.ICMPError:
			t.icmp(p, b.tags[i])
		}
		t.now = max(t.now, p.Time)
	}
}

// touchFlows reads the flows' first cache lines.
func touchFlows(flows []*flow) (sum uint32) {
	for _, f := range flows {
		if f != nil {
			sum += f.client
		}
	}
	return sum
}

// touchSent reads what the packets' senders have in the flows.
func touchSent(flows []*flow, packets []capture.Packet) (sum uint32) {
	for i, f := range flows {
		if f == nil {
			continue
		}
		from := Client
		if packets[i].SrcPort == f.sport {
			from = Server
		}
		x := &f.sent[from]
		sum += x.packets + x.len
	}
	return sum
}
