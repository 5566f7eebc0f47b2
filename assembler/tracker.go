package assembler

import (
	"hash/maphash"
	"math"

	"hangup/capture"
)

// Config is what a Tracker needs to know.
type Config struct {
	// Done is called once for every connection, when it is over or the
	// tracker finishes; the Conn is the callee's only until it returns, and
	// not to be changed. The order is that of endings, which Conn.ID brings
	// back into the order of first packets.
	Done func(*Conn)

	// Trace, if not nil, is called for every packet of every connection,
	// after it took effect.
	Trace func(Step)

	// Lone, if not nil, is called instead of Done for connections of which
	// there was never more than one SYN: a scan has millions. The Lone is the
	// callee's until it returns.
	Lone func(*Lone)

	// Plain, if not nil, is called instead of Done for connections of which
	// nothing is unusual, from their SYNs to the last FIN's ACK: nearly all are
	// that. It is told of several at once, in the order of their endings, so
	// that what they need can be fetched together. They, and what they lead
	// to, are the callee's until it returns.
	Plain func([]Plain)

	// Over, if not nil, is called for a connection that has been over (both
	// ends closed, or reset) for OverAfter ns while it still lingers for late
	// packets, once; Conn.Told is then set, and Done says by Conn.Changed
	// whether anything came of it. Under load, when there is no time to
	// linger, Done comes without it.
	Over      func(*Conn)
	OverAfter int64

	// Expire has connections reported that no timer of either end can make
	// speak any more (Expiry), within some 10 s of packet time or ticks.
	// Those that are established and merely idle are not among them. If a
	// packet comes all the same, it opens another connection, Predecessor
	// of which is the expired one.
	Expire bool

	// MaxConns is how many connections are followed at once, 0 for any
	// number. Beyond it those that have been silent for long are reported
	// early, as Evicted; their later packets are late ones.
	MaxConns int

	// MaxMemory bounds the bytes that the tracker holds (Tracker.Memory) in
	// the same way, 0 for any number. It is looked at once a batch, which may
	// exceed it by 5 kB a packet, and by what pages of 64 records hold that
	// are not empty yet: that much half of it is always used for. 16 MiB is
	// the least that makes sense; a plain connection takes about 700 bytes,
	// one that was seen from the middle or lost packets 5 kB until it is
	// silent, a lone SYN 80.
	MaxMemory int

	sharers int // trackers that share the input, 0 is one

	// For tests.
	general    bool // no lone, no flow, every connection is a Conn from its first packet
	unnoted    bool // no notes
	parkBeyond int
}

// Tracker follows all connections of one stream of packets. A connection is
// a lone, a flow or a Conn, and when it was over for some time a tomb; the
// table finds it by its tuple.
type Tracker struct {
	cfg    Config
	seed   uint64
	arena  *arena
	table  *table
	lones  pool[lone]
	wide   pool[wide]
	places places
	flows  pool[flow]
	colds  pool[flowCold]
	epochs []Stamp
	apps   pool[[2]Framing]
	beats  pool[Beat]
	noted  pool[noted]
	conns  pool[Conn]
	parked parked
	tombs  tombs
	heirs  map[uint64]heir // by Conn.ID
	closed queue           // connections that both ends have closed
	reset  queue           // ... that a RST has ended
	hands  hands

	lastID uint64
	before uint64  // packets of the input before the current batch; with opened only
	number uint64  // of the current packet in the input
	opened *series // numbers of the packets that opened connections: see Parallel
	clock  clock
	dues   dues // after the current batch
	batch  *capture.Batch
	slips  []capture.Slip // of all packets of the batch
	blank  capture.Batch  // of packets whose payload nobody reads
	block  block

	spareLone, spareFlow, spareConn *Conn // what is reported is expanded into them
	spare                           Lone
	plains                          plains
	noApp, otherApp                 Framing // of flows without one of their own

	ownSlips []capture.Slip // memory of Batch
	mine     []uint32

	overs int   // connections followed that are over
	fresh int   // Conns made since parkIdle was last called
	swept int64 // when expire was last called

	orphanICMP, late, evicted uint64
}

// New returns a Tracker without connections.
func New(cfg Config) *Tracker {
	cfg.parkBeyond = parkBeyond / max(cfg.sharers, 1)
	return newTracker(cfg)
}

func newTracker(cfg Config) *Tracker {
	a := new(arena)
	t := &Tracker{
		cfg: cfg, seed: newSeed(), arena: a, table: newTable(a), heirs: make(map[uint64]heir),
		clock: newClock(), spareLone: new(Conn), spareFlow: new(Conn), spareConn: new(Conn),
		otherApp: otherFraming(),
	}
	t.tombs.most = keptTombs / uint32(max(cfg.sharers, 1))
	t.lones.arena, t.wide.arena, t.flows.arena, t.colds.arena, t.noted.arena = a, a, a, a, a
	t.apps.arena, t.beats.arena, t.conns.arena, t.parked.arena, t.parked.parcels.arena, t.tombs.pool.arena = a, a, a, a, a, a
	return t
}

