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
