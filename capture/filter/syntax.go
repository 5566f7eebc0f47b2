package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError says why an expression is refused. It is also the type of what
// Compile returns when a part of the expression has no meaning on the link.
type SyntaxError struct {
	Expr    string // the whole expression
	Pos     int    // byte offset in Expr of what is wrong; len(Expr) if something lacks at its end
	What    string // what is wrong, without a full stop
	Instead string // what to type instead; may be empty
}

// Error shows the expression with a caret under the place, and what to type
// instead, over several lines without a newline at the end.
func (e *SyntaxError) Error() string {
	line, column := excerpt(e.Expr, e.Pos)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n    %s\n    %s^", e.What, line, strings.Repeat(" ", column))
	if e.Instead != "" {
		fmt.Fprintf(&b, "\n    %s", e.Instead)
	}
	return b.String()
}

// An excerpt keeps this many characters either side of the caret, so that the
// caret stays below its word on a terminal of 80 columns.
const excerptBefore, excerptAfter = 40, 30

// excerpt cuts one printable line out of expr round the byte at pos, and says
// in which column of it pos is.
func excerpt(expr string, pos int) (string, int) {
	pos = max(0, min(pos, len(expr)))
	column := utf8.RuneCountInString(expr[:pos])
	runes := []rune(expr)
	for i, r := range runes {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			runes[i] = ' '
		}
	}
	if len(runes) <= excerptBefore+excerptAfter {
		return string(runes), column
	}
	from, to := max(0, column-excerptBefore), min(len(runes), column+excerptAfter)
	line := string(runes[from:to])
	column -= from
	if from > 0 {
		line = "..." + line
		column += 3
	}
	if to < len(runes) {
		line += "..."
	}
	return line, column
}
