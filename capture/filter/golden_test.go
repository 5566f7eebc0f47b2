package filter

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

var update = flag.Bool("update", false, "ask the installed tcpdump again and write its answers to testdata")

const goldenFile = "testdata/tcpdump.gz"

// links are the link types of the goldens by tcpdump's names of them.
var links = []struct {
	name string
	link uint16
}{
	{"EN10MB", linkEthernet}, {"LINUX_SLL", linkSLL}, {"LINUX_SLL2", linkSLL2}, {"RAW", linkRaw},
	{"IPV4", linkIPv4}, {"IPV6", linkIPv6}, {"PPP", linkPPP}, {"PPP_ETHER", linkPPPEther}, {"C_HDLC", linkCHDLC},
}

// golden is what tcpdump made of one expression.
type golden struct {
	link    string
	expr    string
	refusal string // what tcpdump said if it refused
	raw     []bpf.RawInstruction
}

func (g golden) number(t *testing.T) uint16 {
	for _, l := range links {
		if l.name == g.link {
			return l.link
		}
	}
	t.Fatalf("unknown link %q", g.link)
	return 0
}

// chosen reads testdata/expressions.txt. A line that begins with "%" is an
// expression that tcpdump compiles and this package refuses on purpose, one
// with "~" an expression to which this package gives another meaning on
// purpose.
func chosen(t *testing.T) (exprs []string, refused, other map[string]bool) {
	text, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	refused, other = map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "%"); ok {
			line, refused[rest] = rest, true
		} else if rest, ok := strings.CutPrefix(line, "~"); ok {
			line, other[rest] = rest, true
		}
		exprs = append(exprs, line)
	}
	return exprs, refused, other
}

// asked lists what the goldens must hold: every chosen expression on the links
// that people capture on, some on the others, random ones, and jumbles.
func asked(t *testing.T) []golden {
	var all []golden
	exprs, _, _ := chosen(t)
	for i, e := range exprs {
		for j, l := range links {
			if j < 4 || i%4 == 0 {
				all = append(all, golden{link: l.name, expr: e})
			}
		}
	}
	for i, e := range randomExpressions(2400) {
		l := links[0]
		if i%2 == 1 {
			l = links[1+i/2%(len(links)-1)]
		}
		all = append(all, golden{link: l.name, expr: e})
	}
	for _, e := range jumbles(3000) {
		all = append(all, golden{link: links[0].name, expr: e})
	}
	return all
}

func askTcpdump(t *testing.T) []golden {
	all := asked(t)
	for i := range all {
		g := &all[i]
		cmd := exec.Command("tcpdump", "-O", "-ddd", "-y", g.link, "--", g.expr)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			if g.refusal = strings.TrimPrefix(strings.TrimSpace(stderr.String()), "tcpdump: "); g.refusal == "" {
				t.Fatalf("tcpdump: %v", err)
			}
			continue
		}
		if g.raw, err = readDecimal(string(out)); err != nil {
			t.Fatalf("%q: %v", g.expr, err)
		}
	}
	return all
}

func writeGoldens(t *testing.T, all []golden) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	for _, g := range all {
		fmt.Fprintf(z, "%s\t%s\t%s\n", g.link, g.expr, g.refusal)
		for _, in := range g.raw {
			fmt.Fprintf(z, " %d %d %d %d\n", in.Op, in.Jt, in.Jf, in.K)
		}
	}
	z.Close()
	if err := os.WriteFile(goldenFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func goldens(t *testing.T) []golden {
	t.Helper()
	f, err := os.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	s := bufio.NewScanner(io.Reader(z))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		if line[0] == ' ' {
			in, err := readInstruction(strings.Fields(line))
			if err != nil {
				t.Fatal(err)
			}
			last := &all[len(all)-1]
			last.raw = append(last.raw, in)
			continue
		}
		parts := strings.SplitN(line, "\t", 3)
		all = append(all, golden{link: parts[0], expr: parts[1], refusal: parts[2]})
	}
	if s.Err() != nil || len(all) < 3000 {
		t.Fatalf("%d goldens: %v", len(all), s.Err())
	}
	return all
}

