package assembler

// Sequence numbers live on a circle of 2^32 (RFC 9293 3.4): a is before b if
// the way from a forward to b is the shorter one.

func seqLT(a, b uint32) bool  { return int32(a-b) < 0 }
func seqLEQ(a, b uint32) bool { return int32(a-b) <= 0 }

// seqMax is the later of two sequence numbers.
func seqMax(a, b uint32) uint32 {
	if seqLT(a, b) {
		return b
	}
	return a
}

// span is a range [from, to) of sequence numbers.
type span struct{ from, to uint32 }
