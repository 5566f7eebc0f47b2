package classify

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"hangup/assembler"
	"hangup/capture"
)

// dialLog keeps the latest dials for what needs them side by side: storms of
// reconnects, and dials of one address family that lost against the other.
// It holds dialsKept of them, at 72 bytes, chosen by time; when it is full,
// what the older half shows is told to those who ask, and goes. So the order
// in which connections come matters only beyond dialsKept of them, and not
// then if they come within about half as many places of their order in time.
type dialLog struct {
	list   []dialled
	sorted int   // so many of list are in order
	floor  int64 // older ones are not taken any more
	missed uint64
	storms storms   // of dials that were shed
	eyes   eyeballs // likewise
}

// dialsKept is more than the dials of a minute of most systems.
const dialsKept = 1 << 17

// dialled is one dial. Hosts and endpoints are hashes.
type dialled struct {
	at             int64 // of the SYN
	lost           int64 // when the connection ended by no choice of the client's, 0 if it did not
	id             uint64
	ref            capture.Ref
	link           uint64 // the client's MAC, 0 if unknown
	client, server uint64
	port           uint16
	flags          dialFlags
}

type dialFlags uint8

const (
	dialV6 dialFlags = 1 << iota
	dialWon
	dialFailed
	dialRefused
	dialLoopback
	dialCounted // retired already, kept for its end
)

func (d *dialled) stamp() assembler.Stamp { return assembler.Stamp{Ref: d.ref, Time: d.at} }

// note adds a dial, unless it is a single SYN that nothing followed: a flood
// would leave nothing else in the log.
func (l *dialLog) note(x *subject) {
	c, v, cl := x.c, x.v, x.w.cl
	d := dialled{
		at: cl.SYN.First.Time, id: c.ID, ref: cl.SYN.First.Ref, link: cl.Link,
		client: x.clientHash, server: x.serverHash, port: x.pair.server.port,
	}
	switch {
	case failedDial(v):
		d.flags |= dialFailed
		if v.Cause == ConnectionRefused {
			d.flags |= dialRefused
		}
	case c.Established.Seen():
		d.flags |= dialWon
	}
	if c.V6 {
		d.flags |= dialV6
	}
	if loopback(&cl.Addr) {
		d.flags |= dialLoopback
	}
	// Only an end that the client did not choose makes it come back.
	if v.Class == Reset && v.By != ByClient || v.Class == TimedOut || v.Class == Graceful && v.By == ByServer {
		d.lost = c.Last.Time
	}
	l.add(d)
}

// loopback reports whether a is 127.0.0.0/8 or ::1.
func loopback(a *[16]byte) bool {
	return *a == [16]byte{15: 1} || *(*[13]byte)(a[:13]) == [13]byte{10: 0xff, 11: 0xff, 12: 127}
}

func (l *dialLog) add(d dialled) {
	if d.at < l.floor {
		l.missed++
		return
	}
	if len(l.list) == dialsKept {
		l.shed()
	}
	if len(l.list) == dialsKept/16 {
		l.list = slices.Grow(l.list, dialsKept-len(l.list)) // one of so many will be full
	}
	l.list = append(l.list, d)
}

func byTime(a, b dialled) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) }

// settle puts the list in order: what came since is sorted and merged.
func (l *dialLog) settle() {
	if slices.IsSortedFunc(l.list[max(l.sorted-1, 0):], byTime) {
		l.sorted = len(l.list)
		return
	}
	tail := slices.Clone(l.list[l.sorted:])
	slices.SortFunc(tail, byTime)
	i, out := l.sorted-1, len(l.list)-1
	for k := len(tail) - 1; k >= 0; out-- {
		if i >= 0 && byTime(l.list[i], tail[k]) > 0 {
			l.list[out] = l.list[i]
			i--
			continue
		}
		l.list[out] = tail[k]
		k--
	}
	l.sorted = len(l.list)
}

// shed retires the older half.
func (l *dialLog) shed() {
	l.settle()
	l.floor = l.list[dialsKept/2].at
	n := sort.Search(len(l.list), func(i int) bool { return l.list[i].at >= l.floor })
	if l.storms == nil {
		l.storms, l.eyes = storms{}, eyeballs{}
	}
	l.storms.join(stormsOf(l.list[:n]))
	l.eyes.join(eyeballsOf(l.list[:n]))
	// An end may still make a later dial a reconnect.
	kept := l.list[:0]
	for i := range l.list {
		d := l.list[i]
		if i < n {
			if d.lost < l.floor-stormLoss || len(kept) > dialsKept/4 {
				continue
			}
			d.flags |= dialCounted
		}
		kept = append(kept, d)
	}
	l.list, l.sorted = kept, len(kept)
}

func (l *dialLog) clone() dialLog {
	l.settle()
	c := *l
	c.list, c.storms, c.eyes = slices.Clone(l.list), maps.Clone(l.storms), maps.Clone(l.eyes)
	return c
}

// judge tells what all dials show, those shed included. The list is put in
// order, which changes nothing that anybody sees.
func (l *dialLog) judge() (storms, eyeballs) {
	l.settle()
	s, e := stormsOf(l.list), eyeballsOf(l.list)
	if s == nil {
		s = storms{}
	}
	s.join(l.storms)
	e.join(l.eyes)
	return s, e
}
