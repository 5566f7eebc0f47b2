package output

import (
	"fmt"
	"slices"
	"strings"

	"hangup/classify"
)

// goLine says in the least words what one end's Go program saw:
//
//	Read → ECONNRESET, then EOF · Write → nil, then EPIPE
//
// The pieces are unbreakable, so that a wrapped line breaks between calls.
func (p *Palette) goLine(o *classify.Outcome) string {
	return dotted(p.calls(o.Dial, o.Accept, o.Read, o.Write, o.Once, o.Unread))
}

// goIf is the line of a condition.
func (p *Palette) goIf(c *classify.Condition) string {
	calls := p.calls(c.Dial, c.Accept, c.Read, c.Write, c.Once, 0)
	return c.When + ": " + dotted(calls)
}

func (p *Palette) calls(dial, accept *classify.Call, read, write []classify.Call, once bool, unread uint64) []string {
	var s []string
	if dial != nil && (dial.Error != "nil" || len(read)+len(write) == 0) {
		s = append(s, keep("Dial → ")+p.call(*dial))
	}
	if accept != nil {
		s = append(s, keep("Accept → ")+p.call(*accept))
	}
	if len(read) > 0 && len(read) == len(write) && onlyClosed(read) && onlyClosed(write) {
		return append(s, keep("Read, Write → ")+p.call(read[0]))
	}
	data := ""
	if unread > 0 {
		data = "at least " + volume(unread) + " of data"
	}
	if once && len(read) > 0 && len(write) > 0 && read[0].Error == write[0].Error {
		if data != "" {
			s = append(s, keep("Read → "+data+" first"))
		}
		s = append(s, keep("Read or Write → ")+p.call(write[0])+keep(" once"))
		return p.rest(s, read[1:], write[1:])
	}
	if len(read) > 0 {
		if data != "" {
			data = keep(data + ", then ")
		}
		s = append(s, keep("Read → ")+data+p.series(read))
	}
	if len(write) > 0 {
		s = append(s, keep("Write → ")+p.series(write))
	}
	return s
}

// rest says what follows a shared error.
func (p *Palette) rest(s []string, read, write []classify.Call) []string {
	if len(read) > 0 {
		s = append(s, keep("then Read → ")+p.series(read))
	}
	if len(write) > 0 {
		lead := "Write → "
		if len(read) == 0 {
			lead = "then Write → "
		}
		s = append(s, keep(lead)+p.series(write))
	}
	return s
}

func onlyClosed(calls []classify.Call) bool { return len(calls) == 1 && calls[0].Error == "ErrClosed" }

// series is what successive calls return; the last one repeats.
func (p *Palette) series(calls []classify.Call) string {
	words := make([]string, len(calls))
	for i, c := range calls {
		words[i] = p.call(c)
	}
	return strings.Join(words, keep(", then "))
}

func (p *Palette) call(c classify.Call) string {
	s := p.named(c.Error, c.Text)
	if c.NMin > 0 {
		s = keep(fmt.Sprintf("n ≥ %s and ", count(c.NMin))) + s
	}
	return s
}

// named is the error as a Go programmer calls it. A timeout and a
// cancellation have several names, which only the text tells apart.
func (p *Palette) named(t classify.Token, text string) string {
	for _, name := range []string{"i/o timeout", "operation was canceled"} {
		if (t == "DeadlineExceeded" || t == "Canceled") && strings.HasSuffix(text, name) {
			return keep(paint(p.red, name))
		}
	}
	if t == "DeadlineExceeded" && strings.HasSuffix(text, "context deadline exceeded") {
		return paint(p.red, "context.DeadlineExceeded")
	}
	if t == "other" {
		return paint(p.red, clean(text))
	}
	return p.token(t)
}

// texts are the distinct error texts of an outcome, for those who grep logs,
// less those that stand on the page as the error's name.
func texts(o *classify.Outcome) []string {
	var list []string
	add := func(calls ...classify.Call) {
		for _, c := range calls {
			if c.Text == "" || c.Error == "other" || c.Text == string(c.Error) || slices.Contains(list, c.Text) {
				continue
			}
			list = append(list, c.Text)
		}
	}
	if o.Dial != nil {
		add(*o.Dial)
	}
	if o.Accept != nil {
		add(*o.Accept)
	}
	add(o.Read...)
	add(o.Write...)
	return list
}
