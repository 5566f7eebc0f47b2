package classify

import (
	"fmt"
	"net/netip"
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
	// Also are the kinds of findings that this one tells as well, since they
	// would tell the same facts again.
	Also    []string
	harm    float64  // rank within a severity: about how many connections suffered
	provers []uint64 // the connection that each line of Evidence is about

	// What tellOnce compares, of findings that may tell the facts of another.
	retries *retries
	burst   *burst
	timer   *quietTimer
	beat    string // what keeps connections alive
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
func (g *group) note(x *subject, at int64, points ...point) {
	g.noted(&x.pair.client, x.clientHash, x.o.ID, at, points...)
}

// noted is note for a connection of the client, given its hash, that is at hand
// no more.
func (g *group) noted(client *[16]byte, hash, id uint64, at int64, points ...point) {
	g.count(at)
	g.clients.addHash(client, hash)
	if !g.wants(at, id) {
		return
	}
	e := example{id: id, at: at}
	copy(e.points[:], points)
	g.keep(&e)
}

// count counts a connection that is no example.
func (g *group) count(at int64) {
	g.n++
	if g.first == 0 || at < g.first {
		g.first = at
	}
	g.last = max(g.last, at)
}

// wants reports whether a connection is among the earliest, chosen by at.
func (g *group) wants(at int64, id uint64) bool {
	last := &g.examples[maxExamples-1]
	return g.kept < maxExamples || at < last.at || at == last.at && id < last.id
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
	f.number(clientHosts, float64(g.clients.size()), "")
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
