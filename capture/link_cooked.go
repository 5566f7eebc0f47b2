package capture

import "encoding/binary"

// Packet types of Linux cooked headers, linux/if_packet.h.
const (
	packetToOther  = 3
	packetOutgoing = 4
)

// Hardware types (ARPHRD_) of Linux cooked headers whose protocol field is
// not an EtherType.
const (
	hardwareGRE      = 778
	hardwareRadiotap = 803
	hardwareNetlink  = 824
)

// readCooked takes direction and link address from a LINUX_SLL header of 16
// bytes and returns its protocol; zero where that is no EtherType.
func readCooked(p *Packet, h []byte) uint16 {
	setDirection(p, binary.BigEndian.Uint16(h[0:2]))
	p.Link = cookedAddress(h[6:14], binary.BigEndian.Uint16(h[4:6]))
	return cookedProtocol(binary.BigEndian.Uint16(h[2:4]), binary.BigEndian.Uint16(h[14:16]))
}

// readCooked2 is readCooked for the 20 bytes of LINUX_SLL2.
func readCooked2(p *Packet, h []byte) uint16 {
	setDirection(p, uint16(h[10]))
	p.Link = cookedAddress(h[12:20], uint16(h[11]))
	return cookedProtocol(binary.BigEndian.Uint16(h[8:10]), binary.BigEndian.Uint16(h[0:2]))
}

// setDirection notes a cooked packet type, unless the file format has said
// already which way the packet went.
func setDirection(p *Packet, packetType uint16) {
	if p.Traits&(Inbound|Outbound|NotToUs) != 0 {
		return
	}
	switch packetType {
	case packetToOther:
		p.Traits |= NotToUs
	case packetOutgoing:
		p.Traits |= Outbound
	case 0, 1, 2: // to us, broadcast, multicast
		p.Traits |= Inbound
	}
}

// cookedAddress is the link address in an eight-byte field. Only one of six
// bytes is a MAC: tunnel devices put an IPv4 address there, InfiniBand the
// first eight of its twenty.
func cookedAddress(field []byte, length uint16) uint64 {
	if length != 6 {
		return 0
	}
	return binary.BigEndian.Uint64(field) >> 16
}

// cookedProtocol filters a protocol field by the hardware type: netlink
// numbers its families there, 802.11 monitors prepend a radiotap header.
func cookedProtocol(hardware, protocol uint16) uint16 {
	if hardware == hardwareNetlink || hardware == hardwareRadiotap {
		return 0
	}
	return protocol
}

func (w *walk) cooked() layer {
	if !w.has(16, LinkTruncated) {
		return done
	}
	hardware := binary.BigEndian.Uint16(w.rest[2:4])
	number := readCooked(w.p, w.rest)
	w.skip(16)
	return w.cookedInto(hardware, number)
}

func (w *walk) cooked2() layer {
	if !w.has(20, LinkTruncated) {
		return done
	}
	hardware := binary.BigEndian.Uint16(w.rest[8:10])
	number := readCooked2(w.p, w.rest)
	w.skip(20)
	return w.cookedInto(hardware, number)
}

// cookedInto follows a cooked header's protocol, LINKTYPE_LINUX_SLL.
func (w *walk) cookedInto(hardware, number uint16) layer {
	const llcFrames = 4 // ETH_P_802_2
	switch {
	case hardware == hardwareRadiotap:
		return layerRadiotap
	case number == llcFrames:
		return layerLLC
	case number == 0 && hardware != hardwareNetlink && hardware != hardwareGRE:
		// Some tunnel devices leave it zero; what they carry is IP.
		return ipOrNothing(w.rest)
	}
	return w.into(number)
}

// ipOrNothing names the IP version that h begins with, where other things
// are to be expected too.
func ipOrNothing(h []byte) layer {
	if len(h) == 0 {
		return done
	}
	switch h[0] >> 4 {
	case 4:
		return layerIPv4
	case 6:
		return layerIPv6
	}
	return done
}

// loopback follows the four-byte address family of BSD's NULL and LOOP. NULL
// is in the byte order of whoever captured, so both are tried; AF_INET6
// differs between systems (Linux 10, Windows 23, NetBSD and OpenBSD 24,
// FreeBSD 28, Darwin 30).
func (w *walk) loopback() layer {
	if !w.has(4, LinkTruncated) {
		return done
	}
	family := binary.LittleEndian.Uint32(w.rest)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(w.rest)
	}
	w.skip(4)
	switch family {
	case 2:
		return layerIPv4
	case 10, 23, 24, 28, 30:
		return layerIPv6
	}
	if family > largestLength && family <= 0xffff {
		return w.into(uint16(family))
	}
	return done
}

// nflog follows the attributes of a Linux netfilter log packet to its
// payload. Lengths and types are in the byte order of the host that logged.
func (w *walk) nflog() layer {
	const hook, payload, hardwareAddress = 1, 9, 8
	if !w.has(4, LinkTruncated) {
		return done
	}
	w.skip(4)
	for n := 0; n < maxNflogAttributes && len(w.rest) >= 4; n++ {
		length, kind := w.nflogAttribute()
		if length < 4 {
			return w.bad(LinkTruncated)
		}
		if kind == payload {
			w.skip(4)
			w.limit(uint32(length - 4))
			return ipOrNothing(w.rest)
		}
		padded := (length + 3) &^ 3
		if !w.has(padded, LinkTruncated) {
			return done
		}
		switch v := w.rest[4:length]; {
		case kind == hook && len(v) >= 3:
			nflogDirection(w.p, v[2])
		case kind == hardwareAddress && len(v) >= 12 && binary.BigEndian.Uint16(v) == 6:
			w.p.Link = binary.BigEndian.Uint64(v[4:12]) >> 16
		}
		w.skip(padded)
	}
	return done
}

// maxNflogAttributes is twice as many as the kernel knows.
const maxNflogAttributes = 48

// nflogAttribute is the length, its own header included, and the type of the
// attribute that comes next. No type is above 255 and no length ends in such
// a byte order as to fit the packet both ways but for 257 * n.
func (w *walk) nflogAttribute() (length int, kind uint16) {
	length = int(binary.LittleEndian.Uint16(w.rest))
	kind = binary.LittleEndian.Uint16(w.rest[2:])
	if kind > 255 || length > int(w.wire) {
		length = int(binary.BigEndian.Uint16(w.rest))
		kind = binary.BigEndian.Uint16(w.rest[2:])
	}
	return length, kind &^ 0x8000
}

// nflogDirection notes which way a netfilter hook lies.
func nflogDirection(p *Packet, hook uint8) {
	if p.Traits&(Inbound|Outbound|NotToUs) != 0 {
		return
	}
	switch hook {
	case 1: // NF_INET_LOCAL_IN
		p.Traits |= Inbound
	case 3: // NF_INET_LOCAL_OUT
		p.Traits |= Outbound
	}
}

// ipNet follows the header of Solaris' IP observability devices.
func (w *walk) ipNet() layer {
	if !w.has(24, LinkTruncated) {
		return done
	}
	family := w.rest[1]
	switch binary.BigEndian.Uint16(w.rest[2:4]) {
	case 0:
		setDirection(w.p, 0)
	case 1:
		setDirection(w.p, packetOutgoing)
	}
	w.skip(24)
	switch family {
	case 2:
		return layerIPv4
	case 26: // AF_INET6 of Solaris
		return layerIPv6
	}
	return done
}
