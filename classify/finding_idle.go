package classify

import (
	"fmt"
	"strings"

	"hangup/assembler"
)

// KindIdleCut is a connection that somebody in between forgot while it was quiet.
const KindIdleCut = "idle-cut"

const (
	// idleCutMin is the least silence (ns) that is looked at: no middlebox
	// forgets an established connection sooner (RFC 5382 asks for two hours,
	// the shortest of the catalogue that cut without FIN are at 60 s).
	idleCutMin = 30 * second
	// idleCutPairs is how many deaths make a pattern.
	idleCutPairs = 2
	// idleContrary is the share of contrary cases that a threshold may have:
	// connections that lived through a longer silence, or died of a shorter.
	idleContrary = 0.1
)

// idleCuts compares, for each server endpoint, the silences that connections
// outlived with those they died of. Behind a timer the two do not overlap.
// It keeps idleCutsMax of them, of 4 kB.
type idleCuts struct {
	by table[endpoint, idleCut]
}

const idleCutsMax = 1 << 10

type idleCut struct {
	group
	died, lived      spread
	byRST, bySilence uint64
	fromClient       uint64 // the packet after the silence was the client's
	probed           uint64 // of the dead, those with keep-alives
	probePeriod      int64
	beaten           uint64 // of the dead, those with a heartbeat of the program's
	beatPeriod       int64
	oddHop           uint64 // RSTs whose hop count is not the endpoint's
	liveExample      example
	livedMost        int64
}

func newIdleCuts() *idleCuts {
	d := &idleCuts{}
	d.by.max = idleCutsMax
	return d
}

func (d *idleCuts) clone(*ledger) collector { return &idleCuts{d.by.clone(nil)} }

func (d *idleCuts) add(x *subject) {
	o := x.o
	if !o.Established.Seen() && o.Partial&assembler.NoStart == 0 || o.MaxIdle < second {
		return
	}
	g := d.by.at(&x.pair.server, x.serverHash)
	var idle int64
	var from assembler.Side
	dead := false
	if x.c != nil {
		idle, from, dead = fatalSilence(x.w, x.v)
	}
	switch {
	case dead && idle >= idleCutMin:
		g.cut(x, idle, from)
	case dead:
		g.died.add(idle)
	case livedOn(o):
		g.lived.add(o.MaxIdle)
		if o.MaxIdle > g.livedMost || o.MaxIdle == g.livedMost && o.ID < g.liveExample.id {
			g.livedMost = o.MaxIdle
			g.liveExample = example{id: o.ID, points: [3]point{{o.MaxIdleEnd, assembler.Client, saysSurvived, o.MaxIdle}}}
		}
	}
}

// livedOn reports whether both ends went on after the longest silence.
func livedOn(o *assembler.Outline) bool {
	cl, sv, end := &o.Ends[assembler.Client], &o.Ends[assembler.Server], o.MaxIdleEnd.Time
	return cl.Last.Time > end && sv.LastNewAck.Time >= end || sv.Last.Time > end && cl.LastNewAck.Time >= end
}

// fatalSilence is the silence (ns) before the packet that found the
// connection gone, and who sent that packet.
func fatalSilence(v *view, out *Verdict) (idle int64, from assembler.Side, ok bool) {
	switch out.Cause {
	case PeerLostState, InjectedReset, AbortiveClose, ResetByOwnHost, FinWait2Expired:
		r := v.rst
		if r == nil || !r.Answers.Seen() || out.Cause == AbortiveClose && !bare(r) {
			return 0, 0, false
		}
		e := v.receiver()
		for _, t := range []*assembler.Tries{&e.Data, &e.FIN, &e.Probe} {
			if t.Seen() && (t.First == r.Answers || t.Last == r.Answers) && out.Cause != FinWait2Expired {
				return t.Idle, r.Side.Peer(), true
			}
		}
		return 0, 0, false
	case RetransmissionTimeout, PeerVanished, FinTimeout:
		for _, what := range []func(*assembler.End) *assembler.Tries{dataOf, finOf} {
			if e, t := v.silent(what, 2); e != nil {
				return t.Idle, v.sideOf(e), true
			}
		}
	}
	return 0, 0, false
}

func (v *view) sideOf(e *assembler.End) assembler.Side {
	if e == v.cl {
		return assembler.Client
	}
	return assembler.Server
}

func (g *idleCut) cut(x *subject, idle int64, from assembler.Side) {
	v := x.w
	g.died.add(idle)
	e := v.c.End(from)
	if from == assembler.Client {
		g.fromClient++
	}
	if n := v.cl.KeepAlives + v.sv.KeepAlives; n > 0 {
		g.probed++
		g.probePeriod = max(g.probePeriod, v.cl.Probe.Idle, v.sv.Probe.Idle)
	}
	if b := max(v.cl.Beat.Period, v.sv.Beat.Period); b > 0 {
		g.beaten++
		g.beatPeriod = max(g.beatPeriod, b)
	}
	t := &e.Data
	if !t.Seen() || e.FIN.Pending() && !e.Data.Pending() {
		t = &e.FIN
	}
	first := point{t.First, from, saysAfterIdle, idle}
	if v.rst != nil {
		g.byRST++
		if oddTTL(v.c.End(v.rst.Side), v.rst) {
			g.oddHop++
		}
		g.note(x, v.rst.Time, first, point{v.rst.Stamp, v.rst.Side, saysBareRST, 0})
		return
	}
	g.bySilence++
	g.note(x, t.First.Time, first, point{t.Last, from, saysUnanswered, int64(t.Count)})
}

