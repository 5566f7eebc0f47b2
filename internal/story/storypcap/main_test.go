package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"../../../testdata/stories/orderly-close.txt"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	if stdout.Len() < 24 || binary.LittleEndian.Uint32(stdout.Bytes()) != 0xa1b23c4d {
		t.Errorf("%d bytes, no pcap header", stdout.Len())
	}
	if got := stderr.String(); got != "#fin is packet 9\n" {
		t.Errorf("labels: %q", got)
	}
}

func TestRunRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.txt")
	if err := os.WriteFile(bad, []byte("-- packets --\n> Q\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "usage: storypcap FILE"},
		{[]string{bad}, 1, "bad.txt: line 2, column 3"},
		{[]string{bad + "x"}, 1, "no such file"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("%q: exit %d, %q, %d bytes", c.args, code, &stderr, stdout.Len())
		}
	}
}
