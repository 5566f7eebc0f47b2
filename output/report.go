// Package output turns verdicts into bytes: a page to read, a ladder of one
// connection, JSON, CSV. Printers write to the io.Writer they are given and
// know nothing of files, terminals or the environment: width and colour are
// values that the caller hands in.
package output

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Connections is the ordered set of judged connections that a printer
// prints: a finished [classify.Analysis], or a [Filter]'s choice from it.
type Connections interface {
	Len() int
	Conn(i int) *assembler.Conn
	Verdict(i int) *classify.Verdict
	Result(i int) classify.Result
	Summary() classify.Summary
}

// Report is one run: what was read, and what became of its connections.
type Report struct {
	Inputs  []capture.Input
	Packets uint64 // of any kind, of all inputs, as far as they were looked at
	Conns   Connections
	// Findings are what the connections together say, the most harmful first.
	Findings   []classify.Finding
	OrphanICMP uint64 // ICMP errors about connections that the capture does not show
	// LatePackets came after their connections had been reported, and changed
	// nothing; Evicted connections were reported early for want of room.
	LatePackets, Evicted uint64
	Env                  classify.Env // what the verdicts depended on
	// Filter describes the selection in the user's words, "" if everything
	// was selected; Whole is then what there was before it.
	Filter string
	Whole  classify.Summary
}

// start is when the capture began (ns): with its first packet of any kind, from
// which Wireshark counts seconds, too.
func (r *Report) start() int64 {
	first := r.Conns.Summary().First
	for i := range r.Inputs {
		if t := r.Inputs[i].First; t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

// Format is a way to print a report.
type Format int

const (
	FormatText Format = iota
	FormatJSON
	FormatNDJSON
	FormatCSV
)

// ParseFormat reads the value of --format.
func ParseFormat(s string) (Format, error) {
	names := []string{"text", "json", "ndjson", "csv"}
	if i := slices.Index(names, PlainName(s)); i >= 0 {
		return Format(i), nil
	}
	return 0, unknown("--format", "", s, "format", names)
}

// Print prints the report in a format; only text has a style.
func Print(w io.Writer, f Format, r *Report, s Style) error {
	switch f {
	case FormatJSON:
		return JSON(w, r)
	case FormatNDJSON:
		return NDJSON(w, r)
	case FormatCSV:
		return CSV(w, r)
	}
	return Text(w, r, s)
}

// Style says how a page for people looks.
type Style struct {
	Width   int      // columns; below 40 counts as 40
	Palette *Palette // nil prints without colour
	Limit   int      // groups (or ladders) to spell out; 0 or less means all
	All     bool     // list every connection, collapse nothing
	Verbose bool     // error texts, marks, handshake
	Quiet   bool     // header and table only
}

const minWidth = 40

// page is a text under construction. The first write error sticks and is
// reported by flush, so that printing code stays straight.
type page struct {
	w     *bufio.Writer
	width int
	*Palette
}

func newPage(w io.Writer, s Style) *page {
	p := s.Palette
	if p == nil {
		p = NewPalette(false)
	}
	return &page{bufio.NewWriterSize(w, 64<<10), max(s.Width, minWidth), p}
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *page) blank() { p.w.WriteByte('\n') }

func (p *page) flush() error { return p.w.Flush() }

// refs prints packet references: the packet's number, and in front of it the
// input's, counted from 1, if there are several.
type refs struct{ inputs []capture.Input }

func (f refs) text(r capture.Ref) string {
	switch {
	case r == 0:
		return "-"
	case len(f.inputs) > 1:
		return fmt.Sprintf("%d:%d", r.File()+1, r.Number())
	}
	return fmt.Sprint(r.Number())
}

// file is the input's name, "" if there is only one and it goes without saying.
func (f refs) file(r capture.Ref) string {
	if len(f.inputs) < 2 || r == 0 || r.File() >= len(f.inputs) {
		return ""
	}
	return f.inputs[r.File()].Name
}
