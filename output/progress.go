package output

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress draws a bar on one line of a terminal while a long input is read.
// It stays silent for the first moments, so that short inputs show none.
type Progress struct {
	w     io.Writer
	width int
	start time.Time
	next  time.Time
	drawn bool
}

const (
	patience = 700 * time.Millisecond
	refresh  = 150 * time.Millisecond
)

// NewProgress starts at now; the line is at most width columns.
func NewProgress(w io.Writer, width int, now time.Time) *Progress {
	return &Progress{w: w, width: width, start: now, next: now.Add(patience)}
}

// Update draws the bar if it is time to; done and total are bytes, total 0 if unknown.
func (p *Progress) Update(done, total int64, now time.Time) {
	if now.Before(p.next) {
		return
	}
	p.next, p.drawn = now.Add(refresh), true
	fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(done, total, now))
}

func (p *Progress) line(done, total int64, now time.Time) string {
	if total <= 0 {
		return plain(volume(uint64(done))) + " read"
	}
	share := min(1, float64(done)/float64(total))
	text := fmt.Sprintf(" %3.0f %% of %s", share*100, plain(volume(uint64(total))))
	if left := float64(now.Sub(p.start)) * (1 - share) / max(share, 1e-6); share > 0.02 && left > 1e9 {
		text += ", " + plain(span(int64(time.Duration(left).Round(time.Second)))) + " left"
	}
	room := min(barColumn, p.width-visible(text)-1)
	if room < 5 {
		return strings.TrimSpace(text)
	}
	full := int(share * float64(room))
	return strings.Repeat("█", full) + strings.Repeat("░", room-full) + text
}

// Clear removes the bar.
func (p *Progress) Clear() {
	if p.drawn {
		io.WriteString(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
