package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"

	"hangup/capture/filter"
)

const (
	stdinName    = "-"
	defaultBatch = 512
	maxBatch     = 1 << 16
)

// OpenConfig is what Open needs besides names. Its zero value will do for
// files.
type OpenConfig struct {
	// Stdin is what the name "-" stands for.
	Stdin io.Reader

	// Progress is called by Next, once per batch, with the bytes read of
	// the files as they are on disk and their sizes' sum; total is 0 if
	// an input has no size.
	Progress func(done, total int64)

	// BatchSize is the number of packets a batch should hold, 512 if 0.
	// Batches hold fewer when packets are large or come slowly, and up to
	// twice as many.
	BatchSize int

	// Tap, if not nil, sees every packet.
	Tap Tap

	// Filter, or Code (a program for the link type of the files, and instead
	// of Filter), says which records are packets for us. The others are only
	// counted, in Input.Filtered; packets keep their numbers in the file. An
	// input with packets of a link type on which the expression has no
	// meaning gets an Err that says so, and is read on.
	Filter *filter.Expr
	Code   *filter.Program
}

// Open opens captures as one Source: pcap and pcapng files, plain or within
// gzip, zstd or lz4, whatever their names; "-" is standard input. Several
// are read in the order of their first packets, merged by time where they
// overlap, and Inputs lists them, and Refs count them, in that order.
//
// An input that cannot be opened, or is no capture, or is given twice, does
// not keep the others from being read: its Input.Err says so at once. Open
// fails only if no input is left; its error then joins all of theirs. Later
// trouble ends just the input it is in, and is found in its Input.Err, so
// that Next of this Source returns no error but io.EOF. All errors read
// "FILE: what, remedy".
//
// A Source is for one goroutine at a time, save for Encap.
func Open(names []string, cfg OpenConfig) (Source, error) {
	if len(names) == 0 {
		return nil, errors.New("no capture named, give a file, or - for standard input")
	}
	sieve, err := newSieve(cfg.Filter, cfg.Code)
	if err != nil {
		return nil, err
	}
	s := &files{
		stdin:    cfg.Stdin,
		progress: cfg.Progress,
		tap:      cfg.Tap,
		sieve:    sieve,
		batch:    min(cfg.BatchSize, maxBatch),
		dec:      newDecoder(),
		ifaces:   make(map[ifaceKey]uint16),
	}
	if s.batch <= 0 {
		s.batch = defaultBatch
	}
	for _, name := range names {
		s.inputs = append(s.inputs, &input{Input: Input{Name: name}, first: math.MaxInt64})
	}
	s.refuse()
	alone := len(names) == 1
	for _, in := range s.inputs {
		if in.Err == nil {
			in.Err = s.look(in, alone)
			in.Broken = in.Err != nil
		}
	}
	s.order()
	return s, s.usable()
}

func isDirectory(name string) error {
	dir := strings.TrimRight(name, "/")
	return fmt.Errorf("%s: is a directory, name the captures in it: %s/*.pcap*, or %s/... for all below it", name, dir, dir)
}

// refuse finds inputs that are not there, and those given twice.
func (s *files) refuse() {
	stdin := false
	seen := make(map[int64][]*input) // by size: SameFile for every pair would be slow for 10,000 files
	for _, in := range s.inputs {
		if in.Name == stdinName {
			if stdin {
				in.Err = errors.New("standard input: given twice, it is read once")
			}
			stdin = true
			continue
		}
		info, err := os.Stat(in.Name)
		if err != nil {
			in.Err, in.Broken = fileError(in.Name, err), true
			continue
		}
		if info.IsDir() {
			in.Err, in.Broken = isDirectory(in.Name), true
			continue
		}
		in.info = info
		for _, other := range seen[info.Size()] {
			if in.Err == nil && os.SameFile(info, other.info) {
				in.Err = fmt.Errorf("%s: is the same file as %s, which is read once, name it once", in.Name, other.Name)
			}
		}
		seen[info.Size()] = append(seen[info.Size()], in)
	}
}

