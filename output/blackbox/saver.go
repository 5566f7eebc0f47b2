// Package blackbox keeps packets: the last ones of every connection in
// memory, of which those that ended badly become small files ([Saver]), or
// all of them in one capture ([Capture]).
package blackbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Config is what a Saver needs to know. Only Dir has to be set.
type Config struct {
	Dir      string // made if missing, for the user alone: captures hold secrets
	MaxFiles int    // in Dir, of our making; 1000 if 0
	MaxBytes int64  // all of them together; 1 GiB if 0
	FileSize int    // of packets in one file, about; 1 MiB if 0

	RingBytes int // memory for packets, see NewRecorder
	Snaplen   int // bytes kept of a frame, see NewRecorder

	// Of connections that ended for the same cause at the same server, Each
	// (3 if 0) are saved in an Interval (10 minutes if 0) of packet time, and
	// ten times as many of the same cause at all servers together.
	Each     int
	Interval time.Duration

	// Wait lets Save wait for the disk rather than give a connection up, as
	// it should where the packets come from a file.
	Wait bool

	Section capture.PcapngSection // what files say of this program and host; the Comment is ours

	// Describe, if not nil, is asked by Record, when it sees the first packet
	// of an interface, and by nobody else.
	Describe func(iface uint16) capture.PcapngInterface

	// Complain is told, from any goroutine, when files cannot be written:
	// the first time, and again when it happens after files could be written.
	Complain func(error)
}

// Saver writes the black box's files. Its Recorder has to see every frame.
// All methods may be called from any goroutine.
type Saver struct {
	*Recorder
	cfg Config

	mu     sync.Mutex
	limit  limiter
	stats  Stats
	failed bool // the last file could not be written
	ifaces map[uint16]capture.PcapngInterface
	met    [1 << 16 / 64]atomic.Uint64 // bit for each interface in ifaces
	jobs   chan job
	closed bool

	folder *folder // the writing goroutine's
	done   sync.WaitGroup
}

// Stats count what became of the connections handed to Save.
type Stats struct {
	Saved   uint64 // files written
	Alike   uint64 // not saved, since enough of the same kind were
	Busy    uint64 // not saved, since the disk did not keep up
	Gone    uint64 // not saved, since no packet was left in the ring
	Failed  uint64 // not saved, since no file could be written: see Err
	Deleted uint64 // older files deleted to keep to the caps
	Err     error  // the latest trouble with the directory, nil if none
}

