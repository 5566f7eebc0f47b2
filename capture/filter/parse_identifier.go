package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

func noun(a address) string {
	switch a {
	case netAddress:
		return "network"
	case portAddress:
		return "port"
	case rangeAddress:
		return "range of ports"
	case protoNumber:
		return "protocol"
	}
	return "host"
}

// example shows an identifier that q can have.
func example(q qualifier) string {
	switch q.address {
	case netAddress:
		return "such as net 192.0.2.0/24, net 10.1, net 2001:db8::/32"
	case portAddress:
		return "such as port 443 or port https"
	case rangeAddress:
		return "such as portrange 8000-8010"
	case protoNumber:
		return `such as ip proto 6 or ip proto \tcp`
	}
	if q.protocol == protoLink {
		return "such as ether host 00:00:5e:00:53:01"
	}
	return "such as host 192.0.2.1 or host 2001:db8::1"
}

// undefined refuses an identifier that inherits no meaning.
func (p *parser) undefined(t token) error {
	instead := "put host, net, port, portrange or proto before it"
	switch small := strings.ToLower(t.text); {
	case t.kind == name && small != t.text && isKeyword(small):
		instead = "write " + small + " in small letters"
	case t.kind == dotted || t.kind == address6:
		instead = "write host " + t.text
	case t.kind == station:
		instead = "write ether host " + t.text
	}
	return p.fail(t.pos, "nothing here says what this is", instead)
}

// addressable refuses protocols that have no such addresses.
func (p *parser) addressable(t token, q qualifier) error {
	switch q.address {
	case portAddress, rangeAddress:
		switch q.protocol {
		case anyProtocol, protoTCP, protoUDP, protoSCTP:
			return nil
		}
		return p.fail(t.pos, t.shown()+" has no ports", "write port 443, tcp port 443 or udp port 53")
	}
	switch q.protocol {
	case anyProtocol, protoIP, protoIP6, protoARP, protoRARP:
		return nil
	case protoLink:
		if q.address != netAddress {
			return nil
		}
		return p.fail(t.pos, "Ethernet has no networks", "write net 192.0.2.0/24")
	case protoDECnet:
		return p.fail(t.pos, "DECnet addresses cannot be tested", "")
	}
	return p.fail(t.pos, t.shown()+" has no addresses of its own", "write "+t.text+" and "+noun(q.address)+" 192.0.2.1")
}

func (p *parser) numberable(t token, q qualifier) error {
	switch q.protocol {
	case anyProtocol, protoIP, protoIP6, protoLink:
		return nil
	}
	return p.fail(t.pos, t.shown()+" carries no protocol number that can be tested", "write proto 6, ip proto 6, ip6 proto 6 or ether proto 0x0800")
}

// identifier parses anything but a bare number: an address, a network, a name.
func (p *parser) identifier(q qualifier) (*node, error) {
	t := p.next()
	if !q.inheritable() {
		return nil, p.undefined(t)
	}
	p.take()
	switch t.kind {
	case number:
		return p.numbered(t, q)
	case dotted:
		return p.dottedAddress(t, q)
	case address6:
		return p.longAddress(t, q)
	case station:
		mac, _ := parseStation(t.text)
		if q.protocol != protoLink || q.address != anyAddress && q.address != hostAddress {
			return nil, p.fail(t.pos, "an Ethernet address fits only behind ether", "ether host 00:00:5e:00:53:01, ether src ..., ether dst ...")
		}
		return &node{test: testStation, pos: t.pos, q: q, mac: mac}, nil
	}
	return p.named(t, q)
}

// numbered makes a test of a bare number: a port, a protocol, or the first
// part of an IPv4 network.
func (p *parser) numbered(t token, q qualifier) (*node, error) {
	n := &node{pos: t.pos, q: q, v: t.value, mask: t.value}
	if !q.inheritable() {
		return nil, p.undefined(t)
	}
	switch q.address {
	case portAddress, rangeAddress:
		if t.value > 65535 {
			return nil, p.fail(t.pos, "a port is at most 65535", "")
		}
		n.test, n.transport = testPorts, q.protocol
		return n, nil
	case protoNumber:
		n.test = testNumber
		return n, nil
	}
	n.test, n.mask = testHost4, 1<<32-1
	if q.address == netAddress {
		for n.v != 0 && n.v>>24 == 0 {
			n.v, n.mask = n.v<<8, n.mask<<8
		}
	}
	return n, p.fits(t, q, false)
}

