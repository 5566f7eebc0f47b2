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

// foresee reads what retire will need of the next few connections, so that
// the waits for memory run side by side.
func (t *Tracker) foresee() (sum uint64) {
	list := t.ended.list[t.ended.head:]
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

// foreseen is how many connections foresee looks at: as many as the nearest
// cache has room for.
const foreseen = 16

// retire reports and buries the connections that have been over, and silent,
// since before the given time.
func (t *Tracker) retire(before int64) {
	for n := 0; t.ended.head < len(t.ended.list); n++ {
		e := t.ended.list[t.ended.head]
		switch i := e.r.index(); e.r.kind() {
		case aFlow:
			if f := t.flows.at(i); f.id == e.id {
				if f.lastTime >= before {
					return
				}
				if n%foreseen == 0 {
					t.block.sink += uint32(t.foresee())
				}
				t.retireFlow(i, f)
			}
		case aConn:
			if c := t.conns.at(i); c.ID == e.id {
				if c.Last.Time >= before {
					return // queued in order of their ends: a late packet only delays
				}
				t.retireConn(i, c)
			}
		}
		t.ended.pop()
	}
}

func (t *Tracker) retireFlow(i uint32, f *flow) {
	r := makeRef(aFlow, i)
	t.expandFlow(f, t.spareFlow)
	c := t.spareFlow
	at := t.locate(&c.key, r)
	t.bury(at, tombOf(c))
	t.cfg.Done(c)
	t.freeFlow(i)
}

func (t *Tracker) retireConn(i uint32, c *Conn) {
	t.unlink(i, c)
	t.cfg.Done(c)
	c.ID = 0
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
