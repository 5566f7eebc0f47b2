package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good.pcap"), pcapFile{}.bytes(testPackets(2, at(0, 0), 1)...))
	empty := write(t, filepath.Join(dir, "empty.pcap"), nil)
	short := write(t, filepath.Join(dir, "short.pcap"), pcapFile{}.bytes()[:20])
	tests := []struct {
		name  string
		names []string
		want  string
	}{
		{"none", nil, "no capture named, give a file, or - for standard input"},
		{"missing", []string{dir + "/x.pcap"}, dir + "/x.pcap: file does not exist, check its name"},
		{"pattern", []string{dir + "/*.cap"}, dir + "/*.cap: no such file, the shell found no match for this pattern"},
		{"directory", []string{dir + "/"}, dir + "/: is a directory, name the captures in it: " + dir + "/*.pcap*, or " + dir + "/... for all below it"},
		{"below a file", []string{good + "/x"}, good + "/x: cannot be opened: not a directory"},
		{"empty", []string{empty}, empty + ": is empty, nothing was recorded (was the capture killed before its first write?)"},
		{"short", []string{short}, short + ": cut short in the middle of the pcap file header (20 of 24 bytes), nothing was recorded"},
		{"no input", []string{"-"}, "standard input: is closed, name a file instead"},
		{"all", []string{empty, dir + "/x.pcap"}, empty + ": is empty, nothing was recorded (was the capture killed before its first write?)\n" + dir + "/x.pcap: file does not exist, check its name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(tt.names, OpenConfig{}); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
	_, err := Open([]string{dir + "/x.pcap"}, OpenConfig{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
}

func TestOpenNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		if got := fileError("x", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}).Error(); got != "x: permission denied, captures written by root are root's: try sudo, or chown it" {
			t.Error(got)
		}
		t.Skip("root may read everything")
	}
	name := write(t, "x.pcap", pcapFile{}.bytes())
	if err := os.Chmod(name, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]string{name}, OpenConfig{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

// What is no capture must be called what it is, with the way out.
func TestOpenForeign(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar, "dump.pcap")
	copy(tar[257:], "ustar")
	erf := make([]byte, 64)
	copy(erf[4:], []byte{0, 0x10, 0x5e, 0x65, 2, 4, 0, 64, 0, 0, 0, 60})
	tests := []struct{ name, head, want string }{
		{"snoop", "snoop\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04", "snoop capture, convert it with: editcap -F pcapng IN OUT"},
		{"elf", "\x7fELF\x02\x01\x01", "an ELF program"},
		{"zip", "PK\x03\x04\x14\x00", "a zip archive, unpack it first: unzip -p FILE | hangup -"},
		{"xz", "\xfd7zXZ\x00\x00\x04", "xz data, unpack it first: xz -dc FILE | hangup -"},
		{"bzip2", "BZh91AY&SY", "bzip2 -dc FILE"},
		{"tar", string(tar), "a tar archive, unpack it first: tar -xOf"},
		{"erf", string(erf), "an Endace ERF capture, convert it"},
		{"zeros", strings.Repeat("\x00", 100), "zero bytes only"},
		{"random", "\x91\x02\x77\xf0\x11\x12\x13\x80\x99", "starts with 91 02 77 f0 11 12 13 80, see what it is with: file FILE; capinfos FILE"},
		{"tcpdump", "16:20:01.123456 IP 10.0.0.1.55832 > 10.0.0.2.443: Flags [S], seq 1\n", "the text that tcpdump prints, record packets instead of text: tcpdump -w FILE"},
		{"tcpdump -tttt", "2024-01-01 16:20:01.123456 IP6 ::1.5 > ::1.6: Flags [S]\n", "the text that tcpdump prints"},
		{"tcpdump -i any", "16:20:01.123456 eth0  Out IP 10.0.0.1.55832 > 10.0.0.2.443: Flags [S]\n", "the text that tcpdump prints"},
		{"tcpdump -tt", "1700000000.123456 IP 10.0.0.1.5 > 10.0.0.2.6: Flags [S]\n", "the text that tcpdump prints"},
		{"tcpdump 2>&1", "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n", "messages that tcpdump prints"},
		{"tshark", "    1   0.000000 10.0.0.1 → 10.0.0.2 TCP 74 5 → 6 [SYN]\n", "the text that tshark prints"},
		{"tshark -V", "Frame 1: 74 bytes on wire (592 bits)\n", "the text that tshark or Wireshark prints"},
		{"hex", "0000  00 11 22 33 44 55\n0010  66 77\n", "a hex dump, make a capture of it with: text2pcap IN OUT"},
		{"zeek", "#separator \\x09\n", "a Zeek log"},
		{"json", "{\"timestamp\": \"2024\"}\n", "JSON"},
		{"html", "<!DOCTYPE html>\n<html>", "a web page"},
		{"pdml", "<?xml version=\"1.0\"?>\n<pdml version=\"0\">", "XML of dissected packets"},
		{"powershell", "\xff\xfe\xd4\x00\xc3\x00", "UTF-16 text"},
		{"base64", strings.Repeat("1MOyoQIABAAAAAAAAAAAAAAABAABAAAA", 3)[:76] + "\nAAAA\n", "base64, decode it first"},
		{"lfs", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
		{"prose", "Dear all,\n", "looks like text"},
		{"tiny", "ab", "only 2 bytes long"},
		{"pcap 3.0", string(pcapFile{major: 3}.bytes()), "pcap version 3.0 is not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open([]string{"-"}, OpenConfig{Stdin: strings.NewReader(tt.head)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "standard input: ") {
				t.Errorf("error %v\nwant ... %s", err, tt.want)
			}
		})
	}
}

