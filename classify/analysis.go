package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// Analysis judges connections as they end, and refines verdicts by what the
// neighbours show.
//
// Most verdicts are settled at once. Those that neighbours may change are
// open, and settled by Finish; in a live analysis, once [ripening] has
// passed. What is settled goes to Each, the digest and the findings, and
// unless Whole has room for it, only the best example of each group is kept.
// Then memory is bounded, whatever the number of connections and the time.
//
// It owns all it keeps. Add keeps no reference to its argument, and what Conn
// and Result return is the caller's. Nothing may be called at the same time
// as anything else.
type Analysis struct {
	// Whole is how many connections there may be for all of them to be kept;
	// beyond it they are let go. 0: any number. Negative: none.
	Whole int

	// Each, if not nil, is called once for every connection; both are the
	// callee's until it returns. While all are kept, that is by Finish, in
	// the order of first packets; once they are let go, as soon as a verdict
	// is settled, in that order. Then, where more than some ten thousand
	// verdicts are open at once, the latest of them are taken to be settled,
	// and of two that are the same connection, SameAs is known for that which
	// ended last.
	Each func(c *assembler.Conn, v *Verdict)

	// Live has connections judged by the clock, which Clock sets, instead of
	// by where the capture ends.
	Live bool

	// Open, if not nil, visits the connections of which neither Add nor
	// AddLone has been told yet. A live analysis asks for them when it must
	// know them all: in Clock, now and then, and in Interim.
	Open func(visit func(*assembler.Conn))

	// OS is Env.OS until Ends tells the rest.
	OS System

	// NoFindings spares the work for them.
	NoFindings bool

	env     Env
	now     int64
	ended   bool // env is known
	bounded bool // connections are let go
	near    neighbours
	store   store
	shown   [][]byte // packed examples; an Interim shares them
	room    []byte   // to pack into
	kept    []kept
	held    held
	open    []*pending
	alike   map[kind]*pending
	latest  struct {
		kind kind
		p    *pending
	} // of alike
	digest   Digest
	findings *Findings
	summary  Summary
	look     view                // reused for every connection, as is
	verdict  Verdict             // what is judged of it
	glimpse  view                // likewise, for Preview
	number   func(uint64) uint64 // see Renumber
	spare    assembler.Conn      // what was packed is unpacked into it
	lone     assembler.Conn      // a lone SYN is expanded into it
	loneVerdicts
	checked int64 // when Clock last looked for what is ripe
}

// held are connections not judged yet: it hangs on where the capture ends.
type held struct {
	store store
	at    []packedAt
}

// kept is a connection that was kept: in the store if all are, else in shown.
type kept struct {
	id      uint64
	at      packedAt
	verdict *Verdict
}

