package capture

import (
	"encoding/binary"
	"strings"
	"testing"
)

// with is b with some of its bytes replaced from at on.
func with(b []byte, at int, v ...byte) []byte {
	b = join(b)
	copy(b[at:], v)
	return b
}

// TestBad decodes frames that are broken, and ones that only look so.
func TestBad(t *testing.T) {
	inner := innerV4(false)
	vlans := []byte{}
	for range maxLayers {
		vlans = join(vlans, []byte{0, 1, 0x81, 0})
	}
	tests := []struct {
		name  string
		link  uint16
		frame []byte
		want  Problem // NoProblem is for kind Other
	}{
		{"no frame", linkEthernet, nil, LinkTruncated},
		{"half an Ethernet header", linkEthernet, ether(0x0800, nil)[:13], LinkTruncated},
		{"Ethernet header alone", linkEthernet, ether(0x0800, nil), IPTruncated},
		{"ARP", linkEthernet, ether(0x0806, make([]byte, 28)), NoProblem},
		{"unknown link type", 147, inner, LinkUnsupported},
		{"link type of 16 bits", 256 + linkEthernet, ether(0x0800, inner), LinkUnsupported},
		{"version 5", linkRaw, with(inner, 0, 0x55), IPVersion},
		{"IPv6 EtherType, IPv4 inside", linkEthernet, ether(0x86dd, inner), IPVersion},
		{"IPv4 link type, IPv6 inside", linkIPv4, innerV6(false), IPVersion},
		{"IPv6 link type, IPv4 inside", linkIPv6, inner, IPVersion},
		{"IPv4 of 19 bytes", linkRaw, inner[:19], IPTruncated},
		{"IPv4 header of 16 bytes", linkRaw, with(inner, 0, 0x44), IPHeaderLength},
		{"IPv4 header longer than packet", linkRaw, with(inner[:40], 0, 0x4f, 0, 0, 40), IPTotalLength},
		{"IPv4 total length 19", linkRaw, with(inner, 2, 0, 19), IPTotalLength},
		{"IPv6 of 39 bytes", linkRaw, innerV6(false)[:39], IPTruncated},
		{"extension past the packet", linkRaw, v6(hostC, hostD, protocolOptions, with(extension(6, nil, inner), 1, 200)), IPv6Extension},
		{"routing header cut", linkRaw, v6(hostC, hostD, protocolRouting, make([]byte, 7)), IPv6Extension},
		{"no next header", linkRaw, v6(hostC, hostD, 59, inner[20:]), NoProblem},
		{"ESP", linkRaw, v4(hostA, hostB, 50, inner), NoProblem},
		{"UDP", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(53, 53, inner)), NoProblem},
		{"UDP of 7 bytes", linkRaw, v4(hostA, hostB, protocolUDP, make([]byte, 7)), NoProblem},
		{"TCP of 13 bytes", linkRaw, v4(hostA, hostB, protocolTCP, inner[20:33]), TCPTruncated},
		{"TCP of 19 bytes", linkRaw, v4(hostA, hostB, protocolTCP, inner[20:39]), TCPHeaderLength},
		{"data offset 16", linkRaw, with(inner, 32, 0x40), TCPHeaderLength},
		{"data offset beyond segment", linkRaw, with(inner[:60], 2, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0xf0, 16), TCPHeaderLength},
		{"ICMP in IPv6", linkRaw, v6(hostC, hostD, protocolICMP, icmpError(3, 3, 0, inner)[20:]), NoProblem},
		{"ICMPv6 in IPv4", linkRaw, v4(hostA, hostB, protocolICMPv6, icmp6Error(1, 4, 0, innerV6(false))[40:]), NoProblem},
		{"VXLAN-GPE with its reserved byte set", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(1, portVXLANGPE, join([]byte{0x0c, 0, 0, 1, 0, 0, 42, 1}, inner))), NoProblem},
		{"GRE of 3 bytes", linkRaw, v4(hostA, hostB, protocolGRE, make([]byte, 3)), TunnelTruncated},
		{"GRE key cut", linkRaw, v4(hostA, hostB, protocolGRE, []byte{0x20, 0, 8, 0, 1}), TunnelTruncated},
		{"GRE source route", linkRaw, v4(hostA, hostB, protocolGRE, greHeader(greRouting, 0x0800, 0, inner)), NoProblem},
		{"PPTP acknowledgment", linkRaw, v4(hostA, hostB, protocolGRE, join(be16(greKey|greAcknowledge|1), be16(0x880b), make([]byte, 8))), NoProblem},
		{"ERSPAN II of 4 bytes", linkRaw, v4(hostA, hostB, protocolGRE, greHeader(greSequence, 0x88be, 0, make([]byte, 4))), TunnelTruncated},
		{"MPLS without bottom", linkEthernet, ether(0x8847, []byte{0, 1, 0, 64}), TunnelTruncated},
		{"MPLS of too many labels", linkEthernet, ether(0x8847, make([]byte, 4*maxLabels+4)), TooDeep},
		{"MPLS of something else", linkEthernet, ether(0x8847, join([]byte{0, 1, 1, 64}, make([]byte, 60))), NoProblem},
		{"VLANs without end", linkEthernet, ether(0x8100, vlans), TooDeep},
		{"VXLAN without its flag", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(1, portVXLAN, with(vxlanHeader(1, ether(0x0800, inner)), 0, 0))), NoProblem},
		{"Geneve options past the packet", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(1, portGeneve, []byte{0x3f, 0, 8, 0, 0, 0, 1, 0})), NoProblem},
		{"GTP echo", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(1, portGTP, []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0})), NoProblem},
		{"GTP extension of length 0", linkRaw, v4(hostA, hostB, protocolUDP, datagramUDP(1, portGTP, join([]byte{0x34, 255, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0x85, 0}, inner))), NoProblem},
		{"PPP of LCP", linkPPP, []byte{0xff, 3, 0xc0, 0x21, 1, 1, 0, 4}, NoProblem},
		{"PPPoE discovery code", linkPPPEther, []byte{0x11, 9, 0, 0, 0, 0}, NoProblem},
		{"802.11 beacon", linkWiFi, with(dot11(0x08, 0, inner), 0, 0x80), NoProblem},
		{"802.11 null data", linkWiFi, dot11(0x48, 1, inner), NoProblem},
		{"802.11 encrypted", linkWiFi, dot11(0x08, 0x41, inner), NoProblem},
		{"802.11 fragment", linkWiFi, with(dot11(0x08, 1, inner), 22, 0x11), NoProblem},
		{"radiotap longer than frame", linkRadiotap, []byte{0, 0, 9, 0, 0, 0, 0, 0}, LinkTruncated},
		{"AVS longer than frame", linkAVS, []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, LinkTruncated},
		{"PPI of another link type", linkPPI, join([]byte{0, 0, 8, 0, 0, 0, 1, 0}, inner), LinkUnsupported},
		{"PPI in PPI without end", linkPPI, []byte(strings.Repeat("\x00\x00\x08\x00\xc0\x00\x00\x00", maxLayers+1)), TooDeep},
		{"FDDI of 5 bytes", linkFDDI, []byte{0x50, 1, 2, 3, 4}, LinkTruncated},
		{"PFLOG of 60 bytes", linkPFLog, with(make([]byte, 60), 0, 61, 2), LinkTruncated},
		{"STP", linkEthernet, ether(38, join([]byte{0x42, 0x42, 3}, make([]byte, 35))), NoProblem},
		{"Cisco SNAP", linkEthernet, ether(46, join([]byte{0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0}, make([]byte, 38))), NoProblem},
		{"SLL of netlink", linkSLL, with(make([]byte, 40), 2, 3, 56), NoProblem},
		{"IPsec header past the packet", linkRaw, v4(hostA, hostB, protocolAH, []byte{6, 200, 0, 0, 0, 0, 0, 1}), TunnelTruncated},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			b := newBench(test.link)
			p := b.decode(test.frame)
			b.check(t, &p)
			want := either(test.want == NoProblem, Other, Bad)
			if p.Kind != want || p.Problem != test.want {
				t.Errorf("kind %d, problem %q, want %d, %q", p.Kind, p.Problem, want, test.want)
			}
		})
	}
}

