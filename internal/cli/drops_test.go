package cli

import (
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

func TestDropsMarkWhoLivedThen(t *testing.T) {
	d := drops{events: []capture.DropEvent{{From: 100, To: 110, N: 3, Iface: 1}}}
	for _, c := range []struct {
		what        string
		first, last int64
		iface       uint16
		open, any   bool
		want        bool
	}{
		{"lived then", 50, 105, 1, false, false, true},
		{"ended before", 50, 99, 1, false, false, false},
		{"was silent then, and goes on", 50, 99, 1, true, false, true},
		{"began later", 111, 120, 1, false, false, false},
		{"on another interface", 50, 105, 2, false, false, false},
		{"somewhere", 50, 105, 2, false, true, true},
	} {
		conn := assembler.Conn{Iface: c.iface, First: assembler.Stamp{Time: c.first}, Last: assembler.Stamp{Time: c.last}}
		for s := range conn.Ends {
			conn.Ends[s].State = assembler.Closed
			if c.open {
				conn.Ends[s].State = assembler.Established
			}
		}
		d.any = c.any
		d.mark(&conn, 200)
		if got := conn.Partial&assembler.Dropped != 0; got != c.want {
			t.Errorf("%s: marked %v", c.what, got)
		}
	}
}
