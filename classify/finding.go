package classify

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"hangup/assembler"
	"hangup/capture"
)

// Severity says how much a finding matters to those who run the system.
type Severity uint8

const (
	Info     Severity = iota // worth knowing; nothing is wrong
	Warning                  // will hurt when load or bad luck comes, or costs time already
	Serious                  // programs saw errors, waited in vain, or lost data
	Critical                 // a service was down, is about to be, or nothing else in the report can be trusted
)

func (s Severity) String() string {
	return [...]string{"info", "warning", "serious", "critical"}[s]
}

// Finding is what many connections together say about a system.
type Finding struct {
	Kind       string // stable name, kebab-case: one of FindingKinds
	Severity   Severity
	Confidence Confidence
	Title      string   // one sentence
	What       string   // what it means, for somebody who does not know the system
	Numbers    []Number // in the order in which they should be read
	Where      []Place
	// Connections are the IDs of at most five examples of the Total that it is about.
	Connections  []uint64
	Total        uint64
	First, Last  int64      // ns: when it began and was last seen, 0 if that says nothing
	Evidence     []Evidence // packets of the examples
	Advice       string     // what to do, in Go where Go can do something
	Alternatives []string   // other readings that the packets leave open
	harm         float64    // rank within a severity: about how many connections suffered
	provers      []uint64   // the connection that each line of Evidence is about
}

// Number is one measure of a finding.
type Number struct {
	Name  string
	Value float64
	Unit  string // "s", "bytes", "%", "/s", "" for counts
}

// Place is a host or program endpoint that a finding is about.
type Place struct {
	Role string // "client", "server", "router", "host"
	Host netip.Addr
	Port uint16 // 0: any, or not one
}

func (p Place) String() string {
	if p.Port == 0 {
		return p.Host.String()
	}
	return netip.AddrPortFrom(p.Host, p.Port).String()
}

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
// connections still open, and is asked.
type Findings struct {
	scene      scene
	dials      dialLog
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
	c := &Findings{scene: f.scene, dials: f.dials.clone()}
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
		f.dials.note(x)
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
	env := f.scene.env
	f.view = view{c: c, env: env, cl: c.End(assembler.Client), sv: c.End(assembler.Server), rst: decisive(c)}
	x := &f.subject
	x.c, x.v, x.w, x.env = c, v, &f.view, env
	x.meet(relationOf(c))
	x.traits = traitsOf(x.w, v)
	x.derived = [2]bool{}
	return x
}

