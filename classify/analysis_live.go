package classify

import (
	"math"
	"slices"

	"hangup/assembler"
)

// ripening is how long (ns) a live analysis waits for what neighbours may
// say. Most of it comes within refusedSoon of a connection's end, from
// connections of which the tracker tells up to 150 s after their own end,
// in which they linger for late packets.
const ripening = 180 * second

// listenerMemory is how long (ns) what was heard about listeners is remembered: the
// SYNs that a full queue drops are given up after some 130 s, and expire.
const listenerMemory = 600 * second

// Clock tells a live analysis what time it is (ns), by packets or ticks.
func (a *Analysis) Clock(now int64) {
	a.now = max(a.now, now)
	if !a.Live || a.now < a.checked+ripening/16 {
		return
	}
	a.checked = a.now
	n := 0
	for n < len(a.open) && a.open[n].asked <= a.now-ripening {
		n++
	}
	if n == 0 {
		return
	}
	ripe := slices.Clone(a.open[:n])
	a.open = slices.Delete(a.open, 0, n)
	a.askWinners(ripe)
	a.ripen(ripe)
	a.latest.p = nil
	for k, p := range a.alike {
		if p.asked <= a.now-ripening {
			delete(a.alike, k)
		}
	}
	for _, p := range ripe {
		delete(a.near.relays.wanted, p.relay.to)
	}
	a.near.forget(a.now - listenerMemory)
}

// askWinners looks among the connections that go on for those which won the
// dials that list has lost.
func (a *Analysis) askWinners(list []*pending) {
	from := int64(math.MaxInt64)
	for _, p := range list {
		if p.race.first != 0 && p.won.id == 0 {
			from = min(from, p.race.first-raceTime)
		}
	}
	if a.Open == nil || from == math.MaxInt64 {
		return
	}
	var o assembler.Outline
	a.Open(func(c *assembler.Conn) {
		if c.First.Time >= from {
			c.Outline(&o)
			a.near.heats.add(&o)
		}
	})
}
