package filter

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
)

// packet is one packet to build frames of.
type packet struct {
	src, dst string
	proto    byte
	sport    uint16
	dport    uint16
	flags    byte
	options  int // 32-bit words behind the IPv4 header
	fragment uint16
	payload  int
}

// bytes is the packet from its IP header on.
func (p packet) bytes() []byte {
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	transport := make([]byte, 20+p.payload)
	binary.BigEndian.PutUint16(transport, p.sport)
	binary.BigEndian.PutUint16(transport[2:], p.dport)
	transport[12], transport[13] = 5<<4, p.flags
	if src.Is4() {
		head := make([]byte, 20+4*p.options)
		head[0] = 0x45 + byte(p.options)
		binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(transport)))
		binary.BigEndian.PutUint16(head[6:], p.fragment)
		head[8], head[9] = 64, p.proto
		copy(head[12:], src.AsSlice())
		copy(head[16:], dst.AsSlice())
		return append(head, transport...)
	}
	head := make([]byte, 40)
	head[0], head[6], head[7] = 0x60, p.proto, 64
	copy(head[8:], src.AsSlice())
	copy(head[24:], dst.AsSlice())
	if p.fragment != 0 {
		head[6] = ipFragment
		head = append(head, p.proto, 0, byte(p.fragment>>8), byte(p.fragment), 0, 0, 0, 1)
	}
	binary.BigEndian.PutUint16(head[4:], uint16(len(head)-40+len(transport)))
	return append(head, transport...)
}

// packets has every address and port of the random expressions in it.
func packets() []packet {
	var all []packet
	fours := []string{"10.0.0.1", "10.0.0.2", "192.0.2.7", "10.1.2.3", "224.0.0.1", "255.255.255.255", "198.51.100.9"}
	sixes := []string{"2001:db8::1", "2001:db8::2", "ff02::1", "2001:db9::1"}
	ports := []uint16{80, 443, 53, 40000, 85}
	protos := []byte{ipTCP, ipUDP, ipSCTP, ipICMP, ipICMP6, ipIGMP, 60, ipAH, ipPIM}
	r := rand.New(rand.NewPCG(3, 4))
	for _, stock := range [][]string{fours, sixes} {
		for i := range 110 {
			p := packet{src: stock[r.IntN(len(stock))], dst: stock[r.IntN(len(stock))],
				proto: protos[r.IntN(3)], sport: ports[r.IntN(len(ports))], dport: ports[r.IntN(len(ports))],
				flags: byte(r.IntN(32)), payload: r.IntN(60)}
			switch i % 7 {
			case 0:
				p.proto = protos[r.IntN(len(protos))]
			case 1:
				p.options = r.IntN(11)
			case 2:
				p.fragment = []uint16{0x2000, 0x00b9, 0x20b9, 0x4000}[r.IntN(4)]
			}
			all = append(all, p)
		}
	}
	return all
}

// arp is an ARP packet from one host that asks for another.
func arp(sender, target string) []byte {
	a := []byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}
	a = append(a, netip.MustParseAddr(sender).AsSlice()...)
	a = append(a, 0, 0, 0, 0, 0, 0)
	return append(a, netip.MustParseAddr(target).AsSlice()...)
}

