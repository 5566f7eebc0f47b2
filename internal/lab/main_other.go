//go:build !linux

// Lab runs real Go programs over the real Linux kernel; elsewhere it only
// says so.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "lab: needs Linux: its subject is what the Linux kernel tells Go programs")
	os.Exit(1)
}
