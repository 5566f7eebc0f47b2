package cli

import (
	"testing"

	"hangup/assembler"
)

func TestWaitingForAMinute(t *testing.T) {
	const s = int64(1e9)
	var w waiting
	gone := func(last, now int64, state assembler.State) {
		var c assembler.Conn
		c.Last.Time = last
		c.Ends[assembler.Client].State = state
		w.add(&c, now)
	}
	start := 1_700_000_000 * s
	for i := range int64(100) { // one a second, let go three seconds later
		gone(start+i*s, start+(i+3)*s, assembler.TimeWait)
		gone(start+i*s, start+(i+3)*s, assembler.Closed)
	}
	for _, x := range []struct{ after, want int64 }{{102, 57}, {103, 56}, {158, 1}, {159, 0}, {1000, 0}} {
		if got := w.number(start + x.after*s); got != int(x.want) {
			t.Errorf("%d s after the first: %d wait, not %d", x.after, got, x.want)
		}
	}
	gone(start, start+1000*s, assembler.TimeWait)
	if n := w.number(start + 1000*s); n != 0 {
		t.Errorf("%d wait that ended long ago", n)
	}
}
