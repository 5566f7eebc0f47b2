package classify

import (
	"cmp"
	"fmt"
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

// stormsOf looks for waves in dials, which are in order.
func stormsOf(dials []dialled) storms {
	if !manyLose(dials) {
		return nil
	}
	lost := lossesOf(dials)
	again := map[uint64][]*dialled{} // reconnects by server
	for i := range dials {
		if d := &dials[i]; d.flags&dialCounted == 0 && lost.before(d) {
			again[d.server] = append(again[d.server], d)
		}
	}
	out := storms{}
	for server, list := range again {
		if s := waves(list); s.waves > 0 {
			out[server] = s
		}
	}
	return out
}

// manyLose reports whether enough clients lost connections for a wave of them.
func manyLose(dials []dialled) bool {
	type pair struct{ client, server uint64 }
	var known [stormClients]pair
	n := 0
	for i := range dials {
		if p := (pair{dials[i].client, dials[i].server}); dials[i].lost != 0 && !slices.Contains(known[:n], p) {
			known[n] = p
			if n++; n == stormClients {
				return true
			}
		}
	}
	return false
}

// lostBy are connections that clients lost, in the order of pair and time.
type lostBy struct {
	list  []lostAt
	pairs [1 << 10]uint64 // a bitmap of those in list
}

type lostAt struct {
	pair uint64
	at   int64
}

func (l lostAt) compare(o lostAt) int {
	return cmp.Or(cmp.Compare(l.pair, o.pair), cmp.Compare(l.at, o.at))
}

func lossesOf(dials []dialled) *lostBy {
	n := 0
	for i := range dials {
		n += b2i(dials[i].lost != 0)
	}
	l := &lostBy{list: make([]lostAt, 0, n)}
	twice := repeated(dials)
	for i := range dials {
		if d := &dials[i]; d.lost != 0 {
			k := relationHash(d.client, d.server)
			if twice[k>>6%repeatWords]&(1<<(k%64)) == 0 {
				continue
			}
			l.list = append(l.list, lostAt{k, d.lost})
			l.pairs[k>>6%1024] |= 1 << (k % 64)
		}
	}
	slices.SortFunc(l.list, lostAt.compare)
	return l
}

// repeatWords is the size of the bitmaps that tell pairs of one dial, which
// are most in a scan: those cannot have come back.
const repeatWords = 1 << 14

// repeated is a bitmap of the pairs with several dials, and of few others.
func repeated(dials []dialled) []uint64 {
	once, twice := make([]uint64, repeatWords), make([]uint64, repeatWords)
	for i := range dials {
		k := relationHash(dials[i].client, dials[i].server)
		w, bit := k>>6%repeatWords, uint64(1)<<(k%64)
		twice[w] |= once[w] & bit
		once[w] |= bit
	}
	return twice
}

// before reports whether the client of d had lost a connection to the same
// server a short while before.
func (l *lostBy) before(d *dialled) bool {
	k := relationHash(d.client, d.server)
	if l.pairs[k>>6%1024]&(1<<(k%64)) == 0 {
		return false
	}
	i, _ := slices.BinarySearchFunc(l.list, lostAt{k, d.at}, lostAt.compare)
	return i > 0 && l.list[i-1].pair == k && d.at-l.list[i-1].at < stormLoss
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
