package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
)

// fuzzRead reads whatever data is, and holds the reader to its promises:
// it ends, every packet lies within its batch, numbers count up, what it
// counted is what it handed out.
func fuzzRead(t *testing.T, data []byte) {
	s, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data), BatchSize: 16})
	if err != nil {
		return
	}
	defer s.Close()
	var b Batch
	packets, bad := uint64(0), uint64(0)
	for {
		if err := s.Next(&b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(b.Packets) == 0 {
			t.Fatal("an empty batch")
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			packets++
			if p.Ref != MakeRef(0, packets) || uint64(p.Off)+uint64(p.CapLen) > uint64(len(b.Data)) || p.CapLen > p.Len {
				t.Fatalf("packet %d: ref %d, %d of %d bytes at %d of %d", packets, p.Ref.Number(), p.CapLen, p.Len, p.Off, len(b.Data))
			}
			if p.Kind == Bad {
				bad++
			}
		}
	}
	in := s.Inputs()[0]
	if in.Packets != packets || in.Bad != bad || uint64(len(in.BadSamples)) != min(bad, maxBadSamples) || in.First > in.Last || in.Format == "" {
		t.Fatalf("%d packets, %d bad, %+v", packets, bad, in)
	}
}

func FuzzPcap(f *testing.F) {
	packets := testPackets(3, at(0, 0), 1e9)
	for _, file := range []pcapFile{
		{snaplen: 65535}, {order: binary.BigEndian, magic: pcapNano}, {major: 2, minor: 2, swap: true},
		{magic: pcapModified, extra: make([]byte, 8)}, {extra: make([]byte, 4)},
	} {
		f.Add(file.bytes(packets...))
	}
	whole := pcapFile{}.bytes(packets...)
	f.Add(whole[:len(whole)-5])
	f.Add(slices.Concat(whole, whole))
	f.Add(append(whole, make([]byte, 64)...))
	f.Fuzz(fuzzRead)
}

func FuzzPcapng(f *testing.F) {
	small := (&ngFile{}).section(blockOptComment, []byte("x")).iface(1, 96, ifName, []byte("eth0"), ifResolution, []byte{9})
	small.enhanced(0, uint64(at(1, 5)), testFrame(1), 60, packetFlags, []byte{1, 0, 0, 0}, blockOptComment, []byte("y"))
	small.obsolete(0, 3, 1, testFrame(2), 60).simple(testFrame(3), 60).block(10, []byte("secret"))
	small.block(blockStats, small.options(make([]byte, 12), statsEnd, small.halves(5), statsIfaceLost, small.u64(1)))
	f.Add(small.buf)
	f.Add(slices.Concat(small.buf, (&ngFile{order: binary.BigEndian}).section().iface(101, 0).enhanced(0, 1, testFrame(1)[14:], 46).buf))
	f.Add(small.buf[:len(small.buf)-7])
	f.Fuzz(fuzzRead)
}

func FuzzOpen(f *testing.F) {
	plain := pcapFile{}.bytes(testPackets(2, at(0, 0), 1e9)...)
	for _, kind := range compressions {
		packed := pack(f, kind, plain)
		f.Add(packed)
		f.Add(packed[:len(packed)/2])
		f.Add(slices.Concat(packed, packed))
		f.Add(pack(f, "gzip", packed))
	}
	f.Add([]byte("snoop\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04"))
	f.Add([]byte("16:20:01.123456 IP 10.0.0.1.55832 > 10.0.0.2.443: Flags [S], seq 1\n"))
	f.Add([]byte{})
	f.Fuzz(fuzzRead)
}
