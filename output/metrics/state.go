package metrics

import (
	"strings"
	"sync"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Counters are totals since hangup began.
type Counters struct {
	Evicted             uint64 // open connections dropped for --max-conns
	LatePackets         uint64 // packets that came too late to be put in order
	BlackBoxSaved       uint64 // captures of abnormal ends written
	BlackBoxSkipped     uint64 // not written: the cap on their number or size was reached
	BlackBoxFailed      uint64 // not written: the disk refused
	ProcessFound        uint64 // local endpoints whose process was found
	ProcessMissed       uint64 // ... and was not, or not within the budget
	KernelAgreements    uint64 // verdicts that the kernel's own events confirm
	KernelDisagreements uint64 // verdicts that they contradict
}

// rising turns totals that begin at zero again, when what counts them is
// opened anew, into a sum that only rises.
type rising struct{ before, last uint64 }

func (r *rising) set(total uint64) {
	if total < r.last {
		r.before += r.last
	}
	r.last = total
}

func (r *rising) value() float64 { return float64(r.before + r.last) }

// input is what is served of one interface.
type input struct {
	packets, bytes, dropped, bad, cut rising
	last                              int64 // ns: time of the latest packet
}

type findingKey struct {
	kind     string
	severity classify.Severity
}

// findings are those of one kind and severity.
type findings struct {
	number, total  uint64
	first, changed time.Time
}

// state is what is replaced as a whole and read when the page is asked for.
type state struct {
	mu       sync.Mutex
	open     map[string]int
	inputs   map[string]*input
	findings map[findingKey]*findings
	counters [numCounters]rising
	healthy  func() error
	descs    descs
}

func newState() *state {
	s := &state{inputs: map[string]*input{}, findings: map[findingKey]*findings{}, descs: newDescs()}
	s.setOpen(nil)
	return s
}

func (s *state) setOpen(states map[string]int) {
	open := make(map[string]int)
	for s := assembler.SynSent; s <= assembler.TimeWait; s++ {
		open[s.String()] = 0
	}
	for state, n := range states {
		open[printable(state)] += n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
}

func (s *state) setInputs(in []capture.Input) {
	// Two of one name would make two equal series, which spoils the page.
	sums := make(map[string]capture.Input, len(in))
	for i := range in {
		name := printable(in[i].Name)
		sum := sums[name]
		sum.Packets += in[i].Packets
		sum.Bytes += in[i].Bytes
		sum.Drops += in[i].Drops
		sum.Bad += in[i].Bad
		sum.Cut += in[i].Cut
		sum.Last = max(sum.Last, in[i].Last)
		sums[name] = sum
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sum := range sums {
		x := s.inputs[name]
		if x == nil {
			x = new(input)
			s.inputs[name] = x
		}
		x.packets.set(sum.Packets)
		x.bytes.set(sum.Bytes)
		x.dropped.set(sum.Drops)
		x.bad.set(sum.Bad)
		x.cut.set(sum.Cut)
		x.last = max(x.last, sum.Last)
	}
}

func (s *state) setFindings(list []classify.Finding, now time.Time) {
	next := make(map[findingKey]findings)
	for i := range list {
		f := &list[i]
		key := findingKey{printable(f.Kind), f.Severity}
		x := next[key]
		x.number++
		x.total += f.Total
		if began := time.Unix(0, f.First); f.First != 0 && (x.first.IsZero() || began.Before(x.first)) {
			x.first = began
		}
		next[key] = x
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range next {
		if s.findings[key] == nil {
			s.findings[key] = new(findings)
		}
	}
	// Those that are over stay at 0: a series that vanishes leaves the last
	// value in graphs for minutes.
	for key, x := range s.findings {
		x.replace(next[key], now)
	}
}

// replace takes over y, which is zero if there is none now.
func (x *findings) replace(y findings, now time.Time) {
	if x.number != y.number || x.total != y.total {
		x.changed = now
	}
	switch {
	case y.number == 0: // over; when it began is history worth keeping
	case !y.first.IsZero():
		x.first = y.first
	case x.number == 0:
		x.first = now
	}
	x.number, x.total = y.number, y.total
}

func (s *state) setCounters(c Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, total := range c.values() {
		s.counters[i].set(total)
	}
}

func (s *state) setHealthy(check func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthy = check
}

// health is nil if all is well. The check runs outside the lock: it is not
// ours.
func (s *state) health() error {
	s.mu.Lock()
	check := s.healthy
	s.mu.Unlock()
	if check == nil {
		return nil
	}
	return check()
}

// printable makes a label value of text that others chose.
func printable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
