package output

import (
	"fmt"
	"strings"

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

// ParseCause reads a cause's name, the value of flag; its error says what to
// type instead.
func ParseCause(flag, name string) (classify.Cause, error) {
	c, ok := classify.ParseCause(name)
	if !ok {
		return 0, unknown(flag, name, "cause", causes())
	}
	return c, nil
}

// unknown is the error about a name that is none of names: it offers the
// closest one, or all if none is close.
func unknown(flag, got, kind string, names []string) error {
	if best := Closest(got, names); best != "" {
		return fmt.Errorf("%s %s: no such %s; did you mean %s?", flag, got, kind, best)
	}
	return fmt.Errorf("%s %s: no such %s; type one of %s", flag, got, kind, strings.Join(names, ", "))
}

// Closest is the one of names that was probably meant by got: one that it is
// a part of, or one within a third of its letters; "" if there is none.
func Closest(got string, names []string) string {
	best, least := "", len(got)/3+2
	for _, name := range names {
		d := distance(strings.ToLower(got), name)
		if len(got) >= 3 && strings.Contains(name, strings.ToLower(got)) {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to make a into b.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, above, row := rows[0], rows[1], rows[2]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		rows[0], rows[1], rows[2] = above, row, before
	}
	return rows[1][len(b)]
}