// TestRecordOutside gives the decoder a record that does not lie in its batch.
func TestRecordOutside(t *testing.T) {
	b := Batch{Data: make([]byte, 60)}
	for _, r := range []record{{off: 1, capLen: 60}, {off: 61}, {off: 1<<32 - 1, capLen: 1<<32 - 1}} {
		var p Packet
		newDecoder().decode(&b, &r, &p)
		if p.Kind != Bad || p.Problem != RecordLength {
			t.Errorf("%+v: kind %d, %q", r, p.Kind, p.Problem)
		}
	}
}

// TestLengths are packets whose length must come from elsewhere than the IP
// header in front of them.
func TestLengths(t *testing.T) {
	tcp := func(n int) []byte {
		return segment(1, 2, 3, 4, ACK, nil, make([]byte, n))
	}
	jumbo := func(n uint32, payload []byte) []byte {
		return v6(hostC, hostD, protocolHopByHop, join([]byte{protocolTCP, 0, 0xc2, 4}, be32(n), payload))
	}
	zero := func(ip []byte) []byte { return with(ip, 2, 0, 0) }
	tests := []struct {
		name   string
		frame  []byte
		keep   int // captured bytes, all if 0
		length uint32
		cap    uint32
		traits Traits // of those that speak of lengths
	}{
		{"padded to 60", join(v4(hostA, hostB, 6, tcp(0)), make([]byte, 6)), 0, 0, 0, 0},
		{"padding cut off", join(v4(hostA, hostB, 6, tcp(0)), make([]byte, 6)), 54, 0, 0, 0},
		{"snaplen in the payload", v4(hostA, hostB, 6, tcp(1000)), 14 + 40 + 8, 1000, 8, SnapCut},
		{"snaplen in the header", v4(hostA, hostB, 6, tcp(1000)), 14 + 20 + 14, 1000, 0, SnapCut | HeaderCut},
		{"wire length unknown", v4(hostA, hostB, 6, tcp(1000))[:88], 0, 1000, 48, SnapCut},
		{"wire length unknown, MPLS", join([]byte{0, 1, 1, 64}, v4(hostA, hostB, 6, tcp(1000))[:88]), 0, 1000, 48, SnapCut},
		{"wire length unknown, IPv6", v6(hostC, hostD, 6, tcp(1000))[:88], 0, 1000, 28, SnapCut},
		{"TSO", zero(v4(hostA, hostB, 6, tcp(3000))), 0, 3000, 3000, LengthGuess},
		{"TSO cut", zero(v4(hostA, hostB, 6, tcp(3000))), 96, 3000, 42, LengthGuess | SnapCut},
		{"IPv4 BIG TCP", v4(hostA, hostB, 6, tcp(100000)), 0, 100000, 100000, LengthGuess},
		{"IPv6 BIG TCP", v6(hostC, hostD, 6, tcp(100000)), 0, 100000, 100000, LengthGuess},
		{"IPv6 jumbo", jumbo(8+20+70000, tcp(70000)), 0, 70000, 70000, 0},
		{"IPv6 jumbo cut", jumbo(8+20+70000, tcp(70000)), 96, 70000, 14, SnapCut},
		{"jumbo option beyond the packet", jumbo(1<<31, tcp(70000)), 0, 70000, 70000, LengthGuess},
		{"jumbo option in a short packet", with(jumbo(9999999, tcp(10)), 4, 0, 38), 0, 10, 10, 0},
		{"TSO in a tunnel of known length", v4(hostA, hostB, 4, zero(v4(hostA, hostB, 6, tcp(500)))), 0, 500, 500, LengthGuess},
		{"known length in a tunnel of unknown", zero(v4(hostA, hostB, 4, v4(hostA, hostB, 6, tcp(500)))), 0, 500, 500, 0},
		{"inner length beyond the tunnel's", v4(hostA, hostB, 4, v4(hostA, hostB, 6, tcp(500))[:140]), 0, 500, 100, SnapCut},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			b := newBench(linkEthernet)
			number := map[byte]uint16{4: 0x0800, 6: 0x86dd, 0: 0x8847}[test.frame[0]>>4]
			frame := ether(number, test.frame)
			p := b.cut(frame, either(test.keep == 0, len(frame), test.keep))
			b.check(t, &p)
			if p.Kind != TCP || p.Len != test.length || p.CapLen != test.cap {
				t.Errorf("kind %d, length %d of which %d captured, want %d, %d", p.Kind, p.Len, p.CapLen, test.length, test.cap)
			}
			if got := p.Traits & (SnapCut | HeaderCut | LengthGuess); got != test.traits {
				t.Errorf("traits %b, want %b", got, test.traits)
			}
		})
	}
}

