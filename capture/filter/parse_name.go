package filter

import (
	"strconv"
	"strings"
)

// named makes a test of a word: a service, a range of ports, a protocol. Names
// of hosts are refused.
func (p *parser) named(t token, q qualifier) (*node, error) {
	n := &node{pos: t.pos, q: q}
	var ok bool
	switch q.address {
	case portAddress:
		return p.service(t, n)
	case rangeAddress:
		return p.portRange(t, n)
	case protoNumber:
		n.test = testNumber
		if q.protocol == protoLink {
			n.v, ok = linkProtocol(t.text)
		} else {
			n.v, ok = ipProtocol(t.text)
		}
		if !ok {
			return nil, p.fail(t.pos, "not the name of a protocol that hangup knows", "write its number, as in ip proto 47 or ether proto 0x88cc")
		}
		return n, nil
	}
	if q.protocol == protoLink {
		return nil, p.fail(t.pos, "an Ethernet address is expected behind ether", example(q))
	}
	return nil, p.fail(t.pos, "an address is expected here: hangup never looks up names", example(q))
}

func (p *parser) service(t token, n *node) (*node, error) {
	port, tcp, udp := servicePort(t.text)
	n.test, n.v, n.mask, n.transport = testPorts, port, port, n.q.protocol
	switch {
	case !tcp && !udp:
		return nil, p.fail(t.pos, "not the name of a service that this machine knows", "write the number: port 8443")
	case n.q.protocol == protoTCP && !tcp:
		return nil, p.fail(t.pos, t.text+" is a service of UDP", "write udp port "+t.text+", or the number")
	case n.q.protocol == protoUDP && !udp:
		return nil, p.fail(t.pos, t.text+" is a service of TCP", "write tcp port "+t.text+", or the number")
	case n.q.protocol == protoSCTP && tcp != udp:
		return nil, p.fail(t.pos, t.text+" is no service of SCTP", "write the number")
	case n.q.protocol != anyProtocol || tcp && udp:
	case tcp:
		n.transport = protoTCP
	case udp:
		n.transport = protoUDP
	}
	return n, nil
}

// portRange reads two ports with a hyphen between.
func (p *parser) portRange(t token, n *node) (*node, error) {
	from, to, ok := strings.Cut(t.text, "-")
	low, err1 := strconv.ParseUint(from, 10, 16)
	high, err2 := strconv.ParseUint(to, 10, 16)
	if !ok || err1 != nil || err2 != nil {
		return nil, p.fail(t.pos, "a range is two numbers, 0 to 65535, with a hyphen between", example(n.q))
	}
	n.test, n.transport = testPorts, n.q.protocol
	n.v, n.mask = uint32(min(low, high)), uint32(max(low, high))
	return n, nil
}
