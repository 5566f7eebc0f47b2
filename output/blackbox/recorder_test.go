package blackbox

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

const second = int64(1e9)

// wire makes packets of numbered connections.
type wire struct {
	r     *Recorder
	now   int64
	count uint64
	f     capture.Frame
	p     capture.Packet
	data  [4096]byte
}

func newWire(r *Recorder) *wire { return &wire{r: r, now: 1_700_000_000 * second} }

func address(n int) (a [16]byte) {
	a[10], a[11], a[12] = 0xff, 0xff, 10
	binary.BigEndian.PutUint16(a[14:], uint16(n>>16))
	return a
}

// send records one packet of connection n, by its client or server. Its first
// bytes tell which packet it is.
func (w *wire) send(n int, client bool, size int, flags capture.Flags) {
	w.count++
	w.now += 1000
	w.p = capture.Packet{
		Ref: capture.MakeRef(0, w.count), Time: w.now, Kind: capture.TCP, Flags: flags,
		Src: address(n), SrcPort: uint16(n), Dst: address(1 << 24), DstPort: 443, Seq: uint32(n),
	}
	if !client {
		w.p.Src, w.p.Dst, w.p.SrcPort, w.p.DstPort = w.p.Dst, w.p.Src, w.p.DstPort, w.p.SrcPort
	}
	for i := 16; i < size; i++ {
		w.data[i] = byte(w.count)
	}
	binary.LittleEndian.PutUint64(w.data[:], uint64(n))
	binary.LittleEndian.PutUint64(w.data[8:], w.count)
	w.f = capture.Frame{Ref: w.p.Ref, Time: w.now, Link: 1, Data: w.data[:size], WireLen: uint32(size)}
	w.r.Record(&w.f, &w.p)
}

// conn is connection n as a tracker would report it now.
func (w *wire) conn(n int) *assembler.Conn {
	c := &assembler.Conn{First: assembler.Stamp{Ref: 1, Time: 1}, Last: assembler.Stamp{Ref: w.p.Ref, Time: w.now}}
	c.Ends[0].Addr, c.Ends[0].Port = address(n), uint16(n)
	c.Ends[1].Addr, c.Ends[1].Port = address(1<<24), 443
	return c
}

// numbers are those of a trail's packets, whose bytes are looked at.
func numbers(t *testing.T, n int, tr trail) (list []uint64) {
	t.Helper()
	for _, p := range tr.packets {
		number := binary.LittleEndian.Uint64(p.frame[8:])
		if binary.LittleEndian.Uint64(p.frame) != uint64(n) || number != p.ref.Number() {
			t.Fatalf("connection %d got packet %d of %d", n, number, binary.LittleEndian.Uint64(p.frame))
		}
		for _, b := range p.frame[16:] {
			if b != byte(number) {
				t.Fatalf("packet %d is damaged: %x", number, p.frame)
			}
		}
		if len(list) > 0 && list[len(list)-1] >= number {
			t.Fatalf("packet %d after %d", number, list[len(list)-1])
		}
		list = append(list, number)
	}
	return list
}

const all = 1 << 40

// TestRingKeepsTheLastPackets holds the recorder to a model: whatever wraps
// around and is moved, a trail is made of the connection's own packets,
// whole, in order, each once, the latest among them.
func TestRingKeepsTheLastPackets(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := NewRecorder(leastRing, 1500)
		w := newWire(r)
		sent := map[int][]uint64{}
		for i := range 40_000 {
			n := rng.IntN(8) * rng.IntN(8) * rng.IntN(8)
			w.send(n, rng.IntN(2) == 0, 16+rng.IntN(1400), capture.ACK)
			sent[n] = append(sent[n], w.count)
			if i%97 == 0 {
				n := rng.IntN(343)
				check(t, numbers(t, n, r.gather(w.conn(n), all)), sent[n])
			}
			if i%1013 == 0 {
				n := rng.IntN(343)
				r.Forget(w.conn(n))
				if got := r.gather(w.conn(n), all); len(got.packets) > 0 {
					t.Fatalf("%d packets after Forget", len(got.packets))
				}
				sent[n] = nil
			}
		}
		if w.r.ring.head < 8*w.r.ring.size {
			t.Fatalf("the ring did not wrap often: %d", w.r.ring.head/w.r.ring.size)
		}
	}
}

