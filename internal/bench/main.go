// Bench generates the captures of package generate and measures hangup
// against the peers that are installed, in turn on the same file:
//
//	go run ./internal/bench                    # all files, five runs
//	go run ./internal/bench -files web,churn -runs 9 -dir /var/tmp/bench
//	go run ./internal/bench -generate          # only write the files
//	go run ./internal/bench -scale 0.01        # small ones, for a quick look
//	go run ./internal/bench -live              # what a live capture loses
//
// Each run takes hangup and every peer once, so that a noisy machine hits
// them alike; the table shows the medians of their ratios to
// `tcpdump -r FILE -w /dev/null` in the same run. Files are kept and reused.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hangup/internal/generate"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "-live" {
		return live(args[1:], stdout, stderr)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("dir", "bench-data", "where the captures are kept")
	files := fs.String("files", "web,hdr,churn,syn", "which captures")
	runs := fs.Int("runs", 5, "runs per file and program")
	scale := fs.Float64("scale", 1, "size of the captures, relative to the standard ones")
	only := fs.Bool("generate", false, "only write the captures")
	binary := fs.String("hangup", "", "hangup binary to measure; built from this tree if empty")
	slow := fs.Bool("slow", false, "also run the slow peers (tshark, argus, tcptrace)")
	if fs.Parse(args) != nil {
		return 2
	}
	if err := bench(*dir, strings.Split(*files, ","), *runs, *scale, *only, *binary, *slow, stdout); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func bench(dir string, names []string, runs int, scale float64, only bool, binary string, slow bool, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var captures []string
	for _, m := range generate.Mixes {
		for _, n := range names {
			if n != m.Name {
				continue
			}
			path, err := prepare(dir, m, scale)
			if err != nil {
				return err
			}
			captures = append(captures, path)
		}
	}
	if only {
		return nil
	}
	if binary == "" {
		var err error
		if binary, err = build(dir); err != nil {
			return err
		}
	}
	return measure(stdout, binary, captures, runs, slow)
}

// prepare writes the mix's capture and its truth, unless they are there.
func prepare(dir string, m generate.Mix, scale float64) (string, error) {
	name := m.Name
	if scale != 1 {
		name = fmt.Sprintf("%s-%g", m.Name, scale)
		m.Connections = max(1, int(float64(m.Connections)*scale))
		m.Concurrent = max(1, int(float64(m.Concurrent)*scale))
	}
	path := filepath.Join(dir, name+".pcap")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	w, err := os.Create(path + ".part")
	if err != nil {
		return "", err
	}
	defer w.Close()
	truth, err := os.Create(filepath.Join(dir, name+".truth"))
	if err != nil {
		return "", err
	}
	defer truth.Close()
	if _, err := generate.Write(w, truth, m); err != nil {
		return "", err
	}
	return path, os.Rename(path+".part", path)
}
