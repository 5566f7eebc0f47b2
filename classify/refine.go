package classify

import (
	"cmp"
	"net/netip"
	"slices"

	"hangup/assembler"
)

// refine corrects verdicts by what the neighbours show: connections of the
// same server or host, before and after. It looks at each connection a fixed
// number of times, in the order of IDs, so the outcome does not depend on how
// the connections were gathered.
func refine(conns []assembler.Conn, verdicts []Verdict, env Env) {
	n := &neighbours{conns: conns, verdicts: verdicts, env: env}
	n.gather()
	n.listeners()
	n.refusals()
	n.fullQueues()
	n.rebooted()
	n.staleStarts()
	n.sameConnections()
	n.races()
}

type neighbours struct {
	conns    []assembler.Conn
	verdicts []Verdict
	env      Env
	servers  map[netip.AddrPort][]int32 // connections by server endpoint, in order
	hosts    map[[16]byte]*host
}

// host is what all connections together tell of one address.
type host struct {
	ttl  distance
	lost int64 // when it last showed, by a RST, that it had lost a connection
}

// distance is the hop count of ordinary packets.
type distance struct {
	ttl    uint8 // 0 if none was seen
	varies bool
}

func (d *distance) add(e *assembler.End) {
	switch {
	case e.TTLMin == 0:
	case d.ttl == 0 && e.TTLMin == e.TTLMax:
		d.ttl = e.TTLMin
	case d.ttl != e.TTLMin || d.ttl != e.TTLMax:
		d.varies = true
	}
}

func (d *distance) known() bool { return d.ttl != 0 && !d.varies }

func (n *neighbours) view(i int32) *view { return newView(&n.conns[i], n.env) }

// gather indexes the connections by server and by host.
func (n *neighbours) gather() {
	n.servers = map[netip.AddrPort][]int32{}
	n.hosts = map[[16]byte]*host{}
	for i := range n.conns {
		c := &n.conns[i]
		s := c.End(assembler.Server).AddrPort()
		n.servers[s] = append(n.servers[s], int32(i))
		for side := range c.Ends {
			h := n.hosts[c.Ends[side].Addr]
			if h == nil {
				h = &host{}
				n.hosts[c.Ends[side].Addr] = h
			}
			h.ttl.add(&c.Ends[side])
		}
		if n.verdicts[i].Cause == PeerLostState {
			if r := n.view(int32(i)).rst; r != nil {
				h := n.hosts[c.End(r.Side).Addr]
				h.lost = max(h.lost, r.Time)
			}
		}
	}
}

// Windows (ns) within which neighbours belong to one event.
const (
	// together: a closing listener resets its whole queue in one go
	// (inet_csk_listen_stop), so its RSTs are microseconds to milliseconds apart.
	together = 100 * milli
	// refusedSoon: how soon after a listener died its next SYN must be
	// refused to belong to the same death.
	refusedSoon = 30 * second
)

// dead is one connection that may have died in an accept queue, and when.
type dead struct {
	i  int32
	at int64
}

// listeners finds connections that died with their listener: the server
// reset them before it ever sent anything, several at once, or its next SYN
// was refused (inet_csk_listen_stop, RFC 9293 3.10.5).
func (n *neighbours) listeners() {
	for _, ids := range n.servers {
		var queue []dead
		for _, i := range ids {
			if at, ok := n.queued(i); ok {
				queue = append(queue, dead{i, at})
			}
		}
		slices.SortFunc(queue, func(a, b dead) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.i, b.i)) })
		for k, d := range queue {
			crowd := k > 0 && d.at-queue[k-1].at < together || k+1 < len(queue) && queue[k+1].at-d.at < together
			refused := n.refusedAfter(ids, d.at)
			if n.verdicts[d.i].Cause == AcceptQueueOverflow {
				crowd = false // a full queue resets many as well
			}
			if crowd || refused {
				n.becomeListenerClosed(d.i, crowd && refused)
			}
		}
	}
}

// queued reports whether, and when, connection i may have died in an accept
// queue, or as a half-open request of the listener.
func (n *neighbours) queued(i int32) (int64, bool) {
	v := &n.verdicts[i]
	if v.By != ByServer || v.Cause != AbortiveClose && v.Cause != CloseWithUnreadData && v.Cause != AcceptQueueOverflow {
		return 0, false
	}
	w := n.view(i)
	if w.rst == nil || w.sv.FirstData.Seen() || w.sv.FIN.Seen() || bare(w.rst) != (v.Cause == AcceptQueueOverflow) {
		return 0, false
	}
	return w.rst.Time, true
}

// refusedAfter reports whether the server's next new connection after t was refused.
func (n *neighbours) refusedAfter(ids []int32, t int64) bool {
	k, _ := slices.BinarySearchFunc(ids, t, func(i int32, t int64) int {
		if n.conns[i].First.Time <= t {
			return -1
		}
		return 1
	})
	return k < len(ids) && n.verdicts[ids[k]].Cause == ConnectionRefused && n.conns[ids[k]].First.Time-t < refusedSoon
}

