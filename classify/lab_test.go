package classify_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/lab/record"
)

// TestLab replays every recording of real programs: from each of its
// captures alone, both ends' Go outcomes must agree with what the programs'
// calls returned, by the outcome itself or by one of its conditions, and no
// verdict may be certain and wrong. Class, cause and by are counted; what they
// miss is named.
//
// HANGUP_LAB names another directory of recordings than testdata/lab.
func TestLab(t *testing.T) {
	dir := os.Getenv("HANGUP_LAB")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "lab")
	}
	all, err := record.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skipf("no recordings in %s", dir)
	}
	var b scoreboard
	for _, r := range all {
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
		for _, whose := range []string{record.Client, record.Server, "router"} {
			if views[whose] != nil {
				b.replay(t, r, whose, views)
			}
		}
	}
	t.Log(b.String())
	if len(b.boldly) > 0 {
		t.Errorf("%d verdicts are certain and wrong", len(b.boldly))
	}
}

// scoreboard counts answers: right of asked.
type scoreboard struct {
	recordings, captures      int
	class, cause, by          score
	outcomes, texts           score
	branches                  int
	missed, boldly, unmatched []string
	offWire                   []string // ended by something that left no packet on this wire
}

type score struct{ right, asked int }

func (s *score) count(ok bool) {
	s.asked++
	if ok {
		s.right++
	}
}

func (s score) String() string { return fmt.Sprintf("%d/%d", s.right, s.asked) }

func (b *scoreboard) String() string {
	var w strings.Builder
	fmt.Fprintf(&w, "\nrecordings %d, captures %d\nclass %v\ncause %v\nby %v\nGo outcomes %v (%d by a condition)\nerror texts %v\n",
		b.recordings, b.captures, b.class, b.cause, b.by, b.outcomes, b.branches, b.texts)
	for _, list := range []struct {
		title string
		lines []string
	}{{"certain and wrong", b.boldly}, {"missed", b.missed}, {"without a packet on this wire", b.unmatched}, {"not on this wire", b.offWire}} {
		fmt.Fprintf(&w, "%s: %d\n", list.title, len(list.lines))
		for _, l := range list.lines {
			fmt.Fprintf(&w, "  %s\n", l)
		}
	}
	return w.String()
}

// replay holds one capture's verdicts against a recording.
func (b *scoreboard) replay(t *testing.T, r record.Recording, whose string, views map[string]*classify.Analysis) {
	a := views[whose]
	b.captures++
	label := r.Scenario + "/" + whose
	taken := map[uint64]bool{}
	for i, want := range r.Expect.Conns {
		res, ok := find(a, want, taken)
		if !ok {
			b.unmatched = append(b.unmatched, fmt.Sprintf("%s conn %d: %s %s", label, i+1, want.Client, want.Cause))
			continue
		}
		taken[res.Conn.ID] = true
		b.verdict(label, whose, want, res)
	}
	sameKinds(t, label, r.Expect, a.Findings())
	for i := range a.Len() {
		b.calls(t, label, r, i, whose, views)
	}
}

// sameKinds holds a capture's findings against those that a recording names.
func sameKinds(t *testing.T, label string, want record.Expect, found []classify.Finding) {
	t.Helper()
	kinds := map[string]bool{}
	for _, f := range found {
		kinds[f.Kind] = true
	}
	for _, k := range want.Findings {
		if !kinds[k] {
			t.Errorf("%s: no finding %s", label, k)
		}
	}
	for _, k := range want.NoFindings {
		if kinds[k] {
			t.Errorf("%s: there is a finding %s", label, k)
		}
	}
}

