package assembler

import (
	"runtime"
	"unsafe"
)

// An arena is where a tracker's large slabs of records lie: beside Go's heap,
// if the system offers that. The collector lets its heap grow by a share of
// all that is alive before it looks for garbage; records that hold no pointer,
// and are not garbage until the end, would only make it wait longer. And of a
// mapping only what was written to takes memory.
type arena struct {
	mapped []mapping
}

// mapping is given back with the arena, at the latest when that is garbage.
type mapping struct {
	bytes   []byte
	cleanup runtime.Cleanup
}

// arenaMin is the least (bytes) that is worth a mapping.
const arenaMin = 1 << 20

// fresh returns n records, all zero. T must not hold pointers. They are gone
// with the arena.
func fresh[T any](a *arena, n int) []T {
	var t T
	size := n * int(unsafe.Sizeof(t))
	if size < arenaMin {
		return make([]T, n)
	}
	b := mapMemory(size)
	if b == nil {
		return make([]T, n)
	}
	a.mapped = append(a.mapped, mapping{b, runtime.AddCleanup(a, unmapMemory, b)})
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// release gives all back.
func (a *arena) release() {
	for _, m := range a.mapped {
		m.cleanup.Stop()
		unmapMemory(m.bytes)
	}
	a.mapped = nil
}
