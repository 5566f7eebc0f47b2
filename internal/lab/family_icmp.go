//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"time"

	"hangup/internal/lab/record"
)

// icmpFamily: every unreachable code, and its relatives, on a SYN and on
// established data.
func icmpFamily() (all []Scenario) {
	for _, m := range icmpMessages() {
		all = append(all, icmpOnSYN(m))
		all = append(all, icmpOnData(m))
	}
	all = append(all, icmpFromServer(), icmpOnDataHealed(), realRejects(record.Server), realRejects(routerRole))
	return all
}

type icmpMessage struct {
	v6        bool
	typ, code byte
	word      uint32
	name      string
	// fatal says whether Linux ends a connection attempt on it. That the
	// recordings agree is what the scenario is for.
	fatal bool
}

func icmpMessages() (list []icmpMessage) {
	for code := byte(0); code <= 15; code++ {
		m := icmpMessage{typ: 3, code: code, fatal: true}
		if code == 4 {
			m.word, m.fatal = 1400, false // path MTU discovery
		}
		list = append(list, m)
	}
	list = append(list, icmpMessage{typ: 11, code: 0, fatal: true}, icmpMessage{typ: 11, code: 1},
		icmpMessage{typ: 12, code: 0, fatal: true}, icmpMessage{typ: 4, code: 0})
	for code := byte(0); code <= 8; code++ {
		list = append(list, icmpMessage{v6: true, typ: 1, code: code, fatal: true})
	}
	list = append(list, icmpMessage{v6: true, typ: 2, word: 1400}, icmpMessage{v6: true, typ: 3, code: 0, fatal: true},
		icmpMessage{v6: true, typ: 3, code: 1, fatal: true}, icmpMessage{v6: true, typ: 4, code: 0, fatal: true},
		icmpMessage{v6: true, typ: 4, code: 1, fatal: true}, icmpMessage{v6: true, typ: 4, code: 2, fatal: true})
	for i, m := range list {
		v := 4
		if m.v6 {
			v = 6
		}
		list[i].name = fmt.Sprintf("icmpv%d-%d-%d", v, m.typ, m.code)
	}
	return list
}

func (m icmpMessage) place() Place {
	if m.v6 {
		return wired6
	}
	return wired4
}

// router is an address of the client's network that belongs to neither end.
func (m icmpMessage) router() netip.Addr {
	if m.v6 {
		return netip.MustParseAddr("2001:db8::fe")
	}
	return netip.MustParseAddr("192.0.2.254")
}

func icmpOnSYN(m icmpMessage) Scenario {
	s := Scenario{Name: m.name + "-on-syn", Sysctl: fastSYN("1"), Setup: dropAllSYN, Places: []Place{m.place()}, Limit: 20 * time.Second,
		About:  fmt.Sprintf("the SYN is lost, and a router answers with ICMP type %d code %d", m.typ, m.code),
		Client: dialing(DialOpt{}),
		Network: func(n *N) {
			syn := n.Seen(record.Client, "the SYN", hasSYN)
			n.Inject(record.Client, m.name, icmpError(syn, m.router(), m.typ, m.code, m.word))
		}}
	if m.fatal {
		s.Expect = first(truth("reset", "icmp-rejected", record.Network), "none", "ICMP")
	} else {
		s.Expect = first(truth("timed-out", "connect-timeout", record.Unknown), "none", "")
		s.Beat = true
	}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Why: "the SYN never came: no connection"}}
	return s
}

