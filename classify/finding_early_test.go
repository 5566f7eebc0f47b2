package classify_test

import (
	"os"
	"path/filepath"
	"testing"

	"hangup/classify"
)

// TestFindingsOfConnectionsToldEarly: what became of a connection after it
// was told early is not known, however long the capture goes on.
func TestFindingsOfConnectionsToldEarly(t *testing.T) {
	pcap, err := os.ReadFile(filepath.Join("..", "testdata", "demo.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	r := follows(t, "demo", pcap)
	leaks := func() (n uint64) {
		for _, f := range findingsOf(r.env, judgedOf(r.into(new(classify.Analysis)))) {
			if f.Kind == classify.KindNeverClosed {
				n += f.Total
			}
		}
		return n
	}
	if n := leaks(); n != 4 {
		t.Fatalf("%d sockets never closed, want 4", n)
	}
	for _, e := range r.last {
		if e.conn != nil {
			e.conn.Until = e.conn.Last.Time + 1e9
		}
	}
	if n := leaks(); n != 0 {
		t.Errorf("%d sockets never closed, though nobody watched for longer than a second", n)
	}
}
