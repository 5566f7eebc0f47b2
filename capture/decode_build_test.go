package capture

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// Frames for tests are built from the inside out: a builder takes what the
// header it writes shall carry.

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

var (
	macA = []byte{0x02, 0, 0, 0, 0, 0x0a}
	macB = []byte{0x02, 0, 0, 0, 0, 0x0b}
)

const macAValue = 0x02000000000a

// ether is a frame from macA to macB.
func ether(number uint16, payload []byte) []byte {
	return join(macB, macA, be16(number), payload)
}

// tag is what follows a VLAN's EtherType.
func tag(id, number uint16, payload []byte) []byte {
	return join(be16(0x6000|id), be16(number), payload)
}

func addr(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

// v4 is an IPv4 packet with TTL 61 and ID 0x1234, DF set.
func v4(from, to string, protocol uint8, payload []byte) []byte {
	return v4Fragment(from, to, protocol, ipDontFragment, payload)
}

func v4Fragment(from, to string, protocol uint8, fragment uint16, payload []byte) []byte {
	total := 20 + len(payload)
	if total > 0xffff {
		total = 0
	}
	return join([]byte{0x45, 0}, be16(uint16(total)), be16(0x1234), be16(fragment),
		[]byte{61, protocol, 0, 0}, addr(from), addr(to), payload)
}

// v6 is an IPv6 packet with hop limit 62.
func v6(from, to string, next uint8, payload []byte) []byte {
	length := len(payload)
	if length > 0xffff {
		length = 0
	}
	return join([]byte{0x60, 0, 0, 0}, be16(uint16(length)), []byte{next, 62}, addr(from), addr(to), payload)
}

// extension is a hop-by-hop, routing or options header of the fewest
// eight-byte units that hold v.
func extension(next uint8, v, payload []byte) []byte {
	h := join([]byte{next, 0}, v)
	for len(h)%8 != 0 {
		h = append(h, 0)
	}
	h[1] = byte(len(h)/8 - 1)
	return join(h, payload)
}

// segment is a TCP segment with window 0x2000 and the option list padded.
func segment(from, to uint16, seq, ack uint32, flags Flags, options, payload []byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	offset := uint16(5+len(options)/4) << 12
	return join(be16(from), be16(to), be32(seq), be32(ack), be16(offset|uint16(flags)), be16(0x2000),
		[]byte{0, 0, 0, 0}, options, payload)
}

func datagramUDP(from, to uint16, payload []byte) []byte {
	return join(be16(from), be16(to), be16(uint16(8+len(payload))), []byte{0, 0}, payload)
}

// timestamps is the option list of nearly every segment.
func timestamps(val, ecr uint32) []byte {
	return join([]byte{1, 1, 8, 10}, be32(val), be32(ecr))
}

// Both ends of the connection that most tests put into their tunnels.
const (
	hostA, hostB = "10.1.2.3", "10.4.5.6"
	hostC, hostD = "2001:db8::1:2", "2001:db8:5::77"
)

const hello = "GET / HTTP/1.1\r\n\r\n"

// innerV4 is a segment with timestamps and hello; back, one the other way.
func innerV4(back bool) []byte {
	if back {
		return v4(hostB, hostA, protocolTCP, segment(80, 40000, 900, 100, ACK|PSH, timestamps(8, 7), []byte(hello)))
	}
	return v4(hostA, hostB, protocolTCP, segment(40000, 80, 100, 900, ACK|PSH, timestamps(7, 8), []byte(hello)))
}

func innerV6(back bool) []byte {
	if back {
		return v6(hostD, hostC, protocolTCP, segment(80, 40000, 900, 100, ACK|PSH, timestamps(8, 7), []byte(hello)))
	}
	return v6(hostC, hostD, protocolTCP, segment(40000, 80, 100, 900, ACK|PSH, timestamps(7, 8), []byte(hello)))
}

// bench is a decoder with a batch, one packet at a time.
type bench struct {
	dec   *decoder
	batch Batch
	now   int64
	link  uint16
}

func newBench(link uint16) *bench { return &bench{dec: newDecoder(), link: link, now: 1e18} }

// decode decodes a frame of which the capture kept everything.
func (b *bench) decode(frame []byte) Packet { return b.cut(frame, len(frame)) }

// cut decodes a frame of which the capture kept n bytes.
func (b *bench) cut(frame []byte, n int) Packet {
	b.batch.Data = append(b.batch.Data[:0], "something before the frame"...)
	r := record{time: b.now, off: uint32(len(b.batch.Data)), capLen: uint32(n), wireLen: uint32(len(frame)), iface: 3, link: b.link}
	if n < len(frame) {
		r.traits = SnapCut
	}
	b.batch.Data = append(b.batch.Data, frame[:n]...)
	var p Packet
	b.dec.decode(&b.batch, &r, &p)
	b.now += 1e6
	return p
}

func (b *bench) payload(p *Packet) string { return string(b.batch.Payload(p)) }

// check fails unless the packet is consistent in itself, whatever it is.
func (b *bench) check(t *testing.T, p *Packet) {
	t.Helper()
	if uint64(p.Off)+uint64(p.CapLen) > uint64(len(b.batch.Data)) {
		t.Fatalf("payload [%d:+%d] lies outside the batch of %d bytes", p.Off, p.CapLen, len(b.batch.Data))
	}
	if p.CapLen > p.Len {
		t.Fatalf("CapLen %d > Len %d", p.CapLen, p.Len)
	}
	if p.Kind == TCP && (p.CapLen < p.Len) != p.Has(SnapCut) && !p.Has(HeaderCut) {
		t.Fatalf("SnapCut is %v with %d of %d bytes", p.Has(SnapCut), p.CapLen, p.Len)
	}
	if (p.Kind == Bad) != (p.Problem != NoProblem) {
		t.Fatalf("kind %d with problem %q", p.Kind, p.Problem)
	}
	if p.Kind > Bad || p.Kind != ICMPError && (p.Router != [16]byte{} || p.ICMPType|p.ICMPCode != 0) {
		t.Fatalf("fields of another kind are set: %+v", p)
	}
}
