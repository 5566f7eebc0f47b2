package blackbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// saving is a Saver and a stream of packets into it.
type saving struct {
	*Saver
	*wire
	t *testing.T
}

func newSaving(t *testing.T, cfg Config) *saving {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Wait = true
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &saving{s, newWire(s.Recorder), t}
}

// end records a packet of connection n, and saves it as reset by the server.
func (s *saving) end(n int) (string, error) {
	s.now += second // names tell microseconds apart
	s.send(n, false, 100, capture.RST)
	c := s.conn(n)
	c.First = c.Last
	return s.Save(c, &classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose, By: classify.ByServer}, classify.Env{End: s.now})
}

// names are those in the directory, once everything is written.
func (s *saving) names() (list []string) {
	s.t.Helper()
	s.Saver.Close()
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestFileNames(t *testing.T) {
	c := &assembler.Conn{Last: assembler.Stamp{Time: time.Date(2026, 11, 23, 15, 10, 4, 123456789, time.UTC).UnixNano()}}
	c.Ends[0].Addr, c.Ends[0].Port = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: 5}, 40122
	c.Ends[1].Addr, c.Ends[1].Port = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: 9}, 443
	v := &classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose}
	if got, want := fileName(c, v), "20261123T151004.123456Z-reset-abortive-close-10.0.0.5.40122-10.0.0.9.443.pcapng"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Ends[1].Addr = [16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: 1}
	for class := range classify.Class(5) {
		for cause := range classify.NumCauses {
			for _, ns := range []int64{-1 << 62, 0, 1<<63 - 1} {
				c.Last.Time = ns
				name := fileName(c, &classify.Verdict{Class: class, Cause: classify.Cause(cause)})
				if !ours.MatchString(name) || strings.ContainsAny(name, `:*?"<>|\/ '$&;`) {
					t.Errorf("%s is not recognised, or not safe", name)
				}
			}
		}
	}
	for _, name := range []string{"trace.pcapng", "20261123T151004.123456Z.pcapng", "x20261123T151004.123456Z-reset-abortive-close-10.0.0.5.1-10.0.0.9.2.pcapng",
		"20261123T151004.123456Z-reset-abortive-close-10.0.0.5.1-10.0.0.9.2.pcapng.gz"} {
		if ours.MatchString(name) {
			t.Errorf("%s would be deleted", name)
		}
	}
}

// What is said later of a connection takes the place of what was said before.
func TestRevisedVerdictReplacesTheFile(t *testing.T) {
	s := newSaving(t, Config{Each: 1})
	first, err := s.end(1)
	if err != nil {
		t.Fatal(err)
	}
	c := s.conn(1)
	c.First = c.Last
	other, err := s.end(2)
	if err == nil || other != "" {
		t.Fatal("the quota is not used up, which makes this test say less")
	}
	v := &classify.Verdict{Class: classify.Reset, Cause: classify.ListenerClosed, By: classify.ByServer}
	second := s.Revise(first, c, v, classify.Env{End: s.now})
	if second == first || !strings.Contains(second, "listener-closed") {
		t.Errorf("revised to %s", second)
	}
	third := s.Revise(second, c, v, classify.Env{End: s.now})
	if third != second {
		t.Errorf("%s became %s with the same verdict", second, third)
	}
	s.Forget(c)
	v.Cause = classify.PeerLostState
	if path := s.Revise(third, c, v, classify.Env{End: s.now}); path != third {
		t.Errorf("without packets it became %s", path)
	}
	if list := s.names(); !slices.Equal(list, []string{filepath.Base(second)}) {
		t.Errorf("files %q", list)
	}
	if st := s.Stats(); st.Saved != 1 || st.Failed+st.Gone+st.Busy+st.Deleted != 0 {
		t.Errorf("%+v", st)
	}
	if n := s.folder.bytes; n == 0 || len(s.folder.files) != 1 || s.folder.files[0].size != n {
		t.Errorf("%d bytes are taken for used", n)
	}
}

func TestSavedFilesAreForTheUserAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	dir := filepath.Join(t.TempDir(), "new", "box")
	s := newSaving(t, Config{Dir: dir})
	path, err := s.end(1)
	if err != nil {
		t.Fatal(err)
	}
	s.Saver.Close()
	for name, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestOldestFilesMakeRoom(t *testing.T) {
	dir := t.TempDir()
	old := "20010101T000000.000000Z-reset-abortive-close-10.0.0.5.1-10.0.0.9.2.pcapng"
	for _, name := range []string{"trace.pcapng", "notes", old, old + ".part"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-3 * time.Hour)
	for _, name := range []string{"trace.pcapng", old, old + ".part"} {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	folder := "20000101T000000.000000Z-reset-abortive-close-10.0.0.5.1-10.0.0.9.2.pcapng"
	if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newSaving(t, Config{Dir: dir, MaxFiles: 3, Each: 100})
	var last string
	for n := range 5 {
		path, err := s.end(n)
		if err != nil {
			t.Fatal(err)
		}
		last = filepath.Base(path)
	}
	names := s.names()
	want := 3 + len([]string{"trace.pcapng", "notes", folder})
	if len(names) != want || slices.Contains(names, old) || slices.Contains(names, old+".part") || !slices.Contains(names, last) {
		t.Errorf("left are %q", names)
	}
	for _, name := range []string{"trace.pcapng", "notes", folder} {
		if !slices.Contains(names, name) {
			t.Errorf("%s was deleted", name)
		}
	}
	if st := s.Stats(); st.Saved != 5 || st.Deleted != 4 {
		t.Errorf("%+v", st)
	}
}

func TestBytesAreCapped(t *testing.T) {
	s := newSaving(t, Config{MaxBytes: 10_000, Each: 100})
	for n := range 30 {
		if _, err := s.end(n); err != nil {
			t.Fatal(err)
		}
	}
	sum := int64(0)
	for _, name := range s.names() {
		info, err := os.Stat(filepath.Join(s.cfg.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum > 10_000 || sum < 5_000 {
		t.Errorf("%d bytes", sum)
	}
	if st := s.Stats(); st.Saved != 30 || st.Deleted == 0 {
		t.Errorf("%+v", st)
	}
}

func TestOneFileTooLargeForTheCap(t *testing.T) {
	s := newSaving(t, Config{MaxBytes: 100})
	if _, err := s.end(1); err != nil {
		t.Fatal(err)
	}
	if err := s.Saver.Close(); err == nil || !strings.Contains(err.Error(), "more than all files together") {
		t.Errorf("%v", err)
	}
}

func TestSameCaptureAgainReplacesItsFiles(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		s := newSaving(t, Config{Dir: dir})
		for n := range 2 {
			if _, err := s.end(n); err != nil {
				t.Fatal(err)
			}
		}
		if names := s.names(); len(names) != 2 {
			t.Fatalf("%q", names)
		}
	}
}

func TestStormIsSavedByExamples(t *testing.T) {
	s := newSaving(t, Config{Interval: 10 * time.Minute})
	saved := 0
	for n := range 900 { // a second apart: two intervals
		_, err := s.end(n)
		switch {
		case err == nil:
			saved++
		case !errors.Is(err, ErrAlike):
			t.Fatal(err)
		}
	}
	if st := s.Stats(); saved != 6 || st.Alike != 894 {
		t.Errorf("%d saved, %+v", saved, st)
	}
	names := s.names()
	if len(names) != 6 {
		t.Fatalf("%q", names)
	}
	text, err := os.ReadFile(filepath.Join(s.cfg.Dir, names[3]))
	if err != nil || !bytes.Contains(text, []byte("597 connections that ended alike were not saved")) {
		t.Errorf("the fourth file does not count those refused: %v", err)
	}
}

// TestScanIsSavedByExamples: thousands of servers do not make thousands of
// groups.
func TestScanIsSavedByExamples(t *testing.T) {
	l := limiter{each: 3, interval: int64(time.Minute), quotas: map[alike]*quota{}}
	v := &classify.Verdict{Class: classify.Reset, Cause: classify.ConnectionRefused}
	ok := 0
	for n := range 100_000 {
		c := &assembler.Conn{Last: assembler.Stamp{Time: int64(n) * 1e6}}
		c.Ends[1].Addr, c.Ends[1].Port = address(n/100), uint16(n)
		if _, admitted := l.admit(c, v); admitted {
			ok++
		}
	}
	if ok != 60 { // 100 s: two intervals
		t.Errorf("%d saved", ok)
	}
	if len(l.quotas) > 100 {
		t.Errorf("%d quotas", len(l.quotas))
	}
	c := &assembler.Conn{Last: assembler.Stamp{Time: -1e15}}
	if _, admitted := l.admit(c, v); !admitted {
		t.Error("an earlier capture is not saved")
	}
}

func TestQuotasAreBounded(t *testing.T) {
	l := limiter{each: 1 << 20, interval: int64(time.Second), quotas: map[alike]*quota{}}
	for n := range 100_000 {
		c := &assembler.Conn{Last: assembler.Stamp{Time: int64(n) * 1e7}}
		c.Ends[1].Addr, c.Ends[1].Port = address(n), 1
		l.admit(c, &classify.Verdict{})
	}
	if len(l.quotas) > maxQuotas {
		t.Errorf("%d quotas", len(l.quotas))
	}
}

func TestWhatTheRingLostIsSaid(t *testing.T) {
	s := newSaving(t, Config{RingBytes: leastRing, Snaplen: 64})
	for range 100 {
		s.send(1, true, 100, capture.ACK)
	}
	for range 20_000 {
		s.send(2, true, 100, capture.ACK)
	}
	s.send(1, false, 100, capture.RST)
	c := s.conn(1)
	c.Ends[0].Packets, c.Ends[1].Packets = 100, 1
	c.First = assembler.Stamp{Ref: 1, Time: 1_700_000_000 * second}
	c.Resets[0] = assembler.Reset{Stamp: assembler.Stamp{Ref: capture.MakeRef(0, 50), Time: c.First.Time}, Side: assembler.Server}
	c.NResets = 1
	path, err := s.Save(c, &classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose}, classify.Env{End: s.now})
	if err != nil {
		t.Fatal(err)
	}
	s.Saver.Close()
	all := tell(t, mustRead(t, path), nil)
	if len(all.conns) != 0 { // these packets are no TCP
		t.Fatal("packets of zeros were decoded")
	}
	text := string(mustRead(t, path))
	for _, want := range []string{
		"of the connection's 101 packets: the black box's ring was too small", "the black box kept only the beginning",
		"reset · abortive-close", "(packet 50 of the capture, not in this file)", "may not prove the verdict",
	} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the comment lacks %q:\n%s", want, text)
		}
	}
	_, err = s.Save(s.conn(99), &classify.Verdict{}, classify.Env{})
	if !errors.Is(err, ErrGone) || s.Stats().Gone != 1 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTroubleIsToldOnce: the directory goes away and comes back.
func TestTroubleIsToldOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	told := make(chan error, 100)
	s := newSaving(t, Config{Dir: dir, Each: 100, Complain: func(err error) { told <- err }})
	step := func(n int) {
		t.Helper()
		if _, err := s.end(n); err != nil {
			t.Fatal(err)
		}
		for st := s.Stats(); st.Saved+st.Failed < uint64(n); st = s.Stats() {
			runtime.Gosched()
		}
	}
	step(1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	step(2)
	step(3)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	step(4)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	step(5)
	err := s.Saver.Close()
	if st := s.Stats(); st.Saved != 2 || st.Failed != 3 || err == nil {
		t.Errorf("%+v, %v", st, err)
	}
	if len(told) != 2 {
		t.Errorf("told %d times", len(told))
	}
	if err := <-told; !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "the capture goes on") {
		t.Error(err)
	}
	if _, err := s.end(6); !errors.Is(err, ErrBusy) {
		t.Errorf("after Close: %v", err)
	}
}

