package filter

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// longestCode bounds what ReadCode reads: 4096 instructions need far less.
const longestCode = 1 << 20

// ReadCode reads a program in one of the forms in which tcpdump prints it:
// that of -ddd, decimal numbers with the count of instructions on the first
// line, or that of -dd, the body of a C array; C comments and text up to the
// first brace are skipped. Commas in place of newlines, as iptables' -m bpf has
// them, are taken too. The program must be one that the kernel accepts.
func ReadCode(r io.Reader) (*Program, error) {
	text, err := io.ReadAll(io.LimitReader(r, longestCode+1))
	if err != nil {
		return nil, err
	}
	if len(text) > longestCode {
		return nil, fmt.Errorf("more than %d bytes: not a filter program", longestCode)
	}
	var raw []bpf.RawInstruction
	switch s := strings.TrimSpace(string(text)); {
	case strings.HasPrefix(s, "(000)"):
		err = fmt.Errorf("this is the listing that tcpdump -d prints; write tcpdump -ddd")
	case strings.ContainsRune(s, '{'):
		raw, err = readArray(s)
	default:
		raw, err = readDecimal(strings.ReplaceAll(s, ",", "\n"))
	}
	if err != nil {
		return nil, err
	}
	return newProgram(raw, mostInstructions)
}

func readDecimal(text string) ([]bpf.RawInstruction, error) {
	var raw []bpf.RawInstruction
	count, line := -1, 0
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line++
		fields := strings.Fields(s.Text())
		switch {
		case len(fields) == 0:
			continue
		case count < 0:
			n, err := strconv.ParseUint(fields[0], 10, 16)
			if err != nil || len(fields) != 1 || n > mostInstructions {
				return nil, fmt.Errorf("line %d: the count of instructions is expected, 1 to %d, as tcpdump -ddd prints it", line, mostInstructions)
			}
			count = int(n)
			continue
		}
		in, err := readInstruction(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		raw = append(raw, in)
	}
	if count != len(raw) {
		return nil, fmt.Errorf("the first line announces %d instructions, and %d follow", max(count, 0), len(raw))
	}
	return raw, nil
}

// readInstruction reads code, jt, jf and k.
func readInstruction(fields []string) (bpf.RawInstruction, error) {
	var in bpf.RawInstruction
	if len(fields) != 4 {
		return in, fmt.Errorf("four numbers are expected: code jt jf k")
	}
	var v [4]uint64
	for i, bits := range [...]int{16, 8, 8, 32} {
		var err error
		if v[i], err = strconv.ParseUint(fields[i], 0, bits); err != nil {
			return in, fmt.Errorf("%q is not a number of %d bits", fields[i], bits)
		}
	}
	return bpf.RawInstruction{Op: uint16(v[0]), Jt: uint8(v[1]), Jf: uint8(v[2]), K: uint32(v[3])}, nil
}

// readArray reads { code, jt, jf, k }, ... with or without the declaration
// round it.
func readArray(text string) ([]bpf.RawInstruction, error) {
	text = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`).ReplaceAllString(text, " ")
	body := text[strings.IndexByte(text, '{')+1:]
	if inner := strings.TrimSpace(body); strings.HasPrefix(inner, "{") {
		body = inner[1:]
	}
	var raw []bpf.RawInstruction
	for n := 0; ; n++ {
		one, rest, ok := strings.Cut(body, "}")
		if !ok {
			return nil, fmt.Errorf("instruction %d: a closing brace lacks", n)
		}
		fields := strings.Split(one, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		in, err := readInstruction(fields)
		if err != nil {
			return nil, fmt.Errorf("instruction %d: %w", n, err)
		}
		raw = append(raw, in)
		_, body, ok = strings.Cut(rest, "{")
		if !ok {
			return raw, nil
		}
	}
}
