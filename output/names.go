package output

import (
	"fmt"
	"strings"

	"hangup/capture/spelling"
	"hangup/classify"
)

func classes() []string {
	var s []string
	for c := classify.Open; c <= classify.TimedOut; c++ {
		s = append(s, c.String())
	}
	return s
}

func causes() []string {
	var s []string
	for c := range classify.NumCauses {
		s = append(s, classify.Cause(c).String())
	}
	return s
}

func partyNames() []string {
	var s []string
	for p := classify.ByUnknown; p <= classify.ByNetwork; p++ {
		s = append(s, p.String())
	}
	return s
}

// PlainName is how a class, a cause or a format is written: in small letters,
// joined by hyphens. Blanks round a comma, capitals and underscores are
// forgiven.
func PlainName(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", " ", "-").Replace(strings.TrimSpace(s)))
}

// plainNames are the names that are not blank.
func plainNames(list []string) []string {
	var names []string
	for _, s := range trimmed(list) {
		names = append(names, PlainName(s))
	}
	return names
}

// trimmed is the list without blank items, and without blanks round the others.
func trimmed(list []string) []string {
	var s []string
	for _, item := range list {
		if item = strings.TrimSpace(item); item != "" {
			s = append(s, item)
		}
	}
	return s
}

// ParseCause reads a cause's name, the value of flag; its error says what to
// type instead.
func ParseCause(flag, name string) (classify.Cause, error) {
	c, ok := classify.ParseCause(PlainName(name))
	if !ok {
		return 0, unknown(flag, "", name, "cause", causes())
	}
	return c, nil
}

// unknown is the error about a name that is none of names, all of which are
// typed behind lead: it offers the closest one, or all if none is close.
func unknown(flag, lead, got, kind string, names []string) error {
	if best := Closest(got, names); best != "" {
		return fmt.Errorf("%s %s%s: no such %s; did you mean %s%s?", flag, lead, got, kind, lead, best)
	}
	return fmt.Errorf("%s %s%s: no such %s; type one of %s%s", flag, lead, got, kind, lead, strings.Join(names, ", "+lead))
}

// Closest is the one of names that was probably meant by got: one that it is
// a part of, or one within a third of its letters; "" if there is none.
func Closest(got string, names []string) string {
	best, least := "", len(got)/3+2
	for _, name := range names {
		d := spelling.Distance(strings.ToLower(got), name)
		if len(got) >= 3 && strings.Contains(name, strings.ToLower(got)) {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}
