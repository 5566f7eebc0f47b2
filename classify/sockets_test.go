package classify_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/classify"
)

// epoch is when stories start unless told.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

func at(seconds float64) int64 { return epoch + int64(seconds*1e9) }

// TestSocketsAt asks small stories what ss would have shown.
func TestSocketsAt(t *testing.T) {
	tests := []struct {
		name, packets string
		at            float64
		want          []string // client's, server's line: state send-queue timer; - without socket
	}{
		{"dialling", "> S lost\n+1 > S lost\n+2 > S lost\n+60 other", 1.5, []string{"SYN_SENT 1 on,1.5s,1", "-"}},
		{"given up", "> S lost\n+1 > S lost\n+2 > S lost\n+60 other", 50, []string{"-", "-"}},
		{"half open at the server", "> S\n< S. lost\n+1 < S. lost\n+60 other", 0.5, []string{"SYN_SENT 1 ?", "SYN_RECEIVED 0 ?"}},
		{"established", "handshake\nexchange 100 100\n+60 other", 30, []string{"ESTABLISHED 0", "ESTABLISHED 0"}},
		{"data unanswered", "handshake\nexchange 100 100\n+1 > P. len=300 lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+0.8 > rexmit lost\n+1 other", 2.5, []string{"ESTABLISHED 300 on,1.53s,3", "ESTABLISHED 0"}},
		{"leak", "handshake\nexchange 100 100\n+1 > F.\n< .\n+300 other", 30, []string{"FIN_WAIT2 0 timewait,31s,0", "CLOSE_WAIT 0"}},
		{"leak, FIN_WAIT2 expired", "handshake\nexchange 100 100\n+1 > F.\n< .\n+300 other", 100, []string{"-", "CLOSE_WAIT 0"}},
		{"closed by the client", "handshake\nexchange 100 100\n+1 close by client\n+300 other", 20, []string{"TIME_WAIT 0 timewait,41s,0", "-"}},
		{"closed by the server", "handshake\nexchange 100 100\n+1 close by server\n+300 other", 20, []string{"-", "TIME_WAIT 0 timewait,41s,0"}},
		{"TIME_WAIT beyond the capture", "handshake\nexchange 100 100\n+1 close by client\n+30 other", 20, []string{"TIME_WAIT 0 timewait,41s,0", "-"}},
		{"TIME_WAIT over", "handshake\nexchange 100 100\n+1 close by client\n+300 other", 70, []string{"-", "-"}},
		{"FINs crossed", "handshake\n+1 > F.\n< F. crossed\n> .\n< .\n+300 other", 20, []string{"TIME_WAIT 0 timewait,41s,0", "TIME_WAIT 0 timewait,41s,0"}},
		{"reset", "handshake\n+1 < R.\n+60 other", 20, []string{"-", "-"}},
		{"FIN unanswered", "handshake\nexchange 100 100\n+1 > F. lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+0.8 > rexmit lost\n+1 other", 2.5, []string{"FIN_WAIT1 1 on,1.53s,3", "ESTABLISHED 0"}},
		{"last ACK", "handshake\nexchange 100 100\n+1 > F.\n< .\n+1 < F. lost\n+0.2 < rexmit lost\n+0.1 other", 2.3, []string{"FIN_WAIT2 0 timewait,58.7s,0", "LAST_ACK 1 ?"}},
		{"zero window", "handshake\n> P. len=100\n< .\n+0.1 < P. len=500\n> . win=0\n+1 < P. len=1 lost\n+0.5 other", 1.3, []string{"ESTABLISHED 0", "ESTABLISHED 1 persist"}},
		{"in the middle", "> P. len=100\n< .\n+60 other", 30, []string{"ESTABLISHED 0", "ESTABLISHED 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, a, _ := told(t, []byte("A test.\n\n-- packets --\n"+tt.packets))
			got := []string{"-", "-"}
			for _, s := range a.SocketsAt(at(tt.at), netip.Addr{}) {
				got[s.Side] = line(s)
			}
			for i := range got {
				if !alike(got[i], tt.want[i]) {
					t.Errorf("%s: %q, want %q", assembler.Side(i), got[i], tt.want[i])
				}
			}
		})
	}
}

