package assembler

import (
	"unsafe"

	"hangup/capture/prefetch"
)

// queue holds the connections that are over, in the order in which they ended.
type queue struct {
	list []ended
	head int
	told int // those before it were offered to Config.Over
}

// ended is one of them. The ID tells whether the record is still its own.
type ended struct {
	id uint64
	r  ref
	at int64 // time of the packet that ended it, or of a later one
}

func (q *queue) push(id uint64, r ref, at int64) { q.list = append(q.list, ended{id, r, at}) }

func (q *queue) pop() {
	if q.head++; q.head > 1024 && q.head*2 > len(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.told = max(0, q.told-q.head)
		q.head = 0
	}
}

// enqueue notes that c, the record r, is over.
func (t *Tracker) enqueue(c *Conn, r ref) {
	q := &t.closed
	if c.NResets > 0 {
		q = &t.reset
	}
	q.push(c.ID, r, c.Last.Time)
}

// retire reports and buries the connections that are over and due.
func (t *Tracker) retire(d dues) {
	t.retireQueue(&t.closed, d.closed)
	t.retireQueue(&t.reset, d.reset)
}

// retireQueue retires those of a queue whose last packet came before the
// given time. A late packet of the first one merely keeps them a while.
func (t *Tracker) retireQueue(q *queue, before int64) {
	for due := true; due; {
		if q.head < len(q.list) && q.list[q.head].at < before {
			t.foresee(q, before)
		}
		for n := 0; due && n < foreseen; n++ {
			due = t.retireNext(q, before)
		}
		t.tellPlains()
	}
}

// retireNext takes the first of a queue off, if it is due.
func (t *Tracker) retireNext(q *queue, before int64) (due bool) {
	if q.head == len(q.list) || q.list[q.head].at >= before {
		return false
	}
	e := q.list[q.head]
	last, over := t.overSince(e)
	switch {
	case !over: // the record is another's by now
	case last >= before:
		return false
	default:
		t.retireOne(e.r, q)
	}
	q.pop()
	return true
}

// overSince is the time of the connection's latest packet, if it is still
// the one that was queued.
func (t *Tracker) overSince(e ended) (last int64, over bool) {
	switch i := e.r.index(); e.r.kind() {
	case aFlow:
		f := t.flows.at(i)
		return f.lastTime, t.cold(f).id == e.id && f.bits&flowLive != 0
	case aConn:
		c := t.conns.at(i)
		return c.Last.Time, c.ID == e.id
	case aNoted:
		k := t.noted.at(i)
		return k.last, k.id == e.id
	case aParked:
		p := t.parked.at(i)
		return p.last, p.id == e.id
	}
	return 0, false
}

// foresee has fetched what retireQueue will need for the next few flows that
// are due: their records, where the table has them, and where it has the tombs
// that give way to theirs; and of those after them what it will look at itself.
func (t *Tracker) foresee(q *queue, before int64) {
	var flows, colds, wides [foreseen]unsafe.Pointer
	var slots [2 * foreseen]unsafe.Pointer
	list := q.list[q.head:]
	n, m := 0, 0
	for _, e := range list[:min(foreseen, len(list))] {
		if e.at < before && e.r.kind() == aFlow {
			f := t.flows.at(e.r.index())
			colds[n] = unsafe.Pointer(t.cold(f))
			n++
			if f.bits&flowWide != 0 {
				wides[m] = unsafe.Pointer(t.wide.at(f.client))
				m++
			}
		}
	}
	prefetch.Records(colds[:n], unsafe.Sizeof(flowCold{}))
	prefetch.Records(wides[:m], unsafe.Sizeof(wide{}))
	m = 0
	for _, e := range list[min(foreseen, len(list)):min(2*foreseen, len(list))] {
		switch e.r.kind() {
		case aFlow:
			flows[m] = unsafe.Pointer(t.flows.at(e.r.index()))
			m++
		case aNoted:
			flows[m] = unsafe.Pointer(t.noted.at(e.r.index()))
			m++
		}
	}
	prefetch.Records(flows[:m], unsafe.Sizeof(flow{}))
	for i, k := range colds[:n] {
		slots[i] = t.table.first((*flowCold)(k).tag)
	}
	for i := range uint32(n) {
		if next := t.tombs.next + i; int(next) < t.tombs.pool.used {
			slots[n] = t.table.first(t.tombs.pool.at(next).tag)
			n++
		}
	}
	prefetch.Records(slots[:n], 1)
}

// foreseen is how many flows foresee looks at: as many as the nearest cache
// has room for.
const foreseen = 16

