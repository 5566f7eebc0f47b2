// Hangup answers from packets alone: who hung up, how, why, and what did
// each side's Go program see.
//
//	hangup [flags] [FILE...]
//
// It reads pcap and pcapng files, plain or within gzip, zstd or lz4, whatever
// their names; several in the order of their packets, as one capture, so that
// rotated files can be named in any order. DIR/... is every capture below a
// directory. - is standard input, and so is a pipe when no file is named.
//
//	hangup trace.pcap
//	hangup 'trace-*.pcap.gz'
//	tcpdump -i eth0 -w - tcp | hangup
//
// # The report
//
// First comes what was read, and what was wrong with it: packets dropped or
// cut by the capture, a file that broke off. Then the findings, F1 the most
// harmful: what many connections together say about the system, such as
// sockets that are never closed, ports that run out, idle connections cut by
// a middlebox, a server that was down. Each says what it means, names examples
// and packets, and what to do. Then a table of how many connections ended how.
// Then every way to end badly is spelled out by one example: who hung up, the
// packets that prove it, what the Go programs at both ends saw, which other
// reading the packets leave open, and what to do. Ends that are alike (same
// server, same cause, same party) make one group, the most harmful first.
//
//	hangup --all trace.pcap
//	hangup -v --limit 3 trace.pcap
//	hangup -q trace.pcap
//
// --all lists every connection, -v tells findings in full and adds error texts
// and marks, -q keeps to header, titles of findings and table. --no-findings
// needs the least memory: no connection is kept but the examples. A line of outcomes such as
//
//	client  Read or Write → ECONNRESET once · then Read → EOF · Write → EPIPE
//
// says what successive calls return after the end. Packets have the numbers
// that Wireshark gives them, behind the number of their file if there are
// several. All times are UTC. Names are never resolved.
//
// # One connection
//
//	hangup --conn 17 trace.pcap
//	hangup --conn 192.0.2.1:56732 trace.pcap
//
// draws the packets of one connection as a ladder: time, the states of both
// ends, relative sequence numbers, what each packet is, and where each
// program learned of the end. Long runs are folded, unless --all is given.
//
// # Sockets
//
//	hangup --ss-at 03:04:05 trace.pcap
//	hangup --ss-at 12.5 --host 192.0.2.1 trace.pcap
//	hangup --states trace.pcap
//
// --ss-at lists what `ss -tan` would have shown at a moment, on one host or on
// all, with the connection's number; ? stands where no packet tells. --states
// plots the number of sockets by state, host by host. Both have a JSON form.
//
// # Selection
//
//	hangup --class reset,half-open --host 192.0.2.0/24 trace.pcap
//	hangup --cause abortive-close --by server --port 8000-8999 trace.pcap
//	hangup --since 03:04:05 --until 03:05:00 trace.pcap
//
// --since and --until take RFC 3339, a time of day in UTC, or seconds from
// the start of the capture; they keep connections of which any part lies
// between. Verdicts always rest on all packets read.
//
//	hangup --causes
//	hangup --explain close-wait-leak
//
// # For programs
//
//	hangup --format json -o report.json trace.pcap
//	hangup --format ndjson trace.pcap
//	hangup --format csv trace.pcap
//	hangup --fail-on reset,close-wait-leak,finding:never-closed trace.pcap
//
// The fields are described by output/report.schema.json. The exit status is
// 0 when the input was analysed, whatever was found; 1 when there was trouble
// with the input or the run, and what was analysed is reported all the same;
// 2 for wrong usage; 3 when a connection is of a class or cause that --fail-on
// names, or a finding of that kind was made. The report goes to standard output, messages to standard
// error.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-colorable"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/output"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const (
	exitDone = iota
	exitTrouble
	exitUsage
	exitAlarm
)

// usageError is wrong usage, which exits 2.
type usageError struct{ error }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	h := &hangup{stdin: stdin, stdout: stdout, stderr: stderr}
	alarm, err := h.main(args)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		h.complain(usage.error)
		return exitUsage
	case err != nil:
		h.complain(err)
	}
	switch {
	case alarm:
		return exitAlarm
	case err != nil:
		return exitTrouble
	}
	return exitDone
}

type hangup struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	options
}

// complain prints one line per error.
func (h *hangup) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(h.stderr, "hangup: %s\n", line)
	}
}

type options struct {
	read                        []string
	format, out, color          string
	all, causes, quiet, verbose bool
	help, version, numeric      bool
	plain                       bool // without findings
	explain                     string
	wanted                      output.Wanted
	failOn                      []string
	count                       uint64
	width, limit                int

	show   output.Format
	cause  classify.Cause
	filter *output.Filter
	alarm  *output.Alarm
}

