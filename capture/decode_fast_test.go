package capture

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slow decodes a record without the fast path.
func slow(b *Batch, r *record) Packet {
	p := Packet{Time: r.time, Iface: r.iface, Traits: r.traits}
	newDecoder().follow(b, r, &p, b.Data[r.off:r.off+r.capLen])
	return p
}

// TestFastAlike decodes everything that has no state twice, with and without
// the fast path.
func TestFastAlike(t *testing.T) {
	for _, c := range carriers() {
		frame := c.build(false)
		for n := range len(frame) + 1 {
			b := Batch{Data: frame[:n:n]}
			r := record{capLen: uint32(n), wireLen: uint32(len(frame)), link: c.link, traits: either(n < len(frame), SnapCut, 0)}
			var p Packet
			newDecoder().decode(&b, &r, &p)
			if diff := cmp.Diff(slow(&b, &r), p); diff != "" {
				t.Fatalf("%s cut at %d: -slow +fast\n%s", c.name, n, diff)
			}
		}
	}
}

// TestFastCorpus does the same with real packets, and sees to it that the
// fast path does the work where it should.
func TestFastCorpus(t *testing.T) {
	taken, segments := 0, 0
	for name := range corpusFiles(t) {
		eachRecord(t, name, func(b *Batch, r *record, p *Packet) {
			if p.Has(Reassembled) || p.Kind != TCP {
				return
			}
			segments++
			fast := Packet{Time: r.time, Iface: r.iface, Traits: r.traits}
			if !decodeFast(&fast, r, b.Data[r.off:r.off+r.capLen]) {
				return
			}
			taken++
			if diff := cmp.Diff(slow(b, r), fast); diff != "" {
				t.Fatalf("%s packet %d: -slow +fast\n%s", filepath.Base(name), r.number, diff)
			}
		})
	}
	if taken < segments*4/5 {
		t.Errorf("the fast path took %d of %d segments", taken, segments)
	}
}

// TestDecodeAllocs counts allocations once everything has been seen once:
// there must be none, of whatever a flood consists.
func TestDecodeAllocs(t *testing.T) {
	frames := benchFrames()
	payload := long(2000)
	for _, at := range pieces(len(payload), 1480) {
		frames = append(frames, struct {
			name  string
			link  uint16
			frame []byte
		}{"fragment", linkRaw, fragmentV4(payload, at)})
	}
	for _, c := range carriers() {
		if c.link != linkFDDI && c.link != linkPrism && c.link != linkPFLog { // gopacket's
			frames = append(frames, struct {
				name  string
				link  uint16
				frame []byte
			}{c.name, c.link, c.build(false)})
		}
	}
	d, batch := newDecoder(), Batch{}
	var r []record
	for _, f := range frames {
		r = append(r, record{off: uint32(len(batch.Data)), capLen: uint32(len(f.frame)), wireLen: uint32(len(f.frame)), link: f.link})
		batch.Data = append(batch.Data, f.frame...)
	}
	size := len(batch.Data)
	packets := make([]Packet, len(r))
	if n := testing.AllocsPerRun(100, func() {
		batch.Data = batch.Data[:size]
		for i := range r {
			d.decode(&batch, &r[i], &packets[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d packets", n, len(r))
	}
	for i := range packets {
		if packets[i].Kind != TCP && frames[i].name != "fragment" {
			t.Errorf("%s: kind %d", frames[i].name, packets[i].Kind)
		}
	}
}
