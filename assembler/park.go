package assembler

import (
	"math/bits"
	"unsafe"
)

// A Conn is large, so that rules may ask it anything, and mostly zero. One
// that has been silent for a while is parked: packed into its words that are
// not zero, which takes a quarter of the room or less. The next packet
// unpacks it.

// parkAfter is the silence (ns of packet time) after which a Conn is parked,
// less where there are more than parkMany Conns, but never less than
// parkLeast; parkBeyond is the number of Conns up to which none is.
const (
	parkAfter  = 1e9
	parkLeast  = 50e6
	parkMany   = 1 << 10 // 5 MB
	parkBeyond = 1 << 9
)

// A Conn holds no pointer, so it is as good as machine words.
const (
	wordSize  = bits.UintSize / 8
	connWords = int(unsafe.Sizeof(Conn{}) / wordSize)
	mapWords  = (connWords + bits.UintSize - 1) / bits.UintSize
)

func wordsOf(c *Conn) *[connWords]uint { return (*[connWords]uint)(unsafe.Pointer(c)) }

// parcel is a part of a parked Conn. Its first one says which words follow,
// and whose they are.
type parcel struct {
	words [208 / wordSize]uint
	next  uint32 // one more than the number of the parcel that goes on; 0 in the last
	first bool

	// In the first one.
	over    bool
	told    bool // Conn.Told
	states  [2]State
	key     tuple
	last    int64 // time of the latest packet
	expires int64 // Conn.expiry
	id      uint64
}

// parked holds the Conns that are parked.
type parked struct {
	pool[parcel]
	conns int
}

// pack stores c and returns the number of its first parcel.
func (k *parked) pack(c *Conn) uint32 {
	first := k.take()
	p := k.at(first)
	*p = parcel{
		first: true, over: c.over(), told: c.Told, states: [2]State{c.Ends[0].State, c.Ends[1].State},
		key: c.key, last: c.Last.Time, id: c.ID,
	}
	_, p.expires = c.expiry()
	var which [mapWords]uint
	words := wordsOf(c)
	for i, w := range words {
		if w != 0 {
			which[i/bits.UintSize] |= 1 << (i % bits.UintSize)
		}
	}
	n := copy(p.words[:], which[:])
	for i, m := range which {
		for ; m != 0; m &= m - 1 {
			if n == len(p.words) {
				next := k.take()
				p.next = next + 1
				p, n = k.at(next), 0
				p.next, p.first = 0, false
			}
			p.words[n] = words[i*bits.UintSize+bits.TrailingZeros(m)]
			n++
		}
	}
	k.conns++
	return first
}

// unpack makes c the Conn whose first parcel is number i.
func (k *parked) unpack(i uint32, c *Conn) {
	*c = Conn{}
	p := k.at(i)
	told := p.told
	var which [mapWords]uint
	n := copy(which[:], p.words[:])
	words := wordsOf(c)
	for i, m := range which {
		for ; m != 0; m &= m - 1 {
			if n == len(p.words) {
				p, n = k.at(p.next-1), 0
			}
			words[i*bits.UintSize+bits.TrailingZeros(m)] = p.words[n]
			n++
		}
	}
	c.Told = told
}

// discard gives the parcels of a parked Conn back.
func (k *parked) discard(i uint32) {
	for {
		p := k.at(i)
		next := p.next
		p.first = false
		k.release(i)
		if next == 0 {
			break
		}
		i = next - 1
	}
	k.conns--
}

// hands go round the pools like those of a clock, a few records a batch.
type hands struct {
	park, lone, flow, noted, conn, parked uint32
	turn                                  uint64
}

// parkSteps is how many Conns parkIdle looks at in one batch, at the least,
// and parkPace how many for each new one; parkRound is the most batches that
// it takes to go round.
const (
	parkSteps = 64
	parkPace  = 2
	parkRound = 64
)

// parkIdle parks some of the Conns that have been silent.
func (t *Tracker) parkIdle() {
	if n := t.conns.used; n > t.cfg.parkBeyond {
		silence := max(parkLeast, parkAfter*parkMany/int64(max(n, parkMany)))
		t.park(max(parkSteps, n/parkRound, t.fresh*parkPace), t.dues.now-silence)
	}
	t.fresh = 0
}

// park looks at n Conns and parks those silent since before the given time.
func (t *Tracker) park(n int, before int64) {
	for ; n > 0 && t.conns.used > 0; n-- {
		i := t.conns.after(t.hands.park)
		t.hands.park = i + 1
		c := t.conns.at(i)
		if c.Last.Time >= before || c.next != 0 {
			continue // not silent, or not alone
		}
		if at, newest := t.newest(c); newest == i {
			r := makeRef(aParked, t.parked.pack(c))
			at.set(r)
			if c.over() {
				t.enqueue(c, r)
			}
			t.freeConn(i)
		}
	}
}