// TestSaveDoesNotWaitForTheDisk unless it is told to.
func TestSaveDoesNotWaitForTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	stuck, release := make(chan bool), make(chan bool)
	saver, err := New(Config{Dir: dir, Each: 1000, Complain: func(error) { stuck <- true; <-release }})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s := &saving{saver, newWire(saver.Recorder), t}
	if _, err := s.end(0); err != nil {
		t.Fatal(err)
	}
	<-stuck // the writing goroutine holds nothing but its first file
	for n := range 100 {
		_, err := s.end(n + 1)
		if n < queued && err != nil || n >= queued && !errors.Is(err, ErrBusy) {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	close(release)
	s.Saver.Close()
	if st := s.Stats(); st.Busy != 100-queued || st.Failed != queued+1 {
		t.Errorf("%+v", st)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := New(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "name a directory that is yours") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestInterfacesAreDescribedWhileTheyAreSeen: whoever captures may be asked
// only by the packet path.
func TestInterfacesAreDescribedWhileTheyAreSeen(t *testing.T) {
	var asked []uint16
	s := newSaving(t, Config{Describe: func(i uint16) capture.PcapngInterface {
		asked = append(asked, i)
		return capture.PcapngInterface{Name: fmt.Sprint("veth", i), Snaplen: 99}
	}})
	s.Record(&capture.Frame{Iface: 65535}, &capture.Packet{})
	for range 3 {
		for _, i := range []uint16{3, 70} {
			s.f.Iface = i
			s.Record(&s.f, &s.p)
		}
	}
	s.send(1, true, 60, 0)
	s.f.Iface = 70
	s.Record(&s.f, &s.p)
	n := len(asked)
	path, err := s.Save(s.conn(1), &classify.Verdict{}, classify.Env{})
	if err != nil {
		t.Fatal(err)
	}
	s.Saver.Close()
	if len(asked) != n || n != 3 {
		t.Errorf("asked for %v", asked)
	}
	text := mustRead(t, path)
	if !bytes.Contains(text, []byte("veth70")) || bytes.Contains(text, []byte("veth3")) {
		t.Error("the wrong interfaces are described")
	}
}

func TestWiresharkReadsWhatIsSaved(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	pcap := compile(t, "../../testdata/stories/close-with-unread-data.txt")
	s, err := New(Config{Dir: t.TempDir(), Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	all := tell(t, pcap, s.Record)
	path, err := s.Save(&all.conns[0], &all.verdicts[0], all.env)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	out, err := exec.Command(tshark, "-r", path, "-T", "fields", "-e", "frame.number", "-e", "tcp.flags.reset", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; len(lines) != 6 || !strings.Contains(last, "RST+ACK, seq = next expected") {
		t.Errorf("%s", out)
	}
}

// BenchmarkSave is what a saved connection of 40 packets costs the one who
// saves it, the disk left out.
func BenchmarkSave(b *testing.B) {
	s, err := New(Config{Dir: b.TempDir(), Each: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	w := newWire(s.Recorder)
	for i := range 40 {
		w.send(1, i%2 == 0, 500, capture.ACK)
	}
	c := w.conn(1)
	v := &classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose}
	for b.Loop() {
		if _, err := s.Save(c, v, classify.Env{End: w.now}); err != nil && !errors.Is(err, ErrBusy) {
			b.Fatal(err)
		}
	}
}
