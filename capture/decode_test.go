package capture

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// carrier is one way in which the inner segment may come.
type carrier struct {
	name  string
	link  uint16
	build func(back bool) []byte
	encap string // description of the first packet, from A to B
	depth uint8
	mac   uint64
	plus  Traits
}

// outer wraps what build makes into an IPv4 packet between two tunnel ends.
func outer(back bool, protocol uint8, payload []byte) []byte {
	if back {
		return v4("192.0.2.2", "192.0.2.1", protocol, payload)
	}
	return v4("192.0.2.1", "192.0.2.2", protocol, payload)
}

// outerV6 is the same over IPv6.
func outerV6(back bool, next uint8, payload []byte) []byte {
	if back {
		return v6("2001:db8:ff::2", "2001:db8:ff::1", next, payload)
	}
	return v6("2001:db8:ff::1", "2001:db8:ff::2", next, payload)
}

// either chooses between two values, mostly by direction.
func either[T any](which bool, yes, no T) T {
	if which {
		return yes
	}
	return no
}

func carriers() []carrier {
	all := append(linkCarriers(), serialCarriers()...)
	all = append(all, wifiCarriers()...)
	all = append(all, tagCarriers()...)
	return append(all, tunnelCarriers()...)
}

// TestCarriers decodes one segment in every link type and encapsulation, in
// both directions, padded, and cut at every length.
func TestCarriers(t *testing.T) {
	for _, c := range carriers() {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			b := newBench(c.link)
			forth, back := b.decode(c.build(false)), b.decode(c.build(true))
			c.verify(t, b, &back, true)
			forth = b.decode(c.build(false))
			c.verify(t, b, &forth, false)
			if forth.Encap != back.Encap {
				t.Errorf("encapsulation keys differ between directions: %q and %q", b.dec.encap(forth.Encap), b.dec.encap(back.Encap))
			}
			if got := b.dec.encap(forth.Encap); got != c.encap {
				t.Errorf("encapsulation is %q, want %q", got, c.encap)
			}
			padded := b.decode(append(c.build(false), make([]byte, 9)...))
			c.verify(t, b, &padded, false)
			c.cuts(t, b)
		})
	}
}

// verify holds p against the inner segment.
func (c *carrier) verify(t *testing.T, b *bench, p *Packet, back bool) {
	t.Helper()
	b.check(t, p)
	if p.Kind != TCP {
		t.Fatalf("kind is %d, problem %q", p.Kind, p.Problem)
	}
	from, to := either(back, hostB, hostA), either(back, hostA, hostB)
	if p.Has(IPv6) {
		from, to = either(back, hostD, hostC), either(back, hostC, hostD)
	}
	if Addr(p.Src).String() != from || Addr(p.Dst).String() != to {
		t.Errorf("addresses %v > %v, want %v > %v", Addr(p.Src), Addr(p.Dst), from, to)
	}
	want := *p
	want.SrcPort, want.DstPort = either(back, uint16(80), 40000), either(back, uint16(40000), 80)
	want.Seq, want.Ack = either(back, uint32(900), 100), either(back, uint32(100), 900)
	want.TSVal, want.TSEcr = either(back, uint32(8), 7), either(back, uint32(7), 8)
	want.Flags, want.Options, want.Window = ACK|PSH, OptTimestamps, 0x2000
	want.Len, want.CapLen = uint32(len(hello)), uint32(len(hello))
	want.Depth, want.Link, want.Iface = c.depth, c.mac, 3
	want.TTL, want.IPID = either(p.Has(IPv6), uint8(62), 61), either(p.Has(IPv6), uint16(0), 0x1234)
	want.Traits = either(p.Has(IPv6), IPv6, HasIPID|DontFrag) | c.plus
	if diff := cmp.Diff(want, *p); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := b.payload(p); got != hello {
		t.Errorf("payload is %q", got)
	}
}

