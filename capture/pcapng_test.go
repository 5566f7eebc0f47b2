package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
)

// A file with everything that is ever written into one.
func fullPcapng() *ngFile {
	f := &ngFile{}
	f.section(blockOptComment, []byte("lab \x1b[31m run 7"), 2, []byte("amd64"))
	f.iface(1, 262144, ifName, []byte("eth0"), ifResolution, []byte{9})
	f.iface(113, 96, ifName, []byte("any"), ifResolution, []byte{0x80 | 20})
	f.enhanced(0, uint64(at(1, 5)), testFrame(1), 60, packetFlags, f.o().AppendUint32(nil, 1), packetLost, f.u64(2))
	f.block(10, []byte("TLSK secrets nobody reads"))
	f.enhanced(1, uint64(at(2, 0)/1e9)<<20|1<<19, append(make([]byte, 16), testFrame(0)[14:54]...), 999, packetFlags, f.o().AppendUint32(nil, 2))
	f.block(0x40000bad, make([]byte, 3<<20))
	f.obsolete(0, 3, uint64(at(3, 0)), testFrame(3), 60)
	f.obsolete(0, 0xffff, uint64(at(4, 0)), testFrame(4), 60)
	f.simple(testFrame(5), 60)
	f.enhanced(0, uint64(at(6, 0)), testFrame(6), 60, blockOptComment, []byte("look here"), packetFlags, f.o().AppendUint32(nil, 4<<2|1))
	f.block(blockStats, f.options(append(f.o().AppendUint32(nil, 0), f.halves(uint64(at(7, 0)))...),
		statsEnd, f.halves(uint64(at(7, 1))), statsIfaceLost, f.u64(10), statsHostLost, f.u64(1)))
	return f
}

func TestPcapngBlocks(t *testing.T) {
	ps, in := readBytes(t, fullPcapng().buf)
	if in.Err != nil {
		t.Fatal(in.Err)
	}
	times := []int64{at(1, 5), at(2, 500_000_000), at(3, 0), at(4, 0), at(4, 0), at(6, 0)}
	traits := []Traits{Inbound, Outbound | SnapCut, 0, 0, 0, NotToUs}
	for i, p := range ps {
		if p.Time != times[i] || p.Traits&(Inbound|Outbound|NotToUs|SnapCut) != traits[i] || p.Ref != MakeRef(0, uint64(i+1)) {
			t.Errorf("packet %d: time %d traits %b ref %x", i+1, p.Time, p.Traits, p.Ref)
		}
	}
	if got := seqs(ps); !slices.Equal(got, []uint32{1, 0, 3, 4, 5, 6}) {
		t.Errorf("sequence numbers %v", got)
	}
	if ps[0].Iface == ps[1].Iface || ps[0].Iface != ps[5].Iface {
		t.Errorf("interfaces %d %d %d", ps[0].Iface, ps[1].Iface, ps[5].Iface)
	}
	want := Input{
		Name: "-", Format: "pcapng", Links: []string{"EN10MB", "LINUX_SLL"}, Snaplen: 262144,
		Packets: 6, Bytes: 5*60 + 56, Cut: 1, Bad: in.Bad, BadSamples: in.BadSamples, Drops: 11,
		First: at(1, 5), Last: at(6, 0), End: at(7, 1),
		Comments: []string{"lab  [31m run 7", "packet 6: look here"},
	}
	if fmt.Sprintf("%+v", in) != fmt.Sprintf("%+v", want) {
		t.Errorf("input\n%+v\nwant\n%+v", in, want)
	}
}

func TestPcapngSections(t *testing.T) {
	f := &ngFile{}
	f.section().iface(1, 0).enhanced(0, ngMicros(at(0, 0)), testFrame(1), 60)
	big := &ngFile{order: binary.BigEndian}
	big.section().iface(101, 0, ifName, []byte("tun0")).enhanced(0, ngMicros(at(1, 0)), testFrame(2)[14:], 46)
	again := (&ngFile{}).section().iface(1, 0).enhanced(0, ngMicros(at(2, 0)), testFrame(3), 60)
	ps, in := readBytes(t, bytes.Join([][]byte{f.buf, big.buf, again.buf}, nil))
	if in.Err != nil || !slices.Equal(seqs(ps), []uint32{1, 2, 3}) || !slices.Equal(in.Links, []string{"EN10MB", "RAW"}) {
		t.Fatalf("%v %+v", seqs(ps), in)
	}
	if ps[1].Iface == ps[0].Iface || ps[2].Iface != ps[0].Iface || ps[1].Time != at(1, 0) {
		t.Errorf("interfaces %d %d %d", ps[0].Iface, ps[1].Iface, ps[2].Iface)
	}
}

