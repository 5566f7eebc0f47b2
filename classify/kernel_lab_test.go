package classify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture/host"
	"hangup/classify"
	"hangup/internal/lab/record"
)

// TestKernelAgreesOverTheLab holds the verdicts of every capture against what
// the kernel itself said while it was recorded, end by end. HANGUP_LAB names
// another directory of recordings, made with the laboratory's -kernel, than
// testdata/kernel.
func TestKernelAgreesOverTheLab(t *testing.T) {
	b := kernelBoard{errors: map[string]int{}}
	for _, r := range kernelRecordings(t) {
		k := kernelWords(t, r)
		if k.Lost > 0 {
			t.Errorf("%s: the kernel lost %d events", r.Scenario, k.Lost)
		}
		b.recordings++
		views := map[string]*classify.Analysis{}
		for whose, name := range r.Captures() {
			a, err := analyse(name)
			if err != nil {
				t.Errorf("%s: %v", r.Scenario, err)
				continue
			}
			views[whose] = a
		}
		for whose := range views {
			b.hold(r, k, whose, views)
		}
	}
	t.Log(b.String())
	for _, d := range b.disagreements {
		t.Error(d)
	}
	// Held against the words of the other end, many have to disagree: else
	// the comparison looks at nothing.
	if b.swapped*10 < b.agree {
		t.Errorf("only %d of %d ends disagree with the other end's kernel", b.swapped, b.agree)
	}
}

// kernelRecordings are those with the kernel's words.
func kernelRecordings(t *testing.T) []record.Recording {
	t.Helper()
	dir := os.Getenv("HANGUP_LAB")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "kernel")
	}
	all, err := record.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(r record.Recording) bool {
		_, err := os.Stat(filepath.Join(r.Dir, record.KernelFile))
		return err != nil
	})
	if len(all) == 0 {
		t.Skipf("no recording in %s has %s: run the laboratory with -kernel", dir, record.KernelFile)
	}
	return all
}

// kernelWords are the kernel's words, up to where a capture was stopped early.
func kernelWords(t *testing.T, r record.Recording) record.Kernel {
	t.Helper()
	k, _, err := r.KernelWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Events {
		if strings.HasPrefix(e.What, "capture of ") && strings.HasSuffix(e.What, " stopped") {
			k.To = min(k.To, e.Time)
		}
	}
	return k
}

// TestKernelDisagrees doctors the kernel's word: what cannot both be true has
// to be noticed.
func TestKernelDisagrees(t *testing.T) {
	type words = classify.KernelWord
	for _, tc := range []struct {
		scenario string
		side     assembler.Side
		doctor   func(*words)
		want     classify.Agreement
	}{
		{"linger0-by-client.reader.v4", assembler.Server, func(*words) {}, classify.KernelAgrees},
		{"linger0-by-client.reader.v4", assembler.Server, func(w *words) { w.Spoke = false }, classify.KernelSilent},
		{"linger0-by-client.reader.v4", assembler.Server, func(w *words) { w.Errors = nil }, classify.KernelDisagrees},
		{"linger0-by-client.reader.v4", assembler.Server, func(w *words) { w.Errors[0].Errno = "ETIMEDOUT" }, classify.KernelDisagrees},
		{"linger0-by-client.reader.v4", assembler.Server, func(w *words) { w.Resets = nil }, classify.KernelDisagrees},
		{"linger0-by-client.reader.v4", assembler.Client, func(w *words) { w.Resets = nil }, classify.KernelDisagrees},
		{"linger0-by-client.reader.v4", assembler.Client, func(*words) {}, classify.KernelAgrees},
		{"refused.v4", assembler.Client, func(w *words) { w.Errors[0].Errno = "EHOSTUNREACH" }, classify.KernelDisagrees},
		{"refused.v4", assembler.Client, func(w *words) { w.Errors = nil }, classify.KernelDisagrees},
		{"rejects-by-server.v4", assembler.Client, func(*words) {}, classify.KernelSilent},
		{"rejects-by-server.v4", assembler.Client, func(w *words) {
			w.Errors = []classify.KernelError{{Errno: "ECONNRESET"}}
		}, classify.KernelDisagrees},
		{"orderly-by-client.reader.v4", assembler.Client, func(w *words) {
			w.Errors = []classify.KernelError{{Errno: "ECONNRESET"}}
		}, classify.KernelDisagrees},
		{"keepalive-client.reader.wired4", assembler.Client, func(w *words) { w.Errors[0].Errno = "ECONNRESET" }, classify.KernelDisagrees},
	} {
		t.Run(fmt.Sprintf("%s %v %v", tc.scenario, tc.side, tc.want), func(t *testing.T) {
			r, err := record.Read(filepath.Join("..", "testdata", "kernel", tc.scenario))
			if err != nil {
				t.Fatal(err)
			}
			a, err := analyse(r.Captures()[tc.side.String()])
			if err != nil {
				t.Fatal(err)
			}
			word := wordOf(kernelWords(t, r), a, 0, tc.side)
			tc.doctor(&word)
			if got, why := a.Agrees(0, tc.side, word); got != tc.want {
				t.Errorf("%v: %s, want %v\n%+v", got, why, tc.want, word)
			}
		})
	}
}

