package classify_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
)

// ipAt is where a frame's IP header begins, -1 if that is not known.
func ipAt(f frame) int {
	at, ok := map[uint16]int{1: 12, 101: 0, 113: 14}[f.link]
	if !ok || len(f.data) < at+2 {
		return -1
	}
	for f.link != 101 {
		kind := binary.BigEndian.Uint16(f.data[at:])
		at += 2
		if kind == 0x800 || kind == 0x86dd {
			break
		}
		if kind != 0x8100 || len(f.data) < at+4 {
			return -1
		}
		at += 2
	}
	return at
}

// header are the parts of an IP packet that name its ends.
type header struct {
	src, dst []byte
	tcp      []byte // with its payload, nil if it is not TCP or a later fragment
	quoted   []byte // by an ICMP error, nil if it is none
}

func headerOf(d []byte) (h header) {
	var next byte
	var up []byte
	switch {
	case len(d) >= 20 && d[0]>>4 == 4:
		h.src, h.dst, next, up = d[12:16], d[16:20], d[9], d[min(len(d), int(d[0]&15)*4):]
		if binary.BigEndian.Uint16(d[6:])&0x1fff != 0 {
			return h
		}
	case len(d) >= 40 && d[0]>>4 == 6:
		h.src, h.dst, next, up = d[8:24], d[24:40], d[6], d[40:]
		if next == 44 && len(up) >= 8 && up[2] == 0 && up[3]&^7 == 0 {
			next, up = up[0], up[8:]
		}
	}
	switch {
	case next == 6 && len(up) >= 8:
		h.tcp = up
	case len(up) > 8 && (next == 1 && (up[0] == 3 || up[0] == 11 || up[0] == 12) || next == 58 && up[0] < 128):
		h.quoted = up[8:]
	}
	return h
}

// rename gives all ends other addresses of the same networks, and other local
// ports of the usual range. Checksums are left: nothing believes them, since
// network cards fill them in after a capture.
func rename(d []byte) {
	h := headerOf(d)
	for _, addr := range [][]byte{h.src, h.dst} {
		if a, ok := netip.AddrFromSlice(addr); ok && !(a.Is6() && a.IsLoopback()) {
			addr[len(addr)-2] ^= 0x11
			addr[len(addr)-1] ^= 0x7f
		}
	}
	for i := 0; i < 4 && h.tcp != nil; i += 2 {
		if port := binary.BigEndian.Uint16(h.tcp[i:]); port >= 32768 && port <= 60999 {
			binary.BigEndian.PutUint16(h.tcp[i:], 32768+(port-32768+1)%(60999-32768+1))
		}
	}
	if h.quoted != nil {
		rename(h.quoted)
	}
}

// wrapping is what to add to all sequence numbers for the first to wrap soon.
func wrapping(frames []frame) uint32 {
	for _, f := range frames {
		if h := headerOf(f.data[ipAt(f):]); h.tcp != nil {
			return ^uint32(199) - binary.BigEndian.Uint32(h.tcp[4:])
		}
	}
	return 0
}

func renumber(d []byte, shift uint32) {
	h := headerOf(d)
	add := func(b []byte) { binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+shift) }
	switch {
	case h.quoted != nil:
		renumber(h.quoted, shift)
		return
	case h.tcp == nil:
		return
	case len(h.tcp) < 20: // quoted
		add(h.tcp[4:])
		return
	}
	const rst, ack = 4, 16
	flags := h.tcp[13]
	if flags&rst == 0 || binary.BigEndian.Uint32(h.tcp[4:]) != 0 { // 0 answers what acknowledged nothing
		add(h.tcp[4:])
	}
	if flags&ack != 0 {
		add(h.tcp[8:])
	}
	options := h.tcp[20:max(20, min(len(h.tcp), int(h.tcp[12]>>4)*4))]
	for len(options) > 1 && options[0] != 0 {
		size := 1
		if options[0] != 1 {
			size = int(options[1])
		}
		if size == 0 || size > len(options) {
			return
		}
		for i := 2; options[0] == 5 && i+4 <= size; i += 4 {
			add(options[i:])
		}
		options = options[size:]
	}
}

func tagged(f frame) frame {
	f.data = slices.Insert(bytes.Clone(f.data), 12, 0x81, 0, 0, 7)
	f.wire += 4
	return f
}

// cooked is an Ethernet frame as Linux's "any" interface shows it (LINKTYPE_LINUX_SLL).
func cooked(f frame) frame {
	head := append([]byte{0, 0, 0, 1, 0, 6}, f.data[6:12]...)
	f.data = slices.Concat(head, []byte{0, 0}, f.data[12:])
	f.link, f.wire = 113, f.wire+2
	return f
}

// strangers are orderly connections of hosts that have nothing to do with a
// capture's, while it lasts.
func strangers(frames []frame) (list []frame) {
	first, last := frames[0].time, frames[len(frames)-1].time
	for port := uint16(41000); port < 41003; port++ {
		seq := [2]uint32{1000, 77000}
		for i, s := range []struct{ from, flags, payload int }{
			{0, 2, 0}, {1, 18, 0}, {0, 16, 0}, {0, 24, 30}, {1, 24, 50}, {0, 17, 0}, {1, 17, 0}, {0, 16, 0},
		} {
			ends := [2][]byte{{198, 18, 0, 1}, {198, 18, 0, 2}}
			ports := [2]uint16{port, 9999}
			d := []byte{0x45, 0, 0, byte(40 + s.payload), 0, 0, 0x40, 0, 64, 6, 0, 0}
			d = slices.Concat(d, ends[s.from], ends[1-s.from])
			d = binary.BigEndian.AppendUint16(d, ports[s.from])
			d = binary.BigEndian.AppendUint16(d, ports[1-s.from])
			d = binary.BigEndian.AppendUint32(d, seq[s.from])
			d = binary.BigEndian.AppendUint32(d, seq[1-s.from]*uint32(s.flags>>4))
			d = append(d, 0x50, byte(s.flags), 0xff, 0, 0, 0, 0, 0)
			d = append(d, make([]byte, s.payload)...)
			seq[s.from] += uint32(s.payload + (s.flags&3+1)/2) // SYN and FIN count
			at := first + (last-first)*int64(port-41000)/4 + int64(i)*min((last-first)/100, 1e6)
			list = append(list, frame{at, 101, len(d), d})
		}
	}
	slices.SortStableFunc(list, func(a, b frame) int { return int(max(-1, min(1, a.time-b.time))) })
	return list
}

// directions are a capture's TCP packets of one direction each, and all others.
func directions(frames []frame) [][]frame {
	var halves [2][]frame
	for _, f := range frames {
		h := headerOf(f.data[ipAt(f):])
		up := 0
		if h.tcp != nil && bytes.Compare(slices.Concat(h.src, h.tcp[:2]), slices.Concat(h.dst, h.tcp[2:4])) > 0 {
			up = 1
		}
		halves[up] = append(halves[up], f)
		if h.tcp == nil {
			halves[1] = append(halves[1], f)
		}
	}
	return slices.DeleteFunc(halves[:], func(half []frame) bool { return len(half) == 0 })
}
