package blackbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hangup/capture"
)

// copied is what a whole capture through -w comes out as.
func copied(t *testing.T, cfg CaptureConfig, pcap []byte) *Capture {
	t.Helper()
	c, err := NewCapture(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tell(t, pcap, c.Record)
	c.Flush()
	if err := c.Close(func(uint16) capture.PcapngStatistics { return capture.PcapngStatistics{Dropped: 7} }); err != nil {
		t.Fatal(err)
	}
	if seen, written := c.Counts(); seen == 0 || seen != written {
		t.Errorf("%d of %d frames written", written, seen)
	}
	return c
}

// raw are the frames of a capture.
func raw(t *testing.T, names ...string) (list []string, in capture.Input) {
	t.Helper()
	tap := func(f *capture.Frame, p *capture.Packet) {
		list = append(list, string(f.Data)+"|"+capture.LinkName(f.Link)+"|"+string(rune(f.WireLen))+"|"+string(rune(f.Time%1e6)))
	}
	src, err := capture.Open(names, capture.OpenConfig{Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var b capture.Batch
	for {
		if err := src.Next(&b); err == io.EOF {
			return list, src.Inputs()[0]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoriesAreCopied in both formats: every frame, whatever it is.
func TestStoriesAreCopied(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	for _, name := range stories(t) {
		pcap := compile(t, name)
		if err := os.WriteFile(from, pcap, 0o600); err != nil {
			t.Fatal(err)
		}
		want, _ := raw(t, from)
		for _, to := range []string{filepath.Join(dir, "to.pcap"), filepath.Join(dir, "to.pcapng")} {
			copied(t, CaptureConfig{Name: to}, pcap)
			got, in := raw(t, to)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s differs", filepath.Base(name), filepath.Base(to))
			}
			if drops := in.Drops; strings.HasSuffix(to, "ng") && (drops != 7 || in.Format != "pcapng") {
				t.Errorf("%s: %d drops, format %s", to, drops, in.Format)
			} else if !strings.HasSuffix(to, "ng") && !strings.Contains(in.Format, "nanoseconds") {
				t.Errorf("%s: format %s", to, in.Format)
			}
		}
	}
}

func TestCaptureToStandardOutput(t *testing.T) {
	var out bytes.Buffer
	pcap := compile(t, "../../testdata/stories/abortive-close.txt")
	copied(t, CaptureConfig{Name: "-", Stdout: &out}, pcap)
	if a, b := tell(t, out.Bytes(), nil), tell(t, pcap, nil); len(a.conns) != len(b.conns) || spell(&a.verdicts[0]) != spell(&b.verdicts[0]) {
		t.Errorf("%v, want %v", a.verdicts, b.verdicts)
	}
	if _, err := NewCapture(CaptureConfig{Name: "-", Stdout: &out, MaxBytes: 1}); err == nil {
		t.Error("standard output was to be cut into files")
	}
}

// TestCaptureIsReadWhileItGrows: what was flushed is there, whole.
func TestCaptureIsReadWhileItGrows(t *testing.T) {
	var out bytes.Buffer
	c, err := NewCapture(CaptureConfig{Name: "-", Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	header := out.Len()
	if header == 0 {
		t.Error("no header before the first packet")
	}
	w := &wire{}
	w.f = capture.Frame{Link: 1, Data: make([]byte, 60)}
	c.Record(&w.f, &w.p)
	if out.Len() != header {
		t.Error("not buffered")
	}
	c.Flush()
	if out.Len() <= header {
		t.Error("not flushed")
	}
	if got := tell(t, out.Bytes(), nil); got.err != nil {
		t.Error(got.err)
	}
}

func TestCaptureInSeveralFiles(t *testing.T) {
	for _, k := range []struct {
		name  string
		files int
		first string
		last  string
		left  int
	}{
		{"t.pcapng", 0, "t.pcapng", "t-19.pcapng", 20},
		{"t.pcap", 0, "t.pcap", "t-19.pcap", 20},
		{"t", 0, "t", "t-19", 20},
		{"t.pcapng", 11, "t-00.pcapng", "t-08.pcapng", 11},
		{"t.pcap", 3, "t-0.pcap", "t-1.pcap", 3},
	} {
		dir := t.TempDir()
		c, err := NewCapture(CaptureConfig{Name: filepath.Join(dir, k.name), Files: k.files, MaxBytes: 1200})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			c.Record(&capture.Frame{Link: 1, Time: int64(i), Data: make([]byte, 1200)}, nil)
		}
		if err := c.Close(nil); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != k.left {
			t.Errorf("%s: %d files, %v", k.name, len(list), err)
		}
		if _, err := os.Stat(filepath.Join(dir, k.first)); err != nil {
			t.Error(err)
		}
		if got, _ := raw(t, filepath.Join(dir, k.last)); len(got) != 1 || !strings.HasSuffix(got[0], string(rune(19))) {
			t.Errorf("%s: the last packet is not in %s", k.name, k.last)
		}
	}
	if _, err := NewCapture(CaptureConfig{Name: filepath.Join(t.TempDir(), "t"), Files: 3}); err == nil {
		t.Error("a number of files without their size was accepted")
	}
}

func TestSecondLinkTypeNeedsPcapng(t *testing.T) {
	name := filepath.Join(t.TempDir(), "t.pcap")
	c, err := NewCapture(CaptureConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	c.Record(&capture.Frame{Link: 1, Data: make([]byte, 60)}, nil)
	c.Record(&capture.Frame{Link: 276, Data: make([]byte, 60)}, nil)
	c.Record(&capture.Frame{Link: 1, Data: make([]byte, 60)}, nil)
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "EN10MB and LINUX_SLL2") || !strings.Contains(err.Error(), "name one that ends in .pcapng") {
		t.Error(err)
	}
	if seen, written := c.Counts(); seen != 3 || written != 1 {
		t.Errorf("%d of %d", written, seen)
	}
	if err := c.Close(nil); err == nil {
		t.Error("Close forgot the error")
	}
	if got, in := raw(t, name); len(got) != 1 || in.Err != nil {
		t.Errorf("%d packets before the trouble, %v", len(got), in.Err)
	}
}

func TestEmptyCaptureIsOne(t *testing.T) {
	for _, name := range []string{"t.pcap", "t.pcapng"} {
		name = filepath.Join(t.TempDir(), name)
		c, err := NewCapture(CaptureConfig{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(nil); err != nil {
			t.Fatal(err)
		}
		if got, in := raw(t, name); len(got) != 0 || in.Err != nil {
			t.Errorf("%s: %d packets, %v", name, len(got), in.Err)
		}
	}
}

func TestFullDiskEndsTheFileNotTheRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	for _, flush := range []bool{true, false} {
		c, err := NewCapture(CaptureConfig{Name: "/dev/full"})
		if err == nil {
			for range 10_000 {
				c.Record(&capture.Frame{Link: 1, Data: make([]byte, 100)}, nil)
				if flush {
					c.Flush()
				}
			}
			err = c.Err()
			if closed := c.Close(nil); !errors.Is(closed, err) {
				t.Errorf("%v, then %v", err, closed)
			}
		}
		if err == nil || !strings.Contains(err.Error(), "/dev/full") || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "nothing more is written") {
			t.Error(err)
		}
	}
}

func TestNewCaptureSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Join(dir, "missing", "t.pcapng")} {
		c, err := NewCapture(CaptureConfig{Name: name})
		if err == nil || !strings.Contains(err.Error(), "name a file in a directory that is yours") {
			t.Error(err)
		}
		if c != nil {
			t.Errorf("%s: there is nothing to close, yet something is returned", name)
		}
	}
}

func TestInputIsNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	in, other := filepath.Join(dir, "in-1.pcap"), filepath.Join(dir, "link")
	if err := os.WriteFile(in, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{in}
	if os.Symlink(in, other) == nil {
		names = append(names, other)
	}
	for _, name := range names {
		if _, err := NewCapture(CaptureConfig{Name: name, Inputs: []string{"-", "missing", in}}); err == nil || !strings.Contains(err.Error(), "name another file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := NewCapture(CaptureConfig{Name: filepath.Join(dir, "in.pcap"), MaxBytes: 1, Inputs: names})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.Record(&capture.Frame{Link: 1, Data: make([]byte, 60)}, nil)
	}
	if err := c.Close(nil); err == nil {
		t.Error("the second file of a series was the input, and was written")
	}
	if got := string(mustRead(t, in)); got != "precious" {
		t.Errorf("the input is now %q", got)
	}
}

func TestCaptureAllocatesNothing(t *testing.T) {
	for _, name := range []string{"t.pcap", "t.pcapng"} {
		c, err := NewCapture(CaptureConfig{Name: filepath.Join(t.TempDir(), name)})
		if err != nil {
			t.Fatal(err)
		}
		f := &capture.Frame{Link: 1, Data: make([]byte, 1000), Traits: capture.Inbound}
		if n := testing.AllocsPerRun(1000, func() { c.Record(f, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if err := c.Close(nil); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkCapture(b *testing.B) {
	c, err := NewCapture(CaptureConfig{Name: "-", Stdout: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	f := &capture.Frame{Link: 1, Data: make([]byte, 500), Traits: capture.Inbound}
	for b.Loop() {
		c.Record(f, nil)
	}
}
