package output

import (
	"fmt"
	"io"
	"strings"

	"hangup/classify"
)

// Explain prints what hangup knows of a cause: the documentation of every
// rule that names it.
func Explain(w io.Writer, cause classify.Cause, rules []classify.Rule, s Style) error {
	p := newPage(w, s)
	p.printf("%s\n", paint(p.bold, cause.String()))
	found, advice := false, ""
	for i := range rules {
		if rules[i].Cause != cause {
			continue
		}
		found = true
		p.blank()
		if rules[i].Name != cause.String() {
			p.printf("%s\n", paint(p.faint, "rule "+rules[i].Name))
		}
		p.paragraphs(rules[i].Doc)
		if a := rules[i].Advice; a != "" && a != advice {
			advice = a // rules of one cause often share theirs
			p.blank()
			p.prose("", "What to do: "+a)
		}
	}
	if !found {
		p.blank()
		p.prose("", "No rule names this cause by itself: it is what remains, or what the neighbours of a connection turn another cause into.")
	}
	return p.flush()
}

// paragraphs prints text that is broken by blank lines; indented lines stay
// as they are, and a short heading such as "Proof:" stands out.
func (p *page) paragraphs(text string) {
	for i, part := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.blank()
		}
		if strings.HasPrefix(part, "\t") || strings.HasPrefix(part, "    ") {
			p.printf("%s\n", strings.TrimRight(part, "\n"))
			continue
		}
		if head, rest, ok := strings.Cut(part, ": "); ok && len(head) <= len("What to do") {
			part = paint(p.bold, head+":") + " " + rest
		}
		p.prose("", part)
	}
}

// Causes lists all causes with the first sentence of their documentation.
func Causes(w io.Writer, rules []classify.Rule, s Style) error {
	first := make(map[classify.Cause]string)
	for i := range rules {
		// Of several rules the one that bears the cause's name speaks for it.
		if first[rules[i].Cause] == "" || rules[i].Name == rules[i].Cause.String() {
			first[rules[i].Cause] = firstSentence(rules[i].Doc)
		}
	}
	p := newPage(w, s)
	for c := range classify.NumCauses {
		cause := classify.Cause(c)
		p.wrap(paint(p.bold, pad(cause.String(), causeColumn)), first[cause], p.width)
	}
	p.blank()
	p.printf("%s\n", paint(p.faint, fmt.Sprintf("hangup --explain %s tells more of one.", classify.AbortiveClose)))
	p.blank()
	p.prose("", "Findings, as JSON, live lines and --fail-on "+finding+"KIND call them: "+strings.Join(classify.FindingKinds(), ", ")+".")
	return p.flush()
}

// firstSentence ends at a full stop that a space, a line or the end follows.
func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}
