package classify

import (
	"fmt"

	"hangup/assembler"
	"hangup/capture"
)

// KindRejected is dials that ICMP errors ended.
const KindRejected = "icmp-rejections"

// rejectedMin is how many dials ICMP must have ended at one router for a finding.
const rejectedMin = 3

// rejections groups dials that ICMP errors ended by who sent them.
type rejections struct {
	by bounded[rejectionKey, rejection] // rejectionsMax of 1 kB
}

const rejectionsMax = 1 << 10

type rejectionKey struct {
	router    [16]byte
	typ, code uint8
	v6        bool
}

type rejection struct {
	group
	servers crowd
	server  endpoint
}

func newRejections() *rejections {
	r := &rejections{}
	r.by.max = rejectionsMax
	return r
}

func (r *rejections) clone(*ledger) collector { return &rejections{r.by.clone(nil)} }

func (r *rejections) add(x *subject) {
	c, v := x.c, x.v
	if v.Cause != ICMPRejected {
		return
	}
	for _, m := range c.KeptICMP() {
		if !fatalOnSYN(&m) {
			continue
		}
		g := r.by.at(rejectionKey{m.Router, m.Type, m.Code, m.V6})
		sv := c.End(assembler.Server)
		g.servers.add(door(sv))
		g.server = endpointOf(sv) // only told if there is no other
		g.note(x, m.Time, point{c.First, assembler.Client, saysSYN, 0}, point{m.Stamp, m.Side.Peer(), saysICMP, 0})
		return
	}
}

func (r *rejections) finish(s *scene) (list []Finding) {
	for i := range r.by.items {
		g, k := &r.by.items[i].val, r.by.items[i].key
		if g.n < rejectedMin || s.scans.onlyScanners(&g.group) || g.servers.size() == 1 && s.eyeballs.excused(g.server, g.n) {
			continue
		}
		m := assembler.ICMP{Type: k.typ, Code: k.code, V6: k.v6}
		f := g.finding(KindRejected, Serious, Certain)
		f.at("router", endpoint{addr: k.router})
		if g.servers.size() == 1 {
			f.at("server", g.server)
		}
		f.clients(&g.group)
		f.number("dials ended", float64(g.n), "")
		f.number("server endpoints", float64(g.servers.size()), "")
		f.overflow(r.by.dropped)
		f.Title = fmt.Sprintf("%s ends %s with %s.", capture.Addr(k.router), plural(g.n, "dial"), icmpName(&m))
		f.What = "A router or the server's own host answers SYNs with an ICMP error, and the dialling kernel gives up at once. \"Prohibited\" is a firewall's rule, \"host unreachable\" a host that does not answer on its own network, \"network unreachable\" a missing route."
		f.Advice = "Ask whoever runs the address in the first place. In Go the error is a syscall.Errno inside net.OpError: EHOSTUNREACH, ENETUNREACH or EACCES; it is as final as ECONNREFUSED, so try another address at once."
		list = append(list, f)
	}
	return list
}