func (x *subject) meet(r relation) {
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
	var waves storms
	waves, s.eyeballs = f.dials.judge()
	list := slices.Concat(s.scans.finish(&s), waves.findings(&s), s.eyeballs.findings(&s))
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

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// maxExamples is how many connections stand for a finding.
const maxExamples = 5

// example is one connection that shows a finding, with the packets that do.
// It holds no pointer, since there are five for each group.
type example struct {
	id     uint64
	at     int64 // what it is chosen by: the earliest are shown
	points [3]point
}

type point struct {
	at   assembler.Stamp
	side assembler.Side
	says saying
	n    int64
}

func (e *example) before(o *example) bool {
	return e.at < o.at || e.at == o.at && e.id < o.id
}

// group is what every kind of finding keeps of the connections it is about.
// It does not depend on the order in which they come.
type group struct {
	n           uint64
	first, last int64
	clients     crowd
	examples    [maxExamples]example // the earliest
	kept        uint8
}

// note counts a connection, and keeps it as an example if it is among the earliest.
func (g *group) note(c *assembler.Conn, at int64, points ...point) {
	g.count(at)
	g.clients.add(c.End(assembler.Client).Addr)
	e := example{id: c.ID, at: at}
	if g.keeps(&e) {
		copy(e.points[:], points)
		g.keep(&e)
	}
}

// count counts a connection that is no example.
func (g *group) count(at int64) {
	g.n++
	if g.first == 0 || at < g.first {
		g.first = at
	}
	g.last = max(g.last, at)
}

func (g *group) keeps(e *example) bool {
	return g.kept < maxExamples || e.before(&g.examples[maxExamples-1])
}

func (g *group) keep(e *example) {
	if g.kept < maxExamples {
		g.kept++
	}
	i := int(g.kept) - 1
	for ; i > 0 && e.before(&g.examples[i-1]); i-- {
		g.examples[i] = g.examples[i-1]
	}
	g.examples[i] = *e
}

// finding begins a finding about the group: who, when, examples, evidence.
func (g *group) finding(kind string, sev Severity, conf Confidence) Finding {
	f := Finding{Kind: kind, Severity: sev, Confidence: conf, Total: g.n, First: g.first, Last: g.last, harm: float64(g.n)}
	for i := range g.examples[:g.kept] {
		f.example(&g.examples[i])
	}
	return f
}

// example adds a connection and what its packets prove.
func (f *Finding) example(e *example) {
	f.Connections = append(f.Connections, e.id)
	for i := range e.points {
		f.prove(e.id, &e.points[i])
	}
}

func (f *Finding) prove(id uint64, p *point) {
	if p.at.Seen() && len(f.Evidence) < maxEvidence {
		f.proves(id, Evidence{Stamp: p.at, Side: p.side, What: p.String()})
	}
}

// proves adds a line of proof about a connection.
func (f *Finding) proves(id uint64, e Evidence) {
	f.provers = append(f.provers, id)
	e.What = fmt.Sprintf("connection %d: %s", id, e.What)
	f.Evidence = append(f.Evidence, e)
}

// Renumber gives the connections that the findings name other numbers, in
// examples and proofs: those of a [assembler.Parallel] are known at the end only.
func Renumber(list []Finding, id func(uint64) uint64) {
	for i := range list {
		f := &list[i]
		for k, old := range f.Connections {
			f.Connections[k] = id(old)
		}
		for k, old := range f.provers {
			said := strings.TrimPrefix(f.Evidence[k].What, fmt.Sprintf("connection %d: ", old))
			f.provers[k] = id(old)
			f.Evidence[k].What = fmt.Sprintf("connection %d: %s", f.provers[k], said)
		}
	}
}

// maxEvidence is how many lines of proof a finding shows.
const maxEvidence = 8

func (f *Finding) number(name string, v float64, unit string) {
	f.Numbers = append(f.Numbers, Number{name, v, unit})
}

// seconds adds a duration (ns).
func (f *Finding) seconds(name string, ns int64) { f.number(name, float64(ns)/1e9, "s") }

func (f *Finding) at(role string, e endpoint) {
	f.Where = append(f.Where, Place{role, capture.Addr(e.addr), e.port})
}

// clients adds the named clients of the group.
func (f *Finding) clients(g *group) {
	f.number("client hosts", float64(g.clients.size()), "")
	for _, a := range g.clients.names() {
		f.at("client", endpoint{addr: a})
	}
}

// overflow says that bounded memory hid something, if it did.
func (f *Finding) overflow(dropped uint64) {
	if dropped > 0 {
		f.number("connections of endpoints too many to keep", float64(dropped), "")
	}
}

func (e endpoint) String() string { return Place{"", capture.Addr(e.addr), e.port}.String() }

// FindingKinds are all kinds of findings, in the order of what they look at.
func FindingKinds() []string {
	return []string{
		KindUntrusted, KindOneWay, KindNeverClosed, KindPorts, KindChurn, KindReuse, KindReconnectLoop, KindReconnects,
		KindStorm, KindIdleCut, KindSilentPeer, KindHeartbeats, KindRequestTimeout, KindIdleTimeout, KindMaxLifetime,
		KindRace, KindIgnoredEOF, KindLostData, KindEarlyReply, KindInjected, KindOwnHost, KindServerDown, KindOverflow,
		KindUnreachable, KindSYNLoss, KindRejected, KindEyeballs, KindBurst, KindPacketLoss, KindStalls, KindScan, KindFlood,
	}
}
