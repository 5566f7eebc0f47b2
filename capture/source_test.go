package capture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// many is a file of n packets of size bytes each.
func many(format string, n, size int) []byte {
	frame := append(testFrame(1), make([]byte, size-60)...)
	frame[16], frame[17] = byte((size-14)>>8), byte(size-14)
	if format == "pcapng" {
		f := (&ngFile{}).section().iface(1, 0)
		for i := range n {
			f.enhanced(0, ngMicros(at(0, int64(i)*1000)), frame, uint32(size), packetFlags, []byte{1, 0, 0, 0})
		}
		return f.buf
	}
	ps := make([]testPacket, n)
	for i := range ps {
		ps[i] = testPacket{time: at(0, int64(i)*1000), data: frame}
	}
	return pcapFile{}.bytes(ps...)
}

func TestReadDoesNotAllocate(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		for _, size := range []int{60, 1514, 9014} {
			t.Run(fmt.Sprint(format, size), func(t *testing.T) {
				data := many(format, 400_000*60/size, size)
				s, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data)})
				if err != nil {
					t.Fatal(err)
				}
				var b Batch
				next := func() {
					if err := s.Next(&b); err != nil {
						t.Fatal(err)
					}
				}
				for range 10 {
					next()
				}
				if n := testing.AllocsPerRun(30, next); n != 0 {
					t.Errorf("%v allocations per batch", n)
				}
			})
		}
	}
}

// A batch belongs to its consumer while others are filled: what it holds
// must not change, and all of it must come out.
func TestBatchesAreIndependent(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		ps := testPackets(20_000, at(0, 0), 1000)
		f := (&ngFile{}).section().iface(1, 0)
		for i, p := range ps { // six bytes of payload that say which packet they are of
			copy(p.data[54:], fmt.Sprintf("%06d", i+1))
			f.enhanced(0, ngMicros(p.time), p.data, 60)
		}
		data := f.buf
		if format == "pcap" {
			data = pcapFile{}.bytes(ps...)
		}
		s, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data), BatchSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		var batches []*Batch
		for {
			b := new(Batch)
			if err := s.Next(b); err == io.EOF {
				break
			}
			if len(b.Packets) > 200 {
				t.Fatalf("batch of %d packets", len(b.Packets))
			}
			batches = append(batches, b)
		}
		n := 0
		for _, b := range batches {
			for i := range b.Packets {
				n++
				if p := &b.Packets[i]; p.Seq != uint32(n) || string(b.Payload(p)) != fmt.Sprintf("%06d", n) {
					t.Fatalf("%s: packet %d is %d with %q", format, n, p.Seq, b.Payload(p))
				}
			}
		}
		if n != 20_000 {
			t.Errorf("%s: %d packets", format, n)
		}
	}
}

// Inputs must hand out copies: its reader may keep them.
func TestInputsAreCopies(t *testing.T) {
	data := pcapFile{link: 147}.bytes(testPackets(1000, at(0, 0), 1)...)
	s, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data), BatchSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := s.Next(&b); err != nil {
		t.Fatal(err)
	}
	in := s.Inputs()[0]
	n := in.Unsupported["USER0"]
	if readAll(t, s); in.Unsupported["USER0"] != n || n == 1000 {
		t.Errorf("%d became %d", n, in.Unsupported["USER0"])
	}
}

func TestPcapWriter(t *testing.T) {
	for _, nano := range []bool{false, true} {
		var buf bytes.Buffer
		w, err := NewPcapWriter(&buf, 276, 96, nano)
		if err != nil {
			t.Fatal(err)
		}
		sll2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0}, testFrame(7)[14:]...)
		for i := range int64(3) {
			if err := w.Write(at(i, 123_456_789), sll2[:len(sll2)-2], 900); err != nil {
				t.Fatal(err)
			}
		}
		if w.Write(-1, nil, 0) == nil || w.Write(1<<32*1e9, nil, 0) == nil || w.Write(0, make([]byte, maxRecord+1), 0) == nil {
			t.Error("wrote what does not fit")
		}
		ps, in := readBytes(t, buf.Bytes())
		frac, format := int64(123_456_000), "pcap"
		if nano {
			frac, format = 123_456_789, "pcap (nanoseconds)"
		}
		if len(ps) != 3 || ps[2].Time != at(2, frac) || ps[2].Seq != 7 || !ps[2].Has(Outbound|SnapCut) ||
			in.Format != format || in.Snaplen != 96 || !slices.Equal(in.Links, []string{"LINUX_SLL2"}) || in.Cut != 3 || in.Err != nil {
			t.Errorf("%+v\n%+v", ps, in)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	bench := func(name string, packets int, names ...string) {
		size := int64(0)
		for _, n := range names {
			info, err := os.Stat(n)
			if err != nil {
				b.Fatal(err)
			}
			size += info.Size()
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			var batch Batch
			for b.Loop() {
				s, err := Open(names, OpenConfig{})
				if err != nil {
					b.Fatal(err)
				}
				for s.Next(&batch) == nil {
				}
				s.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(packets), "ns/packet")
		})
	}
	for _, format := range []string{"pcap", "pcapng"} {
		for _, size := range []int{96, 1514} {
			packets := 20_000_000 / size
			data := many(format, packets, size)
			name := write(b, filepath.Join(dir, fmt.Sprint(format, size)), data)
			bench(fmt.Sprintf("%s/%d", format, size), packets, name)
			if format == "pcap" {
				half := 24 + (len(data)-24)/2/(size+16)*(size+16)
				rest := write(b, filepath.Join(dir, "rest"), append(data[:24:24], data[half:]...))
				head := write(b, filepath.Join(dir, "head"), data[:half])
				bench(fmt.Sprintf("rotated/%d", size), packets, rest, head)
				other := write(b, filepath.Join(dir, "other"), slices.Clone(data))
				bench(fmt.Sprintf("merged/%d", size), 2*packets, name, other)
				for _, kind := range compressions {
					packed := write(b, filepath.Join(dir, kind), pack(b, kind, data))
					bench(fmt.Sprintf("%s/%d", kind, size), packets, packed)
				}
			}
		}
	}
}
