package assembler_test

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/story"
)

// follow compiles the packets of a story and returns its connections in the
// order of their first packets.
func follow(t *testing.T, packets string) []assembler.Conn {
	t.Helper()
	s, err := story.Parse([]byte("A test.\n\n-- packets --\n" + packets))
	if err != nil {
		t.Fatal(err)
	}
	pcap, err := s.Pcap()
	if err != nil {
		t.Fatal(err)
	}
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var conns []assembler.Conn
	tr := assembler.New(assembler.Config{Done: func(c *assembler.Conn) { conns = append(conns, *c) }})
	for b := new(capture.Batch); ; {
		err := src.Next(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		tr.Batch(b)
	}
	tr.Finish()
	slices.SortFunc(conns, func(a, b assembler.Conn) int { return cmp.Compare(a.ID, b.ID) })
	return conns
}

const (
	client = assembler.Client
	server = assembler.Server
)

// TestFacts tells small stories and asks for the facts in them.
func TestFacts(t *testing.T) {
	type ends [2]*assembler.End
	tests := []struct {
		name, packets string
		check         func(t *testing.T, c *assembler.Conn, e ends)
	}{
		{"handshake", "rtt 0.1\nhandshake", func(t *testing.T, c *assembler.Conn, e ends) {
			state(t, c, assembler.Established, assembler.Established)
			eq(t, "RTT to the server", c.RTTServer, 50e6)
			eq(t, "RTT to the client", c.RTTClient, 50e6)
			eq(t, "role known", c.RoleKnown, true)
			eq(t, "partial", c.Partial, 0)
		}},
		{"data both ways", "handshake\nexchange 100 3000", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "client's bytes", e[client].Bytes, 100)
			eq(t, "server's bytes", e[server].Bytes, 3000)
			eq(t, "unanswered by the client", e[client].SinceData, 3000)
			eq(t, "unanswered by the server", e[server].SinceData, 0)
			eq(t, "outstanding", e[server].Outstanding(), 0)
		}},
		{"close in four segments", "handshake\n> F.\n< .\n+1 < F.\n> .", func(t *testing.T, c *assembler.Conn, e ends) {
			state(t, c, assembler.TimeWait, assembler.Closed)
			eq(t, "client's FIN acknowledged in", e[client].FIN.Answered.Ref.Number(), 5)
			eq(t, "server's FIN saw the client's", e[server].FINSawPeer, true)
		}},
		{"close in three segments", "handshake\n> F.\n< F.\n> .", func(t *testing.T, c *assembler.Conn, e ends) {
			state(t, c, assembler.TimeWait, assembler.Closed)
			eq(t, "crossed", e[client].FINCrossed, false)
		}},
		{"FINs cross", "handshake\n> F.\n< F. crossed\n> .\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			state(t, c, assembler.TimeWait, assembler.TimeWait)
			eq(t, "crossed", e[client].FINCrossed && e[server].FINCrossed, true)
		}},
		{"half-close", "handshake\n> F.\n< .\n< P. len=500\n> .\n< F.\n> .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "acknowledged past the FIN", e[client].AckedPastFIN, 500)
			eq(t, "late data", e[server].LateData.Len, 500)
		}},
		{"retransmission", "handshake\n> P. len=100 lost\n+0.2,+0.4 > rexmit lost\n+0.8 > rexmit\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "tries", e[client].Data.Count, 4)
			eq(t, "answered", e[client].Data.Answered.Seen(), true)
			eq(t, "retransmissions", e[client].Retransmits, 3)
			eq(t, "bytes, each once", e[client].Bytes, 100)
		}},
		{"unanswered data", "handshake\n> P. len=100 lost\n+0.2,+0.4,+0.8 > rexmit lost", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "pending", e[client].Data.Pending(), true)
			eq(t, "last interval", e[client].Data.Interval(), 800e6)
			eq(t, "outstanding", e[client].Outstanding(), 100)
		}},
		{"keep-alive answered", "handshake\n+15 > keepalive\n< .\n+15 > keepalive\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "probes", e[client].KeepAlives, 2)
			eq(t, "answered", e[client].Probe.Answered.Ref.Number(), 7)
			eq(t, "retransmissions", e[client].Retransmits, 0)
		}},
		{"keep-alive unanswered", "handshake\nexchange 10 10\n+15x9 > keepalive lost", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "probes in the run", e[client].Probe.Count, 9)
			eq(t, "pending", e[client].Probe.Pending(), true)
			eq(t, "silence before", e[client].Probe.Idle/1e9, 15)
		}},
		{"sign of life after the prober gave up", "handshake\nexchange 10 10\n+15x3 > keepalive lost\n+15 > R. lost\n+60 < F.", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "pending", e[client].Probe.Pending(), true)
		}},
		{"zero window", "handshake\n> P. len=1000\n< . win=0\n+0.3,+0.6 > probe\n< . win=0\n+5 < . win=60000", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "window probes", e[client].WinProbes, 2)
			eq(t, "keep-alives", e[client].KeepAlives, 0)
			eq(t, "zero windows", e[server].ZeroWindows, 2)
			eq(t, "opened again", e[server].ZeroWindow.Answered.Seen(), true)
		}},
		{"hole in the capture", "handshake\n> P. len=100 uncaptured\n> P. len=100\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "lost", e[client].Lost, 100)
			eq(t, "partial", c.Partial, assembler.Gaps)
		}},
		{"reordered", "handshake\n> P. len=100 uncaptured\n+0.0001 > P. len=100\n+0.0001 > P. seq=1 len=100\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "reordered", e[client].Reordered, 1)
			eq(t, "retransmissions", e[client].Retransmits, 0)
			eq(t, "lost", e[client].Lost, 0)
			eq(t, "bytes", e[client].Bytes, 200)
		}},
		{"live reset", "handshake\nexchange 100 100\n+0.2 < R.", func(t *testing.T, c *assembler.Conn, e ends) {
			r := &c.Resets[0]
			eq(t, "fit", r.Fit, assembler.FitExact)
			eq(t, "side", r.Side, server)
			eq(t, "stateless", r.Stateless, false)
			eq(t, "TTL delta", r.TTLDelta, 0)
			eq(t, "IP ID delta", r.IPIDDelta, 1)
			state(t, c, assembler.Closed, assembler.Closed)
		}},
		{"stateless reset", "handshake\nexchange 100 100\n+60 > P. len=10\n< stateless", func(t *testing.T, c *assembler.Conn, e ends) {
			r := &c.Resets[0]
			eq(t, "fit", r.Fit, assembler.FitExact)
			eq(t, "stateless", r.Stateless, true)
			eq(t, "trigger", r.Trigger, assembler.ToData)
			eq(t, "answers", r.Answers.Ref.Number(), 8)
		}},
		{"refused", "> S\n< stateless", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "fit", c.Resets[0].Fit, assembler.FitSYN)
			eq(t, "answers", c.Resets[0].Answers.Ref.Number(), 1)
		}},
		{"RST in the window", "handshake\nexchange 100 100\n+1 < R forged seq=+500\n> .\n+1 > P. len=10\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "fit", c.Resets[0].Fit, assembler.FitInWindow)
			eq(t, "challenge", e[client].Challenges, 1)
			state(t, c, assembler.Established, assembler.Established)
			eq(t, "receiver talks on", c.Resets[0].ReceiverAfter.Ref.Number(), 9)
		}},
		{"RST out of the window", "handshake\nexchange 100 100\n+1 < R forged seq=+90000000\n> P. len=10\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "fit", c.Resets[0].Fit, assembler.FitOutside)
			state(t, c, assembler.Established, assembler.Established)
		}},
		{"RST after the end", "handshake\nclose by C\n+0.1 > R forged seq=+0", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "fit", c.Resets[0].Fit, assembler.FitLate)
		}},
		{"mid-stream", "> P. len=10\n< .", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "partial", c.Partial, assembler.NoStart)
			eq(t, "role known", c.RoleKnown, false)
			state(t, c, assembler.Established, assembler.Established)
		}},
		{"seen twice behind a router", "mirror ttl=-1 mac=02:00:00:00:00:99\nhandshake\nexchange 100 100\nclose by C", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "copies", e[client].Duplicates+e[server].Duplicates, e[client].Packets+e[server].Packets)
			eq(t, "retransmissions", e[client].Retransmits+e[server].Retransmits, 0)
			eq(t, "FIN tries", e[client].FIN.Count, 1)
			eq(t, "SYN tries", e[client].SYN.Count, 1)
			eq(t, "partial", c.Partial, assembler.Duplicated)
		}},
		{"ICMP about the SYN", "> S\nicmp admin-prohibited from 192.0.2.254", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "errors", c.NICMP, 1)
			eq(t, "quotes", c.ICMP[0].Quotes, assembler.ToSYN)
			eq(t, "code", c.ICMP[0].Code, 13)
			eq(t, "side", c.ICMP[0].Side, client)
		}},
		{"snaplen", "snaplen 60\nhandshake\nexchange 100 100", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "partial", c.Partial&assembler.Snaplen, assembler.Snaplen)
			eq(t, "bytes", e[server].Bytes, 100)
		}},
		{"MPTCP DATA_FIN", "client mptcp=capable\nserver mptcp=capable\nhandshake\n> . mptcp=datafin", func(t *testing.T, c *assembler.Conn, e ends) {
			eq(t, "MPTCP", c.MPTCP, true)
			eq(t, "DATA_FIN", e[client].DataFIN.Ref.Number(), 4)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conns := follow(t, tt.packets)
			if len(conns) != 1 {
				t.Fatalf("%d connections, want 1", len(conns))
			}
			c := &conns[0]
			tt.check(t, c, ends{&c.Ends[client], &c.Ends[server]})
		})
	}
}

