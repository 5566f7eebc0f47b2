package capture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// maxChunk is one read: larger ones gain nothing, and a batch's data
	// should not fall out of the second-level cache.
	maxChunk   = 256 << 10
	minChunk   = 16 << 10
	firstChunk = 64 << 10
)

// layout finds the records of one file format in a run of its bytes.
type layout interface {
	// scan reads complete records from data[at:] on, as many as recs has
	// room for, and returns their number and where they end. What it leaves
	// it wants to see again, with more behind it. Offsets of records count
	// from the start of data. An error is final; the records before it are
	// good.
	scan(data []byte, at int, recs []record) (n, end int, err error)

	// rest names the incomplete thing that data, all that is left of the
	// file, belongs to, and how many of its bytes there are and should be.
	// None of them at all is a proper end.
	rest(data []byte) (what string, have, need int64)

	// number is that of the last record found.
	number() uint64
}

// reader is an open input: a stream of bytes, and the records found in it.
// The bytes lie in a batch, or between two of them in the reader's window.
type reader struct {
	in     *input
	src    stream
	layout layout
	lane   int // see ifaceKey

	win  []byte // bytes not handed out: those of recs[next:], then those not yet scanned
	tail int    // win[tail:] is not yet scanned
	recs []record
	next int

	chunk   int   // size of the next read
	batch   int   // packets wanted per batch
	more    bool  // the last scan stopped for want of room in recs
	before  int64 // time of the packet handed out last
	end     bool  // no more bytes will come
	trouble error // why the stream ended early
	broken  error // why the layout cannot go on
}

func newReader(in *input, src stream, l layout, lane, batch int) *reader {
	// Twice a batch: the chunk size only aims at one.
	return &reader{in: in, src: src, layout: l, lane: lane, batch: batch, chunk: firstChunk, recs: make([]record, 0, 2*batch)}
}

// drained reports that all records found so far are handed out.
func (r *reader) drained() bool { return r.next == len(r.recs) }

// load appends bytes of the stream to data until it holds a record or the
// stream ends. On return recs are the first records in data, most of them at
// the most, and data[tail:] is what was not scanned.
func (r *reader) load(data []byte, most int) []byte {
	for {
		if !r.more && !r.end {
			data = r.read(data)
		}
		if r.scan(data, 0, most) || r.end {
			return data
		}
		// No record yet: drop what was not one, and grow only by bytes
		// that really come, whatever length a header claims.
		data, r.tail = data[:copy(data, data[r.tail:])], 0
	}
}

// scan makes recs the next records in data, and reports whether there is one.
func (r *reader) scan(data []byte, at, most int) bool {
	n, end, err := r.layout.scan(data, at, r.recs[:most])
	r.recs, r.next, r.tail, r.more = r.recs[:n], 0, end, n == most
	if err != nil {
		r.end, r.more, r.broken = true, false, err
	}
	return n > 0
}

// aim chooses the size of the next read, when n records took so many bytes.
func (r *reader) aim(n, bytes int) {
	if n > 0 {
		r.chunk = max(minChunk, min(maxChunk, bytes/n*r.batch))
	}
}

// reload is load into the reader's own window.
func (r *reader) reload() {
	r.win = r.load(r.win[:copy(r.win, r.win[r.tail:])], cap(r.recs))
	r.aim(len(r.recs), r.tail)
}

// note counts records that are handed out.
func (r *reader) note(recs []record) {
	slack := int64(0)
	if r.in.several {
		slack = reorderSpan // what is put in order again is not out of it
	}
	r.before = r.in.note(recs, r.before, slack)
}

// read appends one chunk to data. A pipe may hold back the rest of a chunk
// for hours, so of those one read has to do.
func (r *reader) read(data []byte) []byte {
	data = slices.Grow(data, r.chunk)
	room := data[len(data) : len(data)+r.chunk]
	n, empty := 0, 0
	for n < len(room) {
		m, err := r.src.Read(room[n:])
		n += m
		if err != nil {
			r.end = true
			if err != io.EOF {
				r.trouble = r.src.explain(err)
			}
			break
		}
		if m == 0 {
			if empty++; empty == 100 {
				r.end, r.trouble = true, io.ErrNoProgress
				break
			}
		} else if !r.src.regular {
			break
		}
	}
	return data[:len(data)+n]
}

// keep stores in the window what is left of data when the first n records
// were handed out.
func (r *reader) keep(data []byte, n int) {
	from := r.tail
	if n < len(r.recs) {
		from = int(r.recs[n].off)
		for i := n; i < len(r.recs); i++ {
			r.recs[i].off -= uint32(from)
		}
	}
	r.next = n
	r.win = append(r.win[:0], data[from:]...)
	r.tail -= from
}

// exhausted reports that nothing more can come of this reader.
func (r *reader) exhausted() bool { return r.drained() && r.end && !r.more }

// finish closes the reader and notes how its file ended.
func (r *reader) finish() {
	if err := r.verdict(); err != nil {
		if r.in.Err != nil { // a filter's
			err = errors.Join(r.in.Err, err)
		}
		r.in.Err, r.in.Broken = err, true
	}
	r.src.close()
	r.win, r.recs = nil, nil
}

// verdict is what was wrong with the end of the file, if anything.
func (r *reader) verdict() error {
	var causes []string
	what, have, need := r.layout.rest(r.win[r.tail:])
	if r.broken != nil {
		causes = append(causes, r.broken.Error())
	} else if have > 0 {
		causes = append(causes, fmt.Sprintf("cut short in the middle of the %s (file ends after %d of %d bytes)", what, have, need))
	}
	if r.trouble != nil {
		causes = append(causes, r.trouble.Error())
	}
	if causes == nil {
		return nil
	}
	kept := "what was read until then is reported"
	if r.layout.number() == 0 {
		kept = "no packet could be read"
	}
	return fmt.Errorf("%s: packet %d: %s: %s", r.in.label(), r.layout.number()+1, strings.Join(causes, ", "), kept)
}
