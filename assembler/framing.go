package assembler

// Framing is what one direction's payload shows of the protocol above TCP:
// enough to tell whether the bytes ended at the boundary of a TLS record or
// HTTP message, and nothing that would keep payload. It is fed in sequence
// order and holds no pointer.
type Framing struct{}

// Feed takes the next payload bytes in sequence: seg is what was captured of
// wire bytes (len(seg) <= wire).
func (f *Framing) Feed(seg []byte, wire uint32) {}

// Skip takes n bytes of the sequence that the capture does not show.
func (f *Framing) Skip(n uint32) {}