// fits refuses an address of the wrong family for its qualifiers.
func (p *parser) fits(t token, q qualifier, six bool) error {
	switch {
	case q.address == portAddress || q.address == rangeAddress || q.address == protoNumber:
		return p.fail(t.pos, "a "+noun(q.address)+" is expected here, not "+t.shown(), example(q))
	case q.protocol == protoLink:
		return p.fail(t.pos, "an Ethernet address is expected behind ether", example(q))
	case six && q.protocol != anyProtocol && q.protocol != protoIP6:
		return p.fail(t.pos, "an IPv6 address cannot be that of another protocol", "write host 2001:db8::1 or ip6 host 2001:db8::1")
	case !six && q.protocol == protoIP6:
		return p.fail(t.pos, "an IPv4 address is never that of IPv6", "write host 192.0.2.1 or ip host 192.0.2.1")
	}
	return nil
}

// beginning reads one to four decimal numbers joined by dots as the beginning
// of an IPv4 address, and says how many bits it gives.
func (p *parser) beginning(t token) (addr uint32, bits int, err error) {
	for _, part := range strings.Split(t.text, ".") {
		v, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, 0, p.fail(t.pos, "not an IPv4 address: its numbers are decimal, 0 to 255", "")
		}
		addr, bits = addr<<8|uint32(v), bits+8
	}
	return addr << (32 - bits), bits, nil
}

func (p *parser) dottedAddress(t token, q qualifier) (*node, error) {
	if err := p.fits(t, q, false); err != nil {
		return nil, err
	}
	addr, bits, err := p.beginning(t)
	if err != nil {
		return nil, err
	}
	n := &node{test: testHost4, pos: t.pos, q: q, v: addr, mask: ^uint32(0) << (32 - bits)}
	switch slash := p.next(); {
	case slash.is("/"):
		p.take()
		if bits, err := p.prefix(q, 32); err != nil {
			return nil, err
		} else {
			n.mask = ^uint32(0) << (32 - bits)
		}
	case slash.is("mask"):
		p.take()
		m := p.take()
		if m.kind != dotted {
			return nil, p.fail(m.pos, "a mask such as 255.255.255.0 is expected here, not "+m.shown(), "")
		}
		if n.mask, _, err = p.beginning(m); err != nil {
			return nil, err
		}
		if q.address != netAddress {
			return nil, p.fail(slash.pos, "a mask fits only behind net", "net 192.0.2.0 mask 255.255.255.0")
		}
	}
	if n.v&^n.mask != 0 {
		return nil, p.fail(t.pos, "bits are set outside the mask", "write net "+dottedForm(n.v&n.mask)+" with the same mask, or host "+dottedForm(n.v))
	}
	return n, nil
}

func dottedForm(v uint32) string {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

func (p *parser) prefix(q qualifier, most uint32) (uint32, error) {
	address, slash := p.tokens[p.at-2], p.tokens[p.at-1]
	bits, err := p.plainNumber("the length of a prefix", most)
	if err == nil && q.address != netAddress && bits != 128 {
		instead := "write net " + address.text + "/" + strconv.Itoa(int(bits))
		if whole, err := netip.ParsePrefix(address.text + "/" + strconv.Itoa(int(bits))); err == nil {
			instead = "write net " + whole.Masked().String()
		}
		err = p.fail(slash.pos, "a prefix length fits only behind net", instead)
	}
	return bits, err
}

func (p *parser) longAddress(t token, q qualifier) (*node, error) {
	if err := p.fits(t, q, true); err != nil {
		return nil, err
	}
	bits := uint32(128)
	if p.takeIf("/") {
		var err error
		if bits, err = p.prefix(q, 128); err != nil {
			return nil, err
		}
	}
	addr, err := netip.ParseAddr(t.text)
	if err != nil {
		return nil, p.fail(t.pos, "not an IPv6 address", "")
	}
	masked, _ := addr.WithZone("").Prefix(int(bits))
	if masked.Addr() != addr && !addr.Is4In6() {
		return nil, p.fail(t.pos, "bits are set outside the prefix", "write net "+masked.String()+" or host "+addr.String())
	}
	n := &node{test: testHost6, pos: t.pos, q: q}
	a := addr.As16()
	for i := range n.addr6 {
		n.addr6[i] = uint32(a[4*i])<<24 | uint32(a[4*i+1])<<16 | uint32(a[4*i+2])<<8 | uint32(a[4*i+3])
		n.mask6[i] = ^uint32(0) << (32 - min(32, max(0, int(bits)-32*i)))
		if n.addr6[i]&^n.mask6[i] != 0 {
			return nil, p.fail(t.pos, "bits are set outside the prefix", "write a longer prefix or host "+addr.String())
		}
	}
	return n, nil
}
