package filter

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// instruction is one step of Match.
type instruction struct {
	op     step
	jt, jf uint8
	k      uint32
}

type step uint8

const (
	stepReject step = iota
	stepLoadW
	stepLoadH
	stepLoadB
	stepIndexW
	stepIndexH
	stepIndexB
	stepImmediate
	stepScratch
	stepLength
	stepXImmediate
	stepXScratch
	stepXLength
	stepXHeader
	stepStore
	stepStoreX
	stepJump
	stepEqual
	stepGreater
	stepAtLeast
	stepBits
	stepEqualX
	stepGreaterX
	stepAtLeastX
	stepBitsX
	stepReturn
	stepReturnA
	stepTAX
	stepTXA
	stepSum  // A op K
	stepSumX // A op X
	stepAnd
	// The pairs that compiled tests are made of, as one step each.
	stepLoadWEqual
	stepLoadHEqual
	stepLoadBEqual
)

func prepare(raw []bpf.RawInstruction) []instruction {
	code := make([]instruction, len(raw))
	for i, in := range raw {
		code[i] = instruction{op: stepOf(in), jt: in.Jt, jf: in.Jf, k: in.K}
		if code[i].op == stepSum || code[i].op == stepSumX {
			code[i].jt = uint8(in.Op & 0xf0)
		}
	}
	for i := 0; i+1 < len(code); i++ {
		if code[i+1].op == stepEqual {
			switch code[i].op {
			case stepLoadW:
				code[i].op = stepLoadWEqual
			case stepLoadH:
				code[i].op = stepLoadHEqual
			case stepLoadB:
				code[i].op = stepLoadBEqual
			}
		}
	}
	return code
}

func stepOf(in bpf.RawInstruction) step {
	switch in.Op & 7 {
	case classLD, classLDX, classST, classSTX:
		return stepOfMemory(in.Op)
	case classALU:
		switch {
		case in.Op == classALU|aluAND:
			return stepAnd
		case in.Op&srcX != 0:
			return stepSumX
		}
		return stepSum
	case classJMP:
		return stepOfJump(in.Op)
	case classRET:
		if in.Op == classRET|retA {
			return stepReturnA
		}
		return stepReturn
	}
	if in.Op == classMISC|miscTXA {
		return stepTXA
	}
	return stepTAX
}

func stepOfMemory(op uint16) step {
	switch op {
	case classLD | modeABS | sizeW:
		return stepLoadW
	case classLD | modeABS | sizeH:
		return stepLoadH
	case classLD | modeABS | sizeB:
		return stepLoadB
	case classLD | modeIND | sizeW:
		return stepIndexW
	case classLD | modeIND | sizeH:
		return stepIndexH
	case classLD | modeIND | sizeB:
		return stepIndexB
	case classLD | modeIMM:
		return stepImmediate
	case classLD | modeMEM:
		return stepScratch
	case classLD | modeLEN:
		return stepLength
	case classLDX | modeIMM:
		return stepXImmediate
	case classLDX | modeMEM:
		return stepXScratch
	case classLDX | modeLEN:
		return stepXLength
	case classLDX | modeMSH | sizeB:
		return stepXHeader
	case classST:
		return stepStore
	case classSTX:
		return stepStoreX
	}
	return stepReject
}

func stepOfJump(op uint16) step {
	steps := [...]step{stepJump, stepEqual, stepGreater, stepAtLeast, stepBits}
	s := steps[op>>4&7]
	if op&srcX != 0 {
		s += stepEqualX - stepEqual
	}
	return s
}