// wrap puts a link-layer header before a payload of an EtherType.
func wrap(link uint16, etherType uint16, payload []byte, variant int) []byte {
	var head []byte
	switch link {
	case linkEthernet:
		head = []byte{2, 0, 0, 0, 0, byte(1 + variant%3), 2, 0, 0, 0, 0, byte(1 + variant%2)}
		if variant%5 == 0 {
			copy(head, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}
		head = binary.BigEndian.AppendUint16(head, etherType)
	case linkSLL:
		head = []byte{0, byte(variant % 5), 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}
		head = binary.BigEndian.AppendUint16(head, etherType)
	case linkSLL2:
		head = binary.BigEndian.AppendUint16(nil, etherType)
		head = append(head, 0, 0, 0, 0, 0, 2, 0, 1, byte(variant%5), 6, 2, 0, 0, 0, 0, 1, 0, 0)
	case linkPPP, linkPPPEther:
		if link == linkPPPEther {
			head = []byte{0x11, 0, 0, 3, 0, 0}
		} else {
			head = []byte{0xff, 3}
		}
		head = binary.BigEndian.AppendUint16(head, uint16(pppProtocol(uint32(etherType))))
	case linkCHDLC:
		head = binary.BigEndian.AppendUint16([]byte{0x0f, 0}, etherType)
	}
	return append(head, payload...)
}

// tunnel puts an 802.1Q tag, an MPLS label or a PPPoE session before a payload.
func tunnel(kind int, etherType uint16, payload []byte) (uint16, []byte) {
	tag := func(number, vlan uint16) (uint16, []byte) {
		b := binary.BigEndian.AppendUint16(nil, 0x6000|vlan)
		return number, append(binary.BigEndian.AppendUint16(b, etherType), payload...)
	}
	label := func(label uint32, bottom uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, label<<12|bottom<<8|64), payload...)
	}
	switch kind {
	case 1:
		return tag(etherVLAN, 5)
	case 2:
		return tag(etherVLANOuter, 7)
	case 3:
		return tag(etherVLANOld, 5)
	case 4:
		return etherMPLS, label(17, 1)
	case 5:
		payload = label(18, 1)
		return etherMPLS, label(17, 0)
	case 6:
		b := []byte{0x11, 0, 0, 3, 0, 0}
		return etherPPPoES, append(binary.BigEndian.AppendUint16(b, uint16(pppProtocol(uint32(etherType)))), payload...)
	}
	return etherType, payload
}

// frames are a few hundred frames of a link type: plain, in tunnels, of other
// protocols, cut short, and nonsense.
func frames(link uint16) [][]byte {
	var all [][]byte
	for i, p := range packets() {
		etherType := uint16(etherIPv4)
		if netip.MustParseAddr(p.src).Is6() {
			etherType = etherIPv6
		}
		body := p.bytes()
		all = append(all, wrap(link, etherType, body, i))
		if kind := i % 8; kind > 0 {
			number, inner := tunnel(kind, etherType, body)
			if i%3 == 0 {
				number, inner = tunnel(1+i%6, number, inner)
			}
			all = append(all, wrap(link, number, inner, i))
		}
		if i%4 == 0 {
			whole := all[len(all)-1]
			all = append(all, whole[:len(whole)*(i%9)/9])
		}
	}
	for i, etherType := range []uint16{etherARP, etherRARP, etherPPPoED, etherIPX, etherATalk, etherAARP, etherLAT, 100, 0x0026, 1, 4} {
		all = append(all, wrap(link, etherType, arp("10.0.0.1", "10.0.0.2"), i))
		all = append(all, wrap(link, etherType, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}, i))
		all = append(all, wrap(link, etherType, []byte{0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x37}, i))
		all = append(all, wrap(link, etherType, []byte{0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b}, i))
		all = append(all, wrap(link, etherType, []byte{0xe0, 0xe0, 3, 0, 0, 0, 0, 0}, i))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		noise := make([]byte, r.IntN(80))
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		all = append(all, noise)
	}
	return all
}

// recorded are the frames of a recording of this project, on Ethernet.
func recorded(t testing.TB) [][]byte {
	file, err := os.ReadFile("../../testdata/demo.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if len(file) < 24 || binary.LittleEndian.Uint32(file[20:]) != linkEthernet {
		t.Fatal("demo.pcap is not what it was: little-endian pcap of Ethernet frames")
	}
	var all [][]byte
	for rest := file[24:]; len(rest) >= 16; {
		n := int(binary.LittleEndian.Uint32(rest[8:]))
		all = append(all, rest[16:16+n])
		rest = rest[16+n:]
	}
	return all
}
