package capture

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMerge deals packets to files in several ways; whatever the way, they
// must come out by time, each with the number it has in its file.
func TestMerge(t *testing.T) {
	const packets = 4000
	r := rand.New(rand.NewPCG(1, 2))
	deals := []struct {
		name string
		deal func(i int) int
	}{
		{"one after another", func(i int) int { return i / 500 }},
		{"in turns", func(i int) int { return i % 3 }},
		{"by chance", func(i int) int { return r.IntN(5) }},
		{"overlapping at the ends", func(i int) int { return (i + r.IntN(100)) / 1000 }},
		{"one within another", func(i int) int {
			if i > 1000 && i < 1100 {
				return 1
			}
			return 0
		}},
	}
	for _, d := range deals {
		for _, batch := range []int{1, 7, 0} {
			t.Run(fmt.Sprintf("%s, batch %d", d.name, batch), func(t *testing.T) {
				files := map[int][]testPacket{}
				for i, p := range testPackets(packets, at(0, 0), 1000) {
					n := d.deal(i)
					files[n] = append(files[n], p)
				}
				dir := t.TempDir()
				var names []string
				for n, ps := range files {
					data := pcapFile{}.bytes(ps...)
					if n%2 == 1 {
						data = pack(t, "gzip", data)
					}
					names = append(names, write(t, fmt.Sprintf("%s/%d", dir, n), data))
				}
				s, err := Open(names, OpenConfig{BatchSize: batch})
				if err != nil {
					t.Fatal(err)
				}
				checkMerged(t, s, packets)
			})
		}
	}
}

func checkMerged(t *testing.T, s Source, packets int) {
	t.Helper()
	ps := readAll(t, s)
	if len(ps) != packets {
		t.Fatalf("%d packets, want %d", len(ps), packets)
	}
	last := map[int]uint64{}
	for i, p := range ps {
		if p.Seq != uint32(i+1) || p.Kind != TCP {
			t.Fatalf("packet %d has sequence number %d", i+1, p.Seq)
		}
		if f := p.Ref.File(); p.Ref.Number() != last[f]+1 {
			t.Fatalf("file %d: number %d after %d", f, p.Ref.Number(), last[f])
		}
		last[p.Ref.File()]++
	}
	for i, in := range s.Inputs() {
		if in.Err != nil || in.Packets != last[i] || in.Backwards != 0 {
			t.Errorf("%+v", in)
		}
	}
	if !slices.IsSortedFunc(s.Inputs(), func(a, b Input) int { return cmp.Compare(a.First, b.First) }) {
		t.Error("inputs are not in the order of their first packets")
	}
}

// Equal times keep the order of the inputs, and a file's own disorder is kept.
func TestMergeTies(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir+"/a", pcapFile{}.bytes(testPacket{time: at(1, 0), data: testFrame(1)}, testPacket{time: at(3, 0), data: testFrame(3)}, testPacket{time: at(2, 0), data: testFrame(4)}))
	b := write(t, dir+"/b", pcapFile{}.bytes(testPacket{time: at(1, 0), data: testFrame(2)}, testPacket{time: at(3, 0), data: testFrame(5)}))
	s, err := Open([]string{a, b}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if got := seqs(readAll(t, s)); !slices.Equal(got, []uint32{1, 2, 3, 4, 5}) {
		t.Errorf("order %v", got)
	}
}

// Standard input cannot be opened twice, and takes its turn like a file.
func TestMergeStdin(t *testing.T) {
	dir := t.TempDir()
	ps := testPackets(3000, at(0, 0), 1000)
	var odd, even []testPacket
	for i, p := range ps {
		if i%2 == 0 {
			odd = append(odd, p)
		} else {
			even = append(even, p)
		}
	}
	name := write(t, dir+"/a", pcapFile{}.bytes(odd...))
	s, err := Open([]string{"-", name, "-"}, OpenConfig{Stdin: bytes.NewReader(pcapFile{}.bytes(even...))})
	if err != nil {
		t.Fatal(err)
	}
	got := readAll(t, s)
	for i, p := range got {
		if p.Seq != uint32(i+1) {
			t.Fatalf("packet %d has sequence number %d", i+1, p.Seq)
		}
	}
	in := s.Inputs()
	if len(got) != 3000 || in[0].Name != name || in[1].Name != "-" || fmt.Sprint(in[2].Err) != "standard input: given twice, it is read once" {
		t.Errorf("%d packets, %+v", len(got), in)
	}
}

// A rotation of many files must not hold as many descriptors.
func TestMergeRotation(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 300 {
		ps := testPackets(10, at(int64(i), 0), 1000)
		for j := range ps {
			ps[j].data = testFrame(uint32(i*10 + j + 1))
		}
		names = append(names, write(t, filepath.Join(dir, fmt.Sprint(i)), pcapFile{}.bytes(ps...)))
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	before := descriptors(t)
	s, err := Open(names, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	most, iface := 0, uint16(0)
	for n := 0; n < 3000; n += len(b.Packets) {
		if err := s.Next(&b); err != nil {
			t.Fatal(err)
		}
		for i, p := range b.Packets {
			if p.Seq != uint32(n+i+1) {
				t.Fatalf("packet %d has sequence number %d", n+i+1, p.Seq)
			}
			iface = max(iface, p.Iface)
		}
		most = max(most, descriptors(t)-before)
	}
	if s.Close(); most > 2 || descriptors(t) != before {
		t.Errorf("%d descriptors at a time, %d in the end", most, descriptors(t)-before)
	}
	if iface != 0 {
		t.Errorf("%d interfaces in a rotation of one", iface+1)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(fds)
}

// What two hosts recorded at the same time was seen by two interfaces.
func TestMergeInterfaces(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir+"/a", pcapFile{}.bytes(testPackets(5, at(0, 0), 1000)...))
	b := write(t, dir+"/b", pcapFile{}.bytes(testPackets(5, at(0, 500), 1000)...))
	s, err := Open([]string{a, b}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range readAll(t, s) {
		if int(p.Iface) != p.Ref.File() {
			t.Errorf("packet %d of file %d: interface %d", p.Ref.Number(), p.Ref.File(), p.Iface)
		}
	}
}
