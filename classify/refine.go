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
	n.byServer()
	n.byHost()
	n.listeners()
	n.refusals()
	n.blackHoles()
	n.sameConnections()
}

type neighbours struct {
	conns    []assembler.Conn
	verdicts []Verdict
	env      Env
	servers  map[netip.AddrPort][]int32 // connections by server endpoint
	hosts    map[[16]byte]*host
}

// host is what all connections together tell of one address.
type host struct {
	lastHeard int64   // its latest packet in any connection
	dial      []int32 // its connections, in order
	ttl       uint8   // of its ordinary packets, 0 if they vary or there are none
	ttlVaries bool
}

func (n *neighbours) byServer() {
	n.servers = map[netip.AddrPort][]int32{}
	for i := range n.conns {
		s := n.conns[i].End(assembler.Server).AddrPort()
		n.servers[s] = append(n.servers[s], int32(i))
	}
}

func (n *neighbours) byHost() {
	n.hosts = map[[16]byte]*host{}
	for i := range n.conns {
		for s := range n.conns[i].Ends {
			e := &n.conns[i].Ends[s]
			h := n.hosts[e.Addr]
			if h == nil {
				h = &host{}
				n.hosts[e.Addr] = h
			}
			h.lastHeard = max(h.lastHeard, e.Last.Time)
			h.dial = append(h.dial, int32(i))
			switch {
			case e.TTLMin == 0:
			case h.ttl == 0 && e.TTLMin == e.TTLMax:
				h.ttl = e.TTLMin
			case h.ttl != e.TTLMin || h.ttl != e.TTLMax:
				h.ttlVaries = true
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

// listeners finds connections that died with their listener: the server
// reset them before it ever sent anything, several at once, or its next SYN
// was refused (inet_csk_listen_stop, RFC 9293 3.10.5).
func (n *neighbours) listeners() {
	for _, ids := range n.servers {
		queued := slices.DeleteFunc(slices.Clone(ids), func(i int32) bool { return !n.queued(i) })
		for k, i := range queued {
			at := newView(&n.conns[i], n.env).rst.Time
			crowd := k > 0 && at-n.resetTime(queued[k-1]) < together && at-n.resetTime(queued[k-1]) > -together ||
				k+1 < len(queued) && n.resetTime(queued[k+1])-at < together && n.resetTime(queued[k+1])-at > -together
			if refused := n.refusedAfter(ids, at); crowd || refused {
				n.becomeListenerClosed(i, crowd && refused)
			}
		}
	}
}

func (n *neighbours) resetTime(i int32) int64 { return newView(&n.conns[i], n.env).rst.Time }

// queued reports whether connection i may have died in an accept queue.
func (n *neighbours) queued(i int32) bool {
	v := &n.verdicts[i]
	if v.Cause != AbortiveClose && v.Cause != CloseWithUnreadData || v.By != ByServer {
		return false
	}
	w := newView(&n.conns[i], n.env)
	return w.rst != nil && !w.sv.FirstData.Seen() && !bare(w.rst) && !w.sv.FIN.Seen()
}

// refusedAfter reports whether the server's next new connection after t was refused.
func (n *neighbours) refusedAfter(ids []int32, t int64) bool {
	for _, i := range ids {
		c := &n.conns[i]
		if c.First.Time <= t {
			continue
		}
		return n.verdicts[i].Cause == ConnectionRefused && c.First.Time-t < refusedSoon
	}
	return false
}

func (n *neighbours) becomeListenerClosed(i int32, sure bool) {
	v := &n.verdicts[i]
	was := v.Cause
	v.Cause = ListenerClosed
	v.Confidence = Likely
	v.NAlt = 0
	if !sure {
		v.addAlt(Alternative{was, WhyListenerUnknown})
	}
}

// refusals settles who refused: a RST with the hop count of the server's
// other packets came from the server's own host.
func (n *neighbours) refusals() {
	for i := range n.verdicts {
		v := &n.verdicts[i]
		if v.Cause != ConnectionRefused {
			continue
		}
		w := newView(&n.conns[i], n.env)
		h := n.hosts[w.sender().Addr]
		if h == nil || h.ttl == 0 || h.ttlVaries {
			continue
		}
		if w.rst.TTL == h.ttl {
			v.Confidence = Certain
			v.NAlt = 0
		} else if w.rst.TTL != 0 {
			v.By = ByMiddlebox
		}
	}
}

// blackHoles asks of every silence whether the silent host was heard
// elsewhere meanwhile. A host that fell silent in all its connections at once
// is gone; one that went on talking to the same peer is not.
func (n *neighbours) blackHoles() {
	for i := range n.verdicts {
		v := &n.verdicts[i]
		if v.By != ByUnknown {
			continue
		}
		var t *assembler.Tries
		var e *assembler.End
		w := newView(&n.conns[i], n.env)
		switch v.Cause {
		case RetransmissionTimeout, PeerVanished, KeepaliveTimeout, FinTimeout:
			for _, what := range []func(*assembler.End) *assembler.Tries{dataOf, probeOf, finOf} {
				if e == nil {
					e, t = w.silent(what, 1)
				}
			}
		}
		if e == nil {
			continue
		}
		n.fellSilent(v, w, e, t)
	}
}

// fellSilent names the silent host as the actor if every one of its other
// connections, at least one of which had something unanswered, ended with it.
func (n *neighbours) fellSilent(v *Verdict, w *view, e *assembler.End, t *assembler.Tries) {
	side := assembler.Client
	if e == w.cl {
		side = assembler.Server
	}
	h := n.hosts[w.c.End(side).Addr]
	if h.lastHeard > t.First.Time {
		return
	}
	others := 0
	for _, j := range h.dial {
		if c := &n.conns[j]; c.ID != w.c.ID && n.verdicts[j].Class != Graceful && c.Last.Time > t.First.Time {
			others++
		}
	}
	if others > 0 {
		v.By = BySide(side)
	}
}

// identity is what a NAT leaves alone: both initial sequence numbers.
type identity struct{ client, server uint32 }

// sameConnections links the two halves of a connection that was captured on
// both sides of a NAT, or inside and outside of a tunnel that hides it.
func (n *neighbours) sameConnections() {
	seen := map[identity]int32{}
	for i := range n.conns {
		c := &n.conns[i]
		cl, sv := c.End(assembler.Client), c.End(assembler.Server)
		if !cl.HasISN || !sv.HasISN {
			continue
		}
		id := identity{cl.ISN, sv.ISN}
		j, ok := seen[id]
		if !ok {
			seen[id] = int32(i)
			continue
		}
		o := &n.conns[j]
		if c.First.Time <= o.Last.Time && cmp.Compare(c.ID, o.ID) != 0 {
			n.verdicts[i].SameAs, n.verdicts[j].SameAs = o.ID, c.ID
		}
	}
}
