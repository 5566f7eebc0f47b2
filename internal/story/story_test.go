package story

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"
)

var packetZero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbers makes small sequence numbers, which a reader can check.
const numbers = "client isn=1000 tsval=100\nserver isn=5000 tsval=700\n"

// feature is a piece of the language and what must come out of it.
type feature struct {
	name, text string
	fields     string
	want       string
}

func run(t *testing.T, features []feature) {
	t.Helper()
	for _, f := range features {
		t.Run(f.name, func(t *testing.T) {
			got := show(t, compile(t, f.text), f.fields)
			if diff := cmp.Diff(strings.TrimLeft(f.want, "\n"), got); diff != "" {
				t.Errorf("%s\nwant -, got +\n%s", f.text, diff)
			}
		})
	}
}

func TestSequenceSpace(t *testing.T) {
	const fields = "dir flags seq ack len"
	run(t, []feature{
		{"shorthands", numbers + "handshake\nexchange 10 20\nclose by S\n", fields, `
> S 1000 0 0
< S. 5000 1001 0
> . 1001 5001 0
> P. 1001 5001 10
< . 5001 1011 0
< P. 5001 1011 20
> . 1011 5021 0
< F. 5021 1011 0
> F. 1011 5022 0
< . 5022 1012 0
`},
		{"exchange by S in segments", numbers + "server mss=1012\nhandshake\nexchange 10 2500 by C\nexchange \"hi\" hex:00 by S\n", fields, `
> S 1000 0 0
< S. 5000 1001 0
> . 1001 5001 0
> P. 1001 5001 10
< . 5001 1011 0
< . 5001 1011 1448
< P. 6449 1011 1052
> . 1011 7501 0
< P. 7501 1011 2
> . 1011 7503 0
> P. 1011 7503 1
< . 7503 1012 0
`},
		{"mid-stream", numbers + "> P. len=5\n< P. len=7\n> .\n", fields, `
> P. 1001 5001 5
< P. 5001 1006 7
> . 1006 5008 0
`},
		{"wrap", "client isn=4294967290\nserver isn=5000\nhandshake\n> P. len=10\n< .\n+1 > P. len=1 lost\n+1 > rexmit\n< .\n", fields, `
> S 4294967290 0 0
< S. 5000 4294967291 0
> . 4294967291 5001 0
> P. 4294967291 5001 10
< . 5001 5 0
> P. 5 5001 1
> P. 5 5001 1
< . 5001 6 0
`},
		{"lost and resent", numbers + "> P. len=5 lost\n> P. len=5\n< .\n+0.2 > rexmit\n< .\n", fields, `
> P. 1001 5001 5
> P. 1006 5001 5
< . 5001 1001 0
> P. 1001 5001 5
< . 5001 1011 0
`},
		{"an acknowledgement lost", numbers + "> P. len=5\n< . lost\n+0.2 > rexmit\n< .\n> P. len=1\n+1 > rexmit seq=1\n+1 > rexmit last\n", fields, `
> P. 1001 5001 5
< . 5001 1006 0
> P. 1001 5001 5
< . 5001 1006 0
> P. 1006 5001 1
> P. 1001 5001 5
> P. 1006 5001 1
`},
		{"rexmit of SYN and FIN", numbers + "> S lost\n+1 > rexmit\n< S.\n> .\n> F. lost\n+0.4 > rexmit\n", fields, `
> S 1000 0 0
> S 1000 0 0
< S. 5000 1001 0
> . 1001 5001 0
> F. 1001 5001 0
> F. 1001 5001 0
`},
		{"uncaptured", numbers + "> P. len=5 uncaptured\n< .\n> P. len=5 uncaptured lost\n> P. len=1\n< .\n", fields, `
< . 5001 1006 0
> P. 1011 5001 1
< . 5001 1006 0
`},
		{"crossed", numbers + "> F.\n< . crossed\n< .\n< P. len=1\n< P. len=1\n< P. len=1\n> .\n> . crossed\n> . crossed=2\n> . crossed=3\n", fields, `
> F. 1001 5001 0
< . 5001 1001 0
< . 5001 1002 0
< P. 5001 1002 1
< P. 5002 1002 1
< P. 5003 1002 1
> . 1002 5004 0
> . 1002 5003 0
> . 1002 5002 0
> . 1002 5001 0
`},
		{"simultaneous close", numbers + "> F.\n< F. crossed\n> .\n< .\n", fields, `
> F. 1001 5001 0
< F. 5001 1001 0
> . 1002 5002 0
< . 5002 1002 0
`},
		{"forged leaves the books alone", numbers + "< P. len=5 forged\n< R forged\n< R. forged seq=+100\n> P. len=1\n< .\n", fields, `
< P. 5001 1001 5
< R 5001 0 0
< R. 5101 1001 0
> P. 1001 5001 1
< . 5001 1002 0
`},
		{"overrides", numbers + "> P. len=5 seq=100 ack=50\n> . seq=-1 ack=-1\n> . seq=+7 ack=+7\n> .\n< R seq=9\n", fields, `
> P. 1100 5050 5
> . 1104 5000 0
> . 1112 5008 0
> . 1105 5001 0
< R 5009 0 0
`},
		{"keepalive", numbers + "+15 > keepalive\n< .\n+15 > keepalive len=1\n+15x2 > probe lost\n> P. len=1\n", fields, `
> . 1000 5001 0
< . 5001 1001 0
> . 1000 5001 1
> . 1000 5001 0
> . 1000 5001 0
> P. 1001 5001 1
`},
		{"stateless", numbers + "> S #syn\n< stateless\n< S.\n> stateless\n> P. len=10\n< stateless\n> none len=3\n< stateless\n> F.\n< stateless to=#syn\n> R.\n< R. lost\n< stateless to=#syn\n", fields, `
> S 1000 0 0
< R. 0 1001 0
< S. 5000 1001 0
> R 1001 0 0
> P. 1001 5001 10
< R 5001 0 0
> none 1011 0 3
< R. 0 1014 0
> F. 1014 5001 0
< R. 0 1001 0
> R. 1015 5001 0
< R. 5001 1015 0
< R. 0 1001 0
`},
		{"live RST", numbers + "handshake\n> P. len=3\n< R.\n", "flags seq ack win id opts", `
S 1000 0 64240 4096 [2:05b4 4: 8:0000006400000000 3:07]
S. 5000 1001 65160 0 [2:05b4 4: 8:000002c100000064 3:07]
. 1001 5001 501 4097 [8:0000006e000002c1]
P. 1001 5001 501 4098 [8:00000073000002c1]
R. 5001 1004 509 32768 [8:000002d000000073]
`},
		{"a reused tuple", numbers + "conn b client :40000 isn=77\n> P. len=1\n+5 b > S lost\n< .\n> stateless\n+1 b > rexmit\nb < S.\n", fields, `
> P. 1001 5001 1
> S 77 0 0
< . 5001 1002 0
> R 1002 0 0
> S 77 0 0
< S. 10005000 78 0
`},
		{"simultaneous open", numbers + "> S\n< S crossed\n> S. \n< S.\n", fields, `
> S 1000 0 0
< S 5000 0 0
> S. 1000 5001 0
< S. 5000 1001 0
`},
	})
}

