package capture

import (
	"io"
	"math"
	"os"
	"slices"
)

// files is the Source that Open returns. Inputs are in the order of their
// first packets. Most of the time one of them is open, and its bytes go
// straight into the batch; where inputs overlap, several are, as a heap by
// the time of their next packet, and frames are copied together (merge.go).
type files struct {
	stdin    io.Reader
	progress func(done, total int64)
	batch    int
	tap      Tap
	frame    Frame // what tap is called with
	sieve    *sieve

	inputs []*input
	next   int       // inputs[next:] are not yet opened
	active []*reader // heap
	dec    *decoder
	ifaces map[ifaceKey]uint16

	several bool // an input describes several interfaces in one section
	sorted  reorder

	done  int64 // bytes read of the files as they are on disk
	total int64 // 0 if unknown
}

// input is an Input and what reading it takes.
type input struct {
	Input
	index int
	first int64       // time of the first packet, MaxInt64 if there is none
	info  os.FileInfo // nil for standard input
	kept  *reader     // opened by Open, and not to be opened twice

	several bool // has several interfaces, and so their packets one interface after the other
}

// ifaceKey tells interfaces apart. Files of one rotation describe the same
// ones over and over; what is captured at the same time in different files
// (lanes) is not the same.
type ifaceKey struct {
	lane  int
	link  uint16
	index uint32 // within a pcapng section
	name  string
}

// label is the input's name as messages have it.
func (in *input) label() string {
	if in.Name == stdinName {
		return "standard input"
	}
	return in.Name
}

func (s *files) Next(b *Batch) error {
	b.Slips, b.Now = b.Slips[:0], 0
	err := s.read(b)
	s.frame.tap(b, s.tap)
	return err
}

func (s *files) read(b *Batch) error {
	if !s.several {
		if err := s.fill(b); err != nil || !s.several {
			return err
		}
		// The interfaces were described in front of these packets.
		b.spread()
		raw := &s.sorted.raw
		raw.Packets, raw.Data, raw.frames, b.Packets, b.Data, b.frames = b.Packets, b.Data, b.frames, raw.Packets, raw.Data, raw.frames
	}
	return s.sorted.next(b, s.fill)
}

// fill reads a batch in the order in which the files have it.
func (s *files) fill(b *Batch) error {
	b.Packets, b.Slips, b.frames = b.Packets[:0], b.Slips[:0], b.frames[:0]
	for b.Len() == 0 {
		b.Data = b.Data[:0]
		if len(s.active) == 0 && !s.openNext() {
			return io.EOF
		}
		if r := s.active[0]; len(s.active) == 1 && r.drained() {
			s.direct(b, r)
		} else {
			s.merge(b)
		}
		if s.sieve != nil {
			break // nothing may pass for long, and somebody may want to stop
		}
	}
	if s.progress != nil {
		s.progress(s.done, s.total)
	}
	return nil
}

// fewRecords are found, looked at and forgotten while the nearest cache has
// them.
const fewRecords = 64

// direct fills b from the only open input.
func (s *files) direct(b *Batch, r *reader) {
	b.Data = r.load(append(b.Data, r.win[r.tail:]...), min(fewRecords, cap(r.recs)))
	data := b.Data // the decoder may append to b.Data
	lazy, limit := b.Lazy && s.tap == nil && !s.several, s.limit()
	for n := 0; ; {
		due := len(r.recs)
		if limit < math.MaxInt64 {
			if i := slices.IndexFunc(r.recs, func(rec record) bool { return rec.time > limit }); i >= 0 {
				due = i // the next input is due
			}
		}
		recs := s.sift(r, r.recs[:due], data)
		if r.note(recs); lazy {
			s.slip(b, r, recs, data)
		} else {
			b.Packets = slices.Grow(b.Packets, len(recs))
			for i := range recs {
				s.deliver(b, r, &recs[i])
			}
		}
		n += due
		if room := cap(r.recs) - n; due < len(r.recs) || !r.more || room == 0 || !r.scan(data, r.tail, min(fewRecords, room)) {
			r.keep(data, min(due, len(r.recs)))
			r.aim(n, len(data)-len(r.win))
			break
		}
	}
	if r.exhausted() {
		r.finish()
		s.active = s.active[:0]
	}
}

// slip appends slips of records, and decodes those that are not simple.
func (s *files) slip(b *Batch, r *reader, recs []record, data []byte) {
	n := len(b.Slips)
	b.Slips = slices.Grow(b.Slips, len(recs))[:n+len(recs)]
	for i := range recs {
		rec, slip := &recs[i], &b.Slips[n+i]
		if slip.simple(rec, data[rec.off:rec.off+rec.capLen], b.Seed) {
			slip.Ref = MakeRef(r.in.index, rec.number)
		} else {
			slip.tell(s.deliver(b, r, rec), len(b.Packets)-1, b.Seed)
		}
	}
}

// deliver decodes one record, whose frame lies in b.Data.
func (s *files) deliver(b *Batch, r *reader, rec *record) *Packet {
	b.Packets = append(b.Packets, Packet{})
	p := &b.Packets[len(b.Packets)-1]
	if rec.capLen < rec.wireLen {
		rec.traits |= SnapCut
	}
	if rec.problem != NoProblem {
		*p = Packet{Time: rec.time, Iface: rec.iface, Traits: rec.traits, Kind: Bad, Problem: rec.problem}
	} else {
		s.dec.decode(b, rec, p)
	}
	p.Ref = MakeRef(r.in.index, rec.number)
	if p.Kind == Bad {
		r.in.noteBad(rec, p)
	}
	if s.tap != nil {
		b.frames = append(b.frames, rec.span())
	}
	return p
}

// openNext opens the next input that can be, and reports whether there was
// one. It is not ordered into the heap.
func (s *files) openNext() bool {
	for s.next < len(s.inputs) {
		in := s.inputs[s.next]
		s.next++
		if in.Err != nil {
			continue
		}
		r := in.kept
		if in.kept = nil; r == nil {
			var err error
			if r, err = s.open(in); err != nil {
				in.Err, in.Broken = err, true
				continue
			}
		}
		s.active = append(s.active, r)
		return true
	}
	return false
}

// limit is the time of the first packet of the next input: packets later
// than it have to be merged with that input's.
func (s *files) limit() int64 {
	if s.next < len(s.inputs) {
		return s.inputs[s.next].first
	}
	return math.MaxInt64
}

// register numbers an interface.
func (s *files) register(key ifaceKey) uint16 {
	n, ok := s.ifaces[key]
	if !ok {
		// The numbers of whatever comes after 65,534 interfaces are one.
		n = uint16(len(s.ifaces))
		if n < math.MaxUint16 {
			s.ifaces[key] = n
		}
	}
	return n
}

func (s *files) Encap(key uint32) string { return s.dec.encap(key) }

func (s *files) Inputs() []Input {
	all := make([]Input, len(s.inputs))
	for i, in := range s.inputs {
		all[i] = in.clone()
	}
	return all
}

func (s *files) Close() error {
	for _, r := range s.active {
		r.src.close()
	}
	for _, in := range s.inputs {
		if in.kept != nil {
			in.kept.src.close()
			in.kept = nil
		}
	}
	s.active, s.next = nil, len(s.inputs)
	return nil
}
