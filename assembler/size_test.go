package assembler

import (
	"math/bits"
	"testing"
	"unsafe"
)

// Records that the processor fetches line by line begin where a line does.
func TestRecordSizes(t *testing.T) {
	if bits.UintSize < 64 {
		t.Skip("64-bit layout")
	}
	if n := unsafe.Sizeof(flow{}); n != 256 {
		t.Errorf("a flow takes %d bytes", n)
	}
	if n := unsafe.Sizeof(lone{}); n != 64 {
		t.Errorf("a lone SYN takes %d bytes", n)
	}
	if at := unsafe.Offsetof(flow{}.sides); at != 64 {
		t.Errorf("what both ends share takes %d bytes", at)
	}
}
