package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"hangup/classify"
	"hangup/output"
)

type options struct {
	read                        []string
	format, out, color          string
	all, causes, quiet, verbose bool
	help, version, numeric      bool
	plain                       bool // without findings
	explain                     string
	wanted                      output.Wanted
	failOn                      []string
	os                          string
	count                       uint64
	width, limit                int
	bounds
	chosen
	live

	show   output.Format
	system classify.System
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
	o.chosen.flags(f)
	o.bounds.flags(f)
	o.live.flags(f)
	f.StringVar(&o.format, "format", "", "")
	f.StringVarP(&o.out, "output", "o", "", "")
	f.BoolVarP(&o.all, "all", "a", false, "")
	f.IntVar(&o.limit, "limit", 10, "")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "")
	f.BoolVar(&o.plain, "no-findings", false, "")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "")
	f.IntVar(&o.width, "width", 0, "")
	f.StringVar(&o.os, "os", "auto", "")
	f.StringVar(&o.color, "color", "auto", "")
	f.StringSliceVar(&o.failOn, "fail-on", nil, "")
	f.StringSliceVar(&o.wanted.Class, "class", nil, "")
	f.StringSliceVar(&o.wanted.Cause, "cause", nil, "")
	f.StringSliceVar(&o.wanted.By, "by", nil, "")
	f.StringSliceVar(&o.wanted.Host, "host", nil, "")
	f.StringSliceVar(&o.wanted.Port, "port", nil, "")
	f.StringVar(&o.wanted.Since, "since", "", "")
	f.StringVar(&o.wanted.Until, "until", "", "")
	f.StringSliceVar(&o.wanted.Conn, "conn", nil, "")
	f.StringVar(&o.wanted.SocketsAt, "ss-at", "", "")
	f.BoolVar(&o.wanted.States, "states", false, "")
	f.StringVar(&o.explain, "explain", "", "")
	f.BoolVar(&o.causes, "causes", false, "")
	f.BoolVarP(&o.numeric, "numeric", "n", false, "")
	f.BoolVarP(&o.version, "version", "V", false, "")
	f.BoolVarP(&o.help, "help", "h", false, "")
	return f
}

// empty finds a flag that was given nothing, as an unset variable of a shell
// gives it: taking that for no selection, or for an alarm that never rings,
// would look like an answer. An empty filter is tcpdump's way to ask for all.
func empty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		value := strings.Trim(f.Value.String(), "[]")
		if strings.TrimSpace(value) == "" && f.Name != "filter" && f.Name != "read" {
			err = fmt.Errorf("--%s: nothing behind it; give it a value, or leave it out", f.Name)
		}
	})
	return err
}

// check finds what is wrong with the flags' values.
func (c *command) check() (err error) {
	if c.format == "" {
		c.format = "text"
		if c.watching() && terminal(c.page()) == nil {
			c.format = "ndjson" // somebody's program reads it
		}
	}
	if c.show, err = output.ParseFormat(c.format); err != nil {
		return err
	}
	c.color, c.os = output.PlainName(c.color), output.PlainName(c.os)
	if !slices.Contains([]string{"auto", "always", "never"}, c.color) {
		return fmt.Errorf("--color %s: no such choice; type auto, always or never", c.color)
	}
	switch {
	case c.width < 0:
		return fmt.Errorf("--width %d: a page has no such width; type a number of columns, such as 100", c.width)
	case c.limit < 0:
		return fmt.Errorf("--limit %d: fewer than none; type 0 for all", c.limit)
	}
	var known bool
	if c.system, known = classify.ParseSystem(c.os); !known {
		return fmt.Errorf("--os %s: no such system; type auto, linux, darwin or windows", c.os)
	}
	if c.quiet && c.verbose {
		return errors.New("-q and -v contradict each other; drop one")
	}
	if c.explain != "" {
		if c.cause, err = output.ParseCause("--explain", c.explain); err != nil {
			return err
		}
	}
	if c.alarm, err = output.ParseAlarm(c.failOn); err != nil {
		return err
	}
	if c.filter, err = output.ParseFilter(c.wanted); err != nil {
		return err
	}
	if err := c.filter.Fits(c.show); err != nil {
		return err
	}
	return c.live.check(&c.options)
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
