package assembler_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/generate"
	"hangup/internal/story"
)

// batches is a capture in memory.
type batches []capture.Batch

// load decodes a capture; reader, if not nil, stands in for the file.
func load(t testing.TB, file string, reader io.Reader) (all batches) {
	t.Helper()
	if reader != nil {
		file = "-"
	}
	src, err := capture.Open([]string{file}, capture.OpenConfig{Stdin: reader})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for {
		var b capture.Batch
		err := src.Next(&b)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
}

// track runs the batches through a tracker.
func (all batches) track(t *testing.T, maker func(assembler.Config) *assembler.Tracker, cfg assembler.Config) (conns []*assembler.Conn, late uint64) {
	cfg.Done = func(c *assembler.Conn) { conns = append(conns, c.Bare()) }
	var strange []string
	cfg.Plain = func(list []assembler.Plain) {
		for i := range list {
			p := &list[i]
			c := p.Conn()
			conns = append(conns, c.Bare())
			var want assembler.Outline
			c.Outline(&want)
			strange = append(strange, differing(fmt.Sprint(c.ID), reflect.ValueOf(p.Outline), reflect.ValueOf(want))...)
		}
	}
	tr := maker(cfg)
	for i := range all {
		tr.Batch(&all[i])
	}
	tr.Finish()
	if len(strange) > 0 {
		t.Errorf("outlines differ from those of the connections:\n%s", strings.Join(strange, "\n"))
	}
	slices.SortFunc(conns, func(a, b *assembler.Conn) int { return cmp.Compare(a.ID, b.ID) })
	return conns, tr.LatePackets() + tr.OrphanICMP()<<32
}

// compare fails if plain flows, or parking what is not plain, change what is
// known of any connection.
func (all batches) compare(t *testing.T) {
	t.Helper()
	all.compareWith(t, assembler.New)
	all.single().compareWith(t, assembler.NewParking)
}

// single gives each packet a batch of its own.
func (all batches) single() (out batches) {
	for i := range all {
		for j := range all[i].Packets {
			out = append(out, capture.Batch{Packets: all[i].Packets[j : j+1], Data: all[i].Data})
		}
	}
	return out
}

func (all batches) compareWith(t *testing.T, maker func(assembler.Config) *assembler.Tracker) {
	t.Helper()
	got, gotLate := all.track(t, maker, assembler.Config{})
	want, wantLate := all.track(t, assembler.NewGeneral, assembler.Config{})
	if len(got) != len(want) || gotLate != wantLate {
		t.Fatalf("%d connections, %d late, want %d, %d", len(got), gotLate, len(want), wantLate)
	}
	for i := range got {
		if *got[i] == *want[i] {
			continue
		}
		t.Errorf("connection %d (%v > %v, %s):\n%s", want[i].ID, want[i].Ends[0].AddrPort(), want[i].Ends[1].AddrPort(), want[i].History(),
			strings.Join(differing("", reflect.ValueOf(*got[i]), reflect.ValueOf(*want[i])), "\n"))
		if t.Failed() && i > 5 {
			return
		}
	}
}

// differing lists the fields in which two values differ.
func differing(path string, got, want reflect.Value) (all []string) {
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			all = append(all, differing(path+"."+got.Type().Field(i).Name, got.Field(i), want.Field(i))...)
		}
	case reflect.Pointer:
		all = differing(path, got.Elem(), want.Elem())
	case reflect.Array:
		for i := range got.Len() {
			all = append(all, differing(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i))...)
		}
	default:
		if !got.Equal(want) {
			all = append(all, fmt.Sprintf("\t%s: %v, want %v", path, got, want))
		}
	}
	return all
}