// A broken packet block costs that packet, a broken frame of blocks the rest.
func TestPcapngDamage(t *testing.T) {
	start := func() *ngFile {
		return (&ngFile{}).section().iface(1, 0).enhanced(0, ngMicros(at(0, 0)), testFrame(1), 60)
	}
	wildCapLen := start().enhanced(0, ngMicros(at(1, 0)), testFrame(2), 60)
	binary.LittleEndian.PutUint32(wildCapLen.buf[len(wildCapLen.buf)-4-60-8:], 0xfffffff0)
	wildCapLen.enhanced(0, ngMicros(at(2, 0)), testFrame(3), 60)
	noTrailer := start().enhanced(0, 1, testFrame(2), 60)
	noTrailer.buf[len(noTrailer.buf)-4]++
	noSkipTrailer := start().block(10, make([]byte, 40))
	noSkipTrailer.buf[len(noSkipTrailer.buf)-4]++
	whole := start().enhanced(0, ngMicros(at(2, 0)), testFrame(2), 60).buf
	skipped := start().block(10, make([]byte, 40)).buf
	noOrder := start().section()
	noOrder.buf[len(noOrder.buf)-4-16]++
	tests := []struct {
		name    string
		data    []byte
		packets int
		bad     []string
		err     string
	}{
		{"captured length", wildCapLen.buf, 3, []string{"packet 2: record length does not fit the file"}, ""},
		{"interface", start().enhanced(1, 1, testFrame(2), 60).enhanced(0, 1, testFrame(3), 60).buf, 3, []string{"packet 2: belongs to an interface that the file does not describe"}, ""},
		{"short blocks", start().block(blockEnhanced, make([]byte, 16)).block(blockSimple, nil).block(blockPacket, nil).buf, 4,
			[]string{"packet 2: record length does not fit the file", "packet 3: record length does not fit the file", "packet 4: record length does not fit the file"}, ""},
		{"simple without interface", (&ngFile{}).section().simple(testFrame(1), 60).buf, 1, []string{"packet 1: belongs to an interface that the file does not describe"}, ""},
		{"trailing length", noTrailer.buf, 1, nil, "packet 2: its block gives its length as 92 in front and 93 behind: what was read until then is reported"},
		{"trailing length of a skipped block", noSkipTrailer.buf, 1, nil, "packet 2: a block gives its length as 52 in front and 53 behind: what was read until then is reported"},
		{"zero length", append(start().buf, make([]byte, 100)...), 1, nil, "packet 2: block of type 0x0 claims to be 0 bytes long: what was read until then is reported"},
		{"wild length", append(start().buf, 6, 0, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0), 1, nil, "packet 2: block of type 0x6 claims to be 4026531840 bytes long: what was read until then is reported"},
		{"cut in a packet", whole[:len(whole)-3], 1, nil, "packet 2: cut short in the middle of the record (file ends after 89 of 92 bytes): what was read until then is reported"},
		{"cut in a block header", append(start().buf, 6, 0, 0), 1, nil, "packet 2: cut short in the middle of the block header (file ends after 3 of 12 bytes): what was read until then is reported"},
		{"cut in a skipped block", skipped[:len(skipped)-10], 1, nil, "packet 2: cut short in the middle of the block (file ends after 42 of 52 bytes): what was read until then is reported"},
		{"cut at the end of a skipped block", skipped[:len(skipped)-4], 1, nil, "packet 2: cut short in the middle of the block (file ends after 48 of 52 bytes): what was read until then is reported"},
		{"no byte order", noOrder.buf, 1, nil, "packet 2: a section starts without its byte-order mark: what was read until then is reported"},
		{"short interface", start().block(blockInterface, make([]byte, 4)).buf, 1, nil, "packet 2: an interface description of 16 bytes is too short: what was read until then is reported"},
		{"short section", start().block(blockSection, f4d3c2b1a).buf, 1, nil, "packet 2: a section header of 16 bytes is too short: what was read until then is reported"},
		{"other version", start().block(blockSection, append(slices.Clone(f4d3c2b1a), 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).buf, 1, nil,
			"packet 2: pcapng version 9.0 is not known (1.0 is), convert it with: editcap -F pcapng IN OUT: what was read until then is reported"},
		{"short statistics", start().block(blockStats, nil).block(blockStats, make([]byte, 12)).block(blockStats, bytes.Repeat([]byte{7}, 12)).buf, 1, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ps, in := readBytes(t, tt.data)
			if len(ps) != tt.packets || !slices.Equal(in.BadSamples, tt.bad) || int(in.Bad) != len(tt.bad) {
				t.Errorf("%d packets, bad %q", len(ps), in.BadSamples)
			}
			if want := "standard input: " + tt.err; tt.err == "" && in.Err != nil || tt.err != "" && fmt.Sprint(in.Err) != want {
				t.Errorf("error\n%v\nwant\n%s", in.Err, want)
			}
		})
	}
}

