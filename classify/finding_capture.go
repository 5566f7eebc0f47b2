package classify

import (
	"fmt"
	"strings"

	"hangup/assembler"
)

// Kinds of findings about what the capture shows.
const (
	KindUntrusted = "untrusted-capture"
	KindOneWay    = "one-way-path"
)

const (
	// gapShare is the share of connections with bytes that were acknowledged
	// but not captured from which verdicts suffer (or are worth little, gapGrave): below, a lost packet here
	// and there.
	gapShare = 0.02
	gapGrave = 0.1
	// copyShare is the share of packets seen twice from which counts of
	// retransmissions deserve a second look. One interface of many, mirrored,
	// shows half of them twice.
	copyShare = 0.2
	// clockStep is the least step back (µs) of the clock that is not the
	// reordering of a multi-queue card: those stay below a few ms.
	clockStep = 100_000
	// oneWayShare is the share of an endpoint's connections of which one
	// direction is missing for it to be the path's fault.
	oneWayShare = 0.8
	oneWayMin   = 3
)

// captureTrust asks whether the capture itself can be believed, and which
// paths it shows only one direction of.
type captureTrust struct {
	gaps, copies, back, cut group
	lost                    uint64 // bytes acknowledged and never shown
	dup                     uint64
	step                    int64                  // largest step back, µs
	ways                    bounded[relation, way] // waysMax of 1 kB
	ledger                  *ledger
}

const waysMax = 1 << 11

type way struct {
	group
	mute [2]uint64 // of which end nothing was heard
}

func newCaptureTrust(l *ledger) *captureTrust {
	t := &captureTrust{ledger: l}
	t.ways.max = waysMax
	return t
}

func (t *captureTrust) clone(l *ledger) collector {
	c := *t
	c.ways, c.ledger = t.ways.clone(nil), l
	return &c
}

func (t *captureTrust) add(x *subject) {
	c := x.c
	if c == nil { // and yet flawed: cut
		t.cut.note(x, x.o.Last.Time)
		return
	}
	last := point{c.Last, lastSide(c), saysLastBytes, 0}
	if n := c.Ends[0].Lost + c.Ends[1].Lost; n > 0 {
		t.lost += n
		t.gaps.note(x, c.Last.Time, point{c.Last, lastSide(c), saysLost, int64(n)})
	}
	if n := uint64(c.Ends[0].Duplicates) + uint64(c.Ends[1].Duplicates); n > 0 {
		t.dup += n
		t.copies.note(x, c.Last.Time, last)
	}
	if c.Partial&assembler.Snaplen != 0 {
		t.cut.note(x, c.Last.Time)
	}
	for _, m := range c.KeptMarks() {
		if m.What == assembler.TimeBackwards && m.N >= clockStep {
			t.step = max(t.step, int64(m.N))
			t.back.note(x, m.Time, point{m.Stamp, m.Side, saysBackwards, int64(m.N) * 1000})
			break
		}
	}
	if c.Partial&assembler.OneWay != 0 && c.Ends[0].Packets+c.Ends[1].Packets >= 2 {
		w := t.ways.at(x.pair)
		to := assembler.Server
		if c.Ends[assembler.Client].Packets == 0 {
			to = assembler.Client
		}
		w.mute[to]++
		w.note(x, c.First.Time, point{c.First, to.Peer(), saysFirst, 0})
	}
}

func (t *captureTrust) finish(s *scene) (list []Finding) {
	if f, ok := t.trust(s); ok {
		list = append(list, f)
	}
	return append(list, t.oneWay()...)
}