func (o *options) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("hangup", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {} // output.Usage has the texts, by purpose
	f.StringArrayVarP(&o.read, "read", "r", nil, "")
	f.Uint64VarP(&o.count, "count", "c", 0, "")
	f.StringVar(&o.format, "format", "text", "")
	f.StringVarP(&o.out, "output", "o", "", "")
	f.BoolVarP(&o.all, "all", "a", false, "")
	f.IntVar(&o.limit, "limit", 10, "")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "")
	f.BoolVar(&o.plain, "no-findings", false, "")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "")
	f.IntVar(&o.width, "width", 0, "")
	f.StringVar(&o.color, "color", "auto", "")
	f.StringSliceVar(&o.failOn, "fail-on", nil, "")
	f.StringSliceVar(&o.wanted.Class, "class", nil, "")
	f.StringSliceVar(&o.wanted.Cause, "cause", nil, "")
	f.StringSliceVar(&o.wanted.By, "by", nil, "")
	f.StringSliceVar(&o.wanted.Host, "host", nil, "")
	f.StringSliceVar(&o.wanted.Port, "port", nil, "")
	f.StringVar(&o.wanted.Since, "since", "", "")
	f.StringVar(&o.wanted.Until, "until", "", "")
	f.StringVar(&o.wanted.Conn, "conn", "", "")
	f.StringVar(&o.wanted.SocketsAt, "ss-at", "", "")
	f.BoolVar(&o.wanted.States, "states", false, "")
	f.StringVar(&o.explain, "explain", "", "")
	f.BoolVar(&o.causes, "causes", false, "")
	f.BoolVarP(&o.numeric, "numeric", "n", false, "")
	f.BoolVarP(&o.version, "version", "V", false, "")
	f.BoolVarP(&o.help, "help", "h", false, "")
	return f
}

// main does what args ask for. It reports whether --fail-on was hit.
func (h *hangup) main(args []string) (alarm bool, err error) {
	flags := h.flags()
	if err := flags.Parse(args); err != nil {
		return false, usageError{misspelt(err, flags)}
	}
	if err := h.check(); err != nil {
		return false, usageError{err}
	}
	switch {
	case h.help:
		_, err := io.WriteString(h.stdout, output.Usage)
		return false, err
	case h.version:
		_, err := fmt.Fprintln(h.stdout, version())
		return false, err
	case h.causes:
		return false, output.Causes(h.stdout, classify.Rules(), h.style())
	case h.explain != "":
		return false, output.Explain(h.stdout, h.cause, classify.Rules(), h.style())
	}
	names, err := h.inputs(flags.Args())
	if err != nil {
		return false, usageError{err}
	}
	if len(names) == 0 {
		io.WriteString(h.stderr, output.Usage)
		return false, usageError{errors.New("no capture named; give a file, or pipe one in")}
	}
	return h.report(names)
}

// check finds what is wrong with the flags' values.
func (h *hangup) check() (err error) {
	if h.show, err = output.ParseFormat(h.format); err != nil {
		return err
	}
	if !slices.Contains([]string{"auto", "always", "never"}, h.color) {
		return fmt.Errorf("--color %s: no such choice; type auto, always or never", h.color)
	}
	if h.quiet && h.verbose {
		return errors.New("-q and -v contradict each other; drop one")
	}
	if h.explain != "" {
		if h.cause, err = output.ParseCause("--explain", h.explain); err != nil {
			return err
		}
	}
	if h.alarm, err = output.ParseAlarm(h.failOn); err != nil {
		return err
	}
	if h.filter, err = output.ParseFilter(h.wanted); err != nil {
		return err
	}
	return h.filter.Fits(h.show)
}

// misspelt makes an error of pflag's say what to type instead.
func misspelt(err error, flags *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w; hangup -h shows all flags", err)
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if best := output.Closest(unknown.GetSpecifiedName(), names); best != "" && unknown.GetSpecifiedShortnames() == "" {
		return fmt.Errorf("%w; did you mean --%s?", err, best)
	}
	return fmt.Errorf("%w; hangup -h shows all flags", err)
}

