#include "textflag.h"

// func records(at *unsafe.Pointer, n int, size uintptr)
TEXT ·records(SB), NOSPLIT, $0-24
	MOVQ at+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ size+16(FP), DX

record:
	MOVQ (SI), AX
	LEAQ (AX)(DX*1), BX

line:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	CMPQ AX, BX
	JCS  line
	ADDQ $8, SI
	DECQ CX
	JNZ  record
	RET
