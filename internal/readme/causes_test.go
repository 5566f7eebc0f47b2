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
	lead := map[classify.Cause]string{} // of the rule that bears the cause's name, if one does
	var order []classify.Cause
	for _, r := range classify.Rules() {
		if r.Doc == "" {
			t.Errorf("rule %s is not documented", r.Name)
		}
		if _, ok := lead[r.Cause]; !ok {
			order = append(order, r.Cause)
		} else if r.Name != r.Cause.String() {
			continue
		}
		lead[r.Cause] = firstSentence(r.Doc)
	}
	for _, c := range order {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c, lead[c])
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
