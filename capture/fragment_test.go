package capture

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// piece is a fragment: bytes [from, to) of the datagram.
type piece struct{ from, to int }

// pieces cuts n bytes every size bytes.
func pieces(n, size int) (all []piece) {
	for from := 0; from < n; from += size {
		all = append(all, piece{from, min(from+size, n)})
	}
	return all
}

// fragmentV4 is a fragment of the datagram with that payload.
func fragmentV4(payload []byte, at piece) []byte {
	field := uint16(at.from / 8)
	if at.to < len(payload) {
		field |= ipMoreFragments
	}
	return v4Fragment(hostA, hostB, protocolTCP, field, payload[at.from:at.to])
}

func fragmentV6(payload []byte, at piece) []byte {
	field := uint16(at.from)
	if at.to < len(payload) {
		field |= 1
	}
	return v6(hostC, hostD, protocolFragment, join([]byte{protocolTCP, 0}, be16(field), be32(0xabcd1234), payload[at.from:at.to]))
}

// long is a TCP segment of n bytes of data, none of which are alike.
func long(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 >> (i % 3))
	}
	return segment(40000, 80, 100, 900, ACK, timestamps(7, 8), data)
}

// TestFragments reassembles datagrams in every order and size of fragments,
// also in a tunnel whose own packets are fragments.
func TestFragments(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{8, 16, 576, 1480, 8192} {
		for _, length := range []int{0, 1, 7, 1400, 5000, 65503 - 32} {
			payload := long(length)
			if len(payload)/size > 2000 {
				continue
			}
			for _, build := range []func([]byte, piece) []byte{fragmentV4, fragmentV6} {
				b := newBench(linkRaw)
				all := pieces(len(payload), size)
				if len(all) == 1 {
					continue
				}
				for _, order := range [][]piece{all, reversed(all), shuffled(r, all)} {
					reassemble(t, b, payload, order, build)
				}
				if pending, expired := b.dec.fragments(); pending+expired != 0 {
					t.Fatalf("%d pending, %d expired", pending, expired)
				}
			}
		}
	}
}

