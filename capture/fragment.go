package capture

import (
	"encoding/binary"
	"math/bits"
)

const (
	// maxPending bounds the datagrams in reassembly, and with maxDatagram
	// the memory: 16 MiB. Whole ones pass within milliseconds, so that a
	// flood pushes out mostly itself.
	maxPending = 256

	// maxDatagram is the largest IP payload that fragments can make up.
	maxDatagram = 65535

	// fragmentTimeout is Linux's ipfrag_time. RFC 8200 4.5 has 60 s for
	// IPv6; the shorter time serves IPv4, whose 16-bit IDs come round.
	fragmentTimeout = 30e9
)

// fragmentKey is what the fragments of one datagram share (RFC 791 3.2, RFC
// 8200 4.5), and the tunnel they came through.
type fragmentKey struct {
	src, dst [16]byte
	id       uint32
	encap    uint32
	protocol uint8 // IPv4 only
	v6       bool
}

// datagram is one packet in reassembly. Places are counted in units of eight
// bytes, as fragment offsets are.
type datagram struct {
	key   fragmentKey
	first int64  // when its first fragment came
	total uint32 // bytes of the whole, 0 while the last fragment is missing
	units uint32 // units seen

	// usable is where the first fragment that the capture cut stops: bytes
	// beyond it may be missing in buf.
	usable uint32

	protocol uint8 // next header, of the fragment with offset 0
	refused  bool  // fragments overlapped: none of it will be used
	chain    int16 // next in the same bucket
	older    int16
	newer    int16
	seen     [(maxDatagram + 8) / 8 / 64]uint64
	buf      []byte
}

// none is the end of a chain of datagrams.
const none = -1

// fragmentTable holds pending datagrams, found by key and ordered by age.
// It takes no memory before the first fragment.
type fragmentTable struct {
	pending        int
	expired        uint64
	slots          []datagram
	free           []int16
	oldest, newest int16
	buckets        [maxPending]int16
}

func (t *fragmentTable) setUp() {
	t.slots = make([]datagram, maxPending)
	t.free = make([]int16, 0, maxPending)
	for i := range int16(maxPending) {
		t.free = append(t.free, maxPending-1-i)
		t.buckets[i] = none
	}
	t.oldest, t.newest = none, none
}

// fragment adds what lies before w to its datagram. When that completes it,
// the walk goes on in the whole one; else the packet has been nothing that
// is of use by itself.
//
// As in Linux (inet_frag_queue_insert), for IPv4 as for IPv6: a fragment that
// brings nothing new is a duplicate and is dropped, one that overlaps in part
// spoils the datagram (RFC 5722), those of its fragments included that are
// still to come.
func (w *walk) fragment(key fragmentKey, offset uint32, more bool, protocol uint8) layer {
	if !carriesTCP(protocol) {
		return done
	}
	length := w.wire
	if length == 0 || length > maxDatagram-offset || more && length%8 != 0 {
		return w.bad(FragmentLength)
	}
	key.encap = w.nested.key()
	t := &w.d.fragmented
	i := t.find(key, w.p.Time)
	g := &t.slots[i]
	switch {
	case g.refused || !g.fits(offset, length, more):
		g.refused = true
		return w.bad(FragmentOverlap)
	case !g.add(offset, length, w.rest):
		return done
	}
	if offset == 0 {
		g.protocol = protocol
	}
	if !more {
		g.total = offset + length
	}
	if g.total == 0 || g.units*8 < g.total {
		w.p.Traits |= Fragment
		return done
	}
	usable := min(g.usable, g.total)
	if !w.b.room(usable) {
		t.release(i)
		return w.bad(FragmentLimit)
	}
	w.off, w.wire = uint32(len(w.b.Data)), g.total
	w.b.Data = append(w.b.Data, g.buf[:usable]...)
	w.rest = w.b.Data[w.off:]
	w.p.Traits |= Reassembled
	next := g.protocol
	t.release(i)
	return w.carry(next)
}

