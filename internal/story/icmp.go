package story

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

type icmpCode struct{ kind, code uint8 }

// icmpCodes are the errors by name: ICMPv4's (RFC 792, 1122, 1812), then
// ICMPv6's (RFC 4443, 6550).
func icmpCodes(v6 bool) map[string]icmpCode {
	if v6 {
		return map[string]icmpCode{
			"no-route": {1, 0}, "admin-prohibited": {1, 1}, "beyond-scope": {1, 2},
			"addr-unreachable": {1, 3}, "port-unreachable": {1, 4}, "failed-policy": {1, 5},
			"reject-route": {1, 6}, "too-big": {2, 0},
			"hop-limit-exceeded": {3, 0}, "reassembly-exceeded": {3, 1}, "parameter-problem": {4, 0},
		}
	}
	return map[string]icmpCode{
		"net-unreachable": {3, 0}, "host-unreachable": {3, 1}, "protocol-unreachable": {3, 2},
		"port-unreachable": {3, 3}, "frag-needed": {3, 4}, "source-route-failed": {3, 5},
		"net-unknown": {3, 6}, "host-unknown": {3, 7}, "host-isolated": {3, 8},
		"net-prohibited": {3, 9}, "host-prohibited": {3, 10},
		"net-tos": {3, 11}, "host-tos": {3, 12}, "admin-prohibited": {3, 13},
		"precedence-violation": {3, 14}, "precedence-cutoff": {3, 15},
		"source-quench": {4, 0}, "ttl-exceeded": {11, 0}, "reassembly-exceeded": {11, 1}, "parameter-problem": {12, 0},
	}
}

func parseICMPCode(tok token, v6 bool) (icmpCode, error) {
	codes := icmpCodes(v6)
	if code, ok := codes[tok.text]; ok {
		return code, nil
	}
	kind, code, _ := strings.Cut(tok.text, "/")
	k, err1 := strconv.ParseUint(kind, 10, 8)
	n, err2 := strconv.ParseUint(code, 10, 8)
	if err1 == nil && err2 == nil {
		return icmpCode{uint8(k), uint8(n)}, nil
	}
	names := slices.Sorted(maps.Keys(codes))
	remedy := "write type/code as in 3/1, or " + strings.Join(names, ", ")
	if near := nearest(tok.text, names); near != "" {
		remedy = "did you mean " + near + "?"
	}
	family := "ICMP"
	if v6 {
		family = "ICMPv6"
	}
	return icmpCode{}, tok.fail(remedy, "%q is no %s error", tok.text, family)
}

// icmp reads icmp CODE from ADDR [attributes].
func (c *compiler) icmp(cn *conn, cur *cursor) (*action, error) {
	v6 := cn.ends[client].addr.Addr().Is6()
	code, err := parseICMPCode(cur.next(), v6)
	if err != nil {
		return nil, err
	}
	if !cur.take("from") {
		return nil, cur.peek().fail("write `icmp host-unreachable from 192.0.2.254`, or from S for the server itself", "an ICMP error from whom?")
	}
	from, err := cn.host(cur.next())
	if err != nil {
		return nil, err
	}
	v, err := attributes(cur, icmpAttributes)
	if err != nil {
		return nil, err
	}
	if got, ok := v["id"]; ok && v6 {
		return nil, got.tok.fail("drop it", "IPv6 has no IP ID")
	}
	at := c.at
	run := func() error {
		quoted := cn.last
		if got, ok := v["to"]; ok {
			f, err := c.labelled(got)
			if err != nil {
				return err
			}
			quoted = f.tcp
		}
		if quoted == nil || quoted.src.Addr().Is6() != v6 {
			return at.fail("put it behind the packet that drew it, or name one with to=#label", "no TCP packet of this family to quote")
		}
		return c.emit(c.icmpError(code, from, quoted, v))
	}
	return &action{run: run, gap: c.rtt / 2}, nil
}

// host reads an address, or C or S for that end's own.
func (c *conn) host(tok token) (netip.Addr, error) {
	if s, err := parseSide(tok); err == nil {
		return c.ends[s].addr.Addr(), nil
	}
	addr, err := netip.ParseAddr(tok.text)
	if err != nil || addr.Zone() != "" || addr.Is4() != c.ends[client].addr.Addr().Is4() {
		return addr, tok.fail("write C, S or an address of the connection's family", "%q is no host here", tok.text)
	}
	return addr, nil
}

// icmpError quotes the segment to whoever sent it.
func (c *compiler) icmpError(code icmpCode, from netip.Addr, quoted *segment, v values) *frame {
	to := &quoted.conn.ends[quoted.from]
	v6 := from.Is6()
	// As much as Linux quotes: 576 bytes in all for IPv4 (icmp_send, RFC 1812
	// 4.3.2.3), the minimum MTU for IPv6 (RFC 4443 2.4).
	limit, proto := 576-28, uint8(protoICMP)
	if v6 {
		limit, proto = 1280-48, protoICMPv6
	}
	ip := quoted.encode()
	ip = ip[:min(len(ip), int(v.apply("quote", uint32(limit), 0)))]
	mtu := v.apply("mtu", 0, 0)
	order := binary.BigEndian
	b := order.AppendUint32([]byte{code.kind, code.code, 0, 0}, mtu)
	b = append(b, ip...)
	sum := ^fold(sum16(0, b))
	if v6 {
		sum = transportSum(from, quoted.src.Addr(), protoICMPv6, b)
	}
	order.PutUint16(b[2:], sum)
	ttl := uint8(v.apply("ttl", 64, 0))
	packet := network(from, quoted.src.Addr(), proto, ttl, uint16(v.apply("id", 1, 0)), false, b)
	return &frame{ip: packet, src: deriveMAC(from), dst: to.linkAddr(), vlans: to.vlans, iface: 1, outgoing: quoted.from != c.capture}
}
