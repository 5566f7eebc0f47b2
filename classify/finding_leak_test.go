package classify_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

// TestLeaksUnderEviction: where there is no room to follow connections for a
// minute, the finding and the table of causes name as many all the same.
func TestLeaksUnderEviction(t *testing.T) {
	var b, packets strings.Builder
	const leaks = 40
	for i := range 5 * leaks {
		fmt.Fprintf(&b, "conn c%d client 192.0.2.%d:%d server 192.0.2.200:8080\n", i, 10+i%20, 40000+i)
		fmt.Fprintf(&packets, "+0.05 c%d handshake\nc%d exchange 100 100\n", i, i)
		if i%5 == 0 {
			fmt.Fprintf(&packets, "c%d > F.\nc%d < .\n", i, i)
		}
	}
	s, err := story.Parse([]byte("Leaks.\n\n-- packets --\n" + b.String() + packets.String() + "+100 other\n"))
	if err != nil {
		t.Fatal(err)
	}
	pcap, err := s.Pcap()
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{0, 100, 20, 2} {
		a := analyseWithin(t, pcap, most)
		inTable := a.Summary().ByCause[classify.CloseWaitLeak]
		named := 0.0
		for _, f := range a.Findings() {
			if f.Kind != classify.KindNeverClosed {
				continue
			}
			for _, n := range f.Numbers {
				if n.Name == "sockets never closed" || strings.HasPrefix(n.Name, "not closed ") {
					named += n.Value
				}
			}
		}
		if inTable != leaks || named != float64(inTable) {
			t.Errorf("at most %d connections: the table has %d, the finding %v", most, inTable, named)
		}
	}
}

// analyseWithin follows at most so many connections at a time, 0 for any number.
func analyseWithin(t *testing.T, pcap []byte, most int) *classify.Analysis {
	t.Helper()
	a, in := gatherConfig(t, []string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)}, assembler.Config{MaxConns: most})
	if in[0].Err != nil {
		t.Fatal(in[0].Err)
	}
	return a
}