// fits reports whether a fragment agrees with the ones before it about where
// the datagram ends and, unless it is a duplicate, overlaps none of them.
func (g *datagram) fits(offset, length uint32, more bool) bool {
	end := offset + length
	if g.total != 0 && (end > g.total || !more && end != g.total) {
		return false
	}
	if !more && g.total == 0 && g.beyond((end+7)/8) {
		return false
	}
	n := g.covered(offset/8, (end+7)/8)
	return n == 0 || n == (end+7)/8-offset/8
}

// add copies a fragment in; false if it was there already. data is shorter
// than length where the capture cut it.
func (g *datagram) add(offset, length uint32, data []byte) bool {
	from, to := offset/8, (offset+length+7)/8
	if g.covered(from, to) != 0 {
		return false
	}
	g.cover(from, to)
	g.units += to - from
	end := offset + uint32(len(data))
	if uint32(len(data)) < length {
		g.usable = min(g.usable, end)
	}
	if uint32(len(g.buf)) < end {
		g.grow(end)
	}
	copy(g.buf[offset:], data)
	return true
}

// grow makes room for n bytes, in steps that keep a datagram of ordinary
// size from costing the largest.
func (g *datagram) grow(n uint32) {
	if uint32(cap(g.buf)) < n {
		size := min(uint32(1)<<bits.Len32(n-1), maxDatagram+1)
		bigger := make([]byte, len(g.buf), size)
		copy(bigger, g.buf)
		g.buf = bigger
	}
	g.buf = g.buf[:n]
}

// covered counts the units in [from, to) that have been seen.
func (g *datagram) covered(from, to uint32) (n uint32) {
	for from < to {
		mask, next := unitMask(from, to)
		n += uint32(bits.OnesCount64(g.seen[from/64] & mask))
		from = next
	}
	return n
}

func (g *datagram) cover(from, to uint32) {
	for from < to {
		mask, next := unitMask(from, to)
		g.seen[from/64] |= mask
		from = next
	}
}

// beyond reports whether anything at or after the unit was seen.
func (g *datagram) beyond(unit uint32) bool {
	return g.covered(unit, uint32(len(g.seen))*64) != 0
}

// unitMask is the part of [from, to) that lies in the word of from, and where
// the next word begins.
func unitMask(from, to uint32) (mask uint64, next uint32) {
	next = min(from/64*64+64, to)
	mask = ^uint64(0) >> (64 - (next - from)) << (from % 64)
	return mask, next
}

// find returns the slot of the datagram with that key, a fresh one if there
// is none or it is too old.
func (t *fragmentTable) find(key fragmentKey, now int64) int16 {
	if t.slots == nil {
		t.setUp()
	}
	for t.oldest != none && now-t.slots[t.oldest].first > fragmentTimeout {
		t.giveUp(t.oldest)
	}
	bucket := &t.buckets[key.bucket()]
	for i := *bucket; i != none; i = t.slots[i].chain {
		if t.slots[i].key == key {
			return i
		}
	}
	if len(t.free) == 0 {
		t.giveUp(t.oldest)
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	g := &t.slots[i]
	*g = datagram{
		key: key, first: now, usable: maxDatagram,
		chain: *bucket, older: t.newest, newer: none,
		buf: g.buf[:0],
	}
	*bucket = i
	if t.newest != none {
		t.slots[t.newest].newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
	t.pending++
	return i
}

// giveUp drops a datagram that was not completed.
func (t *fragmentTable) giveUp(i int16) {
	t.expired++
	t.release(i)
}

// release takes slot i out of its chain and of the order of age, and keeps
// its buffer for the next datagram.
func (t *fragmentTable) release(i int16) {
	g := &t.slots[i]
	at := &t.buckets[g.key.bucket()]
	for *at != i {
		at = &t.slots[*at].chain
	}
	*at = g.chain
	if g.older != none {
		t.slots[g.older].newer = g.newer
	} else {
		t.oldest = g.newer
	}
	if g.newer != none {
		t.slots[g.newer].older = g.older
	} else {
		t.newest = g.older
	}
	t.free = append(t.free, i)
	t.pending--
}

func (k *fragmentKey) bucket() uint8 {
	h := mix(binary.LittleEndian.Uint64(k.src[8:]) ^ uint64(k.id)<<32)
	return uint8(mix(h ^ binary.LittleEndian.Uint64(k.dst[8:]) ^ uint64(k.encap)))
}
