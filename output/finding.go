package output

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"hangup/capture"
	"hangup/classify"
)

const (
	// manyTitles is how many of the findings that are not spelled out are
	// named at least.
	manyTitles = 20
	// briefText is about how many bytes of a finding's texts are shown without
	// -v: two to four lines, in whole sentences.
	briefText = 200
	// briefNumbers, briefIDs and briefPackets are likewise how many of its
	// measures, examples and packets.
	briefNumbers = 4
	briefIDs     = 3
	briefPackets = 2
)

// findings says what the connections together tell about the system, the
// most harmful first. Ten of them fit on two screens.
func (t *text) findings() {
	list := t.r.Findings
	if len(list) == 0 {
		if t.style.Verbose && t.sum.Connections > 0 {
			t.printf("%s\n", paint(t.faint, "No findings: the connections together show no pattern of harm."))
			t.blank()
		}
		return
	}
	shown := len(list)
	if t.style.Limit > 0 && !t.style.All {
		shown = min(shown, t.style.Limit)
	}
	if t.style.Quiet {
		shown = 0
	}
	said := make(map[string]int) // texts, by the number of the finding that said them
	for i := range list[:shown] {
		t.finding(i+1, &list[i], said)
	}
	t.titles(list, shown)
}

// titles names the findings behind the first so many.
func (t *text) titles(list []classify.Finding, from int) {
	if from == len(list) {
		return
	}
	until := len(list)
	if !t.style.Verbose && !t.style.All && t.style.Limit > 0 && until-from > manyTitles+1 {
		until = from + manyTitles
	}
	for i := from; i < until; i++ {
		t.findingTitle(i+1, &list[i])
	}
	more := ""
	if until < len(list) {
		more = fmt.Sprintf("And %s. ", plural(uint64(len(list)-until), "more finding"))
	}
	if !t.style.Quiet {
		more += "--limit 0 spells all findings out."
	}
	if more != "" {
		t.prose(margin, paint(t.faint, more))
	}
	t.blank()
}

func (t *text) findingTitle(number int, f *classify.Finding) {
	lead := fmt.Sprintf("%3s ", findingName(number)) + t.severity(f.Severity) + "  "
	title := paint(t.bold, clean(f.Title))
	if f.Severity == classify.Info {
		title = clean(f.Title)
	}
	if f.Confidence != classify.Certain {
		title += paint(t.faint, " ("+f.Confidence.String()+")")
	}
	t.prose(lead, title)
}

// findingName is how the page refers to a finding; groups have plain numbers.
func findingName(number int) string { return fmt.Sprintf("F%d", number) }

// severity is the word, padded, in its colour.
func (p *Palette) severity(s classify.Severity) string {
	word := pad(s.String(), len("critical"))
	switch s {
	case classify.Critical:
		return p.alarm.Sprint(word)
	case classify.Serious:
		return p.red.Sprint(word)
	case classify.Warning:
		return p.yellow.Sprint(word)
	}
	return p.cyan.Sprint(word)
}

// finding spells one out. What an earlier one has said is not said again.
func (t *text) finding(number int, f *classify.Finding, said map[string]int) {
	t.findingTitle(number, f)
	full := t.style.Verbose
	terse := f.Severity == classify.Info && !full
	if what := t.brief(f.What); what != "" && !terse && said[what] == 0 {
		said[what] = number
		t.prose(margin, clean(what))
	}
	if s := t.numbers(f, terse); s != "" {
		t.prose(margin+pad("numbers", label+1), s)
	}
	t.where(f)
	t.shown(f)
	for _, s := range f.Alternatives {
		if !terse {
			t.prose(margin+pad("or", label+1), clean(s))
		}
	}
	if advice := t.brief(f.Advice); advice != "" && !terse {
		if n := said[advice]; n > 0 {
			advice = "As in " + findingName(n) + "."
		} else {
			said[advice] = number
		}
		t.prose(margin+pad("do", label+1), clean(advice))
	}
	t.blank()
}

// brief is the text's first sentences, one at least; all of it with -v.
func (t *text) brief(s string) string {
	if t.style.Verbose {
		return s
	}
	for end := 0; ; {
		next := strings.Index(s[end:], ". ")
		if next < 0 {
			next = len(s) - end - 1
		}
		// A short beginning says too little: the next sentence may overshoot.
		if end > briefText*3/5 && end+next > briefText || end > 0 && end+next > briefText*17/10 {
			return s[:end]
		}
		if end += next + 1; end >= len(s) {
			return s
		}
	}
}

// numbers are the measures. Without -v those that are zero, those that the
// title tells, and what stands elsewhere are left out.
func (t *text) numbers(f *classify.Finding, terse bool) string {
	var items []string
	for _, n := range f.Numbers {
		value := measure(n)
		if !t.style.Verbose {
			idle := n.Unit == "" && (n.Value <= 1 || n.Value == float64(f.Total)) || n.Value == 0 || n.Name == clientHosts
			if idle || mentions(f.Title, plain(value)) || len(items) == briefNumbers || terse {
				continue
			}
		}
		items = append(items, clean(n.Name)+":"+nbsp+paint(t.bold, value))
	}
	return dotted(items)
}

