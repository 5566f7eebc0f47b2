package assembler

import "hangup/capture"

// blockSize is how many packets go through the passes of flush together: so
// many that the waits for memory overlap, so few that what was fetched is
// still in the nearest cache when it is used.
const blockSize = 64

// block is a run of packets about TCP, and what is known of each.
type block struct {
	n       int
	packets [blockSize]*capture.Packet
	tags    [blockSize]uint32
	numbers [blockSize]uint64 // of the packets in the whole input, from 1
	refs    [blockSize]ref
	flows   [blockSize]*flow // what refs name, if flows
	sink    uint32           // what the passes have read, lest the reads be optimised away
}

// add takes the next packet about TCP into the block.
func (t *Tracker) add(p *capture.Packet, tag uint32, number uint64) {
	b := &t.block
	i := b.n % blockSize
	b.packets[i], b.tags[i], b.numbers[i] = p, tag, number
	if b.n++; b.n == blockSize {
		t.flush()
	}
}

// flush carries the block out, in passes: each reads what the next one needs,
// in loops so short that many waits for memory run side by side. Only the
// last pass decides anything, and it relies on nothing that the others found:
// a packet before it may have changed the table.
func (t *Tracker) flush() {
	b, n := &t.block, t.block.n
	b.sink += t.table.touch(b.tags[:n])
	for i, tag := range b.tags[:n] {
		r := t.table.guess(tag)
		b.refs[i], b.flows[i] = r, nil
		if r.kind() == aFlow {
			b.flows[i] = t.flows.at(r.index())
		}
	}
	b.sink += touchFlows(b.flows[:n]) + touchSent(b.flows[:n], b.packets[:n])
	for i, p := range b.packets[:n] {
		t.number = b.numbers[i]
		if p.Kind == capture.TCP {
			t.tcp(p, b.tags[i], b.refs[i])
		} else {
			t.icmp(p, b.tags[i])
		}
	}
	b.n = 0
}

// touchFlows reads the flows' first cache lines.
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
		x := &f.sent[from]
		sum += x.packets + x.len
	}
	return sum
}

// aboutTCP reports whether p is anything to a tracker.
func aboutTCP(p *capture.Packet) bool { return p.Kind == capture.TCP || p.Kind == capture.ICMPError }
