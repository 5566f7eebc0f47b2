package classify_test

import (
	"strings"
	"testing"

	"hangup/classify"
)

// TestRulesAreDocumented: each rule says in a sentence what it means, what
// proves it, and, where something is wrong, what to do.
func TestRulesAreDocumented(t *testing.T) {
	harmless := map[classify.Cause]bool{
		classify.OrderlyClose: true, classify.SimultaneousClose: true, classify.HalfClose: true, classify.StillOpen: true,
	}
	names := map[string]bool{}
	for _, r := range classify.Rules() {
		if names[r.Name] {
			t.Errorf("two rules are called %s", r.Name)
		}
		names[r.Name] = true
		doc := strings.TrimSpace(r.Doc)
		first, rest, ok := strings.Cut(doc, "\n\n")
		if !ok || len(first) > 150 || !strings.HasSuffix(first, ".") {
			t.Errorf("%s: the documentation has to begin with one short sentence, a paragraph of its own, not %q", r.Name, first)
		}
		if !strings.Contains(rest, "Proof: ") {
			t.Errorf("%s: nothing says which packets prove it", r.Name)
		}
		if (r.Advice == "") != harmless[r.Cause] {
			t.Errorf("%s: advice is due where something is wrong, and only there", r.Name)
		}
		if strings.Contains(r.Advice, "\n") {
			t.Errorf("%s: advice is one paragraph", r.Name)
		}
	}
	for c := range classify.NumCauses {
		if !names[classify.Cause(c).String()] {
			t.Errorf("no rule bears the name of the cause %v, and --causes takes its sentence from there", classify.Cause(c))
		}
	}
}
