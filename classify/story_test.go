package classify_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

var update = flag.Bool("update", false, "write the verdict sections of testdata/stories")

const storyDir = "../testdata/stories"

func storyFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(storyDir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s: %v", storyDir, err)
	}
	return files
}

func storyName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// TestStories compares the verdict on each story with the one written in it.
func TestStories(t *testing.T) {
	for _, file := range storyFiles(t) {
		t.Run(storyName(file), func(t *testing.T) { checkStory(t, file) })
	}
}

func checkStory(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Parse(text)
	if err != nil {
		t.Fatalf("%s:%v", file, err)
	}
	if len(strings.Fields(s.Prose)) < 12 {
		t.Error("the story does not say in prose what happens")
	}
	got := "\n" + spellStory(tellStory(t, s), s.Labels())
	want, _ := s.Section("verdict")
	if *update {
		if got != want {
			head, _, _ := strings.Cut(string(text), "-- verdict --\n")
			if err := os.WriteFile(file, []byte(head+"-- verdict --\n"+got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	if got != want {
		t.Errorf("verdict differs (-update accepts it)\n--- want%s--- got%s", want, got)
	}
}

// tellStory runs a story through every room.
func tellStory(t *testing.T, s *story.Story) *classify.Analysis {
	t.Helper()
	pcap, err := s.Pcap()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "story.pcap")
	if err := os.WriteFile(name, pcap, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := capture.Open([]string{name}, capture.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	a := &classify.Analysis{}
	track := assembler.New(assembler.Config{Done: a.Add})
	var b capture.Batch
	for {
		if err := src.Next(&b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		track.Batch(&b)
	}
	track.Finish()
	a.Finish(classify.Env{End: src.Inputs()[0].Last, EncapName: src.Encap})
	return a
}

// spellStory writes the verdicts so that a person can judge them.
func spellStory(a *classify.Analysis, labels map[string]int) string {
	names := map[int]string{}
	for label, n := range labels {
		names[n] = "#" + label
	}
	var b strings.Builder
	for i := range a.Len() {
		if i > 0 {
			b.WriteByte('\n')
		}
		spellResult(&b, a.Result(i), names)
	}
	return b.String()
}

func spellResult(b *strings.Builder, r classify.Result, names map[int]string) {
	at := func(s assembler.Stamp) string {
		n := int(s.Ref.Number())
		switch {
		case n == 0:
			return "-"
		case names[n] != "":
			return names[n]
		}
		return fmt.Sprintf("packet %d", n)
	}
	c := r.Conn
	fmt.Fprintf(b, "%d. %v > %v\n", c.ID, c.End(assembler.Client).AddrPort(), c.End(assembler.Server).AddrPort())
	fmt.Fprintf(b, "   %v, %v by %v, %v\n", r.Class, r.Cause, r.By, r.Confidence)
	for i, alt := range r.Alt[:r.NAlt] {
		fmt.Fprintf(b, "   or %v: %s\n", alt.Cause, r.AltText[i])
	}
	if f := r.FirstEnd; f.Seen() {
		who := f.Side.String()
		if f.Network {
			who = "network"
		}
		fmt.Fprintf(b, "   first end: %s, %v %s\n", who, f.Flag, at(f.Stamp))
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "   %s: %s\n", name, text)
		}
	}
	line("detail", r.Detail)
	line("partial", partialNames(r.Partial))
	if r.SameAs != 0 {
		line("same as", fmt.Sprint(r.SameAs))
	}
	for _, e := range r.Evidence {
		who := e.Side.String()
		if e.Network {
			who = "network"
		}
		fmt.Fprintf(b, "   %-10s %s: %s\n", at(e.Stamp), who, e.What)
	}
	for _, m := range c.KeptMarks() {
		fmt.Fprintf(b, "   marks %s %v: %s\n", at(m.Stamp), m.Side, markNames[m.What])
	}
	line("rules", strings.Join(matchedRules(r), ", "))
	for s, o := range r.Go {
		line(assembler.Side(s).String(), spellOutcome(o))
	}
}

func matchedRules(r classify.Result) []string {
	var list []string
	for i, rule := range classify.Rules() {
		if r.Matched&(1<<i) != 0 {
			list = append(list, rule.Name)
		}
	}
	return list
}

func partialNames(p assembler.Partial) string {
	var list []string
	for i, name := range []string{"no-start", "no-end", "one-way", "gaps", "snaplen", "duplicates", "evicted"} {
		if p&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

var markNames = map[assembler.What]string{
	assembler.ResetIgnored: "RST without effect", assembler.ChallengeACK: "challenge ACK",
	assembler.TimeBackwards: "time went backwards", assembler.SYNOtherISN: "SYN with another ISN",
	assembler.ICMPOnLive: "ICMP error on a live connection", assembler.RetransmittedSYN: "SYN again",
	assembler.ZeroWindowStart: "zero window", assembler.ZeroWindowEnd: "window open again",
	assembler.WindowShrunk: "window shrunk", assembler.DataPastReset: "sends on after its RST",
	assembler.DataAfterClose: "payload behind the peer's FIN", assembler.MPTCPJoin: "subflow",
	assembler.SYNData: "payload on the SYN", assembler.OverlapMismatch: "overlap differs",
}

// spellOutcome is an outcome in a line; conditions only by their number,
// since they have tests of their own.
func spellOutcome(o classify.Outcome) string {
	var list []string
	one := func(name string, c *classify.Call) {
		if c != nil {
			list = append(list, name+" "+string(c.Error))
		}
	}
	many := func(name string, cs []classify.Call) {
		if len(cs) == 0 {
			return
		}
		var tokens []string
		for _, c := range cs {
			tokens = append(tokens, string(c.Error))
		}
		list = append(list, name+" "+strings.Join(tokens, ", "))
	}
	one("dial", o.Dial)
	one("accept", o.Accept)
	many("read", o.Read)
	many("write", o.Write)
	if o.Once {
		list = append(list, "once")
	}
	if len(list) == 0 {
		list = append(list, "no connection")
	}
	return strings.Join(list, "; ")
}

// TestEveryRuleHasItsStory: a rule's story bears its name, and that rule is
// the one that names the cause there.
func TestEveryRuleHasItsStory(t *testing.T) {
	if len(classify.Rules()) > 64 {
		t.Fatal("Verdict.Matched has a bit for 64 rules")
	}
	told := map[string]bool{}
	for _, file := range storyFiles(t) {
		told[storyName(file)] = true
	}
	for _, rule := range classify.Rules() {
		if !told[rule.Name] {
			t.Errorf("rule %s has no story in %s", rule.Name, storyDir)
			continue
		}
		text, err := os.ReadFile(filepath.Join(storyDir, rule.Name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := story.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a := tellStory(t, s)
		found := false
		for i := range a.Len() {
			found = found || a.Verdict(i).Rule().Name == rule.Name
		}
		if !found {
			t.Errorf("story %s: the rule of its name does not decide it", rule.Name)
		}
	}
}

// TestEveryCauseIsReached: no cause of the contract is dead.
func TestEveryCauseIsReached(t *testing.T) {
	reached := map[classify.Cause]bool{}
	for _, file := range storyFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range causeInStory.FindAllStringSubmatch(string(text), -1) {
			if c, ok := classify.ParseCause(m[1]); ok {
				reached[c] = true
			}
		}
	}
	for c := range classify.NumCauses {
		if !reached[classify.Cause(c)] {
			t.Errorf("no story ends in %v", classify.Cause(c))
		}
	}
}

var causeInStory = regexp.MustCompile(`(?m)^   [a-z-]+, ([a-z0-9-]+) by `)