func (d *idleCuts) finish(s *scene) (list []Finding) {
	for i := range d.by.items {
		g := &d.by.items[i].val
		if low, high, ok := g.threshold(); ok && low == 0 && g.atOnce() {
			list = append(list, g.vanished(d.by.items[i].key))
		} else if ok {
			list = append(list, g.report(d.by.items[i].key, low, high, d.by.dropped))
		}
	}
	return list
}

// threshold looks for a silence that separates the dead from the living: low
// was outlived, high was not. ok is false if nothing separates them.
func (g *idleCut) threshold() (low, high int64, ok bool) {
	if g.n < idleCutPairs {
		return 0, 0, false
	}
	// Take each step of the histograms for the threshold in turn.
	best, at := -1.0, 0
	for i := octave(idleCutMin); i < len(g.died.n); i++ {
		dead, livedLonger := sum(g.died.n[i:]), sum(g.lived.n[i+1:])
		diedShorter := sum(g.died.n[:i])
		if dead < idleCutPairs || livedLonger > idleContrary*dead || diedShorter > idleContrary*(dead+diedShorter) {
			continue
		}
		if score := dead - livedLonger - diedShorter; score >= best {
			best, at = score, i
		}
	}
	if best < 0 {
		return 0, 0, false
	}
	low = 0
	for i := at; i >= 0 && low == 0; i-- {
		if g.lived.n[i] > 0 {
			low = min(edge(i+1), g.lived.max)
		}
	}
	for i := at; i < len(g.died.n); i++ {
		if g.died.n[i] > 0 {
			return low, max(min(edge(i), g.died.max), g.died.min), true
		}
	}
	return 0, 0, false
}

// vanished is how close together (ns) quiet connections lose their peer if its
// host went away: each finds out when it speaks next.
const vanished = 10 * second

// atOnce reports whether all fell silent at about one time, which is no timer's
// doing: a timer strikes each connection at a time of its own.
func (g *idleCut) atOnce() bool {
	return g.bySilence == g.n && g.last-g.first < vanished
}

// vanished says that a host went away while its connections were quiet.
func (g *idleCut) vanished(server endpoint) Finding {
	f := g.finding(KindSilentPeer, Serious, Likely)
	f.at("server", server)
	f.clients(&g.group)
	f.number("quiet connections that nothing answered any more", float64(g.n), "")
	f.seconds("shortest silence before", g.died.min)
	f.seconds("longest silence before", g.died.max)
	f.Title = fmt.Sprintf("%s stopped answering: %s got no answer when used again, all within %s.", server, plural(g.n, "quiet connection"), dur(max(g.last-g.first, milli)))
	f.What = "Packets went unanswered from one moment on, without FIN or RST: the host or its network went away, or something in between drops its packets. " +
		"The connections had been quiet for different times before, so that no idle timer is to blame."
	f.Advice = silentAdvice
	return f
}

func sum(n []uint32) (s float64) {
	for _, v := range n {
		s += float64(v)
	}
	return s
}

func (g *idleCut) report(server endpoint, low, high int64, dropped uint64) Finding {
	sev, conf := Serious, Likely
	if low == 0 || g.lived.total < 2 {
		conf = Possible
	}
	f := g.finding(KindIdleCut, sev, conf)
	f.at("server", server)
	f.clients(&g.group)
	f.number("connections cut after a silence", float64(g.n), "")
	f.number("found by a RST on the next packet", float64(g.byRST), "")
	f.number("found by no answer at all", float64(g.bySilence), "")
	if low > 0 {
		f.seconds("longest silence outlived", low)
	}
	f.seconds("shortest silence that was fatal", high)
	names := timersBetween(low, high)
	if g.probed > 0 {
		f.seconds("keep-alive period of those cut", g.probePeriod)
	}
	if g.beaten > 0 {
		f.seconds("heartbeat of those cut", g.beatPeriod)
	}
	f.overflow(dropped)
	if g.livedMost > 0 && low > 0 {
		f.prove(g.liveExample.id, &g.liveExample.points[0])
	}
	span := fmt.Sprintf("after at most %s", dur(high))
	if low > 0 {
		span = fmt.Sprintf("after %s to %s", dur(low), dur(high))
	}
	f.Title = fmt.Sprintf("Quiet connections to %s are cut %s of silence.", server, span)
	f.What = "They worked, were quiet, and the next packet found nobody: " + g.how() + " "
	if len(names) > 0 {
		f.What += "Timers that fit: " + strings.Join(names, "; ") + ". "
	}
	f.What += "That is how a NAT, firewall or load balancer ends connections that it has forgotten. No FIN told the programs before, so each finds out only by losing a request."
	f.Advice = idleAdvice(high)
	f.Alternatives = []string{"the server's host lost its sockets meanwhile (a restart while the connections were quiet)"}
	return f
}

func (g *idleCut) how() string {
	switch {
	case g.bySilence == 0 && g.oddHop > 0:
		return "a RST came back, from a hop that is not the server's."
	case g.bySilence == 0:
		return "a RST came back."
	case g.byRST == 0:
		return "no answer ever came."
	}
	return "a RST came back, or no answer at all."
}

func idleAdvice(cut int64) string {
	half := max(cut/2, second)
	return fmt.Sprintf("Send something more often than that: net.KeepAliveConfig{Enable: true, Idle: %[1]s, Interval: %[1]s / 3, Count: 3} in net.Dialer or net.ListenConfig "+
		"(TCP keep-alive does reset such timers; Go's default of 15 s would too, so look for who turned it off), gRPC: keepalive.ClientParameters{Time: %[1]s} with a matching EnforcementPolicy on the server. "+
		"Or close before it does: http.Transport.IdleConnTimeout, http.Server.IdleTimeout or a pool's maximal idle time below %s.", goDur(half), dur(cut))
}

// goDur writes a duration (ns) as Go source.
func goDur(ns int64) string { return fmt.Sprintf("%d * time.Second", max(1, ns/second)) }
