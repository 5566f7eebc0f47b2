package filter

import (
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// String lists the program as tcpdump -d does, without a newline at the end.
func (p *Program) String() string {
	var b strings.Builder
	for i, in := range p.raw {
		if i > 0 {
			b.WriteByte('\n')
		}
		op, operand := spell(in, i)
		line := fmt.Sprintf("(%03d) %-8s %s", i, op, operand)
		if in.Op&7 == classJMP && in.Op != classJMP|jumpJA {
			line = fmt.Sprintf("(%03d) %-8s %-16s jt %d\tjf %d", i, op, operand, i+1+int(in.Jt), i+1+int(in.Jf))
		}
		b.WriteString(line)
	}
	return b.String()
}

// spell names an instruction and writes its operand.
func spell(in bpf.RawInstruction, at int) (op, operand string) {
	k := in.K
	switch in.Op & 7 {
	case classLD, classLDX:
		return spellLoad(in)
	case classST:
		return "st", fmt.Sprintf("M[%d]", k)
	case classSTX:
		return "stx", fmt.Sprintf("M[%d]", k)
	case classALU:
		return spellSum(in)
	case classJMP:
		if in.Op == classJMP|jumpJA {
			return "ja", fmt.Sprint(at + 1 + int(k))
		}
		op = [...]string{"", "jeq", "jgt", "jge", "jset"}[in.Op>>4&7]
		if in.Op&srcX != 0 {
			return op, "x"
		}
		return op, fmt.Sprintf("#0x%x", k)
	case classRET:
		if in.Op == classRET|retA {
			return "ret", ""
		}
		return "ret", fmt.Sprintf("#%d", k)
	}
	if in.Op == classMISC|miscTXA {
		return "txa", ""
	}
	return "tax", ""
}

func spellLoad(in bpf.RawInstruction) (op, operand string) {
	op = "ld"
	if in.Op&7 == classLDX {
		op = "ldx"
	}
	switch in.Op & 0x18 {
	case sizeH:
		op += "h"
	case sizeB:
		op += "b"
	}
	switch k := in.K; in.Op & 0xe0 {
	case modeIMM:
		return op, fmt.Sprintf("#0x%x", k)
	case modeABS:
		return op, "[" + spellOffset(k) + "]"
	case modeIND:
		return op, fmt.Sprintf("[x + %d]", int32(k))
	case modeMEM:
		return op, fmt.Sprintf("M[%d]", k)
	case modeLEN:
		return op, "#pktlen"
	default:
		return op, fmt.Sprintf("4*([%d]&0xf)", int32(k))
	}
}

// spellOffset knows the names of what the kernel keeps apart from the bytes.
func spellOffset(k uint32) string {
	if k < extension {
		return fmt.Sprint(int32(k))
	}
	names := [...]string{"proto", "type", "ifidx", "nla", "nlan", "mark", "queue", "hatype", "rxhash", "cpu",
		"xor_x", "vlan_tci", "vlanp", "poff", "random", "vlan_tpid"}
	if i := (k - extension) / 4; k%4 == 0 && int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprint(int32(k))
}

func spellSum(in bpf.RawInstruction) (op, operand string) {
	op = [...]string{"add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"}[in.Op>>4&0xf]
	switch {
	case op == "neg":
		return op, ""
	case in.Op&srcX != 0:
		return op, "x"
	case op == "and" || op == "or" || op == "xor":
		return op, fmt.Sprintf("#0x%x", in.K)
	}
	return op, fmt.Sprintf("#%d", in.K)
}
