package cli

import (
	"testing"

	"hangup/assembler"
	"hangup/classify"
	"hangup/output"
)

// Every connection is either told or counted, however many there are and of
// however many kinds.
func TestFoldLosesNone(t *testing.T) {
	var told, more uint64
	f := fold{kinds: make(map[foldKind]*folded), tell: func(m output.More) { more += m.N }}
	v := &classify.Verdict{Class: classify.TimedOut, Cause: classify.ConnectTimeout}
	n := uint64(0)
	add := func(now int64, port uint16, times int) (admitted uint64) {
		var c assembler.Conn
		c.Ends[assembler.Server].Port = port
		for range times {
			n++
			if f.admits(now, &c, v) {
				admitted++
			}
		}
		told += admitted
		return admitted
	}
	if got := add(0, 80, 1000); got != foldLines {
		t.Errorf("%d of a storm are told, not %d", got, foldLines)
	}
	if got := add(0, 81, 3); got != 3 {
		t.Errorf("%d of three at another server are told", got)
	}
	f.flush(foldSpan-1, false)
	if more != 0 {
		t.Error("the rest is told too early")
	}
	f.flush(foldSpan, false)
	if more != 1000-foldLines {
		t.Errorf("%d more are told, not %d", more, 1000-foldLines)
	}
	if got := add(foldSpan, 80, 10); got != 10 {
		t.Errorf("%d of ten are told after the storm", got)
	}
	for port := range uint16(3 * foldKinds) {
		add(2*foldSpan, port, foldLines+1)
		if len(f.kinds) > foldKinds {
			t.Fatalf("%d kinds are kept", len(f.kinds))
		}
	}
	f.flush(0, true)
	if told+more != n {
		t.Errorf("%d told and %d more of %d", told, more, n)
	}
}