// retireDue retires one connection ahead of its turn, if it has lingered
// longest at the given time, or expired: what a packet finds must not hang on
// where batches end.
func (t *Tracker) retireDue(r ref, now int64) bool {
	over, last, expires := false, int64(0), int64(never)
	switch i := r.index(); r.kind() {
	case aLone:
		expires = t.lones.at(i).expires()
	case aFlow:
		f := t.flows.at(i)
		over, last, expires = f.over(), f.lastTime, f.expires()
	case aConn:
		c := t.conns.at(i)
		over, last = c.over(), c.Last.Time
		if t.cfg.Expire {
			_, expires = c.expiry()
		}
	case aNoted:
		k := t.noted.at(i)
		over, last, expires = k.over, k.last, k.expires
	case aParked:
		p := t.parked.at(i)
		over, last, expires = p.over, p.last, p.expires
	}
	switch {
	case over && last < now-lingerMost:
		t.retireOne(r, nil)
		t.tellPlains()
	case t.cfg.Expire && expires < now:
		t.end(r, early{expired: true, until: expires})
	default:
		return false
	}
	return true
}

// retireOne reports and buries a connection that is over. From the queue of
// the closed, one that a RST has hit since moves to that of the reset.
func (t *Tracker) retireOne(r ref, from *queue) {
	if from == &t.closed {
		if e := t.resetSince(r); e.r != 0 {
			t.reset.push(e.id, e.r, e.at)
			return
		}
	}
	t.overs--
	t.end(r, early{})
}

// resetSince is the entry of record r for the queue of the reset, zero if no
// RST has hit it.
func (t *Tracker) resetSince(r ref) ended {
	switch i := r.index(); r.kind() {
	case aConn:
		if c := t.conns.at(i); c.NResets > 0 {
			return ended{c.ID, r, c.Last.Time}
		}
	case aNoted:
		if k := t.noted.at(i); k.reset {
			return ended{k.id, r, k.last}
		}
	}
	return ended{}
}

// early says how a connection was reported that is not over.
type early struct {
	evicted, expired bool
	until            int64
}

// end reports and buries the connection of record r, which is free then.
func (t *Tracker) end(r ref, how early) {
	switch {
	case r.kind() == aLone:
		t.endLone(r, how)
		return
	case t.isPlain(r):
		t.endPlain(r)
		return
	}
	t.tellPlains()
	c := t.whole(r)
	how.mark(c)
	if r.kind() == aConn {
		t.unlink(r.index(), c)
	} else {
		tag := c.key.tag(t.seed)
		*t.bury(t.locate(tag, r), tag) = tombOf(c, tag)
	}
	t.cfg.Done(c)
	t.free(r)
}

// report is end where nobody will look for the connection any more. Lone SYNs
// are so many, and so small, that to free them would not be worth the time.
func (t *Tracker) report(r ref) {
	switch {
	case r.kind() == aLone && t.cfg.Lone != nil:
		t.cfg.Lone(t.lone(r.index()))
		return
	case t.isPlain(r):
		t.describe(r)
	default:
		t.tellPlains()
		t.cfg.Done(t.whole(r))
		t.free(r)
	}
}

// isPlain reports whether r is for Config.Plain.
func (t *Tracker) isPlain(r ref) bool {
	return t.cfg.Plain != nil && r.kind() == aFlow && t.flows.at(r.index()).over()
}

// whole is the Conn of record r, until the next call.
func (t *Tracker) whole(r ref) *Conn {
	c := t.spareConn
	switch i := r.index(); r.kind() {
	case aLone:
		c = t.spareLone
		t.lone(i).Expand(c)
	case aFlow:
		c = t.spareFlow
		t.expandFlow(t.flows.at(i), c)
	case aConn:
		c = t.conns.at(i)
	case aNoted:
		t.unfold(r, c)
	case aParked:
		t.parked.unpack(i, c)
	}
	return c
}

// endPlain is end for Config.Plain, of which tellPlains is the rest.
func (t *Tracker) endPlain(r ref) {
	f := t.flows.at(r.index())
	k, p := t.cold(f), t.describe(r)
	t.bury(t.locate(k.tag, r), k.tag).ofFlow(f, k, p)
	f.bits &^= flowLive
}

func (how early) mark(c *Conn) {
	c.Until = how.until
	if how.evicted {
		c.Partial |= Evicted
	}
	if how.expired {
		c.Expired, _ = c.expiry()
	}
}

func (t *Tracker) freeConn(i uint32) {
	t.conns.at(i).ID = 0
	t.conns.release(i)
}

// unlink takes a Conn out of its tuple's chain.
func (t *Tracker) unlink(i uint32, c *Conn) {
	at, newest := t.newest(c)
	if newest != i {
		o := t.conns.at(newest)
		for o.next-1 != int32(i) {
			o = t.conn(o.next - 1)
		}
		o.next = c.next
		return
	}
	if c.next != 0 {
		at.set(makeRef(aConn, uint32(c.next-1)))
		return
	}
	tag := c.key.tag(t.seed)
	*t.bury(at, tag) = tombOf(c, tag)
}

// newest finds the newest Conn of c's tuple.
func (t *Tracker) newest(c *Conn) (found, uint32) {
	tag := c.key.tag(t.seed)
	pg := t.table.page(tag)
	for i := tag & slotMask; ; i = (i + 1) & slotMask {
		r := pg.slots[i].ref()
		if pg.slots[i].tag() == tag && r.kind() == aConn && t.conns.at(r.index()).key == c.key {
			return found{pg: pg, i: i}, r.index()
		}
	}
}
