package classify

import "hangup/assembler"

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
	s.room = c.Pack(s.room[:0])
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
	c.Unpack(s.chunks[p>>20][p&(chunkSize-1):])
}
