package assembler

// A Conn that has been silent for a while is parked: packed, which takes a
// tenth of the room. The next packet unpacks it.

// parkBeyond is the number of Conns up to which none is parked, in all trackers
// of an input together, parkAfter the silence (ns of packet time) after which
// one is; less where there are more than twice as many, but never less than
// parkLeast.
const (
	parkAfter  = 1e9
	parkLeast  = 50e6
	parkBeyond = 1 << 9
)

// parkedConn is a Conn that is parked, and what has to be known of it without
// unpacking it.
type parkedConn struct {
	id      uint64
	last    int64 // time of the latest packet
	expires int64 // Conn.expiry
	key     tuple
	next    uint32 // one more than the number of the parcel in which data goes on, 0 if it does not
	states  [2]State
	over    bool
	told    bool // Conn.Told
	data    [188]byte
}

// parcel is where data goes on.
type parcel struct {
	next uint32
	data [124]byte
}

// parked holds the Conns that are parked.
type parked struct {
	pool[parkedConn]
	parcels pool[parcel]
	room    []byte
}

// pack stores c and returns its number.
func (k *parked) pack(c *Conn) uint32 {
	i := k.take()
	p := k.at(i)
	p.id, p.last, p.key = c.ID, c.Last.Time, c.key
	p.states, p.over, p.told = [2]State{c.Ends[0].State, c.Ends[1].State}, c.over(), c.Told
	_, p.expires = c.expiry()
	k.room = c.Pack(k.room[:0])
	next, rest := &p.next, k.room[copy(p.data[:], k.room):]
	for len(rest) > 0 {
		n := k.parcels.take()
		*next = n + 1
		more := k.parcels.at(n)
		next, rest = &more.next, rest[copy(more.data[:], rest):]
	}
	*next = 0
	return i
}

// unpack makes c the Conn of that number.
func (k *parked) unpack(i uint32, c *Conn) {
	p := k.at(i)
	k.room = append(k.room[:0], p.data[:]...)
	for next := p.next; next != 0; {
		more := k.parcels.at(next - 1)
		k.room = append(k.room, more.data[:]...)
		next = more.next
	}
	c.Unpack(k.room)
	c.Told = p.told
}

// discard gives the memory of a parked Conn back.
func (k *parked) discard(i uint32) {
	for next := k.at(i).next; next != 0; {
		n := next - 1
		next = k.parcels.at(n).next
		k.parcels.release(n)
	}
	k.at(i).id = 0
	k.release(i)
}

// bytes is pool.bytes of all that is parked, trim likewise.
func (k *parked) bytes() (held, used int) {
	held, used = k.pool.bytes()
	h, u := k.parcels.bytes()
	return held + h, used + u
}

func (k *parked) trim() {
	k.pool.trim()
	k.parcels.trim()
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
	if n, beyond := t.conns.used, t.cfg.parkBeyond; n > beyond {
		silence := max(parkLeast, parkAfter*int64(2*beyond)/int64(max(n, 2*beyond)))
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