// cuts decodes the frame cut at every length: as soon as it is recognised,
// all that was captured must be right.
func (c *carrier) cuts(t *testing.T, b *bench) {
	frame := c.build(false)
	whole := b.decode(frame)
	last := Other
	for n := range frame {
		p := b.cut(frame, n)
		b.check(t, &p)
		if last == TCP && p.Kind != TCP {
			t.Fatalf("TCP with %d bytes, but kind %d (%v) with %d", n-1, p.Kind, p.Problem, n)
		}
		last = p.Kind
		if p.Kind != TCP {
			continue
		}
		if p.Seq != whole.Seq || p.Ack != whole.Ack || p.Flags != whole.Flags || p.Len != whole.Len || p.Encap != whole.Encap {
			t.Fatalf("cut at %d: got %+v, whole is %+v", n, p, whole)
		}
		if !strings.HasPrefix(hello, b.payload(&p)) {
			t.Fatalf("cut at %d: payload %q", n, b.payload(&p))
		}
		if short := len(frame) - n; p.CapLen != uint32(max(0, len(hello)-short)) {
			t.Fatalf("cut %d short: CapLen is %d", short, p.CapLen)
		}
		if p.Has(HeaderCut) != (p.Off != whole.Off) || p.Has(HeaderCut) != (p.Options&OptBroken != 0) {
			t.Fatalf("cut at %d: traits %b, options %b", n, p.Traits, p.Options)
		}
	}
	if last != TCP {
		t.Errorf("never recognised while cut")
	}
}

// TestCookedDirection has the file format and the cooked header disagree on
// where a packet went: the file's flags are made for the purpose.
func TestCookedDirection(t *testing.T) {
	frame := join([]byte{0, 4, 0, 1, 0, 4, 10, 0, 0, 1, 0, 0, 0, 0, 8, 0}, innerV4(false))
	for _, said := range []Traits{0, Inbound, Outbound, NotToUs} {
		r := record{capLen: uint32(len(frame)), wireLen: uint32(len(frame)), link: linkSLL, traits: said}
		var p Packet
		newDecoder().decode(&Batch{Data: frame}, &r, &p)
		if got := p.Traits & (Inbound | Outbound | NotToUs); got != either(said == 0, Outbound, said) {
			t.Errorf("file says %b, packet has %b", said, got)
		}
		if p.Link != 0 {
			t.Errorf("an address of four bytes became MAC %x", p.Link)
		}
	}
}

