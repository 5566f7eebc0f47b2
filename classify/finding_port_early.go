package classify

import "hangup/assembler"

// portDial is what one dial did to ports.
type portDial struct {
	id       uint64
	began    int64
	lasted   int64 // until an orderly end
	fin      assembler.Stamp
	by       assembler.Side // who sent it
	orderly  bool
	held     span // from when until when the client's port was taken; to is 0 if it was not
	waits    int64
	waiting  bool
	serverTW span // likewise
	prev     uint64
}

// earlyDials keeps the first dials of each pair until it is known whether it
// dials often, so that its ports can be counted from the beginning, whichever
// connections end first. It holds the latest earlyMax of all pairs, of 112 bytes;
// a pair whose portsTimed first dials are farther apart has no rush for ports.
type earlyDials struct {
	ring []portDial
	n    uint64 // dials ever kept: the latest is number n
}

const earlyMax = 1 << 15

// keep keeps one more dial of the pair whose latest is number *chain.
func (e *earlyDials) keep(dial *portDial, chain *uint64) {
	switch len(e.ring) {
	case 0:
		e.ring = make([]portDial, earlyMax/16)
	case earlyMax:
	default:
		if e.n == uint64(len(e.ring)) {
			e.ring = append(make([]portDial, 0, earlyMax), e.ring...)[:earlyMax]
		}
	}
	d := &e.ring[e.n%uint64(len(e.ring))]
	*d, d.prev = *dial, *chain
	e.n++
	*chain = e.n
}

// before yields the dials of a pair, the latest first, as far as they are kept.
func (e *earlyDials) before(chain uint64, yield func(*portDial)) {
	for chain != 0 && chain+uint64(len(e.ring)) > e.n {
		d := &e.ring[(chain-1)%uint64(len(e.ring))]
		yield(d)
		chain = d.prev
	}
}
