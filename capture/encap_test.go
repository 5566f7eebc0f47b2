package capture

import (
	"fmt"
	"sync"
	"testing"
)

// keyOf is the encapsulation key of an IP packet decoded afresh.
func keyOf(t *testing.T, ip []byte) uint32 {
	t.Helper()
	b := newBench(linkRaw)
	p := b.decode(ip)
	if p.Kind != TCP {
		t.Fatalf("kind %d, %q", p.Kind, p.Problem)
	}
	return p.Encap
}

// TestEncapKeys has tunnels that must be told apart, and ones that must not
// since both directions of a connection go through them.
func TestEncapKeys(t *testing.T) {
	vx := func(from, to string, vni uint32) []byte {
		return v4(from, to, protocolUDP, datagramUDP(1, portVXLAN, vxlanHeader(vni, ether(0x0800, innerV4(false)))))
	}
	gtpTo := func(teid uint32) []byte {
		return outer(false, protocolUDP, datagramUDP(1, portGTP, join([]byte{0x30, 255, 0, 58}, be32(teid), innerV4(false))))
	}
	labelled := func(label uint32) []byte {
		return outer(false, protocolMPLS, join(be32(label<<12|1<<8), innerV4(false)))
	}
	greKeyed := func(flags uint16, key uint32) []byte {
		return outer(false, protocolGRE, greHeader(flags, 0x0800, key, innerV4(false)))
	}
	twice := func(a, b string) []byte {
		return v4(a, b, protocolIPv4, outer(false, protocolIPv4, innerV4(false)))
	}
	const x, y, z = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	tests := []struct {
		name string
		a, b []byte
		same bool
	}{
		{"VXLAN network", vx(x, y, 1), vx(x, y, 2), false},
		{"VXLAN hosts", vx(x, y, 1), vx(x, z, 1), false},
		{"VXLAN direction", vx(x, y, 1), vx(y, x, 1), true},
		{"GRE key", greKeyed(greKey, 1), greKeyed(greKey, 2), false},
		{"GRE key 0 and none", greKeyed(greKey, 0), greKeyed(0, 0), false},
		{"GRE sequence number", greKeyed(greKey|greSequence, 1), greKeyed(greKey, 1), true},
		{"GRE and none", greKeyed(0, 0), innerV4(false), false},
		{"GTP endpoint", gtpTo(1), gtpTo(2), true},
		{"MPLS label", labelled(100), labelled(200), true},
		{"hosts of the outer of two", twice(x, y), twice(x, z), false},
		{"direction of the outer of two", twice(x, y), twice(y, x), true},
	}
	for _, test := range tests {
		if a, b := keyOf(t, test.a), keyOf(t, test.b); (a == b) != test.same {
			t.Errorf("%s: keys %x and %x", test.name, a, b)
		}
	}
}

// TestEncapVLANs gives every VLAN and pair of VLANs its own key.
func TestEncapVLANs(t *testing.T) {
	b := newBench(linkEthernet)
	seen := make(map[uint32]string)
	note := func(frame []byte, want string) {
		p := b.decode(frame)
		if p.Encap == 0 || b.dec.encap(p.Encap) != want {
			t.Fatalf("key %x is %q, want %q", p.Encap, b.dec.encap(p.Encap), want)
		}
		if seen[p.Encap] != "" {
			t.Fatalf("%q and %q have one key", want, seen[p.Encap])
		}
		seen[p.Encap] = want
	}
	for id := uint16(1); id < 4096; id++ {
		note(ether(0x8100, tag(id, 0x0800, innerV4(false))), fmt.Sprintf("vlan %d", id))
	}
	for id := uint16(1); id < 4096; id += 37 {
		for in := uint16(1); in < 4096; in += 513 {
			note(ether(0x88a8, tag(id, 0x8100, tag(in, 0x0800, innerV4(false)))), fmt.Sprintf("vlan %d in vlan %d", in, id))
		}
	}
}

// TestEncapBound fills the table of descriptions, while another goroutine
// asks for them.
func TestEncapBound(t *testing.T) {
	b := newBench(linkRaw)
	var asking sync.WaitGroup
	asking.Go(func() {
		for key := range uint32(1000) {
			b.dec.encap(key)
		}
	})
	var last Packet
	for n := range uint32(maxEncaps + 100) {
		last = b.decode(outer(false, protocolGRE, greHeader(greKey, 0x0800, n, innerV4(false))))
	}
	asking.Wait()
	if n := len(b.dec.encaps.names); n != maxEncaps {
		t.Errorf("%d descriptions, want %d", n, maxEncaps)
	}
	if got, want := b.dec.encap(last.Encap), fmt.Sprintf("encapsulation %08x", last.Encap); got != want {
		t.Errorf("key beyond the bound is %q, want %q", got, want)
	}
	if got := b.dec.encap(0); got != "" {
		t.Errorf("key 0 is %q", got)
	}
}