// check finds got within sent: its first few, and an unbroken run at its end.
func check(t *testing.T, got, sent []uint64) {
	t.Helper()
	if len(sent) == 0 {
		return
	}
	if len(got) == 0 || got[len(got)-1] != sent[len(sent)-1] {
		t.Fatalf("the last packet %d is missing in %v", sent[len(sent)-1], got)
	}
	last := 0
	for last < len(got) && got[len(got)-1-last] == sent[len(sent)-1-last] {
		last++
	}
	if rest := len(got) - last; rest > 4 {
		t.Fatalf("%d packets before the run of the last %d: %v of %v", rest, last, got, sent)
	}
}

// TestDownloadPushesNobodyOut: connections silent for many turns of the ring
// keep their first and last packets.
func TestDownloadPushesNobodyOut(t *testing.T) {
	r := NewRecorder(4<<20, 0)
	w := newWire(r)
	const quiet = 100
	for n := range quiet {
		for i := range 60 {
			w.send(n, i%2 == 0, 120, capture.ACK)
		}
	}
	for range 100_000 {
		w.send(1<<20, false, 1514, capture.ACK)
	}
	if turns := r.ring.head / r.ring.size; turns < 30 {
		t.Fatalf("only %d turns", turns)
	}
	for n := range quiet {
		got := numbers(t, n, r.gather(w.conn(n), all))
		first := uint64(60*n + 1)
		if len(got) < 20 || got[0] != first || got[1] != first+1 || got[len(got)-1] != first+59 {
			t.Fatalf("of connection %d remain packets %v, it sent %d to %d", n, got, first, first+59)
		}
	}
}

// TestManyIdleConnectionsShareTheRing: where the first and last packets of all
// do not fit, each keeps less.
func TestManyIdleConnectionsShareTheRing(t *testing.T) {
	r := NewRecorder(4<<20, 0)
	w := newWire(r)
	const idle = 4000 // with 36 packets of 200 bytes: 28 MB
	for i := range 40 {
		for n := range idle {
			w.send(n, i%2 == 0, 112, capture.ACK)
		}
	}
	for range 40_000 {
		w.send(1<<20, false, 1514, capture.ACK)
	}
	have := 0
	for n := range idle {
		if len(numbers(t, n, r.gather(w.conn(n), all))) > 0 {
			have++
		}
	}
	if have < idle/2 {
		t.Errorf("only %d of %d connections have packets left", have, idle)
	}
}

// TestScanPushesFewOut: a million SYNs nobody answers take the place of
// hardly any connection that was answered.
func TestScanPushesFewOut(t *testing.T) {
	r := NewRecorder(4<<20, 0)
	w := newWire(r)
	const quiet = 500
	for n := range quiet {
		for i := range 6 {
			w.send(n, i%2 == 0, 120, capture.ACK)
		}
	}
	for n := range 300_000 {
		w.send(1<<22+n, true, 60, capture.SYN)
	}
	have := 0
	for n := range quiet {
		if len(r.gather(w.conn(n), all).packets) > 0 {
			have++
		}
	}
	if have < quiet*9/10 {
		t.Errorf("%d of %d connections have packets left", have, quiet)
	}
}

// TestSilenceEndsProtection: nothing stays for ever without being forgotten.
func TestSilenceEndsProtection(t *testing.T) {
	for _, answered := range []bool{true, false} {
		r := NewRecorder(leastRing, 0)
		w := newWire(r)
		w.send(1, true, 100, capture.SYN)
		if answered {
			w.send(1, false, 100, capture.SYN|capture.ACK)
		}
		bulk := func() {
			for range 4000 {
				w.send(2, false, 1400, capture.ACK)
			}
		}
		w.now += 2 * 60 * second
		bulk()
		if len(r.gather(w.conn(1), all).packets) == 0 {
			t.Errorf("answered %t: gone after two minutes", answered)
		}
		w.now += 3600 * second
		bulk()
		if got := len(r.gather(w.conn(1), all).packets); got > 0 != answered {
			t.Errorf("answered %t: %d packets after an hour", answered, got)
		}
		w.now += 3 * 3600 * second
		bulk()
		if len(r.gather(w.conn(1), all).packets) > 0 {
			t.Errorf("answered %t: there after four hours", answered)
		}
	}
}

