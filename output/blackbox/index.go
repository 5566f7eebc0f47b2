package blackbox

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// entry is what the recorder knows of one tuple. A tuple may serve one
// connection after the other; each that began with a SYN is a life.
type entry struct {
	hash  uint64 // 0: free
	last  int64  // time of the newest packet, ns
	late  uint64 // position of the newest record, see Recorder
	early uint64 // ... of the chain of first packets
	count uint32 // records ever made
	birth uint32 // count when the current life began
	isn   uint32 // of the SYN that began it
	life  uint16 // number of the current life
	sides uint8  // which ends have spoken, see header.side
	_     uint8
}

// newest is the position of the newest record of either chain.
func (e *entry) newest() uint64 { return max(e.late, e.early) }

// answered reports whether both ends have spoken: a scan's targets have not.
func (e *entry) answered() bool { return e.sides == 3 }

// index finds entries by hash. It has a fixed size: in a bucket that is full
// a tuple whose packets are gone makes room, else one that got no answer, else
// the one silent for longest.
type index struct {
	buckets []bucket
	shift   uint8
	seed    uint64
	pushed  uint64 // entries that had to make room while their packets were still there
}

const ways = 4

type bucket [ways]entry

func newIndex(entries int) index {
	n := max(bits.Len(uint(entries/ways-1)), 4)
	return index{
		buckets: make([]bucket, 1<<n), shift: uint8(64 - n),
		seed: maphash.Comparable(maphash.MakeSeed(), 0),
	}
}

// find is the entry with that hash, nil if there is none.
func (x *index) find(hash uint64) *entry {
	b := &x.buckets[hash>>x.shift]
	for i := range b {
		if b[i].hash == hash {
			return &b[i]
		}
	}
	return nil
}

// take is the entry with that hash, an empty one if it is new.
func (x *index) take(hash uint64, tail uint64) *entry {
	b := &x.buckets[hash>>x.shift]
	if e := x.find(hash); e != nil {
		return e
	}
	worst := &b[0]
	for i := 1; i < ways; i++ {
		if b[i].worth(tail) < worst.worth(tail) {
			worst = &b[i]
		}
	}
	if worst.newest() >= tail {
		x.pushed++
	}
	*worst = entry{hash: hash}
	return worst
}

// worth ranks the entries of a bucket: positions do not reach the upper bits.
func (e *entry) worth(tail uint64) uint64 {
	newest := e.newest()
	switch {
	case newest < tail:
		return 0
	case e.answered():
		return newest | 1<<63
	}
	return newest
}

// end hashes one end of a connection, seeded, so that nobody can prepare
// connections that share a bucket.
func (x *index) end(addr *[16]byte, port uint16) uint64 {
	a := binary.LittleEndian.Uint64(addr[:8]) ^ x.seed
	b := binary.LittleEndian.Uint64(addr[8:]) ^ uint64(port)<<17 ^ bits.RotateLeft64(x.seed, 31)
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	hi, lo = bits.Mul64(hi^lo^uint64(port), 0x8ebc6af09c88c6e3^x.seed)
	return hi ^ lo
}

// tuple is the hash of a pair of ends, the same for both directions, never 0.
// low tells whether the first end's own hash is the lower one.
func (x *index) tuple(a *[16]byte, ap uint16, b *[16]byte, bp uint16) (hash uint64, low bool) {
	ha, hb := x.end(a, ap), x.end(b, bp)
	hi, lo := bits.Mul64(ha+hb, 0x9e3779b97f4a7c15)
	return max(hi^lo, 1), ha < hb
}
