package assembler

import "hangup/capture"

// A connection that leaves the plain way mostly ends soon after: a RST, a SYN
// repeated a few times, FINs that cross. The packets from there on are noted
// down beside its lone or flow, and the Conn that the general code makes of
// them is built when somebody asks for it, in memory that is still cached.
// One that goes on for longer becomes a Conn of its own.
type noted struct {
	base          ref // the lone or the flow, which is in the table no more
	n             uint8
	over          bool
	told, changed bool // Conn.Told, Conn.Changed
	reset         bool // there was a RST
	states        [2]State
	id            uint64
	last          int64 // time of the latest packet
	expires       int64 // Conn.expiry
	notes         [maxNotes]note
	_             [24]byte // to 256 bytes
}

const maxNotes = 3

// note is a segment without payload, or with such as nobody reads.
type note struct {
	ref                   capture.Ref
	time                  int64
	link                  uint64 // and noteFromA
	seq, ack, len, capLen uint32
	tsval, tsecr          uint32
	window, ipid, mss     uint16
	flags                 capture.Flags
	options               capture.Options
	traits                capture.Traits
	place                 uint16 // in Tracker.places
	wscale, ttl           uint8
}

// noteFromA in note.link says that the tuple's a end sent the packet.
const noteFromA = 1 << 63

// note notes p, of the connection at hand, and reports whether it could.
func (t *Tracker) note(at found, p *capture.Packet, fromA bool) bool {
	r := at.ref()
	i := r.index()
	first := r.kind() != aNoted
	if t.cfg.unnoted || t.cfg.Trace != nil || !first && t.noted.at(i).n == maxNotes ||
		p.Options&(oddOptions|capture.OptSACK) != 0 || p.Len > 0 && !p.Flags.Has(capture.RST) && !t.isDeaf(r, p) {
		return false
	}
	where, ok := t.places.number(placeOf(p))
	if !ok {
		return false
	}
	c := t.spareConn
	t.unfold(r, c)
	if !c.takes(p, fromA) {
		return false
	}
	wasOver := c.over()
	c.take(fromA, p, &t.blank)
	if first {
		i = t.noted.take()
		*t.noted.at(i) = noted{base: r, id: c.ID, told: c.Told}
		t.setNoted(r)
		r = makeRef(aNoted, i)
		at.set(r)
	}
	k := t.noted.at(i)
	k.notes[k.n] = noteOf(p, fromA, where)
	k.n++
	k.over, k.changed, k.reset, k.last = c.over(), k.told, c.NResets > 0, c.Last.Time
	k.states = [2]State{c.Ends[Client].State, c.Ends[Server].State}
	_, k.expires = c.expiry()
	switch {
	case wasOver && first:
		t.closed.push(c.ID, r, c.Last.Time)
	case !wasOver && k.over:
		t.enqueue(c, r)
		t.overs++
	}
	return true
}

// isDeaf reports whether nobody reads the payload of p's sender.
func (t *Tracker) isDeaf(r ref, p *capture.Packet) bool {
	if r.kind() == aNoted {
		r = t.noted.at(r.index()).base
	}
	from, _ := t.baseSide(r, p)
	return r.kind() == aFlow && t.flows.at(r.index()).has(from, endDeaf)
}

// setNoted marks a lone or flow as the base of a noted.
func (t *Tracker) setNoted(r ref) {
	if r.kind() == aLone {
		t.lones.at(r.index()).wscale |= loneNoted
	} else {
		t.flows.at(r.index()).bits &^= flowLive
	}
}

// baseSide tells who of the lone or flow of a noted sent p; ok is false if p
// is not of its tuple.
func (t *Tracker) baseSide(r ref, p *capture.Packet) (from Side, ok bool) {
	if r.kind() == aLone {
		return t.loneSide(t.lones.at(r.index()), p)
	}
	f := t.flows.at(r.index())
	var c, s [16]byte
	t.addrs(f.client, f.server, f.bits&flowWide != 0, &c, &s)
	return sideBetween(p, &c, f.cport, &s, f.sport)
}

// unfold makes c what the general code makes of the packets of a lone, a flow
// or a noted.
func (t *Tracker) unfold(r ref, c *Conn) {
	*c = Conn{}
	var k *noted
	if r.kind() == aNoted {
		k = t.noted.at(r.index())
		r = k.base
	}
	if r.kind() == aLone {
		t.lone(r.index()).Expand(c)
	} else {
		t.expandFlow(t.flows.at(r.index()), c)
	}
	if k == nil {
		return
	}
	for i := range k.notes[:k.n] {
		fromA := k.notes[i].link&noteFromA != 0
		p := t.packet(&k.notes[i], c, fromA)
		c.take(fromA, &p, &t.blank)
	}
	c.Told, c.Changed = k.told, k.changed
}

// freeNoted gives the memory of a noted and its base back.
func (t *Tracker) freeNoted(i uint32) {
	k := t.noted.at(i)
	if k.base.kind() == aLone {
		t.freeLone(k.base.index())
	} else {
		t.freeFlow(k.base.index())
	}
	k.id = 0
	t.noted.release(i)
}

func noteOf(p *capture.Packet, fromA bool, where uint16) note {
	n := note{
		ref: p.Ref, time: p.Time, link: p.Link, seq: p.Seq, ack: p.Ack, len: p.Len, capLen: p.CapLen,
		tsval: p.TSVal, tsecr: p.TSEcr, window: p.Window, ipid: p.IPID, mss: p.MSS,
		flags: p.Flags, options: p.Options, traits: p.Traits, place: where, wscale: p.WScale, ttl: p.TTL,
	}
	if fromA {
		n.link |= noteFromA
	}
	return n
}

// packet is the packet that n notes, of the connection c.
func (t *Tracker) packet(n *note, c *Conn, fromA bool) capture.Packet {
	pl := t.places.list[n.place]
	e, o := c.End(c.side(fromA)), c.End(c.side(!fromA))
	return capture.Packet{
		Kind: capture.TCP, Ref: n.ref, Time: n.time, Link: n.link &^ noteFromA, Seq: n.seq, Ack: n.ack, Len: n.len, CapLen: n.capLen,
		TSVal: n.tsval, TSEcr: n.tsecr, Window: n.window, IPID: n.ipid, MSS: n.mss,
		Flags: n.flags, Options: n.options, Traits: n.traits, WScale: n.wscale, TTL: n.ttl,
		Encap: pl.encap(), Iface: pl.iface(), Depth: pl.depth(),
		Src: e.Addr, SrcPort: e.Port, Dst: o.Addr, DstPort: o.Port,
	}
}
