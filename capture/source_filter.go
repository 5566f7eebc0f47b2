package capture

import (
	"errors"
	"fmt"

	"hangup/capture/filter"
)

// sieve decides which records of files are packets at all.
type sieve struct {
	expr     *filter.Expr
	code     *filter.Program            // instead of expr
	programs map[uint16]*filter.Program // by link type; nil where the filter has no meaning
	link     uint32                     // the last one; beyond all of them at first
	program  *filter.Program            // and its program
}

// newSieve is nil if nothing is to be left out.
func newSieve(expr *filter.Expr, code *filter.Program) (*sieve, error) {
	switch {
	case expr != nil && code != nil:
		return nil, errors.New("a filter is given both as an expression and as BPF code, give one of them")
	case expr == nil && code == nil:
		return nil, nil
	}
	return &sieve{expr: expr, code: code, link: 1 << 16, programs: make(map[uint16]*filter.Program)}, nil
}

// passes reports whether a record is to be a packet. What cannot be decoded
// for the sake of the file has no frame to be judged by, and passes. An error
// is for the first record of a link type on which the expression has no
// meaning: none of those passes.
func (s *sieve) passes(r *record, frame []byte) (bool, error) {
	if r.problem != NoProblem {
		return true, nil
	}
	var err error
	if uint32(r.link) != s.link {
		err = s.choose(r.link)
	}
	return s.program != nil && s.program.Match(frame, int(r.wireLen)), err
}

// choose takes the program for a link type.
func (s *sieve) choose(link uint16) (err error) {
	program, known := s.programs[link]
	if !known {
		if s.code != nil {
			program, err = s.code, fitting(s.code, link)
		} else {
			program, err = s.expr.Compile(link, MaxSnaplen)
		}
		if err != nil {
			program, err = nil, fmt.Errorf("packets of link type %s are left out: %w", LinkName(link), oneLine(err))
		}
		s.programs[link] = program
	}
	s.link, s.program = uint32(link), program
	return err
}

// fitting is an error if code looks for the network layer where frames of a
// link type have something else.
func fitting(code *filter.Program, link uint16) error {
	if other, ok := code.Fits(link); !ok {
		return fmt.Errorf("the filter was compiled for %s; let tcpdump -ddd compile it for this capture (-r FILE, or -i INTERFACE), or give the expression itself", LinkName(other))
	}
	return nil
}

// oneLine says what is wrong with an expression without showing it.
func oneLine(err error) error {
	var e *filter.SyntaxError
	if !errors.As(err, &e) || e.Instead == "" {
		return err
	}
	return fmt.Errorf("%s; %s", e.What, e.Instead)
}

// sift moves the records that pass to the front, and returns them.
func (s *files) sift(r *reader, recs []record, data []byte) []record {
	if s.sieve == nil {
		return recs
	}
	n := 0
	for i := range recs {
		if s.passes(r, &recs[i], data) {
			recs[n] = recs[i]
			n++
		}
	}
	return recs[:n]
}

// passes asks the filter, if there is one, and counts what it leaves out.
func (s *files) passes(r *reader, rec *record, data []byte) bool {
	if s.sieve == nil {
		return true
	}
	ok, err := s.sieve.passes(rec, data[rec.off:rec.off+rec.capLen])
	if err != nil {
		r.in.Err = fmt.Errorf("%s: packet %d: %w", r.in.label(), rec.number, err)
	}
	if !ok {
		r.in.Filtered++
	}
	return ok
}
