package story

import (
	"encoding/binary"
	"net/netip"
)

const (
	fin uint16 = 1 << iota
	syn
	rst
	psh
	ack
	urg
	ece
	cwr
	ae
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// segment is one TCP segment with its IP header's fields.
type segment struct {
	conn     *conn
	from     side
	src, dst netip.AddrPort
	ttl      uint8
	id       uint16
	seq, ack uint32
	flags    uint16
	window   uint16
	urgent   uint16
	options  []byte // a multiple of four bytes
	payload  []byte
	tsval    uint32 // valid with hasTS
	tsecr    uint32
	hasTS    bool
	badsum   bool
}

// space is how much sequence space the segment takes (RFC 9293 3.4). A RST's
// payload is text for humans and takes none.
func (s *segment) space() uint32 {
	if s.flags&rst != 0 {
		return 0
	}
	n := uint32(len(s.payload))
	if s.flags&syn != 0 {
		n++
	}
	if s.flags&fin != 0 {
		n++
	}
	return n
}

func (s *segment) end() uint32 { return s.seq + s.space() }

// encode is the IP packet.
func (s *segment) encode() []byte {
	order := binary.BigEndian
	b := order.AppendUint16(nil, s.src.Port())
	b = order.AppendUint16(b, s.dst.Port())
	b = order.AppendUint32(b, s.seq)
	b = order.AppendUint32(b, s.ack)
	b = order.AppendUint16(b, uint16(5+len(s.options)/4)<<12|s.flags)
	b = order.AppendUint16(b, s.window)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint16(b, s.urgent)
	b = append(b, s.options...)
	b = append(b, s.payload...)
	sum := transportSum(s.src.Addr(), s.dst.Addr(), protoTCP, b)
	if s.badsum {
		sum ^= 0x5555
	}
	order.PutUint16(b[16:], sum)
	return network(s.src.Addr(), s.dst.Addr(), protoTCP, s.ttl, s.id, true, b)
}

// network puts an IP header before the payload.
func network(src, dst netip.Addr, proto, ttl uint8, id uint16, dontFragment bool, payload []byte) []byte {
	order := binary.BigEndian
	if src.Is6() {
		b := order.AppendUint32(nil, 6<<28)
		b = order.AppendUint16(b, uint16(len(payload)))
		b = append(b, proto, ttl)
		b = append(b, src.AsSlice()...)
		b = append(b, dst.AsSlice()...)
		return append(b, payload...)
	}
	b := []byte{0x45, 0}
	b = order.AppendUint16(b, uint16(20+len(payload)))
	b = order.AppendUint16(b, id)
	var fragment uint16
	if dontFragment {
		fragment = 0x4000
	}
	b = order.AppendUint16(b, fragment)
	b = append(b, ttl, proto, 0, 0)
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	order.PutUint16(b[10:], ^fold(sum16(0, b)))
	return append(b, payload...)
}

// transportSum is the checksum over pseudo header and segment, whose own
// checksum field must be zero (RFC 9293 3.1, RFC 8200 8.1).
func transportSum(src, dst netip.Addr, proto uint8, segment []byte) uint16 {
	sum := sum16(0, src.AsSlice())
	sum = sum16(sum, dst.AsSlice())
	sum += uint32(proto) + uint32(len(segment))
	return ^fold(sum16(sum, segment))
}

func sum16(sum uint32, b []byte) uint32 {
	for len(b) >= 2 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// datagram is the UDP packet of `other`.
func datagram(src, dst netip.Addr, ttl uint8) []byte {
	order := binary.BigEndian
	body := []byte("something else")
	b := order.AppendUint16(nil, 53000)
	b = order.AppendUint16(b, 9)
	b = order.AppendUint16(b, uint16(8+len(body)))
	b = order.AppendUint16(b, 0)
	b = append(b, body...)
	order.PutUint16(b[6:], transportSum(src, dst, protoUDP, b))
	return network(src, dst, protoUDP, ttl, 1, false, b)
}
