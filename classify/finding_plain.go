package classify

import "hangup/assembler"

// AddPlain takes a connection of which nothing is unusual: Add for what p
// stands for, at a fraction of the cost. Nothing of p or v is kept.
func (f *Findings) AddPlain(p *assembler.Plain, v *Verdict) {
	o := &p.Outline
	if v.SameAs != 0 || !tellsAll(o, v, f.scene.env) {
		f.Add(p.Conn(), v)
		return
	}
	x := &f.subject
	f.scene.count(uint64(o.Ends[0].Packets)+uint64(o.Ends[1].Packets), o.First.Time, o.Last.Time)
	cl, sv := &o.Ends[assembler.Client], &o.Ends[assembler.Server]
	x.o, x.c, x.v, x.w, x.env = o, nil, v, nil, f.scene.env
	x.meet(relation{cl.Addr, endpoint{sv.Addr, sv.Port}})
	x.traits, x.dials, x.syn = traitsOfPlain(o), true, o.First
	for _, s := range [...]assembler.Side{assembler.Client, assembler.Server} {
		x.tenures[s].plain(x, s)
	}
	f.tell(x)
}

// tellsAll reports whether a plain connection has none of the traits that take
// more than its outline to look into, and its packets each a time of their own.
func tellsAll(o *assembler.Outline, v *Verdict, env Env) bool {
	cl, sv := &o.Ends[assembler.Client], &o.Ends[assembler.Server]
	return o.Predecessor == 0 && o.Partial&^assembler.Snaplen == 0 && v.Cause == OrderlyClose &&
		sv.Bytes > 0 && cl.Beat.Count == 0 && sv.Beat.Count == 0 &&
		o.First.Time < sv.First.Time && sv.First.Time < o.Established.Time && o.Established.Time <= min(cl.FIN.Time, sv.FIN.Time) &&
		cl.FIN.Time != sv.FIN.Time && cl.FIN.Time < sv.LastNewAck.Time && sv.FIN.Time < cl.LastNewAck.Time && o.Last.Time <= env.End
}

// traitsOfPlain is [traitsOf] for an ordinary connection.
func traitsOfPlain(o *assembler.Outline) (t traits) {
	if o.Partial&assembler.Snaplen != 0 {
		t |= isFlawed
	}
	if o.Ends[assembler.Server].FIN.Time < o.Ends[assembler.Client].FIN.Time {
		t |= serverFirst
	}
	if o.MaxIdle >= second {
		t |= wasQuiet
	}
	if o.Last.Time-o.First.Time >= second/2 {
		t |= isLong
	}
	return t
}

// plain is orderly for an ordinary connection, in which what acknowledged the
// peer's FIN is the last that acknowledged anything.
func (t *tenure) plain(x *subject, s assembler.Side) {
	e, o := &x.o.Ends[s], &x.o.Ends[s.Peer()]
	*t = tenure{known: true, some: true, from: e.First.Time, until: o.LastNewAck.Time}
	if o.FIN.Time > e.FIN.Time {
		t.waiting, t.waits = true, max(o.LastNewAck.Time, o.FIN.Time)
		t.until = t.waits + x.system(s).TimeWait()
	}
}
