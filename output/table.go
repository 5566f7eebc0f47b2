package output

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hangup/classify"
)

// classOrder is the order of the table: what needs attention stands first.
func classOrder() []classify.Class {
	return []classify.Class{classify.Reset, classify.TimedOut, classify.HalfOpen, classify.Open, classify.Graceful}
}

func (t *text) rows() []classify.Row {
	all := t.digest.Rows()
	var list []classify.Row
	for _, class := range classOrder() {
		first := len(list)
		for _, r := range all {
			if r.Class == class {
				list = append(list, r)
			}
		}
		slices.SortStableFunc(list[first:], func(a, b classify.Row) int { return cmp.Compare(b.N, a.N) })
	}
	return list
}

const (
	classColumn = 11
	causeColumn = 23
	barColumn   = 24
)

func (t *text) table() {
	rows := t.rows()
	if len(rows) == 0 {
		return
	}
	digits, most := 5, uint64(1)
	for _, r := range rows {
		digits, most = max(digits, len(count(r.N))), max(most, r.N)
	}
	bars := t.width >= 100
	last := classify.Class(255)
	for _, r := range rows {
		name := ""
		if r.Class != last {
			name, last = r.Class.String(), r.Class
		}
		lead := "  " + t.class(r.Class, pad(name, classColumn)) + pad(r.Cause.String(), causeColumn) + paint(t.bold, padLeft(count(r.N), digits)) + "  "
		if bars {
			lead += t.class(r.Class, pad(bar(r.N, most), barColumn)+"  ")
		}
		t.wrap(lead, paint(t.faint, parties(&r)), t.width)
	}
	t.blank()
}

// bar is a line of n in most; the smallest number still shows.
func bar(n, most uint64) string {
	eighths := max(1, int(float64(n)/float64(most)*barColumn*8))
	s := strings.Repeat("█", eighths/8)
	if r := eighths % 8; r > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[r-1])
	}
	return s
}

// parties says whom the row's connections are laid to.
func parties(r *classify.Row) string {
	var s []string
	for by, n := range r.By {
		switch {
		case n == 0 || by == 0 && n == r.N:
		case n == r.N:
			s = append(s, keep("by "+classify.Party(by).String()))
		default:
			s = append(s, keep(fmt.Sprintf("%s %s", classify.Party(by), count(n))))
		}
	}
	return strings.Join(s, ", ")
}
