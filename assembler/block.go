package assembler

import (
	"unsafe"

	"hangup/capture"
	"hangup/capture/prefetch"
)

// blockSize is how many packets go through the passes of flush together: so
// many that what the next pass needs is there when it begins, so few that it
// is still in the nearest cache when it is used.
const blockSize = 64

// block is the memory of flush.
type block struct {
	room [blockSize]capture.Packet // where packets are decoded
}

// take takes packets about TCP of the current batch, by their numbers there.
func (t *Tracker) take(mine []uint32) {
	t.ahead(mine[:min(blockSize, len(mine))])
	for len(mine) > 0 {
		n := min(blockSize, len(mine))
		t.ahead(mine[n:min(n+blockSize, len(mine))])
		t.flush(mine[:n])
		mine = mine[n:]
	}
}

// ahead has the frames of a block fetched, and the slots where the searches
// for their tuples begin, while the one before it is taken.
func (t *Tracker) ahead(mine []uint32) {
	var slots, frames [blockSize]unsafe.Pointer
	for i, at := range mine {
		s := &t.slips[at]
		slots[i%blockSize], frames[i%blockSize] = t.table.first(s.Tag), t.batch.Frame(s)
	}
	prefetch.Records(slots[:len(mine)], 1)
	prefetch.Records(frames[:len(mine)], 2*64)
}

// flush takes a block of packets, in passes: each has the memory fetched that
// the next but one needs. Only the last pass decides anything, and it relies
// on nothing that the others found: a packet before it may have changed the
// table.
func (t *Tracker) flush(mine []uint32) {
	var refs [blockSize]ref
	var flows [blockSize]*flow // what refs name, if flows
	var packets [blockSize]*capture.Packet
	n := len(mine)
	t.seek(mine, &refs, &flows)
	for i, at := range mine {
		packets[i%blockSize] = t.batch.Packet(&t.slips[at], &t.block.room[i%blockSize])
	}
	t.fetchCold(flows[:n], packets[:n])
	for i, p := range packets[:n] {
		at := mine[i]
		t.number = t.before + uint64(at) + 1
		if p.Kind == capture.TCP {
			t.tcp(p, t.slips[at].Tag, refs[i], flows[i])
		} else {
			t.icmp(p, t.slips[at].Tag)
		}
	}
}

// seek guesses which records the packets belong to, and has them fetched.
func (t *Tracker) seek(mine []uint32, refs *[blockSize]ref, flows *[blockSize]*flow) {
	var whole, small [blockSize]unsafe.Pointer
	n, m := 0, 0
	for i, at := range mine {
		r := t.table.guess(t.slips[at].Tag)
		refs[i%blockSize] = r
		switch r.kind() {
		case aFlow:
			f := t.flows.at(r.index())
			flows[i%blockSize], whole[n%blockSize] = f, unsafe.Pointer(f)
			n++
		case aNoted:
			whole[n%blockSize] = unsafe.Pointer(t.noted.at(r.index()))
			n++
		case aLone:
			small[m%blockSize] = unsafe.Pointer(t.lones.at(r.index()))
			m++
		}
	}
	prefetch.Records(whole[:n], unsafe.Sizeof(flow{}))
	prefetch.Records(small[:m], unsafe.Sizeof(lone{}))
}

// fetchCold has fetched what a sender's first packet of a kind needs besides.
func (t *Tracker) fetchCold(flows []*flow, packets []*capture.Packet) {
	var colds, ends [blockSize]unsafe.Pointer
	n := 0
	for i, f := range flows {
		if f == nil {
			continue
		}
		s := Client
		if packets[i].SrcPort == f.sport {
			s = Server
		}
		if f.sides[s].letters&letterOf(packets[i]) == 0 {
			k := t.cold(f)
			colds[n%blockSize], ends[n%blockSize] = unsafe.Pointer(k), unsafe.Pointer(&k.ends[s])
			n++
		}
	}
	prefetch.Records(colds[:n], 64)
	prefetch.Records(ends[:n], unsafe.Sizeof(coldEnd{}))
}