// TestGoldensAreOfTheseExpressions fails when expressions.txt or the generator
// of random ones has changed and the goldens have not.
func TestGoldensAreOfTheseExpressions(t *testing.T) {
	if *update {
		if _, err := exec.LookPath("tcpdump"); err != nil {
			t.Fatalf("-update needs tcpdump: %v", err)
		}
		writeGoldens(t, askTcpdump(t))
	}
	have, want := goldens(t), asked(t)
	if len(have) != len(want) {
		t.Fatalf("%d goldens, %d expressions: run go test ./capture/filter -update where tcpdump is installed", len(have), len(want))
	}
	for i := range want {
		if have[i].link != want[i].link || have[i].expr != want[i].expr {
			t.Fatalf("golden %d is of %s %q, not %s %q: run with -update", i, have[i].link, have[i].expr, want[i].link, want[i].expr)
		}
	}
}

// asksKernel says whether a program looks at what only a live socket knows:
// without a file at hand, tcpdump -d compiles for a live one.
func asksKernel(raw []bpf.RawInstruction) bool {
	for _, in := range raw {
		if in.Op&7 == classLD && in.Op&0xe0 == modeABS && in.K >= extension {
			return true
		}
	}
	return false
}

// hasty is a refusal that tcpdump gives too early: it looks at the first
// number of a divisor or of the bits to shift by, though that may be a sum
// whose value is harmless, as in 1 / ip[0].
func hasty(refusal string) bool {
	return refusal == "division by zero" || refusal == "modulus by zero" || refusal == "shift by more than 31 bits"
}

func same(a, b []bpf.RawInstruction) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestMeansWhatTcpdumpMeans(t *testing.T) {
	_, refusedHere, otherHere := chosen(t)
	counts := map[string]int{}
	for _, g := range goldens(t) {
		link := g.number(t)
		e, err := Parse(g.expr)
		var p *Program
		if err == nil {
			p, err = e.Compile(link, 262144)
			if err != nil && g.raw != nil && asksKernel(g.raw) && link != linkSLL && link != linkSLL2 {
				counts["refused for files, compiled live"]++
				p, err = e.CompileLive(link, 262144)
			}
		}
		switch {
		case refusedHere[g.expr]:
			if err == nil {
				t.Errorf("%s %q is compiled and listed as refused", g.link, g.expr)
			}
			counts["refused here only"]++
			continue
		case err == nil && g.raw == nil && hasty(g.refusal):
			counts["refused by tcpdump by mistake"]++
			continue
		case (err != nil) != (g.raw == nil):
			t.Errorf("%s %q: here %v; tcpdump: %s", g.link, g.expr, err, g.refusal)
			continue
		case err != nil:
			counts["refused by both"]++
			continue
		case same(p.raw, g.raw):
			counts["same code"]++
			if otherHere[g.expr] {
				t.Errorf("%s %q is listed as different and is the same", g.link, g.expr)
			}
			continue
		case otherHere[g.expr]:
			counts["different on purpose"]++
			continue
		}
		theirs := &Program{raw: g.raw, code: prepare(g.raw)}
		why := disagreement(p, theirs, frames(link))
		if why == "" {
			why = "other code, though the test frames do not tell the two apart"
		}
		t.Errorf("%s %q: %s\nhere\n%s\ntcpdump\n%s", g.link, g.expr, why, p, theirs)
	}
	t.Log(counts)
	if counts["same code"] < 3000 {
		t.Errorf("only %d programs are the same as tcpdump's", counts["same code"])
	}
}

// disagreement runs two programs over frames and describes the first that only
// one of them accepts.
func disagreement(a, b *Program, frames [][]byte) string {
	for i, f := range frames {
		if a.Match(f, len(f)) != b.Match(f, len(f)) {
			return fmt.Sprintf("frame %d passes only one of the two: %x", i, f)
		}
	}
	return ""
}