func linkCarriers() []carrier {
	sll := func(packetType uint16, hardware uint16, number uint16, payload []byte) []byte {
		return join(be16(packetType), be16(hardware), be16(6), macA, []byte{0, 0}, be16(number), payload)
	}
	sll2 := func(packetType uint8, number uint16, payload []byte) []byte {
		return join(be16(number), []byte{0, 0, 0, 0, 0, 2, 0, 1, packetType, 6}, macA, []byte{0, 0}, payload)
	}
	return []carrier{
		{"ethernet", linkEthernet, func(back bool) []byte { return ether(0x0800, innerV4(back)) }, "", 0, macAValue, 0},
		{"ethernet IPv6", linkEthernet, func(back bool) []byte { return ether(0x86dd, innerV6(back)) }, "", 0, macAValue, 0},
		{"SNAP", linkEthernet, func(back bool) []byte {
			in := join([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back))
			return ether(uint16(len(in)), in)
		}, "", 0, macAValue, 0},
		{"LLC IP", linkEthernet, func(back bool) []byte {
			in := join([]byte{6, 6, 3}, innerV4(back))
			return ether(uint16(len(in)), in)
		}, "", 0, macAValue, 0},
		{"raw", linkRaw, innerV4, "", 0, 0, 0},
		{"raw IPv6", linkRaw, innerV6, "", 0, 0, 0},
		{"raw 12", linkRaw12, innerV4, "", 0, 0, 0},
		{"IPV4", linkIPv4, innerV4, "", 0, 0, 0},
		{"IPV6", linkIPv6, innerV6, "", 0, 0, 0},
		{"null little-endian", linkNull, func(back bool) []byte { return join([]byte{2, 0, 0, 0}, innerV4(back)) }, "", 0, 0, 0},
		{"null big-endian", linkNull, func(back bool) []byte { return join([]byte{0, 0, 0, 30}, innerV6(back)) }, "", 0, 0, 0},
		{"loop", linkLoop, func(back bool) []byte { return join([]byte{0, 0, 0, 24}, innerV6(back)) }, "", 0, 0, 0},
		{"SLL", linkSLL, func(back bool) []byte { return sll(0, 1, 0x0800, innerV4(back)) }, "", 0, macAValue, Inbound},
		{"SLL IPv6 sent", linkSLL, func(back bool) []byte { return sll(4, 1, 0x86dd, innerV6(back)) }, "", 0, macAValue, Outbound},
		{"SLL VLAN", linkSLL, func(back bool) []byte { return sll(3, 1, 0x8100, tag(5, 0x0800, innerV4(back))) }, "vlan 5", 0, macAValue, NotToUs},
		{"SLL monitor", linkSLL, func(back bool) []byte {
			return sll(0, hardwareRadiotap, 1, join([]byte{0, 0, 8, 0, 0, 0, 0, 0}, dot11(0x08, 0x01, innerV4(back))))
		}, "", 0, macAValue, Inbound},
		{"SLL2", linkSLL2, func(back bool) []byte { return sll2(0, 0x0800, innerV4(back)) }, "", 0, macAValue, Inbound},
		{"SLL2 IPv6 sent", linkSLL2, func(back bool) []byte { return sll2(4, 0x86dd, innerV6(back)) }, "", 0, macAValue, Outbound},
		{"SLL2 VLAN", linkSLL2, func(back bool) []byte { return sll2(1, 0x8100, tag(7, 0x86dd, innerV6(back))) }, "vlan 7", 0, macAValue, Inbound},
		{"NFLOG", linkNFLog, func(back bool) []byte {
			in := innerV4(back)
			return join([]byte{2, 0, 0, 5}, // family, version, group
				[]byte{8, 0, 1, 0, 8, 0, 3, 0},  // packet header: hook LOCAL_OUT
				[]byte{5, 0, 10, 0, 0, 0, 0, 0}, // prefix ""
				[]byte{16, 0, 8, 0, 0, 6, 0, 0}, macA, []byte{0, 0},
				[]byte{byte(len(in) + 4), 0, 9, 0}, in)
		}, "", 0, macAValue, Outbound},
		{"NFLOG big-endian", linkNFLog, func(back bool) []byte {
			in := innerV6(back)
			return join([]byte{10, 0, 0, 5}, []byte{0, 8, 0, 1, 0x86, 0xdd, 1, 0}, be16(uint16(len(in)+4)), []byte{0, 9}, in)
		}, "", 0, 0, Inbound},
		{"IPNET", linkIPNet, func(back bool) []byte {
			in := innerV4(back)
			return join([]byte{2, 2, 0, 1}, be32(uint32(len(in))), make([]byte, 16), in)
		}, "", 0, 0, Outbound},
		{"PKTAP", linkPKTAP, func(back bool) []byte {
			h := make([]byte, 108)
			h[0], h[4], h[8], h[36] = 108, 1, linkEthernet, 2
			return join(h, ether(0x0800, innerV4(back)))
		}, "", 0, macAValue, Outbound},
		{"PPI", linkPPI, func(back bool) []byte {
			return join([]byte{0, 0, 12, 0, linkEthernet, 0, 0, 0, 2, 0, 0, 0}, ether(0x0800, innerV4(back)))
		}, "", 0, macAValue, 0},
		{"FDDI", linkFDDI, func(back bool) []byte {
			return join([]byte{0x50}, macB, macA, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back))
		}, "", 0, macAValue, 0},
		{"token ring routed", linkTokenRing, func(back bool) []byte {
			from := join(macA)
			from[0] |= 0x80
			return join([]byte{0x10, 0x40}, macB, from, []byte{0x06, 0, 1, 2, 3, 4}, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back))
		}, "", 0, macAValue, 0},
		{"ATM RFC 1483", linkATM1483, func(back bool) []byte { return join([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back)) }, "", 0, 0, 0},
		{"IP over FC", linkIPOverFC, func(back bool) []byte {
			return join([]byte{0, 0}, macB, []byte{0x10, 0}, macA, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back))
		}, "", 0, macAValue, 0},
		{"PFLOG", linkPFLog, func(back bool) []byte {
			h := make([]byte, 64)
			h[0], h[1] = 61, 2
			return join(h, innerV4(back))
		}, "", 0, 0, 0},
	}
}

