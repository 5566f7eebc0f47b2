package classify

import "hangup/assembler"

// AddLone takes a connection of which nothing but one SYN was seen: what Add
// does with its Conn, at a fraction of the cost. There can be millions of them.
func (f *Findings) AddLone(l *assembler.Lone, v *Verdict) {
	if l.Predecessor != 0 || l.Partial != 0 || v.SameAs != 0 {
		if f.lone == nil {
			f.lone = new(assembler.Conn)
		}
		l.Expand(f.lone)
		f.Add(f.lone, v)
		return
	}
	s, x := &f.scene, &f.subject
	x.c, x.v = nil, v
	x.meet(relation{l.Client, endpoint{l.Server, l.ServerPort}})
	s.count(1, l.SYN.Time, l.SYN.Time)
	s.told++
	s.toldPackets++
	pair, flood, drowns := f.drowns(x)
	if drowns {
		s.drown(x, flood, &tiny{l.ID, l.SYN})
		return
	}
	f.knock(l, v, pair, flood)
}

// drowns reports whether an abandoned handshake is at a server that has many,
// from a client of which there is nothing else. The pair and the flood are
// where these are found, -1 if they are not known.
func (f *Findings) drowns(x *subject) (pair, flood int, yes bool) {
	s := &f.scene
	pair = s.ledger.pairs.seek(&x.pair, x.pairHash)
	flood = s.scans.floods.seek(&x.pair.server, x.serverHash)
	return pair, flood, pair < 0 && s.scans.drowned(flood) && s.ledger.stranger(x.pairHash)
}

// drown only counts an abandoned handshake.
func (s *scene) drown(x *subject, flood int, syn *tiny) {
	s.ledger.servers.at(&x.pair.server, x.serverHash).dial(syn.at.Time)
	s.scans.abandon(x, flood, syn)
}

// knock tells collectors of a lone SYN: those that have anything to do with it.
func (f *Findings) knock(l *assembler.Lone, v *Verdict, pair, flood int) {
	s, x, t := &f.scene, &f.subject, l.SYN.Time
	s.ledger.knock(x, l, s.env, pair)
	vain := failedDial(v) || v.Cause == HandshakeIncomplete
	s.scans.knock(x, &target{endpoint: x.serverHash, host: x.serverHostHash, futile: vain, shown: tiny{l.ID, l.SYN}}, flood)
	lost := int64(0)
	if v.Class == TimedOut {
		lost = t
	}
	f.dials.note(x, l.ID, l.SYN, lost)
	if failedDial(v) {
		if rivals := teamOf(&x.pair, l.Link, isIPv4(&l.Client)); rivals != 0 {
			f.families.lose(&loser{l.SYN, l.ID, rivals, x.serverHash, false})
		}
	}
	if vain {
		f.reconnects.knock(x, l)
	}
}

func (l *ledger) knock(x *subject, syn *assembler.Lone, env Env, pair int) {
	t := syn.SYN.Time
	l.servers.at(&x.pair.server, x.serverHash).dial(t)
	if pair < 0 {
		pair = l.pairs.enter(&x.pair, x.pairHash)
	}
	u := &l.pairs.touch(pair).ports
	u.failed++
	if syn.Until != 0 {
		env.End, env.Truncated = syn.Until, false
	}
	gone := env.End + 1
	if !env.Truncated && env.End-t > loneSettle {
		gone = t + second // the dialler gave up before another SYN was due
	}
	u.dial(x, syn.ClientPort, systemBy(env.OS, syn.TTL, true, syn.Options, syn.WScale), l, &portDial{id: syn.ID, began: t, held: span{t, gone}})
}

func (s *scans) knock(x *subject, t *target, flood int) {
	s.hosts.at(&x.pair.client, x.clientHash).dial(t)
	switch x.v.Cause {
	case HandshakeIncomplete, ConnectTimeout, StillOpen:
		s.abandon(x, flood, &t.shown)
	}
}

func (r *reconnects) knock(x *subject, l *assembler.Lone) {
	a, t := r.by.at(&x.pair, x.pairHash), l.SYN.Time
	a.why.add(x.v.Cause)
	a.next(span{t, t})
	if !a.vain.again(t, t) {
		a.vain.add(failure{n: 1, first: t, last: t, end: t, shown: example{
			id: l.ID, at: t, points: [3]point{{l.SYN, assembler.Client, saysSYN, 0}}}})
	}
}
