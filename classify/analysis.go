package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// Analysis gathers connections as they end, judges each, and refines verdicts
// once the whole capture is known.
//
// With Examples set its memory is bounded: of a connection remains what it
// adds to the counts, to its group and to what neighbours ask. Kept as a whole
// are those whose verdicts neighbours may change, as many as [maxOpen], and
// the best example of each group. Len, Conn, Verdict and Result then speak of
// those. The zero value keeps every connection, packed.
//
// It owns all it keeps. Add keeps no reference to its argument, and what Conn
// and Result return is the caller's.
type Analysis struct {
	Examples bool // keep only what a page of counts and examples shows

	env     Env
	ended   bool // env is known
	near    neighbours
	store   store
	kept    []kept
	held    []packedAt // not judged yet: it hangs on where the capture ends
	alike   alike
	digest  Digest
	summary Summary
	census  census
	look    view           // reused for every connection
	spare   assembler.Conn // held connections are unpacked into it
}

// kept is a connection that was kept.
type kept struct {
	id      uint64
	at      packedAt
	verdict *Verdict
	alike   *Group // those that share its fate, if any
	ripe    bool   // counted, grouped, and kept as an example only
}

// few: of so few connections, all are kept, whatever became of them.
const few = 5

// maxOpen is how many connections with an open verdict are kept as a whole:
// about 25 MB. Beyond it a connection shares the fate of an earlier one with
// the same cause at the same server.
const maxOpen = 1 << 15

// Ends tells the analysis where the capture ends. Connections that were still
// going come after it, and need not be kept until Finish then.
func (a *Analysis) Ends(env Env) {
	a.env, a.ended = env, true
	for _, at := range a.held {
		a.store.load(at, &a.spare)
		a.judge(&a.spare)
	}
	a.held = nil
}

// Add takes c, which has ended or was cut off by the end of the capture.
func (a *Analysis) Add(c *assembler.Conn) {
	a.count(c)
	a.judge(c)
}

func (a *Analysis) judge(c *assembler.Conn) {
	a.look.look(c, a.env)
	v := a.look.judge()
	if a.look.hangs && !a.ended {
		a.held = append(a.held, a.store.add(c))
		return
	}
	q, open := a.near.add(&a.look, &v)
	if len(a.near.hosts.vals) >= maxRoster {
		a.census.add(&c.Ends[0].Addr)
		a.census.add(&c.Ends[1].Addr)
	}
	switch {
	case !a.Examples:
		k := a.keep(c, &v)
		if open {
			a.near.ask(q, k.verdict)
		}
	case open:
		a.open(c, &v, q)
	default:
		a.settled(c, &v)
	}
}

// open keeps a connection whose verdict neighbours may change, or lays it to
// one that is like it.
func (a *Analysis) open(c *assembler.Conn, v *Verdict, q question) {
	k := kind{v.Cause, v.By, v.Confidence, q.server, q.rst.ttl}
	if i, ok := a.alike[k]; ok && len(a.kept) >= maxOpen {
		o := &a.kept[i]
		if o.alike == nil {
			o.alike = new(Group)
		}
		o.alike.note(c, v)
		return
	}
	if len(a.kept) >= 2*maxOpen {
		a.settled(c, v)
		return
	}
	if a.alike == nil {
		a.alike = alike{}
	}
	a.alike[k] = int32(len(a.kept))
	a.near.ask(q, a.keep(c, v).verdict)
}

// alike finds the latest connection kept of each kind.
type alike map[kind]int32

// kind is what connections have in common of which neighbours say the same.
type kind struct {
	cause      Cause
	by         Party
	confidence Confidence
	server     int32
	ttl        uint8 // of the refusing RST
}

// settled counts a connection whose verdict is final.
func (a *Analysis) settled(c *assembler.Conn, v *Verdict) {
	a.digest.Count(v)
	all, bad := a.summary.Connections <= few, v.Severity() > 0
	if bad {
		g, best := a.digest.Add(c, v)
		if best {
			g.Example = len(a.kept)
		}
		all = all || best
	}
	if all {
		a.keep(c, v).ripe = true
	}
}

func (a *Analysis) keep(c *assembler.Conn, v *Verdict) *kept {
	own := *v
	a.kept = append(a.kept, kept{id: c.ID, at: a.store.add(c), verdict: &own})
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
	a.ripen()
	for i := range a.kept {
		k := &a.kept[i]
		k.verdict.SameAs = same[k.id]
		if !a.Examples {
			a.digest.Count(k.verdict)
		}
	}
	for _, r := range a.digest.Rows() {
		a.summary.ByClass[r.Class] += r.N
		a.summary.ByCause[r.Cause] += r.N
	}
	if !a.Examples {
		slices.SortFunc(a.kept, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
	}
	a.near = neighbours{}
}

// ripen counts and groups the connections that were questions until now.
func (a *Analysis) ripen() {
	if !a.Examples {
		return
	}
	for i := range a.kept {
		k := &a.kept[i]
		if k.ripe {
			continue
		}
		a.store.load(k.at, &a.spare)
		a.digest.Count(k.verdict)
		if g, best := a.digest.Add(&a.spare, k.verdict); best {
			g.Example = i
		}
		if k.alike != nil {
			g := a.digest.group(k.verdict, a.spare.End(assembler.Server))
			g.join(k.alike)
			a.digest.countMany(k.verdict, k.alike.N)
		}
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

// Digest counts and groups the connections; valid after Finish. An Analysis
// that keeps examples has groups only of those that ended badly, unless it
// is of so few that all were kept.
func (a *Analysis) Digest(all bool) *Digest {
	if a.Examples && !(all && a.summary.Connections <= few) {
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
