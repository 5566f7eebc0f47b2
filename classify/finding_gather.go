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
	c   *assembler.Conn
	v   *Verdict
	w   *view
	env Env

	traits                           traits
	pair                             relation
	clientHash, serverHash, pairHash uint64

	derived [2]bool
	lives   [2]lives // by side
}

// life are the states of one side's socket.
func (x *subject) life(s assembler.Side) *lives {
	if !x.derived[s] {
		x.derived[s] = true
		x.lives[s].derive(x.w, s)
	}
	return &x.lives[s]
}

// scene is what collectors need to know of the rest when they finish.
type scene struct {
	env         Env
	inputs      []capture.Input
	conns       uint64 // all
	told        uint64 // all but those seen twice
	packets     uint64 // of conns
	toldPackets uint64 // of told
	first       int64  // ns: of the first connection's first packet
	ledger      *ledger
	scans       *scans
	eyeballs    eyeballs
}

// length is how long (ns) the capture lasts.
func (s *scene) length() int64 { return max(s.env.End-s.first, 1) }

// Findings gathers connections one at a time, in any order; its memory does
// not grow with their number. The zero value is not ready: see NewFindings.
//
// Live capture asks while connections still come: then a Clone takes the
// connections still open, and is asked. No two methods may run at once.
type Findings struct {
	scene      scene
	dials      dialLog
	families   families
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
	scans := newScans(l)
	return &Findings{
		scene: scene{env: env, scans: scans, ledger: l},
		collectors: []subscriber{
			{newCaptureTrust(l), isFlawed}, {newLeaks(l), isLeft}, {&ports{l}, 0}, {newReuse(), serverFirst | isHeir},
			{newReconnects(l), isFruitless}, {newIdleCuts(), wasQuiet}, {newSilences(), endedBadly},
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
		c.collectors = append(c.collectors, subscriber{k.clone(l), k.wants})
	}
	return c
}

// Add takes one connection with its refined verdict, each once, in any
// order. Nothing of c or v is kept.
func (f *Findings) Add(c *assembler.Conn, v *Verdict) {
	s := &f.scene
	s.conns++
	s.packets += uint64(c.Ends[0].Packets) + uint64(c.Ends[1].Packets)
	if s.first == 0 || c.First.Time < s.first {
		s.first = c.First.Time
	}
	if v.SameAs != 0 && v.SameAs < c.ID {
		return // the same connection behind a NAT or in its tunnel: counted once
	}
	s.told++
	s.toldPackets += uint64(c.Ends[0].Packets) + uint64(c.Ends[1].Packets)
	x := f.look(c, v)
	if abandoned(c, v) && x.traits&^(isFruitless|endedBadly) == 0 && f.flooded(x, c.ID, x.w.cl.SYN.First) {
		return
	}
	s.ledger.add(x)
	if x.w.cl.SYN.Seen() {
		s.scans.add(x)
		f.dials.note(x, c.ID, x.w.cl.SYN.First, lossOf(c, v))
		f.families.add(x)
	}
	for i := range f.collectors {
		if k := &f.collectors[i]; k.wants&x.traits != 0 {
			k.add(x)
		}
	}
}

// AddLone takes a connection of which nothing but one SYN was seen, as Add
// takes its Conn, in a fraction of the time where a server is flooded.
func (f *Findings) AddLone(l *assembler.Lone, v *Verdict) {
	if l.Predecessor == 0 && l.Partial == 0 {
		x := &f.subject
		x.c, x.v = nil, v
		x.meet(relation{l.Client, endpoint{l.Server, l.ServerPort}})
		if f.flooded(x, l.ID, l.SYN) {
			s := &f.scene
			s.conns++
			s.told++
			s.packets++
			s.toldPackets++
			if s.first == 0 || l.SYN.Time < s.first {
				s.first = l.SYN.Time
			}
			return
		}
	}
	if f.lone == nil {
		f.lone = new(assembler.Conn)
	}
	l.Expand(f.lone)
	f.Add(f.lone, v)
}

// flooded counts an abandoned handshake at a server that has many, from a
// client of which there is nothing else, and reports whether it was one.
func (f *Findings) flooded(x *subject, id uint64, syn assembler.Stamp) bool {
	s := &f.scene
	if !s.scans.drowned(x) || s.ledger.pairs.find(&x.pair, x.pairHash) != nil || !s.ledger.stranger(x.pairHash) {
		return false
	}
	s.ledger.lone(x, syn.Time)
	s.scans.lone(x, id, syn)
	return true
}

func (f *Findings) look(c *assembler.Conn, v *Verdict) *subject {
	f.view.look(c, f.scene.env)
	x := &f.subject
	x.c, x.v, x.w, x.env = c, v, &f.view, f.view.env
	x.meet(relationOf(c))
	x.traits = traitsOf(x.w, v)
	x.derived = [2]bool{}
	return x
}

func (x *subject) meet(r relation) {
	if r == x.pair && x.pairHash != 0 {
		return // as of the one before
	}
	x.pair = r
	x.clientHash, x.serverHash = hashOf(&r.client), r.server.hash()
	x.pairHash = relationHash(x.clientHash, x.serverHash)
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
	slices.SortFunc(list, func(a, b Finding) int {
		trust := func(f *Finding) int { return -b2i(f.Kind == KindUntrusted && f.Severity >= Warning) }
		return cmp.Or(cmp.Compare(trust(&a), trust(&b)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.harm, a.harm),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Title, b.Title))
	})
	return list
}
