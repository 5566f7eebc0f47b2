package capture

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

const (
	sll2Header = 20
	addresses  = 12 // bytes of an Ethernet header in front of a VLAN tag
)

// directions of the packet types of linux/if_packet.h: to this host, to all,
// to many, to others, by this host.
var directions = [8]Traits{0: Inbound, 1: Inbound, 2: Inbound, packetToOther: NotToUs, packetOutgoing: Outbound}

// looped reports a packet that comes once more: the loopback interface
// receives whatever it sends.
func looped(from *unix.RawSockaddrLinklayer) bool {
	return from.Pkttype == packetOutgoing && from.Hatype == unix.ARPHRD_LOOPBACK
}

// appendFrame appends a packet to b as the wire had it, and tells how long it
// was there. Ethernet gets its VLAN tag back, which the kernel, or the card,
// has taken out. What has no link header gets that of LINUX_SLL2, with the
// tag between it and the packet.
func (f *feed) appendFrame(b []byte, h *unix.Tpacket3Hdr, from *unix.RawSockaddrLinklayer, data []byte) ([]byte, uint32) {
	tagged := h.Status&unix.TP_STATUS_VLAN_VALID != 0
	wire := h.Len
	if f.cooked {
		wire += sll2Header
		b = appendSLL2(b, from)
		if tagged {
			// The tag's type takes the place of the protocol's, as on Ethernet.
			at := len(b) - sll2Header
			protocol := binary.BigEndian.Uint16(b[at:])
			binary.BigEndian.PutUint16(b[at:], tagType(h))
			b = binary.BigEndian.AppendUint16(b, uint16(h.Hv1.Vlan_tci))
			if innerTag(protocol, data) {
				protocol = etherTypeVLAN
			}
			b = binary.BigEndian.AppendUint16(b, protocol)
			wire += 4
		}
	} else if tagged && f.link == linkEthernet && len(data) >= addresses {
		b = append(b, data[:addresses]...)
		b = binary.BigEndian.AppendUint16(b, tagType(h))
		b = binary.BigEndian.AppendUint16(b, uint16(h.Hv1.Vlan_tci))
		data = data[addresses:]
		wire += 4
	}
	return append(b, data...), wire
}

// innerTag reports whether a packet that had a tag begins with the rest of
// another one, although the protocol is that of what comes behind: so say
// kernels since 6.12 (vlan_get_protocol_dgram). Where the tag looks like the
// first byte of IP, it is taken for that.
func innerTag(protocol uint16, data []byte) bool {
	version := byte(4)
	switch protocol {
	case etherTypeIPv4:
	case etherTypeIPv6:
		version = 6
	default:
		return false
	}
	return len(data) > 4 && data[0]>>4 != version && data[4]>>4 == version && binary.BigEndian.Uint16(data[2:]) == protocol
}

// tagType is the EtherType of a VLAN tag; kernels before 3.14 do not tell.
func tagType(h *unix.Tpacket3Hdr) uint16 {
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		return h.Hv1.Vlan_tpid
	}
	return etherTypeVLAN
}

// appendSLL2 appends the header of LINKTYPE_LINUX_SLL2.
func appendSLL2(b []byte, from *unix.RawSockaddrLinklayer) []byte {
	b = binary.NativeEndian.AppendUint16(b, from.Protocol) // in network order already
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(from.Ifindex))
	b = binary.BigEndian.AppendUint16(b, from.Hatype)
	b = append(b, from.Pkttype, from.Halen)
	return append(b, from.Addr[:]...)
}

// ifaceOf numbers the interface of a packet: the feed's own or, of "any",
// whichever it came from.
func (l *Live) ifaceOf(f *feed, index int32) uint16 {
	if f.index != 0 {
		return uint16(f.number)
	}
	if index == f.lately {
		return f.iface
	}
	n, ok := f.ifaces[index]
	if !ok {
		// Containers come and go: what comes after 65,534 of them is one.
		n = uint16(min(len(l.names), math.MaxUint16))
		if n < math.MaxUint16 {
			f.ifaces[index] = n
			l.names = append(l.names, l.nameOf(int(index)))
		}
	}
	f.lately, f.iface = index, n
	return n
}
