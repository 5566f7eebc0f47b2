//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// Scenario is one experiment: what each program does, what the network does
// to them, and what is true about it.
type Scenario struct {
	Name   string // unique; Base, probe and place joined
	Base   string
	Family string
	About  string // what happens, in a sentence or two

	Client, Server func(*L)
	Setup          func(*N) // before the programs start
	Network        func(*N) // beside them
	Sysctl         []Sysctl

	Probe string
	Place Place

	Filter string        // tcpdump filter, instead of everything
	Snap   int           // snaplen, instead of all of every packet
	From   string        // the captures start with this step (Network must call StartCapture)
	Tail   time.Duration // go on capturing for so long after the programs' last call
	Beat   bool          // then put an unrelated datagram on the wire: the capture demonstrably went on
	Limit  time.Duration // hard limit; 0 is 15 s

	Expect record.Expect

	// Probes and Places make the matrix: every probe at the first place, and
	// one probe, in turn, at each of the others.
	Probes []string
	Places []Place
	Adjust func(*Scenario) // what a variation changes, the truth included
	first  bool            // at the first of Places
	// firstProbe: with the first of Probes.
	firstProbe bool
}

// Sysctl is a key set in the namespace of a role before the start.
type Sysctl struct{ Role, Key, Value string }

func (s Scenario) limit() time.Duration {
	if s.Limit == 0 {
		return 15 * time.Second
	}
	return s.Limit
}

// expand makes the variations of one scenario.
func expand(s Scenario) []Scenario {
	if len(s.Probes) == 0 {
		s.Probes = []string{""}
	}
	if len(s.Places) == 0 {
		s.Places = []Place{direct4}
	}
	var all []Scenario
	one := func(probe string, place Place) {
		v := s
		v.Probes, v.Places = nil, nil
		v.Probe, v.Place = probe, place
		v.first, v.firstProbe = place == s.Places[0], probe == s.Probes[0]
		v.Base = s.Name
		v.Name = s.Name
		if probe != "" {
			v.Name += "." + probe
		}
		v.Name += "." + string(place)
		v.Expect.Conns = append([]record.Conn(nil), s.Expect.Conns...)
		if s.Adjust != nil {
			s.Adjust(&v)
		}
		all = append(all, v)
	}
	for _, p := range s.Probes {
		one(p, s.Places[0])
	}
	for i, place := range s.Places[1:] {
		one(s.Probes[i%len(s.Probes)], place)
	}
	return all
}

// catalogue is every scenario, expanded, in the order of the families.
func catalogue() []Scenario {
	var all []Scenario
	for _, family := range []struct {
		name string
		list []Scenario
	}{
		{"close", closeFamily()},
		{"reset", resetFamily()},
		{"late", lateFamily()},
		{"tuple", tupleFamily()},
		{"queue", queueFamily()},
		{"state", stateFamily()},
		{"forged", forgedFamily()},
		{"dial", dialFamily()},
		{"http", httpFamily()},
		{"http2", http2Family()},
		{"tls", tlsFamily()},
		{"icmp", icmpFamily()},
		{"timeout", timeoutFamily()},
		{"stall", stallFamily()},
		{"partial", partialFamily()},
		{"ports", portsFamily()},
	} {
		for _, s := range family.list {
			s.Family = family.name
			all = append(all, expand(s)...)
		}
	}
	return all
}

func find(all []Scenario, name string) (Scenario, bool) {
	for _, s := range all {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// truth is an Expect with one connection.
func truth(class, cause, by string, also ...string) record.Expect {
	return record.Expect{Conns: []record.Conn{{Class: class, Cause: cause, By: by, Also: also}}}
}

// first adds which side's FIN or RST is the first on the wire.
func first(e record.Expect, side, flag string) record.Expect {
	e.Conns[0].FirstEnd, e.Conns[0].Flag = side, flag
	return e
}

func offWire(e record.Expect, what string) record.Expect {
	e.OffWire = what
	return e
}

func other(side string) string {
	if side == record.Client {
		return record.Server
	}
	return record.Client
}

// pair makes a scenario out of what the two sides do with an established
// connection: actor is the side that acts, the other one is told.
func pair(s Scenario, side string, actor, told func(*L, *Conn)) Scenario {
	client, server := actor, told
	if side == record.Server {
		client, server = told, actor
	}
	s.Client = func(l *L) { client(l, l.Dial()) }
	s.Server = func(l *L) { server(l, l.Listen().One()) }
	return s
}

// eachSide makes two scenarios: f for the client and for the server.
func eachSide(f func(side string) Scenario) []Scenario {
	return []Scenario{f(record.Client), f(record.Server)}
}

// sysctls for one role, from key, value pairs below net.ipv4 (also good for
// IPv6, whose TCP shares them).
func tcpSysctl(role string, kv ...string) []Sysctl {
	var list []Sysctl
	for i := 0; i+1 < len(kv); i += 2 {
		list = append(list, Sysctl{role, "net.ipv4." + kv[i], kv[i+1]})
	}
	return list
}
