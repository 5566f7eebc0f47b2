package classify

import "hangup/assembler"

// AddLone takes a connection of which nothing but one SYN was seen: Add for
// what l stands for, at a fraction of the cost. L is not kept.
func (a *Analysis) AddLone(l *assembler.Lone) {
	if !a.bounded && a.Whole >= 0 || l.Predecessor != 0 || l.Partial&^assembler.Evicted != 0 {
		l.Expand(&a.lone)
		a.Add(&a.lone)
		return
	}
	if !a.bounded {
		a.bound()
	}
	a.count(1, l.SYN.Time, l.SYN.Time)
	env := a.Env()
	if l.Until != 0 {
		env.End, env.Truncated = l.Until, false
	}
	v, hangs := a.loneVerdict(l, env)
	if hangs && l.Until == 0 && !a.ended && !a.Live && len(a.held.at) < maxOpen {
		l.Expand(&a.lone)
		a.held.at = append(a.held.at, a.held.store.add(&a.lone))
		return
	}
	q := a.near.addLone(l)
	if p := a.place(v, &q); p != nil && p.id == l.ID {
		own := *l
		p.lone = &own
		return
	} else if p != nil {
		p.alike.note(l.Client, l.ID, l.SYN.Time, v)
		a.tellLone(l, v)
		return
	}
	l.Expand(&a.lone)
	a.settled(&a.lone, v)
}

// tellLone is tell.
func (a *Analysis) tellLone(l *assembler.Lone, v *Verdict) {
	if a.Each == nil && a.findings == nil {
		return
	}
	l.Expand(&a.lone)
	a.tell(&a.lone, v)
}

// loneVerdicts are what Judge says of any lone SYN: by whether its owner has
// given up.
type loneVerdicts struct {
	templates [2]struct {
		known bool
		Verdict
	}
}

// loneVerdict judges a lone SYN, and tells whether a later end of the capture
// would have it judged otherwise. The verdict may be changed until the next.
func (a *Analysis) loneVerdict(l *assembler.Lone, env Env) (v *Verdict, hangs bool) {
	gaveUp := !env.Truncated && env.End-l.SYN.Time > loneSettle
	t := &a.templates[b2i(gaveUp)]
	if !t.known {
		l.Expand(&a.lone)
		a.look.look(&a.lone, env)
		t.Verdict, t.known = a.look.judge(), true
	}
	v = &a.verdict
	*v = t.Verdict
	v.Partial = l.Partial
	return v, !gaveUp
}

// loneSettle is settle of a single try.
var loneSettle = settle(&assembler.Tries{Count: 1})

// addLone is add for the connection that l stands for.
func (n *neighbours) addLone(l *assembler.Lone) question {
	q := question{
		id: l.ID, server: n.servers.peek(endpoint{l.Server, l.ServerPort}),
		host: [2]number{n.hosts.peek(&l.Client), n.hosts.peek(&l.Server)},
		syn:  span{l.SYN.Time, l.SYN.Time},
		race: raceKey{l.SYN.Time, l.Link, l.ServerPort, !isIPv4(&l.Client), isLoopback(&l.Client)},
	}
	n.hosts.val(q.host[0]).ttl.note(l.TTL, l.TTL)
	n.begin(q.server, start{l.SYN.Time, false})
	if q.race.loopback {
		q.race.link = 0
	} else if !q.race.v6 {
		n.heats.card(q.race.link, &l.Client)
	}
	q.won = n.heats.winner(&q.race)
	n.relays.note(opening{id: l.ID, syn: [2]int64{l.SYN.Time}})
	return q
}
