package cli

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mattn/go-colorable"
	"golang.org/x/term"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/output"
)

// inputs are the captures named, patterns expanded; standard input if none is
// named and it is a pipe.
func (c *command) inputs(args []string) ([]string, error) {
	args = append(slices.Clone(c.read), args...)
	if slices.Contains(args, "") {
		return nil, usageError{errors.New("a capture without a name (a variable of the shell that is not set?); name a file")}
	}
	names, err := capture.Expand(args)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && terminal(c.stdin) == nil {
		names = []string{"-"}
	}
	if slices.Contains(names, "-") && terminal(c.stdin) != nil {
		return nil, usageError{errors.New("standard input is a terminal; pipe a capture into it: tcpdump -w - tcp | hangup -")}
	}
	return names, nil
}

// report analyses the captures and prints what was found. An error means
// trouble, but what could be analysed is printed before it is returned.
func (c *command) report(names []string) (alarm bool, err error) {
	w, finish, err := c.sink()
	if err != nil {
		return false, err
	}
	run := reading{command: c, names: names, w: w}
	if len(c.filter.Conns) > 0 && c.show == output.FormatText {
		run.ladders = output.NewLadders(c.filter.Conns, c.limit, c.all)
	}
	all, trouble := run.analyse()
	if all == nil {
		return false, errors.Join(trouble, finish(false))
	}
	r := output.Select(*all, c.filter)
	if err := output.Remark(all, r, c.filter); err != nil {
		c.complain(err)
	}
	if !c.plain && c.show != output.FormatCSV && run.ladders == nil && !c.filter.Sockets() || c.alarm.NeedsFindings() {
		r.Findings = output.Findings(*all, c.filter)
	}
	switch {
	case c.filter.Sockets():
		err = output.Sockets(w, c.show, *all, c.filter, c.style())
	case run.ladders != nil:
		err = run.ladders.Draw(w, r, c.style())
	case run.stream != nil:
		err = run.stream.Close(r)
	default:
		err = output.Print(w, c.show, r, c.style())
	}
	return c.alarm.Rings(r), errors.Join(trouble, err, finish(err == nil))
}

// whole is how many connections a report that shows examples keeps at the
// most, and how many a stream waits for so that it can be in order.
const whole = 1 << 12

// usualTrackers is how many trackers pay on two processors and more: one more
// than those that are at work, so that there is always one to go on with. What
// is made of connections that have ended is not shared out. On one processor
// they are as many, since of very many connections the order in which they are
// reported may show in findings that count from the first few hundred on.
const usualTrackers = 3

// reading is one run on files. From the first packet on, its analysis belongs
// to the tracker's goroutine, until that waits.
type reading struct {
	*command
	names    []string
	w        io.Writer
	ladders  *output.Ladders // instead of the report
	stream   *output.Stream  // prints connections while they come
	src      capture.Source
	opened   []capture.Input
	box      box
	analysis classify.Analysis
	tracker  *assembler.Parallel
	expanded assembler.Conn
}

const (
	// gcPercent is for the collector: nearly all that is kept holds no
	// pointers, so that it has little to do, and may as well do it often, for
	// a sixth less memory.
	gcPercent = 20
	// It costs some ms each time, as much as all the rest of a run on fewPackets,
	// during which the heap may grow to 16 MB.
	gcPercentFew = 400
	fewPackets   = 1 << 16
)

// analyse runs the captures through the rooms. The report is nil if no input
// could be read.
func (r *reading) analyse() (*output.Report, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercentFew))
	stop, release := interrupted(r.names)
	defer release()
	open := capture.OpenConfig{BatchSize: 2048, Stdin: r.stdin, Filter: r.parsed, Code: r.program}
	if f := terminal(r.stderr); f != nil && !r.quiet {
		width, _, _ := term.GetSize(int(f.Fd()))
		bar := output.NewProgress(f, width, time.Now())
		open.Progress = func(done, total int64) { bar.Update(done, total, time.Now()) }
		defer bar.Clear()
	}
	r.box.reads = r.names
	if err := r.box.open(r.command, func() places { return r }, false); err != nil {
		return nil, err
	}
	open.Tap = r.box.tap(r.count)
	src, err := capture.Open(r.names, open)
	if err != nil {
		return nil, errors.Join(err, r.box.close(nil))
	}
	defer src.Close()
	r.src, r.opened = src, src.Inputs()
	r.prepare()
	packets, last, err := r.follow(src, r.tracker, stop)
	trouble := []error{err}
	env := classify.Env{EncapName: src.Encap, Truncated: err != nil, OS: r.system}
	inputs := src.Inputs()
	for i := range inputs {
		in := &inputs[i]
		trouble = append(trouble, in.Err)
		env.Truncated = env.Truncated || in.Broken
		env.End = max(env.End, in.Last, in.End)
	}
	if r.count > 0 && packets == r.count || errors.Is(err, errInterrupted) {
		env.End = last // packets beyond it were read but not looked at
	}
	r.tracker.Wait()
	r.analysis.Ends(env)
	r.tracker.Finish()
	r.analysis.Finish(env)
	r.analysis.Renumber(r.tracker.Number)
	trouble = append(trouble, r.box.close(inputs))
	r.box.tellSaved(r.command)
	return &output.Report{
		Inputs: inputs, Packets: packets, Conns: &r.analysis, Env: env, OrphanICMP: r.tracker.OrphanICMP(),
		LatePackets: r.tracker.LatePackets(), Evicted: r.tracker.Evicted(),
	}, errors.Join(trouble...)
}