func TestTime(t *testing.T) {
	run(t, []feature{
		{"every form", "rtt 20ms\n> .\n< .\n+1 > .\n+15ms < .\n5 > .\n-0.5 < .\n+1x2,+2 > .\n+0.000000001 < .\n", "time dir", `
0.000000 >
0.010000 <
1.010000 >
1.025000 <
5.000000 >
4.500000 <
5.500000 >
6.500000 >
8.500000 >
8.500000 <
`},
		{"first at its time", "+2 > .\nrtt 0.2\nclose by C // with a comment\n", "time", "2.000000\n2.100000\n2.200000\n2.300000\n"},
		{"shorthand at its time", "+1 handshake\n+1 close by C\n+60 other\n", "time", "1.000000\n1.005000\n1.010000\n2.010000\n2.015000\n2.020000\n62.020000\n"},
	})
	s := compile(t, "start 2025-06-01T12:00:00.5Z\n+0.000000001 > .\n")
	if got := s.Packets()[0].Time.Format(time.RFC3339Nano); got != "2025-06-01T12:00:00.500000001Z" {
		t.Errorf("start: %s", got)
	}
}

func TestLabelsAndLines(t *testing.T) {
	s := compile(t, "handshake #hs\n\n// nothing\n> P. len=1 uncaptured\n< R. #rst\n+1x2 other #o\n")
	want := map[string]int{"hs.1": 1, "hs.2": 2, "hs.3": 3, "rst": 4, "o.1": 5, "o.2": 6}
	if diff := cmp.Diff(want, s.Labels()); diff != "" {
		t.Error(diff)
	}
	p := s.Packets()[3]
	if p.Line != 6 || p.Label != "rst" {
		t.Errorf("packet 4: line %d, label %q", p.Line, p.Label)
	}
}

func TestSections(t *testing.T) {
	s, err := Parse([]byte("prose\nmore\n-- packets --\n> S\n-- verdict --\nclass: open\n-- b/c --\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Section{{"packets", "> S\n", 4}, {"verdict", "class: open\n", 6}, {"b/c", "", 8}}
	if diff := cmp.Diff(want, s.Sections); diff != "" {
		t.Error(diff)
	}
	verdict, ok := s.Section("verdict")
	if s.Prose != "prose\nmore\n" || verdict != "class: open\n" || !ok {
		t.Errorf("prose %q, verdict %q %v", s.Prose, verdict, ok)
	}
	if _, ok := s.Section("other"); ok {
		t.Error("found a section that is not there")
	}
}

func TestPcap(t *testing.T) {
	s := compile(t, "snaplen 70\n+0.123456789 > P. len=100\n< . cut=20\n")
	data, err := s.Pcap()
	if err != nil {
		t.Fatal(err)
	}
	if magic := binary.LittleEndian.Uint32(data); magic != 0xa1b23c4d {
		t.Errorf("magic %#x", magic)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r.Snaplen() != 70 || r.LinkType() != 1 {
		t.Errorf("snaplen %d, link type %v", r.Snaplen(), r.LinkType())
	}
	for i, want := range []struct{ captured, wire int }{{70, 14 + 20 + 32 + 100}, {20, 14 + 20 + 32}} {
		got, info, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		p := s.Packets()[i]
		if len(got) != want.captured || info.Length != want.wire || !info.Timestamp.Equal(p.Time) || !bytes.Equal(got, p.Data) {
			t.Errorf("packet %d: %d of %d bytes at %v", i+1, len(got), info.Length, info.Timestamp)
		}
	}
}

func TestExampleStories(t *testing.T) {
	files, err := filepath.Glob("../../testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(s.Packets()) == 0 || strings.TrimSpace(s.Prose) == "" {
			t.Errorf("%s: %d packets, prose %q", file, len(s.Packets()), s.Prose)
		}
	}
}
