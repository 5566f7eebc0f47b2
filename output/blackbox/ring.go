package blackbox

import (
	"unsafe"

	"hangup/capture"
)

// header stands before every frame in the ring. It holds no pointer.
//
// A position counts the bytes that were ever put into the ring, so that it is
// never used twice, and one below the ring's tail names what is gone.
type header struct {
	size    uint32 // of the record: this header and the frame, padded
	capLen  uint32 // bytes of the frame that follow
	wireLen uint32
	ord     uint32 // number among the packets of its tuple
	prev    uint64 // position of the record before, in the same chain; 0 if none
	next    uint64 // ... and of the one behind
	hash    uint64 // of the tuple
	time    int64
	ref     capture.Ref
	seq     uint32
	ack     uint32
	encap   uint32
	link    uint16
	iface   uint16
	traits  capture.Traits // of the frame, and Reassembled
	flags   capture.Flags
	life    uint16 // see entry.life
	bits    uint8
	_       byte
}

// side is a bit for the end that sent the packet.
func (h *header) side() uint8 {
	if h.bits&bitLow != 0 {
		return 1
	}
	return 2
}

const (
	headerSize = uint64(unsafe.Sizeof(header{}))
	align      = 8
)

// Headers follow each other without a gap only if this compiles.
var _ = [1]struct{}{}[headerSize%align]

const (
	bitICMP     = 1 << iota // about the connection, not of it
	bitLow                  // sent by the end whose hash is the lower one
	bitEarly                // in the chain of a life's first packets
	bitCut                  // the ring kept less of the frame than the capture had
	bitFragment             // an IP fragment; the packet that completes it comes behind
	bitAlone                // ... but this one's others are not here
)

// ring holds records in the order in which they were put there. A frame may
// go round the end of the memory, a header never does: behind the end there
// is room for the rest of one.
type ring struct {
	mem        []byte
	size       uint64
	head, tail uint64 // positions: the next record goes to head, the oldest is at tail
}

func newRing(size int) ring {
	r := ring{size: uint64(size) &^ (align - 1)}
	words := make([]uint64, (r.size+headerSize)/align+1) // aligned for a header
	r.mem = unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*align)
	r.head, r.tail = r.size, r.size // 0 is no position
	return r
}

// at is the header at a position, which is a multiple of align.
func (r *ring) at(pos uint64) *header {
	return (*header)(unsafe.Pointer(&r.mem[pos%r.size]))
}

// holds reports whether the record at a position, or no position, is still there.
func (r *ring) holds(pos uint64) bool { return pos >= r.tail }

func (r *ring) full(more uint64) bool { return r.head+more-r.tail > r.size }

// put makes a record at the head. There has to be room.
func (r *ring) put(h *header, frame []byte) (pos uint64) {
	pos = r.head
	*r.at(pos) = *h
	at := (pos + headerSize) % r.size
	n := copy(r.mem[at:r.size], frame)
	copy(r.mem, frame[n:])
	r.head += uint64(h.size)
	return pos
}

// frame appends the frame of the record at pos to b.
func (r *ring) frame(b []byte, pos uint64) []byte {
	n := uint64(r.at(pos).capLen)
	at := (pos + headerSize) % r.size
	first := min(n, r.size-at)
	b = append(b, r.mem[at:at+first]...)
	return append(b, r.mem[:n-first]...)
}

// drop frees the oldest record.
func (r *ring) drop() { r.tail += uint64(r.at(r.tail).size) }

// carry moves the oldest record to the head, with so many bytes of its frame
// at the most. What lay there is only moved down, so that the two may overlap.
func (r *ring) carry(most uint32) (pos uint64) {
	h := *r.at(r.tail)
	from := r.tail + headerSize
	r.tail += uint64(h.size)
	if h.capLen > most {
		h.capLen, h.size = most, uint32(recordSize(int(most)))
		h.bits |= bitCut
	}
	pos = r.head
	to := pos + headerSize
	// The frame first, upwards: its new header may lie where its bytes were.
	for n := uint64(h.capLen); n > 0; {
		f, t := from%r.size, to%r.size
		m := min(n, r.size-f, r.size-t)
		copy(r.mem[t:t+m], r.mem[f:f+m])
		from, to, n = from+m, to+m, n-m
	}
	*r.at(pos) = h
	r.head += uint64(h.size)
	return pos
}

func recordSize(frame int) uint64 {
	return (headerSize + uint64(frame) + align - 1) &^ (align - 1)
}
