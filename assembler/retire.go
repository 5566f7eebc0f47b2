package assembler

// queue holds the connections that are over, in the order in which they ended.
type queue struct {
	list []ended
	head int
}

// ended is one of them. The ID tells whether the record is still its own.
type ended struct {
	id uint64
	r  ref
}

func (q *queue) push(id uint64, r ref) { q.list = append(q.list, ended{id, r}) }

func (q *queue) pop() {
	if q.head++; q.head > 1024 && q.head*2 > len(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.head = 0
	}
}

// enqueue notes that c, the record r, is over.
func (t *Tracker) enqueue(c *Conn, r ref) {
	q := &t.closed
	if c.NResets > 0 {
		q = &t.reset
	}
	q.push(c.ID, r)
}

// retire reports and buries the connections that are over and due.
func (t *Tracker) retire(d dues) {
	t.retireQueue(&t.closed, d.closed)
	t.retireQueue(&t.reset, d.reset)
}

// retireQueue retires those of a queue whose last packet came before the
// given time. A late packet of the first one merely keeps them a while.
func (t *Tracker) retireQueue(q *queue, before int64) {
	for n := 0; q.head < len(q.list); n++ {
		e := q.list[q.head]
		last, over := t.overSince(e)
		switch {
		case !over: // the record is another's by now
		case last >= before:
			return
		default:
			if n%foreseen == 0 {
				t.block.sink += uint32(t.foresee(q))
			}
			t.retireOne(e.r, q)
		}
		q.pop()
	}
}

// overSince is the time of the connection's latest packet, if it is still
// the one that was queued.
func (t *Tracker) overSince(e ended) (last int64, over bool) {
	switch i := e.r.index(); e.r.kind() {
	case aFlow:
		f := t.flows.at(i)
		return f.lastTime, f.id == e.id
	case aConn:
		c := t.conns.at(i)
		return c.Last.Time, c.ID == e.id
	case aParked:
		p := t.parked.at(i)
		return p.last, p.first && p.id == e.id
	}
	return 0, false
}

// foresee reads what retireQueue will need of the next few flows, so that the
// waits for memory run side by side.
func (t *Tracker) foresee(q *queue) (sum uint64) {
	list := q.list[q.head:]
	for _, e := range list[:min(foreseen, len(list))] {
		if e.r.kind() == aFlow {
			words := t.flows.at(e.r.index()).words()
			for i := 0; i < len(words); i += 8 {
				sum += words[i]
			}
		}
	}
	return sum
}

// foreseen is how many flows foresee looks at: as many as the nearest cache
// has room for.
const foreseen = 16

// retireDue retires one connection ahead of its turn, if it has lingered
// longest at the given time: what a packet finds must not hang on where
// batches end.
func (t *Tracker) retireDue(r ref, now int64) bool {
	due := false
	switch i := r.index(); r.kind() {
	case aFlow:
		f := t.flows.at(i)
		due = f.over() && f.lastTime < now-lingerMost
	case aConn:
		c := t.conns.at(i)
		due = c.over() && c.Last.Time < now-lingerMost
	case aParked:
		p := t.parked.at(i)
		due = p.over && p.last < now-lingerMost
	}
	if due {
		t.retireOne(r, nil)
	}
	return due
}

// retireOne reports and buries the connection of record r. From the queue of
// the closed, one that a RST has hit since moves to that of the reset.
func (t *Tracker) retireOne(r ref, from *queue) {
	i := r.index()
	switch r.kind() {
	case aFlow:
		c := t.spareFlow
		t.expandFlow(t.flows.at(i), c)
		t.bury(t.locate(&c.key, r), tombOf(c))
		t.cfg.Done(c)
		t.freeFlow(i)
	case aConn:
		c := t.conns.at(i)
		if from == &t.closed && c.NResets > 0 {
			t.reset.push(c.ID, r)
			return
		}
		t.unlink(i, c)
		t.cfg.Done(c)
		t.freeConn(i)
	case aParked:
		c := t.spareConn
		t.parked.unpack(i, c)
		t.bury(t.locate(&c.key, r), tombOf(c))
		t.cfg.Done(c)
		t.parked.discard(i)
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
	t.bury(at, tombOf(c))
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
