package output

import (
	"io"

	"hangup/classify"
)

// Spell prints one verdict as a report does: ends, sentence, evidence, Go
// outcomes, doubts, advice. End is the end of the capture so far (ns).
// Packets are called by their numbers, whatever their files.
func Spell(w io.Writer, res *classify.Result, end int64, s Style) error {
	t := &text{
		page:  newPage(w, s),
		style: s,
		sum:   classify.Summary{End: end},
		clock: newClock(res.Conn.First.Time, res.Conn.Last.Time),
	}
	title := t.class(res.Class, res.Class.String()) + " · " + paint(t.bold, res.Cause.String())
	if res.By != classify.ByUnknown {
		title += " · by " + res.By.String()
	}
	t.wrap("", title+paint(t.faint, " · "+res.Confidence.String()), t.width)
	t.spell(res, false)
	return t.flush()
}
