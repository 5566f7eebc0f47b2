//go:build !linux

package assembler

import "unsafe"

func advise(unsafe.Pointer, uintptr) {}

// discard gives nothing back: pools reuse what they hold.
func discard(unsafe.Pointer, uintptr) bool { return false }