// alike compares a line with what is wanted; a final ? leaves the timer open.
func alike(got, want string) bool {
	if head, ok := strings.CutSuffix(want, " ?"); ok {
		return strings.HasPrefix(got, head)
	}
	return strings.HasPrefix(got, want)
}

func line(s classify.Socket) string {
	text := fmt.Sprintf("%s %d", s.State, s.SendQ)
	if s.Timer.Kind != "" {
		text += " " + s.Timer.Kind
		if s.Timer.Left >= 0 {
			left := time.Duration(s.Timer.Left).Round(10 * time.Millisecond)
			if left > 10*time.Second {
				left = left.Round(100 * time.Millisecond)
			}
			text += fmt.Sprintf(",%s,%d", left, s.Timer.Retries)
		}
	}
	return text
}

// TestLifetimesFollowEachOther holds the intervals of every story's sockets
// to their order: no gap, no overlap, no state twice in a row.
func TestLifetimesFollowEachOther(t *testing.T) {
	for name, a := range allStories(t) {
		for i := range a.Len() {
			c := a.Conn(i)
			for s := range c.Ends {
				list := classify.Lifetimes(c, assembler.Side(s), a.Env())
				for j, iv := range list {
					if iv.From >= iv.To || iv.State == assembler.Closed || iv.State == assembler.Unknown {
						t.Errorf("%s, connection %d, %s: %v", name, c.ID, assembler.Side(s), iv)
					}
					if j > 0 && (list[j-1].To != iv.From || list[j-1].State == iv.State) {
						t.Errorf("%s, connection %d, %s: %v follows %v", name, c.ID, assembler.Side(s), iv, list[j-1])
					}
				}
			}
		}
	}
}

// TestStateSeries compares the plotted numbers with what ss shows at the
// same moments.
func TestStateSeries(t *testing.T) {
	for name, a := range allStories(t) {
		for _, series := range a.StateSeries() {
			for _, i := range []int64{0, 1, 2, 5, 17, 60, 131, 200} {
				when := series.Start + i*series.Width
				want := map[assembler.State]int32{}
				for _, s := range a.SocketsAt(when, series.Host) {
					want[s.State]++
				}
				for st, n := range series.Counts {
					got := int32(0)
					if i < int64(len(n)) {
						got = n[i]
					}
					if got != want[assembler.State(st)] {
						t.Errorf("%s, %v, %s after %d ns: %d plotted, %d listed", name, series.Host, assembler.State(st), i*series.Width, got, want[assembler.State(st)])
					}
				}
			}
		}
	}
}

// TestSeriesOrder: the host with most sockets comes first.
func TestSeriesOrder(t *testing.T) {
	list := allStories(t)["idle-cut.txt"].StateSeries()
	if len(list) != 2 || !slices.IsSortedFunc(list, func(a, b classify.Series) int { return int(b.Sockets) - int(a.Sockets) }) || list[0].Sockets != 5 {
		t.Errorf("%d series, %+v", len(list), list)
	}
}

