// Storypcap compiles a story (see package story) to a pcap file.
//
//	go run ./internal/story/storypcap testdata/stories/orderly-close.txt > out.pcap
//	go run ./internal/story/storypcap testdata/stories/orderly-close.txt | tcpdump -r - -nvv --number
//
// Labels and the numbers of their packets go to standard error.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"hangup/internal/story"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: storypcap FILE > OUT.pcap")
		return 2
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		fmt.Fprintf(stderr, "storypcap: %v\n", err)
		return 1
	}
	s, err := story.Parse(data)
	if err != nil {
		fmt.Fprintf(stderr, "storypcap: %s: %v\n", args[0], err)
		return 1
	}
	out, err := s.Pcap()
	if err == nil {
		_, err = stdout.Write(out)
	}
	if err != nil {
		fmt.Fprintf(stderr, "storypcap: %v\n", err)
		return 1
	}
	labels := s.Labels()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(stderr, "#%s is packet %d\n", name, labels[name])
	}
	return 0
}
