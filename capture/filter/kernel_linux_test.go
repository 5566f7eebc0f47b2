package filter

import (
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// attach sets a program as the filter of a socket.
func attach(fd int, raw []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0]))})
}

// kernelPipe is a pair of local datagram sockets: the kernel runs the filter of
// the second on every message, which needs no privilege.
func kernelPipe(t *testing.T) (in, out int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no socket pair: %v", err)
	}
	t.Cleanup(func() {
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	return pair[0], pair[1]
}

// kernelPasses says what the kernel makes of a frame.
func kernelPasses(t *testing.T, in, out int, frame []byte) bool {
	t.Helper()
	if _, err := unix.Write(in, frame); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err := unix.Read(out, b[:])
	if err != nil && err != unix.EAGAIN {
		t.Fatal(err)
	}
	return err == nil
}

// TestKernelAgrees runs tcpdump's programs, which are also ours, in the kernel
// and here, on the same frames.
func TestKernelAgrees(t *testing.T) {
	in, out := kernelPipe(t)
	frames, compared := map[uint16][][]byte{}, 0
	for i, g := range goldens(t) {
		if i%4 != 0 || g.raw == nil || g.expr == "ip protochain 6" || asksKernel(g.raw) || len(g.raw) > mostInstructions {
			continue
		}
		p, err := newProgram(g.raw, mostInstructions)
		if err != nil {
			t.Fatalf("%q: %v", g.expr, err)
		}
		if err := attach(out, g.raw); err != nil {
			t.Fatalf("%s %q: the kernel refuses it: %v\n%s", g.link, g.expr, err, p)
		}
		link := g.number(t)
		if frames[link] == nil {
			frames[link] = framesOf(t, link)
		}
		for j, f := range frames[link] {
			if len(f) == 0 || (i/4+j)%6 != 0 {
				continue // an empty message never meets the filter
			}
			if got, want := p.Match(f, len(f)), kernelPasses(t, in, out, f); got != want && !shifts(g.raw) {
				t.Fatalf("%s %q, frame %x: %v here, %v in the kernel\n%s", g.link, g.expr, f, got, want, p)
			}
			compared++
		}
	}
	t.Logf("%d verdicts compared", compared)
}

// shifts says whether a program shifts by a computed number of bits. By more
// than 31 that gives 0 in tcpdump and here, and in the kernel what the
// processor makes of it.
func shifts(raw []bpf.RawInstruction) bool {
	return slices.ContainsFunc(raw, func(in bpf.RawInstruction) bool {
		return in.Op == classALU|aluLSH|srcX || in.Op == classALU|aluRSH|srcX
	})
}

// TestKernelRefusesWhatWeRefuse holds check to the kernel's own.
func TestKernelRefusesWhatWeRefuse(t *testing.T) {
	_, out := kernelPipe(t)
	one := func(op uint16, jt, jf uint8, k uint32) bpf.RawInstruction {
		return bpf.RawInstruction{Op: op, Jt: jt, Jf: jf, K: k}
	}
	ret := one(classRET, 0, 0, 1)
	var programs [][]bpf.RawInstruction
	for op := range uint16(0x100) {
		programs = append(programs, []bpf.RawInstruction{one(classST, 0, 0, 0), one(op, 0, 0, 0), ret},
			[]bpf.RawInstruction{one(classST, 0, 0, 0), one(op, 0, 1, 1), ret, ret})
	}
	for k := uint32(extension - 8); k < extension+80 && k != 0; k++ {
		programs = append(programs, []bpf.RawInstruction{one(classLD|modeABS|sizeB, 0, 0, k), ret})
	}
	for k := range uint32(40) {
		programs = append(programs,
			[]bpf.RawInstruction{one(classALU|aluLSH, 0, 0, k), ret},
			[]bpf.RawInstruction{one(classST, 0, 0, k), ret},
			[]bpf.RawInstruction{one(classST, 0, 0, k), one(classLDX|modeMEM, 0, 0, 3), ret},
			[]bpf.RawInstruction{one(classJMP|jumpJEQ, uint8(k), 0, 0), ret, ret},
			[]bpf.RawInstruction{one(classJMP|jumpJEQ, 0, uint8(k), 0), one(classST, 0, 0, 2), one(classLD|modeMEM, 0, 0, 2), ret},
			[]bpf.RawInstruction{one(classJMP|jumpJA, 0, 0, k), ret, ret})
	}
	for _, raw := range programs {
		here, kernel := check(raw, mostInstructions), attach(out, raw)
		if (here == nil) != (kernel == nil) {
			t.Errorf("%v: %v here, %v in the kernel", raw, here, kernel)
		}
	}
}