func (n *neighbours) becomeListenerClosed(i int32, sure bool) {
	v := &n.verdicts[i]
	was, why := v.Cause, WhyMaybeAccepted
	if was == AcceptQueueOverflow {
		why = WhyQueueOrState
	}
	v.became("listener-closed")
	v.Confidence = Likely
	v.NAlt = 0
	if !sure {
		v.addAlt(Alternative{was, why})
	}
}

// refusals settles who refused: a RST with the hop count of the server's
// other packets came from the server's own host. One with another came from
// elsewhere, unless the server's ports are forwarded to several machines.
func (n *neighbours) refusals() {
	for i := range n.verdicts {
		v := &n.verdicts[i]
		if v.Cause != ConnectionRefused {
			continue
		}
		w := n.view(int32(i))
		if w.rst == nil || w.rst.TTL == 0 {
			continue
		}
		var port distance
		for _, j := range n.servers[w.sender().AddrPort()] {
			port.add(n.conns[j].End(w.rst.Side))
		}
		host := n.hosts[w.sender().Addr].ttl
		switch {
		case port.known() && port.ttl == w.rst.TTL, host.known() && host.ttl == w.rst.TTL:
			v.NAlt = 0
		case port.known():
			v.By, v.NAlt = ByMiddlebox, 0
		case host.known():
			v.By, v.NAlt, v.Confidence = ByMiddlebox, 0, Possible
		}
	}
}

// period is a stretch of time, ns.
type period struct{ from, to int64 }

// fullQueues: where a listener's queue was full, SYNs that it did not answer
// at that time met the same queue (tcp_conn_request, sk_acceptq_is_full).
func (n *neighbours) fullQueues() {
	for _, ids := range n.servers {
		var full []period
		for _, i := range ids {
			if n.verdicts[i].Cause == AcceptQueueOverflow {
				t := &n.conns[i].End(assembler.Server).SYNACK
				full = append(full, period{t.First.Time - second, t.Last.Time + second})
			}
		}
		if full = merge(full); len(full) == 0 {
			continue
		}
		for _, i := range ids {
			v, syn := &n.verdicts[i], &n.conns[i].End(assembler.Client).SYN
			if v.Cause == ConnectTimeout && touches(full, period{syn.First.Time, syn.Last.Time}) {
				v.By = ByServer
				v.leadAlt(Alternative{AcceptQueueOverflow, WhyQueueFull})
			}
		}
	}
}

// merge joins periods that overlap, in order of time.
func merge(ps []period) []period {
	slices.SortFunc(ps, func(a, b period) int { return cmp.Compare(a.from, b.from) })
	out := ps[:0]
	for _, p := range ps {
		if k := len(out) - 1; k >= 0 && p.from <= out[k].to {
			out[k].to = max(out[k].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out
}

// touches reports whether p overlaps one of ps, which are merged.
func touches(ps []period, p period) bool {
	k, _ := slices.BinarySearchFunc(ps, p.from, func(q period, t int64) int { return cmp.Compare(q.to, t) })
	return k < len(ps) && ps[k].from <= p.to
}

// rebooted names the host that fell silent where it shows afterwards, in any
// connection, that it has lost its connections. Silence alone names nobody:
// the path may have been cut.
func (n *neighbours) rebooted() {
	for i := range n.verdicts {
		v := &n.verdicts[i]
		switch v.Cause {
		case RetransmissionTimeout, PeerVanished, KeepaliveTimeout, FinTimeout:
		default:
			continue
		}
		w := n.view(int32(i))
		for _, what := range []func(*assembler.End) *assembler.Tries{dataOf, probeOf, finOf} {
			e, t := w.silent(what, 1)
			if e == nil || v.By != ByUnknown {
				continue
			}
			silent := assembler.Client
			if e == w.cl {
				silent = assembler.Server
			}
			if n.hosts[w.c.End(silent).Addr].lost > t.First.Time && w.c.End(silent).Last.Time < t.First.Time {
				v.By = BySide(silent)
			}
		}
	}
}

// challengeTime is how long (ns) after a SYN an old connection's challenge
// ACK comes back.
const challengeTime = 2 * second

// staleStarts: an old connection of which the capture holds nothing but its
// challenge ACK for a new one's SYN, and the RST in return.
func (n *neighbours) staleStarts() {
	for i := range n.verdicts {
		v, c := &n.verdicts[i], &n.conns[i]
		if v.Cause != PeerLostState || c.Predecessor == 0 || c.Partial&assembler.NoStart == 0 {
			continue
		}
		k, ok := slices.BinarySearchFunc(n.conns, c.Predecessor, func(c assembler.Conn, id uint64) int { return cmp.Compare(c.ID, id) })
		r := n.view(int32(i)).rst
		if !ok || r == nil {
			continue
		}
		syn := n.conns[k].End(r.Side).SYN
		d := c.First.Time - syn.First.Time
		opened := n.conns[k].Established
		if syn.Seen() && d >= 0 && d < challengeTime && (!opened.Seen() || opened.Time > r.Time) {
			v.became("stale-tuple")
			v.Confidence = Likely
		}
	}
}
