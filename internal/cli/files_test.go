package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hangup/internal/generate"
	"hangup/internal/story"
)

// said is what a run with n trackers says of a capture.
func said(n int, args []string, capture []byte) string {
	var page, complaints bytes.Buffer
	c := &command{stdin: bytes.NewReader(capture), stdout: &page, stderr: &complaints, trackers: n}
	alarm, err := c.main(args)
	return fmt.Sprintf("%t %v\n%s%s", alarm, err, &page, &complaints)
}

// alike compares what one and more trackers say of a capture.
func alike(t *testing.T, name string, capture []byte, trackers []int, reports ...[]string) {
	t.Helper()
	for _, args := range reports {
		args = append([]string{"-"}, args...)
		want := said(1, args, capture)
		for _, n := range trackers {
			if got := said(n, args, capture); got != want {
				at := 0
				for got, want := strings.Split(got, "\n"), strings.Split(want, "\n"); at < min(len(got), len(want)) && got[at] == want[at]; at++ {
				}
				t.Errorf("%s %v: %d trackers say something else from line %d on", name, args, n, at+1)
			}
		}
	}
}

var inFull = []string{"-a", "-v"}

// TestTrackersStories: whatever their number, the trackers say the same.
func TestTrackersStories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "stories", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		pcap, err := story.Capture(file)
		if err != nil {
			t.Fatal(err)
		}
		alike(t, file, pcap, []int{2}, inFull)
	}
}

// TestTrackersRecordings does the same with real connections.
func TestTrackersRecordings(t *testing.T) {
	patterns := []string{filepath.Join("..", "..", "testdata", "lab", "*", "*.pcap*"), filepath.Join("..", "..", "testdata", "*.pcap")}
	if corpus := os.Getenv("HANGUP_CORPUS"); corpus != "" {
		patterns = append(patterns, filepath.Join(corpus, "pcaps", "*"))
	} else {
		t.Log("HANGUP_CORPUS is not set: the captures of others are left out")
	}
	for i, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil || len(files) == 0 {
			t.Fatalf("nothing is %s: %v", p, err)
		}
		for k, file := range files {
			if i == 0 && k%16 != 0 { // they are very much alike
				continue
			}
			pcap, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			alike(t, file, pcap, []int{2}, inFull)
		}
	}
}

// TestTrackersMixes does the same with busy networks.
func TestTrackersMixes(t *testing.T) {
	for _, m := range generate.Mixes {
		m.Connections, m.Concurrent = 1500, 150
		var pcap bytes.Buffer
		m.Response = min(m.Response, 3000)
		if _, err := generate.Write(&pcap, io.Discard, m); err != nil {
			t.Fatal(err)
		}
		alike(t, m.Name, pcap.Bytes(), []int{2, 3}, inFull, nil, []string{"--format", "json"}, []string{"--conn", "700"},
			[]string{"--format", "ndjson", "--class", "reset,timeout"}, []string{"--format", "csv", "--port", "443"}, []string{"--format", "ndjson"})
	}
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 1500, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	alike(t, "sown", pcap.Bytes(), []int{2}, inFull)
}
