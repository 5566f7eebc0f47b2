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

// row of the table: one class and cause.
type row struct {
	class classify.Class
	cause classify.Cause
	n     uint64
	by    [classify.ByNetwork + 1]uint64
}

func (t *text) rows() []row {
	at := make(map[[2]uint8]*row)
	for i := range t.r.Conns.Len() {
		v := t.r.Conns.Verdict(i)
		k := [2]uint8{uint8(v.Class), uint8(v.Cause)}
		if at[k] == nil {
			at[k] = &row{class: v.Class, cause: v.Cause}
		}
		at[k].n++
		at[k].by[v.By]++
	}
	var list []row
	for _, class := range classOrder() {
		first := len(list)
		for cause := range classify.NumCauses {
			if r := at[[2]uint8{uint8(class), uint8(cause)}]; r != nil {
				list = append(list, *r)
			}
		}
		sortRows(list[first:])
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
		digits, most = max(digits, len(count(r.n))), max(most, r.n)
	}
	bars := t.width >= 100
	last := classify.Class(255)
	for _, r := range rows {
		name := ""
		if r.class != last {
			name, last = r.class.String(), r.class
		}
		lead := "  " + t.class(r.class, pad(name, classColumn)) + pad(r.cause.String(), causeColumn) + paint(t.bold, padLeft(count(r.n), digits)) + "  "
		if bars {
			lead += t.class(r.class, pad(bar(r.n, most), barColumn)+"  ")
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
func parties(r *row) string {
	var s []string
	for by, n := range r.by {
		switch {
		case n == 0 || by == 0 && n == r.n:
		case n == r.n:
			s = append(s, keep("by "+classify.Party(by).String()))
		default:
			s = append(s, keep(fmt.Sprintf("%s %s", classify.Party(by), count(n))))
		}
	}
	return strings.Join(s, ", ")
}

func sortRows(list []row) {
	slices.SortStableFunc(list, func(a, b row) int { return cmp.Compare(b.n, a.n) })
}
