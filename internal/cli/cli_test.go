package cli

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"hangup/assembler"
	"hangup/capture"
	"hangup/output"
)

// The help names every flag, and no flag that does not exist.
func TestUsageNamesFlags(t *testing.T) {
	flags := new(options).flags()
	flags.VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if !strings.Contains(output.Usage, name) {
			t.Errorf("%s is not in the help", name)
		}
	})
	for _, word := range strings.FieldsFunc(output.Usage, func(r rune) bool { return strings.ContainsRune(" ,\n", r) }) {
		if name, ok := strings.CutPrefix(word, "--"); ok && flags.Lookup(name) == nil {
			t.Errorf("%s is in the help and does not exist", word)
		}
	}
	for line := range strings.SplitSeq(output.Usage, "\n") {
		if len(line) > 80 {
			t.Errorf("longer than 80 columns: %q", line)
		}
	}
}

// endless is a source that never ends.
type endless struct{ capture.Source }

func (endless) Next(b *capture.Batch) error {
	b.Packets = append(b.Packets[:0], capture.Packet{Time: 7})
	return nil
}

func TestInterruptedFile(t *testing.T) {
	var stop atomic.Bool
	go func() {
		time.Sleep(20 * time.Millisecond)
		stop.Store(true)
	}()
	n, last, err := new(command).follow(endless{}, assembler.NewParallel(assembler.Config{Done: func(*assembler.Conn) {}}, 1), &stop)
	if err != errInterrupted || n == 0 || last != 7 {
		t.Errorf("%d packets until %d, %v", n, last, err)
	}
}

func TestColoured(t *testing.T) {
	for _, c := range []struct {
		when    string
		tty     bool
		noColor string
		term    string
		want    bool
	}{
		{"auto", true, "", "xterm", true},
		{"auto", false, "", "xterm", false},
		{"auto", true, "1", "xterm", false},
		{"auto", true, "", "dumb", false},
		{"always", false, "1", "dumb", true},
		{"never", true, "", "xterm", false},
	} {
		env := map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}
		if got := coloured(c.when, c.tty, func(k string) string { return env[k] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestPacketsToStandardOutput(t *testing.T) {
	demo := filepath.Join("..", "..", "testdata", "demo.pcap")
	var packets, page, again, ignored bytes.Buffer
	if code := Run([]string{"-w", "-", demo}, nil, &packets, &page); code != exitDone {
		t.Fatalf("exit status %d: %s", code, &page)
	}
	if !strings.Contains(page.String(), "32 connections") {
		t.Errorf("no report beside the packets:\n%s", &page)
	}
	if code := Run([]string{"-q", "-"}, &packets, &again, &ignored); code != exitDone || !strings.Contains(again.String(), "32 connections") {
		t.Errorf("exit status %d: the packets cannot be read: %s\n%s", code, &ignored, &again)
	}
	if code := Run([]string{"-w", "-", "-o", "-", demo}, nil, io.Discard, &page); code != exitUsage || !strings.Contains(page.String(), "name a file") {
		t.Errorf("exit status %d: packets and report in one stream", code)
	}
	if code := Run([]string{"-w", filepath.Join(t.TempDir(), "missing", "f"), demo}, nil, io.Discard, &page); code != exitTrouble || !strings.Contains(page.String(), "in a directory that is yours") {
		t.Errorf("exit status %d: %s", code, &page)
	}
}

// What an error quotes is shown by a terminal, and not obeyed.
func TestComplaintsAreHarmless(t *testing.T) {
	var out, err bytes.Buffer
	name := filepath.Join(t.TempDir(), "a\x1b[31m\u202eb\u009b.pcap")
	if status := Run([]string{name}, nil, &out, &err); status != exitTrouble {
		t.Errorf("exit status %d", status)
	}
	if strings.ContainsAny(err.String(), "\x1b\u202e\u009b") || !strings.Contains(err.String(), ".pcap: no such file") {
		t.Errorf("%q", err.String())
	}
}
