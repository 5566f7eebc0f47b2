package assembler

// NewGeneral returns a Tracker in which every connection is a Conn from its
// first packet, and never parked: what all others must agree with.
func NewGeneral(cfg Config) *Tracker {
	cfg.general, cfg.parkBeyond = true, 1<<30
	return newTracker(cfg)
}

// NewParking returns a Tracker that takes no notes and parks every Conn it can.
func NewParking(cfg Config) *Tracker {
	cfg.unnoted = true
	return newTracker(cfg)
}

// Bare is a copy of c without its place in the tracker's memory.
func (c *Conn) Bare() *Conn {
	bare := *c
	bare.next = 0
	return &bare
}

// Live is the number of connections that are followed.
func (t *Tracker) Live() int { return t.live() }
