package output

import (
	"hangup/assembler"
	"strings"

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
	r.Filter, r.Total = strings.Join(f.words, ", "), sum.Connections
	s := &selected{Connections: all, sum: classify.Summary{First: sum.First, Last: sum.Last, End: sum.End}}
	since, until := f.since.in(sum.First, sum.Last), f.until.in(sum.First, sum.Last)
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

// Alarm is the set of classes and causes that --fail-on names.
type Alarm struct {
	class [5]bool
	cause [classify.NumCauses]bool
}

// ParseAlarm reads classes and causes, in any order.
func ParseAlarm(names []string) (*Alarm, error) {
	a := new(Alarm)
	for _, s := range names {
		if c, ok := classify.ParseClass(s); ok {
			a.class[c] = true
		} else if c, ok := classify.ParseCause(s); ok {
			a.cause[c] = true
		} else {
			return nil, unknown("--fail-on", s, "class or cause", append(classes(), causes()...))
		}
	}
	return a, nil
}

// Rings reports whether any connection is of a class or cause named.
func (a *Alarm) Rings(c Connections) bool {
	s := c.Summary()
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
