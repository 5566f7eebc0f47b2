package classify

import (
	"fmt"

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
)

// storms looks for many clients that come back to one server at once.
type storms struct {
	pairs   bounded[relation, int64] // when the client's latest connection ended
	servers bounded[endpoint, storm]
}

type storm struct {
	dials  uint64
	window []redial         // reconnects within stormWindow of the latest, the oldest first
	hosts  map[[16]byte]int // the clients in window, and how often each is there
	peak   wave
	waves  uint32
	lastAt int64
}

type redial struct {
	at     int64
	client [16]byte
}

type wave struct {
	group
	clientCount int
	dials       int
	at          int64
	span        int64
}

func newStorms() *storms {
	s := &storms{}
	s.pairs.max, s.servers.max = 1<<14, 1024
	return s
}

func (s *storms) add(x *subject) {
	c, v := x.c, x.v
	if !c.End(assembler.Client).SYN.Seen() {
		return
	}
	k := relationOf(c)
	known := s.pairs.find(k)
	again := known != nil && c.First.Time >= *known && c.First.Time-*known < stormLoss
	last := s.pairs.at(k)
	// Only an end that the client did not choose makes it come back.
	if v.Class == Reset && v.By != ByClient || v.Class == TimedOut || v.Class == Graceful && v.By == ByServer {
		*last = max(*last, c.Last.Time)
	}
	t := s.servers.at(k.server)
	t.dials++
	if again {
		t.redial(c)
	}
}

// stormDials bounds a wave: more reconnects at once make it no clearer.
const stormDials = 4096

// redial adds one reconnect to the wave under way.
func (t *storm) redial(c *assembler.Conn) {
	at := c.First.Time
	old := 0
	for old < len(t.window) && (at-t.window[old].at >= stormWindow || len(t.window)-old >= stormDials) {
		t.leave(t.window[old].client)
		old++
	}
	t.window = append(t.window[old:], redial{at, c.End(assembler.Client).Addr})
	if t.hosts == nil {
		t.hosts = make(map[[16]byte]int)
	}
	t.hosts[c.End(assembler.Client).Addr]++
	n := len(t.hosts)
	if n < stormClients {
		return
	}
	if at-t.lastAt > 2*stormWindow {
		t.waves++
	}
	t.lastAt = at
	if n > t.peak.clientCount {
		t.peak.clientCount, t.peak.dials = n, len(t.window)
		t.peak.at, t.peak.span = t.window[0].at, at-t.window[0].at
		t.peak.note(c, at, point{c.First, assembler.Client, saysSYN, 0})
	}
}

// leave takes one of a client's reconnects out of the wave.
func (t *storm) leave(client [16]byte) {
	if t.hosts[client]--; t.hosts[client] == 0 {
		delete(t.hosts, client)
	}
}

func (s *storms) finish(sc *scene) (list []Finding) {
	for i := range s.servers.items {
		t, server := &s.servers.items[i].val, s.servers.items[i].key
		w := &t.peak
		usual := float64(t.dials-uint64(w.dials)) * float64(stormWindow) / float64(sc.length())
		if w.clientCount < stormClients || float64(w.dials) < stormTimes*usual || sc.scans.flooded(server) {
			continue
		}
		f := w.finding(KindStorm, Serious, Likely)
		f.Total = uint64(w.dials)
		f.harm = float64(w.dials)
		f.First, f.Last = w.at, w.at+w.span
		f.at("server", server)
		f.number("clients in the largest wave", float64(w.clientCount), "")
		f.number("dials in it", float64(w.dials), "")
		f.seconds("within", w.span)
		f.number("waves", float64(t.waves), "")
		f.number("dials per second otherwise", usual, "/s")
		f.overflow(s.servers.dropped)
		f.Title = fmt.Sprintf("%d clients that had lost %s came back within %s of each other.", w.clientCount, server, dur(max(w.span, milli)))
		f.What = "Clients that lose their connections at the same moment and wait for the same time dial again at the same moment. " +
			"The server meets all of them at once, with all their handshakes, logins and caches to fill, often just after a restart; what it cannot take in time fails and comes back in step once more."
		f.Advice = "Spread the reconnects: multiply each delay by a random factor (0.5 + rand.Float64()/2), also the first one. On the server close old connections little by little at shutdown (http.Server.Shutdown after a drain period), and limit how many handshakes run at once."
		list = append(list, f)
	}
	return list
}
