package assembler

import "hangup/capture"

// Outline is what is asked of every connection, whatever became of it: who,
// when, and how it ended if it ended well.
type Outline struct {
	ID                   uint64
	First, Last          Stamp
	Established          Stamp
	RTTServer, RTTClient int64
	MaxIdle              int64
	MaxIdleEnd           Stamp
	Predecessor          uint64
	Partial              Partial
	V6                   bool
	Ends                 [2]EndOutline // by Side
}

// EndOutline is an Outline's part of one end. What bears a name of End's is
// the same.
type EndOutline struct {
	Addr           [16]byte
	Port           uint16
	TTLMin, TTLMax uint8
	HasISN         bool
	ISN            uint32
	Packets        uint32
	Bytes          uint64
	SinceData      uint64
	Link           uint64
	First, Last    Stamp
	LastData       Stamp
	LastNewAck     Stamp
	FIN            Stamp // the first
	FINIdle        int64 // FIN.Idle
	Opts           capture.Options
	WScale         uint8
	Beat           Beat
	App            *Framing
}

// Outline makes o that of c, to which its pointers lead.
func (c *Conn) Outline(o *Outline) {
	o.ID, o.First, o.Last, o.Established = c.ID, c.First, c.Last, c.Established
	o.RTTServer, o.RTTClient, o.MaxIdle, o.MaxIdleEnd = c.RTTServer, c.RTTClient, c.MaxIdle, c.MaxIdleEnd
	o.Predecessor, o.Partial, o.V6 = c.Predecessor, c.Partial, c.V6
	for s := range c.Ends {
		x, e := &o.Ends[s], &c.Ends[s]
		x.Addr, x.Port, x.Link = e.Addr, e.Port, e.Link
		x.TTLMin, x.TTLMax, x.HasISN, x.ISN = e.TTLMin, e.TTLMax, e.HasISN, e.ISN
		x.Packets, x.Bytes, x.SinceData = e.Packets, e.Bytes, e.SinceData
		x.First, x.Last, x.LastData, x.LastNewAck = e.First, e.Last, e.LastData, e.LastNewAck
		x.FIN, x.FINIdle, x.Opts, x.WScale, x.Beat = e.FIN.First, e.FIN.Idle, e.Opts, e.WScale, e.Beat
		x.App = &e.App
	}
}

// Plain is a connection that ended as nearly all do: opened by SYN, SYN-ACK
// and ACK, once each, and closed by a FIN of each end, the second of which
// acknowledges the first and is itself acknowledged. Between, nothing was
// repeated, missing or out of order, no window was shut; there was no RST, no
// ICMP error, no keep-alive and no mark; and no end took payload after it had
// sent its FIN.
type Plain struct {
	Outline
	tracker *Tracker
	record  ref
}

// Conn is the whole of it, until the next call for any Plain. To make it takes
// as long as to answer most questions.
func (p *Plain) Conn() *Conn {
	t := p.tracker
	t.expandFlow(t.flows.at(p.record.index()), t.spareFlow)
	return t.spareFlow
}

// plains are those that were not told of yet.
type plains struct {
	list [foreseen]Plain
	n    int
}

// describe adds the flow of record r, which is over, to the plains.
func (t *Tracker) describe(r ref) *Plain {
	if t.plains.n == len(t.plains.list) {
		t.tellPlains()
	}
	p := &t.plains.list[t.plains.n]
	t.plains.n++
	p.tracker, p.record = t, r
	t.outline(t.flows.at(r.index()), p)
	return p
}

// tellPlains calls Config.Plain for those that wait for it, and frees them.
func (t *Tracker) tellPlains() {
	if t.plains.n == 0 {
		return
	}
	list := t.plains.list[:t.plains.n]
	t.cfg.Plain(list)
	for i := range list {
		t.freeFlow(list[i].record.index())
	}
	t.plains.n = 0
}

// outline makes p that of f.
func (t *Tracker) outline(f *flow, p *Plain) {
	k, epoch := t.cold(f), &t.epochs[f.epoch]
	p.ID, p.First, p.Last, p.Established = k.id, k.first.stamp(epoch), f.last(k, f.lastSide()).stamp(epoch), k.established.stamp(epoch)
	p.RTTServer, p.RTTClient = f.roundTrips(k)
	p.MaxIdle, p.MaxIdleEnd, p.Predecessor, p.Partial = k.maxIdle, k.maxIdleEnd.stamp(epoch), 0, f.partial()
	p.V6 = k.ends[Client].place.has(capture.IPv6)
	if f.bits&flowHeir != 0 {
		p.Predecessor = t.heirs[k.id].id
	}
	c, s := &p.Ends[Client], &p.Ends[Server]
	t.addrs(f.client, f.server, f.bits&flowWide != 0, &c.Addr, &s.Addr)
	c.Port, s.Port, c.First, s.First = f.cport, f.sport, p.First, k.answered.stamp(epoch)
	for side := Client; side <= Server; side++ {
		x, y, tail := &p.Ends[side], &f.sides[side], &k.ends[side]
		x.TTLMin, x.TTLMax, x.HasISN, x.ISN, x.Link = tail.ttl, tail.ttl, true, tail.isn, tail.link
		x.Packets, x.Bytes, x.SinceData = y.packets, uint64(f.dataEnd(side)-tail.isn-1), f.sinceData(side)
		x.LastData, x.LastNewAck, x.Last = y.lastData.stamp(epoch), y.lastNewAck.stamp(epoch), f.last(k, side).stamp(epoch)
		x.FIN, x.FINIdle, x.Opts, x.WScale, x.Beat = tail.fin.stamp(epoch), tail.finIdle, tail.options, tail.wscale, t.beatOf(f, k, side)
		x.App = t.framing(f, side)
	}
}

func (f *flow) partial() Partial {
	if f.bits&flowCut != 0 {
		return Snaplen
	}
	return 0
}

// roundTrips are Conn.RTTServer and RTTClient.
func (f *flow) roundTrips(k *flowCold) (server, client int64) {
	if f.bits&flowPureACK != 0 {
		client = k.established.since(k.answered)
	}
	return k.answered.since(k.first), client
}

// sinceData is End.SinceData.
func (f *flow) sinceData(s Side) uint64 {
	if last := f.bits&flowServerData != 0; last != (s == Server) {
		return uint64(f.since)
	}
	return 0
}
