package classify_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
)

// judged is a connection and its refined verdict.
type judged struct {
	c *assembler.Conn
	v *classify.Verdict
}

func judgedOf(a *classify.Analysis) []judged {
	list := make([]judged, a.Len())
	for i := range list {
		list[i] = judged{a.Conn(i), a.Verdict(i)}
	}
	return list
}

// orders are ways in which connections may come. The list is that of IDs.
func orders(list []judged) map[string][]judged {
	ended := slices.Clone(list)
	slices.SortStableFunc(ended, func(a, b judged) int { return cmp.Compare(a.c.Last.Time, b.c.Last.Time) })
	back := slices.Clone(list)
	slices.Reverse(back)
	backEnded := slices.Clone(ended)
	slices.Reverse(backEnded)
	m := map[string][]judged{"endings": ended, "IDs reversed": back, "endings reversed": backEnded}
	for seed := range uint64(2) {
		mixed := slices.Clone(list)
		rng := rand.New(rand.NewPCG(seed, 5))
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		m[fmt.Sprint("shuffled ", seed)] = mixed
	}
	return m
}

func findingsOf(env classify.Env, list []judged, in ...capture.Input) []classify.Finding {
	f := classify.NewFindings(env)
	for _, j := range list {
		f.Add(j.c, j.v)
	}
	return f.Finish(in...)
}

// TestFindingsInAnyOrder: whatever the order of connections, the findings are
// the same in every word.
func TestFindingsInAnyOrder(t *testing.T) {
	for name, a := range allStories(t) {
		sameInAnyOrder(t, name, a.Env(), judgedOf(a), 0)
	}
	for seed := range uint64(2) {
		var pcap bytes.Buffer
		if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 4000, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		a, in := gather(t, &pcap)
		sameInAnyOrder(t, fmt.Sprint("sown, seed ", seed), a.Env(), judgedOf(a), 0, in...)
	}
}

// TestFindingsInAnyOrderCorpus does the same with real captures.
func TestFindingsInAnyOrderCorpus(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS is not set: no real captures to look at")
	}
	names, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no captures", err)
	}
	for _, name := range names {
		a, in := gatherFiles(t, name)
		sameInAnyOrder(t, filepath.Base(name), a.Env(), judgedOf(a), 0, in...)
	}
}

// sameInAnyOrder compares what is found with connections in the order of IDs
// to all other orders; numbers may differ by a share of tolerance.
func sameInAnyOrder(t *testing.T, name string, env classify.Env, list []judged, tolerance float64, in ...capture.Input) {
	t.Helper()
	want := findingsOf(env, list, in...)
	for order, other := range orders(list) {
		got := findingsOf(env, other, in...)
		if d := differ(want, got, tolerance); d != "" {
			t.Errorf("%s, %s: %s", name, order, d)
		}
	}
}

// differ says how two lists of findings differ, "" if they do not.
func differ(want, got []classify.Finding, tolerance float64) string {
	name := func(f *classify.Finding) string {
		return fmt.Sprintf("%s %v %s %v", f.Kind, f.Also, f.Severity, f.Where)
	}
	byName := func(list []classify.Finding) []classify.Finding {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b classify.Finding) int {
			return cmp.Or(cmp.Compare(name(&a), name(&b)), cmp.Compare(a.Title, b.Title))
		})
		return list
	}
	want, got = byName(want), byName(got)
	if len(want) != len(got) {
		return fmt.Sprintf("%d findings, want %d:\n%s\nwant\n%s", len(got), len(want), titles(got), titles(want))
	}
	for i := range want {
		w, g := &want[i], &got[i]
		if name(w) != name(g) {
			return fmt.Sprintf("%s, want %s", name(g), name(w))
		}
		if tolerance == 0 && (w.Title != g.Title || w.What != g.What || w.Confidence != g.Confidence || !slices.Equal(w.Connections, g.Connections) || fmt.Sprint(w.Evidence) != fmt.Sprint(g.Evidence)) {
			return fmt.Sprintf("%s: %s %v %v, want %s %v %v", name(g), g.Title, g.Connections, g.Evidence, w.Title, w.Connections, w.Evidence)
		}
		if !near(float64(g.Total), float64(w.Total), tolerance) || len(g.Numbers) != len(w.Numbers) {
			return fmt.Sprintf("%s: total %d, want %d; %v, want %v", name(g), g.Total, w.Total, g.Numbers, w.Numbers)
		}
		for k := range w.Numbers {
			if w.Numbers[k].Name != g.Numbers[k].Name || !near(g.Numbers[k].Value, w.Numbers[k].Value, tolerance) {
				return fmt.Sprintf("%s: %v, want %v", name(g), g.Numbers[k], w.Numbers[k])
			}
		}
	}
	return ""
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Abs(want)
}

