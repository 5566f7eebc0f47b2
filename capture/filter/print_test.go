package filter

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

const listings = "testdata/listings.txt"

// TestPrintsAsTcpdumpDoes reads testdata/listings.txt: expressions behind "#",
// each with what tcpdump -O -d -y EN10MB printed.
func TestPrintsAsTcpdumpDoes(t *testing.T) {
	text, err := os.ReadFile(listings)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimPrefix(string(text), "# "), "\n# ")
	for i, block := range blocks {
		expr, want, _ := strings.Cut(block, "\n")
		if *update {
			out, err := exec.Command("tcpdump", "-O", "-d", "-y", "EN10MB", "--", expr).Output()
			if err != nil {
				t.Fatalf("%q: %v", expr, err)
			}
			want = strings.TrimSuffix(string(out), "\n")
			blocks[i] = expr + "\n" + want
		}
		e, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.CompileLive(linkEthernet, 262144)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.String(); got != strings.TrimSuffix(want, "\n") {
			t.Errorf("%q: got\n%s\nwant\n%s", expr, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(listings, []byte("# "+strings.Join(blocks, "\n# ")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPrintsEveryInstruction: none is left without words.
func TestPrintsEveryInstruction(t *testing.T) {
	for op := range uint16(0x100) {
		in := bpf.RawInstruction{Op: op, K: 1}
		if !known(op) {
			continue
		}
		if name, _ := spell(in, 0); name == "" {
			t.Errorf("%#x has no name", op)
		}
	}
	e, _ := Parse("vlan 5")
	p, err := e.CompileLive(linkEthernet, 96)
	if err != nil || !strings.Contains(p.String(), "ldb      [vlanp]") || !strings.Contains(p.String(), "ldh      [vlan_tci]") {
		t.Errorf("%v\n%s", err, p)
	}
}
