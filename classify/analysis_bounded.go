package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// maxOpen is how many connections with an open verdict are kept as a whole:
// about 25 MB. Beyond it a connection shares the fate of an earlier one with
// the same cause at the same server.
const maxOpen = 1 << 15

// pending is a connection whose verdict neighbours may yet change.
type pending struct {
	question
	asked  int64           // ns: when
	own    Verdict         // of a bounded analysis; else it lies with what is kept
	at     packedAt        // the connection, if all are kept
	packed []byte          // ... if not
	lone   *assembler.Lone // ... if it is one, and not packed
	alike  *Group          // those that share its fate, if any
}

// kind is what connections have in common of which neighbours say the same.
type kind struct {
	cause      Cause
	by         Party
	confidence Confidence
	ttl        uint8 // of the refusing RST
	server     number
}

// bound begins to let go: of what was kept, only open verdicts stay.
func (a *Analysis) bound() {
	old, packed := a.kept, a.store
	a.kept, a.store, a.bounded, a.alike = nil, store{}, true, map[kind]*pending{}
	a.near.twins.most = fewTwins
	if !a.NoFindings {
		a.findings = NewFindings(a.Env())
	}
	waiting := make(map[*Verdict]*pending, len(a.open))
	for _, p := range a.open {
		waiting[p.verdict] = p
	}
	slices.SortFunc(old, func(x, y kept) int { return cmp.Compare(x.id, y.id) })
	for _, k := range old {
		packed.load(k.at, &a.spare)
		if p := waiting[k.verdict]; p != nil {
			a.room = a.spare.Pack(a.room[:0])
			p.own, p.packed = *k.verdict, slices.Clone(a.room)
			p.verdict = &p.own
			continue
		}
		a.settled(&a.spare, k.verdict)
	}
}

// wait keeps a connection whose verdict neighbours may change, or lays it to
// one that is like it.
func (a *Analysis) wait(c *assembler.Conn, v *Verdict, q *question) {
	if o := a.akin(kindOf(v, q.server, q.rst.ttl)); o != nil {
		o.alike.note(c.End(assembler.Client).Addr, c.ID, ended(c, v), v)
		a.tell(c, v)
		delete(a.near.relays.wanted, q.relay.to)
		return
	}
	p := a.place(v, q)
	if p == nil {
		a.settled(c, v)
		delete(a.near.relays.wanted, q.relay.to)
		return
	}
	a.room = c.Pack(a.room[:0])
	p.packed = slices.Clone(a.room)
}

func kindOf(v *Verdict, server number, ttl uint8) kind {
	return kind{v.Cause, v.By, v.Confidence, ttl, server}
}

// akin is the pending that others of a kind are laid to; nil while there is
// room for more, and if there is none.
func (a *Analysis) akin(k kind) *pending {
	if len(a.open) < maxOpen || k.server == 0 {
		return nil
	}
	if k != a.latest.kind || a.latest.p == nil {
		a.latest.kind, a.latest.p = k, a.alike[k]
	}
	p := a.latest.p
	if p != nil && p.alike == nil {
		p.alike = new(Group)
	}
	return p
}

// place makes a pending of a question; nil if there is no room.
func (a *Analysis) place(v *Verdict, q *question) *pending {
	if len(a.open) >= 2*maxOpen {
		return nil
	}
	p := &pending{question: *q, asked: a.now, own: *v}
	p.verdict = &p.own
	a.open = append(a.open, p)
	a.alike[kindOf(v, q.server, q.rst.ttl)] = p
	a.latest.p = nil
	return p
}

// settled takes a connection whose verdict is final.
func (a *Analysis) settled(c *assembler.Conn, v *Verdict) {
	a.tell(c, v)
	a.enter(c, v)
}

// enter puts a connection into the digest.
func (a *Analysis) enter(c *assembler.Conn, v *Verdict) {
	a.digest.Count(v)
	if v.Severity() > 0 {
		a.group(c, v)
	}
}

// tell passes on a connection whose verdict will not change. Findings are told
// once of two that are the same.
func (a *Analysis) tell(c *assembler.Conn, v *Verdict) {
	if a.Each != nil {
		a.Each(c, v)
	}
	if f := a.findings; f != nil && v.SameAs <= c.ID {
		f.At(a.Env())
		f.Add(c, v)
	}
}

// group puts a connection into its group, and keeps it as the example if it
// shows the cause best.
func (a *Analysis) group(c *assembler.Conn, v *Verdict) {
	g, best := a.digest.Add(c, v)
	if !best {
		return
	}
	own := *v
	if g.Example < 0 {
		g.Example = len(a.kept)
		a.kept = append(a.kept, kept{at: packedAt(len(a.shown))})
		a.shown = append(a.shown, nil)
	}
	k := &a.kept[g.Example]
	k.id, k.verdict = c.ID, &own
	a.room = c.Pack(a.room[:0])
	a.shown[k.at] = slices.Clone(a.room)
}

// ripen settles open verdicts, in the order of IDs.
func (a *Analysis) ripen(list []*pending) {
	questions := make([]*question, len(list))
	for i, p := range list {
		questions[i] = &p.question
	}
	a.near.settle(questions)
	if !a.bounded {
		return // they are kept
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y *pending) int { return cmp.Compare(x.id, y.id) })
	for _, p := range list {
		a.fetch(p)
		a.settled(&a.spare, p.verdict)
		if p.alike != nil {
			a.digest.join(p.verdict, a.spare.End(assembler.Server), p.alike)
		}
	}
}

// fetch makes spare the connection of p.
func (a *Analysis) fetch(p *pending) {
	switch {
	case p.lone != nil:
		a.spare = assembler.Conn{} // Expand sets what differs between lone SYNs
		p.lone.Expand(&a.spare)
	default:
		a.spare.Unpack(p.packed)
	}
}
