package blackbox

import (
	"bytes"
	"encoding/binary"

	"hangup/capture"
)

const (
	// keptFragments are remembered until the packet comes that completes
	// their datagram. Those of one pass within milliseconds; of other
	// protocols, which have no such packet, there may be many.
	keptFragments = 64

	// fragmentSpan is how long (ns) a datagram may take, as in package capture.
	fragmentSpan = 30e9
)

// fragments are the latest IP fragments, which belong to no connection yet.
type fragments struct {
	slots [keptFragments]fragment
	next  int
	mem   []byte // snaplen bytes for each
}

type fragment struct {
	header
	src, dst [16]byte
	id       uint16
	v6       bool
	waits    bool
}

// keep remembers a fragment.
func (x *fragments) keep(h *header, p *capture.Packet, data []byte) {
	room := len(x.mem) / keptFragments
	copy(x.mem[x.next*room:], data)
	x.slots[x.next] = fragment{*h, p.Src, p.Dst, p.IPID, p.Has(capture.IPv6), true}
	x.next = (x.next + 1) % keptFragments
}

// complete records the fragments of the datagram that a packet completes, in
// front of it. It reports whether there were any.
func (r *Recorder) complete(last *header, p *capture.Packet, frame []byte) (found bool) {
	x := &r.fragments
	room := len(x.mem) / keptFragments
	for i := range x.slots {
		at := (x.next + i) % keptFragments
		g := &x.slots[at]
		if !g.waits || last.time-g.time > fragmentSpan || !g.completedBy(frame) {
			continue
		}
		g.waits, found = false, true
		h := g.header
		h.hash, h.encap, h.seq, h.ack = last.hash, last.encap, last.seq, last.ack
		h.bits |= last.bits&bitLow | bitFragment
		r.room(uint64(h.size))
		r.chain(&h, p, x.mem[at*room:][:h.capLen])
	}
	return found
}

// addressDepth is how far into a frame the header of its outermost fragment
// is looked for: behind tags, labels, and perhaps another tunnel.
const addressDepth = 160

// completedBy finds the fragment's addresses and ID in the frame that
// completed some datagram. What was decoded from it will not do: that may be
// a packet within the datagram, with other addresses.
func (g *fragment) completedBy(frame []byte) bool {
	head := frame[:min(len(frame), addressDepth)]
	var pair [32]byte
	ends, id := append(append(pair[:0], g.src[:]...), g.dst[:]...), binary.BigEndian.AppendUint16(nil, g.id)
	if !g.v6 {
		ends = append(append(pair[:0], g.src[12:]...), g.dst[12:]...)
	}
	at := bytes.Index(head, ends)
	switch {
	case at < 0:
		return false
	case g.v6: // the ID is in an extension header
		return bytes.Contains(head[at+len(ends):], id)
	}
	return at >= 8 && bytes.Equal(head[at-8:at-6], id)
}
