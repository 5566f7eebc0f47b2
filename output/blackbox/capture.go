package blackbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hangup/capture"
)

// CaptureConfig says where a whole capture goes.
type CaptureConfig struct {
	// Name is the file, "-" for Stdout. One that ends in .pcap is classic
	// pcap with nanoseconds, which has room for one link type and for neither
	// interfaces, directions nor comments; all others are pcapng.
	Name   string
	Stdout io.Writer

	// MaxBytes, if positive, is the size beyond which the next file is begun,
	// as with tcpdump's -C; no packet is cut for it. The second file of
	// trace.pcapng is trace-1.pcapng. Files, if positive, is their number, as
	// with -W: then the first is trace-0.pcapng, numbers have as many digits
	// as the last one, and behind the last the first is begun anew.
	MaxBytes int64
	Files    int

	Inputs []string // files being read, which are not to be overwritten

	Section  capture.PcapngSection
	Describe func(iface uint16) capture.PcapngInterface // asked by Record; may be nil
}

// Capture writes every frame it sees. The first trouble with the disk ends
// the file, not the run: it is returned by Err, and what is not written is
// counted. All methods may be called from any goroutine.
type Capture struct {
	cfg CaptureConfig

	mu      sync.Mutex
	file    *os.File // nil for standard output, and when closed
	buf     *bufio.Writer
	ng      *capture.PcapngWriter
	pcap    *capture.PcapWriter
	link    uint16 // of the pcap file
	begun   int    // files begun
	size    int64
	frames  uint64
	written uint64
	err     error
	closed  bool
}

const captureBuffer = 256 << 10

// NewCapture opens the first file. An error says what to do.
func NewCapture(cfg CaptureConfig) (*Capture, error) {
	c := &Capture{cfg: cfg}
	switch {
	case cfg.Files > 0 && cfg.MaxBytes <= 0:
		return nil, errors.New("a number of files needs the size at which the next one is begun")
	case cfg.Name == "-" && cfg.MaxBytes > 0:
		return nil, errors.New("-: standard output is not cut into files; name a file")
	}
	if err := c.begin(); err != nil {
		if c.file != nil { // its header found no room
			c.file.Close()
		}
		return nil, err
	}
	return c, nil
}

// begin opens the next file.
func (c *Capture) begin() error {
	var w io.Writer = c.cfg.Stdout
	if c.cfg.Name != "-" {
		name := c.fileName(c.begun)
		if err := c.spares(name); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // captures hold secrets
		if err != nil {
			return fmt.Errorf("%s: cannot be written: %w; name a file in a directory that is yours", name, plain(err))
		}
		c.file, w = f, f
	}
	c.begun++
	c.size, c.ng, c.pcap = 0, nil, nil
	c.buf = bufio.NewWriterSize(w, captureBuffer)
	if c.classic() {
		return nil // the header needs the link type: see start
	}
	var err error
	if c.ng, err = capture.NewPcapngWriter(c.buf, c.cfg.Section, c.cfg.Describe); err == nil {
		err = c.buf.Flush() // whoever reads along wants to see it
	}
	return c.named(err)
}

// spares refuses to write over what is read.
func (c *Capture) spares(name string) error {
	to, err := os.Stat(name)
	if err != nil {
		return nil // it is not there, or OpenFile will say why
	}
	for _, in := range c.cfg.Inputs {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, to) && to.Mode().IsRegular() {
			return fmt.Errorf("%s: is the capture that is read; name another file", name)
		}
	}
	return nil
}

func (c *Capture) classic() bool { return strings.EqualFold(filepath.Ext(c.cfg.Name), ".pcap") }

// fileName is that of file n, from 0.
func (c *Capture) fileName(n int) string {
	ext := filepath.Ext(c.cfg.Name)
	stem := strings.TrimSuffix(c.cfg.Name, ext)
	if c.cfg.Files > 0 {
		return fmt.Sprintf("%s-%0*d%s", stem, len(fmt.Sprint(c.cfg.Files-1)), n%c.cfg.Files, ext)
	}
	if n == 0 {
		return c.cfg.Name
	}
	return fmt.Sprintf("%s-%d%s", stem, n, ext)
}

// named says which file an error is about.
func (c *Capture) named(err error) error {
	if err == nil {
		return nil
	}
	name := "standard output"
	if c.cfg.Name != "-" {
		name = c.fileName(c.begun - 1)
	}
	return fmt.Errorf("%s: %w; nothing more is written to it", name, plain(err))
}

// Record writes a frame. It is a capture.Tap.
func (c *Capture) Record(f *capture.Frame, _ *capture.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames++
	if c.err != nil || c.closed {
		return
	}
	if c.cfg.MaxBytes > 0 && c.size >= c.cfg.MaxBytes {
		if c.err = c.next(); c.err != nil {
			return
		}
	}
	if c.err = c.put(f); c.err == nil {
		c.written++
	}
}

func (c *Capture) put(f *capture.Frame) error {
	if !c.classic() {
		err := c.ng.Write(f)
		c.size = c.ng.Size()
		return c.named(err)
	}
	if c.pcap == nil {
		if err := c.start(f); err != nil {
			return err
		}
	}
	if f.Link != c.link {
		return fmt.Errorf("%s: the capture has packets of link types %s and %s, for which a .pcap file has no room: name one that ends in .pcapng; nothing more is written to it",
			c.fileName(c.begun-1), capture.LinkName(c.link), capture.LinkName(f.Link))
	}
	c.size += int64(16 + len(f.Data))
	return c.named(c.pcap.Write(f.Time, f.Data, int(f.WireLen)))
}

// start writes a pcap file's header, as the first frame wants it.
func (c *Capture) start(f *capture.Frame) (err error) {
	snaplen := uint32(0)
	if c.cfg.Describe != nil {
		snaplen = c.cfg.Describe(f.Iface).Snaplen
	}
	if snaplen == 0 {
		snaplen = capture.MaxSnaplen
	}
	c.link, c.size = f.Link, 24
	c.pcap, err = capture.NewPcapWriter(c.buf, f.Link, snaplen, true)
	return c.named(err)
}

// next ends one file and begins another.
func (c *Capture) next() error {
	if err := c.end(); err != nil {
		return err
	}
	return c.begin()
}

// end completes the file at hand.
func (c *Capture) end() error {
	err := c.buf.Flush()
	if c.file != nil {
		err = errors.Join(err, c.file.Close())
		c.file = nil
	}
	return c.named(err)
}

// Flush hands what was recorded to the system, so that whoever reads the file
// while it grows does not wait for a buffer to fill. Once a tick is often enough.
func (c *Capture) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.closed {
		c.err = c.named(c.buf.Flush())
	}
}

// Err is what ended the file early, nil if nothing did.
func (c *Capture) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Counts are the frames seen, and those of them written.
func (c *Capture) Counts() (seen, written uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames, c.written
}

// Close writes the counters of the interfaces, if stats is not nil and the
// format has room for them, and completes the file. It returns Err.
func (c *Capture) Close(stats func(iface uint16) capture.PcapngStatistics) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.err
	}
	c.closed = true
	if c.err == nil && c.classic() && c.pcap == nil {
		// A capture without a packet is one all the same.
		c.err = c.start(&capture.Frame{Link: ethernet})
	}
	if c.err == nil && c.ng != nil && stats != nil {
		c.err = c.named(c.ng.Finish(stats))
	}
	err := c.end() // what was recorded before the trouble is good
	if c.err == nil {
		c.err = err
	}
	return c.err
}

const ethernet = 1
