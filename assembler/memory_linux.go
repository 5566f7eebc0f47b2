package assembler

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// advise asks for huge pages below fresh memory of records, which are visited
// in no order: with small pages the processor would look up an address each
// time. Whether the kernel complies does not matter.
func advise(p unsafe.Pointer, size uintptr) {
	const huge = 2 << 20
	skip := -uintptr(p) % huge
	if size >= skip+huge {
		whole := unsafe.Slice((*byte)(unsafe.Add(p, skip)), (size-skip)/huge*huge)
		_ = unix.Madvise(whole, unix.MADV_HUGEPAGE)
	}
}

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
