package classify

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"hangup/assembler"
)

// words is a Conn as machine words. A Conn holds no pointer (a test holds it
// to that), so its words are the whole of it, and most of them are 0.
const words = int(unsafe.Sizeof(assembler.Conn{}) / 8)

func wordsOf(c *assembler.Conn) *[words]uint64 { return (*[words]uint64)(unsafe.Pointer(c)) }

// A packed connection is a series of codes, each one byte and what it calls for:
//
//	0x80+n      n zero words, 1 to 127
//	shift<<4|n  n bytes, 1 to 8, of a word that has shift zero bytes below them
//	n<<4|9      n bytes, 0 to 5, of the distance to the first packet's time
const (
	zeroRun   = 0x80
	maxRun    = 0x7f
	fromStart = 9
	maxNear   = 5
	maxPacked = words * 9
)

// pack appends c to b in about a fifth of its size.
func pack(b []byte, c *assembler.Conn) []byte {
	start := uint64(c.First.Time)
	b = binary.LittleEndian.AppendUint64(b, start)
	zeros := 0
	for _, w := range wordsOf(c) {
		if w == 0 {
			zeros++
			continue
		}
		for ; zeros > 0; zeros -= min(zeros, maxRun) {
			b = append(b, zeroRun+byte(min(zeros, maxRun)))
		}
		b = packWord(b, w, start)
	}
	for ; zeros > 0; zeros -= min(zeros, maxRun) {
		b = append(b, zeroRun+byte(min(zeros, maxRun)))
	}
	return b
}

func packWord(b []byte, w, start uint64) []byte {
	shift := bits.TrailingZeros64(w) / 8
	n := (bits.Len64(w)+7)/8 - shift
	near := zigzag(w - start)
	if k := (bits.Len64(near) + 7) / 8; k < n && k <= maxNear {
		b = append(b, byte(k<<4|fromStart))
		return binary.LittleEndian.AppendUint64(b, near)[:len(b)+k]
	}
	b = append(b, byte(shift<<4|n))
	return binary.LittleEndian.AppendUint64(b, w>>(8*shift))[:len(b)+n]
}

func zigzag(d uint64) uint64   { return d<<1 ^ uint64(int64(d)>>63) }
func unzigzag(z uint64) uint64 { return z>>1 ^ -(z & 1) }

// unpack undoes pack; b may go on behind it. It overwrites all of c.
func unpack(c *assembler.Conn, b []byte) {
	*c = assembler.Conn{}
	out := wordsOf(c)
	start := binary.LittleEndian.Uint64(b)
	b = b[8:]
	for i := 0; i < words; {
		code := b[0]
		b = b[1:]
		if code > zeroRun {
			i += int(code - zeroRun)
			continue
		}
		high, low := int(code>>4), int(code&15)
		if low == fromStart {
			out[i] = start + unzigzag(little(b, high))
			b = b[high:]
		} else {
			out[i] = little(b, low) << (8 * high)
			b = b[low:]
		}
		i++
	}
}

// little reads n bytes.
func little(b []byte, n int) (w uint64) {
	for i := n - 1; i >= 0; i-- {
		w = w<<8 | uint64(b[i])
	}
	return w
}

// store keeps packed connections in chunks, so that growth copies nothing.
type store struct {
	chunks [][]byte
	size   int // bytes in use
	room   []byte
	sealed bool // the next one begins a chunk
}

// packedAt is where one lies: chunk and offset.
type packedAt uint64

const chunkSize = 1 << 20

// add keeps c.
func (s *store) add(c *assembler.Conn) packedAt {
	s.room = pack(s.room[:0], c)
	last := len(s.chunks) - 1
	if last < 0 || s.sealed || len(s.chunks[last])+len(s.room) > chunkSize {
		s.chunks = append(s.chunks, make([]byte, 0, chunkSize))
		last++
		s.sealed = false
	}
	at := packedAt(last<<20 | len(s.chunks[last]))
	s.chunks[last] = append(s.chunks[last], s.room...)
	s.size += len(s.room)
	return at
}

// load restores the connection at p into c.
func (s *store) load(p packedAt, c *assembler.Conn) {
	unpack(c, s.chunks[p>>20][p&(chunkSize-1):])
}
