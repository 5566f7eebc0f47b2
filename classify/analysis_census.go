package classify

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// census estimates the number of hosts once there are too many to list
// (HyperLogLog: Flajolet et al. 2007; the standard error of 4096 registers is
// 1.6 %).
type census struct {
	registers *[1 << censusBits]uint8
}

const censusBits = 12

func (s *census) add(addr *[16]byte) {
	if s.registers == nil {
		s.registers = new([1 << censusBits]uint8)
	}
	h := binary.LittleEndian.Uint64(addr[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(addr[8:])
	h = (h ^ h>>33) * 0xff51afd7ed558ccd // MurmurHash3's finalizer
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	r := &s.registers[h>>(64-censusBits)]
	*r = max(*r, uint8(bits.LeadingZeros64(h<<censusBits|1)+1))
}

// size is about the number of hosts.
func (s *census) size() uint64 {
	sum := 0.0
	for _, r := range s.registers {
		sum += math.Ldexp(1, -int(r))
	}
	const m = 1 << censusBits
	return uint64(0.7213 / (1 + 1.079/m) * m * m / sum)
}