// mentions reports whether the text has the number as a word of its own.
func mentions(text, number string) bool {
	for rest := text; ; {
		i := strings.Index(rest, number)
		if i < 0 {
			return false
		}
		end := i + len(number)
		before := i > 0 && (digit(rest[i-1]) || i > 1 && strings.ContainsRune(".,:", rune(rest[i-1])) && digit(rest[i-2]))
		after := end < len(rest) && (digit(rest[end]) || end+1 < len(rest) && strings.ContainsRune(".,:", rune(rest[end])) && digit(rest[end+1]))
		if !before && !after {
			return true
		}
		rest = rest[end:]
	}
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// measure is a number as people read it.
func measure(n classify.Number) string {
	v := n.Value
	switch {
	case n.Unit == "s":
		return span(int64(v * 1e9))
	case n.Unit == "bytes" && v >= 0:
		return volume(uint64(v))
	case n.Unit == "" && v == math.Trunc(v) && v >= 0:
		return count(uint64(v))
	}
	s := fmt.Sprintf("%.3g", v)
	if math.Abs(v) >= 1000 {
		s = fmt.Sprintf("%.0f", v)
	}
	switch n.Unit {
	case "", "/s", "/min", "/h":
		return s + n.Unit
	}
	return s + nbsp + n.Unit
}

// where names the hosts and endpoints, less those that the title names.
func (t *text) where(f *classify.Finding) {
	var items []string
	for _, role := range []string{"server", "client", "router", "host"} {
		var names []string
		for _, p := range f.Where {
			if p.Role == role && (t.style.Verbose || !mentions(f.Title, p.String())) {
				names = append(names, p.String())
			}
		}
		if s := t.places(role, names, f); s != "" {
			items = append(items, s)
		}
	}
	if len(items) > 0 {
		t.prose(margin+pad("where", label+1), dotted(items))
	}
}

// places names the hosts of one role, or one of many.
func (t *text) places(role string, names []string, f *classify.Finding) string {
	all := len(names)
	if role == "client" && all > 0 {
		all = max(all, clients(f))
	}
	switch {
	case all == 0:
		return ""
	case all == 1:
		return role + nbsp + names[0]
	case all > len(names) || all > 2 && !t.style.Verbose:
		if !t.style.Verbose {
			names = names[:1]
		}
		return plural(uint64(all), role) + " such as " + strings.Join(names, ", ")
	}
	return role + "s" + nbsp + strings.Join(names, ", ")
}

// clientHosts is the measure that counts a finding's clients.
const clientHosts = "client hosts"

// clients is how many client hosts the finding counted.
func clients(f *classify.Finding) int {
	for _, n := range f.Numbers {
		if n.Name == clientHosts {
			return int(n.Value)
		}
	}
	return 0
}

func (t *text) lasting(f *classify.Finding) string {
	first, last := t.clock.seconds(f.First), t.clock.seconds(f.Last)
	if first == last || f.Last <= f.First {
		return keep(first)
	}
	return keep(first + " to " + last)
}

// shown names the connections and packets that prove it, and tells when it was.
func (t *text) shown(f *classify.Finding) {
	var ids []string
	for _, id := range f.Connections {
		if len(ids) < briefIDs || t.style.Verbose {
			ids = append(ids, fmt.Sprintf("#%d", id))
		}
	}
	if len(ids) == 0 {
		return
	}
	s := strings.Join(ids, " ")
	if n := uint64(len(ids)); f.Total > n {
		s += " and " + keep(count(f.Total-n)+" more")
	}
	items := []string{s}
	if p := t.packets(f.Evidence); p != "" && !t.style.Verbose {
		items = append(items, p)
	}
	if f.First != 0 && (t.style.Verbose || f.Severity > classify.Info) {
		items = append(items, t.lasting(f))
	}
	t.prose(margin+pad("see", label+1), dotted(items))
	if t.style.Verbose && len(f.Evidence) > 0 {
		t.proof(f.Evidence)
		t.blank()
	}
}

// packets names the first of the proof.
func (t *text) packets(list []classify.Evidence) string {
	var at []capture.Ref
	for _, e := range list {
		if e.Ref != 0 && !slices.Contains(at, e.Ref) && len(at) < briefPackets {
			at = append(at, e.Ref)
		}
	}
	slices.Sort(at)
	switch len(at) {
	case 0:
		return ""
	case 1:
		return keep("packet " + t.refs.text(at[0]))
	}
	return keep("packets " + t.refs.text(at[0]) + ", " + t.refs.text(at[1]))
}

// proof prints the packets of the examples, in the order of time.
func (t *text) proof(list []classify.Evidence) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b classify.Evidence) int { return cmp.Compare(a.Time, b.Time) })
	t.evidence(list)
}

// explained is the number of the first finding that has the group's first
// connection, or its example, among its own examples; 0 if there is none. Its
// advice is about the pattern, and takes the place of the group's.
func (t *text) explained(g *group, example uint64) int {
	for i := range t.r.Findings {
		f := &t.r.Findings[i]
		if !tells(f) || i >= t.style.Limit && t.style.Limit > 0 && !t.style.All {
			continue
		}
		if slices.Contains(f.Connections, g.FirstID) || slices.Contains(f.Connections, example) {
			return i + 1
		}
	}
	return 0
}

// tells reports whether the finding is about ends, not about the capture that
// shows them or the path under them.
func tells(f *classify.Finding) bool {
	switch f.Kind {
	case classify.KindUntrusted, classify.KindOneWay, classify.KindPacketLoss:
		return false
	}
	return f.Severity > classify.Info
}
