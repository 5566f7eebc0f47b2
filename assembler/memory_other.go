//go:build !linux

package assembler

import "unsafe"

// mapMemory has nothing but Go's own heap to offer.
func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) {}

// discard gives nothing back: pools reuse what they hold.
func discard(unsafe.Pointer, uintptr) bool { return false }
