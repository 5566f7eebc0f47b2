package assembler

// NewGeneral returns a Tracker in which every connection is a Conn from its
// first packet: what lone and flow must agree with.
func NewGeneral(cfg Config) *Tracker {
	cfg.general = true
	return New(cfg)
}

// Bare is a copy of c without its place in the tracker's memory.
func (c *Conn) Bare() *Conn {
	bare := *c
	bare.next = 0
	return &bare
}