// TestTuples tells which packets of one tuple belong to which connection.
func TestTuples(t *testing.T) {
	tests := []struct {
		name, packets string
		want          string // packets per connection
	}{
		{"SYN repeated", "> S lost\n+1 > rexmit lost\n+2 > rexmit\n< S.\n> .", "5"},
		{"port reused after a close", "handshake\nclose by C\nconn b client :40000\n+1 b handshake", "6 3"},
		{"port reused after a reset", "handshake\n< R.\nconn b client :40000\n+1 b handshake", "4 3"},
		{"SYN into a live connection", "handshake\nexchange 10 10\nconn b client :40000\n+9 b > S\n< . ack=+0 #challenge\n> stateless\n+1 b > rexmit\nb < S.\nb > .", "9 4"},
		{"tenants with equal tuples", "client vlan=10\nserver vlan=10\nhandshake\nconn b client :40000 vlan=20 server vlan=20\nb handshake\n> P. len=10\nb > P. len=20\n< .\nb < .", "5 5"},
		{"one connection seen in a VLAN and outside", "mirror vlan=7\nhandshake\nexchange 10 10", "7"},
		{"late ACK of a closed connection", "handshake\nclose by C\n+1 > .", "7"},
		{"two clients", "handshake\nconn b\nb handshake", "3 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range follow(t, tt.packets) {
				got = append(got, itoa(c.Ends[0].Packets+c.Ends[1].Packets))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("packets per connection: %s, want %s", s, tt.want)
			}
		})
	}
}

func itoa(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func state(t *testing.T, c *assembler.Conn, cl, sv assembler.State) {
	t.Helper()
	eq(t, "client's state", c.Ends[client].State, cl)
	eq(t, "server's state", c.Ends[server].State, sv)
}

func eq[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
