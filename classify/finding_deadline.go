package classify

import (
	"math"

	"hangup/assembler"
)

// Kinds of findings about timers of programs.
const (
	KindRequestTimeout = "request-timeout"
	KindIdleTimeout    = "idle-timeout"
	KindMaxLifetime    = "max-lifetime"
)

const (
	// deadlineMin is how many closes at the same round number make a timer.
	deadlineMin = 3
	// deadlineSlack and deadlineShare are how far behind the round number a
	// close may come: Go's timers fire within a millisecond, goroutines and
	// packets take some; servers that sweep their lists are later, up to a
	// percent or so.
	deadlineSlack = 60 * milli
	deadlineShare = 0.004
	// deadlineEarly: timers start when the program has written, a moment
	// before the capture sees the packet.
	deadlineEarly = 5 * milli
	// alertBefore is how long (ns) before its FIN a TLS end sends its
	// close_notify (RFC 8446 6.1): both come from one call of Close.
	alertBefore = 50 * milli
	// deadlineRatio is how many more closes than chance must hit the number.
	deadlineRatio = 8
)

// clock is from when to when a duration is measured.
type clock uint8

const (
	sinceRequest clock = iota // the closer's own request, not answered
	sincePeer                 // the peer's request, not answered by the closer
	sinceQuiet                // the last byte, nothing outstanding
	sinceStart                // the connection's start
	numClocks
)

// timerKey is whose closes are looked at: one side of a server endpoint.
type timerKey struct {
	server endpoint
	side   assembler.Side
}

// deadlines looks for closes at round numbers of seconds. It keeps
// deadlinesMax keys, of 1 kB for each clock, and another for each number that
// was hit.
type deadlines struct {
	by table[timerKey, timers]
}

const deadlinesMax = 1 << 9

// timers are by clock, nil where nothing was measured.
type timers [numClocks]*timerUse

// timerUse keeps the closes of one key: how long each had waited by a clock,
// and which of them were near a round number.
type timerUse struct {
	all   spread
	round [len(roundSeconds)]*timerHit // nil where none was near
}

type timerHit struct {
	group
	resets   uint64
	late     uint64 // answers that came after all
	lateMin  int64
	mute     uint64 // the side that should have answered never said a word, in a protocol we do not know
	deviates int64  // sum of deviations, ns
}

// roundSeconds are the numbers that people write into configurations: any
// number of seconds up to a minute, beyond that round ones.
var roundSeconds = [...]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
	31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 65, 70, 75, 80, 90, 100, 110, 120,
	150, 180, 240, 300, 350, 360, 400, 420, 480, 500, 540, 600, 900, 1200, 1800, 3600, 7200}

func newDeadlines() *deadlines {
	d := &deadlines{}
	d.by.max = deadlinesMax
	return d
}

func (d *deadlines) clone(*ledger) collector {
	return &deadlines{d.by.clone(func(t *timers) {
		for i, u := range t {
			if u != nil {
				t[i] = u.clone()
			}
		}
	})}
}

func (u *timerUse) clone() *timerUse {
	own := *u
	for i, h := range u.round {
		if h != nil {
			hit := *h
			own.round[i] = &hit
		}
	}
	return &own
}

func (d *deadlines) add(x *subject) {
	side, at, reset, ok := x.firstClose()
	if !ok || x.v.Cause == KeepaliveTimeout { // that is the kernel's timer, not the program's
		return
	}
	t := d.by.at(&timerKey{x.pair.server, side}, mix(x.serverHash+uint64(side)+1))
	if last, kind, ok := lastBefore(x.o, side, at); ok {
		t.count(x, side, kind, at, at.Time-last, reset)
	}
	if x.dials && !oneShot(x.o, at.Time) {
		t.count(x, side, sinceStart, at, at.Time-x.o.First.Time, reset)
	}
}

// firstClose is the side that ended the connection by its own will, and when.
func (x *subject) firstClose() (s assembler.Side, at assembler.Stamp, reset, ok bool) {
	if x.c != nil && !x.w.established() {
		return 0, at, false, false
	}
	s, ok = x.closer()
	if ok {
		at = x.o.Ends[s].FIN
	}
	if x.c == nil || x.w.rst == nil {
		return s, at, false, ok
	}
	if r := x.w.rst; !bare(r) && live(x.c, r) && (!ok || r.Time < at.Time) && x.v.Cause != InjectedReset {
		return r.Side, r.Stamp, true, true
	}
	return s, at, false, ok
}

// lastBefore is the last payload before one side's close, and what it was
// waiting for then.
func lastBefore(o *assembler.Outline, side assembler.Side, at assembler.Stamp) (last int64, kind clock, ok bool) {
	e := &o.Ends[side]
	mine, theirs := e.LastData.Time, o.Ends[side.Peer()].LastData.Time
	alert := at.Time-mine < alertBefore && e.Beat.Gap > 0 && e.App.Protocol() == assembler.AppTLS
	if alert {
		mine -= e.Beat.Gap // the alert that says goodbye is part of the close
	}
	if theirs > at.Time {
		// The peer spoke on after the close: its last word before is not
		// kept, but the silence before the FIN is.
		if !e.FIN.Seen() || e.FINIdle <= 0 && !alert || mine == 0 {
			return 0, 0, false
		}
		theirs = 0
	}
	asked := assembler.Server // see view.asked
	if o.Ends[assembler.Client].LastData.Seen() {
		asked = assembler.Client
	}
	switch {
	case mine == 0 && theirs == 0:
		return 0, 0, false
	case mine > theirs && asked == side:
		return mine, sinceRequest, true
	case mine < theirs && asked != side:
		return theirs, sincePeer, true
	}
	return max(mine, theirs), sinceQuiet, true
}