func version() string {
	v := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	return fmt.Sprintf("hangup %s %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// terminal is x's file if that is a terminal, else nil.
func terminal(x any) *os.File {
	if f, ok := x.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

func (h *hangup) columns() int {
	if h.width > 0 {
		return h.width
	}
	if f := terminal(h.stdout); f != nil {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// coloured decides by --color, whether the report goes to a terminal, and
// the environment (https://no-color.org).
func coloured(when string, tty bool, getenv func(string) string) bool {
	if when == "auto" {
		return tty && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	}
	return when == "always"
}

func (h *hangup) style() output.Style {
	on := coloured(h.color, h.out == "" && terminal(h.stdout) != nil, os.Getenv)
	return output.Style{Width: h.columns(), Palette: output.NewPalette(on), Limit: h.limit, All: h.all, Verbose: h.verbose, Quiet: h.quiet}
}

// inputs are the captures named, patterns expanded; standard input if none is
// named and it is a pipe.
func (h *hangup) inputs(args []string) ([]string, error) {
	names, err := capture.Expand(append(slices.Clone(h.read), args...))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && terminal(h.stdin) == nil {
		names = []string{"-"}
	}
	if slices.Contains(names, "-") && terminal(h.stdin) != nil {
		return nil, errors.New("standard input is a terminal; pipe a capture into it: tcpdump -w - tcp | hangup -")
	}
	return names, nil
}

// report analyses the captures and prints what was found. An error means
// trouble, but what could be analysed is printed before it is returned.
func (h *hangup) report(names []string) (alarm bool, err error) {
	w, finish, err := h.sink()
	if err != nil {
		return false, err
	}
	var ladders *output.Ladders
	if h.filter.Conn != (output.ConnSpec{}) && h.show == output.FormatText {
		ladders = output.NewLadders(h.filter.Conn, h.limit, h.all)
	}
	all, trouble := h.analyse(names, ladders)
	if all == nil {
		return false, errors.Join(trouble, finish(false))
	}
	r := output.Select(*all, h.filter)
	if err := output.Remark(all, r); err != nil {
		h.complain(err)
	}
	if !h.plain && h.show != output.FormatCSV && ladders == nil && !h.filter.Sockets() || h.alarm.NeedsFindings() {
		r.Findings = output.Findings(*all, h.filter)
	}
	switch {
	case h.filter.Sockets():
		err = output.Sockets(w, h.show, *all, h.filter, h.style())
	case ladders != nil:
		err = ladders.Draw(w, r, h.style())
	default:
		err = output.Print(w, h.show, r, h.style())
	}
	return h.alarm.Rings(r), errors.Join(trouble, err, finish(err == nil))
}

// A report that shows examples keeps this many connections at the most:
// findings rest on all of them, about 1 kB each; without findings a few
// thousand do, and of more only the examples are kept.
const (
	wholeFindings = 1 << 18
	whole         = 1 << 12
)

// analyse runs the captures through the rooms. The report is nil if no input
// could be read.
func (h *hangup) analyse(names []string, ladders *output.Ladders) (*output.Report, error) {
	stop, release := interrupted(names)
	defer release()
	open := capture.OpenConfig{Stdin: h.stdin}
	if f := terminal(h.stderr); f != nil && !h.quiet {
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
	if h.show == output.FormatText && !h.all && h.filter.Empty() && !h.filter.Sockets() && !h.alarm.NeedsFindings() {
		a.Whole = wholeFindings
		if h.plain {
			a.Whole = whole
		}
	}
	cfg := assembler.Config{Done: a.Add}
	if ladders != nil {
		cfg.Trace = ladders.Trace
	}
	t := assembler.New(cfg)
	packets, last, err := h.follow(src, t, stop)
	trouble := []error{err}
	env := classify.Env{EncapName: src.Encap, Truncated: err != nil}
	inputs := src.Inputs()
	for i := range inputs {
		in := &inputs[i]
		trouble = append(trouble, in.Err)
		env.Truncated = env.Truncated || in.Err != nil
		env.End = max(env.End, in.Last, in.End)
	}
	if h.count > 0 && packets == h.count || errors.Is(err, errInterrupted) {
		env.End = last // packets beyond it were read but not looked at
	}
	a.Ends(env)
	t.Finish()
	a.Finish(env)
	return &output.Report{Inputs: inputs, Packets: packets, Conns: a, Env: env,
		OrphanICMP: t.OrphanICMP(), Withheld: a.Bounded() && !h.plain}, errors.Join(trouble...)
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
func (h *hangup) follow(src capture.Source, t *assembler.Tracker, stop *atomic.Bool) (packets uint64, last int64, err error) {
	var b capture.Batch
	for h.count == 0 || packets < h.count {
		if err = src.Next(&b); err != nil {
			break
		}
		if stop.Load() {
			err = errInterrupted
			break
		}
		if left := h.count - packets; h.count > 0 && uint64(len(b.Packets)) > left {
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
func (h *hangup) sink() (w io.Writer, finish func(ok bool) error, err error) {
	if h.out != "" && h.out != "-" {
		return output.Create("-o", h.out)
	}
	w, finish = h.stdout, func(bool) error { return nil }
	if f := terminal(h.stdout); f != nil {
		w = colorable.NewColorable(f)
	}
	return w, finish, nil
}
