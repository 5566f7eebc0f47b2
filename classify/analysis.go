package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// Analysis gathers connections as they end, judges each, and refines verdicts
// once the whole capture is known.
//
// It keeps connections packed. Where Whole bounds their number and there are
// more, its memory stays bounded: of a connection remains what it adds to the
// counts, to its group and to what neighbours ask. Kept are then
// those whose verdicts neighbours may change, as many as [maxOpen], and the
// best example of each group; Len, Conn, Verdict and Result speak of those,
// and are in no particular order.
//
// It owns all it keeps. Add keeps no reference to its argument, and what Conn
// and Result return is the caller's.
type Analysis struct {
	Whole int // keep every connection while there are no more than these; 0: always

	env     Env
	ended   bool // env is known
	bounded bool // there were more than Whole
	near    neighbours
	store   store
	kept    []kept
	held    held
	alike   alike
	digest  Digest
	summary Summary
	census  census
	look    view           // reused for every connection, as is
	verdict Verdict        // what is judged of it
	spare   assembler.Conn // what was packed is unpacked into it
}

// held are connections not judged yet: it hangs on where the capture ends.
type held struct {
	store store
	at    []packedAt
}

// kept is a connection that was kept.
type kept struct {
	id      uint64
	at      packedAt
	verdict *Verdict
	alike   *Group // those that share its fate, if any
	open    bool   // neighbours may change the verdict
}

// Ends tells the analysis where the capture ends. Connections that were still
// going come after it, and need not be kept until Finish then.
func (a *Analysis) Ends(env Env) {
	a.env, a.ended = env, true
	for _, at := range a.held.at {
		a.held.store.load(at, &a.spare)
		a.judge(&a.spare)
	}
	a.held = held{}
}

// Add takes c, which has ended or was cut off by the end of the capture.
func (a *Analysis) Add(c *assembler.Conn) {
	a.count(c)
	a.judge(c)
}

func (a *Analysis) judge(c *assembler.Conn) {
	a.look.look(c, a.env)
	a.verdict = a.look.judge()
	v := &a.verdict
	if a.look.hangs && !a.ended {
		a.held.at = append(a.held.at, a.held.store.add(c))
		return
	}
	q, open := a.near.add(&a.look, v)
	v.SameAs = q.twin
	if len(a.near.hosts.vals) >= maxRoster {
		a.census.add(&c.Ends[0].Addr)
		a.census.add(&c.Ends[1].Addr)
	}
	switch {
	case !a.bounded:
		k := a.keep(c, v, open)
		if open {
			a.near.ask(q, k.verdict)
		}
		if a.Whole > 0 && len(a.kept) > a.Whole {
			a.bound()
		}
	case open:
		a.open(c, v, q)
	default:
		a.settled(c, v)
	}
}

func (a *Analysis) keep(c *assembler.Conn, v *Verdict, open bool) *kept {
	own := *v
	a.kept = append(a.kept, kept{id: c.ID, at: a.store.add(c), verdict: &own, open: open})
	return &a.kept[len(a.kept)-1]
}

// Finish judges what is left and refines. Afterwards connections stand in
// the order of their first packets.
func (a *Analysis) Finish(env Env) {
	if env.End == 0 {
		env.End = a.summary.Last
	}
	a.Ends(env)
	a.near.settle()
	a.summary.End = env.End
	a.summary.Hosts, a.summary.HostsAbout = a.census.size(&a.near.hosts)
	same := a.near.twins.links()
	for i := range a.kept {
		a.kept[i].verdict.SameAs = same[a.kept[i].id]
	}
	a.near = neighbours{}
	if a.bounded {
		a.ripen()
	} else {
		slices.SortFunc(a.kept, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
		for i := range a.kept {
			a.digest.Count(a.kept[i].verdict)
		}
	}
	for _, r := range a.digest.Rows() {
		a.summary.ByClass[r.Class] += r.N
		a.summary.ByCause[r.Cause] += r.N
	}
}

// count adds c to the summary.
func (a *Analysis) count(c *assembler.Conn) {
	s := &a.summary
	s.Connections++
	s.Packets += uint64(c.Ends[0].Packets) + uint64(c.Ends[1].Packets)
	if s.First == 0 || c.First.Time < s.First {
		s.First = c.First.Time
	}
	s.Last = max(s.Last, c.Last.Time)
}

// Digest counts and groups the connections; valid after Finish. A bounded
// analysis has groups only of those that ended badly.
func (a *Analysis) Digest(all bool) *Digest {
	if a.bounded {
		return &a.digest
	}
	d := new(Digest)
	c := new(assembler.Conn)
	for i := range a.kept {
		v := a.kept[i].verdict
		d.Count(v)
		if all || v.Severity() > 0 {
			a.store.load(a.kept[i].at, c)
			if g, best := d.Add(c, v); best {
				g.Example = i
			}
		}
	}
	return d
}

// Len is the number of connections kept.
func (a *Analysis) Len() int { return len(a.kept) }

// Conn is the i-th connection kept, 0 <= i < Len.
func (a *Analysis) Conn(i int) *assembler.Conn {
	c := new(assembler.Conn)
	a.store.load(a.kept[i].at, c)
	return c
}

// Verdict is the i-th connection's verdict; valid after Finish.
func (a *Analysis) Verdict(i int) *Verdict { return a.kept[i].verdict }

// Result spells the i-th verdict out.
func (a *Analysis) Result(i int) Result { return Explain(a.Conn(i), *a.kept[i].verdict, a.env) }

// Summary counts what Finish found.
func (a *Analysis) Summary() Summary { return a.summary }