func TestNextConnectionOnTheSamePorts(t *testing.T) {
	r := NewRecorder(leastRing, 0)
	w := newWire(r)
	first := assembler.Stamp{Ref: 1, Time: w.now + 1000}
	for i := range 6 {
		w.send(1, i%2 == 0, 100, []capture.Flags{capture.SYN, capture.SYN | capture.ACK, capture.ACK}[min(i, 2)])
	}
	old := w.conn(1)
	old.First = first
	w.now += 5 * second
	w.send(1, true, 100, capture.SYN)
	w.p.Seq++ // another initial sequence number
	r.Record(&w.f, &w.p)
	young := w.conn(1)
	young.First = young.Last
	r.Forget(old) // must not hurt its successor
	if got := r.gather(young, all); len(got.packets) != 2 {
		t.Errorf("%d packets of the later one", len(got.packets))
	}
	if got := numbers(t, 1, r.gather(old, all)); len(got) != 6 || got[5] != 6 {
		t.Errorf("the earlier one has packets %v", got)
	}
	for range 4000 {
		w.send(2, false, 1400, capture.ACK)
	}
	if got := numbers(t, 1, r.gather(old, all)); len(got) != 6 {
		t.Errorf("the earlier one has packets %v when the ring has turned", got)
	}
	r.Forget(young)
	if got := r.gather(young, all); len(got.packets) != 0 {
		t.Errorf("%d packets after Forget", len(got.packets))
	}
}

func TestLongFramesAreCut(t *testing.T) {
	r := NewRecorder(leastRing, 96)
	w := newWire(r)
	w.send(1, true, 97, 0)
	w.send(1, true, 96, 0)
	got := r.gather(w.conn(1), all).packets
	if len(got) != 2 || len(got[0].frame) != 96 || got[0].wireLen != 97 || got[0].bits&bitCut == 0 || got[1].bits&bitCut != 0 {
		t.Errorf("%+v", got)
	}
}

func TestGatherKeepsToItsLimit(t *testing.T) {
	r := NewRecorder(leastRing, 0)
	w := newWire(r)
	for range 500 {
		w.send(1, true, 1000, 0)
	}
	tr := r.gather(w.conn(1), 20_000)
	got := numbers(t, 1, tr)
	if !tr.more || len(got) < 15 || len(got) > 22 || got[0] != 1 || got[len(got)-1] != 500 {
		t.Errorf("packets %v, more %t", got, tr.more)
	}
}

// TestRecordAllocatesNothing, whatever millions of connections do, and so its
// memory is what NewRecorder took.
func TestRecordAllocatesNothing(t *testing.T) {
	r := NewRecorder(leastRing, 0)
	w := newWire(r)
	n := 0
	per := testing.AllocsPerRun(50, func() {
		for range 20_000 {
			n++
			w.send(n, true, 60, capture.SYN)
			w.send(n, false, 60, capture.SYN|capture.ACK)
			w.send(n-n%64, n%2 == 0, 900, capture.ACK)
		}
	})
	if per != 0 {
		t.Errorf("%v allocations for 60,000 packets", per)
	}
	if n < 1_000_000 {
		t.Errorf("only %d connections", n)
	}
}

func TestRecorderTakesWhatItSays(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := NewRecorder(0, 0)
	runtime.ReadMemStats(&after)
	took := after.TotalAlloc - before.TotalAlloc
	if most := uint64(defaultRing) * 6 / 5; took < defaultRing || took > most {
		t.Errorf("%d bytes, want at most %d", took, most)
	}
	runtime.KeepAlive(r)
}

func TestRecorderInManyHands(t *testing.T) {
	r := NewRecorder(leastRing, 0)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			w := newWire(r)
			for i := range 3000 {
				w.send(i%50, true, 200, 0)
				switch i % 10 {
				case 3:
					r.gather(w.conn(i%50), all)
				case 7:
					r.Forget(w.conn(i % 50))
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRecord: one packet into a ring that has long turned, by how many
// connections there are and whether they are idle between.
func BenchmarkRecord(b *testing.B) {
	for _, conns := range []int{1, 1000, 100_000} {
		for _, size := range []int{66, 512, 1514} {
			b.Run(fmt.Sprintf("%d/%d", conns, size), func(b *testing.B) {
				r := NewRecorder(0, 0)
				w := newWire(r)
				rng := rand.New(rand.NewPCG(1, 2))
				order := make([]int, 1<<16)
				for i := range order {
					order[i] = rng.IntN(conns)
				}
				for i := range 2 * defaultRing / (size + 80) {
					w.send(order[i%len(order)], i%2 == 0, size, capture.ACK)
				}
				f, p := w.f, w.p
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					n := order[i%len(order)]
					p.Src, p.SrcPort = address(n), uint16(n)
					p.Dst, p.DstPort = address(1<<24), 443
					f.Time += 1000
					r.Record(&f, &p)
				}
				b.ReportMetric(float64(r.lasts()), "last-packets")
			})
		}
	}
}
