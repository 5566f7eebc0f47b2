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
// that it did not choose makes it come back. A server that closes behind its
// only answer (HTTP/1.0, Connection: close) takes nothing from anybody.
func lossOf(o *assembler.Outline, v *Verdict) int64 {
	if v.Class == Graceful && v.By == ByServer && oneShot(o, o.Ends[assembler.Server].FIN.Time) {
		return 0
	}
	if v.Class == Reset && v.By != ByClient || v.Class == TimedOut || v.Class == Graceful && v.By == ByServer {
		return o.Last.Time
	}
	return 0
}

const (
	// answerEnd is how soon (ns) behind an answer a close belongs to it.
	answerEnd = second / 2
	// oneShotBusy is for how long at most (ns) a connection is not just waiting,
	// if it is used once: a handshake, TLS, a request and its answer.
	oneShotBusy = 2 * second
)

// oneShot reports whether a connection that was closed at a time served for one
// request: asked at its start, waited for in one piece, and closed right behind
// the answer. How long that took says how long the work took, no more.
func oneShot(o *assembler.Outline, closed int64) bool {
	asked, answered := o.Ends[assembler.Client].LastData.Time, o.Ends[assembler.Server].LastData.Time
	return answered != 0 && asked <= answered && closed-answered < answerEnd &&
		asked-o.Established.Time < second && closed-o.First.Time-o.MaxIdle < oneShotBusy
}

// shed judges the older half and lets go of it.
func (l *dialLog) shed() {
	l.floor = halfway(l.list, func(d *dialled) int64 { return d.at })
	if l.storms == nil {
		l.storms = storms{}
	}
	l.storms.join(stormsOf(l.list, l.floor))
	// An end may still make a later dial a reconnect; those that came last
	// ended last, mostly.
	recent, ends := l.floor-stormLoss, dialsKept/4
	for i := len(l.list) - 1; i >= 0; i-- {
		d := &l.list[i]
		if d.at >= l.floor {
			continue
		}
		if d.at = retired; d.lost >= recent && ends > 0 {
			ends--
		} else {
			d.lost = 0
		}
	}
	kept := l.list[:0]
	for i := range l.list {
		if d := &l.list[i]; d.at != retired || d.lost != 0 {
			kept = append(kept, *d)
		}
	}
	l.list = kept
}

// halfway is about the time before which half of a long list lie, and later
// than some of them.
func halfway[T any](list []T, at func(*T) int64) int64 {
	const samples = 1 << 9
	var room [samples]int64
	times := room[:0]
	for k := range samples {
		if t := at(&list[k*len(list)/samples]); t != retired {
			times = append(times, t)
		}
	}
	if len(times) == 0 {
		return math.MaxInt64
	}
	slices.Sort(times)
	return max(times[len(times)/2], times[0]+1)
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