// look opens an input to see that it is a capture, and when it begins if
// others have to be ordered with it. What can be opened again is closed: of
// 10,000 rotated files only those that overlap are open at the same time.
func (s *files) look(in *input, alone bool) error {
	r, err := s.open(in)
	if err != nil {
		return err
	}
	if alone {
		in.kept = r
		return nil
	}
	if r.chunk = minChunk; r.drained() {
		r.reload()
	}
	if !r.drained() {
		in.first = r.recs[0].time
	}
	if r.src.regular {
		r.src.close()
		s.done = 0
	} else {
		in.kept = r
	}
	return nil
}

// order sorts inputs by their first packet and numbers them.
func (s *files) order() {
	slices.SortStableFunc(s.inputs, func(a, b *input) int {
		if a.Err == nil != (b.Err == nil) {
			if a.Err == nil {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.first, b.first)
	})
	sized := true
	for i, in := range s.inputs {
		in.index = i
		if in.Err != nil {
			continue
		}
		if in.info == nil || !in.info.Mode().IsRegular() {
			sized = false
		} else {
			s.total += in.info.Size()
		}
	}
	if !sized {
		s.total = 0
	}
}

// usable is an error if no input is left to be read.
func (s *files) usable() error {
	var all []error
	for _, in := range s.inputs {
		if in.Err == nil {
			return nil
		}
		all = append(all, in.Err)
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// open opens an input up to its file header.
func (s *files) open(in *input) (*reader, error) {
	in.Input = Input{Name: in.Name}
	raw, regular, err := s.raw(in)
	if err != nil {
		return nil, err
	}
	src, head, err := openStream(counter{raw, &s.done}, regular)
	if c, ok := raw.(io.Closer); ok && in.Name != stdinName {
		src.closers = append(src.closers, func() { c.Close() })
	}
	if err != nil {
		src.close()
		return nil, fmt.Errorf("%s: %w", in.label(), err)
	}
	in.Compression = src.compression
	lane := s.lane()
	l, used, err := newLayout(head, &in.Input, func(key ifaceKey) uint16 {
		key.lane = lane
		if key.index > 0 {
			in.several, s.several = true, true
		}
		return s.register(key)
	})
	if err != nil {
		src.close()
		if src.compression != "" {
			return nil, fmt.Errorf("%s: holds %s data, and in it: %w", in.label(), src.compression, err)
		}
		return nil, fmt.Errorf("%s: %w", in.label(), err)
	}
	r := newReader(in, src, l, lane, s.batch)
	r.win = slices.Clone(head[used:])
	return r, nil
}

// raw opens the bytes of an input as they are.
func (s *files) raw(in *input) (r io.Reader, regular bool, err error) {
	if in.Name != stdinName {
		f, err := os.Open(in.Name)
		if err != nil {
			return nil, false, fileError(in.Name, err)
		}
		return f, in.info.Mode().IsRegular(), nil
	}
	if s.stdin == nil {
		return nil, false, errors.New("standard input: is closed, name a file instead")
	}
	return s.stdin, false, nil
}

// lane is the smallest number no open input has.
func (s *files) lane() int {
	for lane := 0; ; lane++ {
		if !slices.ContainsFunc(s.active, func(r *reader) bool { return r.lane == lane }) {
			return lane
		}
	}
}

// newLayout tells the format by its first bytes. The header is used bytes
// long.
func newLayout(head []byte, in *Input, register func(ifaceKey) uint16) (l layout, used int, err error) {
	if f, err := newPcap(head, in, register); err != nil {
		return nil, 0, err
	} else if f != nil {
		return f, pcapFileHeader, nil
	}
	if f, err := newPcapng(head, in, register); err != nil {
		return nil, 0, err
	} else if f != nil {
		return f, 0, nil
	}
	return nil, 0, errors.New(foreign(head))
}

func fileError(name string, err error) error {
	var path *fs.PathError
	cause := err
	if errors.As(err, &path) {
		cause = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(name, "*?["):
		return fmt.Errorf("%s: no such file, the shell found no match for this pattern", name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w, check its name", name, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w, captures written by root are root's: try sudo, or chown it", name, fs.ErrPermission)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%s: %w, too many captures overlap in time: raise ulimit -n, or merge them first with mergecap", name, cause)
	}
	return fmt.Errorf("%s: cannot be opened: %w", name, cause)
}

// counter counts bytes as they are read.
type counter struct {
	io.Reader
	n *int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}
