package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// collector gathers what one family of findings needs, in bounded memory. It
// is told of each connection once, in any order, and the order changes
// nothing, or, where more came than it has room for, only what was too little
// to be kept.
type collector interface {
	add(x *subject) // keeps nothing of x
	// finish tells what was found so far; it changes nothing.
	finish(s *scene) []Finding
	// clone is an independent copy, which looks into another ledger.
	clone(l *ledger) collector
}

// subject is one connection as collectors see it.
type subject struct {
	o   *assembler.Outline
	v   *Verdict
	env Env
	c   *assembler.Conn // nil of one that is plain, for which o tells all
	w   *view           // of c

	traits                           traits
	dials                            bool            // its SYN was seen
	syn                              assembler.Stamp // the first, if so
	pair                             relation
	clientHash, serverHash, pairHash uint64
	serverHostHash                   uint64

	tenures  [2]tenure // by side
	lives    lives
	outlined assembler.Outline // of c
}

// scene is what collectors need to know of the rest when they finish.
type scene struct {
	env         Env
	inputs      []capture.Input
	conns       uint64 // all
	told        uint64 // all but those seen twice
	packets     uint64 // of conns
	toldPackets uint64 // of told
	first, last int64  // ns: of the first connection's first packet, and of the last one's last
	fine        uint64 // connections whose first or last packet came between full seconds
	ledger      *ledger
	scans       *scans
	eyeballs    eyeballs
}

// length is how long (ns) the capture lasts.
func (s *scene) length() int64 { return max(s.env.End-s.first, 1) }

func (s *scene) count(packets uint64, first, last int64) {
	if s.conns == 0 {
		s.first, s.last = first, last
	}
	s.conns++
	s.packets += packets
	s.first, s.last = min(s.first, first), max(s.last, last)
	if first%second != 0 || last%second != 0 {
		s.fine++
	}
}

// Findings gathers connections one at a time, in any order; its memory does
// not grow with their number. The zero value is not ready: see NewFindings.
//
// Live capture asks while connections still come: then a Clone takes the
// connections still open, and is asked. No two methods may run at once.
type Findings struct {
	scene      scene
	dials      dialLog
	families   families
	reconnects *reconnects // one of them
	collectors []subscriber
	view       view    // of the connection being added, and
	subject    subject // what collectors see of it: kept to spare the allocator
	lone       *assembler.Conn
}

// subscriber is a collector, and the traits of which one makes a connection
// its business.
type subscriber struct {
	collector
	wants traits
}

// NewFindings returns an empty collection.
func NewFindings(env Env) *Findings {
	l := newLedger()
	scans, reconnects := newScans(l), newReconnects(l)
	return &Findings{
		scene: scene{env: env, scans: scans, ledger: l}, reconnects: reconnects,
		collectors: []subscriber{
			{newCaptureTrust(l), isFlawed}, {newLeaks(l), isLeft}, {&ports{l}, 0}, {newReuse(), serverFirst | isHeir},
			{reconnects, isFruitless}, {newIdleCuts(), wasQuiet}, {newSilences(), endedBadly},
			{newHeartbeats(), isBeating}, {newDeadlines(), isLong}, {newRaces(), serverFirst}, {newLosses(), hasReset},
			{newForgeries(), hasReset}, {newRefusals(l), dialFailing}, {newOverflows(l), isRetried},
			{newUnanswered(l), isRetried}, {newRejections(), dialFailing}, {newBursts(), endedBadly},
			{newPaths(l), isRepeating}, {newStalls(), wasShut},
		},
	}
}

// At tells what is known by now: End may move on while connections come, and
// is the latest time known whenever one is added. Connections that are still
// open come when it is final, or go to a Clone.
func (f *Findings) At(env Env) { f.scene.env = env }

// Clone returns an independent copy.
func (f *Findings) Clone() *Findings {
	c := &Findings{scene: f.scene, dials: f.dials.clone(), families: f.families.clone()}
	l := f.scene.ledger.clone()
	c.scene.ledger, c.scene.scans = l, f.scene.scans.clone(l)
	for _, k := range f.collectors {
		own := k.clone(l)
		if r, ok := own.(*reconnects); ok {
			c.reconnects = r
		}
		c.collectors = append(c.collectors, subscriber{own, k.wants})
	}
	return c
}

