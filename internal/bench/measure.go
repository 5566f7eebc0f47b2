package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// program is one that reads a capture.
type program struct {
	name string
	args func(file string) []string
	slow bool
}

var peers = []program{
	{name: "tcpdump", args: func(f string) []string { return []string{"tcpdump", "-r", f, "-w", "/dev/null"} }},
	{name: "capinfos", args: func(f string) []string { return []string{"capinfos", "-c", f} }},
	{name: "tshark", slow: true, args: func(f string) []string { return []string{"tshark", "-n", "-q", "-z", "conv,tcp", "-r", f} }},
	{name: "tcptrace", slow: true, args: func(f string) []string { return []string{"tcptrace", "-n", f} }},
	{name: "argus", slow: true, args: func(f string) []string { return []string{"argus", "-r", f, "-w", "/dev/null"} }},
}

// cost is what one run took.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // KiB, 0 where the system does not tell
}

// build compiles hangup as users do.
func build(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "hangup"))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "hangup")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %v\n%s", err, out)
	}
	return path, nil
}

func measure(w io.Writer, binary string, captures []string, runs int, slow bool) error {
	programs := []program{{name: "hangup", args: func(f string) []string { return []string{binary, f} }}}
	for _, p := range peers {
		if _, err := exec.LookPath(p.args("")[0]); err != nil || p.slow && !slow {
			continue
		}
		programs = append(programs, p)
	}
	if len(programs) < 2 || programs[1].name != "tcpdump" {
		return fmt.Errorf("tcpdump, which everything is measured against, is not installed")
	}
	describe(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "file\tprogram\tCPU/T\twall/T\tCPU s\twall s\tpeak RSS MB\t")
	for _, f := range captures {
		costs := make(map[string][]cost)
		for range runs {
			for _, p := range programs {
				c, err := once(p.args(f))
				if err != nil {
					return err
				}
				costs[p.name] = append(costs[p.name], c)
			}
		}
		for _, p := range programs {
			row(tw, filepath.Base(f), p.name, costs[p.name], costs["tcpdump"])
		}
	}
	return tw.Flush()
}

// once runs a program with its output thrown away.
func once(args []string) (cost, error) {
	cmd := exec.Command(args[0], args[1:]...)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %v", strings.Join(args, " "), err)
	}
	wall := time.Since(start)
	s := cmd.ProcessState
	c := cost{wall: wall, cpu: s.UserTime() + s.SystemTime()}
	c.rss = peakRSS(s)
	return c, nil
}

func row(w io.Writer, file, name string, costs, base []cost) {
	var cpu, wall, cpuS, wallS, rss []float64
	for i, c := range costs {
		cpu = append(cpu, c.cpu.Seconds()/base[i].cpu.Seconds())
		wall = append(wall, c.wall.Seconds()/base[i].wall.Seconds())
		cpuS, wallS = append(cpuS, c.cpu.Seconds()), append(wallS, c.wall.Seconds())
		rss = append(rss, float64(c.rss)/1024)
	}
	fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t\n", file, name, median(cpu), median(wall), median(cpuS), median(wallS), median(rss))
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// describe prints what the figures belong to.
func describe(w io.Writer) {
	fmt.Fprintf(w, "%s, %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, v := range [][]string{{"tcpdump", "--version"}, {"tshark", "--version"}} {
		if out, err := exec.Command(v[0], v[1:]...).CombinedOutput(); err == nil {
			line, _, _ := strings.Cut(string(out), "\n")
			fmt.Fprintf(w, ", %s", strings.TrimSuffix(line, "."))
		}
	}
	fmt.Fprintln(w)
}
