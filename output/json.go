package output

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"io"
)

// Schema is the JSON Schema (draft 2020-12) of everything that [JSON] and
// [NDJSON] write; its $defs name the parts.
//
//go:embed report.schema.json
var Schema []byte

// encoder writes JSON values one at a time, so that no more than one
// connection is ever held in its long form. The first error sticks.
type encoder struct {
	w   *bufio.Writer
	err error
}

func newEncoder(w io.Writer) *encoder { return &encoder{w: bufio.NewWriterSize(w, 64<<10)} }

// value writes v on one line. Texts keep their "->": nothing here is HTML.
func (e *encoder) value(v any) {
	if e.err != nil {
		return
	}
	enc := json.NewEncoder(noNewline{e.w})
	enc.SetEscapeHTML(false)
	e.err = enc.Encode(v)
}

func (e *encoder) raw(s string) { e.w.WriteString(s) }

// next begins the line of element i of an array.
func (e *encoder) next(i int) {
	if i > 0 {
		e.raw(",")
	}
	e.raw("\n")
}

func (e *encoder) close() error {
	if err := e.w.Flush(); e.err == nil {
		e.err = err
	}
	return e.err
}

// noNewline drops the newline with which json.Encoder ends a value; the
// encoder makes exactly one Write per value.
type noNewline struct{ w io.Writer }

func (n noNewline) Write(b []byte) (int, error) {
	if _, err := n.w.Write(b[:len(b)-1]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// JSON writes the report as one document, one finding or connection a line.
func JSON(w io.Writer, r *Report) error {
	e := newEncoder(w)
	e.raw("{\"type\": \"report\",\n\"input\": ")
	e.value(newInputs(r.Inputs))
	e.raw(",\n\"summary\": ")
	e.value(newSummary(r))
	e.raw(",\n\"findings\": [")
	f := refs{r.Inputs}
	for i := range r.Findings {
		e.next(i)
		e.value(newFinding(&r.Findings[i], f))
	}
	e.raw("],\n\"connections\": [")
	for i := range r.Conns.Len() {
		e.next(i)
		res := r.Conns.Result(i)
		e.value(newConnection(&res, f))
	}
	e.raw("]}\n")
	return e.close()
}

// lastLine ends an NDJSON stream.
type lastLine struct {
	Type    string      `json:"type"`
	Input   []jsonInput `json:"input"`
	Summary jsonSummary `json:"summary"`
}

// NDJSON writes one connection a line, then one finding a line, and the run's
// summary as the last one.
func NDJSON(w io.Writer, r *Report) error {
	s := NewStream(w, FormatNDJSON, r.Inputs)
	for i := range r.Conns.Len() {
		res := r.Conns.Result(i)
		s.Connection(&res)
	}
	return s.Close(r)
}

// Tail writes the end of an NDJSON stream whose connections were written
// before: the findings, and the summary.
func Tail(w io.Writer, r *Report) error {
	e := newEncoder(w)
	e.tail(r)
	return e.close()
}

func (e *encoder) tail(r *Report) {
	f := refs{r.Inputs}
	for i := range r.Findings {
		e.value(newFinding(&r.Findings[i], f))
		e.raw("\n")
	}
	e.value(lastLine{"summary", newInputs(r.Inputs), newSummary(r)})
	e.raw("\n")
}
