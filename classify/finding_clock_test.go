package classify_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hangup/classify"
	"hangup/internal/story"
)

// Of a capture whose clock stood still, or told full seconds only, this is
// said, and nothing that a round number or a moment in common would prove.
func TestCoarseClock(t *testing.T) {
	none := func(int64) int64 { return 0 }
	seconds := func(ns int64) int64 { return ns - ns%int64(time.Second) }
	for _, c := range []struct {
		story, kind string // with a clock
		clock       func(int64) int64
		severity    classify.Severity // of the capture's flaw without one
	}{
		{"burst", classify.KindBurst, none, classify.Serious},
		{"reconnect-storm", classify.KindStorm, none, classify.Serious},
		{"idle-timeout", classify.KindIdleTimeout, none, classify.Serious},
		{"idle-timeout", classify.KindIdleTimeout, seconds, classify.Warning},
	} {
		pcap, err := story.Capture(filepath.Join("..", "testdata", "findings", c.story+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		find := func(kind string) *classify.Finding {
			a, in := gather(t, bytes.NewReader(pcap))
			list := a.Findings(in...)
			i := slices.IndexFunc(list, func(f classify.Finding) bool { return f.Kind == kind })
			if i < 0 {
				return nil
			}
			return &list[i]
		}
		if find(c.kind) == nil || find(classify.KindUntrusted) != nil {
			t.Errorf("%s: not what it was", c.story)
		}
		retime(pcap, c.clock)
		if f := find(c.kind); f != nil {
			t.Errorf("%s without a clock: %s", c.story, f.Title)
		}
		if f := find(classify.KindUntrusted); f == nil || f.Severity != c.severity {
			t.Errorf("%s: no word of the clock: %v", c.story, f)
		}
	}
}

// What is found does not depend on when it was: many a capture that a program
// wrote begins at 0, in 1970.
func TestCaptureFromZero(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "testdata", "findings", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatal("no stories", err)
	}
	for _, name := range names {
		pcap, err := story.Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		find := func() (list []string) {
			a, in := gather(t, bytes.NewReader(pcap))
			for _, f := range a.Findings(in...) {
				list = append(list, fmt.Sprint(f.Severity, " ", f.Confidence, " ", f.Kind, f.Also, " ", f.Title))
			}
			return list
		}
		want := find()
		first := int64(math.MaxInt64)
		retime(pcap, func(ns int64) int64 { first = min(first, ns); return ns })
		retime(pcap, func(ns int64) int64 { return ns - first })
		if got := find(); !slices.Equal(got, want) {
			t.Errorf("%s: from 0 %q, else %q", filepath.Base(name), got, want)
		}
	}
}

// retime gives each packet of a little-endian pcap with ns the time (ns) that
// clock makes of its own.
func retime(pcap []byte, clock func(int64) int64) {
	for at := 24; at < len(pcap); {
		head := pcap[at:]
		ns := clock(int64(binary.LittleEndian.Uint32(head))*1e9 + int64(binary.LittleEndian.Uint32(head[4:])))
		binary.LittleEndian.PutUint32(head, uint32(ns/1e9))
		binary.LittleEndian.PutUint32(head[4:], uint32(ns%1e9))
		at += 16 + int(binary.LittleEndian.Uint32(head[8:]))
	}
}
