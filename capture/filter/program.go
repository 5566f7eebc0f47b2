package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// mostInstructions is what the kernel takes (BPF_MAXINSNS).
const mostInstructions = 4096

// mostInFile bounds programs that only run here.
const mostInFile = 1 << 20

// Program is a classic BPF program. It may be used by several goroutines.
type Program struct {
	raw  []bpf.RawInstruction
	code []instruction // the same, prepared for Match
}

// Raw is the program as the kernel takes it. The caller may keep and change
// the slice.
func (p *Program) Raw() []bpf.RawInstruction {
	return append([]bpf.RawInstruction(nil), p.raw...)
}

func newProgram(raw []bpf.RawInstruction, most int) (*Program, error) {
	if err := check(raw, most); err != nil {
		return nil, err
	}
	return &Program{raw: raw, code: prepare(raw)}, nil
}

// Classes, modes and operations of classic BPF, as in linux/bpf_common.h.
const (
	classLD   = 0x00
	classLDX  = 0x01
	classST   = 0x02
	classSTX  = 0x03
	classALU  = 0x04
	classJMP  = 0x05
	classRET  = 0x06
	classMISC = 0x07

	sizeW = 0x00
	sizeH = 0x08
	sizeB = 0x10

	modeIMM = 0x00
	modeABS = 0x20
	modeIND = 0x40
	modeMEM = 0x60
	modeLEN = 0x80
	modeMSH = 0xa0

	aluADD = 0x00
	aluSUB = 0x10
	aluMUL = 0x20
	aluDIV = 0x30
	aluOR  = 0x40
	aluAND = 0x50
	aluLSH = 0x60
	aluRSH = 0x70
	aluNEG = 0x80
	aluMOD = 0x90
	aluXOR = 0xa0

	jumpJA   = 0x00
	jumpJEQ  = 0x10
	jumpJGT  = 0x20
	jumpJGE  = 0x30
	jumpJSET = 0x40

	srcK = 0x00
	srcX = 0x08

	retK = 0x00
	retA = 0x10

	miscTAX = 0x00
	miscTXA = 0x80

	scratchWords = 16
)

// Loads from here on reach what the Linux kernel knows about a packet apart
// from its bytes (SKF_AD_OFF of linux/filter.h).
const (
	extension          = 0xfffff000
	extensionProtocol  = extension + 0
	extensionType      = extension + 4
	extensionTag       = extension + 44
	extensionTagged    = extension + 48
	packetTypeOutgoing = 4 // PACKET_OUTGOING of linux/if_packet.h
)

// check accepts what the Linux kernel's bpf_check_classic accepts, so that a
// program read from a file fails here, with a reason, and not at the socket.
func check(raw []bpf.RawInstruction, most int) error {
	if len(raw) == 0 {
		return fmt.Errorf("the program is empty; the kernel wants 1 to %d instructions", mostInstructions)
	}
	if len(raw) > most {
		return fmt.Errorf("the program has %d instructions; at most %d are possible: write fewer hosts, or a net in place of many hosts", len(raw), most)
	}
	for i, in := range raw {
		if err := checkOne(raw, i, in); err != nil {
			return fmt.Errorf("instruction %d: %w", i, err)
		}
	}
	if raw[len(raw)-1].Op&7 != classRET {
		return fmt.Errorf("instruction %d: the last instruction must be ret", len(raw)-1)
	}
	return checkScratch(raw)
}

func checkOne(raw []bpf.RawInstruction, i int, in bpf.RawInstruction) error {
	if !known(in.Op) {
		return fmt.Errorf("%#x is no instruction of classic BPF", in.Op)
	}
	rest := uint64(len(raw) - i - 1)
	switch {
	case in.Op&7 == classALU && in.Op&srcX == 0 && (in.Op&0xf0 == aluDIV || in.Op&0xf0 == aluMOD) && in.K == 0:
		return fmt.Errorf("a division by zero")
	case in.Op&7 == classALU && in.Op&srcX == 0 && (in.Op&0xf0 == aluLSH || in.Op&0xf0 == aluRSH) && in.K > 31:
		return fmt.Errorf("a shift by more than 31 bits")
	case usesScratch(in.Op) && in.K >= scratchWords:
		return fmt.Errorf("scratch word %d; there are words 0 to 15", in.K)
	case in.Op == classJMP|jumpJA && uint64(in.K) >= rest:
		return fmt.Errorf("a jump past the end")
	case in.Op&7 == classJMP && in.Op != classJMP|jumpJA && uint64(max(in.Jt, in.Jf)) >= rest:
		return fmt.Errorf("a jump past the end")
	case in.Op == classLD|modeABS|sizeW || in.Op == classLD|modeABS|sizeH || in.Op == classLD|modeABS|sizeB:
		if in.K >= extension && !knownExtension(in.K-extension) {
			return fmt.Errorf("a load from %#x, where the kernel has nothing", in.K)
		}
	}
	return nil
}

func usesScratch(op uint16) bool {
	switch op {
	case classLD | modeMEM, classLDX | modeMEM, classST, classSTX:
		return true
	}
	return false
}

// knownExtension says whether the kernel has a load at this offset from
// SKF_AD_OFF: every fourth one up to SKF_AD_VLAN_TPID.
func knownExtension(off uint32) bool { return off%4 == 0 && off <= 60 }

// known lists the opcodes of the kernel's chk_code_allowed.
func known(op uint16) bool {
	switch op & 7 {
	case classLD:
		switch op {
		case classLD | modeABS | sizeW, classLD | modeABS | sizeH, classLD | modeABS | sizeB,
			classLD | modeIND | sizeW, classLD | modeIND | sizeH, classLD | modeIND | sizeB,
			classLD | modeIMM, classLD | modeMEM, classLD | modeLEN:
			return true
		}
		return false
	case classLDX:
		switch op {
		case classLDX | modeIMM, classLDX | modeMEM, classLDX | modeLEN, classLDX | modeMSH | sizeB:
			return true
		}
		return false
	case classST, classSTX:
		return op == classST || op == classSTX
	case classALU:
		return op&0xff00 == 0 && (op&0xf0 <= aluXOR && op&0xf0 != aluNEG || op == classALU|aluNEG)
	case classJMP:
		return op&0xff00 == 0 && (op == classJMP|jumpJA || op&0xf0 >= jumpJEQ && op&0xf0 <= jumpJSET)
	case classRET:
		return op == classRET|retK || op == classRET|retA
	}
	return op == classMISC|miscTAX || op == classMISC|miscTXA
}

// checkScratch refuses reads of scratch words that some path has not written,
// as the kernel's check_load_and_stores does.
func checkScratch(raw []bpf.RawInstruction) error {
	reached := make([]uint16, len(raw)) // words that are written on every path to here
	for i := range reached {
		reached[i] = 0xffff
	}
	written := uint16(0)
	for i, in := range raw {
		written &= reached[i]
		switch {
		case in.Op == classST || in.Op == classSTX:
			written |= 1 << in.K
		case usesScratch(in.Op):
			if written&(1<<in.K) == 0 {
				return fmt.Errorf("instruction %d: scratch word %d is read before it is written", i, in.K)
			}
		case in.Op == classJMP|jumpJA:
			reached[i+1+int(in.K)] &= written
			written = 0xffff
		case in.Op&7 == classJMP:
			reached[i+1+int(in.Jt)] &= written
			reached[i+1+int(in.Jf)] &= written
			written = 0xffff
		}
	}
	return nil
}
