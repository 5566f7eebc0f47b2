package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// tapped is a Tap that checks that each frame belongs to its packet, and
// keeps what it saw in order.
type tapped struct {
	t      *testing.T
	frames map[uint64][]byte // by number, what was written
	refs   []Ref
	link   uint16
}

func (s *tapped) tap(f *Frame, p *Packet) {
	s.t.Helper()
	s.refs = append(s.refs, p.Ref)
	want := s.frames[uint64(p.Seq)]
	if f.Ref != p.Ref || f.Time != p.Time || f.Iface != p.Iface || f.Link != s.link || int(f.WireLen) < len(f.Data) {
		s.t.Fatalf("frame %+v of packet %+v", f, p)
	}
	if !bytes.Equal(f.Data, want) {
		s.t.Fatalf("packet %d: frame % x, want % x", p.Ref.Number(), f.Data, want)
	}
}

// check reads to the end: the tap has to see each batch, in its order, before
// Next returns.
func (s *tapped) check(src Source) {
	s.t.Helper()
	defer src.Close()
	var b Batch
	for {
		s.refs = s.refs[:0]
		err := src.Next(&b)
		if !slices.EqualFunc(s.refs, b.Packets, func(r Ref, p Packet) bool { return r == p.Ref }) {
			s.t.Fatalf("batch of %d packets, tapped %d", len(b.Packets), len(s.refs))
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestTapSeesFramesOfFiles(t *testing.T) {
	dir := t.TempDir()
	frames := map[uint64][]byte{}
	// Two that overlap, so that they are merged, and then one alone.
	a, b := testPackets(2000, at(0, 0), 1e6), testPackets(2000, at(0, 500_000), 1e6)
	for i := range b {
		b[i].data = testFrame(uint32(3000 + i))
	}
	for _, p := range append(slices.Clone(a), b...) {
		frames[uint64(binary.BigEndian.Uint32(p.data[38:]))] = p.data
	}
	names := []string{
		write(t, dir+"/a", pcapFile{}.bytes(a...)), write(t, dir+"/b", pcapFile{}.bytes(b...)),
		write(t, dir+"/c", pcapFile{}.bytes(testPackets(1000, at(60, 0), 1e6)...)),
	}
	s := &tapped{t: t, frames: frames, link: linkEthernet}
	src, err := Open(names, OpenConfig{Tap: s.tap, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	s.check(src)
}

// Where packets are put in order again, their frames have to come along.
func TestTapSeesFramesReordered(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	f := &ngFile{}
	f.section().iface(1, 0).iface(1, 0)
	frames := map[uint64][]byte{}
	for i := range 20_000 {
		data := testFrame(uint32(i + 1))
		frames[uint64(i+1)] = data
		f.enhanced(r.Uint32N(2), ngMicros(at(0, int64(i)*1e5+r.Int64N(4e8))), data, 60)
	}
	s := &tapped{t: t, frames: frames, link: linkEthernet}
	src, err := Open([]string{write(t, t.TempDir()+"/a", f.buf)}, OpenConfig{Tap: s.tap})
	if err != nil {
		t.Fatal(err)
	}
	s.check(src)
}

// The payload of a datagram in fragments is no part of the last one's frame.
func TestTapSeesFragmentsReordered(t *testing.T) {
	payload := make([]byte, 20+64)
	payload[12], payload[13] = 5<<4, byte(ACK)
	for i := range 64 {
		payload[20+i] = byte(i)
	}
	f := &ngFile{}
	f.section().iface(linkRaw, 0).iface(linkRaw, 0)
	first, second := fragmentV4(payload, piece{0, 48}), fragmentV4(payload, piece{48, 84})
	f.enhanced(0, ngMicros(at(0, 0)), first, uint32(len(first)))
	f.enhanced(0, ngMicros(at(0, 1e6)), second, uint32(len(second)))
	var frames [][]byte
	src, err := Open([]string{write(t, t.TempDir()+"/a", f.buf)}, OpenConfig{Tap: func(f *Frame, p *Packet) {
		frames = append(frames, slices.Clone(f.Data))
	}})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := src.Next(&b); err != nil || len(b.Packets) != 2 {
		t.Fatalf("%d packets, %v", len(b.Packets), err)
	}
	if p := &b.Packets[1]; p.Kind != TCP || !bytes.Equal(b.Payload(p), payload[20:]) {
		t.Errorf("payload % x of %+v", b.Payload(p), p)
	}
	if len(frames) != 2 || !bytes.Equal(frames[0], first) || !bytes.Equal(frames[1], second) {
		t.Errorf("frames % x", frames)
	}
}
