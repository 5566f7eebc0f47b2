package classify

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"hangup/assembler"
)

const (
	// stormWindow is how close together (ns) dials count as one wave: the
	// jitter of networks and schedulers is far below it, that of a back-off
	// with jitter far above.
	stormWindow = second
	// stormClients is from how many client hosts on it is a storm.
	stormClients = 8
	// stormLoss is how recently (ns) a client's connection must have ended
	// for its dial to be a reconnect: longer than usual back-offs' first steps.
	stormLoss = 60 * second
	// stormShare is which share of the clients that come back within
	// stormAround of a wave must be in it: clients that come when they have a
	// request, or with enough jitter, spread over more time than that.
	stormShare  = 0.5
	stormAround = 10 * second
	// stormGrave is from how many clients on a wave is more than most servers
	// take without noticing.
	stormGrave = 100
	// stormTimes is how far above the usual rate a wave must be.
	stormTimes = 10
	// stormsMax is how many servers' waves of dials long past are remembered.
	stormsMax = 256
)

// storms are waves of many clients that come back to one server at once.
type storms map[uint64]storm // by server, as a hash

type storm struct {
	peak  wave
	waves uint32
}

type wave struct {
	clients, dials int
	first, last    int64
	shown          [maxExamples]dialled
}

// stormsOf looks for waves among the dials before a time.
func stormsOf(dials []dialled, until int64) storms {
	crowded := crowdedServers(dials)
	if crowded == nil {
		return nil
	}
	var back, lost []*dialled
	for i := range dials {
		d := &dials[i]
		if !crowded.has(d.server) {
			continue
		}
		if d.at != retired && d.at < until {
			back = append(back, d)
		}
		if d.lost != 0 {
			lost = append(lost, d)
		}
	}
	slices.SortFunc(back, byTime)
	slices.SortFunc(lost, func(a, b *dialled) int { return cmp.Compare(a.lost, b.lost) })
	out := storms{}
	for server, list := range reconnectsOf(back, lost) {
		if s := waves(list); s.waves > 0 && float64(s.peak.clients) >= stormShare*float64(s.peak.around(list)) {
			out[server] = s
		}
	}
	return out
}

// serverBits is a word of bits for each of many servers, by their hashes; few
// share one.
type serverBits [1 << 12]uint64

func (b *serverBits) at(server uint64) *uint64 { return &b[server%uint64(len(b))] }

// has reports whether any bit of the server's is set.
func (b *serverBits) has(server uint64) bool { return *b.at(server) != 0 }

// crowdedServers are those of which so many clients lost connections that all
// of them could be a wave, and a few others; nil if there is none. A client is
// one of 64 bits: stormClients of them set three or less once in a million.
func crowdedServers(dials []dialled) *serverBits {
	b := new(serverBits)
	for i := range dials {
		if d := &dials[i]; d.lost != 0 {
			*b.at(d.server) |= 1 << (d.client % 64)
		}
	}
	some := false
	for i := range b {
		if bits.OnesCount64(b[i]) < 4 {
			b[i] = 0
		}
		some = some || b[i] != 0
	}
	if !some {
		return nil
	}
	return b
}

// reconnectsOf are the dials, by server and in the order of time, of which the
// client had lost a connection to the same server a short while before. Both
// lists are in order.
func reconnectsOf(dials, lost []*dialled) map[uint64][]*dialled {
	latest := make(map[uint64]int64) // when a pair lost a connection
	again := map[uint64][]*dialled{}
	for _, d := range dials {
		for ; len(lost) > 0 && lost[0].lost < d.at; lost = lost[1:] {
			latest[lost[0].pair()] = lost[0].lost
		}
		if t, ok := latest[d.pair()]; ok && d.at-t < stormLoss {
			again[d.server] = append(again[d.server], d)
		}
	}
	return again
}

// waves finds the windows in which most clients came back.
func waves(list []*dialled) (s storm) {
	hosts := map[uint64]int{}
	start, lastAt := 0, int64(0)
	for i := range list {
		d := list[i]
		for d.at-list[start].at >= stormWindow {
			k := list[start].client
			if hosts[k]--; hosts[k] == 0 {
				delete(hosts, k)
			}
			start++
		}
		hosts[d.client]++
		n := len(hosts)
		if n < stormClients {
			continue
		}
		if s.waves == 0 || d.at-lastAt > 2*stormWindow {
			s.waves++
		}
		lastAt = d.at
		if n > s.peak.clients {
			s.peak = wave{clients: n, dials: i + 1 - start, first: list[start].at, last: d.at}
			for k, o := range list[start:min(i+1, start+len(s.peak.shown))] {
				s.peak.shown[k] = *o
			}
		}
	}
	return s
}

// around is how many clients come back about the time of the wave.
func (w *wave) around(list []*dialled) int {
	hosts := map[uint64]bool{}
	for _, d := range list {
		if d.at >= w.first-stormAround && d.at <= w.last+stormAround {
			hosts[d.client] = true
		}
	}
	return len(hosts)
}

// join adds what was seen at another time.
func (s storms) join(o storms) {
	for k, b := range o {
		a, known := s[k]
		if !known && len(s) >= stormsMax {
			continue
		}
		if b.peak.clients > a.peak.clients {
			a.peak = b.peak
		}
		a.waves += b.waves
		s[k] = a
	}
}

func (s storms) findings(sc *scene) (list []Finding) {
	for i := range sc.ledger.servers.items {
		it := &sc.ledger.servers.items[i]
		t, ok := s[it.hash]
		if !ok {
			continue
		}
		w, server := &t.peak, it.key
		usual := float64(it.val.dials-min(it.val.dials, uint32(w.dials))) * float64(stormWindow) / float64(sc.length())
		if float64(w.dials) < stormTimes*usual || sc.scans.flooded(server) {
			continue
		}
		list = append(list, w.report(server, t.waves, usual))
	}
	return list
}

func (w *wave) report(server endpoint, waves uint32, usual float64) Finding {
	f := Finding{Kind: KindStorm, Severity: Serious, Confidence: Likely, Total: uint64(w.dials), First: w.first, Last: w.last, harm: float64(w.dials)}
	if w.clients < stormGrave {
		f.Severity = Warning
	}
	for i := range min(w.dials, maxExamples) {
		d := &w.shown[i]
		f.example(&example{id: d.id, points: [3]point{{d.stamp(), assembler.Client, saysSYN, 0}}})
	}
	span := w.last - w.first
	f.at("server", server)
	f.number("clients in the largest wave", float64(w.clients), "")
	f.number("dials in it", float64(w.dials), "")
	f.seconds("within", span)
	f.number("waves", float64(waves), "")
	f.number("dials per second otherwise", usual, "/s")
	f.Title = fmt.Sprintf("%d clients that had lost %s came back within %s of each other.", w.clients, server, dur(max(span, milli)))
	f.What = "Clients that lose their connections at the same moment and wait for the same time dial again at the same moment. " +
		"The server meets all of them at once, with all their handshakes, logins and caches to fill, often just after a restart; what it cannot take in time fails and comes back in step once more."
	f.Advice = "Spread the reconnects: multiply each delay by a random factor (0.5 + rand.Float64()/2), also the first one. On the server close old connections little by little at shutdown (http.Server.Shutdown after a drain period), and limit how many handshakes run at once."
	return f
}