// forget gives the memory of all connections back.
func (t *Tracker) forget() {
	t.lones, t.wide, t.flows, t.colds, t.noted = pool[lone]{}, pool[wide]{}, pool[flow]{}, pool[flowCold]{}, pool[noted]{}
	t.apps, t.beats, t.conns, t.parked = pool[[2]Framing]{}, pool[Beat]{}, pool[Conn]{}, parked{}
	t.arena.release()
}

func newSeed() uint64 { return maphash.Comparable(maphash.MakeSeed(), 0) }

// Batch takes the packets of b, which is not Lazy, in order. It keeps nothing
// of b.
func (t *Tracker) Batch(b *capture.Batch) {
	t.clock.now = max(t.clock.now, b.Now)
	slips := b.AllSlips(&t.ownSlips, t.seed)
	t.mine = t.mine[:0]
	for i := range slips {
		s := &slips[i]
		if t.clock.tick(s); s.AboutTCP() {
			t.mine = append(t.mine, uint32(i))
		}
	}
	t.share(b, slips, t.mine)
	t.dues = t.clock.dues()
	t.settle()
}

// share takes those packets of b that are the tracker's.
func (t *Tracker) share(b *capture.Batch, slips []capture.Slip, mine []uint32) {
	t.batch, t.slips = b, slips
	t.take(mine)
	t.batch, t.slips = nil, nil
}

// settle does what is due by now.
func (t *Tracker) settle() {
	t.retire(t.dues)
	t.tellOvers()
	t.expire(t.dues.now)
	t.parkIdle()
	t.evict()
}

// Tick lets time pass without packets: what is due is reported as if one had
// come at now (ns since the Unix epoch). Time never goes back.
func (t *Tracker) Tick(now int64) {
	t.clock.now = max(t.clock.now, now)
	t.dues = t.clock.dues()
	t.settle()
}

// Finish reports every connection that is still in the table, and gives back
// its memory, since the callee may need as much to keep it. The tracker must
// not be used afterwards.
func (t *Tracker) Finish() {
	t.swept = math.MinInt64
	t.expire(t.clock.now)
	t.table, t.tombs = nil, tombs{} // nothing is looked up any more
	for r := range t.followed() {
		t.report(r)
	}
	t.tellPlains()
	t.forget()
}

// OrphanICMP counts ICMP errors about connections that the capture does not show.
func (t *Tracker) OrphanICMP() uint64 { return t.orphanICMP }

// LatePackets counts packets of connections that had been reported, because
// they had been over for long or were evicted: they changed nothing.
func (t *Tracker) LatePackets() uint64 { return t.late }

func (t *Tracker) conn(i int32) *Conn { return t.conns.at(uint32(i)) }

// newID is the ID of a connection that the current packet opens.
func (t *Tracker) newID() uint64 {
	if t.opened != nil {
		t.opened.add(t.number)
		return t.number
	}
	t.lastID++
	return t.lastID
}

// tcp takes one TCP segment. Guess is where its tuple was expected, f the
// flow there, if it is one.
func (t *Tracker) tcp(p *capture.Packet, tag uint32, guess ref, f *flow) {
	if f != nil {
		if from, ok := t.side(f, p); ok && t.accept(f, from, p) {
			if f.over() || t.cfg.Trace != nil {
				t.accepted(guess, f, from, p)
			}
			return
		}
	}
	at := t.find(p, tag)
	if t.retireDue(at.ref(), p.Time) {
		at = t.find(p, tag)
	}
	switch r := at.ref(); r.kind() {
	case aLone:
		if t.answer(at, p, tag) {
			return
		}
	case aFlow:
		if f := t.flows.at(r.index()); t.accept(f, at.from, p) {
			t.accepted(r, f, at.from, p)
			return
		}
	case aTomb:
		if t.isLate(at, p) || t.openLone(at, p, tag) {
			return
		}
	}
	t.general(at, p, tag)
}

// accepted does what follows a packet that a flow took.
func (t *Tracker) accepted(r ref, f *flow, from Side, p *capture.Packet) {
	if f.over() {
		t.closed.push(t.cold(f).id, r, p.Time)
		t.overs++
	}
	if t.cfg.Trace != nil {
		t.cfg.Trace(Step{Packet: *p, Conn: t.cold(f).id, Side: from, States: [2]State{f.state(Client), f.state(Server)}})
	}
}

