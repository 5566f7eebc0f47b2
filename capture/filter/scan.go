package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

// kind sorts the tokens. Operators and keywords are told apart by their text.
type kind uint8

const (
	end      kind = iota
	operator      // ( ) [ ] : + - * / % & | ^ ! < > = and their pairs
	keyword       // any word of the language, "and", "or" and "not" included
	number        // decimal, octal after 0, hexadecimal after 0x; named constants too
	dotted        // two to four numbers joined by dots: an IPv4 address or its beginning
	address6      // an IPv6 address
	station       // an Ethernet address
	name          // any other word
)

type token struct {
	kind  kind
	text  string
	pos   int
	value uint32 // of a number
}

func (t token) is(texts ...string) bool {
	if t.kind != operator && t.kind != keyword {
		return false
	}
	for _, s := range texts {
		if t.text == s {
			return true
		}
	}
	return false
}

// shown is the token as an error message quotes it.
func (t token) shown() string {
	if t.kind == end {
		return "the end"
	}
	return strconv.Quote(t.text)
}

// scan cuts an expression into tokens; the last one is of kind end.
func scan(expr string) ([]token, error) {
	var tokens []token
	for pos := 0; pos < len(expr); {
		if strings.IndexByte(" \t\r\n", expr[pos]) >= 0 {
			pos++
			continue
		}
		t, err := scanOne(expr, pos)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		pos += len(t.text)
		if t.kind == name {
			tokens[len(tokens)-1].text = strings.TrimPrefix(t.text, `\`)
		}
		if t.kind == operator {
			tokens[len(tokens)-1].text = spelling(t.text)
		}
	}
	return append(tokens, token{kind: end, pos: len(expr)}), nil
}

// spelling folds the two ways to write the same operator into one.
func spelling(operator string) string {
	switch operator {
	case "==":
		return "="
	case "&&":
		return "and"
	case "||":
		return "or"
	case "!":
		return "not"
	}
	return operator
}

func scanOne(expr string, pos int) (token, error) {
	rest := expr[pos:]
	if n := addressLength(rest); n > 0 {
		return scanAddress(expr, pos, rest[:n])
	}
	if n := wordLength(rest); n > 0 {
		return scanWord(expr, pos, rest[:n])
	}
	if rest[0] == '\\' {
		n := strings.IndexAny(rest, " !()\n\t")
		if n < 0 {
			n = len(rest)
		}
		if n > 1 {
			return token{kind: name, text: rest[:n], pos: pos}, nil
		}
	}
	for _, pair := range []string{">=", "<=", "!=", "==", "<<", ">>", "&&", "||"} {
		if strings.HasPrefix(rest, pair) {
			return token{kind: operator, text: pair, pos: pos}, nil
		}
	}
	if strings.IndexByte("()[]:+-*/%&|^!<>=", rest[0]) >= 0 {
		return token{kind: operator, text: rest[:1], pos: pos}, nil
	}
	return token{}, &SyntaxError{Expr: expr, Pos: pos, What: "a character that no filter expression has",
		Instead: "a filter is made of words like tcp, host 192.0.2.1, port 443, joined by and, or, not"}
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wordLength is the length of the word that s begins with. A word holds
// hyphens, underscores and dots but does not end in a hyphen or underscore:
// "len-5" is one word, "len- 5" are three tokens.
func wordLength(s string) int {
	if !wordByte(s[0]) {
		return 0
	}
	n := 1
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case wordByte(c) || c == '.':
			n = i + 1
		case c != '-' && c != '_':
			return n
		}
	}
	return n
}

func scanWord(expr string, pos int, word string) (token, error) {
	t := token{kind: name, text: word, pos: pos}
	if v, ok := constant(word); ok {
		t.kind, t.value = number, v
		return t, nil
	}
	if isKeyword(word) {
		t.kind = keyword
		return t, nil
	}
	if isNumber(word) {
		v, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return t, &SyntaxError{Expr: expr, Pos: pos, What: "this number has digits that its base lacks, or more than 32 bits",
				Instead: "numbers are decimal, octal after a leading 0, hexadecimal after 0x"}
		}
		t.kind, t.value = number, uint32(v)
		return t, nil
	}
	if parts := strings.Split(word, "."); len(parts) >= 2 && len(parts) <= 4 {
		t.kind = dotted
		for _, p := range parts {
			if !isNumber(p) {
				t.kind = name
			}
		}
	}
	return t, nil
}

func isNumber(s string) bool {
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		return strings.Trim(s[2:], "0123456789abcdefABCDEF") == ""
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// addressLength is the length of what s begins with if that is an IPv6 or
// Ethernet address, or is meant to be one: nothing else holds two colons.
func addressLength(s string) int {
	if !wordByte(s[0]) && s[0] != ':' {
		return 0
	}
	n := 0
	for n < len(s) && (wordByte(s[n]) || strings.IndexByte(":.-", s[n]) >= 0) {
		n++
	}
	if strings.Count(s[:n], ":") >= 2 {
		return n
	}
	if _, ok := parseStation(s[:n]); ok {
		return n
	}
	return 0
}

func scanAddress(expr string, pos int, text string) (token, error) {
	if _, ok := parseStation(text); ok {
		return token{kind: station, text: text, pos: pos}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		return token{kind: address6, text: text, pos: pos}, nil
	}
	return token{}, &SyntaxError{Expr: expr, Pos: pos, What: "neither an IPv6 nor an Ethernet address",
		Instead: "host 2001:db8::1, net 2001:db8::/32, ether host 00:00:5e:00:53:01"}
}

// parseStation reads an Ethernet address: six pairs joined by colons, hyphens
// or dots, three groups of four digits joined by dots, or twelve digits.
func parseStation(s string) ([6]byte, bool) {
	var a [6]byte
	groups, width := []string{}, 2
	switch {
	case len(s) == 12 && strings.Trim(s, "0123456789abcdefABCDEF") == "":
		groups = []string{s[:4], s[4:8], s[8:]}
		width = 4
	case strings.Count(s, ".") == 2 && len(s) == 14:
		groups, width = strings.Split(s, "."), 4
	default:
		for _, separator := range []string{":", "-", "."} {
			if strings.Count(s, separator) == 5 {
				groups = strings.Split(s, separator)
			}
		}
	}
	if len(groups)*width != 12 {
		return a, false
	}
	for i, g := range groups {
		v, err := strconv.ParseUint(g, 16, 16)
		if err != nil || len(g) > width || width == 4 && len(g) != 4 {
			return a, false
		}
		if width == 4 {
			a[2*i], a[2*i+1] = byte(v>>8), byte(v)
		} else {
			a[i] = byte(v)
		}
	}
	return a, true
}
