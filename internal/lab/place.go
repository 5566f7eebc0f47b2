//go:build linux

package main

import (
	"fmt"
	"strings"

	"hangup/internal/lab/record"
)

// A Place is a topology with an address family: v4, v6 (two namespaces on a
// veth pair), routed4, routed6 (a kernel router between them), wired4, wired6
// (our own forwarder between them, which can drop, hold and inject), lo4, lo6
// (one namespace, captured on lo), any4, any6 (as v4, captured on `any`),
// routedany4 (as routed4, the router captured on `any`, each packet twice),
// dual (as v4, with both families).
type Place string

const (
	direct4    Place = "v4"
	direct6    Place = "v6"
	routed4    Place = "routed4"
	routed6    Place = "routed6"
	wired4     Place = "wired4"
	wired6     Place = "wired6"
	lo4        Place = "lo4"
	lo6        Place = "lo6"
	any4       Place = "any4"
	any6       Place = "any6"
	routedAny4 Place = "routedany4"
	dual       Place = "dual"
)

func (p Place) v6() bool     { return strings.HasSuffix(string(p), "6") }
func (p Place) routed() bool { return strings.HasPrefix(string(p), "routed") }
func (p Place) wired() bool  { return strings.HasPrefix(string(p), "wired") }
func (p Place) lo() bool     { return strings.HasPrefix(string(p), "lo") }
func (p Place) any() bool    { return strings.Contains(string(p), "any") }

const routerRole = "router"

// namespaces are those of one run.
type namespaces struct {
	place Place
	slot  int               // picks the networks, see net
	name  map[string]string // by role; the two ends of lo share one
	addr  map[string][]string
}

// link is the interface of a role that its capture looks at.
func (ns namespaces) link(role string) string {
	switch {
	case ns.place.lo():
		return "lo"
	case ns.place.routed() && role == routerRole && ns.place.any(), !ns.place.routed() && ns.place.any():
		return "any"
	case role == routerRole:
		return "eth-c"
	}
	return "eth0"
}

// roles with a wire of their own, in a fixed order.
func (ns namespaces) roles() []string {
	switch {
	case ns.place.lo():
		return []string{record.Client}
	case ns.place.routed():
		return []string{record.Client, record.Server, routerRole}
	}
	return []string{record.Client, record.Server}
}

func (ns namespaces) all() []string {
	var list []string
	for _, n := range ns.name {
		list = append(list, n)
	}
	return list
}

// build makes the namespaces of a place. Offloads stay on, as in the field,
// except where our own forwarder must see segments as on a cable. On an error what was made is
// removed again.
func build(place Place, slot int, id string) (ns namespaces, err error) {
	ns = namespaces{place: place, slot: slot, name: map[string]string{}, addr: map[string][]string{}}
	roles := ns.roles()
	if place.wired() {
		roles = append(roles, routerRole)
	}
	var add, batch strings.Builder
	for _, r := range roles {
		ns.name[r] = nsPrefix + id + "-" + r[:1]
		fmt.Fprintf(&add, "netns add %s\n", ns.name[r])
	}
	if place.lo() {
		ns.name[record.Server] = ns.name[record.Client]
	}
	defer func() {
		if err != nil {
			ns.remove()
		}
	}()
	if err = command("", add.String(), "ip", "-batch", "-"); err != nil {
		return ns, err
	}
	// Before there are links, which copy the defaults.
	if err = ns.quiet(roles); err != nil {
		return ns, err
	}
	c, s, r := ns.name[record.Client], ns.name[record.Server], ns.name[routerRole]
	switch {
	case place.lo():
	case r != "":
		fmt.Fprintf(&batch, "link add eth0 netns %s type veth peer name eth-c netns %s\n", c, r)
		fmt.Fprintf(&batch, "link add eth0 netns %s type veth peer name eth-s netns %s\n", s, r)
	default:
		fmt.Fprintf(&batch, "link add eth0 netns %s type veth peer name eth0 netns %s\n", c, s)
	}
	if batch.Len() > 0 {
		if err = command("", batch.String(), "ip", "-batch", "-"); err != nil {
			return ns, err
		}
	}
	for _, role := range roles {
		if !place.wired() {
			break
		}
		for _, link := range []string{"eth0", "eth-c", "eth-s"} {
			if err = offloadsOff(ns.name[role], link); err != nil {
				return ns, err
			}
		}
	}
	for _, role := range roles {
		if err = command("", ns.addresses(role), "ip", "-n", ns.name[role], "-batch", "-"); err != nil {
			return ns, err
		}
	}
	for _, role := range roles {
		for _, link := range []string{"eth0", "eth-c", "eth-s"} {
			if err = untilRunning(ns.name[role], link); err != nil {
				return ns, err
			}
		}
	}
	return ns, nil
}

