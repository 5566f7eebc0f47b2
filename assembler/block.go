package assembler

import "hangup/capture"

// blockSize is how many packets go through the passes of flush together: so
// many that the waits for memory overlap, so few that what was fetched, and
// the packets themselves, are still in the nearest cache when they are used.
const blockSize = 64

// block is the memory of flush.
type block struct {
	room [blockSize]capture.Packet // where packets are decoded
	sink uint32                    // what the passes have read, lest the reads be optimised away
}

// take takes packets about TCP of the current batch, by their numbers there.
func (t *Tracker) take(mine []uint32) {
	for len(mine) > 0 {
		n := min(blockSize, len(mine))
		t.flush(mine[:n])
		mine = mine[n:]
	}
}

// flush takes a block of packets, in passes: each reads what the next one
// needs, in loops so short that many waits for memory run side by side. Only
// the last pass decides anything, and it relies on nothing that the others
// found: a packet before it may have changed the table.
func (t *Tracker) flush(mine []uint32) {
	var tags [blockSize]uint32
	var packets [blockSize]*capture.Packet
	var refs [blockSize]ref
	var flows [blockSize]*flow // what refs name, if flows
	b, n := &t.block, len(mine)
	for i, at := range mine {
		s := &t.slips[at]
		tags[i%blockSize], packets[i%blockSize] = s.Tag, t.batch.Packet(s, &b.room[i%blockSize])
	}
	b.sink += t.table.touch(tags[:n])
	for i, tag := range tags[:n] {
		r := t.table.guess(tag)
		refs[i] = r
		if r.kind() == aFlow {
			flows[i] = t.flows.at(r.index())
		}
	}
	b.sink += touchFlows(flows[:n]) + touchSent(flows[:n], packets[:n])
	for i, p := range packets[:n] {
		t.number = t.before + uint64(mine[i]) + 1
		if p.Kind == capture.TCP {
			t.tcp(p, tags[i], refs[i], flows[i])
		} else {
			t.icmp(p, tags[i])
		}
	}
}

// touchFlows reads what both ends of the flows share.
func touchFlows(flows []*flow) (sum uint32) {
	for _, f := range flows {
		if f != nil {
			sum += f.client
		}
	}
	return sum
}

// touchSent reads what the packets' senders have in the flows.
func touchSent(flows []*flow, packets []*capture.Packet) (sum uint32) {
	for i, f := range flows {
		if f == nil {
			continue
		}
		from := Client
		if packets[i].SrcPort == f.sport {
			from = Server
		}
		x := &f.sides[from]
		sum += x.packets + x.unacked.high
	}
	return sum
}
