package classify

import "hangup/assembler"

// tenure is for how long one end's socket held its port.
type tenure struct {
	known       bool // it was asked for
	some        bool // there was a socket
	waiting     bool // it ended in TIME_WAIT
	from, until int64
	waits       int64 // since when it was in TIME_WAIT
}

// tenure is that of one side's socket.
func (x *subject) tenure(s assembler.Side) *tenure {
	t := &x.tenures[s]
	if !t.known && !t.orderly(x.w, s) {
		x.lives.derive(x.w, s)
		t.of(&x.lives, x.env)
	}
	t.known = true
	return t
}

func (t *tenure) of(l *lives, env Env) {
	*t = tenure{}
	list := l.list()
	if len(list) == 0 {
		return
	}
	last := &list[len(list)-1]
	t.some, t.from, t.until = true, list[0].From, last.until(env)
	if last.State == assembler.TimeWait {
		t.waiting, t.waits = true, last.From
	}
}

// orderly is what [lives] comes to where nothing is out of the ordinary: both
// ends were opened and closed in time, and every FIN was acknowledged. It
// reports whether that is so; most connections of most captures are like that.
func (t *tenure) orderly(w *view, s assembler.Side) bool {
	c, cl, sv := w.c, w.cl, w.sv
	if w.rst != nil || c.NICMP > 0 || c.Successor.Seen() || !c.Established.Seen() || cl.SYNACK.Seen() || sv.SYN.Seen() ||
		!cl.SYN.Answered.Seen() || !sv.SYNACK.Answered.Seen() || !cl.FIN.Answered.Seen() || !sv.FIN.Answered.Seen() ||
		cl.Data.Pending() || sv.Data.Pending() || cl.Probe.Pending() || sv.Probe.Pending() {
		return false
	}
	e, o := c.End(s), c.End(s.Peer())
	from, up := cl.SYN.First.Time, sv.SYNACK.First.Time
	if s == assembler.Server {
		from, up = up, c.Established.Time
	}
	mine, acked, theirs := e.FIN.First.Time, e.FIN.Answered.Time, o.FIN.First.Time
	if from >= up || up > min(mine, theirs) || mine >= acked || max(acked, theirs) > w.env.End {
		return false
	}
	*t = tenure{some: true, from: from, until: acked}
	if theirs > mine || e.FINCrossed {
		t.waiting, t.waits = true, max(acked, theirs)
		t.until = max(t.waits, o.FIN.Last.Time) + systemOf(e, w.env.OS).TimeWait()
	}
	return true
}
