package filter

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpusCountsAsTcpdumpDoes filters real captures here and with the
// installed tcpdump, and compares how many packets pass.
func TestCorpusCountsAsTcpdumpDoes(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS is not set")
	}
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if more, _ := filepath.Glob(filepath.Join(dir, "*.pcap")); len(files) == 0 {
		files = more
	}
	compared := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || len(b) < 24 {
			continue
		}
		link, frames, lengths := classic(b)
		if frames == nil {
			continue
		}
		for _, expr := range []string{"tcp", "tcp port 80 or 443", "not tcp", "net 10.0.0.0/8", "tcp[13] & 7 != 0", "greater 100",
			"vlan and tcp", "ip6", "src portrange 0-1023", "mpls", "pppoes and ip"} {
			e, err := Parse(expr)
			if err != nil {
				t.Fatal(err)
			}
			p, err := e.Compile(link, 262144)
			if err != nil {
				continue
			}
			got := 0
			for i, f := range frames {
				if p.Match(f, lengths[i]) {
					got++
				}
			}
			out, err := exec.Command("tcpdump", "-O", "-n", "-r", file, "-w", "-", "--", expr).Output()
			if err != nil {
				continue // a capture that tcpdump does not read to its end
			}
			_, passed, _ := classic(out)
			if got != len(passed) {
				t.Errorf("%s %q: %d pass here, %d in tcpdump", filepath.Base(file), expr, got, len(passed))
			}
			compared++
		}
	}
	t.Logf("%d filters compared on %d files", compared, len(files))
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// classic cuts a classic pcap file into frames, with their lengths on the wire.
func classic(b []byte) (link uint16, frames [][]byte, lengths []int) {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case len(b) < 24:
		return 0, nil, nil
	case strings.HasPrefix(string(b), "\xa1\xb2"):
		order = binary.BigEndian
	case !strings.HasPrefix(string(b[2:]), "\xb2\xa1"):
		return 0, nil, nil
	}
	link = uint16(order.Uint32(b[20:]))
	for rest := b[24:]; len(rest) >= 16; {
		n := int(order.Uint32(rest[8:]))
		if n < 0 || n > len(rest)-16 {
			break
		}
		frames, lengths = append(frames, rest[16:16+n]), append(lengths, int(order.Uint32(rest[12:])))
		rest = rest[16+n:]
	}
	return link, frames, lengths
}
