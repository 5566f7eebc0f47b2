package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := Recording{
		Scenario: "b", Family: "close", Base: "b", Description: "d", Probe: "reader", Place: "v4",
		Go: "go1.26", Kernel: "6.18",
		Client: Host{Addrs: []string{"192.0.2.1"}, Capture: "client.pcap", Link: "lo"},
		Server: Host{Capture: "client.pcap"},
		Router: &Host{Capture: "router.pcap"},
		Events: []Event{{Time: 1, Who: "network", What: "drop"}},
		Calls: []Call{{Side: Client, Number: 1, Op: "read", Level: Socket, Conn: 1, Asked: 10, N: 3,
			Error: "ECONNRESET", Types: []string{"*net.OpError"}, Is: []string{"ECONNRESET"}, Start: 5, End: 6}},
		Expect: Expect{Conns: []Conn{{Class: "reset", Cause: "abortive-close", By: Server,
			Views: []View{{Capture: Client, Why: "w"}}}}},
	}
	for _, name := range []string{"b", "a"} {
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		r := want
		r.Scenario = name
		if err := r.Write(sub); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Scenario != "a" {
		t.Fatalf("Load: %d recordings, first %q", len(got), got[0].Scenario)
	}
	want.Dir = filepath.Join(dir, "b")
	if d := cmp.Diff(want, got[1]); d != "" {
		t.Errorf("round trip (-want +got):\n%s", d)
	}
	caps := got[1].Captures()
	if len(caps) != 2 || caps["router"] != filepath.Join(dir, "b", "router.pcap") {
		t.Errorf("Captures() = %v: want the shared file once, and the router's", caps)
	}
}

func TestLoadNamesTheBadFile(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "x")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub, File), []byte(`{"calls": 3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	if err == nil || !strings.Contains(err.Error(), filepath.Join("x", File)) {
		t.Errorf("Load of a broken recording: %v, want an error that names the file", err)
	}
}

func TestStillBlocked(t *testing.T) {
	for _, c := range []struct {
		call Call
		want bool
	}{
		{Call{Error: "blocked"}, true},
		{Call{Error: "DeadlineExceeded", Patience: 0.3}, true},
		{Call{Error: "DeadlineExceeded"}, false},
		{Call{Error: "EOF", Patience: 0.3}, false},
	} {
		if got := c.call.StillBlocked(); got != c.want {
			t.Errorf("%+v: StillBlocked() = %v, want %v", c.call, got, c.want)
		}
	}
}
