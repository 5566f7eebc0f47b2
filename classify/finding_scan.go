package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about those who probe.
const (
	KindScan  = "scan"
	KindFlood = "syn-flood"
)

const (
	// scanTargets is how many endpoints one host must have tried: a client
	// of a large service talks to some dozens, but they answer.
	scanTargets = 20
	// scanFutile is the share of its dials that got nowhere. Even nmap's
	// default thousand ports find few that are open.
	scanFutile = 0.8
	// floodSize is how many handshakes must have been left unfinished at one
	// endpoint: half of Linux's default backlog (tcp_max_syn_backlog 256).
	floodSize = 128
	// floodShare is their share of all handshakes there: loss never eats as many.
	floodShare = 0.5
)

// scans finds hosts that knock on many doors, and doors that are flooded, so
// that other findings can leave them out.
type scans struct {
	hosts   bounded[[16]byte, scanHost]
	servers bounded[endpoint, floodServer]
}

type scanHost struct {
	group
	tried   uint64
	futile  uint64
	targets crowd
	hosts   crowd
}

type floodServer struct {
	group
	dials uint64
}

func newScans() *scans {
	s := &scans{}
	s.hosts.max, s.servers.max = 4096, 4096
	return s
}

// futile reports whether a dial led to nothing: it failed, or not one byte
// of payload passed before it was dropped.
func futile(c *assembler.Conn, v *Verdict) bool {
	return failedDial(v) || v.Cause == HandshakeIncomplete ||
		c.Established.Seen() && c.Ends[0].Bytes == 0 && c.Ends[1].Bytes == 0 && (v.Class == Graceful || v.Class == Reset)
}

// failedDial reports whether the client's dial returned an error.
func failedDial(v *Verdict) bool {
	switch v.Cause {
	case ConnectionRefused, ICMPRejected, DialCancelled, ConnectTimeout:
		return true
	}
	return false
}

func (s *scans) add(x *subject) {
	c, v := x.c, x.v
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if !cl.SYN.Seen() {
		return
	}
	h := s.hosts.at(cl.Addr)
	h.tried++
	h.targets.add(target(sv))
	h.hosts.add(sv.Addr)
	if futile(c, v) {
		h.futile++
		h.note(c, c.First.Time, point{cl.SYN.First, assembler.Client, saysSYN, 0})
	}
	f := s.servers.at(endpointOf(sv))
	f.dials++
	if abandoned(c, v) {
		f.note(c, c.First.Time, point{cl.SYN.First, assembler.Client, saysSYN, 0})
	}
}

// target makes one value of an address and port.
func target(e *assembler.End) [16]byte {
	a := e.Addr
	a[0] ^= byte(e.Port >> 8)
	a[1] ^= byte(e.Port)
	return a
}

// abandoned reports whether the handshake stopped as a flood's does: a SYN
// that came once, and nothing behind it.
func abandoned(c *assembler.Conn, v *Verdict) bool {
	return (v.Cause == HandshakeIncomplete || v.Cause == ConnectTimeout || v.Cause == StillOpen && !c.Established.Seen()) &&
		c.End(assembler.Client).SYN.Count == 1
}

// scanner reports whether a host was found to scan.
func (s *scans) scanner(addr [16]byte) bool {
	h := s.hosts.find(addr)
	return h != nil && h.scans()
}

func (h *scanHost) scans() bool {
	return h.targets.size() >= scanTargets && float64(h.futile) >= scanFutile*float64(h.tried)
}

// flooded reports whether an endpoint was flooded.
func (s *scans) flooded(e endpoint) bool {
	f := s.servers.find(e)
	return f != nil && f.flooded()
}

func (f *floodServer) flooded() bool {
	return f.n >= floodSize && float64(f.n) >= floodShare*float64(f.dials)
}

// onlyScanners reports whether nobody but scanners is in the group.
func (s *scans) onlyScanners(g *group) bool {
	if g.clients.size() > int(g.clients.n) {
		return false
	}
	for _, a := range g.clients.named[:g.clients.n] {
		if !s.scanner(a) {
			return false
		}
	}
	return g.clients.n > 0
}

func (s *scans) finish(sc *scene) (list []Finding) {
	for i := range s.hosts.items {
		h := &s.hosts.items[i].val
		if h.scans() {
			list = append(list, h.report(endpoint{addr: s.hosts.items[i].key}, s.hosts.dropped))
		}
	}
	for i := range s.servers.items {
		f := &s.servers.items[i].val
		if f.flooded() && !s.onlyScanners(&f.group) {
			list = append(list, f.report(s.servers.items[i].key, sc))
		}
	}
	return list
}

func (h *scanHost) report(host endpoint, dropped uint64) Finding {
	f := h.finding(KindScan, Warning, Likely)
	f.at("client", host)
	f.number("endpoints tried", float64(h.targets.size()), "")
	f.number("hosts tried", float64(h.hosts.size()), "")
	f.number("dials that led to nothing", float64(h.futile), "")
	f.number("dials", float64(h.tried), "")
	f.overflow(dropped)
	f.harm = 1
	f.Title = fmt.Sprintf("%s tries many doors: about %d endpoints, nearly all in vain.", host, h.targets.size())
	f.What = "One host dials many addresses or ports, and hardly any dial leads to a conversation. " +
		"That is how port scanners and worms behave, and vulnerability checks that somebody runs on purpose. " +
		"Its failures are left out of the other findings, since they say nothing about the services."
	f.Advice = "Find out who runs it. If it is wanted, exclude it (--host); if not, block it where the networks meet. " +
		"A Go service discovery that dials every candidate looks the same: let it ask a registry instead."
	return f
}

func (f *floodServer) report(server endpoint, sc *scene) Finding {
	out := f.finding(KindFlood, Serious, Likely)
	out.at("server", server)
	out.number("handshakes left unfinished", float64(f.n), "")
	out.number("dials", float64(f.dials), "")
	out.number("per second", float64(f.n)*1e9/float64(max(f.last-f.first, second)), "/s")
	out.clients(&f.group)
	out.Title = fmt.Sprintf("%s is flooded with SYNs: %d handshakes begun and never finished.", server, f.n)
	out.What = "Most connection attempts at this port stop after one SYN. Real clients repeat an unanswered SYN, " +
		"and acknowledge an answered one; tools that flood do neither. They fill the listener's queue of half-open " +
		"connections, so that real clients may be dropped. Their connections are left out of the other findings."
	out.Advice = "Go's listener cannot help: the kernel fills up before Accept. Keep net.ipv4.tcp_syncookies at 1, raise " +
		"net.ipv4.tcp_max_syn_backlog, and drop the flood upstream."
	return out
}