// damage returns the packets as a worse capturer might have delivered them,
// over hundreds of files and many days at times. Refs keep their order, as
// those of a real capture.
func (all batches) damage(rng *rand.Rand) batches {
	out := make(batches, len(all))
	kind := rng.IntN(1 << 6)
	files, days := 0, int64(0) // how much a packet may add
	if rng.IntN(4) == 0 {
		files = 1 << rng.IntN(8)
	}
	if rng.IntN(4) == 0 {
		days = 1 << (30 + rng.IntN(18))
	}
	n, file, later := uint64(0), 0, int64(0)
	for i := range all {
		out[i].Data = all[i].Data
		for _, p := range all[i].Packets {
			if kind&1 != 0 && rng.IntN(16) == 0 {
				continue
			}
			copies := 1
			if kind&2 != 0 && rng.IntN(16) == 0 {
				copies++
			}
			for range copies {
				if rng.IntN(32) == 0 {
					mutate(&p, rng, kind)
				}
				out[i].Packets = append(out[i].Packets, p)
			}
		}
		ps := out[i].Packets
		for j := range ps {
			if k := j + rng.IntN(3); kind&4 != 0 && rng.IntN(16) == 0 && k < len(ps) {
				ps[j], ps[k] = ps[k], ps[j]
				ps[j].Time, ps[k].Time = ps[k].Time, ps[j].Time
			}
		}
		for j := range ps {
			n++
			file += rng.IntN(files + 1)
			if days > 0 && rng.IntN(4) == 0 {
				later += rng.Int64N(days)
			}
			ps[j].Ref = capture.MakeRef(file, n)
			ps[j].Time += later
		}
	}
	return out
}

// mutate changes one thing about a packet.
func mutate(p *capture.Packet, rng *rand.Rand, kind int) {
	if kind&8 != 0 {
		p.Time += (rng.Int64N(3) - 1) * int64(1) << rng.IntN(36)
	}
	if kind&16 == 0 {
		return
	}
	switch rng.IntN(14) {
	case 0:
		p.Flags ^= 1 << rng.IntN(9)
	case 1:
		p.Seq += 1 << rng.IntN(32)
	case 2:
		p.Ack += 1 << rng.IntN(32)
	case 3:
		p.Window = uint16(rng.IntN(3)) * 7
	case 4:
		p.TTL ^= 1
	case 5:
		p.Encap ^= 1
	case 6:
		p.Options ^= 1 << rng.IntN(15)
	case 7:
		p.Traits ^= 1 << rng.IntN(10)
	case 8:
		p.CapLen /= 2
	case 9:
		p.Link ^= 1
	case 10:
		p.Iface ^= 1
	case 11:
		p.IPID = 0
	case 12:
		p.Seq--
	case 13:
		p.Ack--
	}
}

// TestPlainStories, TestPlainRecordings, TestPlainGenerated and
// TestPlainCorpus hold the fast path to the general one: every connection
// must come out the same, field by field, as they are and damaged.
func TestPlainStories(t *testing.T) {
	files, err := filepath.Glob("../testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			pcap, err := story.Capture(file)
			if err != nil {
				t.Fatal(err)
			}
			load(t, "", bytes.NewReader(pcap)).compareDamaged(t, 20)
		})
	}
}

func (all batches) compareDamaged(t *testing.T, times int) {
	t.Helper()
	all.compare(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range times {
		if t.Failed() {
			return
		}
		all.damage(rng).compare(t)
	}
}

func TestPlainRecordings(t *testing.T) {
	files, err := filepath.Glob("../testdata/lab/*/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) { load(t, file, nil).compareDamaged(t, 5) })
	}
}

func TestPlainGenerated(t *testing.T) {
	for _, m := range generate.Mixes {
		t.Run(m.Name, func(t *testing.T) { load(t, "", generated(t, m)).compareDamaged(t, 12) })
	}
}

// generated is a small capture of the mix.
func generated(t testing.TB, m generate.Mix) *bytes.Buffer {
	t.Helper()
	m.Connections, m.Concurrent = 300, 40
	var pcap bytes.Buffer
	if _, err := generate.Write(&pcap, io.Discard, m); err != nil {
		t.Fatal(err)
	}
	return &pcap
}

func TestPlainCorpus(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS does not name a directory of captures")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { load(t, file, nil).compareDamaged(t, 5) })
	}
}

// FuzzPlain damages generated captures and recordings in ways that the fuzzer
// chooses.
func FuzzPlain(f *testing.F) {
	var all []batches
	for _, m := range generate.Mixes {
		m.Connections, m.Concurrent = 12, 4
		var pcap bytes.Buffer
		if _, err := generate.Write(&pcap, io.Discard, m); err != nil {
			f.Fatal(err)
		}
		all = append(all, load(f, "", &pcap))
	}
	files, _ := filepath.Glob("../testdata/lab/*/client.pcap")
	for _, file := range files {
		all = append(all, load(f, file, nil))
	}
	for i := range 64 {
		f.Add(uint16(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, which uint16, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, seed))
		b := all[int(which)%len(all)]
		for range 1 + rng.IntN(3) {
			b = b.damage(rng)
		}
		b.compare(t)
	})
}
