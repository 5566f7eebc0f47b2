package output

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// column of the CSV: its name, and what it holds of a connection.
type column struct {
	name string
	text func(j *jsonConnection) string
}

func number[T ~uint16 | ~uint32 | ~uint64](n T) string { return strconv.FormatUint(uint64(n), 10) }

func columns() []column {
	list := []column{
		{"id", func(j *jsonConnection) string { return number(j.ID) }},
		{"start", func(j *jsonConnection) string { return j.Start }},
		{"end", func(j *jsonConnection) string { return j.End }},
		{"duration", func(j *jsonConnection) string { return j.Duration.String() }},
		{"class", func(j *jsonConnection) string { return j.Class }},
		{"cause", func(j *jsonConnection) string { return j.Cause }},
		{"by", func(j *jsonConnection) string { return j.By }},
		{"confidence", func(j *jsonConnection) string { return j.Confidence }},
	}
	list = append(list, endColumns("client", func(j *jsonConnection) *jsonEnd { return &j.Client })...)
	list = append(list, endColumns("server", func(j *jsonConnection) *jsonEnd { return &j.Server })...)
	list = append(list, firstEndColumns()...)
	return append(list,
		column{"idle_before_end", func(j *jsonConnection) string { return j.IdleBeforeEnd.String() }},
		column{"alternatives", alternatives},
		column{"detail", func(j *jsonConnection) string { return j.Detail }},
		column{"partial", func(j *jsonConnection) string { return strings.Join(j.Partial, " ") }},
		column{"history", func(j *jsonConnection) string { return j.History }},
		column{"zeek_conn_state", func(j *jsonConnection) string { return j.ConnState }},
		column{"encap", func(j *jsonConnection) string { return j.Encap }},
		column{"same_as", func(j *jsonConnection) string { return unlessZero(j.SameAs) }},
	)
}

func endColumns(side string, end func(*jsonConnection) *jsonEnd) []column {
	at := func(name string, text func(e *jsonEnd) string) column {
		return column{side + "_" + name, func(j *jsonConnection) string { return text(end(j)) }}
	}
	return []column{
		at("addr", func(e *jsonEnd) string { return e.Addr }),
		at("port", func(e *jsonEnd) string { return number(e.Port) }),
		at("state", func(e *jsonEnd) string { return e.State }),
		at("packets", func(e *jsonEnd) string { return number(e.Packets) }),
		at("bytes", func(e *jsonEnd) string { return number(e.Bytes) }),
		at("retransmits", func(e *jsonEnd) string { return number(e.Retransmits) }),
		at("go_dial", func(e *jsonEnd) string { return tokens(e.Go.Dial) }),
		at("go_read", func(e *jsonEnd) string { return series(e.Go.Read) }),
		at("go_write", func(e *jsonEnd) string { return series(e.Go.Write) }),
		at("go_once", func(e *jsonEnd) string { return strconv.FormatBool(e.Go.Once) }),
	}
}

func firstEndColumns() []column {
	at := func(name string, text func(f *jsonFirstEnd) string) column {
		return column{"first_end_" + name, func(j *jsonConnection) string {
			if j.FirstEnd == nil {
				return ""
			}
			return text(j.FirstEnd)
		}}
	}
	return []column{
		at("side", func(f *jsonFirstEnd) string { return f.Side }),
		at("flag", func(f *jsonFirstEnd) string { return f.Flag }),
		at("file", func(f *jsonFirstEnd) string { return f.File }),
		at("packet", func(f *jsonFirstEnd) string { return number(f.Packet) }),
		at("time", func(f *jsonFirstEnd) string { return f.Time }),
	}
}

func alternatives(j *jsonConnection) string {
	names := make([]string, len(j.Alternatives))
	for i := range names {
		names[i] = j.Alternatives[i].Cause
	}
	return strings.Join(names, " ")
}

func tokens(c *jsonCall) string {
	if c == nil {
		return ""
	}
	return c.Error
}

func series(calls []jsonCall) string {
	names := make([]string, len(calls))
	for i := range calls {
		names[i] = calls[i].Error
	}
	return strings.Join(names, " ")
}

func unlessZero(n uint64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}

// CSV writes one connection a row under a row of names: what fits a
// spreadsheet. Lists within a field are separated by blanks.
func CSV(w io.Writer, r *Report) error {
	t := newTable(w)
	f := refs{r.Inputs}
	for i := range r.Conns.Len() {
		res := r.Conns.Result(i)
		t.row(newConnection(&res, f))
	}
	return t.close()
}

// table writes rows of CSV.
type table struct {
	w       *csv.Writer
	columns []column
	fields  []string
}

// newTable writes the row of names.
func newTable(w io.Writer) *table {
	t := &table{w: csv.NewWriter(w), columns: columns()}
	t.fields = make([]string, len(t.columns))
	for i, c := range t.columns {
		t.fields[i] = c.name
	}
	t.w.Write(t.fields)
	return t
}

func (t *table) row(j *jsonConnection) {
	for i, c := range t.columns {
		t.fields[i] = c.text(j)
	}
	t.w.Write(t.fields)
}

func (t *table) close() error {
	t.w.Flush()
	return t.w.Error()
}