func serialCarriers() []carrier {
	session := func(payload []byte) []byte {
		return join([]byte{0x11, 0, 0x12, 0x34}, be16(uint16(len(payload))), payload)
	}
	return []carrier{
		{"PPP", linkPPP, func(back bool) []byte { return join([]byte{0xff, 3, 0, 0x21}, innerV4(back)) }, "", 0, 0, 0},
		{"PPP bare", linkPPP, func(back bool) []byte { return join([]byte{0, 0x57}, innerV6(back)) }, "", 0, 0, 0},
		{"PPP compressed", linkPPP, func(back bool) []byte { return join([]byte{0x21}, innerV4(back)) }, "", 0, 0, 0},
		{"PPP MPLS", linkPPP, func(back bool) []byte { return join([]byte{0x02, 0x81, 0, 1, 1, 64}, innerV4(back)) }, "mpls 16", 0, 0, 0},
		{"PPP HDLC", linkPPPHDLC, func(back bool) []byte { return join([]byte{0xff, 3, 0, 0x21}, innerV4(back)) }, "", 0, 0, 0},
		{"PPP HDLC that is Cisco's", linkPPPHDLC, func(back bool) []byte { return join([]byte{0x0f, 0, 8, 0}, innerV4(back)) }, "", 0, 0, 0},
		{"C-HDLC", linkCHDLC, func(back bool) []byte { return join([]byte{0x8f, 0, 0x86, 0xdd}, innerV6(back)) }, "", 0, 0, 0},
		{"C-HDLC that is PPP", linkCHDLC, func(back bool) []byte { return join([]byte{0xff, 3, 0, 0x21}, innerV4(back)) }, "", 0, 0, 0},
		{"PPP with direction", linkPPPWithDir, func(back bool) []byte { return join([]byte{0, 0xff, 3, 0, 0x21}, innerV4(back)) }, "", 0, 0, Inbound},
		{"C-HDLC with direction", linkHDLCWithDir, func(back bool) []byte { return join([]byte{1, 0x0f, 0, 8, 0}, innerV4(back)) }, "", 0, 0, Outbound},
		{"PPP over Ethernet", linkPPPEther, func(back bool) []byte { return session(join([]byte{0, 0x21}, innerV4(back))) }, "pppoe 4660", 0, 0, 0},
		{"PPPoE", linkEthernet, func(back bool) []byte { return ether(0x8864, session(join([]byte{0, 0x57}, innerV6(back)))) }, "pppoe 4660", 0, macAValue, 0},
		{"PPPoE in QinQ", linkEthernet, func(back bool) []byte {
			return ether(0x88a8, tag(9, 0x8100, tag(8, 0x8864, session(join([]byte{0x21}, innerV4(back))))))
		}, "pppoe 4660 in vlan 8 in vlan 9", 0, macAValue, 0},
	}
}

// dot11 is an 802.11 data frame from macA, SNAP included. The address fields
// that are not the source hold macB.
func dot11(control, flags byte, payload []byte) []byte {
	a := [3][]byte{macB, macA, macB}
	if flags&3 == 2 {
		a = [3][]byte{macB, macB, macA}
	}
	h := join([]byte{control, flags, 0, 0}, a[0], a[1], a[2], []byte{0x10, 0})
	if flags&3 == 3 {
		h = join([]byte{control, flags, 0, 0}, macB, macB, macB, []byte{0x10, 0}, macA)
	}
	if control&0x80 != 0 {
		h = append(h, 0, 0)
		if flags&0x80 != 0 {
			h = append(h, 0, 0, 0, 0)
		}
	}
	return join(h, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, payload)
}

func wifiCarriers() []carrier {
	monitor := func(h ...byte) []byte { return h }
	return []carrier{
		{"802.11 to the station", linkWiFi, func(back bool) []byte { return dot11(0x08, 0x02, innerV4(back)) }, "", 0, macAValue, 0},
		{"802.11 QoS", linkWiFi, func(back bool) []byte { return dot11(0x88, 0x01, innerV4(back)) }, "", 0, macAValue, 0},
		{"802.11 QoS with HT control", linkWiFi, func(back bool) []byte { return dot11(0x88, 0x81, innerV4(back)) }, "", 0, macAValue, 0},
		{"802.11 four addresses", linkWiFi, func(back bool) []byte { return dot11(0x08, 0x03, innerV4(back)) }, "", 0, macAValue, 0},
		{"802.11 aggregate", linkWiFi, func(back bool) []byte {
			f := dot11(0x88, 0x01, innerV4(back))
			f[24] |= 0x80
			return join(f[:26], macB, macA, be16(uint16(len(f)-26)), f[26:])
		}, "", 0, macAValue, 0},
		{"radiotap", linkRadiotap, func(back bool) []byte {
			return join(monitor(0, 0, 8, 0, 0, 0, 0, 0), dot11(0x08, 0x01, innerV4(back)))
		}, "", 0, macAValue, 0},
		{"radiotap padded", linkRadiotap, func(back bool) []byte {
			f := dot11(0x88, 0x01, innerV4(back))
			// Two bitmaps, TSFT aligned to eight bytes, then the flags.
			h := monitor(0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20)
			return join(h, f[:26], []byte{0, 0}, f[26:])
		}, "", 0, macAValue, 0},
		{"AVS", linkAVS, func(back bool) []byte {
			return join([]byte{0x80, 0x21, 0x10, 1, 0, 0, 0, 64}, make([]byte, 56), dot11(0x08, 0x01, innerV4(back)))
		}, "", 0, macAValue, 0},
		{"prism", linkPrism, func(back bool) []byte {
			h := make([]byte, 144)
			h[0], h[4] = 0x44, 144
			for i := range 10 {
				h[24+i*12+6] = 4
			}
			return join(h, dot11(0x08, 0x01, innerV4(back)))
		}, "", 0, macAValue, 0},
	}
}

