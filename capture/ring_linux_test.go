package capture

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fakeRing is a ring in plain memory, which a test fills in the kernel's place.
type fakeRing struct {
	*ring
	filling int  // the block that packets go into
	room    int  // packets in a block
	end     int  // where the next packet goes
	frozen  bool // the next block was not free
}

func newFakeRing(blocks, room int) *fakeRing {
	const shift = 16
	f := &fakeRing{ring: &ring{fd: -1, shift: shift, mem: make([]byte, blocks<<shift), left: make([]uint32, blocks)}, room: room}
	return f
}

// open begins the block that is filled next, as prb_open_block does.
func (f *fakeRing) open(now int64) {
	h := f.header(f.filling)
	h.openSec, h.openNsec = uint32(now/1e9), uint32(now%1e9)
	h.packets, h.first = 0, 48
	f.end = f.filling<<f.shift + 48
}

// put is a packet stamped t, with its number as frame.
func (f *fakeRing) put(t int64, n byte) {
	h := f.header(f.filling)
	p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&f.mem[f.end]))
	*p = unix.Tpacket3Hdr{Next_offset: 128, Sec: uint32(t / 1e9), Nsec: uint32(t % 1e9), Snaplen: 1, Len: 60, Mac: 80, Net: 80}
	f.mem[f.end+80] = n
	f.end += 128
	h.packets++
}

// retire hands the block over.
func (f *fakeRing) retire(now int64) {
	f.header(f.filling).status = unix.TP_STATUS_USER
	f.filling = (f.filling + 1) % f.blocks()
	f.frozen = true
	f.thaw(now)
}

// thaw opens the next block if it is free by now, and reports whether there
// is one to fill: if not, packets are dropped.
func (f *fakeRing) thaw(now int64) bool {
	if f.frozen && f.header(f.filling).status == unix.TP_STATUS_KERNEL {
		f.open(now)
		f.frozen = false
	}
	return !f.frozen
}

// fakeLive is a Live over fake rings.
func fakeLive(rings ...*fakeRing) *Live {
	l := &Live{dec: newDecoder(), snaplen: MaxSnaplen, start: time.Now(), tick: time.Second}
	for i, r := range rings {
		l.feeds = append(l.feeds, &feed{ring: r.ring, number: i, index: 1 + i, link: linkEthernet, ifaces: map[int32]uint16{}})
	}
	return l
}

// TestRingsDeliverInOrderOfTime: CPUs take places in a ring, and only then
// the time, so that neighbours may be in the wrong order, also across blocks;
// several rings are blocks apart. Whatever the kernel and the reader do when,
// packets come in the order of time, all of them, and none waits for long.
func TestRingsDeliverInOrderOfTime(t *testing.T) {
	all, lost := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		rings := make([]*fakeRing, 1+r.IntN(3))
		now := int64(1_700_000_000e9)
		for i := range rings {
			rings[i] = newFakeRing(4, 1+r.IntN(20))
			rings[i].open(now)
		}
		l := fakeLive(rings...)
		var want, got []int64
		dropped := 0
		var b Batch
		b.Packets = make([]Packet, 0, liveBatch)
		read := func(until int64) {
			for {
				b.Packets, b.Data = b.Packets[:0], b.Data[:0]
				horizon := l.collect(until)
				l.held = 0
				l.fill(&b, horizon)
				for _, p := range b.Packets {
					got = append(got, p.Time)
				}
				if len(b.Packets) == 0 {
					return
				}
			}
		}
		for range 400 {
			now += 1 + r.Int64N(100_000)
			f := rings[r.IntN(len(rings))]
			if n := int(f.header(f.filling).packets); !f.frozen && (n == f.room || n > 0 && r.IntN(8) == 0) {
				f.retire(now)
			}
			if !f.thaw(now) {
				dropped++
				read(now)
				continue
			}
			stamp := now - r.Int64N(settling)
			f.put(stamp, 0)
			want = append(want, stamp)
			if r.IntN(4) == 0 {
				read(now)
			}
		}
		now += 2 * settling
		for _, f := range rings {
			if f.thaw(now) && f.header(f.filling).packets > 0 {
				f.retire(now)
			}
		}
		read(now + 2*settling)
		all += len(want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d of %d packets, sorted %v", seed, len(got), len(want), slices.IsSorted(got))
		}
		for i, f := range rings {
			if f.held != 0 || f.waiting() != 0 {
				t.Fatalf("seed %d: ring %d holds %d blocks, %d packets", seed, i, f.held, f.waiting())
			}
		}
		lost += dropped
	}
	if lost > all/2 {
		t.Errorf("%d packets dropped, %d not: the test's rings are too small", lost, all)
	}
}

// TestRingClockSetBack: what was stamped before the clock was set must not
// wait until that time comes again, nor be mixed with what comes later.
func TestRingClockSetBack(t *testing.T) {
	f := newFakeRing(4, 100)
	now := int64(1_700_000_000e9)
	f.open(now)
	f.put(now, 1)
	f.put(now+1e6, 2)
	f.put(now-3600e9, 3)
	f.put(now-3600e9+1, 4)
	f.retire(now - 3599e9)
	l := fakeLive(f)
	b := Batch{Packets: make([]Packet, 0, liveBatch)}
	f.take()
	if l.fill(&b, f.horizon(now-3599e9)); len(b.Packets) != 0 {
		t.Fatalf("%d packets at once", len(b.Packets))
	}
	l.start = l.start.Add(-time.Second)
	l.fill(&b, f.horizon(now-3599e9))
	var order []int64
	for _, p := range b.Packets {
		order = append(order, p.Time-now)
	}
	if !slices.Equal(order, []int64{0, 1e6, -3600e9, -3600e9 + 1}) {
		t.Errorf("order %v", order)
	}
}

// A header that points out of its block is not followed.
func TestRingBelievesNoOffset(t *testing.T) {
	f := newFakeRing(2, 100)
	f.open(1e9)
	f.put(1e9, 1)
	f.put(1e9, 2)
	p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&f.mem[48]))
	p.Next_offset = math.MaxUint32
	p.Snaplen = math.MaxUint32 >> 1
	f.header(0).packets = 1000
	f.retire(2e9)
	f.take()
	if f.waiting() != 1 {
		t.Fatalf("%d packets", f.waiting())
	}
	_, _, data := f.packet(f.pending[0], false)
	if len(data) != 1<<16-48-80 {
		t.Errorf("%d bytes of data", len(data))
	}
}

// TestRingDense: more packets than a batch holds within the time for which
// they wait, and more blocks behind them.
func TestRingDense(t *testing.T) {
	f := newFakeRing(8, 500)
	now := int64(1_700_000_000e9)
	f.open(now)
	const n = 7 * 500
	for i := range int64(n) {
		if i > 0 && i%500 == 0 {
			f.retire(now + i*10)
		}
		f.put(now+i*10, 0)
	}
	f.retire(now + n*10)
	l := fakeLive(f)
	b := Batch{Packets: make([]Packet, 0, liveBatch)}
	got := 0
	for range n/liveBatch + 1 {
		b.Packets, b.Data = b.Packets[:0], b.Data[:0]
		l.fill(&b, l.collect(now+10*settling))
		got += len(b.Packets)
	}
	if got != n {
		t.Errorf("%d packets of %d", got, n)
	}
}
