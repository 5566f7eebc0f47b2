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
	server, client := a.near.meetLone(l)
	if v.Cause == StillOpen { // its neighbours have nothing to say
		a.tellLone(l, v)
		l.Expand(&a.lone)
		a.enter(&a.lone, v)
		return
	}
	if o := a.akin(kindOf(v, server, 0)); o != nil {
		o.alike.note(l.Client, l.ID, l.SYN.Time, v)
		a.tellLone(l, v)
		return
	}
	q := a.near.askLone(l, server, client)
	if p := a.place(v, &q); p != nil {
		own := *l
		p.lone = &own
		return
	}
	a.tellLone(l, v)
	l.Expand(&a.lone)
	a.enter(&a.lone, v)
}

// tellLone is tell.
func (a *Analysis) tellLone(l *assembler.Lone, v *Verdict) {
	if a.Each != nil {
		l.Expand(&a.lone)
		a.Each(&a.lone, v)
	}
	if f := a.findings; f != nil {
		f.At(a.Env())
		f.AddLone(l, v)
	}
}

// loneVerdicts are what Judge says of any lone SYN: by whether its repeat is
// due, and whether its owner has
// given up.
type loneVerdicts struct {
	templates [3]struct {
		known bool
		Verdict
	}
}

// loneVerdict judges a lone SYN, and tells whether a later end of the capture
// would have it judged otherwise. The verdict may be changed until the next.
func (a *Analysis) loneVerdict(l *assembler.Lone, env Env) (v *Verdict, hangs bool) {
	gaveUp := !env.Truncated && env.End-l.SYN.Time > loneSettle
	due := env.End-l.SYN.Time >= synRetry
	t := &a.templates[b2i(due)+b2i(gaveUp)]
	if !t.known {
		l.Expand(&a.lone)
		a.look.look(&a.lone, env)
		t.Verdict, t.known = a.look.judge(), true
	}
	v = &a.verdict
	*v = t.Verdict
	v.Partial = l.Partial
	if v.Class == Open {
		v.Partial |= assembler.NoEnd
	}
	return v, !gaveUp
}

// loneSettle is settle of a single try.
var loneSettle = settle(&assembler.Tries{Count: 1})

// meetLone is add for the connection that l stands for, but asks nothing.
func (n *neighbours) meetLone(l *assembler.Lone) (server, client number) {
	server, client = n.servers.peek(endpoint{l.Server, l.ServerPort}), n.hosts.peek(&l.Client)
	n.hosts.peek(&l.Server)
	n.hosts.val(client).ttl.note(l.TTL, l.TTL)
	n.begin(server, start{l.SYN.Time, false})
	if isIPv4(&l.Client) && !isLoopback(&l.Client) {
		n.heats.card(l.Link, &l.Client)
	}
	n.relays.note(opening{id: l.ID, syn: [2]int64{l.SYN.Time}})
	return server, client
}

// askLone is the question that a lone SYN leaves.
func (n *neighbours) askLone(l *assembler.Lone, server, client number) question {
	q := question{
		id: l.ID, acquainted: acquainted{server: server, host: [2]number{client, n.hosts.peek(&l.Server)}},
		syn:  span{l.SYN.Time, l.SYN.Time},
		race: raceKey{l.SYN.Time, l.Link, l.ServerPort, !isIPv4(&l.Client), isLoopback(&l.Client)},
	}
	if q.race.loopback {
		q.race.link = 0
	}
	q.won = n.heats.winner(&q.race)
	return q
}