// icmpOnData: the path breaks under established data, and a router says so
// for every segment. The errno waits until the kernel gives up.
func icmpOnData(m icmpMessage) Scenario {
	s := pair(Scenario{Name: m.name + "-on-data", Places: []Place{m.place()}, Limit: 30 * time.Second, Beat: true, Tail: 3 * time.Second,
		About:  fmt.Sprintf("established data is lost, and a router answers each segment with ICMP type %d code %d until the client's kernel gives up", m.typ, m.code),
		Sysctl: tcpSysctl(record.Client, "tcp_retries2", "2"),
		Probes: []string{reader},
		Expect: first(truth("timed-out", "retransmission-timeout", record.Unknown), "none", ""),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("cut")
		p := c.Watch()
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.ReadN(10)
	})
	s.Expect.Conns[0].AlsoBy = []string{record.Network, record.Server}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown,
		Why: "after the greeting nothing reached the server"}}
	s.Server = func(l *L) {
		c := l.Listen().One()
		greet(l, c)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(10) })
	}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wire("lose everything towards the server, and answer with "+m.name, func(s Seg, up bool) verdict {
			if !up {
				return pass
			}
			if s.Len > 0 {
				n.wire.send(icmpError(s, m.router(), m.typ, m.code, m.word), false)
			}
			return drop
		})
		n.At("cut")
	}
	return s
}

// icmpFromServer: the host itself says that the port is unreachable.
func icmpFromServer() Scenario {
	return Scenario{Name: "icmp-rejected-by-server", About: "the server's firewall rejects the SYN with an ICMP port unreachable of its own",
		Setup:  func(n *N) { n.Rule(record.Server, "in", "tcp dport 8080 reject with icmpx type port-unreachable") },
		Client: dialing(DialOpt{}), Places: []Place{direct4, direct6, routed4, routed6, lo4, lo6, any4},
		Expect: first(truth("reset", "icmp-rejected", record.Server), "none", "ICMP")}
}

// icmpOnDataHealed: the error comes, the path heals, nobody is told.
func icmpOnDataHealed() Scenario {
	return Scenario{Name: "icmp-on-data-healed", About: "one segment is lost and answered by ICMP host unreachable; its repeat gets through, and nobody is told",
		Client: func(l *L) {
			c := l.Dial()
			greet(l, c)
			l.Wait("cut")
			_, _ = c.WriteN(50)
			c.UntilAcked()
			c.Phase = record.After
			_, _ = c.ReadWithin(10, patience)
			_, _ = c.WriteN(10)
			_ = c.Close()
		},
		Server: func(l *L) {
			c := l.Listen().One()
			greet(l, c)
			c.ReadAll(60)
			_, _ = c.ReadN(10)
			_ = c.Close()
		},
		Network: func(n *N) {
			n.Greeted()
			once := dropOnce(func(s Seg) bool { return s.Len > 0 })
			n.Wire("lose one segment and answer with host unreachable", func(s Seg, up bool) verdict {
				v := once(s, up)
				if v == drop {
					n.wire.send(icmpError(s, netip.MustParseAddr("192.0.2.254"), 3, 1, 0), false)
				}
				return v
			})
			n.At("cut")
		},
		Places: []Place{wired4}, Expect: first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN")}
}

// realRejects: what nftables sends by itself, one dial per kind.
func realRejects(role string) Scenario {
	kinds := map[bool][]string{
		false: {"net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited", "host-prohibited", "admin-prohibited"},
		true:  {"no-route", "admin-prohibited", "addr-unreachable", "port-unreachable", "policy-fail", "reject-route"},
	}
	by, chain, place := record.Server, "in", []Place{direct4, direct6}
	if role == routerRole {
		by, chain, place = record.Network, "fwd", routedPlaces()
	}
	s := Scenario{Name: "rejects-by-" + role, About: "one dial to each of several ports, each rejected by nftables on the " + role + " with another ICMP code", Places: place}
	s.Client = func(l *L) {
		for i := range kinds[netip.MustParseAddr(l.Server).Is6()] {
			dialing(DialOpt{Port: 9000 + i})(l)
		}
	}
	s.Adjust = func(v *Scenario) {
		v6 := v.Place.v6()
		v.Expect.Conns = nil
		for range kinds[v6] {
			v.Expect.Conns = append(v.Expect.Conns, first(truth("reset", "icmp-rejected", by), "none", "ICMP").Conns[0])
		}
		v.Setup = func(n *N) {
			for i, kind := range kinds[v6] {
				proto := "icmp"
				if v6 {
					proto = "icmpv6"
				}
				n.Rule(role, chain, fmt.Sprintf("tcp dport %d reject with %s type %s", 9000+i, proto, kind))
			}
		}
	}
	return s
}
