package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPcapVariants(t *testing.T) {
	two := testPackets(3, at(0, 123_456_789), 1_000_001_000)
	cut := []testPacket{{time: at(0, 123_456_789), data: testFrame(1)[:54], orig: 60}, {time: at(1, 123_457_789), data: testFrame(2)[:54], orig: 60}, {time: at(2, 123_458_789), data: testFrame(3)[:54], orig: 60}}
	kuznetsov := []byte{1, 0, 0, 0, 8, 0, 4, 0}
	tests := []struct {
		name    string
		file    pcapFile
		packets []testPacket
		format  string
		traits  Traits
		frac    int64 // of the first packet's time
	}{
		{"micro", pcapFile{snaplen: 65535}, two, "pcap", 0, 123_456_000},
		{"micro big", pcapFile{order: binary.BigEndian}, two, "pcap (big-endian)", 0, 123_456_000},
		{"nano", pcapFile{magic: pcapNano}, two, "pcap (nanoseconds)", 0, 123_456_789},
		{"nano big", pcapFile{magic: pcapNano, order: binary.BigEndian}, two, "pcap (nanoseconds, big-endian)", 0, 123_456_789},
		{"2.0", pcapFile{major: 2, minor: 0, swap: true}, cut, "pcap 2.0", SnapCut, 123_456_000},
		{"2.2 swapped", pcapFile{major: 2, minor: 2, swap: true, snaplen: 54}, cut, "pcap 2.2", SnapCut, 123_456_000},
		{"2.3 swapped", pcapFile{major: 2, minor: 3, swap: true}, cut, "pcap 2.3", SnapCut, 123_456_000},
		{"2.3 not swapped", pcapFile{major: 2, minor: 3}, cut, "pcap 2.3", SnapCut, 123_456_000},
		{"543.0", pcapFile{major: 543, minor: 0, swap: true}, cut, "pcap 543.0", SnapCut, 123_456_000},
		{"modified", pcapFile{magic: pcapModified, extra: kuznetsov}, two, "pcap (modified)", Outbound, 123_456_000},
		{"modified, 12 more bytes", pcapFile{magic: pcapModified, extra: append(kuznetsov, 0, 1, 2, 3)}, two, "pcap (modified)", Outbound, 123_456_000},
		{"modified, standard magic", pcapFile{extra: kuznetsov}, two, "pcap", Outbound, 123_456_000},
		{"nokia", pcapFile{extra: []byte{0, 0, 1, 0}}, two, "pcap", 0, 123_456_000},
		{"snaplen 0", pcapFile{snaplen: 0}, two, "pcap", 0, 123_456_000},
		{"longer than the snaplen", pcapFile{snaplen: 20}, two, "pcap", 0, 123_456_000},
		{"FCS length in the link field", pcapFile{link: 0x3400_0001}, two, "pcap", 0, 123_456_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ps, in := readBytes(t, tt.file.bytes(tt.packets...))
			if in.Err != nil {
				t.Fatal(in.Err)
			}
			if got := seqs(ps); !slices.Equal(got, []uint32{1, 2, 3}) {
				t.Fatalf("sequence numbers %v", got)
			}
			if in.Format != tt.format || !slices.Equal(in.Links, []string{"EN10MB"}) || in.Snaplen != tt.file.snaplen {
				t.Errorf("format %q links %q snaplen %d", in.Format, in.Links, in.Snaplen)
			}
			if ps[0].Time != at(0, tt.frac) || in.First != ps[0].Time || in.Last != ps[2].Time {
				t.Errorf("time %d, first %d, last %d", ps[0].Time, in.First, in.Last)
			}
			if ps[1].Traits&(SnapCut|Inbound|Outbound|NotToUs) != tt.traits {
				t.Errorf("traits %b, want %b", ps[1].Traits, tt.traits)
			}
			if ps[2].Ref != MakeRef(0, 3) {
				t.Errorf("ref %x", ps[2].Ref)
			}
			if in.Packets != 3 || in.Bad != 0 || in.Backwards != 0 {
				t.Errorf("input %+v", in)
			}
		})
	}
}

func TestPcapNameOfVersion(t *testing.T) {
	_, in := readBytes(t, pcapFile{major: 2, minor: 2, order: binary.BigEndian}.bytes())
	if in.Format != "pcap 2.2 (big-endian)" || in.Err != nil || in.Packets != 0 || in.First != 0 {
		t.Errorf("%+v", in)
	}
}

