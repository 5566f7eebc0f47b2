package capture

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tsharkOracle is what TShark found in one capture.
type tsharkOracle struct{ Streams []tsharkStream }

// tsharkStream is one TCP connection of an oracle.
type tsharkStream struct {
	AIP        string `json:"a_ip"`
	BIP        string `json:"b_ip"`
	APort      uint16 `json:"a_port"`
	BPort      uint16 `json:"b_port"`
	Frames     int
	BytesAB    uint64        `json:"bytes_ab"`
	BytesBA    uint64        `json:"bytes_ba"`
	Head, Tail []tsharkFrame // the first few and the last few frames
}

// tsharkFrame is [number, time, direction, flags, length, sequence, acknowledgment].
type tsharkFrame struct {
	number    uint64
	direction string
	flags     string
	length    uint32
	seq, ack  uint32
}

func (f *tsharkFrame) UnmarshalJSON(b []byte) error {
	var skip any
	return json.Unmarshal(b, &[]any{&f.number, &skip, &f.direction, &f.flags, &f.length, &f.seq, &f.ack})
}

// corpusFiles are the captures of the corpus with their oracles, by name.
func corpusFiles(t testing.TB) map[string]tsharkOracle {
	t.Helper()
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS is not set: real captures are not at hand")
	}
	names, err := filepath.Glob(filepath.Join(dir, "tshark", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no oracles in %s: %v", dir, err)
	}
	all := make(map[string]tsharkOracle)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var o tsharkOracle
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := strings.TrimSuffix(filepath.Base(name), ".json")
		all[filepath.Join(dir, "pcaps", file)] = o
	}
	return all
}

// eachPacket calls f with every packet of a file.
func eachPacket(t testing.TB, name string, f func(b *Batch, p *Packet)) {
	t.Helper()
	s, err := Open([]string{name}, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for b := new(Batch); ; {
		if err := s.Next(b); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range b.Packets {
			f(b, &b.Packets[i])
		}
	}
}

// tsharkDiffers are captures that we read otherwise than TShark 4.0, and why
// we hold to it.
var tsharkDiffers = map[string]struct {
	more    int  // segments that TShark does not see
	lengths bool // payload lengths differ
	reason  string
}{
	"PcapFlowLab__examples__showcase__pcap_flow_lab_showcase.pcap": {more: 1,
		reason: "packet 1327 is a pseudowire of Ethernet without control word, in which TShark's guess finds one"},
	"tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap": {more: 1,
		reason: "the VXLAN packet is larger than UDP can say: its length 0 ends TShark's dissection"},
	"tcptrace__fast_reuse.dmp.gz": {lengths: true,
		reason: "whoever shortened the frames to 128 bytes wrote that as their length on the wire; IP knows better"},
}

// TestCorpusSegments compares the segments of every capture with TShark's:
// their number and bytes, and every field of those its oracle spells out.
func TestCorpusSegments(t *testing.T) {
	for name, want := range corpusFiles(t) {
		t.Run(filepath.Base(name), func(t *testing.T) { compareSegments(t, name, want) })
	}
}

func compareSegments(t *testing.T, name string, want tsharkOracle) {
	known := tsharkDiffers[filepath.Base(name)]
	segments, bytes := 0, uint64(0)
	seen := make(map[uint64]Packet)
	eachPacket(t, name, func(_ *Batch, p *Packet) {
		seen[p.Ref.Number()] = *p
		if p.Kind == TCP {
			segments++
			bytes += uint64(p.Len)
		}
	})
	frames, sum, lengths := 0, uint64(0), 0
	for _, s := range want.Streams {
		frames += s.Frames
		sum += s.BytesAB + s.BytesBA
		for _, f := range append(s.Head, s.Tail...) {
			got, want := seen[f.number].line(), s.line(f)
			if got != want {
				t.Errorf("packet %d: %s, TShark has %s", f.number, got, want)
			}
			if seen[f.number].Len != f.length {
				lengths++
			}
		}
	}
	if segments != frames+known.more {
		t.Errorf("%d segments, TShark has %d", segments, frames)
	}
	if known.lengths != (lengths > 0) || known.more == 0 && !known.lengths && bytes != sum {
		t.Errorf("%d payload bytes, TShark has %d; %d spelled-out lengths differ", bytes, sum, lengths)
	}
}

// line is the packet as the oracle knows it, but for its length.
func (p Packet) line() string {
	return fmt.Sprintf("%v:%d > %v:%d %s seq %d ack %d", Addr(p.Src), p.SrcPort, Addr(p.Dst), p.DstPort, letters(p.Flags), p.Seq, p.Ack)
}

// line is what Packet.line should be for frame f.
func (s *tsharkStream) line(f tsharkFrame) string {
	from, to, fromPort, toPort := s.AIP, s.BIP, s.APort, s.BPort
	if f.direction == "<" {
		from, to, fromPort, toPort = to, from, toPort, fromPort
	}
	return fmt.Sprintf("%s:%d > %s:%d %s seq %d ack %d", from, fromPort, to, toPort, f.flags, f.seq, f.ack)
}

// letters are the flags as the oracle writes them.
func letters(f Flags) string {
	var s strings.Builder
	for i, c := range "SFRPAU" {
		if f&[...]Flags{SYN, FIN, RST, PSH, ACK, URG}[i] != 0 {
			s.WriteRune(c)
		}
	}
	return s.String()
}
