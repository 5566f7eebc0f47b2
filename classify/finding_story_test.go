package classify_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

// gather runs a capture through capture and assembler into an Analysis.
func gather(t testing.TB, pcap io.Reader) (*classify.Analysis, []capture.Input) {
	t.Helper()
	a, in := gatherConfig(t, []string{"-"}, capture.OpenConfig{Stdin: pcap}, assembler.Config{})
	if in[0].Err != nil {
		t.Fatal(in[0].Err)
	}
	return a, in
}

// gatherFiles does the same with files, which may break off.
func gatherFiles(t testing.TB, names ...string) (*classify.Analysis, []capture.Input) {
	t.Helper()
	return gatherConfig(t, names, capture.OpenConfig{}, assembler.Config{})
}

func gatherConfig(t testing.TB, names []string, open capture.OpenConfig, track assembler.Config) (*classify.Analysis, []capture.Input) {
	t.Helper()
	src, err := capture.Open(names, open)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	a := new(classify.Analysis)
	track.Done = a.Add
	tr := assembler.New(track)
	var b capture.Batch
	for {
		if err = src.Next(&b); err != nil {
			break
		}
		tr.Batch(&b)
	}
	tr.Finish()
	env := classify.Env{Truncated: err != io.EOF}
	for _, in := range src.Inputs() {
		env.End = max(env.End, in.Last, in.End)
		env.Truncated = env.Truncated || in.Err != nil
	}
	a.Finish(env)
	return a, src.Inputs()
}

// told compiles a story and analyses it.
func told(t testing.TB, text []byte) (*story.Story, *classify.Analysis, []capture.Input) {
	t.Helper()
	s, err := story.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	pcap, err := s.Pcap()
	if err != nil {
		t.Fatal(err)
	}
	a, in := gather(t, bytes.NewReader(pcap))
	return s, a, in
}

// TestFindingStories holds findings to stories: each lists all that must be
// found in it, and nothing else may be.
func TestFindingStories(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "testdata", "findings", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatal("no stories", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s, a, in := told(t, text)
			section, ok := s.Section("findings")
			if !ok {
				t.Fatal("no section findings")
			}
			sameFindings(t, a, in, len(s.Packets()), strings.Split(strings.TrimSpace(section), "\n"))
		})
	}
}

// sameFindings holds an analysis to all that must be found, as kind and severity.
func sameFindings(t *testing.T, a *classify.Analysis, in []capture.Input, packets int, want []string) {
	t.Helper()
	var got []string
	for _, f := range a.Findings(in...) {
		got = append(got, strings.Join(append([]string{f.Kind}, f.Also...), "+")+" "+f.Severity.String())
		whole(t, a, packets, &f)
	}
	if got == nil {
		got = []string{"none"}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
		for _, f := range a.Findings(in...) {
			t.Logf("%s: %s %s", f.Kind, f.Title, f.What)
		}
	}
}

// whole checks what is true of every finding: it says what it means, and
// every packet and connection it names exists.
func whole(t *testing.T, a *classify.Analysis, packets int, f *classify.Finding) {
	t.Helper()
	if !slices.Contains(classify.FindingKinds(), f.Kind) {
		t.Errorf("%s is not among FindingKinds", f.Kind)
	}
	for _, kind := range f.Also {
		if !slices.Contains(classify.FindingKinds(), kind) || kind == f.Kind {
			t.Errorf("%s also tells %s", f.Kind, kind)
		}
	}
	if !strings.HasSuffix(f.Title, ".") || strings.Count(f.What, ".") < 2 || len(f.Numbers) == 0 {
		t.Errorf("%s: incomplete: title %q, what %q, %d numbers", f.Kind, f.Title, f.What, len(f.Numbers))
	}
	if f.Severity > classify.Info && f.Advice == "" {
		t.Errorf("%s: no advice", f.Kind)
	}
	if len(f.Connections) > 5 || uint64(len(f.Connections)) > f.Total {
		t.Errorf("%s: %d examples of %d", f.Kind, len(f.Connections), f.Total)
	}
	for _, id := range f.Connections {
		if id == 0 || id > uint64(a.Len()) {
			t.Errorf("%s: no connection %d", f.Kind, id)
		}
	}
	for _, e := range f.Evidence {
		if n := e.Ref.Number(); n == 0 || n > uint64(packets) {
			t.Errorf("%s: no packet %d (%s)", f.Kind, n, e.What)
		}
		if strings.Contains(e.What, "%!") {
			t.Errorf("%s: %s", f.Kind, e.What)
		}
	}
	for _, n := range f.Numbers {
		if n.Value != n.Value || n.Value < -1000 {
			t.Errorf("%s: %s is %v", f.Kind, n.Name, n.Value)
		}
	}
}

// TestFindingKindsHaveStories demands of each kind a story that shows it, and
// one that looks alike and does not: that one is called after the kind and
// what differs.
func TestFindingKindsHaveStories(t *testing.T) {
	shown, alike := map[string]string{}, map[string]string{}
	note := func(name, findings string) {
		found := map[string]bool{}
		for line := range strings.Lines(findings) {
			kind, _, _ := strings.Cut(line, " ")
			for kind := range strings.SplitSeq(kind, "+") {
				found[kind] = true
				if shown[kind] != kind {
					shown[kind] = name
				}
			}
		}
		for _, kind := range classify.FindingKinds() {
			if strings.HasPrefix(name, kind+"-") && !found[kind] {
				alike[kind] = name
			}
		}
	}
	names, _ := filepath.Glob(filepath.Join("..", "testdata", "findings", "*.txt"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(string(text), "-- findings --\n")
		note(strings.TrimSuffix(filepath.Base(name), ".txt"), list)
	}
	for _, m := range append(madeStories(), healthyStories()...) {
		note(m.name, m.want)
	}
	for _, kind := range classify.FindingKinds() {
		switch {
		case shown[kind] == "":
			t.Errorf("%s: no story shows it", kind)
		case alike[kind] == "":
			t.Errorf("%s: no story looks like it and is not", kind)
		default:
			t.Logf("%-22s %-36s not %s", kind, shown[kind], alike[kind])
		}
	}
}

// allStories analyses every story of testdata/findings.
func allStories(t *testing.T) map[string]*classify.Analysis {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "testdata", "findings", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatal("no stories", err)
	}
	all := map[string]*classify.Analysis{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, a, _ := told(t, text)
		all[filepath.Base(name)] = a
	}
	return all
}