func (t *timers) count(x *subject, side assembler.Side, by clock, at assembler.Stamp, waited int64, reset bool) {
	if waited < second/2 {
		return
	}
	u := t[by]
	if u == nil {
		u = new(timerUse)
		t[by] = u
	}
	u.all.add(waited)
	i := nearRound(waited)
	if i < 0 {
		return
	}
	h := u.round[i]
	if h == nil {
		h = new(timerHit)
		u.round[i] = h
	}
	e, o := &x.o.Ends[side], &x.o.Ends[side.Peer()]
	if by == sinceRequest && !o.LastData.Seen() && e.App.Protocol() == assembler.AppOther {
		h.mute++
	}
	h.deviates += waited - roundSeconds[i]*second
	p := point{at, side, saysFINIdle, waited}
	if reset {
		h.resets++
		p.says = saysRSTIdle
	}
	if by == sinceStart {
		p.says = saysFINAge
	}
	points := []point{{e.LastData, side, saysRequest, 0}, p}
	if by != sinceRequest {
		points = points[1:]
	} else if a, ok := lateAnswer(x, side, at); ok {
		h.late++
		if h.lateMin == 0 || a.n < h.lateMin {
			h.lateMin = a.n
		}
		points = append(points, a)
	}
	h.note(x, at.Time, points...)
}

// lateAnswer is the answer that came after the asker had closed.
func lateAnswer(x *subject, side assembler.Side, at assembler.Stamp) (point, bool) {
	if x.c == nil {
		return point{}, false
	}
	o := x.c.End(side.Peer())
	if o.LateData.Seen() && o.LateData.First.Time > at.Time {
		return point{o.LateData.First, side.Peer(), saysAnswerLate, o.LateData.First.Time - at.Time}, true
	}
	if o.LastData.Time > at.Time {
		return point{o.LastData, side.Peer(), saysAnswerLate, o.LastData.Time - at.Time}, true
	}
	return point{}, false
}

// nearRound is the index of the round number that d lies just behind, -1 if none.
func nearRound(d int64) int {
	i := len(roundSeconds) - 1
	if s := (d + deadlineEarly) / second; s < int64(len(roundBelow)) {
		i = int(roundBelow[s])
	}
	for i >= 0 && roundSeconds[i]*second > d+deadlineEarly {
		i--
	}
	if i >= 0 && d <= roundSeconds[i]*second+roundSlack(roundSeconds[i]*second) {
		return i
	}
	return -1
}

// roundBelow is, for each of the seconds that most waits take, the index of
// the largest round number that is no more; -1 if there is none.
var roundBelow = func() (list [128]int8) {
	for s := range list {
		list[s] = -1
		for i, r := range roundSeconds {
			if r <= int64(s) {
				list[s] = int8(i)
			}
		}
	}
	return list
}()

func roundSlack(r int64) int64 { return deadlineSlack + int64(deadlineShare*float64(r)) }

func (d *deadlines) finish(s *scene) (list []Finding) {
	for i := range d.by.items {
		t, k := &d.by.items[i].val, d.by.items[i].key
		for by, u := range t {
			for j := range roundSeconds {
				if u.clusters(j) && !t.explain(clock(by), j) && !((clock(by) == sinceStart || odd(j)) && u.round[j].together(j)) {
					list = append(list, u.report(k, clock(by), j, d.by.dropped))
				}
			}
		}
	}
	return list
}

// together reports whether the closes came at one moment: connections that began
// at one moment too (a test, a job) have the same age then for another reason.
func (h *timerHit) together(j int) bool {
	return h.last-h.first < min(roundSeconds[j]*second/4, 10*second)
}

// odd reports whether few people would choose the j-th number: what shows it may
// as well be one moment at which much happened.
func odd(j int) bool { r := roundSeconds[j]; return r > 10 && r%5 != 0 && r != 12 }

// clusters reports whether more closes come at the j-th round number than
// their neighbourhood, from half of it to double, lets expect by chance.
func (u *timerUse) clusters(j int) bool {
	if u == nil || u.round[j] == nil || u.round[j].n < deadlineMin {
		return false
	}
	h := u.round[j]
	r := roundSeconds[j] * second
	near := sum(u.all.n[octave(r/2):min(255, octave(2*r)+1)])
	window := float64(roundSlack(r)+deadlineEarly) / (1.5 * float64(r))
	expected := near * window
	return float64(h.n) >= deadlineRatio*expected && tail(float64(h.n), expected) < 1e-6
}

// tail bounds the chance of n or more where expected are expected, by
// Chernoff's inequality for Poisson's law.
func tail(n, expected float64) float64 {
	if n <= expected {
		return 1
	}
	return math.Exp(n - expected - n*math.Log(n/max(expected, 1e-9)))
}

// explain reports whether another clock of the same side shows at least as
// many hits at some number: an idle timer also makes ages cluster when
// connections are used once, at the same moment after their start.
func (t *timers) explain(by clock, j int) bool {
	n := t[by].round[j].n
	for c, o := range t {
		if clock(c) == by || o == nil {
			continue
		}
		for i := range o.round {
			if !o.clusters(i) {
				continue
			}
			if m := o.round[i].n; (m > n || m == n && clock(c) < by) && 2*m >= n && by == sinceStart {
				return true
			}
		}
	}
	return false
}
