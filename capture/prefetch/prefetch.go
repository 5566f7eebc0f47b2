//go:build amd64 || arm64

// Package prefetch has the processor fetch memory before it is needed, and go
// on at once: Go itself has no way to say so. What is read by a load instead
// holds up whatever comes after it.
package prefetch

import "unsafe"

// Records has the first size bytes of each record fetched, as cache lines of
// 64 bytes from its beginning. They need not be there: an address that no
// memory is at does no harm.
func Records(at []unsafe.Pointer, size uintptr) {
	if len(at) > 0 {
		records(unsafe.SliceData(at), len(at), size)
	}
}

//go:noescape
func records(at *unsafe.Pointer, n int, size uintptr)
