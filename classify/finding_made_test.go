package classify_test

import (
	"fmt"
	"strings"
	"testing"
)

// madeStory is a story of too many connections to be written by hand.
type madeStory struct {
	name, text string
	want       string // the findings, one a line
}

// madeStories show what takes many connections, or look like it.
func madeStories() []madeStory {
	return []madeStory{
		{"max-lifetime", lifetimes(func(int) float64 { return 60 }), "max-lifetime info"},
		// As many closes of busy connections, each after another time.
		{"max-lifetime-scattered", lifetimes(func(i int) float64 { return 47 + 3.7*float64(i) }), "none"},
		{"syn-flood", knocks(200, "c%d > S\nc%d < S.\n"), "syn-flood serious"},
		// Real clients at a dead server: each SYN comes again.
		{"syn-flood-dead-server", knocks(200, "c%d > S\n+1 c%d > S\n+2 c%d > S\n"), "unreachable serious"},
		// Real clients that all come at once, and most finish.
		{"syn-flood-rush", knocks(140, "c%d > S\nc%d < S.\n") + rush(200), "none"},
		{"port-exhaustion", churn(1, 15_000, 50, "client"), "port-exhaustion warning"},
		// As many, but the server closes first, and holds no port of the client's.
		{"port-exhaustion-closed-by-server", churn(1, 15_000, 50, "server"), "time-wait-pileup warning"},
		// Linux's range has been narrowed to 300 ports, and no dial found another.
		{"port-exhaustion-narrow", dialled(inTurn(300, 2, 0), 0.01, "192.0.2.1"), "port-exhaustion critical"},
		{"port-exhaustion-narrower", dialled(inTurn(100, 2, 0), 0.01, "192.0.2.1"), "port-exhaustion critical"},
		// A system that counts upwards fills no range by as many dials.
		{"port-exhaustion-upwards", dialled(inTurn(300, 1, 0), 0.01, "192.0.2.1"), "none"},
		// Half of them are in use.
		{"port-exhaustion-half", dialled(inTurn(600, 2, 0)[:300], 0.01, "192.0.2.1"), "none"},
		// The kernel takes ports out of TIME_WAIT.
		{"port-exhaustion-recycled", dialled(inTurn(300, 2, 900), 0.02, "192.0.2.1"), "none"},
		// It does, but comes round too soon.
		{"port-exhaustion-recycled-fast", dialled(inTurn(300, 2, 1800), 0.0035, "192.0.2.1"), "port-exhaustion warning"},
		// On the loopback it does so by default.
		{"port-exhaustion-loopback", dialled(inTurn(12_000, 2, 0), 0.002, "127.0.0.1"), "time-wait-pileup warning"},
		{"time-wait-pileup", churn(1, 3_200, 50, "client"), "time-wait-pileup warning"},
		// As many, but over twenty minutes.
		{"time-wait-pileup-slow", churn(1, 3_200, 1200, "client"), "none"},
		// As many, but of four clients.
		{"time-wait-pileup-crowd", churn(4, 3_200, 50, "client"), "none"},
	}
}

// lifetimes is twelve busy connections, of which the server closes each after
// so many seconds.
func lifetimes(seconds func(i int) float64) string {
	var b, packets strings.Builder
	start := 0.0
	for i := range 12 {
		fmt.Fprintf(&b, "conn c%d client 192.0.2.1:%d\n", i, 40001+i)
		fmt.Fprintf(&packets, "%.3f c%d handshake\n", start, i)
		now, end := start+0.05, start+seconds(i)
		for k := 0; now < end-4; k++ {
			now += 1.1 + float64((i*7+k*5)%17)/10
			fmt.Fprintf(&packets, "%.3f c%d exchange 100 200\n", now, i)
		}
		fmt.Fprintf(&packets, "%.3f c%d < F.\nc%d > F.\nc%d < .\n", end+0.002, i, i, i)
		start = end + 3
	}
	return b.String() + packets.String() + "+60 other\n"
}

// knocks is what each of n clients does to the same server, given as a
// format for the connection's number.
func knocks(n int, packets string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "conn c%d client 198.51.%d.%d:40000\n", i, i/200, 1+i%200)
	}
	for i := range n {
		b.WriteString("+0.02 " + strings.ReplaceAll(packets, "%d", fmt.Sprint(i)))
	}
	return b.String() + "+90 other\n"
}

// rush is n clients that come together and are served.
func rush(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "conn d%d client 203.0.113.%d:%d\n", i, 1+i%100, 40000+i)
	}
	for i := range n {
		fmt.Fprintf(&b, "+0.005 d%d handshake\nd%d exchange 100 200\nd%d close by client\n", i, i, i)
	}
	return b.String() + "+90 other\n"
}

// churn is n short connections of so many clients within so many seconds.
func churn(clients, n int, seconds float64, closer string) string {
	var b, packets strings.Builder
	b.WriteString("rtt 0.0002\n")
	for i := range n {
		fmt.Fprintf(&b, "conn c%d client 192.0.2.%d:%d\n", i, 10+i%clients, 32768+i)
		fmt.Fprintf(&packets, "%.6f c%d handshake\nc%d exchange 100 200\nc%d close by %s\n", float64(i)*seconds/float64(n), i, i, i, closer)
	}
	return b.String() + packets.String() + "+90 other\n"
}

// inTurn are the ports that a system picks for n dials from a range of so many,
// of which it tries every step-th first and then the others, again and again.
func inTurn(size, step, n int) (list []int) {
	for len(list) < max(n, size) {
		for from := range step {
			for p := from; p < size; p += step {
				list = append(list, 40000+p)
			}
		}
	}
	return list[:max(n, size)]
}

// dialled is one client that opens a short connection from each of the ports,
// which it closes first.
func dialled(ports []int, every float64, client string) string {
	var b, packets strings.Builder
	b.WriteString("rtt 0.0002\n")
	server := "192.0.2.2"
	if client == "127.0.0.1" {
		server = client
	}
	for i, port := range ports {
		fmt.Fprintf(&b, "conn c%d client %s:%d server %s:8080\n", i, client, port, server)
		fmt.Fprintf(&packets, "%.6f c%d handshake\nc%d exchange 100 200\nc%d close by client\n", float64(i)*every, i, i, i)
	}
	return b.String() + packets.String() + "+90 other\n"
}

// TestMadeStories holds findings to stories of many connections.
func TestMadeStories(t *testing.T) {
	for _, m := range append(madeStories(), healthyStories()...) {
		t.Run(m.name, func(t *testing.T) {
			s, a, in := told(t, []byte("Made.\n\n-- packets --\n"+m.text))
			sameFindings(t, a, in, len(s.Packets()), strings.Split(m.want, "\n"))
		})
	}
}