// trust sums up what is wrong with the capture.
func (t *captureTrust) trust(s *scene) (Finding, bool) {
	var why []string
	var drops, cut, bad, packets, back uint64
	var broken bool
	for i := range s.inputs {
		in := &s.inputs[i]
		drops, cut, bad, packets, back = drops+in.Drops, cut+in.Cut, bad+in.Bad, packets+in.Packets, back+in.Backwards
		broken = broken || in.Broken
	}
	worst := group{}
	f := Finding{}
	sev := Info
	blame := func(yes bool, at Severity, g *group, format string, args ...any) {
		if !yes {
			return
		}
		why = append(why, fmt.Sprintf(format, args...))
		sev = max(sev, at)
		if g != nil && g.n > worst.n {
			worst = *g
		}
	}
	gappy := float64(t.gaps.n) >= gapShare*float64(s.told) && t.gaps.n >= 2
	blame(drops > 0, grade(float64(drops) >= 0.001*float64(packets)), nil, "the capturing system reports %d packets dropped", drops)
	blame(gappy, grade(float64(t.gaps.n) >= gapGrave*float64(s.told)), &t.gaps, "%d of %d connections acknowledge bytes that the capture never shows", t.gaps.n, s.told)
	step := "by up to " + dur(t.step*1000)
	if t.step >= 1<<32-1 {
		step = "by more than an hour" // marks count no further
	}
	blame(t.back.n > 0, Warning, &t.back, "the clock steps back %s", step)
	switch s.ticks() {
	case ticksNever:
		blame(true, Serious, nil, "all packets bear the same time, so that nothing can be told of how long anything took")
	case ticksSeconds:
		blame(true, Warning, nil, "times are those of full seconds only, so that timers cannot be told from chance")
	}
	blame(broken || s.env.Truncated, Warning, nil, "the input breaks off, so that silence at its end proves nothing")
	blame(packets > 0 && bad*50 > packets, Warning, nil, "%d of %d packets could not be decoded", bad, packets)
	blame(float64(t.dup) > copyShare*float64(t.dup+s.toldPackets), Info, &t.copies, "%d packets were captured more than once", t.dup)
	if len(why) == 0 {
		return f, false
	}
	f = worst.finding(KindUntrusted, sev, Certain)
	f.Title = "The capture itself is flawed: " + strings.Join(why, "; ") + "."
	f.What = "What was not captured cannot be told from what never happened: a missing FIN looks like a leak, a missing answer like a dead host. " +
		"Copies of packets are recognised and left out. Verdicts on the connections concerned are lowered in confidence; read all that follows with this in mind."
	f.Advice = "Capture again: with -s 128 or so to write less, a larger buffer (tcpdump -B 65536), on one interface instead of any, a clock that is not stepped, times as they were (no tool that rounds or removes them in between), and stop the capture by Ctrl-C so that it is complete."
	f.number("packets dropped by the capturer", float64(drops), "")
	f.number("connections with gaps", float64(t.gaps.n), "")
	f.number("bytes acknowledged and never shown", float64(t.lost), "bytes")
	f.number("packets seen more than once", float64(t.dup), "")
	f.number("packets cut short", float64(cut), "")
	f.harm = float64(s.conns)
	return f, true
}

func grade(serious bool) Severity {
	if serious {
		return Serious
	}
	return Warning
}

// oneWay reports paths of which the capture has one direction.
func (t *captureTrust) oneWay() (list []Finding) {
	for i := range t.ways.items {
		w, k := &t.ways.items[i].val, t.ways.items[i].key
		p := t.ledger.pair(k)
		if p == nil || w.n < oneWayMin || float64(w.n) < oneWayShare*float64(p.conns) {
			continue
		}
		to := assembler.Client
		if w.mute[assembler.Server] > w.mute[assembler.Client] {
			to = assembler.Server
		}
		f := w.finding(KindOneWay, Warning, Likely)
		f.at("client", endpoint{addr: k.client})
		f.at("server", k.server)
		f.number("connections of which one direction is missing", float64(w.n), "")
		f.number("connections", float64(p.conns), "")
		f.Title = fmt.Sprintf("Of the connections from %s to %s only one direction was captured: nothing of the %s.", endpoint{addr: k.client}, k.server, to)
		f.What = "Packets of one end are in the capture, and they acknowledge what the other end sent, so that end is alive; but none of its own packets is here. " +
			"The two directions take different paths (asymmetric routing, bonded links, direct server return) or the filter of the capture kept one only. What the hidden end did is inferred from acknowledgments."
		f.Advice = "Capture on one of the two hosts, or on both legs of the bond, without a filter on source or destination alone."
		list = append(list, f)
	}
	return list
}