// general takes a segment that is not plain.
func (t *Tracker) general(at found, p *capture.Packet, tag uint32) {
	key, fromA := tupleOf(p)
	switch at.ref().kind() {
	case aLone, aFlow, aNoted:
		if t.note(at, p, fromA) {
			return
		}
	}
	i := t.promote(&at)
	if i >= 0 {
		i = t.choose(i, p, fromA)
	}
	if i < 0 {
		i = t.open(at, &key, p, fromA, tag)
	}
	c := t.conn(i)
	c.Changed = c.Told
	wasOver := c.over()
	notes := c.take(fromA, p, t.batch)
	if !wasOver && c.over() {
		t.enqueue(c, makeRef(aConn, uint32(i)))
		t.overs++
	}
	if t.cfg.Trace != nil {
		// A SYN may have turned a guess about roles round.
		t.cfg.Trace(Step{Packet: *p, Conn: c.ID, Side: c.side(fromA), States: [2]State{c.Ends[0].State, c.Ends[1].State}, Notes: notes})
	}
}

// take applies one packet, whether it is news or the copy of another.
func (c *Conn) take(fromA bool, p *capture.Packet, b *capture.Batch) Notes {
	from := c.side(fromA)
	if !c.isCopy(from, p) {
		return c.segment(from, p, b)
	}
	if p.Flags.Has(capture.RST) {
		c.resetCopy(from, p)
	}
	c.Ends[from].Duplicates++
	c.Ends[from].copyAt(p)
	c.Partial |= Duplicated
	c.zeekSegment(from, p)
	return NoteDuplicate
}

// promote makes a Conn of the connection at hand, and returns its number, or
// that of the newest Conn there; -1 if there is none.
func (t *Tracker) promote(at *found) int32 {
	r := at.ref()
	switch r.kind() {
	case aConn:
		return int32(r.index())
	case aTomb:
		return -1
	}
	i := t.conns.take()
	t.fresh++
	c := t.conns.at(i)
	n := makeRef(aConn, i)
	switch r.kind() {
	case aParked:
		t.parked.unpack(r.index(), c)
		t.parked.discard(r.index())
	default:
		t.unfold(r, c)
		t.free(r)
	}
	at.set(n)
	if c.over() {
		t.enqueue(c, n)
	}
	return int32(i)
}

// open starts a Conn with its first packet.
func (t *Tracker) open(at found, key *tuple, p *capture.Packet, fromA bool, tag uint32) int32 {
	i := t.conns.take()
	t.fresh++
	c := t.conns.at(i)
	*c = Conn{ID: t.newID(), key: *key}
	c.begin(p, fromA)
	r := at.ref()
	switch {
	case r == 0:
		t.table.add(tag, makeRef(aConn, i))
		return int32(i)
	case r.kind() == aConn:
		c.next = int32(r.index()) + 1
		c.succeed(t.conns.at(r.index()), p)
	default:
		if h, ok := t.inherit(r.index(), p); ok {
			c.Predecessor, c.Gap = h.id, h.gap
		}
	}
	at.set(makeRef(aConn, i))
	return int32(i)
}

// free gives the memory of a connection back that the table has no more.
func (t *Tracker) free(r ref) {
	switch i := r.index(); r.kind() {
	case aLone:
		t.freeLone(i)
	case aFlow:
		t.freeFlow(i)
	case aNoted:
		t.freeNoted(i)
	case aConn:
		t.freeConn(i)
	case aParked:
		t.parked.discard(i)
	}
}

func (t *Tracker) freeFlow(i uint32) {
	f := t.flows.at(i)
	k := t.cold(f)
	if f.bits&flowHeir != 0 {
		delete(t.heirs, k.id)
	}
	if f.bits&flowWide != 0 {
		t.wide.release(f.client)
	}
	if f.app != 0 {
		t.apps.release(f.app - 1)
	}
	for s := range k.ends {
		if beat := k.ends[s].beat; beat != 0 {
			t.beats.release(beat - 1)
		}
	}
	f.bits, k.id = 0, 0
	t.colds.release(f.cold)
	t.flows.release(i)
}

// side is the side that the a or b end of the tuple is on.
func (c *Conn) side(a bool) Side {
	if a == c.clientIsA {
		return Client
	}
	return Server
}

// setKey derives the tuple from the ends.
func (c *Conn) setKey() {
	e, o := &c.Ends[Client], &c.Ends[Server]
	c.clientIsA = c.key.set(&e.Addr, e.Port, &o.Addr, o.Port)
}

// over reports whether nothing but stragglers can follow: both ends are
// closed or in TIME_WAIT.
func (c *Conn) over() bool {
	return gone(c.Ends[Client].State) && gone(c.Ends[Server].State)
}

func gone(s State) bool { return s == Closed || s == TimeWait }