// String tells it in a line, "" if there is nothing to tell.
func (s Stats) String() string {
	var list []string
	for _, x := range []struct {
		n    uint64
		what string
	}{
		{s.Saved, "saved"}, {s.Alike, "not saved, because enough that ended alike were"},
		{s.Busy, "not saved, because the disk did not keep up"},
		{s.Gone, "not saved, because the ring no longer had their packets"},
		{s.Failed, "not saved, because no file could be written"},
	} {
		if x.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	if s.Deleted > 0 {
		list = append(list, fmt.Sprintf("%d older files deleted to keep to the caps", s.Deleted))
	}
	return strings.Join(list, "; ")
}

// Why Save does not save a connection.
var (
	ErrAlike = errors.New("enough connections that ended alike were saved")
	ErrBusy  = errors.New("the disk does not keep up")
	ErrGone  = errors.New("no packet of the connection is left in the ring")
)

// queued is how many connections may wait for the disk.
const queued = 16

// New makes the directory and starts the goroutine that writes to it, which
// ends with Close. An error says what to do.
func New(cfg Config) (*Saver, error) {
	setDefault(&cfg.MaxFiles, 1000)
	setDefault(&cfg.MaxBytes, 1<<30)
	setDefault(&cfg.FileSize, 1<<20)
	setDefault(&cfg.Each, 3)
	setDefault(&cfg.Interval, 10*time.Minute)
	f, err := openFolder(cfg.Dir, cfg.MaxFiles, cfg.MaxBytes)
	if err != nil {
		return nil, err
	}
	s := &Saver{
		Recorder: NewRecorder(cfg.RingBytes, cfg.Snaplen), cfg: cfg, folder: f,
		limit: limiter{each: cfg.Each, interval: int64(cfg.Interval), quotas: make(map[alike]*quota)},
		jobs:  make(chan job, queued), ifaces: make(map[uint16]capture.PcapngInterface),
	}
	s.done.Go(s.write)
	return s, nil
}

func setDefault[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Record keeps a frame that is about TCP. It is a capture.Tap.
func (s *Saver) Record(f *capture.Frame, p *capture.Packet) {
	bit := uint64(1) << (f.Iface % 64)
	if word := &s.met[f.Iface/64]; s.cfg.Describe != nil && word.Load()&bit == 0 {
		word.Or(bit)
		d := s.cfg.Describe(f.Iface)
		s.mu.Lock()
		s.ifaces[f.Iface] = d
		s.mu.Unlock()
	}
	s.Recorder.Record(f, p)
}

// describe tells what is known of an interface.
func (s *Saver) describe(iface uint16) capture.PcapngInterface {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ifaces[iface]
}

// Save writes the packets of a connection that ended badly, which the caller
// decides, together with what is said of it. The file is not complete when
// Save returns, but has its path. Best it is called as soon as the end is
// known (assembler.Config.Over): the ring moves on. The connection's packets
// stay there until [Recorder.Forget], which is to be called for every
// connection that has ended, saved or not.
func (s *Saver) Save(c *assembler.Conn, v *classify.Verdict, env classify.Env) (path string, err error) {
	s.mu.Lock()
	refused, ok := s.limit.admit(c, v)
	if !ok {
		s.stats.Alike++
	}
	s.mu.Unlock()
	if !ok {
		return "", ErrAlike
	}
	path, err = s.submit(c, v, env, job{refused: refused})
	switch {
	case errors.Is(err, ErrGone):
		s.count(&s.stats.Gone)
	case err != nil:
		s.count(&s.stats.Busy)
	}
	return path, err
}

// Revise is Save for a connection that was saved to path and of which
// something else is said now: the new file takes the place of the old one,
// and neither quota nor counters hear of another connection. If it cannot be
// made, the old one stays, whose path is returned.
func (s *Saver) Revise(path string, c *assembler.Conn, v *classify.Verdict, env classify.Env) string {
	revised, err := s.submit(c, v, env, job{replaces: filepath.Base(path)})
	if err != nil {
		return path
	}
	return revised
}

// submit completes a job with the packets of c, and has it written.
func (s *Saver) submit(c *assembler.Conn, v *classify.Verdict, env classify.Env, j job) (path string, err error) {
	j.trail = s.gather(c, uint64(s.cfg.FileSize))
	if len(j.trail.packets) == 0 {
		return "", ErrGone
	}
	own := *c // c is the caller's again when this returns
	j.name, j.result, j.end = fileName(c, v), classify.Explain(&own, *v, env), env.End
	if !s.enqueue(j) {
		return "", ErrBusy
	}
	return filepath.Join(s.cfg.Dir, j.name), nil
}

// enqueue is false if there is no room for a job, or never will be.
func (s *Saver) enqueue(j job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.cfg.Wait {
		s.mu.Unlock()
		s.jobs <- j
		s.mu.Lock()
		return true
	}
	select {
	case s.jobs <- j:
		return true
	default:
		return false
	}
}

func (s *Saver) count(n *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

// write is the goroutine that writes.
func (s *Saver) write() {
	for j := range s.jobs {
		again := s.folder.has(j.replaces)
		data, err := j.encode(s.cfg.Section, s.describe)
		if err == nil {
			err = s.folder.write(j.name, data)
		}
		if err == nil && again && j.replaces != j.name {
			err = s.folder.remove(j.replaces)
		}
		s.wrote(again, err)
	}
}

// wrote notes what became of a file, which may take the place of another.
func (s *Saver) wrote(again bool, err error) {
	s.mu.Lock()
	s.stats.Deleted = s.folder.deleted
	news := err != nil && !s.failed
	s.failed = err != nil
	switch {
	case err == nil && again:
	case err == nil:
		s.stats.Saved++
	default:
		s.stats.Failed++
		err = fmt.Errorf("black box: %w; the capture goes on, and files are written again as soon as that is mended", err)
		s.stats.Err = err
	}
	s.mu.Unlock()
	if news && s.cfg.Complain != nil {
		s.cfg.Complain(err)
	}
}

// Stats counts what was done so far.
func (s *Saver) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close waits until everything that Save has accepted is written. Save may
// not be called beside it, and refuses afterwards.
func (s *Saver) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.jobs)
	s.mu.Unlock()
	s.done.Wait()
	if st := s.Stats(); st.Failed > 0 {
		return st.Err
	}
	return nil
}