// Env is what verdicts depend on as of now.
func (a *Analysis) Env() Env {
	env := a.env
	if !a.ended {
		env.End, env.OS = a.now, a.OS
	}
	return env
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

// Add takes c, which has ended, was reported early, or was cut off by the end
// of the capture.
func (a *Analysis) Add(c *assembler.Conn) {
	a.count(uint64(c.Ends[0].Packets)+uint64(c.Ends[1].Packets), c.First.Time, c.Last.Time)
	a.judge(c)
}

// Preview is what would be said of c if it ended now. It changes nothing.
func (a *Analysis) Preview(c *assembler.Conn) Verdict {
	a.glimpse.look(c, a.Env())
	return a.glimpse.judge()
}

func (a *Analysis) judge(c *assembler.Conn) {
	a.look.look(c, a.Env())
	a.verdict = a.look.judge()
	v := &a.verdict
	if a.look.hangs && !a.ended && !a.Live && len(a.held.at) < maxOpen {
		a.held.at = append(a.held.at, a.held.store.add(c))
		return
	}
	q, open := a.near.add(&a.look, v)
	v.SameAs = q.twin
	if a.Whole < 0 && !a.bounded {
		a.bound()
	}
	switch {
	case a.bounded && open:
		a.wait(c, v, &q)
	case a.bounded:
		a.settled(c, v)
	case open:
		k := a.keep(c, v)
		q.verdict = k.verdict
		a.open = append(a.open, &pending{question: q, asked: a.now, at: k.at})
	default:
		a.keep(c, v)
	}
	if a.Whole > 0 && !a.bounded && len(a.kept) > a.Whole {
		a.bound()
	}
}

func (a *Analysis) keep(c *assembler.Conn, v *Verdict) *kept {
	own := *v
	a.kept = append(a.kept, kept{id: c.ID, at: a.store.add(c), verdict: &own})
	return &a.kept[len(a.kept)-1]
}

// load unpacks the i-th connection kept.
func (a *Analysis) load(i int, c *assembler.Conn) {
	if a.bounded {
		c.Unpack(a.shown[a.kept[i].at])
	} else {
		a.store.load(a.kept[i].at, c)
	}
	if a.number != nil {
		c.ID, c.Predecessor, c.SuccessorID = a.number(c.ID), a.number(c.Predecessor), a.number(c.SuccessorID)
	}
}

// Finish judges what is left and refines. Afterwards the connections kept, if
// they are all, stand in the order of their first packets.
func (a *Analysis) Finish(env Env) {
	if env.End == 0 {
		env.End = max(a.summary.Last, a.now)
	}
	a.Ends(env)
	a.summary.End = env.End
	a.summary.Hosts, a.summary.HostsAbout = a.near.hosts.size()
	same := a.near.twins.links()
	a.ripen(a.open)
	a.open, a.alike = nil, nil
	for i := range a.kept {
		if o := same[a.kept[i].id]; o != 0 {
			a.kept[i].verdict.SameAs = o
		}
	}
	a.near = neighbours{}
	if !a.bounded {
		slices.SortFunc(a.kept, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
		for i := range a.kept {
			a.digest.Count(a.kept[i].verdict)
			if a.Each != nil {
				a.load(i, &a.spare)
				a.Each(&a.spare, a.kept[i].verdict)
			}
		}
	}
	a.sum()
}

// sum makes the summary tell what the digest counts.
func (a *Analysis) sum() {
	for _, r := range a.digest.Rows() {
		a.summary.ByClass[r.Class] += r.N
		a.summary.ByCause[r.Cause] += r.N
	}
}

// count adds a connection to the summary.
func (a *Analysis) count(packets uint64, first, last int64) {
	s := &a.summary
	s.Connections++
	s.Packets += packets
	if s.First == 0 || first < s.First {
		s.First = first
	}
	s.Last = max(s.Last, last)
	a.now = max(a.now, last)
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
			a.load(i, c)
			if g, best := d.Add(c, v); best {
				g.Example = i
			}
		}
	}
	return d
}

// Bounded reports whether connections were let go: there were more than
// Whole. Len, Conn, Verdict and Result speak of examples then, in no order.
func (a *Analysis) Bounded() bool { return a.bounded }

// Len is the number of connections kept.
func (a *Analysis) Len() int { return len(a.kept) }

// Conn is the i-th connection kept, 0 <= i < Len.
func (a *Analysis) Conn(i int) *assembler.Conn {
	c := new(assembler.Conn)
	a.load(i, c)
	return c
}

// Verdict is the i-th connection's verdict; valid after Finish.
func (a *Analysis) Verdict(i int) *Verdict { return a.kept[i].verdict }

// Result spells the i-th verdict out.
func (a *Analysis) Result(i int) Result { return Explain(a.Conn(i), *a.kept[i].verdict, a.env) }

// Summary counts what Finish found.
func (a *Analysis) Summary() Summary { return a.summary }

// Findings tells what is wrong with the system behind the connections, the
// most harmful first. Valid after Finish.
func (a *Analysis) Findings(inputs ...capture.Input) []Finding {
	if a.bounded {
		if a.findings == nil {
			return nil
		}
		a.findings.At(a.env)
		list := a.findings.Finish(inputs...)
		if a.number != nil {
			Renumber(list, a.number)
		}
		return list
	}
	f := NewFindings(a.env)
	for i := range a.kept {
		a.load(i, &a.spare)
		f.Add(&a.spare, a.kept[i].verdict)
	}
	return f.Finish(inputs...)
}
