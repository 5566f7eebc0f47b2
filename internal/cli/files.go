package cli

import (
	"errors"
	"io"
	"os"
	"os/signal"
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
	names, err := capture.Expand(append(slices.Clone(c.read), args...))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && terminal(c.stdin) == nil {
		names = []string{"-"}
	}
	if slices.Contains(names, "-") && terminal(c.stdin) != nil {
		return nil, errors.New("standard input is a terminal; pipe a capture into it: tcpdump -w - tcp | hangup -")
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
	var ladders *output.Ladders
	if c.filter.Conn != (output.ConnSpec{}) && c.show == output.FormatText {
		ladders = output.NewLadders(c.filter.Conn, c.limit, c.all)
	}
	all, trouble := c.analyse(names, ladders)
	if all == nil {
		return false, errors.Join(trouble, finish(false))
	}
	r := output.Select(*all, c.filter)
	if err := output.Remark(all, r); err != nil {
		c.complain(err)
	}
	if !c.plain && c.show != output.FormatCSV && ladders == nil && !c.filter.Sockets() || c.alarm.NeedsFindings() {
		r.Findings = output.Findings(*all, c.filter)
	}
	switch {
	case c.filter.Sockets():
		err = output.Sockets(w, c.show, *all, c.filter, c.style())
	case ladders != nil:
		err = ladders.Draw(w, r, c.style())
	default:
		err = output.Print(w, c.show, r, c.style())
	}
	return c.alarm.Rings(r), errors.Join(trouble, err, finish(err == nil))
}

// whole is how many connections a report that shows examples keeps at the
// most; of more only the examples are.
const whole = 1 << 12

// analyse runs the captures through the rooms. The report is nil if no input
// could be read.
func (c *command) analyse(names []string, ladders *output.Ladders) (*output.Report, error) {
	stop, release := interrupted(names)
	defer release()
	open := capture.OpenConfig{Stdin: c.stdin}
	if f := terminal(c.stderr); f != nil && !c.quiet {
		width, _, _ := term.GetSize(int(f.Fd()))
		bar := output.NewProgress(f, width, time.Now())
		open.Progress = func(done, total int64) { bar.Update(done, total, time.Now()) }
		defer bar.Clear()
	}
	src, err := capture.Open(names, open)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	a := new(classify.Analysis)
	a.NoFindings = c.plain && !c.alarm.NeedsFindings()
	if c.show == output.FormatText && !c.all && c.filter.Empty() && !c.filter.Sockets() {
		a.Whole = whole
	}
	cfg := assembler.Config{Done: a.Add, Lone: a.AddLone}
	if ladders != nil {
		cfg.Trace = ladders.Trace
	}
	t := assembler.New(cfg)
	packets, last, err := c.follow(src, t, stop)
	trouble := []error{err}
	env := classify.Env{EncapName: src.Encap, Truncated: err != nil}
	inputs := src.Inputs()
	for i := range inputs {
		in := &inputs[i]
		trouble = append(trouble, in.Err)
		env.Truncated = env.Truncated || in.Err != nil
		env.End = max(env.End, in.Last, in.End)
	}
	if c.count > 0 && packets == c.count || errors.Is(err, errInterrupted) {
		env.End = last // packets beyond it were read but not looked at
	}
	a.Ends(env)
	t.Finish()
	a.Finish(env)
	return &output.Report{Inputs: inputs, Packets: packets, Conns: a, Env: env,
		OrphanICMP: t.OrphanICMP()}, errors.Join(trouble...)
}

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
func (c *command) follow(src capture.Source, t *assembler.Tracker, stop *atomic.Bool) (packets uint64, last int64, err error) {
	var b capture.Batch
	for c.count == 0 || packets < c.count {
		if err = src.Next(&b); err != nil {
			break
		}
		if stop.Load() {
			err = errInterrupted
			break
		}
		if left := c.count - packets; c.count > 0 && uint64(len(b.Packets)) > left {
			b.Packets = b.Packets[:left]
		}
		for i := range b.Packets {
			last = max(last, b.Packets[i].Time)
		}
		t.Batch(&b)
		packets += uint64(len(b.Packets))
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
	w, finish = c.stdout, func(bool) error { return nil }
	if f := terminal(c.stdout); f != nil {
		w = colorable.NewColorable(f)
	}
	return w, finish, nil
}
