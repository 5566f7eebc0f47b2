//go:build !linux

package assembler

import "unsafe"

func advise(unsafe.Pointer, uintptr) {}
