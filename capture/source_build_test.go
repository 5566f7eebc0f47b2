package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// testFrame is an Ethernet frame with one TCP segment whose sequence number
// is n, so that a packet read can be told from the others, and six bytes.
func testFrame(n uint32) []byte {
	f := make([]byte, 54, 60)
	f[12], f[13] = 8, 0
	ip := f[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], 46)
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	tcp := f[34:]
	binary.BigEndian.PutUint16(tcp, 1000)
	binary.BigEndian.PutUint16(tcp[2:], 80)
	binary.BigEndian.PutUint32(tcp[4:], n)
	tcp[12], tcp[13] = 5<<4, byte(ACK)
	return append(f, 0, 0, 0, 0, 0, 0)
}

// at is a time within the test files: seconds of 2023 and nanoseconds.
func at(sec, ns int64) int64 { return (1_700_000_000+sec)*1e9 + ns }

// pcapFile builds pcap files as broken or unusual as a test wants them.
type pcapFile struct {
	order        binary.ByteOrder // little-endian if nil
	magic        uint32           // pcapMicro if 0
	major, minor uint16           // 2.4 if 0
	snaplen      uint32
	link         uint32 // 1 if 0, all 32 bits of the field
	extra        []byte // behind every record header
	swap         bool   // lengths in the old order
}

func (f pcapFile) bytes(packets ...testPacket) []byte {
	o := f.order
	if o == nil {
		o = binary.LittleEndian
	}
	if f.magic == 0 {
		f.magic = pcapMicro
	}
	if f.major == 0 {
		f.major, f.minor = 2, 4
	}
	if f.link == 0 {
		f.link = 1
	}
	h := make([]byte, 24)
	o.PutUint32(h, f.magic)
	o.PutUint16(h[4:], f.major)
	o.PutUint16(h[6:], f.minor)
	o.PutUint32(h[16:], f.snaplen)
	o.PutUint32(h[20:], f.link)
	unit := int64(1000)
	if f.magic == pcapNano {
		unit = 1
	}
	for _, p := range packets {
		r := make([]byte, 16)
		o.PutUint32(r, uint32(p.time/1e9))
		o.PutUint32(r[4:], uint32(p.time%1e9/unit))
		o.PutUint32(r[8:], uint32(len(p.data)))
		o.PutUint32(r[12:], p.wire())
		if f.swap {
			o.PutUint32(r[8:], p.wire())
			o.PutUint32(r[12:], uint32(len(p.data)))
		}
		h = append(append(append(h, r...), f.extra...), p.data...)
	}
	return h
}

type testPacket struct {
	time int64
	data []byte
	orig uint32 // length on the wire, if not that of data
}

func (p testPacket) wire() uint32 {
	if p.orig != 0 {
		return p.orig
	}
	return uint32(len(p.data))
}

// testPackets is n frames, step ns apart from start on.
func testPackets(n int, start, step int64) []testPacket {
	var ps []testPacket
	for i := range n {
		ps = append(ps, testPacket{time: start + int64(i)*step, data: testFrame(uint32(i + 1))})
	}
	return ps
}

// ngFile builds pcapng files block by block.
type ngFile struct {
	order binary.AppendByteOrder // little-endian if nil
	buf   []byte
}

func (f *ngFile) o() binary.AppendByteOrder {
	if f.order == nil {
		return binary.LittleEndian
	}
	return f.order
}

func (f *ngFile) block(kind uint32, body []byte) *ngFile {
	for len(body)%4 != 0 {
		body = append(body[:len(body):len(body)], 0)
	}
	total := uint32(len(body) + 12)
	f.buf = f.o().AppendUint32(f.buf, kind)
	f.buf = f.o().AppendUint32(f.buf, total)
	f.buf = append(f.buf, body...)
	f.buf = f.o().AppendUint32(f.buf, total)
	return f
}

