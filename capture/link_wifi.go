package capture

import "encoding/binary"

// radiotap follows a radiotap header to the 802.11 frame behind it. Of its
// fields only the flags matter: they say whether the frame's header is padded.
func (w *walk) radiotap() layer {
	const present = 4
	if !w.has(8, LinkTruncated) {
		return done
	}
	length := int(binary.LittleEndian.Uint16(w.rest[2:4]))
	if length < 8 || !w.has(length, LinkTruncated) {
		return w.bad(LinkTruncated)
	}
	padded := radiotapPadded(w.rest[present:length])
	w.skip(length)
	return w.wifiFrame(padded)
}

// radiotapPadded finds the "data pad" flag; h starts with the bitmap of
// fields, four bytes into the header.
func radiotapPadded(h []byte) bool {
	const hasTSFT, hasFlags, more, dataPad = 1, 2, 1 << 31, 0x20
	first := binary.LittleEndian.Uint32(h)
	if first&hasFlags == 0 {
		return false
	}
	at := 4
	for word := first; word&more != 0; at += 4 {
		if at+4 > len(h) {
			return false
		}
		word = binary.LittleEndian.Uint32(h[at:])
	}
	if first&hasTSFT != 0 {
		at = (at+4+7)&^7 - 4 + 8 // fields are aligned from the header's start
	}
	return at < len(h) && h[at]&dataPad != 0
}

// wifi follows an 802.11 frame that has no header before it.
func (w *walk) wifi() layer { return w.wifiFrame(false) }

// wifiFrame follows an 802.11 data frame to its LLC header. Management,
// control, null-data, encrypted and fragmented frames lead nowhere; of an
// aggregate (A-MSDU) only the first packet is seen.
func (w *walk) wifiFrame(padded bool) layer {
	const (
		typeMask, data    = 0x0c, 0x08
		noData, qos       = 0x40, 0x80
		toDS, fromDS      = 0x01, 0x02
		more, sealed      = 0x04, 0x40
		order, aggregated = 0x80, 0x80
	)
	if !w.has(24, LinkTruncated) {
		return done
	}
	h := w.rest
	control, flags := h[0], h[1]
	fragment := h[22] & 0x0f
	if control&typeMask != data || control&noData != 0 || flags&(more|sealed) != 0 || fragment != 0 {
		return done
	}
	n, from, aggregate := 24, h[10:16], false
	switch flags & (toDS | fromDS) {
	case fromDS:
		from = h[16:22]
	case toDS | fromDS:
		if !w.has(30, LinkTruncated) {
			return done
		}
		n, from = 30, h[24:30]
	}
	if control&qos != 0 {
		if !w.has(n+2, LinkTruncated) {
			return done
		}
		aggregate = h[n]&aggregated != 0
		n += 2
		if flags&order != 0 {
			n += 4
		}
	}
	if padded {
		n = (n + 3) &^ 3
	}
	if aggregate {
		n += 14 // addresses and length of the first subframe
	}
	if !w.has(n, LinkTruncated) {
		return done
	}
	w.p.Link = macAddress(from)
	w.skip(n)
	return layerLLC
}

// avs follows an AVS monitor header, which gives its own length.
func (w *walk) avs() layer {
	if !w.has(8, LinkTruncated) {
		return done
	}
	length := binary.BigEndian.Uint32(w.rest[4:8])
	if length < 8 || uint64(length) > uint64(len(w.rest)) {
		return w.bad(LinkTruncated)
	}
	w.skip(int(length))
	return layerWiFi
}
