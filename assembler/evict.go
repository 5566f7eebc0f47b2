package assembler

import (
	"math"
	"unsafe"
)

// evictSample is among how many records the one longest silent is chosen. A
// list in order of last packets would cost every packet two more cache lines.
const evictSample = 16

// Evicted counts connections that were reported early, by Config.MaxConns or
// MaxMemory.
func (t *Tracker) Evicted() uint64 { return t.evicted }

// live is the number of connections that are followed.
func (t *Tracker) live() int {
	return t.lones.used + t.flows.used + t.conns.used + t.parked.used
}

// Memory is how many bytes the tracker holds, apart from a few that do not
// grow: records, what finds them, and what remembers those reported. The
// process takes more: the Go runtime, batches, whatever Done keeps.
func (t *Tracker) Memory() int {
	held, _ := t.memory()
	return held
}

// memory is Memory, and what of it is in use; the rest is in pages that hold
// other records, or empty ones kept in reserve.
func (t *Tracker) memory() (held, used int) {
	for _, bytes := range [...]func() (int, int){
		t.lones.bytes, t.wide.bytes, t.flows.bytes, t.colds.bytes, t.apps.bytes, t.beats.bytes, t.noted.bytes, t.conns.bytes, t.parked.bytes, t.tombs.pool.bytes,
	} {
		h, u := bytes()
		held, used = held+h, used+u
	}
	const perHeir = 64 // an entry of the map, which is half full
	other := t.table.pages*int(unsafe.Sizeof(slotPage{})) + len(t.heirs)*perHeir +
		(cap(t.closed.list)+cap(t.reset.list))*int(unsafe.Sizeof(ended{}))
	return held + other, used + other
}

// crowded reports whether connections have to go. Of memory that is held but
// not in use much comes back only when the last record of a page goes, so
// half of what is allowed is always used.
func (t *Tracker) crowded() bool {
	if t.cfg.MaxConns > 0 && t.live() > t.cfg.MaxConns {
		return true
	}
	return t.tight()
}

func (t *Tracker) tight() bool {
	if t.cfg.MaxMemory <= 0 {
		return false
	}
	held, used := t.memory()
	return held > t.cfg.MaxMemory && used > t.cfg.MaxMemory/2
}

// evict reports connections until there are no more than allowed: first those
// that are over, with which nothing is lost, then those longest silent.
func (t *Tracker) evict() {
	if !t.crowded() {
		return
	}
	t.retire(dues{closed: math.MaxInt64, reset: math.MaxInt64})
	if t.tight() {
		t.park(t.conns.used, math.MaxInt64)
		for _, trim := range [...]func(){t.lones.trim, t.wide.trim, t.flows.trim, t.colds.trim, t.apps.trim, t.beats.trim, t.noted.trim, t.conns.trim, t.parked.trim} {
			trim()
		}
	}
	for t.live() > 0 && t.crowded() {
		var oldest ref
		last := int64(math.MaxInt64)
		for range evictSample {
			if r, at := t.sample(); at < last {
				oldest, last = r, at
			}
		}
		if oldest != 0 {
			t.evicted++
			t.end(oldest, early{evicted: true, until: t.dues.now})
		}
	}
}

// sample returns the next record in use of a pool, chosen by size, and the
// time of its latest packet; never, if it belongs to notes.
func (t *Tracker) sample() (ref, int64) {
	h := &t.hands
	h.turn += 0x9e3779b97f4a7c15
	k := int((h.turn >> 32) * uint64(t.live()+t.noted.used) >> 32)
	in := func(n int) bool {
		k -= n
		return k < 0
	}
	switch {
	case in(t.lones.used):
		i := t.lones.after(h.lone)
		h.lone = i + 1
		if l := t.lones.at(i); l.wscale&loneNoted == 0 {
			return makeRef(aLone, i), l.time
		}
		return 0, never
	case in(t.flows.used):
		i := t.flows.after(h.flow)
		h.flow = i + 1
		if f := t.flows.at(i); f.bits&flowLive != 0 {
			return makeRef(aFlow, i), f.lastTime
		}
		return 0, never
	case in(t.noted.used):
		i := t.noted.after(h.noted)
		h.noted = i + 1
		return makeRef(aNoted, i), t.noted.at(i).last
	case in(t.conns.used):
		i := t.conns.after(h.conn)
		h.conn = i + 1
		return makeRef(aConn, i), t.conns.at(i).Last.Time
	}
	i := t.parked.after(h.parked)
	h.parked = i + 1
	return makeRef(aParked, i), t.parked.at(i).last
}
