package filter

import "golang.org/x/net/bpf"

// question is what a program asks of a frame: a load from a fixed place, a
// mask, and the constant that it compares with.
type question struct {
	load     uint16
	at, mask uint32
	value    uint32
}

// Fits finds out for which link type a program from elsewhere was compiled,
// since its code does not say: the frames of each have the protocol of the
// network layer at another place. It reports false, and the link type that the
// code is for, if that is certainly not link: the code asks for IP or
// IPv6 as it is done there, and never as it is done on link. A program that asks
// for none of them fits everything. Link types are LINKTYPE_ values.
func (p *Program) Fits(link uint16) (other uint16, ok bool) {
	asked := questions(p.raw)
	if len(asked) == 0 {
		return 0, true
	}
	here, known := protocols(link)
	if !known || here.meets(asked) {
		return 0, true
	}
	for _, other := range [...]uint16{linkEthernet, linkSLL2, linkSLL, linkRaw, linkNull, linkLoop, linkCHDLC, linkPPP, linkPPPEther} {
		if there, _ := protocols(other); there.meets(asked) {
			return other, false
		}
	}
	return 0, true
}

type asking map[question]bool

func (a asking) meets(b asking) bool {
	for q := range a {
		if b[q] {
			return true
		}
	}
	return false
}

// protocols are the questions by which frames of a link type are told to be
// IP or IPv6; known is false if filters are not compiled for it, or it
// has frames of one protocol alone, which nothing needs to ask for.
func protocols(link uint16) (a asking, known bool) {
	a = make(asking)
	for _, text := range [...]string{"ip", "ip6"} {
		e, err := Parse(text)
		if err != nil {
			continue
		}
		if p, err := e.Compile(link, 1); err == nil {
			for q := range questions(p.raw) {
				a[q] = true
			}
		}
	}
	return a, len(a) > 0
}

// questions are those of a program about fixed places of the frame. What A
// holds is followed along the jumps, which go forward only; where paths meet,
// the first counts.
func questions(raw []bpf.RawInstruction) asking {
	found := make(asking)
	held := make([]question, len(raw)+1) // in A, before each instruction; load 0 if nothing of use
	reached := make([]bool, len(raw)+1)
	reach := func(i int, q question) {
		if i < len(held) && !reached[i] {
			held[i], reached[i] = q, true
		}
	}
	reach(0, question{})
	for i, in := range raw {
		q := held[i]
		switch {
		case in.Op&7 == classLD && in.Op&0xe0 == modeABS:
			q = question{load: in.Op, at: in.K, mask: 1<<32 - 1}
		case in.Op == classALU|aluAND|srcK:
			q.mask &= in.K
		case in.Op == classJMP|jumpJEQ|srcK && q.load != 0:
			q.value = in.K
			found[q] = true
			q.value = 0
		case in.Op&7 == classLD || in.Op&7 == classALU || in.Op == classMISC|miscTXA:
			q = question{}
		}
		switch {
		case in.Op&7 == classRET:
		case in.Op == classJMP|jumpJA:
			reach(i+1+int(in.K), q)
		case in.Op&7 == classJMP:
			reach(i+1+int(in.Jt), q)
			reach(i+1+int(in.Jf), q)
		default:
			reach(i+1, q)
		}
	}
	return found
}
