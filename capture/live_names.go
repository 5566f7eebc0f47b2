package capture

import (
	"cmp"
	"slices"
	"strings"

	"hangup/capture/spelling"
)

// closest are the names that name may have been meant to be, the best first:
// those it is part of, and those within two edits, but no more edits than
// half its length, rounded up.
func closest(name string, names []string) []string {
	type candidate struct {
		name  string
		edits int
	}
	var found []candidate
	lower := strings.ToLower(name)
	for _, n := range names {
		d := spelling.Distance(lower, strings.ToLower(n))
		if d <= min(2, (len(name)+1)/2) || len(name) > 1 && strings.Contains(strings.ToLower(n), lower) {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })
	var close []string
	for _, c := range found[:min(len(found), 3)] {
		close = append(close, c.name)
	}
	return close
}
