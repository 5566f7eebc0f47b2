package filter

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		f.Add(strings.TrimLeft(line, "%~"))
	}
	for _, e := range randomExpressions(100) {
		f.Add(e)
	}
	short := frames(linkEthernet)[:40]
	f.Fuzz(func(t *testing.T, expr string) {
		e, err := Parse(expr)
		if err != nil {
			checkRefusal(t, expr, err)
			return
		}
		if again, err := Parse(e.String()); err != nil || again.String() != expr {
			t.Fatalf("%q does not parse again: %v", expr, err)
		}
		e.Warnings()
		for _, l := range links {
			p, err := e.Compile(l.link, 96)
			checkCompiled(t, expr, p, err, mostInFile, short)
		}
		for _, l := range []uint16{linkEthernet, linkRaw, CookedSocket} {
			p, err := e.CompileLive(l, 96)
			checkCompiled(t, expr, p, err, mostInstructions, short)
		}
	})
}

func checkRefusal(t *testing.T, expr string, err error) {
	var refusal *SyntaxError
	if !errors.As(err, &refusal) {
		t.Fatalf("%q: %v is no SyntaxError", expr, err)
	}
	if refusal.Expr != expr || refusal.Pos < 0 || refusal.Pos > len(expr) || refusal.What == "" {
		t.Fatalf("%q: %#v", expr, refusal)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) < 3 || len(lines) > 4 || !strings.HasSuffix(lines[2], "^") || len([]rune(lines[2])) > len([]rune(lines[1]))+1 {
		t.Fatalf("%q: the caret is misplaced\n%v", expr, err)
	}
}

func checkCompiled(t *testing.T, expr string, p *Program, err error, most int, frames [][]byte) {
	if err != nil {
		if strings.Contains(err.Error(), "instructions; at most") {
			return
		}
		checkRefusal(t, expr, err)
		return
	}
	if err := check(p.Raw(), most); err != nil {
		t.Fatalf("%q: the kernel would refuse the program: %v\n%s", expr, err, p)
	}
	for _, f := range frames {
		p.Match(f, len(f))
	}
}

func FuzzReadCode(f *testing.F) {
	for _, seed := range []string{
		"1\n6 0 0 262144\n",
		"4\n40 0 0 12\n21 0 1 2048\n6 0 0 96\n6 0 0 0\n",
		"{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000800 },\n{ 0x6, 0, 0, 0x00040000 },\n{ 0x6, 0, 0, 0x00000000 },\n",
		"struct bpf_insn insns[] = {\n{ 0x6, 0, 0, 1 }, /* accept */\n};\n",
		"2\n5 0 0 4294967295\n6 0 0 0\n",
		"", "{", "0", "5000", "1\n6 0 0",
	} {
		f.Add([]byte(seed))
	}
	short := frames(linkEthernet)[:20]
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ReadCode(bytes.NewReader(text))
		if err != nil {
			return
		}
		if err := check(p.Raw(), mostInstructions); err != nil {
			t.Fatal(err)
		}
		_ = p.String()
		for _, f := range short {
			p.Match(f, len(f))
		}
	})
}
