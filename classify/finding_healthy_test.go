package classify_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// script is a story being written: what connections do, each at its time.
type script struct {
	conns  strings.Builder
	events []event
	n      int
}

type event struct {
	at   float64 // s
	text string
}

// conn is a connection of a client host to a server, both "address:port" or,
// for the client, an address whose ports are counted.
func (s *script) conn(client, server string) string {
	s.n++
	name := fmt.Sprint("c", s.n)
	fmt.Fprintf(&s.conns, "conn %s client %s:%d server %s\n", name, client, 30000+s.n, server)
	return name
}

// at says what happens at a time (s): lines of the story, in which % is the
// connection's name.
func (s *script) at(at float64, conn string, lines ...string) {
	s.events = append(s.events, event{at, strings.ReplaceAll(strings.Join(lines, "\n"), "%", conn)})
}

// String is the story; what would happen at the same time comes 3 ms later.
func (s *script) String() string {
	slices.SortStableFunc(s.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "rtt 0.0002\n%s", s.conns.String())
	last := -1.0
	for _, e := range s.events {
		last = max(e.at, last+0.003)
		fmt.Fprintf(&b, "%.6f %s\n", last, e.text)
	}
	return b.String() + "+90 other\n"
}

const oneServer = "192.0.2.200:8080"

func hostNo(i int) string { return fmt.Sprintf("192.0.2.%d", 1+i) }

// healthyStories look like faults that many connections show, and are none,
// or less than they look.
func healthyStories() []madeStory {
	return []madeStory{
		{"reconnect-storm-timetable", timetable(), "none"},
		{"reconnect-storm-on-demand", onDemand(), "none"},
		{"reconnect-loop-half-open-checks", checks(1, 60, 0.5, "> S", "% < S.", "% > stateless"), "none"},
		{"reconnect-loop-steady-checks", checks(1, 80, 2, "> S", "% < stateless"), "server-down+reconnects warning"},
		{"scan-health-checks", checks(25, 4, 10, "handshake", "% close by client"), "none"},
		{"scan-empty", checks(25, 1, 10, "handshake", "% close by client"), "scan info"},
		{"max-lifetime-one-test", oneTest(), "none"},
		{"max-lifetime-slow-work", slowWork(), "none"},
		{"burst-answered", stop("> R."), "none"},
		{"burst-one-client", stop("> P. len=100", "% > F.", "% < P. len=100", "% > stateless"), "burst warning"},
		{"ignored-eof-goodbye", goodbyes(), "none"},
		{"silent-peer-while-quiet", vanish(), "silent-peer serious"},
		{"idle-timeout-odd-number", idle(13), "idle-timeout info"},
		{"idle-timeout-one-moment", stop("> R."), "none"},
		{"burst-small", few("192.0.2.200:8080", "% < R."), "burst warning"},
		{"burst-of-a-browser", few("192.0.2.200:8080", "% > P. len=50", "% > F.", "% < P. len=50", "% > stateless"), "none"},
		{"server-down-flapping", flaps(), "server-down serious"},
		{"server-down-moment", moment(), "server-down warning"},
		{"heartbeats-scrapes", beats(5, 20_000), "none"},
		{"heartbeats-many-servers", beats(5, 60), "heartbeats info"},
	}
}

// timetable is clients that come together every ten seconds, each with one
// question; the server closes behind its answer.
func timetable() string {
	s := new(script)
	for round := range 8 {
		for i := range 20 {
			s.at(float64(10*round)+0.01*float64(i), s.conn(hostNo(i), oneServer), "% handshake", "% exchange 100 200", "% close by server")
		}
	}
	return s.String()
}

// onDemand is a server that closes all its quiet connections at once; clients
// come back when they have something to ask.
func onDemand() string {
	s := new(script)
	for i := range 30 {
		c := s.conn(hostNo(i), oneServer)
		s.at(0.1*float64(i), c, "% handshake", "% exchange 100 200")
		s.at(60+0.004*float64(i), c, "% close by server")
		d := s.conn(hostNo(i), oneServer)
		s.at(60.5+0.2*float64(i), d, "% handshake", "% exchange 100 200")
		s.at(80+1.7*float64(i), d, "% close by client")
	}
	return s.String()
}

// checks is a load balancer that looks at each of so many servers again and
// again, every so many seconds.
func checks(servers, rounds int, every float64, does ...string) string {
	s := new(script)
	for round := range rounds {
		for i := range servers {
			lines := slices.Clone(does)
			lines[0] = "% " + lines[0]
			s.at(float64(round)*every+0.05*float64(i), s.conn("192.0.2.250", hostNo(i)+":8080"), lines...)
		}
	}
	return s.String()
}

