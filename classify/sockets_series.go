package classify

import (
	"net/netip"
	"slices"

	"hangup/assembler"
)

// Series is how many sockets of a host were in each state over time.
type Series struct {
	Host    netip.Addr
	Sockets uint64 // all it ever had
	Start   int64  // ns
	Width   int64  // ns between samples
	// Counts[state][i] is the number at Start + i·Width, as SocketsAt would
	// list them; nil for states that never occurred.
	Counts [assembler.TimeWait + 1][]int32
}

// states counts the sockets of all hosts, as many as bounded allows.
type states struct {
	hosts bounded[[16]byte, hostStates]
}

type hostStates struct {
	by [assembler.TimeWait + 1]*sampled
}

// maxSeriesHosts is how many hosts are counted: each takes up to 20 kB.
const maxSeriesHosts = 256

// add takes a connection, whose sockets are gone at the time gone (ns) at the
// latest.
func (s *states) add(c *assembler.Conn, v *Verdict, env Env, gone int64) {
	if v.SameAs != 0 && v.SameAs < c.ID {
		return
	}
	s.hosts.max = maxSeriesHosts
	for _, side := range []assembler.Side{assembler.Client, assembler.Server} {
		list := Lifetimes(c, side, env)
		if len(list) == 0 {
			continue
		}
		h := s.hosts.at(c.End(side).Addr)
		for _, iv := range list {
			if h.by[iv.State] == nil {
				h.by[iv.State] = new(sampled)
			}
			h.by[iv.State].add(iv.From, min(iv.To, gone, env.End+1))
		}
	}
}

// series are the hosts with most sockets, the busiest first.
func (s *states) series() []Series {
	var list []Series
	for i := range s.hosts.items {
		it := &s.hosts.items[i]
		list = append(list, it.val.series(it.key, it.weight))
	}
	slices.SortStableFunc(list, func(a, b Series) int { return int(min(1, max(-1, int64(b.Sockets)-int64(a.Sockets)))) })
	return list
}

func (h *hostStates) series(addr [16]byte, n uint64) Series {
	out := Series{Host: netip.AddrFrom16(addr).Unmap(), Sockets: n}
	var all ring // what all states together span
	for _, s := range h.by {
		if s != nil {
			all.shift = max(all.shift, s.shift)
		}
	}
	for _, s := range h.by {
		if s == nil {
			continue
		}
		for s.shift < all.shift {
			s.fold()
		}
		if !all.used || s.lo < all.lo {
			all.lo, all.used = s.lo, true
		}
	}
	out.Start, out.Width = all.start(), all.width()
	for st, s := range h.by {
		if s != nil {
			out.Counts[st] = s.counts(all.lo)
		}
	}
	return out
}

// counts are the numbers from moment lo on, to where they are 0 for good.
func (s *sampled) counts(lo int64) []int32 {
	counts := make([]int32, s.hi-lo+1)
	sum, last := int32(0), 0
	for i := s.lo; i <= s.hi; i++ {
		d := s.diff[place(i)]
		sum += d
		counts[i-lo] = sum
		if d != 0 {
			last = int(i - lo)
		}
	}
	return counts[:last+1]
}

// StateSeries tells how many sockets each host had in each state over time,
// the hosts with most sockets first. Of very many hosts only those with most
// sockets are kept.
func (a *Analysis) StateSeries() []Series {
	var s states
	taken := a.takenOver()
	for i := range a.Len() {
		c, gone := a.Conn(i), int64(never)
		if at, ok := taken[c.ID]; ok {
			gone = max(at, c.Last.Time+1)
		}
		s.add(c, a.Verdict(i), a.env, gone)
	}
	return s.series()
}
