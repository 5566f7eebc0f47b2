package blackbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealCapturesAreSaved does with the captures that HANGUP_CORPUS names
// what TestStoriesAreSaved does with stories.
func TestRealCapturesAreSaved(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS does not name a directory of captures")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", dir, err)
	}
	saved := 0
	for _, file := range files {
		data := mustRead(t, file)
		name := filepath.Base(file)
		s, err := New(Config{Dir: t.TempDir(), Wait: true, Each: 1 << 20, MaxFiles: 1 << 20, FileSize: 1 << 30, Snaplen: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		all := tell(t, data, s.Record)
		all.conns = all.conns[:min(len(all.conns), 100)] // one is a scan
		paths := make([]string, len(all.conns))
		for i := range all.conns {
			if paths[i], err = s.Save(&all.conns[i], &all.verdicts[i], all.env); err != nil {
				t.Errorf("%s: connection %d: %v", name, all.conns[i].ID, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, path := range paths {
			seen[path]++
		}
		for i, path := range paths {
			if seen[path] == 1 && path != "" {
				saved++
				checkSaved(t, name, path, &all, i)
			}
		}
	}
	t.Logf("%d connections saved", saved)
}

// TestRealCapturesAreCopied: every frame through -w, and the same connections
// in the copy.
func TestRealCapturesAreCopied(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS does not name a directory of captures")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", dir, err)
	}
	for _, file := range files {
		var out bytes.Buffer
		c, err := NewCapture(CaptureConfig{Name: "-", Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		want := tell(t, mustRead(t, file), c.Record)
		if err := c.Close(nil); err != nil {
			t.Fatal(err)
		}
		got := tell(t, out.Bytes(), nil)
		if got.err != nil {
			t.Errorf("%s: %v", filepath.Base(file), got.err)
		}
		if a, b := describeAll(&got), describeAll(&want); a != b {
			t.Errorf("%s: the copy has\n%s\nwant\n%s", filepath.Base(file), a, b)
		}
	}
}

func describeAll(all *told) string {
	var b strings.Builder
	for i := range all.conns {
		c := &all.conns[i]
		b.WriteString(fileName(c, &all.verdicts[i]) + " " + spell(&all.verdicts[i]) + "\n")
	}
	return b.String()
}
