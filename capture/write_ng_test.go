package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// written is a frame as the file has it.
type written struct {
	time    int64
	link    uint16
	wireLen uint32
	traits  Traits
	data    string
}

func asWritten(f *Frame) written {
	t := f.Traits & (Inbound | Outbound | NotToUs)
	return written{f.Time, f.Link, max(f.WireLen, uint32(len(f.Data))), t, string(f.Data)}
}

// records reads a pcapng file below the decoder.
func records(t testing.TB, file []byte) (list []written, in Input) {
	t.Helper()
	l, err := newPcapng(file, &in, func(k ifaceKey) uint16 { return uint16(k.index) })
	if l == nil || err != nil {
		t.Fatalf("not a pcapng file: %v", err)
	}
	recs := make([]record, 8)
	for {
		n, used, err := l.scan(file, 0, recs)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs[:n] {
			if r.problem != NoProblem {
				t.Fatalf("packet %d: %v", r.number, r.problem)
			}
			list = append(list, written{r.time, r.link, r.wireLen, r.traits, string(file[r.off : r.off+r.capLen])})
		}
		file = file[used:]
		if n == 0 {
			if len(file) > 0 {
				t.Fatalf("%d bytes left", len(file))
			}
			return list, in
		}
	}
}

func someFrames() []Frame {
	return []Frame{
		{Time: at(1, 1), Link: linkEthernet, Data: testFrame(1), Traits: Inbound, WireLen: 60},
		{Time: at(2, 999_999_999), Link: linkSLL2, Iface: 7, Data: make([]byte, 33), Traits: Outbound, WireLen: 1514},
		{Time: at(2, 0), Link: linkEthernet, Iface: 7, Data: testFrame(2)[:57], Traits: NotToUs | IPv6, WireLen: 60},
		{Time: at(3, 0), Link: 65535, Iface: 65535, Data: nil},
		{Time: -5, Link: linkRaw, Iface: 1, Data: []byte{1, 2, 3}, WireLen: 1},
	}
}

func describeSome(iface uint16) PcapngInterface {
	return PcapngInterface{Name: "if" + strings.Repeat("x", int(iface%5)), Snaplen: 96, Filter: "tcp or icmp", Description: "a\xffb"}
}

func writeSome(t testing.TB, w io.Writer) *PcapngWriter {
	pw, err := NewPcapngWriter(w, PcapngSection{"amd64", "linux", "hangup test", "first line\nsecond"}, describeSome)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range someFrames() {
		comments := [][]string{nil, {"one"}, {"one", "two"}, {""}, nil}[i]
		if err := pw.Write(&f, comments...); err != nil {
			t.Fatal(err)
		}
	}
	err = pw.Finish(func(iface uint16) PcapngStatistics {
		return PcapngStatistics{Start: at(0, 0), End: at(9, 0), Received: 10, Dropped: uint64(iface % 8)}
	})
	if err != nil {
		t.Fatal(err)
	}
	return pw
}

func TestPcapngWriterIsReadBack(t *testing.T) {
	var b bytes.Buffer
	if pw := writeSome(t, &b); pw.Size() != int64(b.Len()) {
		t.Errorf("size %d, wrote %d", pw.Size(), b.Len())
	}
	list, in := records(t, b.Bytes())
	for i, f := range someFrames() {
		if want := asWritten(&f); list[i] != want {
			t.Errorf("packet %d: %+v, want %+v", i+1, list[i], want)
		}
	}
	if want := []string{"first line\nsecond", "packet 2: one", "packet 3: one", "packet 3: two"}; !slices.Equal(in.Comments, want) {
		t.Errorf("comments %q, want %q", in.Comments, want)
	}
	// Interface 7 has two link types, and so two statistics.
	if in.Drops != 0+7+7+7+1 || in.End != at(9, 0) || in.Snaplen != 96 {
		t.Errorf("drops %d, end %d, snaplen %d", in.Drops, in.End, in.Snaplen)
	}
}