// One bad file must not hide the others.
func TestOpenSome(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.pcap"), pcapFile{}.bytes(testPackets(2, at(10, 0), 1)...))
	b := write(t, filepath.Join(dir, "b.pcap"), pcapFile{}.bytes(testPackets(2, at(0, 0), 1)...))
	cut := write(t, filepath.Join(dir, "cut.pcap"), pcapFile{}.bytes(testPackets(2, at(20, 0), 1)...)[:24+76+50])
	none := write(t, filepath.Join(dir, "none.pcap"), pcapFile{}.bytes())
	text := write(t, filepath.Join(dir, "text.pcap"), []byte("no capture\n"))
	link := filepath.Join(dir, "link.pcap")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	s, err := Open([]string{text, dir + "/missing", a, link, none, cut, b}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ps := readAll(t, s)
	var got []string
	for _, in := range s.Inputs() {
		got = append(got, fmt.Sprintf("%s %d %v %v", filepath.Base(in.Name), in.Packets, in.Err != nil, in.Broken))
	}
	want := []string{"b.pcap 2 false false", "a.pcap 2 false false", "cut.pcap 1 true true", "none.pcap 0 false false", "text.pcap 0 true true", "missing 0 true true", "link.pcap 0 true false"}
	if !slices.Equal(got, want) {
		t.Errorf("inputs %q\nwant   %q", got, want)
	}
	if msg := fmt.Sprint(s.Inputs()[6].Err); msg != link+": is the same file as "+a+", which is read once, name it once" {
		t.Error(msg)
	}
	for i, p := range ps {
		if p.Ref != MakeRef(i/2, uint64(i%2+1)) {
			t.Errorf("packet %d has ref %d:%d", i, p.Ref.File(), p.Ref.Number())
		}
	}
	if len(ps) != 5 {
		t.Errorf("%d packets", len(ps))
	}
}

// A file may vanish between Open and its turn, as rotations delete them.
func TestOpenVanishing(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.pcap"), pcapFile{}.bytes(testPackets(2, at(0, 0), 1)...))
	b := write(t, filepath.Join(dir, "b.pcap"), pcapFile{}.bytes(testPackets(2, at(9, 0), 1)...))
	c := write(t, filepath.Join(dir, "c.pcap"), pcapFile{}.bytes(testPackets(2, at(19, 0), 1)...))
	s, err := Open([]string{a, b, c}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	ps := readAll(t, s)
	if in := s.Inputs(); len(ps) != 4 || in[0].Err != nil || !errors.Is(in[1].Err, fs.ErrNotExist) || in[2].Err != nil {
		t.Errorf("%d packets, %+v", len(ps), in)
	}
}

// slowReader hands out one piece per Read, and says when it is asked for one
// that it does not have.
type slowReader struct {
	pieces  [][]byte
	starved func()
}

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.pieces) == 0 {
		r.starved()
		return 0, io.EOF
	}
	n := copy(p, r.pieces[0])
	if r.pieces[0] = r.pieces[0][n:]; len(r.pieces[0]) == 0 {
		r.pieces = r.pieces[1:]
	}
	return n, nil
}

// Packets of a live pipe must come out when they are there, not when a
// chunk is full.
func TestOpenLivePipe(t *testing.T) {
	for _, data := range [][]byte{pcapFile{}.bytes(testPackets(1, at(0, 0), 1)...), (&ngFile{}).section().iface(1, 0).enhanced(0, 1, testFrame(1), 60).buf} {
		starved := false
		src := &slowReader{pieces: [][]byte{data[:10], data[10:24], data[24:30], data[30:]}, starved: func() { starved = true }}
		s, err := Open([]string{"-"}, OpenConfig{Stdin: src})
		if err != nil {
			t.Fatal(err)
		}
		if len(src.pieces) != 2 {
			t.Errorf("Open left %d pieces", len(src.pieces))
		}
		var b Batch
		if err := s.Next(&b); err != nil || len(b.Packets) != 1 || starved {
			t.Errorf("%d packets, waited %v, %v", len(b.Packets), starved, err)
		}
		if err := s.Next(&b); err != io.EOF || !starved {
			t.Errorf("then %v", err)
		}
	}
}

type brokenReader struct{ io.Reader }

func (r brokenReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("input/output error")
	}
	return n, err
}

func TestOpenReadError(t *testing.T) {
	data := pcapFile{}.bytes(testPackets(3, at(0, 0), 1)...)
	s, err := Open([]string{"-"}, OpenConfig{Stdin: brokenReader{bytes.NewReader(data)}})
	if err != nil {
		t.Fatal(err)
	}
	ps := readAll(t, s)
	if in := s.Inputs()[0]; len(ps) != 3 || fmt.Sprint(in.Err) != "standard input: packet 4: read error: input/output error: what was read until then is reported" {
		t.Errorf("%d packets, %v", len(ps), in.Err)
	}
}

func TestOpenProgress(t *testing.T) {
	dir := t.TempDir()
	var names []string
	size := int64(0)
	for i, kind := range []string{"gzip", "zstd"} {
		data := pack(t, kind, pcapFile{}.bytes(testPackets(30000, at(int64(i)*100, 0), 1000)...))
		size += int64(len(data))
		names = append(names, write(t, fmt.Sprintf("%s/%d", dir, i), data))
	}
	last := int64(-1)
	s, err := Open(names, OpenConfig{Progress: func(done, total int64) {
		if done < last || total != size {
			t.Fatalf("%d of %d after %d of %d", done, total, last, size)
		}
		last = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if readAll(t, s); last != size {
		t.Errorf("ended at %d of %d", last, size)
	}
}
