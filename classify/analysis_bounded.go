package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// maxOpen is how many connections with an open verdict are kept as a whole:
// about 25 MB. Beyond it a connection shares the fate of an earlier one with
// the same cause at the same server.
const maxOpen = 1 << 15

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

// bound begins to let go: of what was kept, only open verdicts stay.
func (a *Analysis) bound() {
	old, packed := a.kept, a.store
	a.kept, a.store, a.bounded, a.alike = nil, store{}, true, alike{}
	slices.SortFunc(old, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
	for _, k := range old {
		packed.load(k.at, &a.spare)
		if k.open {
			k.at = a.store.add(&a.spare)
			a.kept = append(a.kept, k)
			continue
		}
		a.settled(&a.spare, k.verdict)
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
	a.alike[k] = int32(len(a.kept))
	a.near.ask(q, a.keep(c, v, true).verdict)
}

// settled takes a connection whose verdict is final.
func (a *Analysis) settled(c *assembler.Conn, v *Verdict) {
	a.digest.Count(v)
	if v.Severity() == 0 {
		return
	}
	if g, best := a.digest.Add(c, v); best {
		g.Example = len(a.kept)
		a.keep(c, v, false)
	}
}

// ripen takes the connections that were open until now, by their IDs.
func (a *Analysis) ripen() {
	var order []int
	for i := range a.kept {
		if a.kept[i].open {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(a.kept[i].id, a.kept[j].id) })
	for _, i := range order {
		k := &a.kept[i]
		a.store.load(k.at, &a.spare)
		a.digest.Count(k.verdict)
		if g, best := a.digest.Add(&a.spare, k.verdict); best {
			g.Example = i
		}
		if k.alike != nil {
			a.digest.group(k.verdict, a.spare.End(assembler.Server)).join(k.alike)
			a.digest.countMany(k.verdict, k.alike.N)
		}
	}
}

// Bounded reports whether there were more than Whole connections.
func (a *Analysis) Bounded() bool { return a.bounded }

// Findings tells what is wrong with the system behind the connections, the
// most harmful first. Valid after Finish. A bounded analysis has none:
// findings rest on the order of all connections, and part of them, or another
// order, would show outages that never were.
func (a *Analysis) Findings(inputs ...capture.Input) []Finding {
	if a.bounded {
		return nil
	}
	f := NewFindings(a.env)
	for i := range a.kept {
		a.store.load(a.kept[i].at, &a.spare)
		f.Add(&a.spare, a.kept[i].verdict)
	}
	return f.Finish(inputs...)
}