// oneTest is a load test of a minute: all connections begin and end with it.
func oneTest() string {
	s := new(script)
	for i := range 12 {
		c := s.conn(hostNo(1), oneServer)
		s.at(0.01*float64(i), c, "% handshake")
		for k := range 40 {
			s.at(0.5+1.4*float64(k)+0.02*float64((i*17+k*k*7)%60), c, "% exchange 100 200")
		}
		s.at(60+0.01*float64(i), c, "% close by client")
	}
	return s.String()
}

// slowWork is jobs of half a minute, each on a connection of its own.
func slowWork() string {
	s := new(script)
	for i := range 12 {
		c := s.conn(hostNo(i), oneServer)
		s.at(40*float64(i), c, "% handshake", "% > P. len=100", "% < .")
		s.at(40*float64(i)+30.005, c, "% < P. len=300", "% > .", "% close by client")
	}
	return s.String()
}

// stop is a client that drops a pool of used connections all at once.
func stop(how ...string) string {
	s := new(script)
	how = slices.Clone(how)
	how[0] = "% " + how[0]
	for i := range 20 {
		c := s.conn(hostNo(1), oneServer)
		s.at(1.3*float64(i), c, "% handshake", "% exchange 100 200")
		s.at(60+0.004*float64(i), c, how...)
	}
	return s.String()
}

// goodbyes is sessions that the server closes; the clients' pool finds out
// later, and says goodbye all the same.
func goodbyes() string {
	s := new(script)
	for i := range 6 {
		c := s.conn(hostNo(i), oneServer)
		s.at(float64(i), c, "% handshake", "% exchange 100 200")
		s.at(20+7.3*float64(i), c, "% < F.", "% > .")
		s.at(25+8.1*float64(i), c, "% > P. len=5", "% > F.", "% < stateless")
	}
	return s.String()
}

// moment is a busy server that is away for a tenth of a second.
func moment() string {
	s := new(script)
	for i := range 300 {
		at := 0.04 * float64(i)
		c := s.conn(hostNo(i%20), oneServer)
		if at >= 6 && at < 6.15 {
			s.at(at, c, "% > S", "% < stateless")
			continue
		}
		s.at(at, c, "% handshake", "% exchange 100 200", "% close by client")
	}
	return s.String()
}

// beats is one client that asks several servers the same every 15 s.
func beats(servers, answer int) string {
	s := new(script)
	for i := range servers {
		c := s.conn("192.0.2.250", hostNo(i)+":9100")
		s.at(float64(i), c, "% handshake")
		for k := range 10 {
			s.at(float64(i)+1+15*float64(k), c, fmt.Sprintf("%% exchange 100 %d", answer))
		}
		s.at(float64(i)+160+3.3*float64(i), c, "% close by client")
	}
	return s.String()
}

// vanish is a host that goes away while its connections are quiet.
func vanish() string {
	s := new(script)
	for i := range 6 {
		c := s.conn(hostNo(i), oneServer)
		s.at(3.1*float64(i), c, "% handshake", "% exchange 100 200")
		for k := range 10 {
			line := "% rexmit"
			if k == 0 {
				line = "% > P. len=80"
			}
			s.at(60+0.7*float64(i)+0.2*float64(int(1)<<k-1), c, strings.Replace(line, "% rexmit", "% > rexmit", 1))
		}
	}
	return s.String()
}

// idle is a server that closes after so many seconds of quiet.
func idle(after float64) string {
	s := new(script)
	for i := range 10 {
		c := s.conn(hostNo(i), oneServer)
		at := 17.3 * float64(i)
		s.at(at, c, "% handshake", "% exchange 100 200")
		s.at(at+2+0.9*float64(i), c, "% exchange 100 200")
		s.at(at+2+0.9*float64(i)+after+0.005, c, "% close by server")
	}
	return s.String()
}

// few is five used connections that end together.
func few(server string, how ...string) string {
	s := new(script)
	for i := range 5 {
		c := s.conn(hostNo(i), server)
		s.at(4*float64(i), c, "% handshake", "% exchange 100 200")
		s.at(100+0.01*float64(i), c, how...)
	}
	return s.String()
}

// flaps is a server that is away for two seconds each minute.
func flaps() string {
	s := new(script)
	for i := range 800 {
		at := 0.3 * float64(i)
		c := s.conn(hostNo(i%4), oneServer)
		if i%200 >= 193 {
			s.at(at, c, "% > S", "% < stateless")
			continue
		}
		s.at(at, c, "% handshake", "% exchange 100 200", "% close by client")
	}
	return s.String()
}