func TestPcapngWriterRefusesWhatDoesNotFit(t *testing.T) {
	pw, err := NewPcapngWriter(io.Discard, PcapngSection{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	size := pw.Size()
	if pw.Write(&Frame{Data: make([]byte, maxRecord+1)}) == nil {
		t.Error("a frame of more than 16 MiB was written")
	}
	if pw.Size() != size {
		t.Error("something of it was written")
	}
	if pw.Write(&Frame{Data: []byte{1}}, slices.Repeat([]string{strings.Repeat("c", 1<<16)}, 10)...) == nil {
		t.Error("comments of more than 512 KiB were written")
	}
}

func TestLongCommentsAreCutBetweenLetters(t *testing.T) {
	for n := range 5 {
		s := plainText(strings.Repeat("x", n)+strings.Repeat("ä€", maxOption), maxOption)
		if len(s) > maxOption || len(s) < maxOption-3 || !utf8.ValidString(s) {
			t.Errorf("%d bytes, valid: %t", len(s), utf8.ValidString(s))
		}
	}
}

func TestPcapngWriterAllocatesNothing(t *testing.T) {
	pw, err := NewPcapngWriter(io.Discard, PcapngSection{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := Frame{Time: at(1, 1), Link: linkEthernet, Data: testFrame(1), Traits: Inbound, WireLen: 60}
	g := Frame{Time: at(1, 1), Link: linkSLL, Data: testFrame(1), Traits: Inbound, WireLen: 60}
	n := testing.AllocsPerRun(100, func() {
		if pw.Write(&f) != nil || pw.Write(&g) != nil {
			t.Fatal("cannot write")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	if n < len(b) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func TestPcapngWriterPassesErrorsOn(t *testing.T) {
	var b bytes.Buffer
	size := writeSome(t, &b).Size()
	for room := range int(size) {
		d := &fullDisk{room}
		pw, err := NewPcapngWriter(d, PcapngSection{"amd64", "linux", "hangup test", "first line\nsecond"}, describeSome)
		for i, f := range someFrames() {
			comments := [][]string{nil, {"one"}, {"one", "two"}, {""}, nil}[i]
			if err == nil {
				err = pw.Write(&f, comments...)
			}
		}
		if err == nil {
			err = pw.Finish(func(uint16) PcapngStatistics { return PcapngStatistics{Start: 1, End: 2} })
		}
		if err == nil {
			t.Fatalf("no error with room for %d of %d bytes", room, size)
		}
	}
}

// wiresharkTool runs a program of Wireshark's, or skips visibly.
func wiresharkTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestWiresharkReadsPcapng(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some.pcapng")
	w, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	writeSome(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := wiresharkTool(t, "tshark", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch", "-e", "frame.len",
		"-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "frame.interface_name", "-c", "3")
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 3 {
		t.Fatalf("tshark shows %d packets:\n%s", len(lines), got)
	}
	for i, f := range someFrames()[:3] {
		when := time.Unix(0, f.Time).UTC()
		epoch := strconv.FormatInt(when.Unix(), 10) + when.Format(".000000000")
		// Newer versions print RFC 3339.
		if got := strings.Split(lines[i], "\t")[1]; got != epoch && !strings.HasPrefix(got, when.Format("2006-01-02T15:04:05.000000000")) {
			t.Errorf("packet %d: time %s, want %s", i+1, got, epoch)
		}
	}
	if !strings.Contains(lines[2], "one") || !strings.Contains(lines[2], "two") {
		t.Errorf("no comments in %q", lines[2])
	}
	about := wiresharkTool(t, "capinfos", file)
	for _, want := range []string{"hangup test", "first line", "nanoseconds", "tcp or icmp", "linux"} {
		if !strings.Contains(about, want) {
			t.Errorf("capinfos does not show %q:\n%s", want, about)
		}
	}
}

// framesFrom makes frames out of anything.
func framesFrom(data []byte) (list []Frame) {
	for len(data) >= 20 && len(list) < 64 {
		f := Frame{
			Time: int64(binary.LittleEndian.Uint64(data)), Link: binary.LittleEndian.Uint16(data[8:]), Iface: uint16(data[10]),
			Traits:  []Traits{0, Inbound, Outbound, NotToUs, SnapCut}[data[11]%5],
			WireLen: binary.LittleEndian.Uint32(data[12:]),
		}
		n := min(int(binary.LittleEndian.Uint16(data[16:])), len(data)-20)
		if f.Time == math.MinInt64 {
			f.Time++ // has no negative
		}
		f.Data = data[20 : 20+n]
		data = data[20+n:]
		list = append(list, f)
	}
	return list
}

func FuzzPcapngRoundTrip(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"), "a comment")
	f.Add(slices.Concat(make([]byte, 60), bytes.Repeat([]byte{0xff}, 70)), "\xff\x00")
	f.Fuzz(func(t *testing.T, data []byte, comment string) {
		var b bytes.Buffer
		pw, err := NewPcapngWriter(&b, PcapngSection{Comment: comment, OS: comment}, func(i uint16) PcapngInterface {
			return PcapngInterface{Name: comment, Snaplen: uint32(i), Filter: comment}
		})
		if err != nil {
			t.Fatal(err)
		}
		frames := framesFrom(data)
		for i := range frames {
			if err := pw.Write(&frames[i], comment); err != nil {
				t.Fatal(err)
			}
		}
		if err := pw.Finish(func(uint16) PcapngStatistics { return PcapngStatistics{End: 1} }); err != nil {
			t.Fatal(err)
		}
		list, _ := records(t, b.Bytes())
		if len(list) != len(frames) {
			t.Fatalf("%d of %d packets read back", len(list), len(frames))
		}
		for i := range frames {
			if want := asWritten(&frames[i]); list[i] != want {
				t.Fatalf("packet %d: %+v, want %+v", i+1, list[i], want)
			}
		}
	})
}
