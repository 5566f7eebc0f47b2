package capture

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// rareLinks are the link types whose header is left to gopacket, and what
// follows that header.
var rareLinks = map[uint16]struct {
	link   layers.LinkType
	header gopacket.LayerType
	next   layer
}{
	linkFDDI:  {layers.LinkTypeFDDI, layers.LayerTypeFDDI, layerLLC},
	linkPrism: {layers.LinkTypePrismHeader, layers.LayerTypePrismHeader, layerWiFi},
	linkPFLog: {layers.LinkTypePFLog, layers.LayerTypePFLog, layerIP},
}

// rareLink has gopacket decode the first header of the frame, and no more.
// Its decoders do panic on short input; NewPacket turns that into a packet
// without the layer.
func (w *walk) rareLink() layer {
	rare := rareLinks[w.number]
	packet := gopacket.NewPacket(w.rest, rare.link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	header := packet.Layer(rare.header)
	if header == nil {
		return w.bad(LinkTruncated)
	}
	if f, ok := header.(*layers.FDDI); ok && len(f.DstMAC) == 6 {
		// gopacket v1.1.19 has the two addresses the wrong way round.
		w.p.Link = macAddress(f.DstMAC)
	}
	payload := header.LayerPayload()
	if len(payload) > len(w.rest) {
		return w.bad(LinkTruncated)
	}
	w.skip(len(w.rest) - len(payload))
	return rare.next
}

// macAddress is a six-byte address as Packet.Link has it.
func macAddress(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:6]))
}

// ppi follows a Per-Packet Information header, which gives its length and
// the link type of what is behind it.
func (w *walk) ppi() layer {
	if !w.has(8, LinkTruncated) {
		return done
	}
	length := int(binary.LittleEndian.Uint16(w.rest[2:4]))
	link := binary.LittleEndian.Uint32(w.rest[4:8])
	if length < 8 || !w.has(length, LinkTruncated) {
		return w.bad(LinkTruncated)
	}
	w.skip(length)
	return w.wrapped(link)
}

// pktap follows the header that Apple's tcpdump writes for -i any or -i
// pktap, to the frame of another link type behind it.
func (w *walk) pktap() layer {
	const flagIn, flagOut = 1, 2
	if !w.has(40, LinkTruncated) {
		return done
	}
	length := binary.LittleEndian.Uint32(w.rest[0:4])
	link := binary.LittleEndian.Uint32(w.rest[8:12])
	flags := binary.LittleEndian.Uint32(w.rest[36:40])
	if length < 40 || uint64(length) > uint64(len(w.rest)) {
		return w.bad(LinkTruncated)
	}
	switch flags & (flagIn | flagOut) {
	case flagIn:
		setDirection(w.p, 0)
	case flagOut:
		setDirection(w.p, packetOutgoing)
	}
	w.skip(int(length))
	return w.wrapped(link)
}

// wrapped names the layer of a link type that another link type's header
// names.
func (w *walk) wrapped(link uint32) layer {
	if link > 0xffff {
		return layerUnsupported
	}
	return w.link(uint16(link))
}
