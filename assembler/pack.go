package assembler

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// A Conn is large, so that rules may ask it anything. It holds no pointer (a
// test holds it to that), so its words are the whole of it, and most of them
// are 0.
const words = int(unsafe.Sizeof(Conn{}) / 8)

func wordsOf(c *Conn) *[words]uint64 { return (*[words]uint64)(unsafe.Pointer(c)) }

// oddWord reports whether half a word is left at the end, as 32-bit systems
// may have it; halfOf is that.
const oddWord = unsafe.Sizeof(Conn{})%8 != 0

func halfOf(c *Conn) *uint32 {
	return (*uint32)(unsafe.Add(unsafe.Pointer(c), unsafe.Sizeof(*c)-4))
}

// A packed connection is a series of codes, each one byte and what it calls for:
//
//	0x80+n      n zero words, 1 to 127
//	shift<<4|n  n bytes, 1 to 8, of a word that has shift zero bytes below them
//	n<<4|9      n bytes, 0 to 5, of the distance to the first packet's time
//	i>>2<<4|12|i&3  the word that place i, 0 to 31, of recentWords holds
const (
	zeroRun   = 0x80
	maxRun    = 0x7f
	fromStart = 9
	maxNear   = 5
	again     = 12
)

// recentWords are the latest words by their hashes: the same stamps stand in
// many places of a Conn. Both who packs and who unpacks keep them.
type recentWords [32]uint64

func (r *recentWords) place(w uint64) (int, *uint64) {
	i := int(w * 0x9e3779b97f4a7c15 >> 59)
	return i, &r[i]
}

// Pack appends c to b in about a tenth of its size.
func (c *Conn) Pack(b []byte) []byte {
	if oddWord {
		b = binary.LittleEndian.AppendUint32(b, *halfOf(c))
	}
	start := uint64(c.First.Time)
	b = binary.LittleEndian.AppendUint64(b, start)
	zeros := 0
	var recent recentWords
	for _, w := range wordsOf(c) {
		if w == 0 {
			zeros++
			continue
		}
		for ; zeros > 0; zeros -= min(zeros, maxRun) {
			b = append(b, zeroRun+byte(min(zeros, maxRun)))
		}
		i, at := recent.place(w)
		if *at == w {
			b = append(b, byte(i>>2<<4|again|i&3))
			continue
		}
		*at = w
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

// Unpack makes c what Pack appended, with which b begins. It overwrites all of c.
func (c *Conn) Unpack(b []byte) {
	*c = Conn{}
	if oddWord {
		*halfOf(c) = binary.LittleEndian.Uint32(b)
		b = b[4:]
	}
	out := wordsOf(c)
	start := binary.LittleEndian.Uint64(b)
	b = b[8:]
	var recent recentWords
	for i := 0; i < words; {
		code := b[0]
		b = b[1:]
		if code > zeroRun {
			i += int(code - zeroRun)
			continue
		}
		high, low := int(code>>4), int(code&15)
		var w uint64
		switch {
		case low >= again:
			w = recent[high<<2|low&3]
		case low == fromStart:
			w = start + unzigzag(little(b, high))
			b = b[high:]
		default:
			w = little(b, low) << (8 * high)
			b = b[low:]
		}
		out[i] = w
		_, at := recent.place(w)
		*at = w
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
