package assembler

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory returns so many bytes of zeros, nil if the system has none. It
// asks for huge pages: records are visited in no order, and with small pages
// the processor would look up an address each time. Whether the kernel
// complies does not matter.
func mapMemory(size int) []byte {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return b
}

// unmapMemory gives back what mapMemory returned.
func unmapMemory(b []byte) { _ = unix.Munmap(b) }

// discard gives memory of records that hold no pointers to the kernel, as far
// as it covers whole pages of its; they read as zeros from then on, or as
// what they were. It reports whether the kernel takes any.
func discard(p unsafe.Pointer, size uintptr) bool {
	page := uintptr(unix.Getpagesize())
	skip := -uintptr(p) % page
	if size < skip+page {
		return false
	}
	whole := unsafe.Slice((*byte)(unsafe.Add(p, skip)), (size-skip)/page*page)
	return unix.Madvise(whole, unix.MADV_DONTNEED) == nil
}
