package readme

import (
	"fmt"
	"strings"
	"testing"

	"hangup/classify"
)

// causes is the table of causes, from the rules' own documentation.
func causes(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| cause | in short |\n| --- | --- |\n")
	said := map[classify.Cause]bool{}
	for _, r := range classify.Rules() {
		if said[r.Cause] {
			continue
		}
		said[r.Cause] = true
		if r.Doc == "" {
			t.Errorf("rule %s is not documented", r.Name)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Cause, firstSentence(r.Doc))
	}
	return b.String()
}

// firstSentence is a text up to its first full stop that ends a sentence.
func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i+1]
	}
	return strings.ReplaceAll(s, "|", `\|`)
}
