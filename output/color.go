package output

import (
	"strings"

	"github.com/fatih/color"

	"hangup/classify"
)

// Palette is the set of colours of a page. Every colour is switched on or
// off by itself, so that neither the environment nor the package's globals
// decide behind the caller's back.
type Palette struct {
	bold, faint, red, green, yellow, magenta, cyan, alarm *color.Color
}

// NewPalette makes a palette that colours, or one that does not.
func NewPalette(on bool) *Palette {
	shade := func(a ...color.Attribute) *color.Color {
		c := color.New(a...)
		if on {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
		return c
	}
	return &Palette{
		bold:    shade(color.Bold),
		faint:   shade(color.Faint),
		red:     shade(color.FgRed),
		green:   shade(color.FgGreen),
		yellow:  shade(color.FgYellow),
		magenta: shade(color.FgMagenta),
		cyan:    shade(color.FgCyan),
		alarm:   shade(color.FgRed, color.Bold, color.ReverseVideo),
	}
}

// paint colours word by word: pagers such as less reset colours at the end
// of a line, and a painted text may be wrapped anywhere.
func paint(c *color.Color, s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if w != "" {
			words[i] = c.Sprint(w)
		}
	}
	return strings.Join(words, " ")
}

func (p *Palette) class(c classify.Class, s string) string { return paint(p.shade(c), s) }

func (p *Palette) shade(c classify.Class) *color.Color {
	switch c {
	case classify.Reset:
		return p.red
	case classify.HalfOpen:
		return p.yellow
	case classify.TimedOut:
		return p.magenta
	case classify.Graceful:
		return p.green
	}
	return p.cyan
}

func (p *Palette) token(t classify.Token) string {
	switch t {
	case "nil":
		return paint(p.green, "nil")
	case "blocked":
		return paint(p.yellow, "blocks")
	case "EOF":
		return paint(p.cyan, "EOF")
	case "ErrClosed":
		return paint(p.cyan, "net.ErrClosed")
	case "UnexpectedEOF":
		return paint(p.red, "io.ErrUnexpectedEOF")
	case "DeadlineExceeded":
		return paint(p.red, "os.ErrDeadlineExceeded")
	case "Canceled":
		return paint(p.red, "context.Canceled")
	}
	return paint(p.red, string(t))
}
