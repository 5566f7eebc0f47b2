package capture

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOptions reads option lists. want is compared without the fields that
// every segment has.
func TestOptions(t *testing.T) {
	tests := []struct {
		name    string
		flags   Flags
		options []byte
		want    Packet
	}{
		{"none", ACK, nil, Packet{}},
		{"Linux SYN", SYN, join([]byte{2, 4, 5, 180, 4, 2, 8, 10}, be32(11), be32(0), []byte{1, 3, 3, 7}),
			Packet{Options: OptMSS | OptSACKPermitted | OptTimestamps | OptWScale, MSS: 1460, TSVal: 11, WScale: 7}},
		{"timestamps", ACK, timestamps(1<<31, 3), Packet{Options: OptTimestamps, TSVal: 1 << 31, TSEcr: 3}},
		{"timestamps unaligned", ACK, join([]byte{8, 10}, be32(5), be32(6)), Packet{Options: OptTimestamps, TSVal: 5, TSEcr: 6}},
		{"SACK behind timestamps", ACK, join(timestamps(1, 2), []byte{1, 1, 5, 18}, be32(100), be32(200), be32(300), be32(400)),
			Packet{Options: OptTimestamps | OptSACK, TSVal: 1, TSEcr: 2, SACK: [2]uint32{100, 200}}},
		{"end before rubbish", ACK, []byte{1, 0, 8, 77}, Packet{}},
		{"window scale 200", SYN, []byte{3, 3, 200}, Packet{Options: OptWScale, WScale: 200}},
		{"fast open request", SYN, []byte{34, 2, 1, 1}, Packet{Options: OptFastOpen}},
		{"fast open cookie", SYN, []byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8}, Packet{Options: OptFastOpen}},
		{"experimental fast open", SYN, []byte{254, 4, 0xf9, 0x89}, Packet{Options: OptFastOpen}},
		{"another experiment", SYN, []byte{254, 4, 0xe2, 0xd4}, Packet{}},
		{"MD5", ACK, append([]byte{19, 18}, make([]byte, 16)...), Packet{Options: OptMD5}},
		{"authentication", ACK, append([]byte{29, 16}, make([]byte, 14)...), Packet{Options: OptMD5}},
		{"MP_CAPABLE", SYN, []byte{30, 4, 0x01, 0x81}, Packet{Options: OptMPCapable}},
		{"MP_JOIN", SYN, join([]byte{30, 12, 0x10, 2}, be32(0xdeadbeef), be32(9)), Packet{Options: OptMPJoin, MPToken: 0xdeadbeef}},
		{"MP_JOIN answered", SYN | ACK, append([]byte{30, 16, 0x10, 2}, make([]byte, 12)...), Packet{Options: OptMPJoin}},
		{"DSS", ACK, []byte{30, 8, 0x20, 0x01, 0, 0, 0, 1}, Packet{Options: OptMPOther}},
		{"DATA_FIN", ACK, append([]byte{30, 18, 0x20, 0x15}, make([]byte, 14)...), Packet{Options: OptMPDataFIN}},
		{"DSS and ADD_ADDR", ACK, []byte{30, 8, 0x20, 0x10, 0, 0, 0, 1, 30, 8, 0x30, 1, 192, 0, 2, 1}, Packet{Options: OptMPDataFIN | OptMPOther}},
		{"MP_FAIL", ACK, append([]byte{30, 12, 0x60, 0}, make([]byte, 8)...), Packet{Options: OptMPFail}},
		{"MP_FASTCLOSE", RST | ACK, append([]byte{30, 12, 0x70, 0}, make([]byte, 8)...), Packet{Options: OptMPFastClose}},
		{"MP_TCPRST", RST, []byte{30, 4, 0x80, 3}, Packet{Options: OptMPReset}},
		{"MPTCP of no subtype", ACK, []byte{30, 2, 1, 1}, Packet{Options: OptBroken}},
		{"unknown option", ACK, []byte{99, 4, 1, 2, 3, 3, 5}, Packet{Options: OptWScale, WScale: 5}},

		{"length 0", SYN, []byte{2, 4, 1, 2, 3, 0, 8, 10}, Packet{Options: OptMSS | OptBroken, MSS: 0x102}},
		{"length 1", SYN, []byte{3, 3, 4, 8, 1}, Packet{Options: OptWScale | OptBroken, WScale: 4}},
		{"length beyond the list", SYN, []byte{2, 4, 1, 2, 8, 10, 1, 1}, Packet{Options: OptMSS | OptBroken, MSS: 0x102}},
		{"kind without length", SYN, []byte{3, 3, 4, 8}, Packet{Options: OptWScale | OptBroken, WScale: 4}},
		{"MSS of 3 bytes goes on", SYN, []byte{2, 3, 1, 3, 3, 6, 1, 1}, Packet{Options: OptWScale | OptBroken, WScale: 6}},
		{"SACK of half a block", ACK, []byte{5, 6, 1, 2, 3, 4}, Packet{Options: OptBroken}},
		{"timestamps with a wrong length", ACK, []byte{8, 6, 1, 2, 3, 4, 4, 2}, Packet{Options: OptBroken | OptSACKPermitted}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(linkRaw)
			p := b.decode(v4(hostA, hostB, protocolTCP, segment(1, 2, 3, 4, test.flags, test.options, []byte("x"))))
			b.check(t, &p)
			got := Packet{Options: p.Options, MSS: p.MSS, WScale: p.WScale, TSVal: p.TSVal, TSEcr: p.TSEcr, SACK: p.SACK, MPToken: p.MPToken}
			if diff := cmp.Diff(test.want, got); diff != "" || p.Kind != TCP || b.payload(&p) != "x" {
				t.Errorf("kind %d, -want +got\n%s", p.Kind, diff)
			}
		})
	}
}

