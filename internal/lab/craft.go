//go:build linux

package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// forgery is a TCP segment made from nothing but a header.
type forgery struct {
	Seq, Ack uint32
	Flags    byte
	Window   uint16
	TTL      byte // 0: 64
	IPID     uint16
	Payload  []byte
}

// forge builds a frame that looks sent by whoever sent like: same MACs,
// addresses and ports, no TCP options.
func forge(like Seg, f forgery) []byte {
	if f.TTL == 0 {
		f.TTL = 64
	}
	t := make([]byte, 20+len(f.Payload))
	binary.BigEndian.PutUint16(t, like.Src.Port())
	binary.BigEndian.PutUint16(t[2:], like.Dst.Port())
	binary.BigEndian.PutUint32(t[4:], f.Seq)
	binary.BigEndian.PutUint32(t[8:], f.Ack)
	t[12], t[13] = 5<<4, f.Flags
	binary.BigEndian.PutUint16(t[14:], f.Window)
	copy(t[20:], f.Payload)
	return packet(like.Frame[:12], like.Src.Addr(), like.Dst.Addr(), unix.IPPROTO_TCP, f.TTL, f.IPID, t, 16)
}

// icmpError builds the ICMP or ICMPv6 error (by the family of what it
// quotes) that from would send about the segment to its sender. The rest of
// the header (the MTU of "too big") is word.
func icmpError(quoted Seg, from netip.Addr, typ, code byte, word uint32) []byte {
	quote := quoted.Frame[quoted.ipOff:min(len(quoted.Frame), quoted.tcpOff+20)]
	m := make([]byte, 8, 8+len(quote))
	m[0], m[1] = typ, code
	binary.BigEndian.PutUint32(m[4:], word)
	m = append(m, quote...)
	mac := append(append([]byte(nil), quoted.Frame[6:12]...), quoted.Frame[:6]...)
	proto := byte(unix.IPPROTO_ICMP)
	if from.Is6() {
		proto = unix.IPPROTO_ICMPV6
	}
	return packet(mac, from, quoted.Src.Addr(), proto, 64, 0, m, 2)
}

// packet puts body into an IP packet in an Ethernet frame and computes the
// checksums; the body's own is at sumAt.
func packet(macs []byte, src, dst netip.Addr, proto, ttl byte, id uint16, body []byte, sumAt int) []byte {
	frame := append([]byte(nil), macs...)
	var pseudo []byte
	if src.Is4() {
		h := make([]byte, 20)
		h[0], h[8], h[9] = 0x45, ttl, proto
		h[6] = 0x40 // DF, as Linux does
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(body)))
		binary.BigEndian.PutUint16(h[4:], id)
		copy(h[12:], src.AsSlice())
		copy(h[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], checksum(h))
		frame = append(append(frame, 0x08, 0x00), h...)
		if proto != unix.IPPROTO_ICMP { // ICMPv4 sums no pseudo-header
			pseudo = append(append(pseudo, h[12:20]...), 0, proto, byte(len(body)>>8), byte(len(body)))
		}
	} else {
		h := make([]byte, 40)
		h[0], h[6], h[7] = 0x60, proto, ttl
		binary.BigEndian.PutUint16(h[4:], uint16(len(body)))
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
		frame = append(append(frame, 0x86, 0xdd), h...)
		pseudo = append(append(pseudo, h[8:40]...), 0, 0, byte(len(body)>>8), byte(len(body)), 0, 0, 0, proto)
	}
	binary.BigEndian.PutUint16(body[sumAt:], checksum(append(pseudo, body...)))
	return append(frame, body...)
}

// checksum is RFC 1071's.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