func tagCarriers() []carrier {
	lse := func(label uint32, last bool) []byte { return be32(label<<12 | either[uint32](last, 1<<8, 0) | 64) }
	return []carrier{
		{"VLAN", linkEthernet, func(back bool) []byte { return ether(0x8100, tag(100, 0x0800, innerV4(back))) }, "vlan 100", 0, macAValue, 0},
		{"priority tag", linkEthernet, func(back bool) []byte { return ether(0x8100, tag(0, 0x0800, innerV4(back))) }, "", 0, macAValue, 0},
		{"QinQ 9100", linkEthernet, func(back bool) []byte { return ether(0x9100, tag(100, 0x8100, tag(200, 0x86dd, innerV6(back)))) }, "vlan 200 in vlan 100", 0, macAValue, 0},
		{"VLAN with SNAP", linkEthernet, func(back bool) []byte {
			in := join([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, innerV4(back))
			return ether(0x8100, tag(100, uint16(len(in)), in))
		}, "vlan 100", 0, macAValue, 0},
		{"802.1ah", linkEthernet, func(back bool) []byte {
			return ether(0x88a8, tag(3, 0x88e7, join(be32(0x10000777), ether(0x0800, innerV4(back)))))
		}, "802.1ah 1911 in vlan 3", 0, macAValue, 0},
		{"FabricPath", linkEthernet, func(back bool) []byte { return ether(0x8903, join([]byte{0, 0x20}, ether(0x0800, innerV4(back)))) }, "", 0, macAValue, 0},
		{"TRILL", linkEthernet, func(back bool) []byte {
			return ether(0x22f3, join([]byte{0, 0x48, 0, 1, 0, 2, 1, 2, 3, 4}, ether(0x0800, innerV4(back))))
		}, "", 0, macAValue, 0},
		{"VN-Tag", linkEthernet, func(back bool) []byte { return ether(0x8926, join([]byte{0, 1, 0, 2, 8, 0}, innerV4(back))) }, "", 0, macAValue, 0},
		{"MPLS", linkEthernet, func(back bool) []byte {
			return ether(0x8847, join(lse(either[uint32](back, 18, 17), false), lse(either[uint32](back, 31, 30), true), innerV4(back)))
		}, "mpls 30", 0, macAValue, 0},
		{"MPLS IPv6", linkEthernet, func(back bool) []byte { return ether(0x8848, join(lse(2, true), innerV6(back))) }, "mpls 2", 0, macAValue, 0},
		{"MPLS pseudowire", linkEthernet, func(back bool) []byte { return ether(0x8847, join(lse(16, true), ether(0x0800, innerV4(back)))) }, "mpls 16", 0, macAValue, 0},
		{"MPLS pseudowire of a MAC like IP", linkEthernet, func(back bool) []byte {
			in := ether(0x0800, innerV4(back))
			in[0] = 0x46
			return ether(0x8847, join(lse(16, true), in))
		}, "mpls 16", 0, macAValue, 0},
		{"MPLS pseudowire with control word", linkEthernet, func(back bool) []byte {
			return ether(0x8847, join(lse(16, true), []byte{0, 0, 0, 9}, ether(0x8100, tag(5, 0x0800, innerV4(back)))))
		}, "vlan 5 in mpls 16", 0, macAValue, 0},
	}
}