func titles(list []classify.Finding) string {
	var b strings.Builder
	for i := range list {
		fmt.Fprintln(&b, list[i].Kind, list[i].Title)
	}
	return b.String()
}

// TestFindingsWhileRunning: what is asked in between changes nothing, a clone
// and its origin go their own ways, and connections that were open when a
// clone was asked may come again when they have ended.
func TestFindingsWhileRunning(t *testing.T) {
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 3000}); err != nil {
		t.Fatal(err)
	}
	a, in := gather(t, &pcap)
	list := orders(judgedOf(a))["endings"]
	want := findingsOf(a.Env(), list, in...)
	f := classify.NewFindings(classify.Env{})
	var asked []classify.Finding
	for i, j := range list {
		f.At(classify.Env{End: max(j.c.Last.Time, 1)})
		if i == len(list)/2 {
			asked = f.Finish(in...)
		}
		if i%500 == 0 {
			c := f.Clone()
			before := f.Finish(in...)
			for _, open := range list[i:min(i+40, len(list))] {
				c.Add(open.c, open.v)
			}
			c.Finish(in...)
			if d := differ(before, f.Finish(in...), 0); d != "" {
				t.Fatalf("asked twice: %s", d)
			}
		}
		f.At(a.Env()) // what the connection's verdict rests on
		f.Add(j.c, j.v)
	}
	if d := differ(want, f.Finish(in...), 0); d != "" {
		t.Error(d)
	}
	half := findingsOf(classify.Env{End: list[len(list)/2].c.Last.Time}, nil, in...)
	if len(asked) <= len(half) {
		t.Errorf("%d findings after half of the connections, %d without any", len(asked), len(half))
	}
}

// TestRenumber: other numbers reach examples and proofs alike.
func TestRenumber(t *testing.T) {
	for name, a := range allStories(t) {
		list := judgedOf(a)
		want := findingsOf(a.Env(), list)
		for i := range list {
			c := *list[i].c
			c.ID *= 1000
			c.Predecessor *= 1000
			c.SuccessorID *= 1000
			v := *list[i].v
			v.SameAs *= 1000
			list[i] = judged{&c, &v}
		}
		got := findingsOf(a.Env(), list)
		classify.Renumber(got, func(id uint64) uint64 { return id / 1000 })
		if d := differ(want, got, 0); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestPortsInAnyOrder: peaks of ports and of TIME_WAIT are the same to the
// last socket whichever connections end first, with other clients' dials
// between those of a pair.
func TestPortsInAnyOrder(t *testing.T) {
	for _, n := range []int{3_200, 15_000} {
		_, a, _ := told(t, []byte("Made.\n\n-- packets --\n"+churn(1, n, 50, "client")))
		sameInAnyOrder(t, fmt.Sprint(n, " dials"), a.Env(), judgedOf(a), 0)
	}
	if testing.Short() {
		return
	}
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 50_000}); err != nil {
		t.Fatal(err)
	}
	a, in := gather(t, &pcap)
	sameInAnyOrder(t, "sown", a.Env(), judgedOf(a), 0, in...)
}
