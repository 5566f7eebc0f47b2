package capture

import "math"

// decoder turns records into packets. It keeps what spans packets: pending
// IP fragments and the names of the tunnels seen. One goroutine decodes;
// only encap may be called from another.
type decoder struct {
	fragmented fragmentTable
	encaps     encapTable
	passed     [maxNested]nesting // of the packet being decoded, see encapStack
}

func newDecoder() *decoder { return &decoder{} }

// decode fills *p from the frame of r, which lies in b.Data. Every field is
// set but Ref. The payload of a datagram rebuilt from fragments is appended
// to b.Data, so bytes between its length and its capacity are not the
// caller's to keep anything in.
func (d *decoder) decode(b *Batch, r *record, p *Packet) {
	*p = Packet{Time: r.time, Iface: r.iface, Traits: r.traits}
	if uint64(r.off)+uint64(r.capLen) > uint64(len(b.Data)) {
		p.Kind, p.Problem = Bad, RecordLength
		return
	}
	frame := b.Data[r.off : r.off+r.capLen]
	if !decodeFast(p, r, frame) {
		d.follow(b, r, p, frame)
	}
}

// follow is decode without the fast path, for a p of which only Time, Iface
// and Traits are set.
func (d *decoder) follow(b *Batch, r *record, p *Packet, frame []byte) {
	w := walk{d: d, b: b, p: p, rest: frame, off: r.off, wire: r.capLen}
	if r.wireLen > r.capLen && r.wireLen <= maxRecord {
		w.wire = r.wireLen
	}
	w.run(w.link(r.link))
	if p.Kind == TCP || p.Kind == ICMPError {
		p.Encap = d.encaps.note(&w)
	}
}

// encap describes a key that decode put into Packet.Encap; "" for 0. It may
// be called while another goroutine decodes.
func (d *decoder) encap(key uint32) string { return d.encaps.describe(key) }

// room reports whether n more bytes can lie in the batch and still be
// reached by a 32-bit offset.
func (b *Batch) room(n uint32) bool {
	return uint64(len(b.Data))+uint64(n) <= math.MaxUint32
}
