package story

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// link is a link type of the capture.
type link uint8

const (
	ethernet link = iota
	sll
	sll2
	raw
	null
)

var linkNames = []string{ethernet: "ethernet", sll: "sll", sll2: "sll2", raw: "raw", null: "null"}

// number is the link type's number in a pcap file.
func (l link) number() uint16 {
	return [...]uint16{ethernet: 1, sll: 113, sll2: 276, raw: 101, null: 0}[l]
}

type mac [6]byte

// deriveMAC makes a locally administered address that the reader of a dump
// recognises: 02:00 or, for IPv6, 02:06, and the end of the IP address.
func deriveMAC(addr netip.Addr) mac {
	b := addr.AsSlice()
	m := mac{0: 2}
	if addr.Is6() {
		m[1] = 6
	}
	copy(m[2:], b[len(b)-4:])
	return m
}

func parseMAC(v value) (mac, error) {
	b, err := net.ParseMAC(v.text)
	if err != nil || len(b) != 6 {
		return mac{}, v.tok.fail("write mac=02:00:00:00:00:01", "%q is not a MAC address", v.text)
	}
	return mac(b), nil
}

// parseVLAN reads vlan=10, vlan=10,20 (outer first) or vlan=off.
func parseVLAN(v value) ([]uint16, error) {
	if v.text == off {
		return nil, nil
	}
	var tags []uint16
	for part := range strings.SplitSeq(v.text, ",") {
		n, err := strconv.ParseUint(part, 10, 12)
		if err != nil || len(tags) == 4 {
			return nil, v.tok.fail("write vlan=10, vlan=10,20 (outer first, up to four) or vlan=off", "%q is not a VLAN", v.text)
		}
		tags = append(tags, uint16(n))
	}
	return tags, nil
}

// frame is an IP packet with what the link header says of it.
type frame struct {
	ip       []byte
	tcp      *segment // nil if it is not TCP
	src, dst mac
	vlans    []uint16
	iface    uint32
	outgoing bool // sent by the host that captures
	pad      bool
	cut      int // bytes captured, 0 for all
}

// encode puts the link header before the packet.
func (f *frame) encode(l link) []byte {
	order := binary.BigEndian
	proto, family := uint16(0x0800), uint32(2)
	if f.ip[0]>>4 == 6 {
		proto, family = 0x86dd, 30 // AF_INET6 of macOS, the usual writer of NULL
	}
	packetType := uint16(0)
	if f.outgoing {
		packetType = 4
	}
	var b []byte
	switch l {
	case ethernet:
		b = f.ethernet(proto)
	case sll:
		b = order.AppendUint16(b, packetType)
		b = append(b, 0, 1, 0, 6)
		b = append(b, f.src[:]...)
		b = append(b, 0, 0)
		b = order.AppendUint16(b, proto)
	case sll2:
		b = order.AppendUint16(b, proto)
		b = append(b, 0, 0)
		b = order.AppendUint32(b, f.iface)
		b = append(b, 0, 1, byte(packetType), 6)
		b = append(b, f.src[:]...)
		b = append(b, 0, 0)
	case null:
		b = binary.LittleEndian.AppendUint32(b, family)
	}
	b = append(b, f.ip...)
	if f.pad && len(b) < 60 {
		b = append(b, make([]byte, 60-len(b))...)
	}
	return b
}

func (f *frame) ethernet(proto uint16) []byte {
	b := append([]byte{}, f.dst[:]...)
	b = append(b, f.src[:]...)
	for i, tag := range f.vlans {
		tpid := uint16(0x8100)
		if i < len(f.vlans)-1 {
			tpid = 0x88a8 // every tag but the innermost is a service tag (802.1ad)
		}
		b = binary.BigEndian.AppendUint16(b, tpid)
		b = binary.BigEndian.AppendUint16(b, tag)
	}
	return binary.BigEndian.AppendUint16(b, proto)
}
