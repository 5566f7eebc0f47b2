package assembler

import "math"

// evictSample is among how many records the one longest silent is chosen. A
// list in order of last packets would cost every packet two more cache lines.
const evictSample = 16

// Evicted counts connections that were reported early (Config.MaxConns).
func (t *Tracker) Evicted() uint64 { return t.evicted }

// live is the number of connections that are followed.
func (t *Tracker) live() int {
	return t.lones.inUse() + t.flows.inUse() + t.conns.inUse() + t.parked.conns
}

// evict reports connections until there are no more than allowed.
func (t *Tracker) evict() {
	if t.cfg.MaxConns <= 0 || t.live() <= t.cfg.MaxConns {
		return
	}
	t.retire(dues{closed: math.MaxInt64, reset: math.MaxInt64}) // nothing is lost with those that are over
	for n := t.live(); n > t.cfg.MaxConns; n-- {
		var oldest ref
		last := int64(math.MaxInt64)
		for looked := 0; looked < evictSample; {
			r, at := t.sample()
			if r == 0 {
				continue
			}
			if looked++; at < last {
				oldest, last = r, at
			}
		}
		t.evictOne(oldest)
	}
}

// sample returns the next record in use of a pool, chosen by size, and the
// time of its latest packet; 0 if the next record is not in use.
func (t *Tracker) sample() (ref, int64) {
	h := &t.hands
	h.turn += 0x9e3779b97f4a7c15
	k := int((h.turn >> 32) * uint64(t.live()) >> 32)
	switch {
	case k < t.lones.inUse():
		h.lone = (h.lone + 1) % t.lones.taken
		if l := t.lones.at(h.lone); l.ref != 0 {
			return makeRef(aLone, h.lone), l.time
		}
		return 0, 0
	case k < t.lones.inUse()+t.flows.inUse():
		h.flow = (h.flow + 1) % t.flows.taken
		if f := t.flows.at(h.flow); f.bits&flowLive != 0 {
			return makeRef(aFlow, h.flow), f.lastTime
		}
		return 0, 0
	case k < t.live()-t.parked.conns:
		h.conn = (h.conn + 1) % t.conns.taken
		if c := t.conns.at(h.conn); c.ID != 0 {
			return makeRef(aConn, h.conn), c.Last.Time
		}
		return 0, 0
	}
	h.parked = (h.parked + 1) % t.parked.taken
	if p := t.parked.at(h.parked); p.first {
		return makeRef(aParked, h.parked), p.last
	}
	return 0, 0
}

// evictOne reports a connection that is not over.
func (t *Tracker) evictOne(r ref) {
	t.evicted++
	i := r.index()
	c := t.spareConn
	switch r.kind() {
	case aLone:
		c = t.spareLone
		t.expandLone(t.lones.at(i), c)
		t.freeLone(i)
	case aFlow:
		c = t.spareFlow
		t.expandFlow(t.flows.at(i), c)
		t.freeFlow(i)
	case aConn:
		c = t.conns.at(i)
		t.unlink(i, c)
		c.Partial |= Evicted
		t.cfg.Done(c)
		t.freeConn(i)
		return
	case aParked:
		t.parked.unpack(i, c)
		t.parked.discard(i)
	}
	t.bury(t.locate(&c.key, r), tombOf(c))
	c.Partial |= Evicted
	t.cfg.Done(c)
}
