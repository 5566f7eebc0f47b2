package filter

import (
	"net/netip"
	"slices"
)

// surveyed is what an expression names.
type surveyed struct {
	hosts    []netip.Addr
	ports    []uint16
	macs     [][6]byte
	passages []*node // vlan, mpls, pppoes in their order
	directed bool    // by inbound or outbound
	computes bool    // tests more than made-up packets can have: bytes, lengths, many tunnels
	ands     bool
	ors      bool
	mixed    bool // and, or without parentheses may have surprised the writer
}

// Enough of each for what people write; more would only cost time.
const (
	mostHosts    = 10
	mostPorts    = 10
	mostPassages = 4
)

func survey(root *node) *surveyed {
	s := &surveyed{ports: []uint16{40404, 55555}}
	s.visit(root)
	s.mixed = s.ands && s.ors
	// Far from each other, so that no usual network holds both.
	for _, a := range []string{"203.0.113.77", "100.64.77.77", "3fff:77::77", "fd77::77"} {
		s.hosts = append(s.hosts, netip.MustParseAddr(a))
	}
	return s
}

func (s *surveyed) visit(n *node) {
	switch n.test {
	case testAnd, testOr, testNot:
		s.ands, s.ors = s.ands || n.test == testAnd, s.ors || n.test == testOr
		s.visit(n.left)
		if n.right != nil {
			s.visit(n.right)
		}
	case testHost4:
		s.host4(n.v, n.mask)
	case testHost6:
		s.host6(n)
	case testPorts:
		s.port(n.v)
		s.port(n.mask)
	case testStation:
		s.macs = append(s.macs, n.mac)
	case testVLAN, testMPLS, testPPPoES:
		if len(s.passages) < mostPassages {
			s.passages = append(s.passages, n)
		} else {
			s.computes = true
		}
	case testInbound, testOutbound:
		s.directed = true
	case testLess, testGreater, testByte:
		s.computes = true
	case testCompare:
		s.computes = true
		s.constants(n.a)
		s.constants(n.b)
	}
}

// host4 notes two addresses within a network, or the one of a host.
func (s *surveyed) host4(v, mask uint32) {
	for _, rest := range []uint32{0x01010105, 0x01010206} {
		w := v | rest&^mask
		s.host(netip.AddrFrom4([4]byte{byte(w >> 24), byte(w >> 16), byte(w >> 8), byte(w)}))
	}
}

func (s *surveyed) host6(n *node) {
	for _, rest := range []uint32{5, 6} {
		var a [16]byte
		for i := range n.addr6 {
			w := n.addr6[i] | rest&^n.mask6[i]
			a[4*i], a[4*i+1], a[4*i+2], a[4*i+3] = byte(w>>24), byte(w>>16), byte(w>>8), byte(w)
		}
		s.host(netip.AddrFrom16(a))
	}
}

func (s *surveyed) host(a netip.Addr) {
	if len(s.hosts) < mostHosts && !slices.Contains(s.hosts, a) {
		s.hosts = append(s.hosts, a)
	}
}

func (s *surveyed) port(v uint32) {
	if v <= 0xffff && len(s.ports) < mostPorts && !slices.Contains(s.ports, uint16(v)) {
		s.ports = append(s.ports, uint16(v))
	}
}

// constants notes what a sum compares with: it may be a port or an address.
func (s *surveyed) constants(x *sum) {
	switch {
	case x == nil:
	case x.kind == sumNumber && x.value > 0xffff:
		s.host4(x.value, 1<<32-1)
	case x.kind == sumNumber:
		s.port(x.value)
	default:
		s.constants(x.left)
		s.constants(x.right)
	}
}

// contact is a made-up connection: two ends and their Ethernet addresses.
type contact struct {
	a, b       netip.AddrPort
	macA, macB [6]byte
}

func (c contact) String() string {
	return c.a.String() + " > " + c.b.String()
}

// connections pairs every host that is named with every other and with ones
// that are not, on the ports that are named and on others.
func (s *surveyed) connections() []contact {
	macs := append([][6]byte{{2, 0, 0, 0, 0x77, 1}}, s.macs[:min(len(s.macs), 3)]...)
	other := [6]byte{2, 0, 0, 0, 0x77, 2}
	var all []contact
	for i, a := range s.hosts {
		for j, b := range s.hosts {
			if i == j || a.Is4() != b.Is4() || a.Is4() && i > j {
				continue
			}
			for x, p := range s.ports {
				for y, q := range s.ports {
					if x == y && x < 2 {
						continue
					}
					for _, mac := range macs {
						all = append(all, contact{netip.AddrPortFrom(a, p), netip.AddrPortFrom(b, q), mac, other})
					}
				}
			}
		}
	}
	return all
}

// tunnels are the ways to wrap packets that the filter may look for: none,
// each that it names, and all of them within each other in their order.
func (s *surveyed) tunnels() [][]*node {
	all := [][]*node{nil}
	for _, p := range s.passages {
		all = append(all, []*node{p})
	}
	if len(s.passages) > 1 {
		all = append(all, s.passages)
	}
	return all
}
