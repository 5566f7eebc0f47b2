package classify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hangup/assembler"
	"hangup/capture"
)

// KindBurst is many abnormal ends at once.
const KindBurst = "burst"

const (
	// burstMin is how many ends make a burst. Fewer than burstMany must have
	// been one server's, and no client's choice: a program or a browser often
	// drops a handful of its connections at once.
	burstMin  = 5
	burstMany = 8
	// burstWindow is how close together (ns) they lie: a dying process or
	// host takes all its connections within it.
	burstWindow = second
	// burstTimes is how many times the usual number must occur within the window.
	burstTimes = 5
	// burstAround is how many windows before and behind it are looked at too.
	burstAround = 30
	// burstChance is how improbable the number must be by chance: the window
	// slides over a capture that may hold a million places for it.
	burstChance = 1e-12
	// burstKept is how many abnormal ends are kept, the latest; when there
	// are more, bursts in the older half are told at once, and it goes.
	burstKept = 1 << 15
	burstsMax = 5 // that are reported
	// shared is the share of a burst that must have something in common.
	shared = 0.9
)

// bursts keeps when established connections ended badly: burstKept of them,
// of 64 bytes, and burstsMax bursts among those before.
type bursts struct {
	ends  []badEnd
	floor int64 // older ones are not taken any more
	past  []burst
	older uint64 // ends before the floor
}

type badEnd struct {
	assembler.Stamp // when, and the packet that shows it
	id              uint64
	client          [16]byte
	server          endpoint
	cause           Cause
	by              Party
	side            assembler.Side
}

// silent reports whether one end stopped answering.
func (e *badEnd) silent() bool {
	return e.cause == RetransmissionTimeout || e.cause == PeerVanished || e.cause == KeepaliveTimeout
}

// burst is ends close together, and how many there were per second otherwise.
type burst struct {
	ends  []badEnd
	usual float64
}

func newBursts() *bursts { return new(bursts) }

func (b *bursts) clone(*ledger) collector {
	c := *b
	c.ends, c.past = slices.Clone(b.ends), slices.Clone(b.past)
	return &c
}

func (b *bursts) add(x *subject) {
	c, v := x.c, x.v
	if v.Class != Reset && v.Class != TimedOut && v.Cause != PeerVanished {
		return
	}
	w := x.w
	if !w.established() || v.Cause == FinWait2Expired || c.Ends[0].Bytes+c.Ends[1].Bytes == 0 {
		return
	}
	if v.Cause == AbortiveClose && v.By == ByClient && answeredAll(x) {
		return // the client did not want it any more, and nobody lost anything
	}
	e := badEnd{id: c.ID, client: w.cl.Addr, server: endpointOf(w.sv), cause: v.Cause, by: v.By}
	if first, ok := w.firstFIN(); ok && v.Cause == WriteAfterClose {
		e.by = BySide(first) // who closed while the other one had more to say
	}
	switch {
	case w.rst != nil && v.Cause != KeepaliveTimeout:
		e.Stamp, e.side = w.rst.Stamp, w.rst.Side
	default:
		// What fell silent did so after its last packet.
		q, t := w.silent(dataOf, 1)
		if q == nil {
			q, t = w.silent(probeOf, 1)
		}
		if q == nil {
			return
		}
		e.Stamp, e.side = t.First, w.sideOf(q)
	}
	b.keep(e, x.env.End)
}

// answeredAll reports whether the server had the last word, and the client's
// kernel had acknowledged it, when the client reset the connection.
func answeredAll(x *subject) bool {
	cl, sv, r := x.w.cl, x.w.sv, x.w.rst
	return r != nil && r.Unacked == 0 && r.AckBehind == 0 && sv.LastData.Seen() && sv.LastData.Time >= cl.LastData.Time && cl.LastNewAck.Time >= sv.LastData.Time
}

