package output

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// nbsp joins words that must stay on one line; it prints as a plain space.
const nbsp = "\u00a0"

// keep makes s unbreakable for wrap.
func keep(s string) string { return strings.ReplaceAll(s, " ", nbsp) }

// dotted joins items by dots, which stay at the ends of lines.
func dotted(items []string) string { return strings.Join(items, nbsp+"· ") }

// visible is the number of columns s takes: runes, less colour sequences.
func visible(s string) int {
	n := 0
	for len(s) > 0 {
		if s[0] == '\x1b' {
			if end := strings.IndexByte(s, 'm'); end >= 0 {
				s = s[end+1:]
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		n++
	}
	return n
}

// wrap prints text broken at spaces to fit the width, the first line behind
// lead, the others indented to lead's width. A word longer than a line
// stands alone: addresses and errors must remain copyable.
func (p *page) wrap(lead, text string, width int) {
	if text == "" {
		p.w.WriteString(strings.TrimRight(lead, " ") + "\n")
		return
	}
	indent := visible(lead)
	p.w.WriteString(lead)
	col, empty := indent, true
	for _, word := range strings.Fields(strings.ReplaceAll(text, nbsp, "\x00")) {
		n := visible(word)
		switch {
		case empty:
		case col+1+n > width:
			p.w.WriteByte('\n')
			p.w.WriteString(strings.Repeat(" ", indent))
			col = indent
		default:
			p.w.WriteByte(' ')
			col++
		}
		p.w.WriteString(strings.ReplaceAll(word, "\x00", " "))
		col, empty = col+n, false
	}
	p.w.WriteByte('\n')
}

// prose is wrap for sentences, which tire the eye beyond some width.
func (p *page) prose(lead, text string) { p.wrap(lead, text, min(p.width, 110)) }

// pad fills s with spaces to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-visible(s))) }

// padLeft fills s with leading spaces to n columns.
func padLeft(s string, n int) string { return strings.Repeat(" ", max(0, n-visible(s))) + s }

// clean makes text from the outside (names, comments) harmless to a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\u00a0' {
			return r
		}
		return '\ufffd'
	}, s)
}

// Harmless is a line that may quote text from the outside, such as names of
// files, for a terminal.
func Harmless(line string) string { return clean(line) }

// count writes n with commas between thousands.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 packet", "2 packets".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1" + nbsp + noun
	}
	if strings.HasSuffix(noun, "s") || strings.HasSuffix(noun, "ch") {
		noun += "e"
	}
	return count(n) + nbsp + noun + "s"
}

// volume is a number of bytes, exact while that is short.
func volume(n uint64) string {
	if n < 10_000 {
		return count(n) + nbsp + "B"
	}
	v, units := float64(n)/1000, "kMGTPE"
	for v >= 999.5 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	return significant(v) + nbsp + units[:1] + "B"
}

// significant prints three digits of v, 1 <= v < 1000, with trailing zeros dropped.
func significant(v float64) string {
	prec := 0
	switch {
	case v < 9.995:
		prec = 2
	case v < 99.95:
		prec = 1
	}
	s := fmt.Sprintf("%.*f", prec, v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// span is a duration in ns as people say it, and Go above two minutes.
func span(ns int64) string {
	if ns < 0 {
		return "-" + span(-ns)
	}
	d := time.Duration(ns)
	round := d.Round(time.Second)
	switch {
	case ns == 0:
		return "0" + nbsp + "s"
	case d < time.Microsecond:
		return fmt.Sprint(ns) + nbsp + "ns"
	case d < 999500*time.Nanosecond:
		return significant(float64(ns)/1e3) + nbsp + "µs"
	case d < 999500*time.Microsecond:
		return significant(float64(ns)/1e6) + nbsp + "ms"
	case d < 99950*time.Millisecond:
		return significant(float64(ns)/1e9) + nbsp + "s"
	case round < 48*time.Hour:
		return round.String()
	}
	return fmt.Sprintf("%dd%dh", int64(round/(24*time.Hour)), int64(round%(24*time.Hour)/time.Hour))
}

// clock prints times of one capture in UTC, with the date only where the
// capture crosses midnight.
type clock struct{ dated bool }

func newClock(first, last int64) clock {
	a, b := time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
	return clock{dated: a.YearDay() != b.YearDay() || a.Year() != b.Year()}
}

func (c clock) text(ns int64) string { return c.format(ns, ".000000") }

func (c clock) seconds(ns int64) string { return c.format(ns, "") }

func (c clock) format(ns int64, fraction string) string {
	layout := "15:04:05" + fraction
	if c.dated {
		layout = "01-02 " + layout
	}
	return time.Unix(0, ns).UTC().Format(layout)
}