// quiet switches off what would put strangers' packets on the wire, and
// lets a router route.
func (ns namespaces) quiet(roles []string) error {
	for _, role := range roles {
		keys := map[string]string{
			"net.ipv6.conf.all.accept_ra": "0", "net.ipv6.conf.default.accept_ra": "0",
			"net.ipv6.conf.default.router_solicitations": "0",
			"net.ipv4.icmp_ratelimit":                    "0", "net.ipv4.icmp_msgs_per_sec": "10000", "net.ipv6.icmp.ratelimit": "0",
		}
		if ns.place.v6() || ns.place == dual {
			keys["net.ipv6.conf.default.accept_dad"] = "0"
			keys["net.ipv6.conf.all.accept_dad"] = "0"
		} else {
			keys["net.ipv6.conf.default.disable_ipv6"] = "1"
			keys["net.ipv6.conf.all.disable_ipv6"] = "1"
		}
		if role == routerRole && ns.place.wired() {
			keys["net.ipv6.conf.default.disable_ipv6"] = "1"
			keys["net.ipv6.conf.all.disable_ipv6"] = "1"
		} else if role == routerRole {
			keys["net.ipv4.ip_forward"] = "1"
			keys["net.ipv6.conf.all.forwarding"] = "1"
		}
		for k, v := range keys {
			if err := setSysctl(ns.name[role], k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// addresses is the ip batch of one role. The addresses are those reserved
// for documentation (RFC 5737, RFC 3849).
func (ns namespaces) addresses(role string) string {
	var b strings.Builder
	b.WriteString("link set lo up\n")
	add := func(dev, addr string, bits int) {
		fmt.Fprintf(&b, "addr add %s/%d dev %s", addr, bits, dev)
		if strings.Contains(addr, ":") {
			b.WriteString(" nodad")
		}
		b.WriteByte('\n')
	}
	up := func(dev string) { fmt.Fprintf(&b, "link set %s up\n", dev) }
	own := func(dev string, addr ...string) {
		ns.addr[role] = addr
		for _, a := range addr {
			bits := 24
			if strings.Contains(a, ":") {
				bits = 64
			}
			add(dev, a, bits)
		}
		up(dev)
	}
	host := map[string]int{record.Client: 1, record.Server: 2}[role]
	near, far := ns.net4()
	v4, v6 := fmt.Sprintf("%s.%d", near, host), fmt.Sprintf("%s:%d", ns.net6(0), host)
	switch p := ns.place; {
	case p == lo4:
		own := []string{fmt.Sprintf("127.0.%d.1", ns.slot)} // all of 127/8 is there
		ns.addr[record.Client], ns.addr[record.Server] = own, own
	case p == lo6:
		own := []string{"::1"}
		if ns.slot > 0 {
			own = []string{ns.net6(3) + ":1"}
			add("lo", own[0], 128)
		}
		ns.addr[record.Client], ns.addr[record.Server] = own, own
	case p.wired() && role == routerRole:
		up("eth-c")
		up("eth-s")
	case p.routed() && role == routerRole && p.v6():
		c, s := ns.net6(1)+":fe", ns.net6(2)+":fe"
		add("eth-c", c, 64)
		add("eth-s", s, 64)
		up("eth-c")
		up("eth-s")
		ns.addr[role] = []string{c, s}
	case p.routed() && role == routerRole:
		add("eth-c", near+".254", 24)
		add("eth-s", far+".254", 24)
		up("eth-c")
		up("eth-s")
		ns.addr[role] = []string{near + ".254", far + ".254"}
	case p.routed() && p.v6():
		own("eth0", fmt.Sprintf("%s:%d", ns.net6(host), host))
		fmt.Fprintf(&b, "route add default via %s:fe\n", ns.net6(host))
	case p.routed():
		net := []string{"", near, far}[host]
		own("eth0", fmt.Sprintf("%s.%d", net, host))
		fmt.Fprintf(&b, "route add default via %s.254\n", net)
	case p == dual:
		own("eth0", v4, v6)
	case p.v6():
		own("eth0", v6)
	default:
		own("eth0", v4)
	}
	return b.String()
}

// net4 are the client's and, behind a router, the server's network, without
// the host's byte. Slot 0 has the addresses that recordings show. The kernel's
// tracepoints do not tell namespaces apart, so with -kernel scenarios that run
// at the same time have networks of their own (RFC 2544).
func (ns namespaces) net4() (near, far string) {
	if ns.slot == 0 {
		return "192.0.2", "198.51.100"
	}
	return fmt.Sprintf("198.18.%d", ns.slot), fmt.Sprintf("198.19.%d", ns.slot)
}

// net6 is a network by number: 0 direct, 1 and 2 beside a router, 3 of lo.
func (ns namespaces) net6(n int) string {
	if n += 0x10 * ns.slot; n > 0 {
		return fmt.Sprintf("2001:db8:%x:", n)
	}
	return "2001:db8:"
}

func (ns namespaces) remove() {
	for _, n := range ns.all() {
		removeNS(n)
	}
}