func (b *bursts) keep(e badEnd, now int64) {
	if e.Time < b.floor {
		b.older++
		return
	}
	if len(b.ends) == burstKept {
		slices.SortFunc(b.ends, byEnd)
		half := b.ends[:burstKept/2]
		span := max(half[len(half)-1].Time-half[0].Time, 1)
		b.past = mostBursts(append(b.past, burstsIn(slices.Clone(half), span)...))
		b.floor = b.ends[burstKept/2].Time
		b.older += burstKept / 2
		b.ends = append(b.ends[:0], b.ends[burstKept/2:]...)
	}
	b.ends = append(b.ends, e)
}

func byEnd(x, y badEnd) int { return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(x.id, y.id)) }

// mostBursts are the burstsMax largest.
func mostBursts(list []burst) []burst {
	slices.SortStableFunc(list, func(a, b burst) int { return cmp.Compare(len(b.ends), len(a.ends)) })
	return list[:min(len(list), burstsMax)]
}

func (b *bursts) finish(s *scene) (list []Finding) {
	ends := slices.Clone(b.ends)
	slices.SortFunc(ends, byEnd)
	ends = slices.DeleteFunc(ends, func(e badEnd) bool { return s.scans.scanner(e.client) })
	span := s.length()
	if b.older > 0 && len(ends) > 0 {
		span = max(s.env.End-b.floor, 1)
	}
	for _, x := range mostBursts(append(slices.Clone(b.past), burstsIn(ends, span)...)) {
		list = append(list, x.report())
	}
	return list
}

// burstsIn finds bursts among ends, which are in order, in so many ns.
func burstsIn(ends []badEnd, span int64) (list []burst) {
	window := min(burstWindow, span/20)
	for len(list) < burstsMax {
		i, j := densest(ends, window)
		if j-i < burstMin {
			break
		}
		usual := float64(len(ends)-(j-i)) * float64(window) / float64(span)
		usual = max(usual, around(ends, i, j, window))
		if j-i < burstMany && !oneServers(ends[i:j]) {
			break
		}
		if n := float64(j - i); n < burstTimes*usual || tail(n, usual) > burstChance {
			break
		}
		// The burst goes on as long as the next one follows sooner than the
		// usual ones do.
		near := window / 2
		if usual > 0 {
			near = min(near, int64(float64(window)/(burstTimes*usual)))
		}
		for i > 0 && ends[i].Time-ends[i-1].Time < near {
			i--
		}
		for j < len(ends) && ends[j].Time-ends[j-1].Time < near {
			j++
		}
		rest := max(span-(ends[j-1].Time-ends[i].Time), 1)
		list = append(list, burst{slices.Clone(ends[i:j]), float64(len(ends)-(j-i)) * float64(second) / float64(rest)})
		ends = slices.Delete(ends, i, j)
	}
	return list
}

// oneServers reports whether all ends are of one server, and none was a
// client's choice.
func oneServers(ends []badEnd) bool {
	return !slices.ContainsFunc(ends, func(e badEnd) bool { return e.server != ends[0].server || e.by == ByClient })
}

// around is how many ends occur per window in the time around ends[i:j]. A
// capture may hold quiet hours besides the busy ones, whose steady share of
// bad ends is no burst.
func around(ends []badEnd, i, j int, window int64) float64 {
	from, to := ends[i].Time-burstAround*window, ends[j-1].Time+burstAround*window
	k := i
	for k > 0 && ends[k-1].Time >= from {
		k--
	}
	n := j
	for n < len(ends) && ends[n].Time <= to {
		n++
	}
	return float64(i-k+n-j) / (2 * burstAround)
}

// densest is the span of ends [i, j) that holds most within the window.
func densest(ends []badEnd, window int64) (i, j int) {
	k := 0
	for n := range ends {
		for ends[n].Time-ends[k].Time > window {
			k++
		}
		if n+1-k > j-i {
			i, j = k, n+1
		}
	}
	return i, j
}