// Add takes one connection with its refined verdict, each once, in any
// order. Nothing of c or v is kept.
func (f *Findings) Add(c *assembler.Conn, v *Verdict) {
	s, x := &f.scene, &f.subject
	packets := uint64(c.Ends[0].Packets) + uint64(c.Ends[1].Packets)
	s.count(packets, c.First.Time, c.Last.Time)
	if v.SameAs != 0 && v.SameAs < c.ID {
		return // the same connection behind a NAT or in its tunnel: counted once
	}
	f.look(c, v)
	if abandoned(c, v) && x.traits&^(isFruitless|endedBadly) == 0 {
		if _, flood, drowns := f.drowns(x); drowns {
			s.told++
			s.toldPackets += packets
			s.drown(x, flood, &tiny{c.ID, x.syn})
			return
		}
	}
	f.tell(x)
}

// tell tells collectors of a connection.
func (f *Findings) tell(x *subject) {
	s := &f.scene
	s.told++
	s.toldPackets += uint64(x.o.Ends[0].Packets) + uint64(x.o.Ends[1].Packets)
	s.ledger.add(x)
	if x.dials {
		s.scans.add(x)
		f.dials.note(x, x.o.ID, x.syn, lossOf(x.o, x.v))
		f.families.add(x)
	}
	for i := range f.collectors {
		if k := &f.collectors[i]; k.wants&x.traits != 0 {
			k.add(x)
		}
	}
}

func (f *Findings) look(c *assembler.Conn, v *Verdict) {
	f.view.look(c, f.scene.env)
	x := &f.subject
	c.Outline(&x.outlined)
	x.o, x.c, x.v, x.w, x.env = &x.outlined, c, v, &f.view, f.view.env
	x.meet(relationOf(c))
	x.traits = traitsOf(x.w, v)
	x.dials, x.syn = x.w.cl.SYN.Seen(), x.w.cl.SYN.First
	x.tenures[0].known, x.tenures[1].known = false, false
}

func (x *subject) meet(r relation) {
	if r == x.pair && x.pairHash != 0 {
		return // as of the one before
	}
	x.pair = r
	x.clientHash, x.serverHostHash = hashOf(&r.client), hashOf(&r.server.addr)
	x.serverHash = r.server.hashAt(x.serverHostHash)
	x.pairHash = relationHash(x.clientHash, x.serverHash)
}

// closer is the side whose FIN came first; ok is false if there was none.
func (x *subject) closer() (s assembler.Side, ok bool) {
	if x.c != nil {
		return x.w.firstFIN()
	}
	return earlier(&x.o.Ends[assembler.Client].FIN, &x.o.Ends[assembler.Server].FIN), true
}

// system is that of one side.
func (x *subject) system(s assembler.Side) System {
	if x.c != nil {
		return systemOf(x.c.End(s), x.env.OS)
	}
	e := &x.o.Ends[s]
	return systemBy(x.env.OS, e.TTLMin, s == assembler.Client, e.Opts, e.WScale)
}

// Finish ranks what was found so far, the most harmful first. The inputs tell
// what the capture itself lacks; without them only the packets do. It may be
// called again after more connections.
func (f *Findings) Finish(inputs ...capture.Input) []Finding {
	s := f.scene
	s.inputs = inputs
	s.eyeballs = f.families.judge()
	list := slices.Concat(s.scans.finish(&s), f.dials.judge().findings(&s), s.eyeballs.findings(&s))
	for _, k := range f.collectors {
		list = append(list, k.finish(&s)...)
	}
	list = tellOnce(s.ticks().timely(list))
	slices.SortFunc(list, func(a, b Finding) int {
		trust := func(f *Finding) int { return -b2i(f.Kind == KindUntrusted && f.Severity >= Warning) }
		return cmp.Or(cmp.Compare(trust(&a), trust(&b)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.harm, a.harm),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Title, b.Title))
	})
	return list
}
