package classify

import "hangup/assembler"

// NeedlessMatches are the rules that match c although it lacks what they are
// said to need: there must be none.
func NeedlessMatches(c *assembler.Conn, env Env) (names []string) {
	w := newView(c, env)
	skipped := hopeless(w.lacking())
	for i := range rules {
		w.named = false
		if _, ok := rules[i].match(w); ok && skipped&(1<<i) != 0 {
			names = append(names, rules[i].Name)
		}
	}
	return names
}