// TestQueues asks small stories for both queues; ? is what packets do not
// tell, and a number behind it what was there at least.
func TestQueues(t *testing.T) {
	tests := []struct {
		name, packets string
		at            float64
		want          []string // client's, server's: receive and send queue
	}{
		{"idle from the start", "handshake\n+60 other", 30, []string{"0 0", "0 0"}},
		{"served", "handshake\nexchange 100 100\n+60 other", 30, []string{"? 0", "? 0"}},
		{"in flight", "handshake\n+1 > P. len=300 lost\n+1 other", 1.5, []string{"0 300", "? 0"}},
		{"in flight, acknowledged later", "handshake\n+1 > P. len=300 lost\n+2 > rexmit\n< .\n+9 other", 8, []string{"0 0", "? 0"}},
		{"between two writes", "handshake\n+1 > P. len=300\n< .\n+5 > P. len=300\n< .\n+9 other", 4, []string{"0 ?", "? 0"}},
		{"FIN not yet sent", "handshake\n+1 > P. len=300\n< .\n+5 > F. lost\n+9 other", 4, []string{"0 0", "? 0"}},
		{"FIN in flight", "handshake\n+1 > P. len=300\n< .\n+5 > F. lost\n+9 other", 7, []string{"0 1", "? 0"}},
		{"EOF not read, perhaps", "handshake\n+1 > F.\n< .\n+90 other", 30, []string{"0 0", "? 0"}},
		{"not read", "handshake\n+1 > P. len=1000\n< . win=1000\n+1 > P. len=1000\n< . win=0\n+30 other", 20, []string{"0 0", "?1000 0"}},
		{"dialling", "> S lost\n+1 > S lost\n+60 other", 0.5, []string{"0 1", "-"}},
		{"one direction missing", "handshake\n> P. len=100\n< . uncaptured\n< P. len=50 uncaptured\n> .\n+60 other", 30, []string{"0 ?", "? 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, a, _ := told(t, []byte("A test.\n\n-- packets --\n"+tt.packets))
			got := []string{"-", "-"}
			for _, s := range a.SocketsAt(at(tt.at), netip.Addr{}) {
				got[s.Side] = queue(s.RecvKnown, s.RecvQ) + " " + queue(s.SendKnown, s.SendQ)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func queue(known bool, n uint32) string {
	switch {
	case known:
		return fmt.Sprint(n)
	case n > 0:
		return fmt.Sprintf("?%d", n)
	}
	return "?"
}

// TestTakenOver: a server's TIME_WAIT is gone once a new connection has its
// tuple, also where so many ended in between that the old one was reported
// before anybody could know of the new one.
func TestTakenOver(t *testing.T) {
	for _, others := range []int{0, 4500} {
		var b strings.Builder
		b.WriteString("rtt 0.0002\nconn old client 192.0.2.1:50000\nconn new client 192.0.2.1:50000\n")
		for i := range others {
			fmt.Fprintf(&b, "conn c%d client 192.0.2.3:%d server 192.0.2.4:80\n", i, 20000+i)
		}
		b.WriteString("old handshake\nold exchange 100 100\n1 old close by server\n")
		for i := range others {
			fmt.Fprintf(&b, "%.4f c%d handshake\nc%d close by client\n", 2+float64(i)/1000, i, i)
		}
		b.WriteString("20 new handshake\nnew exchange 100 100\n+100 other\n")
		_, a, _ := told(t, []byte("Taken over.\n\n-- packets --\n"+b.String()))
		server := netip.MustParseAddr("192.0.2.2")
		for _, when := range []float64{10, 19.9, 20.5, 30, 55} {
			want := "TIME_WAIT"
			if when > 20 {
				want = "ESTABLISHED"
			}
			var got []string
			for _, s := range a.SocketsAt(at(when), server) {
				got = append(got, s.State.String())
			}
			if !slices.Equal(got, []string{want}) {
				t.Errorf("%d others, after %v s: %v", others, when, got)
			}
			for _, series := range a.StateSeries() {
				if series.Host != server {
					continue
				}
				i := (at(when) - series.Start) / series.Width
				for st, n := range series.Counts {
					if i < int64(len(n)) && n[i] != int32(b2i(assembler.State(st).String() == want)) {
						t.Errorf("%d others, after %v s: %d in %s plotted", others, when, n[i], assembler.State(st))
					}
				}
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestSystemTold: the system that hosts run decides how long TIME_WAIT lasts.
func TestSystemTold(t *testing.T) {
	_, a, _ := told(t, []byte("Closed.\n\n-- packets --\nhandshake\nexchange 100 100\n1 close by client\n+300 other\n"))
	for os, seconds := range map[classify.System]float64{classify.AnySystem: 60, classify.Linux: 60, classify.Darwin: 30, classify.Windows: 120} {
		env := a.Env()
		env.OS = os
		list := classify.Lifetimes(a.Conn(0), assembler.Client, env)
		last := list[len(list)-1]
		if got := float64(last.To-last.From) / 1e9; last.State != assembler.TimeWait || got != seconds {
			t.Errorf("%s: %s for %v s", os, last.State, got)
		}
		if s, ok := classify.ParseSystem(os.String()); !ok || s != os {
			t.Errorf("%s is not its own name", os)
		}
	}
}
