package story

import (
	"fmt"
	"strconv"
	"strings"

	"hangup/capture/spelling"
)

// Error is a mistake in a story's text: where it is, counted from 1 in the
// whole file and in bytes of the line, what it is, and what to write instead.
type Error struct {
	Line, Col int
	Problem   string
	Remedy    string // may be empty
}

func (e *Error) Error() string {
	text := fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Problem)
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// token is one word of a line. A quoted one is a Go string literal, text is
// then its value.
type token struct {
	text   string
	col    int
	line   int
	quoted bool
}

func (t token) fail(remedy, problem string, args ...any) error {
	return &Error{t.line, t.col, fmt.Sprintf(problem, args...), remedy}
}

// tokenize splits a line at blanks, up to the comment.
func tokenize(text string, line int) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		if text[i] == ' ' || text[i] == '\t' || text[i] == '\r' {
			i++
			continue
		}
		if strings.HasPrefix(text[i:], "//") {
			break
		}
		tok := token{col: i + 1, line: line}
		if text[i] == '"' {
			literal, err := strconv.QuotedPrefix(text[i:])
			if err != nil {
				return nil, tok.fail(`end it with " on the same line, and write \r\n for line ends`, "string without an end, or with a bad escape")
			}
			tok.text, _ = strconv.Unquote(literal)
			tok.quoted = true
			i += len(literal)
		} else {
			end := strings.IndexAny(text[i:], " \t\r")
			if end < 0 {
				end = len(text) - i
			}
			tok.text = text[i : i+end]
			i += end
		}
		tokens = append(tokens, tok)
	}
	return tokens, nil
}

// cursor walks over one line's tokens; past is a place for what is missing.
type cursor struct {
	tokens []token
	past   token
}

func (c *cursor) more() bool { return len(c.tokens) > 0 }

// peek is the next token, or the empty one at the line's end.
func (c *cursor) peek() token {
	if len(c.tokens) == 0 {
		return c.past
	}
	return c.tokens[0]
}

func (c *cursor) next() token {
	tok := c.peek()
	if len(c.tokens) > 0 {
		c.tokens = c.tokens[1:]
	}
	return tok
}

// take consumes the next token if it is the bare word.
func (c *cursor) take(word string) bool {
	if tok := c.peek(); tok.text != word || tok.quoted || !c.more() {
		return false
	}
	c.next()
	return true
}

// end complains about anything left over.
func (c *cursor) end(remedy string) error {
	if !c.more() {
		return nil
	}
	return c.peek().fail(remedy, "unexpected %q", c.peek().text)
}

// nearest is the candidate that is at most two typing errors away, or of
// which one abbreviates the other, or "".
func nearest(word string, candidates []string) string {
	best, limit := "", min(3, len(word)/2+1)
	for _, candidate := range candidates {
		if d := spelling.Distance(word, candidate); d < limit && d < len(candidate) {
			best, limit = candidate, d
		}
	}
	for _, candidate := range candidates {
		if best == "" && min(len(word), len(candidate)) >= 3 && (strings.HasPrefix(word, candidate) || strings.HasPrefix(candidate, word)) {
			best = candidate
		}
	}
	return best
}
