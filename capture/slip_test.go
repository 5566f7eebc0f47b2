package capture

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"hangup/capture/filter"
)

// told is a packet, its payload apart from where it lay, and what its slip
// says of it.
type told struct {
	p        Packet
	payload  string
	time     int64
	ref      Ref
	tag      uint32
	part     int
	about    bool
	fin, rst bool
}

// tell reads everything, lazily or not. Simple counts what was left to Packet.
func tell(t *testing.T, names []string, cfg OpenConfig, lazy bool) (all []told, in []Input, simple int) {
	t.Helper()
	s, err := Open(names, cfg)
	if err != nil {
		return nil, nil, 0
	}
	defer s.Close()
	const seed = 0x123456789abcdef
	b, own := Batch{Lazy: lazy, Seed: seed}, []Slip(nil)
	for room := new(Packet); ; {
		if err := s.Next(&b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		slips := b.AllSlips(&own, seed)
		if len(slips) != b.Len() {
			t.Fatalf("%d slips for %d packets", len(slips), b.Len())
		}
		for i := range slips {
			p := b.Packet(&slips[i], room)
			if p == room {
				simple++
			}
			x := told{*p, string(b.Payload(p)), slips[i].Time, slips[i].Ref, slips[i].Tag, slips[i].Part(100), slips[i].AboutTCP(), false, false}
			x.fin, x.rst = slips[i].Ends()
			x.p.Off = 0
			all = append(all, x)
		}
	}
	return all, s.Inputs(), simple
}

// sameTold reads twice, and returns how many packets were left to Packet.
func sameTold(t *testing.T, what string, names []string, cfg OpenConfig) (simple int) {
	t.Helper()
	want, wantIn, n := tell(t, names, cfg, false)
	got, in, simple := tell(t, names, cfg, true)
	if n != 0 {
		t.Errorf("%s: %d packets are not decoded though nobody allowed it", what, n)
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d packets, want %d", what, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: packet %d\n%+v, want\n%+v", what, i+1, got[i], want[i])
		}
		w := &want[i]
		about := w.p.Kind == TCP || w.p.Kind == ICMPError
		if w.time != w.p.Time || w.ref != w.p.Ref || w.about != about || about && w.tag != Tag(&w.p.Dst, w.p.DstPort, &w.p.Src, w.p.SrcPort, 0x123456789abcdef) ||
			w.fin != (w.p.Kind == TCP && w.p.Flags.Has(FIN)) || w.rst != (w.p.Kind == TCP && w.p.Flags.Has(RST)) {
			t.Fatalf("%s: slip of packet %d says %+v", what, i+1, *w)
		}
	}
	if got, want := fmt.Sprintf("%+v", in), fmt.Sprintf("%+v", wantIn); got != want {
		t.Errorf("%s: inputs\n%s, want\n%s", what, got, want)
	}
	return simple
}

// TestSlips: whatever a packet is, it is the same if decoded later.
func TestSlips(t *testing.T) {
	links := map[uint16][]testPacket{}
	for _, c := range carriers() {
		frame := c.build(false)
		for n := range len(frame) + 1 {
			links[c.link] = append(links[c.link], testPacket{at(int64(n), 0), frame[:n], uint32(len(frame))})
		}
		for flags := range 256 { // of TCP, where the frame has it
			f := slices.Clone(frame)
			if i := bytes.Index(f, []byte(hello)); i > 20 {
				f[i-7] = byte(flags)
			}
			links[c.link] = append(links[c.link], testPacket{at(100, 0), f, 0})
		}
	}
	simple := 0
	for _, link := range slices.Sorted(maps.Keys(links)) {
		name := write(t, filepath.Join(t.TempDir(), "a"), pcapFile{link: uint32(link)}.bytes(links[link]...))
		for _, size := range []int{0, 5} {
			simple += sameTold(t, LinkName(link), []string{name}, OpenConfig{BatchSize: size})
		}
	}
	if simple < 1000 {
		t.Errorf("%d packets were left to Packet", simple)
	}
}

// TestSlipsOdd does the same where packets do not come straight from one file.
func TestSlipsOdd(t *testing.T) {
	dir := t.TempDir()
	var mixed []testPacket
	payload := long(2000)
	for i, f := range testPackets(300, at(5, 0), 1e6) {
		mixed = append(mixed, f)
		for _, at := range pieces(len(payload), 1480) {
			mixed = append(mixed, testPacket{f.time + int64(i), append(make([]byte, 12, 2000), append([]byte{8, 0}, fragmentV4(payload, at)...)...), 0})
		}
	}
	a := write(t, dir+"/a", pcapFile{}.bytes(mixed...))
	b := write(t, dir+"/b", pcapFile{}.bytes(testPackets(300, at(5, 2e8), 1e6)...))
	c := write(t, dir+"/c", pcapFile{}.bytes(testPackets(300, at(9, 0), 1e6)...))
	f := &ngFile{}
	f.section().iface(1, 0)
	for i, p := range testPackets(200, at(1, 0), 1e6) {
		if i == 150 { // reading must begin to put packets in order here
			f.iface(1, 0)
		}
		f.enhanced(uint32(i/150)*uint32(i%2), ngMicros(p.time), p.data, 60)
	}
	late := write(t, dir+"/late", f.buf)
	expr, err := filter.Parse("tcp port 80 or greater 500")
	if err != nil {
		t.Fatal(err)
	}
	for what, cfg := range map[string]OpenConfig{"plain": {}, "small": {BatchSize: 7}, "filter": {Filter: expr}} {
		for _, names := range [][]string{{a}, {a, c}, {a, b, c}, {late}, {c, late}} {
			n := sameTold(t, fmt.Sprint(what, names), names, cfg)
			if n == 0 && what != "filter" && !slices.Contains(names, late) {
				t.Errorf("%s %v: no packet was left to Packet", what, names)
			}
		}
	}
	if n := sameTold(t, "tap", []string{a}, OpenConfig{Tap: func(f *Frame, p *Packet) {
		if p.Ref != f.Ref {
			t.Errorf("frame %d comes with packet %d", f.Ref, p.Ref)
		}
	}}); n != 0 {
		t.Errorf("a tap was not shown %d packets", n)
	}
}

func TestSlipsCorpus(t *testing.T) {
	for name := range corpusFiles(t) {
		sameTold(t, filepath.Base(name), []string{name}, OpenConfig{})
	}
}

// A batch cut off holds the first packets.
func TestTruncate(t *testing.T) {
	name := write(t, t.TempDir()+"/a", pcapFile{}.bytes(testPackets(50, at(1, 0), 1e9)...))
	for _, lazy := range []bool{false, true} {
		s, err := Open([]string{name}, OpenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		b := Batch{Lazy: lazy}
		if err := s.Next(&b); err != nil || b.Len() != 50 {
			t.Fatal(b.Len(), err)
		}
		b.Truncate(20)
		if b.Len() != 20 || b.Latest(0) != at(20, 0) || b.Latest(at(30, 0)) != at(30, 0) {
			t.Errorf("%d packets until %d", b.Len(), b.Latest(0))
		}
		s.Close()
	}
}