// TestHeaderCut shortens a segment with options byte by byte: what is left
// of its header must still be told.
func TestHeaderCut(t *testing.T) {
	options := join([]byte{2, 4, 5, 180, 4, 2, 8, 10}, be32(11), be32(22), []byte{1, 3, 3, 7})
	frame := v4(hostA, hostB, protocolTCP, segment(1, 2, 3, 4, SYN, options, []byte("data")))
	for n := 20; n < 60; n++ {
		b := newBench(linkRaw)
		p := b.cut(frame, n)
		b.check(t, &p)
		if n < 34 {
			if p.Kind != Bad || p.Problem != TCPTruncated {
				t.Errorf("%d bytes: kind %d, %q", n, p.Kind, p.Problem)
			}
			continue
		}
		want := Packet{Kind: TCP, SrcPort: 1, DstPort: 2, Seq: 3, Ack: 4, Flags: SYN, Len: 4, Options: OptBroken, Traits: HasIPID | DontFrag | SnapCut | HeaderCut}
		for _, f := range []struct {
			bytes int
			set   func()
		}{
			{36, func() { want.Window = 0x2000 }},
			{44, func() { want.MSS, want.Options = 1460, want.Options|OptMSS }},
			{46, func() { want.Options |= OptSACKPermitted }},
			{56, func() { want.TSVal, want.TSEcr, want.Options = 11, 22, want.Options|OptTimestamps }},
		} {
			if n >= f.bytes {
				f.set()
			}
		}
		want.Src, want.Dst, want.Off = p.Src, p.Dst, uint32(len("something before the frame"))+uint32(n)
		want.Time, want.Iface, want.TTL, want.IPID = p.Time, p.Iface, p.TTL, p.IPID
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("%d bytes: -want +got\n%s", n, diff)
		}
	}
}

// TestFlags has every control bit arrive where it belongs.
func TestFlags(t *testing.T) {
	b := newBench(linkRaw)
	for bits := range Flags(1 << 9) {
		p := b.decode(v4(hostA, hostB, protocolTCP, segment(1, 2, 3, 4, bits, nil, nil)))
		if p.Flags != bits {
			t.Fatalf("%09b became %09b", bits, p.Flags)
		}
	}
}
