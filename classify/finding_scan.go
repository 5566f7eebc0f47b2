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
	// scanFailed is the share of dials that must fail outright, and scanTwice
	// how often a host may come back to the same doors, for it to be a scan:
	// health checks connect, say nothing and close, again and again.
	scanFailed = 0.2
	scanTwice  = 2
	// floodSize is how many handshakes must have been left unfinished at one
	// endpoint: half of Linux's default backlog (tcp_max_syn_backlog 256).
	floodSize = 128
	// floodShare is their share of all handshakes there: loss never eats as many.
	floodShare = 0.5
	// drownedMin is from how many on abandoned handshakes at one endpoint no
	// more tell anything by themselves.
	drownedMin = 4 * floodSize
)

// scans finds hosts that knock on many doors, and doors that are flooded, so
// that other findings can leave them out. It keeps scanHostsMax clients, of
// which those with few dials take 200 bytes and the others 1 kB more, and
// floodsMax endpoints with handshakes left unfinished, of 1 kB.
type scans struct {
	hosts  table[hostKey, scanHost]
	floods table[endpoint, group]
	ledger *ledger
}

type hostKey = [16]byte

const (
	scanHostsMax = 1 << 13
	floodsMax    = 1 << 10
)

// scanHost is one client. Its first few dials are kept as they are.
type scanHost struct {
	tried, futile uint32
	empty         uint32 // of the futile, those that connected
	first         [fewTargets]target
	more          *scanHistory
}

const fewTargets = 2

// target is an endpoint that was dialled, as a hash, and how that went.
type target struct {
	endpoint, host uint64
	futile, empty  bool
	shown          tiny
}

// tiny is an example that one SYN shows.
type tiny struct {
	id uint64
	at assembler.Stamp
}

type scanHistory struct {
	last             uint64 // the endpoint dialled last, as a hash
	endpoints, hosts distinct
	group            group // of the futile
}

func newScans(l *ledger) *scans {
	s := &scans{ledger: l}
	s.hosts.max, s.floods.max = scanHostsMax, floodsMax
	return s
}

func (s *scans) clone(l *ledger) *scans {
	return &scans{
		hosts: s.hosts.clone(func(h *scanHost) {
			if h.more != nil {
				own := *h.more
				h.more = &own
			}
		}),
		floods: s.floods.clone(nil),
		ledger: l,
	}
}

// futile reports whether a dial led to nothing: it failed, or not one byte
// of payload passed before it was dropped.
func futile(o *assembler.Outline, v *Verdict) bool {
	return failedDial(v) || v.Cause == HandshakeIncomplete || empty(o, v)
}

// empty reports whether a dial connected, and not one byte of payload passed.
func empty(o *assembler.Outline, v *Verdict) bool {
	return o.Established.Seen() && o.Ends[0].Bytes == 0 && o.Ends[1].Bytes == 0 && (v.Class == Graceful || v.Class == Reset)
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
	h := s.hosts.at(&x.pair.client, x.clientHash)
	t := target{endpoint: x.serverHash, host: x.serverHostHash, futile: futile(x.o, x.v), shown: tiny{x.o.ID, x.syn}}
	t.empty = t.futile && (empty(x.o, x.v) || x.c != nil && probed(x.c, x.v))
	h.dial(&t)
	if x.c != nil && abandoned(x.c, x.v) {
		s.abandon(x, s.floods.seek(&x.pair.server, x.serverHash), &t.shown)
	}
}

// abandon counts an abandoned handshake at the server, which is the i-th
// flooded; -1 if it is not known.
func (s *scans) abandon(x *subject, i int, syn *tiny) {
	if i < 0 {
		i = s.floods.enter(&x.pair.server, x.serverHash)
	}
	f := s.floods.touch(i)
	f.count(syn.at.Time)
	f.clients.addHash(&x.pair.client, x.clientHash)
	f.show(syn)
}

// drowned reports whether so many handshakes were abandoned at the i-th
// flooded server that one more from somebody unknown is only counted.
func (s *scans) drowned(i int) bool { return i >= 0 && s.floods.items[i].val.n >= drownedMin }

func (h *scanHost) dial(t *target) {
	h.tried++
	if t.futile {
		h.futile++
	}
	if t.empty {
		h.empty++
	}
	if h.tried <= fewTargets {
		h.first[h.tried-1] = *t
		return
	}
	if h.more == nil {
		h.more = new(scanHistory)
		for i := range h.first {
			h.more.dial(&h.first[i])
		}
	}
	h.more.dial(t)
}

func (m *scanHistory) dial(t *target) {
	if t.endpoint != m.last {
		m.last = t.endpoint
		m.endpoints.add(t.endpoint)
		m.hosts.add(t.host)
	}
	if t.futile {
		m.group.count(t.shown.at.Time)
		m.group.show(&t.shown)
	}
}

