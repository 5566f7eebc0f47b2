package cli

import (
	"fmt"
	"runtime"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/output/blackbox"
	"hangup/output/metrics"
)

// box keeps packets, if that was asked for: all of them by -w, the last ones
// of connections that ended badly by --save-abnormal.
type box struct {
	all   *blackbox.Capture
	saver *blackbox.Saver
	last  int64    // ns: when the latest frame came, if their number is limited
	ended bool     // nothing more is written to the file of all, and that was told
	reads []string // files that must not be written over
}

// places say where packets come from.
type places interface {
	Inputs() []capture.Input
	InterfaceName(n uint16) string
}

// open makes ready what c asks for. From is asked once packets come. Live,
// the packet path never waits for a disk.
func (b *box) open(c *command, from func() places, live bool) (err error) {
	section := capture.PcapngSection{OS: runtime.GOOS + "/" + runtime.GOARCH, Application: version()}
	describe := func(iface uint16) capture.PcapngInterface {
		p := from()
		i := capture.PcapngInterface{Name: p.InterfaceName(iface), Filter: c.expr}
		for _, in := range p.Inputs() {
			i.Snaplen = max(i.Snaplen, in.Snaplen)
		}
		return i
	}
	if c.write != "" {
		b.all, err = blackbox.NewCapture(blackbox.CaptureConfig{Name: c.write, MaxBytes: int64(c.writeBytes), Files: c.writeFiles, Stdout: c.stdout, Inputs: b.reads, Section: section, Describe: describe})
		if err != nil {
			return fmt.Errorf("-w: %w", err)
		}
	}
	if c.save != "" {
		b.saver, err = blackbox.New(blackbox.Config{
			Dir: c.save, MaxFiles: c.saveFiles, MaxBytes: int64(c.saveBytes), Wait: !live,
			Section: section, Describe: describe, Complain: c.complain,
		})
		if err != nil {
			return fmt.Errorf("--save-abnormal: %w", err)
		}
	}
	return nil
}

// tap is what has to see every frame, of the first most if that is not 0; nil
// if nothing has.
func (b *box) tap(most uint64) capture.Tap {
	record := b.record()
	if record == nil || most == 0 {
		return record
	}
	return func(f *capture.Frame, p *capture.Packet) {
		if most > 0 { // frames come before their batch does
			most--
			b.last = f.Time
			record(f, p)
		}
	}
}

func (b *box) record() capture.Tap {
	switch {
	case b.all == nil && b.saver == nil:
		return nil
	case b.all == nil:
		return b.saver.Record
	case b.saver == nil:
		return b.all.Record
	}
	return func(f *capture.Frame, p *capture.Packet) {
		b.all.Record(f, p)
		b.saver.Record(f, p)
	}
}

// saving reports whether connections that end badly are kept.
func (b *box) saving() bool { return b.saver != nil }

// save keeps the packets of c, and returns the file's path; "" if there is
// none. Why not, the counters tell. Before is the path of what was saved of c
// under an earlier verdict, "" if nothing was.
func (b *box) save(c *assembler.Conn, v *classify.Verdict, env classify.Env, before string) string {
	switch {
	case b.saver == nil:
		return ""
	case before != "":
		return b.saver.Revise(before, c, v, env)
	}
	path, err := b.saver.Save(c, v, env)
	if err != nil {
		return ""
	}
	return path
}

// forget lets go of the packets of c, which nobody will ask for.
func (b *box) forget(c *assembler.Conn) {
	if b.saver != nil {
		b.saver.Forget(c)
	}
}

// flush has what was written so far read by whoever reads along. It returns
// what ended the file of -w, once: whoever watches for days wants to know that
// the disk is full before they end.
func (b *box) flush() error {
	if b.all == nil || b.ended {
		return nil
	}
	b.all.Flush()
	err := b.all.Err()
	if err == nil {
		return nil
	}
	b.ended = true
	return fmt.Errorf("-w: %w", err)
}

func (b *box) count(c *metrics.Counters) {
	if b.saver != nil {
		s := b.saver.Stats()
		c.BlackBoxSaved, c.BlackBoxSkipped, c.BlackBoxFailed = s.Saved, s.Alike+s.Busy+s.Gone, s.Failed
	}
}

// close completes the files. Inputs tell what their capture lost.
func (b *box) close(inputs []capture.Input) (err error) {
	if b.saver != nil {
		err = b.saver.Close()
	}
	if b.all == nil {
		return err
	}
	stats := func(iface uint16) capture.PcapngStatistics {
		var s capture.PcapngStatistics
		for _, in := range inputs {
			s.Received, s.Dropped = s.Received+in.Packets+in.Drops, s.Dropped+in.Drops
			s.End = max(s.End, in.Last)
		}
		if b.last != 0 {
			s.End = b.last
		}
		return s
	}
	if more := b.all.Close(stats); more != nil {
		return fmt.Errorf("-w: %w", more)
	}
	return err
}

// tellSaved says what became of the connections that ended badly.
func (b *box) tellSaved(c *command) {
	if b.saver == nil || c.quiet {
		return
	}
	s := b.saver.Stats()
	note := fmt.Sprintf("%d connections that ended badly saved in %s", s.Saved, c.save)
	if s.Alike > 0 {
		note += fmt.Sprintf("; of %d more, enough that ended alike were saved before", s.Alike)
	}
	if s.Busy+s.Gone > 0 {
		note += fmt.Sprintf("; %d not, as the disk did not keep up or their packets were gone", s.Busy+s.Gone)
	}
	if s.Failed > 0 {
		note += fmt.Sprintf("; %d could not be written: %v", s.Failed, s.Err)
	}
	if s.Deleted > 0 {
		note += fmt.Sprintf("; %d older files deleted to make room", s.Deleted)
	}
	fmt.Fprintln(c.stderr, "hangup:", note)
}