var f4d3c2b1a = []byte{0x4d, 0x3c, 0x2b, 0x1a}

func TestPcapngBrokenOptions(t *testing.T) {
	f := (&ngFile{}).section(blockOptComment, []byte("fine"))
	// A name longer than its block, a list without end, a resolution
	// without a value.
	f.block(blockInterface, []byte{1, 0, 0, 0, 0, 0, 0, 0, ifResolution, 0, 0, 0, ifName, 0, 0xff, 0xff, 'e', 't', 'h', '0'})
	f.block(blockEnhanced, append(f.packetBody(f.o().AppendUint32(nil, 0), ngMicros(at(0, 0)), testFrame(1), 60), packetFlags, 0, 1, 0, 9, 9, 9, 9, 2, 0))
	ps, in := readBytes(t, f.buf)
	if in.Err != nil || len(ps) != 1 || ps[0].Time != at(0, 0) || ps[0].Seq != 1 || ps[0].Has(Inbound) {
		t.Errorf("%+v %+v", ps, in)
	}
}

func TestPcapngComments(t *testing.T) {
	f := (&ngFile{}).section().iface(1, 0)
	for i := range 20 {
		f.enhanced(0, uint64(i), testFrame(1), 60, blockOptComment, bytes.Repeat([]byte("long \xff"), 2000))
	}
	_, in := readBytes(t, f.buf)
	if len(in.Comments) != maxComments || len(in.Comments[0]) > maxCommentLen+len("packet 1: ") {
		t.Errorf("%d comments, %d bytes", len(in.Comments), len(in.Comments[0]))
	}
}

// The clock is checked against arithmetic without bounds.
func TestClock(t *testing.T) {
	ticks := []uint64{0, 1, 999, 1_700_000_000, 1_700_000_000_123_456, uint64(at(0, 123_456_789)), 1 << 62, 1<<63 - 1, 1 << 63, math.MaxUint64 - 505_000_000, math.MaxUint64}
	for res := range 256 {
		for _, offset := range []int64{0, 1, -1, 3600, math.MaxInt64, math.MinInt64} {
			c := newClock(byte(res), offset)
			for _, n := range ticks {
				if got, want := c.ns(n), wideNs(byte(res), n, offset); got != want {
					t.Fatalf("resolution %#x offset %d: %d ticks are %d ns, want %d", res, offset, n, got, want)
				}
			}
		}
	}
}

func wideNs(res byte, ticks uint64, offset int64) int64 {
	den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(res&0x7f)), nil)
	if res&0x80 != 0 {
		den = new(big.Int).Lsh(big.NewInt(1), uint(res&0x7f))
	}
	limit := big.NewInt(math.MaxInt64)
	v := new(big.Int).SetUint64(ticks)
	v.Quo(v.Mul(v, big.NewInt(1e9)), den)
	if v.Cmp(limit) > 0 {
		v.SetUint64(-ticks)
		neg := int64(ticks) < 0
		v.Quo(v.Mul(v, big.NewInt(1e9)), den)
		if !neg || v.Cmp(limit) > 0 {
			v.Set(limit)
		}
		if neg {
			v.Neg(v)
		}
	}
	seconds := max(-math.MaxInt64/1_000_000_000, min(math.MaxInt64/1_000_000_000, offset))
	v.Add(v, new(big.Int).Mul(big.NewInt(seconds), big.NewInt(1e9)))
	if v.Cmp(limit) > 0 {
		return math.MaxInt64
	}
	if v.Cmp(big.NewInt(math.MinInt64)) < 0 {
		return math.MinInt64
	}
	return v.Int64()
}
