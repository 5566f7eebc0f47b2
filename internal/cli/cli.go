// Package cli is hangup's command line: it reads the flags and wires capture,
// assembler, classify and output together, for files and for live capture.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/term"

	"hangup/classify"
	"hangup/output"
)

const (
	exitDone = iota
	exitTrouble
	exitUsage
	exitAlarm
)

// usageError is wrong usage, which exits 2.
type usageError struct{ error }

// Run does what args ask for, and returns the exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	alarm, err := c.main(args)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		c.complain(usage.error)
		return exitUsage
	case err != nil:
		c.complain(err)
	}
	switch {
	case alarm:
		return exitAlarm
	case err != nil:
		return exitTrouble
	}
	return exitDone
}

// command is one run of the program.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	trackers       int // how many follow the connections of files; 0 for what is best
	options
}

// complain prints one line per error, and what an error quotes, such as a name
// of a file, so that a terminal only shows it.
func (c *command) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(c.stderr, "hangup: %s\n", output.Harmless(line))
	}
}

// main does what args ask for. It reports whether --fail-on was hit.
func (c *command) main(args []string) (alarm bool, err error) {
	flags := c.flags()
	if err := flags.Parse(args); err != nil {
		return false, usageError{misspelt(err, flags)}
	}
	if err := errors.Join(empty(flags), c.bounds.check(flags)); err != nil {
		return false, usageError{err}
	}
	if err := c.check(); err != nil {
		return false, usageError{err}
	}
	switch {
	case c.help:
		_, err := io.WriteString(c.stdout, output.Usage)
		return false, err
	case c.version:
		_, err := fmt.Fprintln(c.stdout, version())
		return false, err
	case c.causes:
		return false, output.Causes(c.stdout, classify.Rules(), c.style())
	case c.explain != "":
		return false, output.Explain(c.stdout, c.cause, classify.Rules(), c.style())
	}
	args, err = c.choose(flags.Args())
	if err != nil {
		return false, usageError{err}
	}
	switch {
	case c.list:
		return false, c.interfaces()
	case c.dump:
		return false, c.dumpFilter()
	case c.watching():
		return c.watch()
	}
	names, err := c.inputs(args)
	if err != nil {
		return false, err
	}
	if len(names) == 0 {
		io.WriteString(c.stderr, output.Usage)
		return false, usageError{errors.New("no capture named; give a file, or pipe one in")}
	}
	return c.report(names)
}

func version() string {
	v := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	return fmt.Sprintf("hangup %s %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// page is where the report goes unless -o names a file: standard output, or
// standard error if packets go to that.
func (c *command) page() io.Writer {
	if c.write == "-" {
		return c.stderr
	}
	return c.stdout
}

// terminal is x's file if that is a terminal, else nil.
func terminal(x any) *os.File {
	if f, ok := x.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

func (c *command) columns() int {
	if c.width > 0 {
		return c.width
	}
	if f := terminal(c.page()); f != nil {
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

func (c *command) style() output.Style {
	on := coloured(c.color, c.out == "" && terminal(c.page()) != nil, os.Getenv)
	return output.Style{Width: c.columns(), Palette: output.NewPalette(on), Limit: c.limit, All: c.all, Verbose: c.verbose, Quiet: c.quiet}
}