func reversed(all []piece) []piece {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func shuffled(r *rand.Rand, all []piece) []piece {
	all = slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func reassemble(t *testing.T, b *bench, payload []byte, order []piece, build func([]byte, piece) []byte) {
	t.Helper()
	for i, at := range order {
		p := b.decode(join(build(payload, at)))
		b.check(t, &p)
		if i < len(order)-1 {
			if p.Kind != Other {
				t.Fatalf("fragment %d of %d: kind %d, %q", i, len(order), p.Kind, p.Problem)
			}
			continue
		}
		if p.Kind != TCP || !p.Has(Reassembled) || p.Seq != 100 || p.Len != uint32(len(payload)-32) {
			t.Fatalf("whole: %+v", p)
		}
		if want := payload[32:]; b.payload(&p) != string(want) {
			t.Fatalf("payload differs")
		}
		if p.Has(IPv6) && p.IPID != 0x1234 || !p.Has(HasIPID) {
			t.Fatalf("IPID %x", p.IPID)
		}
	}
}

// TestFragmentsNested sends fragments through a tunnel whose packets are
// fragmented as well.
func TestFragmentsNested(t *testing.T) {
	b := newBench(linkRaw)
	payload := long(2000)
	var last Packet
	for i, at := range pieces(len(payload), 1200) {
		inner := vxlanHeader(42, ether(0x0800, fragmentV4(payload, at)))
		outer := datagramUDP(5, portVXLAN, inner)
		for _, o := range pieces(len(outer), 504) {
			field := uint16(o.from / 8)
			if o.to < len(outer) {
				field |= ipMoreFragments
			}
			frame := v4Fragment("192.0.2.1", "192.0.2.2", protocolUDP, field, outer[o.from:o.to])
			last = b.decode(with(frame, 4, 0, byte(i)))
		}
	}
	if last.Kind != TCP || last.Depth != 1 || b.payload(&last) != string(payload[32:]) {
		t.Fatalf("got %+v", last)
	}
	if got := b.dec.encap(last.Encap); got != "vxlan 42 in 192.0.2.1 > 192.0.2.2" {
		t.Errorf("encapsulation %q", got)
	}
}

// TestFragmentsCut reassembles what a snaplen left of fragments.
func TestFragmentsCut(t *testing.T) {
	payload := long(3000)
	for _, snaplen := range []int{20 + 14, 20 + 20, 20 + 31, 20 + 32, 20 + 40, 1000, 1500} {
		b := newBench(linkRaw)
		var p Packet
		for _, at := range pieces(len(payload), 1480) {
			frame := fragmentV4(payload, at)
			p = b.cut(frame, min(len(frame), snaplen))
			b.check(t, &p)
		}
		got := min(snaplen, 1500) - 20 - 32
		if snaplen == 1500 {
			got = 3000
		}
		if p.Kind != TCP || p.Len != 3000 || p.CapLen != uint32(max(0, got)) || p.Has(HeaderCut) != (got < 0) {
			t.Errorf("snaplen %d: %+v", snaplen, p)
		}
		if b.payload(&p) != string(payload[32:32+p.CapLen]) {
			t.Errorf("snaplen %d: payload differs", snaplen)
		}
	}
}

// TestFragmentTrouble feeds sequences of fragments that are not all right.
// Pieces are of a datagram of 88 bytes; one that ends at 88 is a last one.
func TestFragmentTrouble(t *testing.T) {
	payload := long(56)
	tests := []struct {
		name   string
		pieces []piece
		want   string // O ther, T CP, B ad
	}{
		{"each twice", []piece{{0, 40}, {0, 40}, {40, 88}}, "OOT"},
		{"duplicate within", []piece{{0, 64}, {8, 40}, {64, 88}}, "OOT"},
		{"overlap", []piece{{0, 40}, {32, 88}}, "OB"},
		{"overlap spoils those to come", []piece{{0, 40}, {32, 64}, {40, 88}, {0, 40}}, "OBBB"},
		{"overlap from before", []piece{{40, 88}, {0, 48}}, "OB"},
		{"beyond the last one", []piece{{0, 40}, {40, 80}, {40, 88}}, "OOB"},
		{"last one again, whole", []piece{{40, 88}, {40, 88}, {0, 40}}, "OOT"},
		{"a hole", []piece{{0, 40}, {48, 88}}, "OO"},
		{"another after it", []piece{{0, 40}, {40, 88}, {0, 40}, {40, 88}}, "OTOT"},
	}
	for _, test := range tests {
		for _, build := range []func([]byte, piece) []byte{fragmentV4, fragmentV6} {
			b := newBench(linkRaw)
			var got strings.Builder
			for _, at := range test.pieces {
				p := b.decode(build(payload, at))
				b.check(t, &p)
				got.WriteByte("OTIB"[p.Kind])
				if p.Kind == Bad && p.Problem != FragmentOverlap {
					t.Errorf("%s: %q", test.name, p.Problem)
				}
			}
			if got.String() != test.want {
				t.Errorf("%s: %s, want %s", test.name, got.String(), test.want)
			}
		}
	}
}

// TestFragmentEnds contradicts the length that a last fragment has told.
func TestFragmentEnds(t *testing.T) {
	payload := long(56)
	end := func(at piece, n int) []byte { return fragmentV4(payload[:n], at) }
	tests := []struct {
		name   string
		frames [][]byte
	}{
		{"second end later", [][]byte{end(piece{40, 80}, 80), end(piece{80, 88}, 88)}},
		{"second end earlier", [][]byte{end(piece{80, 88}, 88), end(piece{32, 40}, 40)}},
		{"more beyond the end", [][]byte{end(piece{40, 72}, 72), end(piece{72, 80}, 88)}},
		{"end before what was seen", [][]byte{end(piece{40, 80}, 88), end(piece{16, 24}, 24)}},
	}
	for _, test := range tests {
		b := newBench(linkRaw)
		b.decode(test.frames[0])
		if p := b.decode(test.frames[1]); p.Problem != FragmentOverlap {
			t.Errorf("%s: kind %d, %q", test.name, p.Kind, p.Problem)
		}
	}
}

// TestFragmentLength gives fragments lengths that they cannot have.
func TestFragmentLength(t *testing.T) {
	tests := map[string][]byte{
		"odd length":    v4Fragment(hostA, hostB, protocolTCP, ipMoreFragments, make([]byte, 20)),
		"nothing in it": v4Fragment(hostA, hostB, protocolTCP, ipMoreFragments, nil),
		"beyond 65,535": v4Fragment(hostA, hostB, protocolTCP, ipOffsetMask, make([]byte, 8)),
	}
	for name, frame := range tests {
		b := newBench(linkRaw)
		if p := b.decode(frame); p.Problem != FragmentLength {
			t.Errorf("%s: kind %d, %q", name, p.Kind, p.Problem)
		}
		if pending, expired := b.dec.fragments(); pending+expired != 0 {
			t.Errorf("%s: %d pending, %d expired", name, pending, expired)
		}
	}
}

// TestFragmentUseless leaves alone what cannot lead to TCP.
func TestFragmentUseless(t *testing.T) {
	b := newBench(linkRaw)
	p := b.decode(v4Fragment(hostA, hostB, protocolICMP, ipMoreFragments, make([]byte, 1480)))
	if pending, _ := b.dec.fragments(); p.Kind != Other || pending != 0 {
		t.Errorf("kind %d, %d pending", p.Kind, pending)
	}
}

// TestFragmentTimeout lets a datagram grow too old.
func TestFragmentTimeout(t *testing.T) {
	payload := long(56)
	b := newBench(linkRaw)
	b.decode(fragmentV4(payload, piece{0, 40}))
	b.now += fragmentTimeout
	if p := b.decode(fragmentV4(payload, piece{40, 88})); p.Kind != Other {
		t.Errorf("an old fragment was used: %+v", p)
	}
	if pending, expired := b.dec.fragments(); pending != 1 || expired != 1 {
		t.Errorf("%d pending, %d expired, want 1 and 1", pending, expired)
	}
	if p := b.decode(fragmentV4(payload, piece{0, 40})); p.Kind != TCP {
		t.Errorf("kind %d, want TCP", p.Kind)
	}
}

// TestFragmentKeys keeps apart what must not be mixed.
func TestFragmentKeys(t *testing.T) {
	payload := long(56)
	first, last := fragmentV4(payload, piece{0, 40}), fragmentV4(payload, piece{40, 88})
	others := map[string][]byte{
		"ID":          ether(0x0800, with(last, 4, 9)),
		"source":      ether(0x0800, with(last, 12, 9)),
		"destination": ether(0x0800, with(last, 16, 9)),
		"protocol":    ether(0x0800, with(last, 9, protocolUDP)),
		"VLAN":        ether(0x8100, tag(5, 0x0800, last)),
	}
	for name, other := range others {
		b := newBench(linkEthernet)
		b.decode(ether(0x0800, first))
		if p := b.decode(other); p.Kind != Other {
			t.Errorf("other %s: kind %d", name, p.Kind)
		}
		if p := b.decode(ether(0x0800, last)); p.Kind != TCP {
			t.Errorf("other %s: then kind %d", name, p.Kind)
		}
	}
}

// TestFragmentFlood sends first fragments without end: what is pending stays
// bounded, and a whole datagram among them still comes through.
func TestFragmentFlood(t *testing.T) {
	payload := long(65000)
	b := newBench(linkRaw)
	b.now = 1e18
	for n := range 20 * maxPending {
		frame := fragmentV4(payload, piece{60000, 64000})
		b.now -= 1e6 - 1
		b.decode(with(frame, 4, byte(n>>8), byte(n), frame[6], frame[7], frame[8], frame[9], 0, 0, 10, byte(n>>16)))
		if n%1000 == 999 {
			small := long(56)
			b.decode(with(fragmentV4(small, piece{0, 40}), 16, 99))
			if p := b.decode(with(fragmentV4(small, piece{40, 88}), 16, 99)); p.Kind != TCP {
				t.Fatalf("after %d: kind %d", n, p.Kind)
			}
		}
	}
	pending, expired := b.dec.fragments()
	if pending > maxPending || pending+expired != 20*maxPending {
		t.Errorf("%d pending, %d expired", pending, expired)
	}
	size := 0
	for _, g := range b.dec.fragmented.slots {
		size += cap(g.buf)
	}
	if size > maxPending*(maxDatagram+1) {
		t.Errorf("%d bytes of buffers", size)
	}
}

// TestFragmentBuffers reuses a buffer that holds the data of another
// datagram: none of that may show.
func TestFragmentBuffers(t *testing.T) {
	b := newBench(linkRaw)
	reassemble(t, b, long(5000), pieces(5032, 1480), fragmentV4)
	other := segment(40000, 80, 100, 900, ACK, timestamps(7, 8), bytes.Repeat([]byte{0xee}, 3000))
	reassemble(t, b, other, reversed(pieces(3032, 1480)), fragmentV4)
}

// fragments counts the datagrams of which some IP fragments are still
// missing, and those that were given up: too old, pushed out by newer ones,
// or overlapping. Not to be called while another goroutine decodes.
func (d *decoder) fragments() (pending, expired uint64) {
	return uint64(d.fragmented.pending), d.fragmented.expired
}
