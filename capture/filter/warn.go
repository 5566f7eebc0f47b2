package filter

import (
	"fmt"
	"strings"
)

// Warnings says what the filter would hide of TCP connections of which it lets
// other packets through: one direction, or those that begin and end
// connections. Each is one sentence, without capital and full stop, that ends
// with the remedy. They come from
// trying the filter on made-up connections between the addresses and ports
// that it names; tests of other bytes, such as ip[8] < 5, may hide more.
func (e *Expr) Warnings() []string {
	if e.root == nil {
		return nil
	}
	seen := survey(e.root)
	p, link, err := e.probeProgram(seen)
	if err != nil && seen.directed {
		return []string{"only one direction of connections may pass, and from one side alone hangup often cannot tell who hung up: " + seen.oneWayRemedy()}
	}
	if err != nil {
		return nil
	}
	found, all, tunnels := findings{}, seen.connections(), seen.tunnels()
	for i, step := 0, 1+len(all)*len(tunnels)*len(p.raw)/mostProbing; i < len(all); i += step {
		for _, tunnel := range tunnels {
			found.add(all[i], probe(p, link, all[i], tunnel))
		}
	}
	return found.sentences(seen)
}

// mostProbing bounds the instructions that the connections to try may take
// together, before their kinds of packets: of long filters fewer are tried.
const mostProbing = 3_000_000

// probeProgram compiles for a link whose frames can have all that e tests.
func (e *Expr) probeProgram(s *surveyed) (*Program, uint16, error) {
	link := uint16(linkEthernet)
	if s.directed {
		link = linkSLL
	}
	p, err := e.Compile(link, 1)
	return p, link, err
}

// findings gather over all connections what the filter hides.
type findings struct {
	anything bool     // passes, of any connection
	oneWay   *contact // an example
	partial  *contact
	hidden   [kinds]bool // of connections of which other packets pass both ways
}

func (f *findings) add(c contact, passed [2][kinds]bool) {
	var some [2]bool
	for way := range passed {
		for kind := range passed[way] {
			some[way] = some[way] || passed[way][kind]
		}
	}
	f.anything = f.anything || some[0] || some[1]
	if some[0] != some[1] {
		if f.oneWay == nil {
			if some[1] {
				c.a, c.b = c.b, c.a
			}
			f.oneWay = &c
		}
		return
	}
	if !some[0] {
		return
	}
	for kind := range f.hidden {
		if kind != kindJumbo && (!passed[0][kind] || !passed[1][kind]) {
			f.hidden[kind] = true
			if f.partial == nil {
				f.partial = &c
			}
		}
	}
}

func (f *findings) sentences(s *surveyed) []string {
	var all []string
	if !f.anything && !s.computes {
		return []string{"no TCP packet passes unless in a tunnel, and hangup judges TCP connections only: if there is no tunnel, write a filter that lets tcp through"}
	}
	if f.oneWay != nil {
		all = append(all, fmt.Sprintf("only one direction of some connections passes, such as %s without the answers, and from one side alone hangup often cannot tell who hung up: %s",
			f.oneWay, s.oneWayRemedy()))
	}
	var names []string
	for _, n := range []struct {
		name string
		is   bool
	}{
		{"SYN", f.hidden[kindSYN]}, {"FIN", f.hidden[kindFIN]}, {"RST", f.hidden[kindRST]},
		{"data", f.hidden[kindData] || f.hidden[kindFull]}, {"acknowledgements", f.hidden[kindACK]},
	} {
		if n.is {
			names = append(names, n.name)
		}
	}
	if len(names) > 0 {
		all = append(all, fmt.Sprintf("some packets (%s) of connections are hidden while others pass, such as those of %s, and hangup misses what they tell: %s",
			strings.Join(names, ", "), f.partial, s.partialRemedy(f.hidden[kindSYN] || f.hidden[kindFIN] || f.hidden[kindRST])))
	}
	return all
}

func (s *surveyed) oneWayRemedy() string {
	switch {
	case s.directed:
		return "leave inbound and outbound out"
	case s.mixed:
		return "write host, net and port without src and dst, and put parentheses round each alternative, for and binds no tighter than or"
	}
	return "write host, net and port without src and dst"
}

func (s *surveyed) partialRemedy(ends bool) string {
	switch {
	case s.mixed:
		return "leave out tests of flags and lengths, and put parentheses round each alternative, for and binds no tighter than or"
	case ends:
		return "leave out tests of flags and lengths, or add: or tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0"
	}
	return "leave out tests of flags and lengths"
}
