package classify

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// dialLog keeps the latest dials, as they came, for what needs those of many
// clients side by side: waves of them that come back to a server. It holds
// dialsKept of them, at 48 bytes; when it is full, what the older half shows
// is judged, and goes. So the order in which connections come matters only
// beyond dialsKept of them, and not then if they come within about half as
// many places of their order in time.
type dialLog struct {
	list   []dialled
	floor  int64 // older ones are not taken any more
	missed uint64
	storms storms // of dials that were shed
}

// dialsKept is the dials of a minute of most systems.
const dialsKept = 1 << 16

// dialled is one dial.
type dialled struct {
	at             int64 // of the SYN; retired if it was judged, and is kept for its end
	lost           int64 // when the connection ended by no choice of the client's, 0 if it did not
	id             uint64
	ref            capture.Ref
	client, server uint64 // host and endpoint, as hashes
}

const retired = math.MinInt64

func (d *dialled) stamp() assembler.Stamp { return assembler.Stamp{Ref: d.ref, Time: d.at} }

func (d *dialled) pair() uint64 { return relationHash(d.client, d.server) }

func byTime(a, b *dialled) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) }

// note adds a dial.
func (l *dialLog) note(x *subject, id uint64, syn assembler.Stamp, lost int64) {
	if syn.Time < l.floor {
		l.missed++
		return
	}
	if len(l.list) == dialsKept {
		l.shed()
	}
	if len(l.list) == dialsKept/16 {
		l.list = slices.Grow(l.list, dialsKept-len(l.list)) // one of so many will be full
	}
	l.list = append(l.list, dialled{syn.Time, lost, id, syn.Ref, x.clientHash, x.serverHash})
}

// lossOf is when the client lost the connection, 0 if it did not: only an end
// that it did not choose makes it come back.
func lossOf(c *assembler.Conn, v *Verdict) int64 {
	if v.Class == Reset && v.By != ByClient || v.Class == TimedOut || v.Class == Graceful && v.By == ByServer {
		return c.Last.Time
	}
	return 0
}

// shed judges the older half and lets go of it.
func (l *dialLog) shed() {
	l.floor = l.median()
	if l.storms == nil {
		l.storms = storms{}
	}
	l.storms.join(stormsOf(l.list, l.floor))
	// An end may still make a later dial a reconnect.
	recent := func(d *dialled) bool { return d.lost >= l.floor-stormLoss }
	extra := -dialsKept / 4
	for i := range l.list {
		extra += b2i(l.list[i].at < l.floor && recent(&l.list[i]))
	}
	kept := l.list[:0]
	for _, d := range l.list {
		if d.at < l.floor {
			if !recent(&d) {
				continue
			}
			if extra--; extra >= 0 {
				continue // what came later ended later, mostly
			}
			d.at = retired
		}
		kept = append(kept, d)
	}
	l.list = kept
}

// median is about the time before which half of the dials lie, and later than
// some of them.
func (l *dialLog) median() int64 {
	const samples = 1 << 10
	var times [samples]int64
	list := times[:0]
	least := int64(math.MaxInt64)
	for i := range l.list {
		if at := l.list[i].at; at != retired {
			least = min(least, at)
			if i%(dialsKept/samples) == 0 {
				list = append(list, at)
			}
		}
	}
	if len(list) == 0 {
		return least + 1
	}
	slices.Sort(list)
	return max(list[len(list)/2], least+1)
}

func (l *dialLog) clone() dialLog {
	c := *l
	c.list, c.storms = slices.Clone(l.list), maps.Clone(l.storms)
	return c
}

// judge tells what all dials show, those shed included.
func (l *dialLog) judge() storms {
	s := storms{}
	s.join(stormsOf(l.list, math.MaxInt64))
	s.join(l.storms)
	return s
}
