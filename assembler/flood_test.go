package assembler_test

import (
	"encoding/binary"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// floods send packets of ever other tuples. Those of the last one may be of
// connections that were established before the capture began, and stay.
var floods = []struct {
	name   string
	script []capture.Packet
}{
	{"syn", []capture.Packet{{Flags: capture.SYN}}},
	{"rst", []capture.Packet{{Flags: capture.RST}}},
	{"refused", []capture.Packet{{Flags: capture.SYN, Seq: 6}, {Flags: capture.RST | capture.ACK, Ack: 7}}},
	{"half-open", []capture.Packet{{Flags: capture.SYN, Seq: 6}, {Flags: capture.SYN | capture.ACK, Seq: 9, Ack: 7}}},
	{"leak", []capture.Packet{
		{Flags: capture.SYN, Seq: 6}, {Flags: capture.SYN | capture.ACK, Seq: 9, Ack: 7}, {Flags: capture.ACK, Seq: 7, Ack: 10},
		{Flags: capture.FIN | capture.ACK, Seq: 7, Ack: 10}, {Flags: capture.ACK, Seq: 10, Ack: 8},
	}},
	{"ack", []capture.Packet{{Flags: capture.ACK, Ack: 7, Len: 5}}},
}

// flood fills b with packets of connections from number n on; the one who
// answers is known by his ACK of 7 or 8.
func flood(b *capture.Batch, script []capture.Packet, port uint16, n, packets int, since int64, v6 bool) {
	b.Packets = b.Packets[:0]
	for i := range packets {
		p := script[i%len(script)]
		k := n + i/len(script)
		src, dst := [16]byte{10: 0xff, 11: 0xff, 12: 10}, [16]byte{10: 0xff, 11: 0xff, 12: 192, 15: 1}
		if v6 {
			src, dst = [16]byte{0: 0x20, 1: 1}, [16]byte{0: 0x20, 1: 2}
			p.Traits = capture.IPv6
		}
		binary.BigEndian.PutUint32(src[12:], uint32(10<<24+k))
		p.Src, p.SrcPort, p.Dst, p.DstPort = src, port, dst, 80
		if p.Ack == 7 && p.Flags != capture.ACK || p.Ack == 8 {
			p.Src, p.SrcPort, p.Dst, p.DstPort = p.Dst, p.DstPort, p.Src, p.SrcPort
		}
		p.Kind, p.Window, p.TTL = capture.TCP, 1000, 64
		at := int64(k*len(script) + i%len(script) + 1)
		p.Ref, p.Time = capture.MakeRef(0, uint64(at)), since+at*1e3 // a million a second
		b.Packets = append(b.Packets, p)
	}
}

// Whatever floods come, one after the other, memory stays below what is
// allowed, no packet is dropped in silence, and what a flood took comes back.
func TestFloods(t *testing.T) {
	const limit = 24 << 20
	const slack = 512 * 5000 // one batch
	for _, v6 := range []bool{false, true} {
		var counted, sent, evicted uint64
		count := func(c *assembler.Conn) {
			counted += uint64(c.Ends[0].Packets + c.Ends[1].Packets + c.Ends[0].Duplicates + c.Ends[1].Duplicates)
			if c.Partial&assembler.Evicted != 0 {
				evicted++
			}
		}
		tr := assembler.New(assembler.Config{MaxMemory: limit, Expire: true, Done: count})
		var b capture.Batch
		for i, f := range floods {
			since := max(tr.Now(), 1e18)
			conns := 100_000 / len(f.script)
			for n := 0; n < conns; n += 512 {
				flood(&b, f.script, uint16(40000+i), n, 512*len(f.script), since, v6)
				for lo := 0; lo < len(b.Packets); lo += 512 {
					part := capture.Batch{Packets: b.Packets[lo : lo+512]}
					tr.Batch(&part)
					if m := tr.Memory(); m > limit+slack {
						t.Fatalf("%s: %d bytes", f.name, m)
					}
				}
				sent += uint64(len(b.Packets))
			}
			now := tr.Now()
			for s := range int64(200) {
				tr.Tick(now + s*10e9)
			}
			if f.name != "ack" && tr.Open() > 0 {
				t.Errorf("%s leaves %d open", f.name, tr.Open())
			}
		}
		tr.Finish()
		if evicted == 0 || evicted != tr.Evicted() {
			t.Errorf("%d connections marked as evicted, %d counted", evicted, tr.Evicted())
		}
		if counted+tr.LatePackets() != sent {
			t.Errorf("%d packets in connections and %d late ones, of %d", counted, tr.LatePackets(), sent)
		}
	}
}