// analyse runs a capture through the whole line.
func analyse(name string) (*classify.Analysis, error) {
	src, err := capture.Open([]string{name}, capture.OpenConfig{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	a := new(classify.Analysis)
	tr := assembler.New(assembler.Config{Done: a.Add})
	var batch capture.Batch
	for {
		err := src.Next(&batch)
		tr.Batch(&batch)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	tr.Finish()
	in := src.Inputs()[0]
	a.Finish(classify.Env{End: max(in.Last, in.End), Truncated: in.Err != nil, EncapName: src.Encap})
	return a, nil
}

// find is the connection that an expectation speaks of: by its client's
// address, or else the first that is left.
func find(a *classify.Analysis, want record.Conn, taken map[uint64]bool) (classify.Result, bool) {
	for i := range a.Len() {
		c := a.Conn(i)
		if taken[c.ID] || want.Client != "" && !sameAddr(want.Client, c.End(assembler.Client)) {
			continue
		}
		return a.Result(i), true
	}
	return classify.Result{}, false
}

// sameAddr compares an address as the laboratory noted it, which lacks the
// host where the program left it to the kernel.
func sameAddr(s string, e *assembler.End) bool {
	return s == e.AddrPort().String() || s == fmt.Sprintf(":%d", e.Port)
}

// verdict counts class, cause and by against what the scenario's author knows.
func (b *scoreboard) verdict(label, whose string, want record.Conn, res classify.Result) {
	class, cause, by, also := want.Class, want.Cause, want.By, want.Also
	alsoIn, alsoBy := want.AlsoIn, want.AlsoBy
	for _, v := range want.Views {
		if v.Capture != whose {
			continue
		}
		also = append(slices.Clone(also), v.Also...)
		if v.Class != "" {
			alsoIn, class = append(slices.Clone(alsoIn), class), v.Class
		}
		if v.Cause != "" {
			cause = v.Cause
		}
		if v.By != "" {
			alsoBy, by = append(slices.Clone(alsoBy), by), v.By
		}
	}
	got := res.Cause.String()
	classOK := res.Class.String() == class || slices.Contains(alsoIn, res.Class.String())
	causeOK := got == cause || slices.Contains(also, got)
	byOK := res.By.String() == by || slices.Contains(alsoBy, res.By.String()) || got != cause
	b.class.count(classOK)
	b.cause.count(causeOK)
	b.by.count(byOK)
	line := fmt.Sprintf("%s: %v %v by %v (%v), want %s %s by %s", label, res.Class, res.Cause, res.By, res.Confidence, class, cause, by)
	if !classOK || !causeOK || !byOK {
		b.missed = append(b.missed, line)
	}
	if res.Confidence == classify.Certain && (!causeOK || got != cause) {
		b.boldly = append(b.boldly, line)
	}
}

// calls compares both ends' recorded calls with their outcomes.
func (b *scoreboard) calls(t *testing.T, label string, r record.Recording, i int, whose string, views map[string]*classify.Analysis) {
	res := views[whose].Result(i)
	for _, side := range []assembler.Side{assembler.Client, assembler.Server} {
		recorded := callsOf(r, side, views[whose], i)
		if len(recorded) == 0 {
			continue
		}
		out := res.Go[side]
		m := newMatcher(res.Conn, side, recorded, out)
		why := m.mismatch(out)
		switch {
		case why == "":
			b.outcomes.count(true)
		case m.branch(out):
			b.branches++
			b.outcomes.count(true)
		case m.unseen(out) && (r.Expect.OffWire != "" || elsewhere(r, recorded[0], side, whose, views)):
			b.offWire = append(b.offWire, fmt.Sprintf("%s, %v: %s", label, side, why))
		case blind(r, whose):
			b.offWire = append(b.offWire, fmt.Sprintf("%s, %v: %s", label, side, why))
		default:
			b.outcomes.count(false)
			t.Errorf("%s, %v: %s\n  %v %v by %v\n  outcome %s\n  calls %s", label, side, why,
				res.Class, res.Cause, res.By, describe(out), strings.Join(m.brief(), " "))
		}
		for _, w := range m.texts(out) {
			b.texts.count(w == "")
			if w != "" {
				t.Errorf("%s, %v: %s", label, side, w)
			}
		}
	}
}

// blind reports whether a capture cannot show what the calls met.
func blind(r record.Recording, whose string) bool {
	for _, c := range r.Expect.Conns {
		for _, v := range c.Views {
			if v.Capture == whose && v.Blind {
				return true
			}
		}
	}
	return false
}

// elsewhere reports whether another capture of the recording shows what this
// one cannot, and explains the calls.
func elsewhere(r record.Recording, call record.Call, side assembler.Side, whose string, views map[string]*classify.Analysis) bool {
	for other, a := range views {
		i := owner(r, call, side, a)
		if other == whose || i < 0 {
			continue
		}
		out := a.Result(i).Go[side]
		m := newMatcher(a.Conn(i), side, callsOf(r, side, a, i), out)
		if m.mismatch(out) == "" || m.branch(out) {
			return true
		}
	}
	return false
}

// roomOpen reports whether the outcome, with its conditions, leaves open
// whether a Write finds room.
func roomOpen(out classify.Outcome) bool {
	var room, full bool
	for _, c := range append(out.If, classify.Condition{Write: out.Write}) {
		if len(c.Write) > 0 {
			room = room || c.Write[0].Error == "nil"
			full = full || c.Write[0].Error == "blocked"
		}
	}
	return room && full
}

func pick(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// override is the outcome under one of its conditions.
func override(out classify.Outcome, c classify.Condition) classify.Outcome {
	if c.Dial != nil {
		out.Dial = c.Dial
	}
	if c.Accept != nil {
		out.Accept = c.Accept
	}
	if c.Read != nil || c.Write != nil {
		out.Once = c.Once
	}
	if c.Read != nil {
		out.Read = c.Read
	}
	if c.Write != nil {
		out.Write = c.Write
	}
	out.If = nil
	return out
}

func describe(o classify.Outcome) string {
	list := func(cs []classify.Call) string {
		var s []string
		for _, c := range cs {
			s = append(s, string(c.Error))
		}
		return "[" + strings.Join(s, " ") + "]"
	}
	s := "R" + list(o.Read) + " W" + list(o.Write)
	if o.Dial != nil {
		s = "D[" + string(o.Dial.Error) + "] " + s
	}
	if o.Accept != nil {
		s = "A[" + string(o.Accept.Error) + "] " + s
	}
	if o.Once {
		s += " once"
	}
	for _, c := range o.If {
		s += "\n    " + c.When + ": " + describe(override(classify.Outcome{Read: c.Read, Write: c.Write}, c))
	}
	if o.Note != "" {
		s += "\n    note: " + o.Note
	}
	return s
}
