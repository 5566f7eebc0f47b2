package output

import (
	"io"

	"hangup/capture"
	"hangup/classify"
)

// Stream prints connections one at a time, as NDJSON or CSV, and keeps none.
type Stream struct {
	refs refs
	json *encoder
	csv  *table
}

// Streams reports whether a format can be printed without the whole report.
func Streams(f Format) bool { return f == FormatNDJSON || f == FormatCSV }

// NewStream begins a stream in one of the formats that [Streams] names. The
// inputs are those that packets are of.
func NewStream(w io.Writer, f Format, inputs []capture.Input) *Stream {
	if f == FormatCSV {
		return &Stream{refs: refs{inputs}, csv: newTable(w)}
	}
	return &Stream{refs: refs{inputs}, json: newEncoder(w)}
}

// Connection prints one.
func (s *Stream) Connection(r *classify.Result) {
	j := newConnection(r, s.refs)
	if s.csv != nil {
		s.csv.row(j)
		return
	}
	s.json.value(j)
	s.json.raw("\n")
}

// Close ends the stream with what the report says of all of them.
func (s *Stream) Close(r *Report) error {
	if s.csv != nil {
		return s.csv.close()
	}
	s.json.tail(r)
	return s.json.close()
}
