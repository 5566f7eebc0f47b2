package classify

import "slices"

// ticks is what the times of the packets tell of the clock that stamped them.
// Captures that were anonymised, converted from text or written by a program
// often have none worth the name: every packet bears the same time, or that
// of a whole second.
type ticks uint8

const (
	ticksFinely  ticks = iota
	ticksSeconds       // only whole seconds
	ticksNever         // one time for all
)

// ticksMin is how many packets of how many connections (ticksConns) must agree
// in that: no card stamps so many in one ns, nor by chance all at a full
// second.
const (
	ticksMin   = 24
	ticksConns = 3
)

// ticks tells which clock stamped the packets of the capture.
func (s *scene) ticks() ticks {
	switch {
	case s.packets < ticksMin || s.conns < ticksConns:
		return ticksFinely
	case s.first == s.last:
		return ticksNever
	case s.fine == 0:
		return ticksSeconds
	}
	return ticksFinely
}

// untimed are the kinds of findings that a clock which ticks so cannot prove.
func (t ticks) untimed() []string {
	// A timer is known by its round number, and so is every time here.
	timers := []string{KindRequestTimeout, KindIdleTimeout, KindMaxLifetime}
	switch t {
	case ticksSeconds:
		return timers
	case ticksNever:
		return append(timers, KindBurst, KindReconnectLoop, KindReconnects, KindStorm, KindHeartbeats, KindPorts, KindChurn)
	}
	return nil
}

// timely is list without the kinds that the clock cannot prove.
func (t ticks) timely(list []Finding) []Finding {
	not := t.untimed()
	return slices.DeleteFunc(list, func(f Finding) bool { return slices.Contains(not, f.Kind) })
}