// Match says whether a captured frame passes: data is what was captured of it,
// wireLen how long it was on the wire. A test of bytes beyond data fails the
// whole frame, as does one of what only a live socket knows.
func (p *Program) Match(data []byte, wireLen int) bool {
	var a, x uint32
	var scratch [scratchWords]uint32
	code := p.code
	n := uint64(len(data))
	for pc := 0; uint(pc) < uint(len(code)); pc++ {
		in := &code[pc]
		k := in.k
		switch in.op {
		case stepLoadW:
			if uint64(k)+4 > n {
				return false
			}
			a = binary.BigEndian.Uint32(data[k:])
		case stepLoadH:
			if uint64(k)+2 > n {
				return false
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
		case stepLoadB:
			if uint64(k) >= n {
				return false
			}
			a = uint32(data[k])
		case stepLoadWEqual:
			if uint64(k)+4 > n {
				return false
			}
			a = binary.BigEndian.Uint32(data[k:])
			pc++
			pc += branch(a == code[pc].k, &code[pc])
		case stepLoadHEqual:
			if uint64(k)+2 > n {
				return false
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
			pc++
			pc += branch(a == code[pc].k, &code[pc])
		case stepLoadBEqual:
			if uint64(k) >= n {
				return false
			}
			a = uint32(data[k])
			pc++
			pc += branch(a == code[pc].k, &code[pc])
		case stepIndexW, stepIndexH, stepIndexB:
			var ok bool
			if a, ok = indexed(data, in.op, x, k); !ok {
				return false
			}
		case stepImmediate:
			a = k
		case stepScratch:
			a = scratch[k&15]
		case stepLength:
			a = uint32(wireLen)
		case stepXImmediate:
			x = k
		case stepXScratch:
			x = scratch[k&15]
		case stepXLength:
			x = uint32(wireLen)
		case stepXHeader:
			if uint64(k) >= n {
				return false
			}
			x = uint32(data[k]&0xf) * 4
		case stepStore:
			scratch[k&15] = a
		case stepStoreX:
			scratch[k&15] = x
		case stepJump:
			pc += int(k)
		case stepEqual:
			pc += branch(a == k, in)
		case stepGreater:
			pc += branch(a > k, in)
		case stepAtLeast:
			pc += branch(a >= k, in)
		case stepBits:
			pc += branch(a&k != 0, in)
		case stepEqualX:
			pc += branch(a == x, in)
		case stepGreaterX:
			pc += branch(a > x, in)
		case stepAtLeastX:
			pc += branch(a >= x, in)
		case stepBitsX:
			pc += branch(a&x != 0, in)
		case stepReturn:
			return k != 0
		case stepReturnA:
			return a != 0
		case stepTAX:
			x = a
		case stepTXA:
			a = x
		case stepAnd:
			a &= k
		case stepSum, stepSumX:
			operand := k
			if in.op == stepSumX {
				operand = x
			}
			if operand == 0 && (in.jt == aluDIV || in.jt == aluMOD) {
				return false
			}
			a = operate(in.jt, a, operand)
		default:
			return false
		}
	}
	return false
}

func branch(yes bool, in *instruction) int {
	if yes {
		return int(in.jt)
	}
	return int(in.jf)
}

// indexed loads from x+k, which does not wrap round.
func indexed(data []byte, op step, x, k uint32) (uint32, bool) {
	at, n := uint64(x)+uint64(k), uint64(len(data))
	switch {
	case op == stepIndexW && at+4 <= n:
		return binary.BigEndian.Uint32(data[at:]), true
	case op == stepIndexH && at+2 <= n:
		return uint32(binary.BigEndian.Uint16(data[at:])), true
	case op == stepIndexB && at < n:
		return uint32(data[at]), true
	}
	return 0, false
}

func operate(op uint8, a, b uint32) uint32 {
	switch op {
	case aluADD:
		return a + b
	case aluSUB:
		return a - b
	case aluMUL:
		return a * b
	case aluDIV:
		return a / b
	case aluMOD:
		return a % b
	case aluOR:
		return a | b
	case aluAND:
		return a & b
	case aluXOR:
		return a ^ b
	case aluLSH:
		return a << b
	case aluRSH:
		return a >> b
	}
	return -a
}
