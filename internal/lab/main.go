//go:build linux

// Lab runs real Go programs over the real kernel and records what they were
// told, beside what was on the wire.
//
//	go run ./internal/lab [-run REGEXP] [-out DIR] [-j N] [-list] [-v] [-keep] [-selection] [-kernel]
//
// It needs root (network namespaces, packet sockets), Linux, and the commands
// ip, nft, ss and tcpdump. See README.md in its directory.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"

	"hangup/capture/host"
	"hangup/internal/lab/record"
)

func main() {
	// A role is started only by ourselves, and its output is a protocol.
	if len(os.Args) == 3 && os.Args[1] == "-role" {
		os.Exit(roleMain(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := orchestrate(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	run       *regexp.Regexp
	out       string
	jobs      int
	list      bool
	verbose   bool
	keep      bool
	selection bool
	kernel    bool
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("lab", flag.ContinueOnError)
	fs.SetOutput(stderr)
	run := fs.String("run", "", "only scenarios whose name matches the regular `expression`")
	fs.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "hangup-lab"), "`directory` for the recordings")
	fs.IntVar(&o.jobs, "j", 8, "scenarios at a time (most of a scenario is waiting)")
	fs.BoolVar(&o.list, "list", false, "list the scenarios and exit")
	fs.BoolVar(&o.verbose, "v", false, "print every scenario, not only those that fail")
	fs.BoolVar(&o.keep, "keep", false, "leave the namespaces for a look (the next run removes them)")
	fs.BoolVar(&o.selection, "selection", false, "only the scenarios that testdata/lab holds")
	fs.BoolVar(&o.kernel, "kernel", false, "record what the kernel's tracepoints say, too ("+record.KernelFile+")")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.run, err = regexp.Compile(*run)
	return o, err
}

func orchestrate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return 2
	}
	var chosen []Scenario
	for _, s := range catalogue() {
		if o.run.MatchString(s.Name) && (!o.selection || s.selected()) {
			chosen = append(chosen, s)
		}
	}
	if o.list {
		for _, s := range chosen {
			fmt.Fprintf(stdout, "%-50s %s\n", s.Name, s.About)
		}
		return 0
	}
	if why := unable(); why != "" {
		fmt.Fprintln(stderr, "lab:", why)
		return 1
	}
	sweep()
	var events *host.Events
	if o.kernel {
		if events, err = host.OpenEvents(host.Config{}); err != nil {
			fmt.Fprintln(stderr, "lab:", err)
			return 1
		}
		defer func() {
			if err := events.Close(); err != nil {
				fmt.Fprintln(stderr, "lab:", err)
			}
		}()
	}
	failed := runAll(ctx, chosen, o, events, stdout)
	fmt.Fprintf(stdout, "%d scenarios run, %d failed, recordings in %s\n", len(chosen), failed, o.out)
	if failed > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

// unable says why the laboratory cannot work here, "" when it can.
func unable() string {
	if os.Geteuid() != 0 {
		return "needs root: run it with sudo, or let CI run it"
	}
	for _, tool := range []string{"ip", "nft", "ss", "tcpdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs the command " + tool + ": install iproute2, nftables and tcpdump"
		}
	}
	probe := nsPrefix + strconv.Itoa(os.Getpid()) + "-probe"
	if err := command("", "", "ip", "netns", "add", probe); err != nil {
		return "network namespaces do not work here: " + err.Error()
	}
	removeNS(probe)
	return ""
}

// runAll runs the scenarios, longest first, so that the slow ones overlap
// with all the others.
func runAll(ctx context.Context, list []Scenario, o options, events *host.Events, stdout io.Writer) (failed int) {
	sort.SliceStable(list, func(i, j int) bool { return list[i].limit() > list[j].limit() })
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan int, max(1, o.jobs))
	for i := range cap(slots) {
		if events == nil {
			i = 0 // namespaces are enough to keep them apart
		}
		slots <- i
	}
	for i, s := range list {
		if ctx.Err() != nil {
			break
		}
		slot := <-slots
		wg.Go(func() {
			defer func() { slots <- slot }()
			start := time.Now()
			err := execute(ctx, s, fmt.Sprintf("%d-%d", os.Getpid(), i), filepath.Join(o.out, s.Name), o.keep, slot, events)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				fmt.Fprintf(stdout, "FAIL %s: %v\n", s.Name, err)
			} else if o.verbose {
				fmt.Fprintf(stdout, "ok   %s %.1fs\n", s.Name, time.Since(start).Seconds())
			}
		})
	}
	wg.Wait()
	return failed
}

func roleMain(arg string) int {
	c, err := parseConfig(arg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 2
	}
	return runRole(c, os.Stdin, os.Stdout)
}
