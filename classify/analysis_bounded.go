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

// lookahead is how far (ns) the capture is taken to go on beyond what is known
// of it when a connection is handed to findings before the end: longer than
// any TIME_WAIT.
const lookahead = 300 * second

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
	if !a.NoFindings {
		a.finds = NewFindings(a.env)
	}
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
		a.tell(c, v)
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
	a.tell(c, v)
	a.digest.Count(v)
	if v.Severity() == 0 {
		return
	}
	if g, best := a.digest.Add(c, v); best {
		g.Example = len(a.kept)
		a.keep(c, v, false)
	}
}

// tell hands a connection to the findings. What is known by now as the second
// half of one seen twice is left out.
func (a *Analysis) tell(c *assembler.Conn, v *Verdict) {
	if a.finds == nil || v.SameAs != 0 {
		return
	}
	env := a.env
	if !a.ended {
		env.End = a.summary.Last + lookahead
	}
	a.finds.scene.env = env
	a.finds.Add(c, v)
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
		a.tell(&a.spare, k.verdict)
		a.digest.Count(k.verdict)
		if g, best := a.digest.Add(&a.spare, k.verdict); best {
			g.Example = i
		}
		if k.alike != nil {
			a.digest.group(k.verdict, a.spare.End(assembler.Server)).join(k.alike)
			a.digest.countMany(k.verdict, k.alike.N)
		}
	}
	if a.finds != nil {
		a.finds.scene.env = a.env
	}
}

// Findings tells what is wrong with the system behind the connections, the
// most harmful first. Valid after Finish. A bounded analysis has handed
// connections over as they ended, so what rests on their order is less exact.
func (a *Analysis) Findings(inputs ...capture.Input) []Finding {
	if a.bounded {
		if a.finds == nil {
			return nil
		}
		return a.finds.Finish(inputs...)
	}
	f := NewFindings(a.env)
	for i := range a.kept {
		a.store.load(a.kept[i].at, &a.spare)
		f.Add(&a.spare, a.kept[i].verdict)
	}
	return f.Finish(inputs...)
}
