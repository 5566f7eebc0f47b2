package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// query is what a PromQL expression asks for, as far as names go.
type query struct {
	selectors []selector
	kept      []string // labels of by, on, group_left
	dropped   []string // labels of without, ignoring
}

// selector is one metric and what its labels must match.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

// promql scans names out of an expression: enough of the grammar to tell a
// metric from a function, a keyword and a label.
type promql struct {
	rest string
	q    query
}

func parsePromQL(expr string) (query, error) {
	p := promql{rest: expr}
	for {
		tok, err := p.next()
		if err != nil || tok == "" {
			return p.q, err
		}
		switch {
		case tok == "[":
			_, p.rest, _ = strings.Cut(p.rest, "]")
		case tok == "{":
			return p.q, fmt.Errorf("a selector without a name before %q", p.rest)
		case isName(tok):
			if err := p.name(tok); err != nil {
				return p.q, err
			}
		}
	}
}

func isName(tok string) bool {
	c := tok[0]
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// name handles an identifier.
func (p *promql) name(tok string) error {
	switch strings.ToLower(tok) {
	case "by", "on", "group_left", "group_right":
		return p.list(&p.q.kept)
	case "without", "ignoring":
		return p.list(&p.q.dropped)
	case "and", "or", "unless", "offset", "bool", "inf", "nan", "atan2",
		"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "group", "stddev", "stdvar":
		return nil
	}
	if p.peek() == "(" {
		return nil // a function
	}
	s := selector{metric: tok}
	if p.peek() == "{" {
		p.next()
		for p.peek() != "}" {
			var m matcher
			var err [3]error
			m.label, err[0] = p.next()
			m.op, err[1] = p.next()
			m.value, err[2] = p.next()
			if !slices.Contains([]string{"=", "!=", "=~", "!~"}, m.op) || err != [3]error{} {
				return fmt.Errorf("matcher %v of %s", m, tok)
			}
			m.value, err[0] = strconv.Unquote(m.value)
			if err[0] != nil {
				return fmt.Errorf("matcher %v of %s: %w", m, tok, err[0])
			}
			s.matchers = append(s.matchers, m)
			if p.peek() == "," {
				p.next()
			}
		}
		p.next()
	}
	p.q.selectors = append(p.q.selectors, s)
	return nil
}

// list reads the labels of a grouping; group_left may go without.
func (p *promql) list(to *[]string) error {
	if p.peek() != "(" {
		return nil
	}
	for {
		tok, err := p.next()
		if err != nil || tok == "" {
			return fmt.Errorf("a list of labels without its end")
		}
		if tok == ")" {
			return nil
		}
		if isName(tok) {
			*to = append(*to, tok)
		}
	}
}

func (p *promql) peek() string {
	ahead := *p
	tok, _ := ahead.next()
	return tok
}

// next is the next token, "" at the end.
func (p *promql) next() (string, error) {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return "", nil
	}
	n := 1
	switch c := p.rest[0]; {
	case c == '"':
		for n < len(p.rest) && p.rest[n] != '"' {
			if p.rest[n] == '\\' {
				n++
			}
			n++
		}
		if n++; n > len(p.rest) {
			return "", fmt.Errorf("a string without its end: %s", p.rest)
		}
	case isName(p.rest) || c >= '0' && c <= '9':
		for n < len(p.rest) && (isName(p.rest[n:]) || p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
			n++
		}
	case strings.ContainsRune("=!<>", rune(c)) && len(p.rest) > 1 && strings.ContainsRune("=~", rune(p.rest[1])):
		n = 2
	}
	tok := p.rest[:n]
	p.rest = p.rest[n:]
	return tok, nil
}

func TestPromQLScanner(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`up == 0`, `[{up []}] [] []`},
		{`up{job="x",}`, `[{up [{job = x}]}] [] []`},
		{`sum by (a, b) (rate(x_total{c=~"d|e", f!="(g)"}[5m])) > 3 * 1e3`, `[{x_total [{c =~ d|e} {f != (g)}]}] [a b] []`},
		{`sum(rate(x[5m])) without (a) / ignoring (b) group_left (c) y offset 5m`, `[{x []} {y []}] [c] [a b]`},
		{`histogram_quantile(0.99, sum by (le) (rate(x_bucket[$__rate_interval])))`, `[{x_bucket []}] [le] []`},
		{`a:b:c5m unless on () d and e or f`, `[{a:b:c5m []} {d []} {e []} {f []}] [] []`},
		{`avg_over_time(x{y="z\"}"}[1d] offset 15m)`, `[{x [{y = z"}}]}] [] []`},
	} {
		q, err := parsePromQL(c.expr)
		if got := fmt.Sprint(q.selectors, q.kept, q.dropped); err != nil || got != c.want {
			t.Errorf("%s:\n%s, %v\nwant %s", c.expr, got, err, c.want)
		}
	}
	for _, expr := range []string{`{__name__="x"}`, `x{y}`, `x{y="z`, `sum by (a`} {
		if q, err := parsePromQL(expr); err == nil {
			t.Errorf("%s: %v, no error", expr, q)
		}
	}
}
