package classify

import "hangup/assembler"

// Why is the reason an Alternative cannot be excluded.
type Why uint8

// Judge applies the rules to one connection.
func Judge(c *assembler.Conn, env Env) Verdict { return Verdict{} }

// Explain spells a verdict out.
func Explain(c *assembler.Conn, v Verdict, env Env) Result {
	r := Result{Conn: c, Verdict: v}
	r.Go = Outcomes(c, v, env)
	return r
}

// Rule is one entry of the ordered list; the first that matches names the cause.
type Rule struct {
	Cause Cause
	Name  string // as its story in testdata/stories is called
	Doc   string // what it means, what proves it, RFC section, kernel function, what to do in Go
}

// Rules is the ordered list, specific before general.
func Rules() []Rule { return nil }
