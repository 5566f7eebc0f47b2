package cli

import (
	"hangup/assembler"
	"hangup/capture"
)

// drops are the times at which the kernel had no room for packets.
type drops struct {
	events []capture.DropEvent
	any    bool // interfaces are not told apart
}

// mark notes on a connection that lived at such a time, and to now (ns) if it
// lives still, that the packets it lacks may be among those.
func (d *drops) mark(c *assembler.Conn, now int64) {
	last := c.Last.Time
	if c.Ends[assembler.Client].State != assembler.Closed || c.Ends[assembler.Server].State != assembler.Closed {
		last = now
	}
	for _, e := range d.events {
		if e.From <= last && e.To >= c.First.Time && (d.any || e.Iface == c.Iface) {
			c.Partial |= assembler.Dropped
			return
		}
	}
}