// show keeps a SYN as an example if it is among the earliest.
func (g *group) show(t *tiny) {
	if g.wants(t.at.Time, t.id) {
		g.keep(&example{id: t.id, at: t.at.Time, points: [3]point{{t.at, assembler.Client, saysSYN, 0}}})
	}
}

// door makes one value of an address and port.
func door(e *assembler.End) [16]byte {
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
	h := s.hosts.find(&addr, hashOf(&addr))
	return h != nil && h.scans()
}

func (h *scanHost) scans() bool {
	return h.more != nil && float64(h.futile) >= scanFutile*float64(h.tried) && h.more.endpoints.size() >= scanTargets &&
		(!h.connects() || int(h.tried) <= scanTwice*h.more.endpoints.size())
}

// connects reports whether nearly all doors open to it.
func (h *scanHost) connects() bool { return float64(h.futile-h.empty) < scanFailed*float64(h.tried) }

// flooded reports whether an endpoint was flooded.
func (s *scans) flooded(e endpoint) bool {
	f := s.floods.find(&e, e.hash())
	return f != nil && s.flood(e, f)
}

func (s *scans) flood(e endpoint, f *group) bool {
	if f.n < floodSize {
		return false
	}
	l := s.ledger.server(e)
	return l != nil && float64(f.n) >= floodShare*float64(l.dials)
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

func (s *scans) finish(*scene) (list []Finding) {
	for i := range s.hosts.items {
		h := &s.hosts.items[i].val
		if h.scans() {
			list = append(list, h.report(endpoint{addr: s.hosts.items[i].key}, s.hosts.dropped))
		}
	}
	for i := range s.floods.items {
		f, k := &s.floods.items[i].val, s.floods.items[i].key
		if s.flood(k, f) && !s.onlyScanners(f) {
			list = append(list, reportFlood(k, f, s.ledger.server(k)))
		}
	}
	return list
}

func (h *scanHost) report(host endpoint, dropped uint64) Finding {
	f := h.more.group.finding(KindScan, Warning, Likely)
	f.at("client", host)
	doors := h.more.endpoints.size()
	f.number("endpoints tried, about", float64(rounded(doors)), "")
	f.number("hosts tried, about", float64(rounded(h.more.hosts.size())), "")
	f.number("dials that led to nothing", float64(h.futile), "")
	f.number("dials", float64(h.tried), "")
	f.overflow(dropped)
	f.harm = 1
	f.Title = fmt.Sprintf("%s tries many doors: about %d endpoints, nearly all in vain.", host, rounded(doors))
	f.What = "One host dials many addresses or ports, and hardly any dial leads to a conversation. " +
		"That is how port scanners and worms behave, and vulnerability checks that somebody runs on purpose. " +
		"Its failures are left out of the other findings, since they say nothing about the services."
	if h.connects() {
		f.Severity = Info
		f.number("of these, connected and closed without a byte", float64(h.empty), "")
		f.Title = fmt.Sprintf("%s connects to about %d endpoints and says nothing.", host, rounded(doors))
		f.What = "One host dials many addresses or ports, and closes each connection without a byte. Load balancers and monitors check health like that, port scanners do as well. " +
			"Its connections are left out of the other findings, since they say nothing about the services."
	}
	f.Advice = "Find out who runs it. If it is wanted, exclude it (--host); if not, block it where the networks meet. " +
		"A Go service discovery that dials every candidate looks the same: let it ask a registry instead."
	return f
}

// rounded is an estimate without digits that mean nothing.
func rounded(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}

func reportFlood(server endpoint, f *group, l *serverStat) Finding {
	out := f.finding(KindFlood, Serious, Likely)
	out.at("server", server)
	out.number("handshakes left unfinished", float64(f.n), "")
	out.number("dials", float64(l.dials), "")
	out.number("per second", float64(f.n)*1e9/float64(max(f.last-f.first, second)), "/s")
	out.clients(f)
	out.Title = fmt.Sprintf("%s is flooded with SYNs: %d handshakes begun and never finished.", server, f.n)
	out.What = "Most connection attempts at this port stop after one SYN. Real clients repeat an unanswered SYN, " +
		"and acknowledge an answered one; tools that flood do neither. They fill the listener's queue of half-open " +
		"connections, so that real clients may be dropped. Their connections are left out of the other findings."
	out.Advice = "Go's listener cannot help: the kernel fills up before Accept. Keep net.ipv4.tcp_syncookies at 1, raise " +
		"net.ipv4.tcp_max_syn_backlog, and drop the flood upstream."
	return out
}