// Everything before the damage must come out, and the message must tell
// where it is.
func TestPcapDamage(t *testing.T) {
	good := pcapFile{snaplen: 262144}.bytes(testPackets(3, at(0, 0), 1e9)...)
	wild := slices.Clone(good)
	binary.LittleEndian.PutUint32(wild[24+2*76+8:], 0xdeadbeef)
	tests := []struct {
		name    string
		data    []byte
		packets int
		want    string
	}{
		{"in a header", good[:24+2*76+7], 2, "standard input: packet 3: cut short in the middle of the record header (file ends after 7 of 16 bytes): what was read until then is reported"},
		{"right behind a header", good[:24+2*76+16], 2, "standard input: packet 3: cut short in the middle of the record (file ends after 16 of 76 bytes): what was read until then is reported"},
		{"in a frame", good[:len(good)-1], 2, "standard input: packet 3: cut short in the middle of the record (file ends after 75 of 76 bytes): what was read until then is reported"},
		{"in the first", good[:30], 0, "standard input: packet 1: cut short in the middle of the record header (file ends after 6 of 16 bytes): no packet could be read"},
		{"wild length", wild, 2, "standard input: packet 3: its header claims 3735928559 captured bytes, more than any frame holds: what was read until then is reported"},
		{"zeros", append(slices.Clone(good), make([]byte, 4096)...), 3, "standard input: packet 4: only zero bytes where a record should be (disk full, or never written to the end): what was read until then is reported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ps, in := readBytes(t, tt.data)
			if len(ps) != tt.packets || in.Packets != uint64(tt.packets) {
				t.Errorf("%d packets, want %d", len(ps), tt.packets)
			}
			if fmt.Sprint(in.Err) != tt.want {
				t.Errorf("error\n%v\nwant\n%s", in.Err, tt.want)
			}
		})
	}
}

func TestPcapOddRecords(t *testing.T) {
	t.Run("without bytes", func(t *testing.T) {
		ps, in := readBytes(t, pcapFile{}.bytes(
			testPacket{time: at(0, 0), data: testFrame(1)},
			testPacket{time: at(1, 0)},
			testPacket{time: at(2, 0), orig: 60},
			testPacket{time: at(3, 0), data: testFrame(4)}))
		if in.Err != nil || len(ps) != 4 || ps[3].Seq != 4 || in.Cut != 1 {
			t.Errorf("%d packets, %+v", len(ps), in)
		}
	})
	t.Run("wire length below captured", func(t *testing.T) {
		ps, in := readBytes(t, pcapFile{}.bytes(testPacket{time: at(0, 0), data: testFrame(1), orig: 10}))
		if in.Err != nil || len(ps) != 1 || ps[0].Seq != 1 || in.Cut != 0 {
			t.Errorf("%d packets, %+v", len(ps), in)
		}
	})
	t.Run("time goes back", func(t *testing.T) {
		_, in := readBytes(t, pcapFile{}.bytes(
			testPacket{time: at(5, 0), data: testFrame(1)},
			testPacket{time: at(3, 0), data: testFrame(2)},
			testPacket{time: at(4, 0), data: testFrame(3)}))
		if in.Backwards != 1 || in.First != at(3, 0) || in.Last != at(5, 0) {
			t.Errorf("%+v", in)
		}
	})
	t.Run("large", func(t *testing.T) {
		big := append(testFrame(1), make([]byte, 5<<20)...)
		ps, in := readBytes(t, pcapFile{}.bytes(testPacket{time: at(0, 0), data: big}, testPacket{time: at(1, 0), data: testFrame(2)}))
		if in.Err != nil || !slices.Equal(seqs(ps), []uint32{1, 2}) || in.Bytes != uint64(len(big))+60 {
			t.Errorf("%v %+v", seqs(ps), in)
		}
	})
	t.Run("unsupported link", func(t *testing.T) {
		ps, in := readBytes(t, pcapFile{link: 147}.bytes(testPackets(20, at(0, 0), 1)...))
		if len(ps) != 20 || in.Bad != 20 || in.Unsupported["USER0"] != 20 || len(in.BadSamples) != maxBadSamples ||
			in.BadSamples[1] != "packet 2: link type not supported (USER0)" {
			t.Errorf("%+v", in)
		}
	})
}

// cat a.pcap b.pcap is what people do before they learn of mergecap.
func TestPcapConcatenated(t *testing.T) {
	a := pcapFile{snaplen: 96}.bytes(testPackets(2, at(0, 0), 1e9)...)
	b := pcapFile{snaplen: 262144, link: 101}.bytes(testPacket{time: at(9, 0), data: testFrame(7)[14:]})
	ps, in := readBytes(t, bytes.Join([][]byte{a, a, b}, nil))
	if in.Err != nil || !slices.Equal(seqs(ps), []uint32{1, 2, 1, 2, 7}) {
		t.Errorf("%v, %v", seqs(ps), in.Err)
	}
	if ps[4].Ref.Number() != 5 || !slices.Equal(in.Links, []string{"EN10MB", "RAW"}) || in.Snaplen != 262144 {
		t.Errorf("%+v", in)
	}
	_, in = readBytes(t, append(a, a[:20]...))
	if in.Err == nil || !strings.Contains(in.Err.Error(), "packet 3: cut short") {
		t.Errorf("error %v", in.Err)
	}
}
