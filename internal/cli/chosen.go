package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"hangup/capture"
	"hangup/capture/filter"
)

// chosen are the packets to look at.
type chosen struct {
	expr string // tcpdump's filter language
	code string // file with its compiled form
	dump bool

	parsed  *filter.Expr
	program *filter.Program
}

func (k *chosen) flags(f *pflag.FlagSet) {
	f.StringVarP(&k.expr, "filter", "f", "", "")
	f.StringVar(&k.code, "bpf-file", "", "")
	f.BoolVarP(&k.dump, "dump-filter", "d", false, "")
}

// choose tells the filter from the captures among the arguments: with -i, -r
// and -d they are the filter, as tcpdump has it, else captures. It makes the
// filter ready.
func (c *command) choose(args []string) (names []string, err error) {
	if c.watching() || len(c.read) > 0 || c.dump {
		if err := c.expression(args); err != nil {
			return nil, err
		}
		args = nil
	}
	if c.code != "" {
		if c.expr != "" {
			return nil, errors.New("--bpf-file and a filter expression contradict each other; drop one")
		}
		c.program, err = readCode(c.code)
		return args, err
	}
	if c.expr == "" {
		return args, nil
	}
	if c.parsed, err = filter.Parse(c.expr); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	if !c.quiet {
		for _, w := range c.parsed.Warnings() {
			c.complain(errors.New("filter: " + w))
		}
	}
	return args, nil
}

// expression takes the arguments for a filter.
func (c *command) expression(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.expr != "" {
		return fmt.Errorf("two filters, -f %q and %q; join them by and", c.expr, strings.Join(args, " "))
	}
	for _, a := range args {
		if info, err := os.Stat(a); err == nil && info.Mode().IsRegular() {
			return fmt.Errorf("%s: with -i, -r or -d, what follows is a filter; name every capture by -r, or all without", a)
		}
	}
	c.expr = strings.Join(args, " ")
	return nil
}

func readCode(name string) (*filter.Program, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--bpf-file: %w", err)
	}
	defer f.Close()
	p, err := filter.ReadCode(f)
	if err != nil {
		return nil, fmt.Errorf("--bpf-file %s: %w; tcpdump -ddd writes what is read here", name, err)
	}
	return p, nil
}

// dumpFilter prints the filter's program: for the interface that -i names,
// else for the link type of the capture that -r names, else for Ethernet.
func (c *command) dumpFilter() error {
	program := c.program
	if program == nil {
		e := c.parsed
		if e == nil {
			e, _ = filter.Parse("")
		}
		var err error
		if program, err = c.compile(e); err != nil {
			return usageError{err}
		}
	}
	_, err := fmt.Fprintln(c.stdout, program)
	return err
}

const (
	linkEthernet = 1
	dumpSnaplen  = 262144 // tcpdump's
)

func (c *command) compile(e *filter.Expr) (*filter.Program, error) {
	switch {
	case c.watching():
		link, err := capture.LiveLink(c.ifaces[0])
		if err != nil {
			return nil, err
		}
		return e.CompileLive(link, dumpSnaplen)
	case len(c.read) > 0:
		link, err := c.linkOf(c.read[0])
		if err != nil {
			return nil, err
		}
		return e.Compile(link, dumpSnaplen)
	}
	return e.Compile(linkEthernet, dumpSnaplen)
}

// linkOf is the link type of the first packet of a capture.
func (c *command) linkOf(name string) (link uint16, err error) {
	link = linkEthernet
	first := true
	src, err := capture.Open([]string{name}, capture.OpenConfig{Stdin: c.stdin, Tap: func(f *capture.Frame, _ *capture.Packet) {
		if first {
			link, first = f.Link, false
		}
	}})
	if err != nil {
		return 0, err
	}
	defer src.Close()
	if err := src.Next(new(capture.Batch)); err != nil && err != io.EOF {
		return 0, err
	}
	return link, nil
}
