package capture

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// pack compresses data as one member or frame.
func pack(t testing.TB, kind string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "zstd":
		z, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "lz4":
		z := lz4.NewWriter(&buf)
		if err := z.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var compressions = []string{"gzip", "zstd", "lz4"}

func TestCompressed(t *testing.T) {
	plain := pcapFile{}.bytes(testPackets(5000, at(0, 0), 1e6)...)
	for _, kind := range compressions {
		for _, form := range []string{"one", "members", "twice", "named wrongly"} {
			t.Run(kind+" "+form, func(t *testing.T) {
				data, name := pack(t, kind, plain), "x.pcap."+kind
				compression := kind
				switch form {
				case "members": // what cat, and pzstd, make: cut anywhere
					data = slices.Concat(pack(t, kind, plain[:1]), pack(t, kind, plain[1:77777]), pack(t, kind, plain[77777:]))
				case "twice":
					data, compression = pack(t, "gzip", data), kind+" in gzip"
				case "named wrongly":
					name = "x.xz"
				}
				s, err := Open([]string{write(t, name, data)}, OpenConfig{})
				if err != nil {
					t.Fatal(err)
				}
				ps := readAll(t, s)
				in := s.Inputs()[0]
				if len(ps) != 5000 || ps[4999].Seq != 5000 || in.Err != nil || in.Compression != compression || in.Format != "pcap" {
					t.Errorf("%d packets, %+v", len(ps), in)
				}
			})
		}
	}
}

// pzstd puts a skippable frame in front; so may lz4.
func TestCompressedSkippable(t *testing.T) {
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	data := append(skippable, pack(t, "zstd", fullPcapng().buf)...)
	ps, in := readBytes(t, data)
	if len(ps) != 6 || in.Err != nil || in.Compression != "zstd" {
		t.Errorf("%d packets, %+v", len(ps), in)
	}
}

func TestCompressedDamage(t *testing.T) {
	packets := testPackets(5000, at(0, 0), 1e6)
	for i := range packets { // must not compress away
		packets[i].data = append(packets[i].data, noise(500, uint64(i))...)
	}
	plain := pcapFile{}.bytes(packets...)
	for _, kind := range compressions {
		data := pack(t, kind, plain)
		flipped := slices.Clone(data)
		flipped[len(flipped)-3] ^= 0x10 // of a checksum
		t.Run(kind+" cut", func(t *testing.T) {
			ps, in := readBytes(t, data[:len(data)/2])
			want := fmt.Sprintf("the %s data ends too early (copied or compressed only in part?): what was read until then is reported", kind)
			if len(ps) < 1000 || len(ps) > 2600 || in.Err == nil || !strings.HasSuffix(in.Err.Error(), want) ||
				!strings.HasPrefix(in.Err.Error(), fmt.Sprintf("standard input: packet %d: ", len(ps)+1)) {
				t.Errorf("%d packets, %v", len(ps), in.Err)
			}
		})
		t.Run(kind+" checksum", func(t *testing.T) {
			ps, in := readBytes(t, flipped)
			if len(ps) < 4500 || in.Err == nil || !strings.Contains(in.Err.Error(), kind+" data") {
				t.Errorf("%d packets, %v", len(ps), in.Err)
			}
		})
		t.Run(kind+" garbage behind", func(t *testing.T) {
			ps, in := readBytes(t, append(slices.Clone(data), "some more text"...))
			if len(ps) != 5000 || in.Err == nil || !strings.Contains(in.Err.Error(), kind) {
				t.Errorf("%d packets, %v", len(ps), in.Err)
			}
		})
		t.Run(kind+" cut at once", func(t *testing.T) {
			_, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data[:14])})
			if err == nil || !strings.Contains(err.Error(), kind) {
				t.Errorf("error %v", err)
			}
		})
		t.Run(kind+" of no capture", func(t *testing.T) {
			_, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(pack(t, kind, []byte("hello, world, this is no capture\n")))})
			want := "standard input: holds " + kind + " data, and in it: not a pcap or pcapng capture: looks like text, give a file that tcpdump -w, tshark -w or Wireshark wrote"
			if fmt.Sprint(err) != want {
				t.Errorf("error %v", err)
			}
		})
	}
}

func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestBoundedMemory reads small files that promise much: memory must follow
// what is there.
func TestBoundedMemory(t *testing.T) {
	hugeRecord := pcapFile{}.bytes()
	hugeRecord = append(hugeRecord, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1) // 16 MiB
	interfaces := &ngFile{}
	interfaces.section()
	for range 300_000 {
		interfaces.iface(1, 0)
	}
	zeros := pcapFile{}.bytes(testPacket{time: 1, data: make([]byte, maxRecord)}, testPacket{time: 1, data: make([]byte, maxRecord)}, testPacket{time: 1, data: make([]byte, maxRecord)})
	tests := []struct {
		name  string
		data  []byte
		limit uint64 // MiB allocated in all
	}{
		{"huge record", hugeRecord, 2},
		{"huge block", append((&ngFile{}).section().iface(1, 0).buf, 6, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), 2},
		{"huge unknown block", append((&ngFile{}).section().iface(1, 0).buf, 7, 0, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0), 2},
		{"interfaces", interfaces.buf, 60},
		{"gzip bomb", pack(t, "gzip", pack(t, "gzip", zeros)), 260},
		{"zstd bomb", pack(t, "zstd", zeros), 260},
		{"lz4 bomb", pack(t, "lz4", zeros), 260},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			readBytes(t, tt.data)
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > tt.limit {
				t.Errorf("%d MiB allocated for a file of %d bytes", got, len(tt.data))
			}
		})
	}
}
