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
	if n := unsafe.Sizeof(flow{}); n%128 != 0 {
		t.Errorf("a flow takes %d bytes", n)
	}
	if n := unsafe.Sizeof(lone{}); n != 64 {
		t.Errorf("a lone SYN takes %d bytes", n)
	}
	if at := unsafe.Offsetof(flow{}.sent); at%128 != 0 || unsafe.Sizeof(flowSent{}) != 128 {
		t.Errorf("what an end sent is at %d, %d bytes long", at, unsafe.Sizeof(flowSent{}))
	}
}
