package capture

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"hangup/capture/filter"
)

func parse(t testing.TB, expr string) *filter.Expr {
	t.Helper()
	e, err := filter.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// readFiltered reads all packets that pass.
func readFiltered(t *testing.T, names []string, cfg OpenConfig) (ps []Packet, in []Input) {
	t.Helper()
	s, err := Open(names, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var b Batch
	for {
		err := s.Next(&b)
		ps = append(ps, b.Packets...)
		if err == io.EOF {
			return ps, s.Inputs()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// mixed is packets of which every third has another port.
func mixed(n int, start int64) []testPacket {
	ps := testPackets(n, start, 1e6)
	for i := range ps {
		if i%3 == 0 {
			ps[i].data[14+20+3] = 81
		}
	}
	return ps
}

// TestFilterKeepsNumbers: what does not pass is no packet, but counts for the
// numbers, in one file, in several that are merged, and in one that is put in
// order again.
func TestFilterKeepsNumbers(t *testing.T) {
	const n = 3000
	dir := t.TempDir()
	f := &ngFile{}
	f.section().iface(1, 0).iface(1, 0)
	for i, p := range mixed(n, at(0, 0)) {
		f.enhanced(uint32(i%2), ngMicros(p.time), p.data, 60)
	}
	one := write(t, dir+"/one", pcapFile{}.bytes(mixed(n, at(0, 0))...))
	two := write(t, dir+"/two", pcapFile{}.bytes(mixed(n, at(0, 500))...))
	ng := write(t, dir+"/ng", f.buf)
	for _, names := range [][]string{{one}, {one, two}, {ng}} {
		ps, in := readFiltered(t, names, OpenConfig{Filter: parse(t, "tcp dst port 81"), BatchSize: 50})
		if len(ps) != n/3*len(names) {
			t.Errorf("%v: %d packets", names, len(ps))
		}
		for i, p := range ps {
			if p.DstPort != 81 || p.Ref.Number() != uint64(p.Seq) || i >= len(names) && p.Ref.Number() < ps[i-len(names)].Ref.Number() {
				t.Fatalf("%v: %+v", names, p)
			}
		}
		for _, in := range in {
			if in.Packets != n/3 || in.Filtered != n-n/3 || in.Err != nil || in.Bytes != 60*n/3 {
				t.Errorf("%v: %+v", names, in)
			}
		}
	}
	if ps, in := readFiltered(t, []string{one, two}, OpenConfig{Filter: parse(t, "udp")}); len(ps) != 0 || in[0].Filtered != n || in[0].First != 0 {
		t.Errorf("%d packets, %+v", len(ps), in)
	}
}

func TestFilterCode(t *testing.T) {
	even, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 38, Size: 4}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 1, SkipTrue: 1},
		bpf.RetConstant{Val: 1}, bpf.RetConstant{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	writeCode(&text, even)
	code, err := filter.ReadCode(&text)
	if err != nil {
		t.Fatal(err)
	}
	one := write(t, "one", pcapFile{}.bytes(testPackets(100, at(0, 0), 1e6)...))
	ps, in := readFiltered(t, []string{one}, OpenConfig{Code: code})
	if len(ps) != 50 || ps[0].Seq != 2 || ps[0].CapLen != 6 || in[0].Filtered != 50 {
		t.Errorf("%d packets, %+v", len(ps), in)
	}
	if _, err := Open([]string{one}, OpenConfig{Code: code, Filter: parse(t, "tcp")}); err == nil {
		t.Error("an expression and a program at once")
	}
}

// Code that was compiled for other frames would let nothing through, and
// nobody would know why.
func TestFilterCodeForAnotherLink(t *testing.T) {
	p, err := parse(t, "tcp").Compile(linkSLL2, MaxSnaplen)
	if err != nil {
		t.Fatal(err)
	}
	one := write(t, "one", pcapFile{}.bytes(testPackets(4, at(0, 0), 1e6)...))
	ps, in := readFiltered(t, []string{one}, OpenConfig{Code: p})
	if len(ps) != 0 || in[0].Filtered != 4 || in[0].Err == nil || !strings.Contains(in[0].Err.Error(), "packets of link type EN10MB are left out: the filter was compiled for LINUX_SLL2;") {
		t.Errorf("%d packets, %+v", len(ps), in[0])
	}
	if p, err = parse(t, "tcp").Compile(linkEthernet, MaxSnaplen); err != nil {
		t.Fatal(err)
	}
	if ps, in := readFiltered(t, []string{one}, OpenConfig{Code: p}); len(ps) != 4 || in[0].Err != nil {
		t.Errorf("%d packets, %+v", len(ps), in[0])
	}
}

// TestFilterWithoutMeaning: one interface of several has frames on which the
// expression means nothing.
func TestFilterWithoutMeaning(t *testing.T) {
	f := &ngFile{}
	f.section().iface(linkRadiotap, 0).iface(1, 0)
	for i, p := range testPackets(6, at(0, 0), 1e6) {
		f.enhanced(uint32(i%2), ngMicros(p.time), p.data, 60)
	}
	ps, in := readFiltered(t, []string{write(t, "ng", f.buf)}, OpenConfig{Filter: parse(t, "tcp port 80")})
	if len(ps) != 3 || in[0].Filtered != 3 || in[0].Err == nil || !strings.Contains(in[0].Err.Error(), "IEEE802_11_RADIOTAP are left out") {
		t.Errorf("%d packets, %+v", len(ps), in[0])
	}
}

// writeCode writes a program as tcpdump -ddd does.
func writeCode(w io.Writer, code []bpf.RawInstruction) {
	fmt.Fprintln(w, len(code))
	for _, in := range code {
		fmt.Fprintln(w, in.Op, in.Jt, in.Jf, in.K)
	}
}
