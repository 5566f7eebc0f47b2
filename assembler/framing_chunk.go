package assembler

// maxChunkDigit is how many hexadecimal digits a chunk's size may have: one
// less than net/http's 16, which nobody needs.
const maxChunkDigit = 15

// chunkSizeByte reads a chunk's size (RFC 9112 7.1).
func (f *Framing) chunkSizeByte(b byte) {
	digit := uint64(0)
	switch {
	case b >= '0' && b <= '9':
		digit = uint64(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		digit = uint64(b|0x20-'a') + 10
	case b == 'H' && f.have == 0 && f.w[wChunks] == 0 && f.flags&httpResponse != 0:
		// The response to a HEAD, and the next one: see responseAgain.
		f.endMessage()
		f.startByte(b)
		return
	case f.have == 0:
		f.refuse()
		return
	case b == '\n':
		f.chunk()
		return
	case b == ';' || b == ' ' || b == '\t' || b == '\r':
		f.state = inChunkExtension
		return
	default:
		f.refuse()
		return
	}
	f.acc = f.acc<<4 | digit
	if f.have++; f.have > maxChunkDigit {
		f.refuse()
	}
}

// chunk opens the chunk whose size acc holds, or the trailer.
func (f *Framing) chunk() {
	f.w[wChunks] = min(f.w[wChunks]+1, 2)
	f.left = f.acc
	f.acc, f.have = 0, 0
	f.state = inChunk
	if f.left == 0 {
		f.flags |= httpTrailer
		f.state = atLine
	}
}

func (f *Framing) afterChunkByte(b byte) {
	switch b {
	case '\r':
	case '\n':
		f.state = inChunkSize
	default:
		f.refuse()
	}
}
