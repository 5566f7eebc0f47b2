package assembler

import "hangup/capture"

// blockSize is how many packets go through the passes of flush together: so
// many that the waits for memory overlap, so few that what was fetched is
// still in the nearest cache when it is used.
const blockSize = 64

// block is a run of packets about TCP of the current batch.
type block struct {
	n     int
	index [blockSize]uint32 // in the batch
	tags  [blockSize]uint32
	sink  uint32 // what the passes have read, lest the reads be optimised away
}

// add takes packet i of the batch into the block, and tells whether that is
// full now.
func (b *block) add(i, tag uint32) (full bool) {
	n := b.n % blockSize
	b.index[n], b.tags[n] = i, tag
	b.n = n + 1
	return n == blockSize-1
}

// flush carries the block out, in passes: each reads what the next one needs,
// in loops so short that many waits for memory run side by side. Only the
// last pass decides anything, and it relies on nothing that the others found:
// a packet before it may have changed the table.
func (t *Tracker) flush() {
	b, n := &t.block, t.block.n
	packets := t.batch.Packets
	var refs [blockSize]ref
	var flows [blockSize]*flow // what refs name, if flows
	b.sink += t.table.touch(b.tags[:n])
	for i, tag := range b.tags[:n] {
		r := t.table.guess(tag)
		refs[i] = r
		if r.kind() == aFlow {
			flows[i] = t.flows.at(r.index())
		}
	}
	b.sink += touchFlows(flows[:n]) + touchSent(flows[:n], packets, b.index[:n])
	for i, at := range b.index[:n] {
		p := &packets[at]
		t.number = t.before + uint64(at) + 1
		if p.Kind == capture.TCP {
			t.tcp(p, b.tags[i], refs[i], flows[i])
		} else {
			t.icmp(p, b.tags[i])
		}
	}
	b.n = 0
}

// touchFlows reads the flows' first two cache lines.
func touchFlows(flows []*flow) (sum uint32) {
	for _, f := range flows {
		if f != nil {
			sum += f.client
		}
	}
	return sum
}

// touchSent reads what the packets' senders have in the flows.
func touchSent(flows []*flow, packets []capture.Packet, index []uint32) (sum uint32) {
	for i, f := range flows {
		if f == nil {
			continue
		}
		from := Client
		if packets[index[i]].SrcPort == f.sport {
			from = Server
		}
		x := &f.sides[from]
		sum += x.packets + x.unacked.high
	}
	return sum
}

// aboutTCP reports whether p is anything to a tracker.
func aboutTCP(p *capture.Packet) bool { return p.Kind == capture.TCP || p.Kind == capture.ICMPError }
