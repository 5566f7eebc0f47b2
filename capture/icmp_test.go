package capture

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const router4, router6 = "198.51.100.9", "2001:db8:99::9"

func icmpError(kind, code byte, rest uint32, quoted []byte) []byte {
	return v4(router4, hostA, protocolICMP, join([]byte{kind, code, 0, 0}, be32(rest), quoted))
}

func icmp6Error(kind, code byte, rest uint32, quoted []byte) []byte {
	return v6(router6, hostC, protocolICMPv6, join([]byte{kind, code, 0, 0}, be32(rest), quoted))
}

// mapped is an address as packets have it.
func mapped(s string) (a [16]byte) {
	b := addr(s)
	if len(b) == 4 {
		a[10], a[11] = 0xff, 0xff
	}
	copy(a[16-len(b):], b)
	return a
}

// TestICMP reads errors that quote the segment of innerV4 or innerV6.
func TestICMP(t *testing.T) {
	in4, in6 := innerV4(false), innerV6(false)
	length := uint32(len(hello))
	v6Quote := func(next byte, payload []byte) []byte { return v6(hostC, hostD, next, payload) }
	tests := []struct {
		name   string
		frame  []byte
		kind   uint8
		code   uint8
		mtu    uint16
		flags  Flags
		ack    uint32
		length uint32
	}{
		{"port unreachable", icmpError(3, 3, 0, in4), 3, 3, 0, ACK | PSH, 900, length},
		{"eight bytes quoted", icmpError(3, 1, 0, in4[:28]), 3, 1, 0, 0, 0, 0},
		{"fourteen bytes quoted", icmpError(3, 13, 0, in4[:34]), 3, 13, 0, ACK | PSH, 900, length},
		{"fragmentation needed", icmpError(3, 4, 1400, in4), 3, 4, 1400, ACK | PSH, 900, length},
		{"fragmentation needed by an old router", icmpError(3, 4, 0, in4[:28]), 3, 4, 0, 0, 0, 0},
		{"time exceeded", icmpError(11, 0, 0, in4), 11, 0, 0, ACK | PSH, 900, length},
		{"source quench", icmpError(4, 0, 0, in4), 4, 0, 0, ACK | PSH, 900, length},
		{"redirect whose gateway looks like a length", icmpError(5, 1, 0x0a200001, join(in4, make([]byte, 100))), 5, 1, 0, ACK | PSH, 900, length},
		{"parameter problem", icmpError(12, 0, 0, in4), 12, 0, 0, ACK | PSH, 900, length},
		{"quoted with options", icmpError(3, 3, 0, join(with(in4[:20], 0, 0x46, 0, 0, byte(len(in4)+4)), make([]byte, 4), in4[20:])), 3, 3, 0, ACK | PSH, 900, length},
		{"extension behind the quote", icmpError(11, 0, 32<<16, join(in4[:28], make([]byte, 100), []byte{0x20, 0, 0, 0}, make([]byte, 8))), 11, 0, 0, 0, 0, 0},
		{"first fragment quoted", icmpError(3, 4, 576, with(in4, 6, 0x20, 0)), 3, 4, 576, ACK | PSH, 900, 0},
		{"no route", icmp6Error(1, 0, 0, in6), 1, 0, 0, ACK | PSH, 900, length},
		{"packet too big", icmp6Error(2, 0, 1280, in6), 2, 0, 1280, ACK | PSH, 900, length},
		{"packet too big for a jumbo link", icmp6Error(2, 0, 70000, in6), 2, 0, 65535, ACK | PSH, 900, length},
		{"hop limit", icmp6Error(3, 0, 0, in6[:48]), 3, 0, 0, 0, 0, 0},
		{"parameter problem with a pointer", icmp6Error(4, 1, 0x20000006, join(in6, make([]byte, 300))), 4, 1, 0, ACK | PSH, 900, length},
		{"options quoted", icmp6Error(1, 4, 0, v6Quote(protocolOptions, extension(protocolTCP, make([]byte, 14), in6[40:]))), 1, 4, 0, ACK | PSH, 900, length},
		{"first fragment quoted, IPv6", icmp6Error(1, 4, 0, v6Quote(protocolFragment, join([]byte{6, 0, 0, 1, 0, 0, 0, 1}, in6[40:]))), 1, 4, 0, ACK | PSH, 900, 0},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			b := newBench(linkEthernet)
			six := test.frame[0]>>4 == 6
			p := b.decode(ether(either[uint16](six, 0x86dd, 0x0800), join(test.frame, make([]byte, 20))))
			b.check(t, &p)
			want := Packet{
				Kind: ICMPError, ICMPType: test.kind, ICMPCode: test.code, MTU: test.mtu,
				Router: mapped(either(six, router6, router4)), Src: mapped(either(six, hostC, hostA)), Dst: mapped(either(six, hostD, hostB)),
				SrcPort: 40000, DstPort: 80, Seq: 100, Ack: test.ack, Flags: test.flags, Len: test.length,
				Traits: either(six, IPv6, HasIPID|DontFrag), TTL: either[uint8](six, 62, 61), IPID: either[uint16](six, 0, 0x1234),
				Link: macAValue, Iface: 3, Time: p.Time, Window: p.Window,
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestICMPOther are messages that say nothing of a TCP segment.
func TestICMPOther(t *testing.T) {
	in4, in6 := innerV4(false), innerV6(false)
	tests := map[string][]byte{
		"echo":                      icmpError(8, 0, 0, in4),
		"ICMPv6 echo":               icmp6Error(128, 0, 0, in6),
		"of four bytes":             v4(router4, hostA, protocolICMP, []byte{3, 3, 0, 0}),
		"quote of seven bytes":      icmpError(3, 3, 0, in4[:27]),
		"UDP quoted":                icmpError(3, 3, 0, with(in4, 9, protocolUDP)),
		"a later fragment quoted":   icmpError(11, 1, 0, with(in4, 6, 0, 9)),
		"IPv6 quoted by IPv4":       icmpError(3, 3, 0, in6),
		"IPv4 quoted by IPv6":       icmp6Error(1, 4, 0, in4),
		"header of 16 bytes quoted": icmpError(3, 3, 0, with(in4, 0, 0x44)),
		"tunnel quoted":             icmpError(3, 3, 0, outer(false, 4, in4)),
		"UDP quoted by IPv6":        icmp6Error(1, 4, 0, with(in6, 6, protocolUDP)),
		"options without end":       icmp6Error(1, 4, 0, v6(hostC, hostD, protocolOptions, make([]byte, 200))),
		"later fragment of IPv6":    icmp6Error(1, 4, 0, v6(hostC, hostD, protocolFragment, join([]byte{6, 0, 0, 8, 0, 0, 0, 1}, in6[40:]))),
	}
	for name, frame := range tests {
		b := newBench(linkRaw)
		if p := b.decode(frame); p.Kind != Other {
			t.Errorf("%s: kind %d, %q", name, p.Kind, p.Problem)
		}
	}
}

// TestICMPInTunnel keeps the tunnel of the message, and its depth.
func TestICMPInTunnel(t *testing.T) {
	b := newBench(linkRaw)
	p := b.decode(outer(false, 4, icmpError(3, 3, 0, innerV4(false))))
	if p.Kind != ICMPError || p.Depth != 1 || b.dec.encap(p.Encap) != "ipip in 192.0.2.1 > 192.0.2.2" {
		t.Errorf("got %+v, %q", p, b.dec.encap(p.Encap))
	}
}
