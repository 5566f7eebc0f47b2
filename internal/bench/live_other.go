//go:build !linux

package main

import (
	"fmt"
	"io"
)

func live(args []string, stdout, stderr io.Writer) int {
	fmt.Fprintln(stderr, "bench -live: live capture is for Linux")
	return 1
}
