package capture

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode decodes a frame of every link type there is, whole and with a
// wire length beyond what was captured.
func FuzzDecode(f *testing.F) {
	for _, c := range carriers() {
		f.Add(c.link, uint16(0), c.build(false))
	}
	for _, l := range []uint16{linkEthernet, linkSLL, linkSLL2, linkRaw, linkNull, linkIPv6} {
		f.Add(l, uint16(7), icmpError(3, 4, 1400, innerV4(false)))
		f.Add(l, uint16(7), icmp6Error(2, 0, 1400, innerV6(false)))
	}
	f.Fuzz(func(t *testing.T, link, missing uint16, frame []byte) {
		b := newBench(link)
		b.batch.Data = append([]byte("before"), frame...)
		r := record{time: 5, off: 6, capLen: uint32(len(frame)), wireLen: uint32(len(frame)) + uint32(missing), iface: 1, link: link}
		var p Packet
		b.dec.decode(&b.batch, &r, &p)
		b.check(t, &p)
		if p.Time != 5 || p.Iface != 1 || p.Ref != 0 {
			t.Fatalf("record's fields are lost: %+v", p)
		}
		if diff := cmp.Diff(slow(&b.batch, &r), p); diff != "" {
			t.Fatalf("-slow +fast\n%s", diff)
		}
		if p.Encap != 0 && b.dec.encap(p.Encap) == "" {
			t.Fatalf("encapsulation %x has no name", p.Encap)
		}
	})
}

// FuzzTCPOptions reads a TCP header with any option list.
func FuzzTCPOptions(f *testing.F) {
	f.Add(uint16(SYN), timestamps(1, 2))
	f.Add(uint16(SYN), join([]byte{2, 4, 5, 180, 4, 2, 8, 10}, be32(11), be32(0), []byte{1, 3, 3, 7}))
	f.Add(uint16(ACK), join([]byte{30, 8, 0x20, 0x01, 0, 0, 0, 1, 5, 10}, be32(1), be32(2)))
	f.Fuzz(func(t *testing.T, flags uint16, options []byte) {
		options = options[:min(len(options), 40)]
		whole := segment(1, 2, 3, 4, Flags(flags)&0x1ff, options, []byte("data"))
		var p Packet
		decodeTCP(&p, whole, 0, uint32(len(whole)))
		if p.Kind != TCP || p.Len != 4 || p.CapLen != 4 || p.Seq != 3 || p.Ack != 4 || p.Flags != Flags(flags)&0x1ff {
			t.Fatalf("options broke the header: %+v", p)
		}
		if p.Options&OptMSS == 0 && p.MSS != 0 || p.Options&OptTimestamps == 0 && p.TSVal|p.TSEcr != 0 {
			t.Fatalf("values without their option: %+v", p)
		}
		for n := range len(whole) - 4 {
			var cut Packet
			decodeTCP(&cut, whole[:n], 0, uint32(len(whole)))
			if lost := cut.Options &^ p.Options &^ OptBroken; lost != 0 {
				t.Fatalf("cut at %d: options %b that the whole has not", n, lost)
			}
		}
	})
}

// FuzzFragments takes a script of fragments, six bytes each: what they are
// of, where they begin and end, how much was captured, and when they came.
// Whatever comes out must be made of bytes that went in.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 0, 0, 10, 200, 1, 0, 0, 10, 11, 200, 1})
	f.Add([]byte{1, 0, 5, 11, 200, 1, 1, 0, 0, 5, 3, 1})
	f.Add([]byte{2, 0, 0, 10, 200, 1, 2, 0, 5, 11, 200, 1, 2, 0, 0, 10, 200, 255})
	payload := long(56)
	f.Fuzz(func(t *testing.T, script []byte) {
		b := newBench(linkRaw)
		for ; len(script) >= 6; script = script[6:] {
			from := int(script[2]) % 11 * 8
			at := piece{from, min(from+int(script[3])%12*8, len(payload))}
			build := either(script[0]&1 == 0, fragmentV4, fragmentV6)
			frame := build(payload, at)
			if script[0]&1 == 0 {
				binary.BigEndian.PutUint16(frame[4:], uint16(script[0]>>1&3))
			} else {
				frame[47] = script[0] >> 1 & 3
			}
			b.now += int64(script[5]) * 1e9 / 4
			p := b.cut(frame, min(len(frame), int(script[4])))
			b.check(t, &p)
			if p.Kind == TCP && (p.Len != 56 || b.payload(&p) != string(payload[32:32+p.CapLen])) {
				t.Fatalf("made up: %+v", p)
			}
			pending, _ := b.dec.fragments()
			if pending > 8 || pending != uint64(maxPending-len(b.dec.fragmented.free)) && b.dec.fragmented.slots != nil {
				t.Fatalf("%d pending of 8 datagrams, %d free", pending, len(b.dec.fragmented.free))
			}
		}
	})
}
