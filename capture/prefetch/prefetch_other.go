//go:build !amd64 && !arm64

// Package prefetch has the processor fetch memory before it is needed, where
// it can be told to.
package prefetch

import "unsafe"

// Records does nothing on this processor.
func Records([]unsafe.Pointer, uintptr) {}
