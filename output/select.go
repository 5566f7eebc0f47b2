package output

import (
	"fmt"
	"slices"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

// selected is the part of a set of connections that a filter keeps.
type selected struct {
	Connections
	index []int
	sum   classify.Summary
}

// Select makes a report of the connections that f keeps. A connection is in
// a span of time if any of its life is: verdicts always rest on the whole of
// it. The summary counts what is kept; the capture's times stay.
func Select(r Report, f *Filter) *Report {
	if f.Empty() {
		return &r
	}
	all := r.Conns
	sum := all.Summary()
	r.Filter, r.Whole = strings.Join(f.words, ", "), sum
	s := &selected{Connections: all, sum: classify.Summary{First: sum.First, Last: sum.Last, End: sum.End}}
	since, until := f.since.in(r.start(), sum.Last), f.until.in(r.start(), sum.Last)
	hosts := make(map[[16]byte]bool)
	for i := range all.Len() {
		c, v := all.Conn(i), all.Verdict(i)
		if !f.keeps(c, v, since, until) {
			continue
		}
		s.index = append(s.index, i)
		s.sum.Connections++
		s.sum.ByClass[v.Class]++
		s.sum.ByCause[v.Cause]++
		for k := range c.Ends {
			s.sum.Packets += uint64(c.Ends[k].Packets)
			hosts[c.Ends[k].Addr] = true
		}
	}
	s.sum.Hosts = uint64(len(hosts))
	r.Conns = s
	return &r
}

func (s *selected) Len() int                        { return len(s.index) }
func (s *selected) Conn(i int) *assembler.Conn      { return s.Connections.Conn(s.index[i]) }
func (s *selected) Verdict(i int) *classify.Verdict { return s.Connections.Verdict(s.index[i]) }
func (s *selected) Result(i int) classify.Result    { return s.Connections.Result(s.index[i]) }
func (s *selected) Summary() classify.Summary       { return s.sum }

// Findings are what the connections together tell. A selection of places or
// times is a system of its own, with findings of its own; one of endings is
// not, since what ended well is what the rest must be held against: then the
// findings of all are kept as far as their examples are selected.
func Findings(all Report, f *Filter) []classify.Finding {
	if a, ok := all.Conns.(*classify.Analysis); ok && f.Empty() {
		return a.Findings(all.Inputs...)
	}
	place := *f
	place.anyClass, place.anyCause, place.anyBy, place.Conns = true, true, true, nil
	sum := all.Conns.Summary()
	since, until := f.since.in(all.start(), sum.Last), f.until.in(all.start(), sum.Last)
	list := classify.NewFindings(all.Env)
	chosen := make(map[uint64]bool)
	for i := range all.Conns.Len() {
		c, v := all.Conns.Conn(i), all.Conns.Verdict(i)
		if !place.keeps(c, v, since, until) {
			continue
		}
		list.Add(c, v)
		if f.keeps(c, v, since, until) {
			chosen[c.ID] = true
		}
	}
	found := list.Finish(all.Inputs...)
	return slices.DeleteFunc(found, func(x classify.Finding) bool {
		return len(x.Connections) > 0 && !slices.ContainsFunc(x.Connections, func(id uint64) bool { return chosen[id] })
	})
}

// Alarm is the set of classes, causes and findings that --fail-on names.
type Alarm struct {
	finding map[string]bool
	class   [5]bool
	cause   [classify.NumCauses]bool
}

// finding is what stands before the kind of a finding in --fail-on.
const finding = "finding:"

// ParseAlarm reads classes, causes and kinds of findings, in any order.
func ParseAlarm(names []string) (*Alarm, error) {
	a := &Alarm{finding: make(map[string]bool)}
	for _, s := range plainNames(names) {
		if c, ok := classify.ParseClass(s); ok {
			a.class[c] = true
		} else if c, ok := classify.ParseCause(s); ok {
			a.cause[c] = true
		} else if kind, ok := strings.CutPrefix(s, finding); ok {
			if !slices.Contains(classify.FindingKinds(), kind) {
				return nil, unknown("--fail-on", finding, kind, "finding", classify.FindingKinds())
			}
			a.finding[kind] = true
		} else if slices.Contains(classify.FindingKinds(), s) {
			return nil, fmt.Errorf("--fail-on %s: a finding, not a class or cause; type %s%s", s, finding, s)
		} else {
			return nil, unknown("--fail-on", "", s, "class or cause", append(classes(), causes()...))
		}
	}
	return a, nil
}

// NeedsFindings reports whether the alarm asks for findings.
func (a *Alarm) NeedsFindings() bool { return len(a.finding) > 0 }

// Rings reports whether any connection is of a class or cause named, or a
// finding of a kind named was made.
func (a *Alarm) Rings(r *Report) bool {
	for i := range r.Findings {
		f := &r.Findings[i]
		if a.finding[f.Kind] || slices.ContainsFunc(f.Also, func(kind string) bool { return a.finding[kind] }) {
			return true
		}
	}
	s := r.Conns.Summary()
	for class, n := range s.ByClass {
		if n > 0 && a.class[class] {
			return true
		}
	}
	for cause, n := range s.ByCause {
		if n > 0 && a.cause[cause] {
			return true
		}
	}
	return false
}
