package classify

import "hangup/assembler"

// AddPlain takes connections of which nothing is unusual: Add for what they
// stand for, at a fraction of the cost. The list is not kept.
func (a *Analysis) AddPlain(list []assembler.Plain) {
	a.near.twins.foresee(list)
	for i := range list {
		a.addPlain(&list[i])
	}
}

func (a *Analysis) addPlain(p *assembler.Plain) {
	if !a.bounded && a.Whole >= 0 {
		a.Add(p.Conn())
		return
	}
	if !a.bounded {
		a.bound()
	}
	o := &p.Outline
	a.count(uint64(o.Ends[0].Packets)+uint64(o.Ends[1].Packets), o.First.Time, o.Last.Time)
	v := &a.verdict
	judgePlain(o, v)
	v.SameAs = a.near.meet(o, false).twin
	a.digest.Count(v)
	if a.Each != nil {
		a.Each(p.Conn(), v)
	}
	if f := a.findings; f != nil {
		f.At(a.Env())
		f.AddPlain(p, v)
	}
}

// judgePlain makes v what judge says of a plain connection. There is no RST,
// nothing unanswered, no end that waits for the other: of all rules only that
// of the orderly close can name the cause, whatever the connection carried.
func judgePlain(o *assembler.Outline, v *Verdict) {
	first := earlier(&o.Ends[assembler.Client].FIN, &o.Ends[assembler.Server].FIN)
	f := finding{Graceful, BySide(first), Certain, doubts{}}
	f.heed(o, first)
	*v = Verdict{Partial: o.Partial, Matched: plainRules}
	v.name(OrderlyClose, &f)
	v.doubt()
	v.FirstEnd = FirstEnd{Stamp: o.Ends[first].FIN, Side: first, Flag: FlagFIN}
}

// plainRules are those that match a plain connection.
var plainRules = func(rules []Rule) (set uint64) {
	for i := range rules {
		switch rules[i].Name {
		case "orderly-close", "still-open":
			set |= 1 << i
		}
	}
	return set
}(rules)
