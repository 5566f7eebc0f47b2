#include "textflag.h"

// func records(at *unsafe.Pointer, n int, size uintptr)
TEXT ·records(SB), NOSPLIT, $0-24
	MOVD at+0(FP), R0
	MOVD n+8(FP), R1
	MOVD size+16(FP), R2

record:
	MOVD.P 8(R0), R3
	ADD    R2, R3, R4

line:
	PRFM (R3), PLDL1KEEP
	ADD  $64, R3
	CMP  R4, R3
	BLO  line
	SUB  $1, R1
	CBNZ R1, record
	RET
