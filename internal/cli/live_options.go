package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"hangup/output"
)

// live are the options of live capture.
type live struct {
	ifaces        []string
	list          bool
	quietly       bool // not promiscuous
	snaplen       uint32
	buffer        int // KiB, as tcpdump has it
	duration      time.Duration
	write         string
	writeBytes    size // of each file, 0 if there is one only
	writeFiles    int
	save          string
	saveFiles     int
	saveBytes     size
	metrics       string
	metricsHosts  int
	kernel, blind bool // the kernel's events; without looking for processes
}

// watching reports whether packets come from interfaces.
func (l *live) watching() bool { return len(l.ifaces) > 0 }

func (l *live) flags(f *pflag.FlagSet) {
	f.StringSliceVarP(&l.ifaces, "interface", "i", nil, "")
	f.BoolVarP(&l.list, "list-interfaces", "D", false, "")
	f.BoolVarP(&l.quietly, "no-promiscuous-mode", "p", false, "")
	f.Uint32VarP(&l.snaplen, "snapshot-length", "s", 0, "")
	f.IntVarP(&l.buffer, "buffer-size", "B", 32<<10, "")
	f.DurationVar(&l.duration, "duration", 0, "")
	f.StringVarP(&l.write, "write", "w", "", "")
	f.Var(&l.writeBytes, "write-bytes", "")
	f.IntVar(&l.writeFiles, "write-files", 0, "")
	f.StringVar(&l.save, "save-abnormal", "", "")
	f.IntVar(&l.saveFiles, "save-files", 1000, "")
	l.saveBytes = 1 << 30
	f.Var(&l.saveBytes, "save-bytes", "")
	f.StringVar(&l.metrics, "metrics", "", "")
	f.IntVar(&l.metricsHosts, "metrics-hosts", 0, "")
	f.BoolVar(&l.kernel, "kernel-events", false, "")
	f.BoolVar(&l.blind, "no-processes", false, "")
}

// check finds what does not go together.
func (l *live) check(o *options) error {
	switch {
	case l.saveFiles < 1:
		return fmt.Errorf("--save-files %d: keeps nothing; type 1 or more", l.saveFiles)
	case l.writeFiles < 0 || l.writeFiles > 0 && l.writeBytes == 0:
		return errors.New("--write-files is the number of files that --write-bytes cuts; type both")
	case (l.writeBytes > 0 || l.writeFiles > 0) && l.write == "":
		return errors.New("--write-bytes and --write-files go with -w FILE")
	case l.write == "-" && o.out == "-":
		return errors.New("-w - and -o - would mix packets and report; name a file for one of them")
	}
	if !l.watching() {
		for name, set := range map[string]bool{
			"--duration": l.duration != 0, "--metrics": l.metrics != "", "--kernel-events": l.kernel,
		} {
			if set {
				return fmt.Errorf("%s goes with live capture; name an interface: -i any", name)
			}
		}
		return nil
	}
	switch {
	case len(o.read) > 0:
		return errors.New("-i and -r contradict each other; drop one")
	case o.show == output.FormatJSON || o.show == output.FormatCSV:
		return fmt.Errorf("--format %s needs the whole capture; with -i type --format ndjson, or -w FILE and analyse that", o.format)
	case o.filter.Sockets() || o.filter.NeedsWhole():
		return errors.New("--ss-at, --states, --since, --until and --conn look at a whole capture; with -i type -w FILE and analyse that")
	case l.buffer < 128 || l.buffer > 4<<20:
		return fmt.Errorf("-B %d: the ring needs 128 to %d KiB", l.buffer, 4<<20)
	case l.metricsHosts < 0 || l.metricsHosts > 0 && l.metrics == "":
		return errors.New("--metrics-hosts is a number of hosts, and goes with --metrics")
	case l.duration < 0:
		return fmt.Errorf("--duration %s: goes backwards; type 30s or 2h", l.duration)
	}
	return nil
}
