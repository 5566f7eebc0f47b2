package prefetch

import (
	"testing"
	"unsafe"
)

// Whatever the addresses and sizes, nothing is read that could fault, and
// nothing changes.
func TestRecords(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(i)
	}
	at := []unsafe.Pointer{unsafe.Pointer(&b[0]), nil, unsafe.Pointer(&b[299]), unsafe.Pointer(&b[1])}
	for _, size := range []uintptr{0, 1, 64, 65, 256, 4096} {
		for n := range len(at) + 1 {
			Records(at[:n], size)
		}
	}
	for i := range b {
		if b[i] != byte(i) {
			t.Fatalf("byte %d changed", i)
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	m := make([]byte, 64<<10)
	at := make([]unsafe.Pointer, 64)
	for i := range at {
		at[i] = unsafe.Pointer(&m[i<<10])
	}
	for b.Loop() {
		Records(at, 256)
	}
}