// TestWireLength has records that claim a length on the wire which no frame
// ever had, before a packet whose own length is missing.
func TestWireLength(t *testing.T) {
	frame := with(v4(hostA, hostB, 6, segment(1, 2, 3, 4, ACK, nil, make([]byte, 100))), 2, 0, 0)
	for wire, want := range map[uint32]uint32{0: 100, 140: 100, 5000: 4960, 1<<32 - 1: 100} {
		b := Batch{Data: frame}
		r := record{capLen: uint32(len(frame)), wireLen: wire, link: linkRaw}
		var p Packet
		newDecoder().decode(&b, &r, &p)
		if p.Kind != TCP || p.Len != want || p.CapLen != 100 {
			t.Errorf("wire length %d: %+v", wire, p)
		}
	}
}

// TestExtensions puts chains of IPv6 extension headers before TCP.
func TestExtensions(t *testing.T) {
	tcp := innerV6(false)[40:]
	route := func(kind, left byte, addresses ...string) []byte {
		v := []byte{kind, left, 0, 0, 0, 0}
		for _, a := range addresses {
			v = append(v, addr(a)...)
		}
		return v
	}
	const via, final = "2001:db8:aa::1", "2001:db8:bb::2"
	tests := []struct {
		name  string
		first uint8
		chain []byte
		dst   string
		want  Traits
	}{
		{"options", protocolHopByHop, extension(protocolOptions, []byte{1, 4, 0, 0, 0, 0}, extension(protocolTCP, make([]byte, 22), tcp)), hostD, IPv6},
		{"AH", protocolAH, ahHeader(protocolOptions, extension(protocolTCP, nil, tcp)), hostD, IPv6},
		{"mobility, HIP, Shim6", protocolMobility, extension(protocolHIP, nil, extension(protocolShim6, nil, extension(protocolTCP, nil, tcp))), hostD, IPv6},
		{"source route under way", protocolRouting, extension(protocolTCP, route(0, 1, via, final), tcp), final, IPv6},
		{"source route at its end", protocolRouting, extension(protocolTCP, route(0, 0, via, final), tcp), hostD, IPv6},
		{"mobile", protocolRouting, extension(protocolTCP, route(2, 1, final), tcp), final, IPv6},
		{"segments under way", protocolRouting, extension(protocolTCP, route(4, 1, final, via), tcp), final, IPv6},
		{"compact route, addresses unknown", protocolRouting, extension(protocolTCP, route(3, 1, final), tcp), hostD, IPv6},
		{"atomic fragment", protocolFragment, join([]byte{protocolTCP, 0, 0, 6, 0xde, 0xad, 0xbe, 0xef}, tcp), hostD, IPv6 | HasIPID},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			b := newBench(linkRaw)
			frame := v6(hostC, hostD, test.first, test.chain)
			p := b.decode(frame)
			b.check(t, &p)
			if p.Kind != TCP || p.Seq != 100 || p.Len != uint32(len(hello)) || b.payload(&p) != hello {
				t.Fatalf("got %+v", p)
			}
			if Addr(p.Src).String() != hostC || Addr(p.Dst).String() != test.dst || p.Traits != test.want {
				t.Errorf("%v > %v traits %b, want > %s, %b", Addr(p.Src), Addr(p.Dst), p.Traits, test.dst, test.want)
			}
			if p.Has(HasIPID) && p.IPID != 0xbeef {
				t.Errorf("IPID %x", p.IPID)
			}
			for n := range frame {
				q := b.cut(frame, n)
				b.check(t, &q)
			}
		})
	}
}

// TestIPv4Options puts options before TCP.
func TestIPv4Options(t *testing.T) {
	b := newBench(linkRaw)
	in := innerV4(false)
	frame := join(in[:20], []byte{0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0}, in[20:])
	frame[0] = 0x48
	binary.BigEndian.PutUint16(frame[2:], uint16(len(frame)))
	p := b.decode(frame)
	if p.Kind != TCP || p.Seq != 100 || b.payload(&p) != hello {
		t.Fatalf("got %+v", p)
	}
	if p := b.cut(frame, 31); p.Kind != Bad || p.Problem != IPTruncated {
		t.Errorf("options cut: kind %d, %q", p.Kind, p.Problem)
	}
}
