package assembler

const (
	maxHoles     = 4
	recentCopies = 4
)

type tuple struct {
	a, b   [16]byte
	ap, bp uint16
}

type dupKey struct{}