// option codes and values alternate.
func (f *ngFile) options(body []byte, opts ...any) []byte {
	for i := 0; i+1 < len(opts); i += 2 {
		value := opts[i+1].([]byte)
		body = f.o().AppendUint16(body, uint16(opts[i].(int)))
		body = f.o().AppendUint16(body, uint16(len(value)))
		body = append(body, value...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	if len(opts) > 0 {
		body = append(body, 0, 0, 0, 0)
	}
	return body
}

func (f *ngFile) section(opts ...any) *ngFile {
	body := f.o().AppendUint32(nil, sectionMagic)
	body = f.o().AppendUint16(body, 1)
	body = f.o().AppendUint16(body, 0)
	body = f.o().AppendUint64(body, 1<<64-1)
	return f.block(blockSection, f.options(body, opts...))
}

func (f *ngFile) iface(link uint16, snaplen uint32, opts ...any) *ngFile {
	body := f.o().AppendUint16(nil, link)
	body = f.o().AppendUint16(body, 0)
	body = f.o().AppendUint32(body, snaplen)
	return f.block(blockInterface, f.options(body, opts...))
}

func (f *ngFile) enhanced(iface uint32, ticks uint64, data []byte, orig uint32, opts ...any) *ngFile {
	body := f.o().AppendUint32(nil, iface)
	body = f.packetBody(body, ticks, data, orig)
	return f.block(blockEnhanced, f.options(body, opts...))
}

func (f *ngFile) obsolete(iface, drops uint16, ticks uint64, data []byte, orig uint32) *ngFile {
	body := f.o().AppendUint16(nil, iface)
	body = f.o().AppendUint16(body, drops)
	return f.block(blockPacket, f.packetBody(body, ticks, data, orig))
}

func (f *ngFile) packetBody(body []byte, ticks uint64, data []byte, orig uint32) []byte {
	body = f.o().AppendUint32(body, uint32(ticks>>32))
	body = f.o().AppendUint32(body, uint32(ticks))
	body = f.o().AppendUint32(body, uint32(len(data)))
	body = f.o().AppendUint32(body, orig)
	body = append(body, data...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return body
}

func (f *ngFile) simple(data []byte, orig uint32) *ngFile {
	return f.block(blockSimple, append(f.o().AppendUint32(nil, orig), data...))
}

func (f *ngFile) u64(v uint64) []byte { return f.o().AppendUint64(nil, v) }

// halves is a 64-bit timestamp as pcapng has it, the upper half first.
func (f *ngFile) halves(v uint64) []byte {
	return f.o().AppendUint32(f.o().AppendUint32(nil, uint32(v>>32)), uint32(v))
}

// ngMicros is what a default interface's timestamp of t is.
func ngMicros(t int64) uint64 { return uint64(t / 1000) }

// write puts a file into the test's directory.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// readAll reads a source to its end, and closes it.
func readAll(t testing.TB, s Source) []Packet {
	t.Helper()
	defer s.Close()
	var all []Packet
	var b Batch
	for {
		err := s.Next(&b)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		if len(b.Packets) == 0 {
			t.Fatal("Next returned no error and no packet")
		}
		for i := range b.Packets {
			if p := &b.Packets[i]; uint64(p.Off)+uint64(p.CapLen) > uint64(len(b.Data)) {
				t.Fatalf("packet %d: payload %d+%d lies outside of %d bytes", p.Ref.Number(), p.Off, p.CapLen, len(b.Data))
			}
		}
		all = append(all, b.Packets...)
	}
}

// readBytes reads one capture, from standard input.
func readBytes(t testing.TB, data []byte) ([]Packet, Input) {
	t.Helper()
	s, err := Open([]string{"-"}, OpenConfig{Stdin: bytes.NewReader(data)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	ps := readAll(t, s)
	return ps, s.Inputs()[0]
}

// seqs are the sequence numbers that testFrame put in.
func seqs(ps []Packet) []uint32 {
	var s []uint32
	for _, p := range ps {
		s = append(s, p.Seq)
	}
	return s
}
