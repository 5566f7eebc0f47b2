package classify

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

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

// collector gathers what one family of findings needs, in bounded memory.
type collector interface {
	// add takes one connection, in the order of IDs. Nothing of it is kept.
	add(x *subject)
	finish(s *scene) []Finding
}

// subject is one connection as collectors see it.
type subject struct {
	c     *assembler.Conn
	v     *Verdict
	w     *view
	env   Env
	lives [2]lives // by side
}

// scene is what collectors need to know of the rest when they finish.
type scene struct {
	env      Env
	inputs   []capture.Input
	conns    uint64
	packets  uint64
	first    int64 // ns: of the first connection's first packet
	scans    *scans
	eyeballs *eyeballs
}

// length is how long (ns) the capture lasts.
func (s *scene) length() int64 { return max(s.env.End-s.first, 1) }

// Findings gathers connections one at a time; its memory does not grow with
// their number. The zero value is not ready: see NewFindings.
type Findings struct {
	scene      scene
	collectors []collector
	view       view    // of the connection being added, and
	subject    subject // what collectors see of it: kept to spare the allocator
}

// NewFindings returns an empty collection. End must be set in env: whoever
// streams connections gives the latest time known when each is added.
func NewFindings(env Env) *Findings {
	scans, eyes := newScans(), newEyeballs()
	return &Findings{
		scene: scene{env: env, scans: scans, eyeballs: eyes},
		collectors: []collector{
			scans, newCaptureTrust(), newLeaks(), newPorts(), newReuse(), newReconnects(), newStorms(), newIdleCuts(),
			newSilences(), newHeartbeats(), newDeadlines(), newRaces(), newLosses(), newForgeries(), newRefusals(),
			newOverflows(), newUnanswered(), newRejections(), eyes, newBursts(), newPaths(), newStalls(),
		},
	}
}

// Add takes one connection with its refined verdict. Connections must come
// in the order of their IDs, each once. Nothing of c or v is kept.
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
	f.view = view{c: c, env: s.env, cl: c.End(assembler.Client), sv: c.End(assembler.Server), rst: decisive(c)}
	x := &f.subject
	x.c, x.v, x.w, x.env = c, v, &f.view, s.env
	for side := range x.lives {
		x.lives[side].derive(x.w, assembler.Side(side))
	}
	for _, k := range f.collectors {
		k.add(x)
	}
}

// Finish ranks what was found, the most harmful first. The inputs tell what
// the capture itself lacks; without them only the packets do.
func (f *Findings) Finish(inputs ...capture.Input) []Finding {
	f.scene.inputs = inputs
	var list []Finding
	for _, k := range f.collectors {
		list = append(list, k.finish(&f.scene)...)
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		trust := func(f *Finding) int { return -b2i(f.Kind == KindUntrusted && f.Severity >= Warning) }
		return cmp.Or(cmp.Compare(trust(&a), trust(&b)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.harm, a.harm))
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
	points [3]point
}

type point struct {
	at   assembler.Stamp
	side assembler.Side
	says saying
	n    int64
}

// group is what every kind of finding keeps of the connections it is about.
type group struct {
	n           uint64
	first, last int64
	clients     crowd
	examples    [maxExamples]example
}

// note counts a connection and keeps it as an example if there is room.
func (g *group) note(c *assembler.Conn, at int64, points ...point) {
	if g.n < maxExamples {
		e := &g.examples[g.n]
		e.id = c.ID
		copy(e.points[:], points)
	}
	g.n++
	g.clients.add(c.End(assembler.Client).Addr)
	if g.first == 0 || at < g.first {
		g.first = at
	}
	g.last = max(g.last, at)
}

// finding begins a finding about the group: who, when, examples, evidence.
func (g *group) finding(kind string, sev Severity, conf Confidence) Finding {
	f := Finding{Kind: kind, Severity: sev, Confidence: conf, Total: g.n, First: g.first, Last: g.last, harm: float64(g.n)}
	for i := range min(g.n, maxExamples) {
		e := &g.examples[i]
		f.Connections = append(f.Connections, e.id)
		for _, p := range e.points {
			if p.at.Seen() && len(f.Evidence) < maxEvidence {
				f.Evidence = append(f.Evidence, Evidence{Stamp: p.at, Side: p.side, What: fmt.Sprintf("connection %d: %s", e.id, p)})
			}
		}
	}
	return f
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
	for _, a := range g.clients.named[:g.clients.n] {
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