// most is the commonest key among the ends and its share.
func most[K comparable](ends []badEnd, key func(*badEnd) K) (best K, share float64) {
	n := map[K]int{}
	for i := range ends {
		n[key(&ends[i])]++
	}
	top := 0
	for i := range ends { // in their order, so that the first of equals is told
		if k := key(&ends[i]); n[k] > top {
			best, top = k, n[k]
		}
	}
	return best, float64(top) / float64(len(ends))
}

func (b *burst) report() Finding {
	ends := b.ends
	f := Finding{Kind: KindBurst, Severity: Serious, Confidence: Likely, Total: uint64(len(ends)),
		First: ends[0].Time, Last: ends[len(ends)-1].Time, harm: float64(len(ends)), burst: b}
	for i := range min(len(ends), maxExamples) {
		e := &ends[i]
		f.Connections = append(f.Connections, e.id)
		f.proves(e.id, Evidence{Stamp: e.Stamp, Side: e.side, What: e.cause.String()})
	}
	var common []string
	server, sameServer := most(ends, func(e *badEnd) endpoint { return e.server })
	host, sameHost := most(ends, func(e *badEnd) [16]byte { return e.server.addr })
	port, samePort := most(ends, func(e *badEnd) uint16 { return e.server.port })
	client, sameClient := most(ends, func(e *badEnd) [16]byte { return e.client })
	cause, sameCause := most(ends, func(e *badEnd) Cause { return e.cause })
	by, sameBy := most(ends, func(e *badEnd) Party { return e.by })
	switch {
	case sameServer >= shared:
		common = append(common, "server "+server.String())
		f.at("server", server)
	case sameHost >= shared:
		common = append(common, "server host "+capture.Addr(host).String())
		f.at("server", endpoint{addr: host})
	case samePort >= shared:
		common = append(common, fmt.Sprintf("server port %d on several hosts", port))
	}
	if sameClient >= shared {
		common = append(common, "client "+capture.Addr(client).String())
		f.at("client", endpoint{addr: client})
	}
	if sameCause >= shared {
		common = append(common, "cause "+cause.String())
	}
	if sameBy >= shared && by == ByClient && sameClient >= shared || len(ends) < burstMany {
		f.Severity = Warning // its own choice, or its own end; or few
	}
	f.number("connections that ended", float64(f.Total), "")
	f.seconds("within", f.Last-f.First)
	f.number("abnormal ends per second otherwise", b.usual, "/s")
	f.Title = fmt.Sprintf("%d connections ended badly within %s", f.Total, dur(max(f.Last-f.First, milli)))
	if len(common) == 0 {
		f.Title += ", with no host, port or cause in common."
	} else {
		f.Title += "; in common: " + strings.Join(common, ", ") + "."
	}
	silent := 0
	for i := range ends {
		silent += b2i(ends[i].silent())
	}
	f.What = "So many connections do not end badly in the same moment by chance. " + event(by, sameBy >= shared, float64(silent) >= shared*float64(len(ends)), sameServer >= shared || sameHost >= shared, sameClient >= shared)
	f.Advice = "Compare the time with deployments, restarts, failovers and network changes. For planned stops drain first: fail the readiness check, wait until no new connections come, then http.Server.Shutdown or grpc.Server.GracefulStop with a deadline below the orchestrator's kill."
	return f
}

// event guesses what happened from what the ends have in common.
func event(by Party, sameBy, silent, oneServer, oneClient bool) string {
	switch {
	case silent && oneServer:
		return "All fell silent at once: the server's host or the network to it went away (power, failover, a firewall's new rule)."
	case silent:
		return "All fell silent at once, at several servers: the network was cut."
	case oneServer && sameBy && by == ByServer:
		return "One server ended all of them: its process was stopped, crashed or restarted without draining, or a load balancer removed it."
	case sameBy && by == ByClient && oneClient:
		return "One client ended all of them: its process stopped, or a deadline cancelled all its requests together."
	case sameBy && by == ByMiddlebox:
		return "A device in between ended all of them: its rules were reloaded, or it failed over without its table."
	}
	return "Look for what happened in that second: a deployment, a restart, a failover, a rule that was loaded."
}