// kernelBoard counts ends.
type kernelBoard struct {
	recordings, agree, silent, offWire, swapped int
	errors                                      map[string]int
	disagreements                               []string
}

func (b *kernelBoard) String() string {
	var kinds []string
	for e, n := range b.errors {
		kinds = append(kinds, fmt.Sprintf("%s %d", e, n))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d recordings: %d ends agree (%s), %d silent, %d disagree, %d disagree where this capture shows less",
		b.recordings, b.agree, strings.Join(kinds, ", "), b.silent, len(b.disagreements), b.offWire)
}

// hold compares both ends of every connection in a capture. Of the far end a
// capture may show less than its own host's, which then is what counts.
func (b *kernelBoard) hold(r record.Recording, k record.Kernel, whose string, views map[string]*classify.Analysis) {
	a := views[whose]
	for i := range a.Len() {
		for _, side := range [...]assembler.Side{assembler.Client, assembler.Server} {
			word := wordOf(k, a, i, side)
			agreement, why := a.Agrees(i, side, word)
			if other, _ := a.Agrees(i, side, wordOf(k, a, i, side.Peer())); other == classify.KernelDisagrees {
				b.swapped++
			}
			switch {
			case agreement == classify.KernelSilent:
				b.silent++
			case agreement == classify.KernelAgrees:
				b.agree++
				for _, e := range word.Errors {
					b.errors[string(e.Errno)]++
				}
			case side.String() != whose && agreesAtHome(k, a.Conn(i), side, views[side.String()]):
				b.offWire++
			default:
				res := a.Result(i)
				b.disagreements = append(b.disagreements, fmt.Sprintf("%s/%s, %v: %s\n  %v %v by %v (%v)\n  outcome %s\n  word %+v",
					r.Scenario, whose, side, why, res.Class, res.Cause, res.By, res.Confidence, describe(res.Go[side]), word))
			}
		}
	}
}

// agreesAtHome reports whether the capture of an end's own host agrees with
// its kernel about a connection.
func agreesAtHome(k record.Kernel, c *assembler.Conn, side assembler.Side, home *classify.Analysis) bool {
	for i := 0; home != nil && i < home.Len(); i++ {
		h := home.Conn(i)
		if d := h.First.Time - c.First.Time; sameEnds(h, c) && max(d, -d) < 1e9 {
			got, _ := home.Agrees(i, side, wordOf(k, home, i, side))
			return got == classify.KernelAgrees
		}
	}
	return false
}

// clocks is how much (ns) the trace's clock may run before the capture's.
const clocks = int64(2e6)

// wordOf is the kernel's word of one end of the i-th connection: from its
// first packet to the next connection's with the same addresses. The last
// packets of one may come after the first SYN of the next, which does nothing
// until then (a challenge ACK, and the RST that answers it).
func wordOf(k record.Kernel, a *classify.Analysis, i int, side assembler.Side) classify.KernelWord {
	c := a.Conn(i)
	local, remote := c.End(side).AddrPort().String(), c.End(side.Peer()).AddrPort().String()
	from, to := c.First.Time-clocks, k.To
	for j := range a.Len() {
		o := a.Conn(j)
		switch {
		case i == j || !sameEnds(o, c):
		case o.First.Time > c.First.Time:
			to = min(to, max(o.First.Time-clocks, c.Last.Time+clocks))
		default:
			from = max(from, min(o.Last.Time+clocks, c.Last.Time))
		}
	}
	var word host.Word
	for _, e := range k.Ends {
		if e.Local == local && e.Remote == remote {
			word = e.Word
		}
	}
	return kernelWord(word, from, to)
}

func sameEnds(a, b *assembler.Conn) bool {
	x, y := a.End(assembler.Client).AddrPort(), a.End(assembler.Server).AddrPort()
	u, v := b.End(assembler.Client).AddrPort(), b.End(assembler.Server).AddrPort()
	return x == u && y == v || x == v && y == u
}

func kernelWord(w host.Word, from, to int64) (k classify.KernelWord) {
	in := func(at int64) bool { return from <= at && at <= to }
	for _, e := range w.Errors {
		if in(e.At) {
			k.Errors = append(k.Errors, classify.KernelError{At: e.At, Errno: classify.Token(e.Errno)})
		}
	}
	for _, r := range w.Resets {
		if in(r.At) {
			k.Resets = append(k.Resets, classify.KernelReset{At: r.At, Sent: r.Sent, Reason: r.Reason})
		}
	}
	for _, s := range w.States {
		k.Spoke = k.Spoke || in(s.At)
	}
	k.Spoke = k.Spoke || len(k.Errors) > 0
	return k
}