// prepare makes tracker and analysis as the report needs them.
func (r *reading) prepare() {
	a := &r.analysis
	a.OS = r.system
	a.NoFindings = r.plain && !r.alarm.NeedsFindings()
	if r.filter.Empty() && !r.filter.Sockets() {
		switch {
		case r.show == output.FormatText && !r.all:
			a.Whole = whole
		case output.Streams(r.show):
			a.Whole = whole
			r.stream = output.NewStream(r.w, r.show, r.opened)
			a.Each = func(c *assembler.Conn, v *classify.Verdict) {
				res := classify.Explain(c, *v, r.env())
				r.stream.Connection(&res)
			}
		}
	}
	cfg := assembler.Config{Done: a.Add, Lone: a.AddLone, Plain: a.AddPlain, MaxConns: r.conns(anyNumber), MaxMemory: r.memory(filesMemory)}
	if r.ladders != nil {
		cfg.Trace = r.ladders.Trace
	}
	if r.box.saving() {
		cfg.Done, cfg.Lone, cfg.Plain = r.done, r.lone, nil
	}
	r.tracker = assembler.NewParallel(cfg, r.manyTrackers())
}

// manyTrackers is how many trackers follow connections beside the goroutine
// that reads: one where connections are numbered, or their packets saved,
// before the end.
func (r *reading) manyTrackers() int {
	switch {
	case r.stream != nil, r.ladders != nil, r.box.saving():
		return 1
	case r.trackers > 0:
		return r.trackers
	}
	return usualTrackers
}

// done takes a connection whose packets may be wanted: they will be gone from
// the ring when the whole capture is known, so that what is saved says what
// its own packets tell.
func (r *reading) done(c *assembler.Conn) {
	r.analysis.Add(c)
	if v := r.analysis.Preview(c); v.Severity() > 0 && r.filter.Keeps(c, &v) {
		r.box.save(c, &v, r.env(), "")
	}
	r.box.forget(c)
}

// env is what verdicts depend on as of now.
func (r *reading) env() classify.Env {
	env := r.analysis.Env()
	env.EncapName = r.src.Encap
	return env
}

func (r *reading) lone(l *assembler.Lone) {
	l.Expand(&r.expanded)
	r.done(&r.expanded)
}

// Inputs tells the black box of the captures, as they were when they were
// opened: it asks from the tracker's goroutine, while they are read.
func (r *reading) Inputs() []capture.Input { return r.opened }

// InterfaceName is not known of files.
func (r *reading) InterfaceName(uint16) string { return "" }

var errInterrupted = errors.New("interrupted: what was read until then is reported")

// interrupted tells when the user has pressed Ctrl-C, from now until release.
// A pipe is read on: the same key reached the program that writes to it,
// which flushes its last packets and ends. A second Ctrl-C kills.
func interrupted(names []string) (stop *atomic.Bool, release func()) {
	stop = new(atomic.Bool)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case <-c:
			signal.Stop(c)
			stop.Store(!slices.Contains(names, "-"))
		case <-done:
		}
	}()
	return stop, func() { signal.Stop(c); close(done) }
}

// follow feeds the tracker until the source ends, enough packets were seen,
// or it is told to stop. It returns their number and the latest time among
// them.
func (c *command) follow(src capture.Source, t *assembler.Parallel, stop *atomic.Bool) (packets uint64, last int64, err error) {
	for c.count == 0 || packets < c.count {
		b := t.Fresh()
		if err = src.Next(b); err != nil {
			break
		}
		if stop.Load() {
			err = errInterrupted
			break
		}
		if left := c.count - packets; c.count > 0 && uint64(b.Len()) > left {
			b.Truncate(int(left))
		}
		last = b.Latest(last)
		if packets < fewPackets && packets+uint64(b.Len()) >= fewPackets {
			debug.SetGCPercent(gcPercent)
		}
		packets += uint64(b.Len())
		t.Batch()
	}
	if err == io.EOF {
		err = nil
	}
	return packets, last, err
}

// sink is where the report goes; finish is told whether all is well.
func (c *command) sink() (w io.Writer, finish func(ok bool) error, err error) {
	if c.out != "" && c.out != "-" {
		return output.Create("-o", c.out)
	}
	w, finish = c.page(), func(bool) error { return nil }
	if f := terminal(c.page()); f != nil {
		w = colorable.NewColorable(f)
	}
	return w, finish, nil
}
