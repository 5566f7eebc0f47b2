package capture

import "testing"

// benchFrames are the packets whose cost matters, each with 100 bytes of data.
func benchFrames() []struct {
	name  string
	link  uint16
	frame []byte
} {
	data := make([]byte, 100)
	tcp := segment(40000, 443, 1, 2, ACK, timestamps(3, 4), data)
	inV4, inV6 := v4(hostA, hostB, protocolTCP, tcp), v6(hostC, hostD, protocolTCP, tcp)
	sll2 := join(be16(0x0800), []byte{0, 0, 0, 0, 0, 2, 0, 1, 4, 6}, macA, []byte{0, 0}, inV4)
	vxlan := v4("192.0.2.1", "192.0.2.2", protocolUDP, datagramUDP(50123, portVXLAN, vxlanHeader(42, ether(0x0800, inV4))))
	return []struct {
		name  string
		link  uint16
		frame []byte
	}{
		{"IPv4", linkEthernet, ether(0x0800, inV4)},
		{"IPv6", linkEthernet, ether(0x86dd, inV6)},
		{"SLL2", linkSLL2, sll2},
		{"Raw", linkRaw, inV4},
		{"VLAN", linkEthernet, ether(0x8100, tag(100, 0x0800, inV4))},
		{"VXLAN", linkEthernet, ether(0x0800, vxlan)},
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, f := range benchFrames() {
		b.Run(f.name, func(b *testing.B) {
			d, batch := newDecoder(), Batch{Data: f.frame}
			r := record{capLen: uint32(len(f.frame)), wireLen: uint32(len(f.frame)), link: f.link}
			packets := make([]Packet, 512)
			b.ReportAllocs()
			for b.Loop() {
				for i := range packets {
					d.decode(&batch, &r, &packets[i])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
			if packets[0].Kind != TCP {
				b.Fatalf("kind %d", packets[0].Kind)
			}
		})
	}
}
