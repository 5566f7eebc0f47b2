package filter

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/net/bpf"
)

// negates says whether a program has the one instruction that the other
// machine lacks.
func negates(raw []bpf.RawInstruction) bool {
	return slices.ContainsFunc(raw, func(in bpf.RawInstruction) bool { return in.Op == classALU|aluNEG })
}

// vm is a program in the machine of golang.org/x/net/bpf, the second opinion.
func vm(t testing.TB, raw []bpf.RawInstruction) *bpf.VM {
	t.Helper()
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatalf("x/net/bpf does not know all of %v", raw)
	}
	m, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func passes(t testing.TB, m *bpf.VM, frame []byte) bool {
	n, err := m.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	return n != 0
}

func TestMatchAgreesWithTheOtherMachine(t *testing.T) {
	frames, compared := map[uint16][][]byte{}, 0
	for i, g := range goldens(t) {
		if g.raw == nil || asksKernel(g.raw) || negates(g.raw) || i%3 != 0 && len(g.raw) > 60 {
			continue
		}
		link := g.number(t)
		if frames[link] == nil {
			frames[link] = framesOf(t, link)
		}
		p, err := newProgram(g.raw, mostInFile)
		if err != nil {
			if g.expr == "ip protochain 6" {
				continue // jumps backward
			}
			t.Fatalf("%q: %v", g.expr, err)
		}
		other := vm(t, g.raw)
		for _, f := range frames[link] {
			if got, want := p.Match(f, len(f)), passes(t, other, f); got != want {
				t.Fatalf("%s %q, frame %x: %v here, %v there\n%s", g.link, g.expr, f, got, want, p)
			}
			compared++
		}
	}
	t.Logf("%d verdicts compared", compared)
}

func framesOf(t testing.TB, link uint16) [][]byte {
	all := frames(link)
	if link == linkEthernet {
		all = append(all, recorded(t)...)
	}
	return all
}

// TestMatchOnMadeUpPrograms runs programs that no compiler writes.
func TestMatchOnMadeUpPrograms(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("the other machine lets offsets wrap round 32 bits here")
	}
	r := rand.New(rand.NewPCG(7, 8))
	stock := frames(linkEthernet)
	ran := 0
	for range 200000 {
		raw := madeUp(r)
		p, err := newProgram(raw, mostInstructions)
		if err != nil || asksKernel(raw) || negates(raw) {
			continue
		}
		instructions, _ := bpf.Disassemble(raw)
		m, err := bpf.NewVM(instructions)
		if err != nil {
			continue // it has rules of its own, such as for shifts by a constant
		}
		f := stock[r.IntN(len(stock))]
		if got, want := p.Match(f, len(f)), passes(t, m, f); got != want {
			t.Fatalf("frame %x: %v here, %v there\n%s", f, got, want, p)
		}
		ran++
	}
	if ran < 10000 {
		t.Errorf("only %d programs ran", ran)
	}
}

// madeUp leaves out ldx #pktlen, which the other machine takes for ld #pktlen.
func madeUp(r *rand.Rand) []bpf.RawInstruction {
	ops := []uint16{0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x60, 0x80, 0x01, 0x61, 0xb1, 0x02, 0x03,
		0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4, 0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac,
		0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d, 0x06, 0x16, 0x07, 0x87}
	raw := make([]bpf.RawInstruction, 2+r.IntN(12))
	raw[0] = bpf.RawInstruction{Op: classST, K: 1}
	for i := 1; i < len(raw)-1; i++ {
		op := ops[r.IntN(len(ops))]
		raw[i] = bpf.RawInstruction{Op: op, K: r.Uint32() >> (20 + r.IntN(12))}
		switch {
		case op == 0x05:
			raw[i].K = uint32(r.IntN(3))
		case usesScratch(op):
			raw[i].K = 1
		case op&7 == classJMP:
			raw[i].Jt, raw[i].Jf = uint8(r.IntN(3)), uint8(r.IntN(3))
		case op&7 == classALU && (op&0xf0 == aluLSH || op&0xf0 == aluRSH):
			raw[i].K %= 32
		}
	}
	raw[len(raw)-1] = bpf.RawInstruction{Op: classRET | retA}
	return raw
}

func TestMatchDoesNotAllocate(t *testing.T) {
	e, err := Parse("tcp port 443 or tcp[13] & 7 != 0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(linkEthernet, 96)
	if err != nil {
		t.Fatal(err)
	}
	stock := frames(linkEthernet)
	if n := testing.AllocsPerRun(10, func() {
		for _, f := range stock {
			p.Match(f, len(f))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMatchOnCutFrames(t *testing.T) {
	e, _ := Parse("tcp port 443")
	p, err := e.Compile(linkEthernet, 96)
	if err != nil {
		t.Fatal(err)
	}
	whole := wrap(linkEthernet, etherIPv4, packet{src: "10.0.0.1", dst: "10.0.0.2", proto: ipTCP, sport: 1, dport: 443}.bytes(), 1)
	if !p.Match(whole, 1500) {
		t.Error("a whole frame does not pass")
	}
	for n := range whole {
		if got, want := p.Match(whole[:n], len(whole)), n >= 14+20+4; got != want {
			t.Errorf("cut to %d bytes: passes %v", n, got)
		}
	}
	e, _ = Parse("greater 1000")
	if p, err = e.Compile(linkEthernet, 96); err != nil || !p.Match(whole[:20], 1500) {
		t.Errorf("the length on the wire must count, not that of what was captured (%v)", err)
	}
}

func TestMatchNegates(t *testing.T) {
	e, _ := Parse("-1 = 0xffffffff and -(len) + len = 0 and - - 5 = 5")
	p, err := e.Compile(linkEthernet, 96)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Match(make([]byte, 60), 60) {
		t.Error("negation is wrong")
	}
}

func benchmarkExpressions() []string {
	return []string{"tcp", "tcp port 443", "port 443", "host 10.0.0.1 and tcp port 80", "net 10.0.0.0/8 and not port 22",
		"tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0",
		"tcp port 443 and (host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 10.0.0.4)"}
}

func BenchmarkMatch(b *testing.B) {
	for _, expr := range benchmarkExpressions() {
		e, _ := Parse(expr)
		p, err := e.Compile(linkEthernet, 262144)
		if err != nil {
			b.Fatal(err)
		}
		stock := frames(linkEthernet)
		b.Run(expr, func(b *testing.B) {
			for i := range b.N {
				f := stock[i%len(stock)]
				p.Match(f, len(f))
			}
		})
		m := vm(b, p.Raw())
		b.Run(expr+"/xnet", func(b *testing.B) {
			for i := range b.N {
				m.Run(stock[i%len(stock)])
			}
		})
	}
}
