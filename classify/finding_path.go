package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about the way and the readers.
const (
	KindPacketLoss = "packet-loss"
	KindStalls     = "reader-stalls"
)

const (
	// lossShare is the share of segments sent again from which TCP's
	// throughput suffers visibly (Mathis et al. 1997: it falls with the root
	// of the loss; 1 % at 50 ms allows some 2 MB/s).
	lossShare = 0.01
	lossCount = 20 // retransmissions, for the share to mean something
	lossGrave = 0.05
	// stallMin is how long (ns) a window must stay shut to be noticed by users.
	stallMin = second
)

// paths adds up loss between two hosts. It keeps pathsMax pairs with
// repeats, of 1 kB; the ledger counts the rest.
type paths struct {
	by     bounded[hosts, path]
	ledger *ledger
}

const pathsMax = 1 << 11

type hosts struct{ client, server [16]byte }

type path struct {
	group
	bad uint64
}

// traffic is all that passed between two hosts.
type traffic struct {
	sent, again [2]uint64
	conns       uint64
}

func newPaths(l *ledger) *paths {
	p := &paths{ledger: l}
	p.by.max = pathsMax
	return p
}

func (p *paths) clone(l *ledger) collector { return &paths{p.by.clone(nil), l} }

func (p *paths) add(x *subject) {
	c, v := x.c, x.v
	// A dead peer is no lossy path; its retransmissions are not counted.
	if !c.Established.Seen() && c.Partial&assembler.NoStart == 0 || v.Class == TimedOut || v.Cause == PeerVanished || v.Cause == PMTUBlackhole {
		return
	}
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	n, side := cl.Retransmits, assembler.Client
	if sv.Retransmits > n {
		n, side = sv.Retransmits, assembler.Server
	}
	if n == 0 {
		return
	}
	g := p.by.at(hosts{cl.Addr, sv.Addr})
	if v.Class == Reset {
		g.bad++
	}
	g.note(x, c.First.Time, point{c.End(side).Last, side, saysRetransmits, int64(n)})
}

// all adds up the pairs of a client host and a server's endpoints.
func (p *paths) all() map[hosts]traffic {
	out := make(map[hosts]traffic, len(p.by.items))
	for i := range p.by.items {
		out[p.by.items[i].key] = traffic{}
	}
	for i := range p.ledger.pairs.items {
		it := &p.ledger.pairs.items[i]
		k := hosts{it.key.client, it.key.server.addr}
		t, ok := out[k]
		if !ok {
			continue
		}
		t.conns += uint64(it.val.established)
		for s := range t.sent {
			t.sent[s] += it.val.sent[s]
			t.again[s] += it.val.again[s]
		}
		out[k] = t
	}
	return out
}

func (p *paths) finish(*scene) (list []Finding) {
	all := p.all()
	for i := range p.by.items {
		g, k := &p.by.items[i].val, p.by.items[i].key
		t := all[k]
		again, sent := t.again[0]+t.again[1], t.sent[0]+t.sent[1]
		share := float64(again) / float64(max(sent, 1))
		if again < lossCount || share < lossShare || g.n < 2 {
			continue
		}
		f := g.finding(KindPacketLoss, Warning, Likely)
		if share >= lossGrave {
			f.Severity = Serious
		}
		f.at("client", endpoint{addr: k.client})
		f.at("server", endpoint{addr: k.server})
		f.number("segments sent again by the client", float64(t.again[0]), "")
		f.number("segments sent again by the server", float64(t.again[1]), "")
		f.number("share of all packets", 100*share, "%")
		f.number("connections", float64(t.conns), "")
		f.number("with segments sent again", float64(g.n), "")
		f.number("of these, reset in the end", float64(g.bad), "")
		f.overflow(p.by.dropped + p.ledger.pairs.dropped)
		f.Title = fmt.Sprintf("The path between %s and %s loses packets: %.1f %% are sent again.", endpoint{addr: k.client}, endpoint{addr: k.server}, 100*share)
		f.What = "Segments had to be sent more than once. Each repeat costs at least a round trip, often 200 ms and more, and throughput falls with the square root of the loss. Few of them are repeats for nothing, as a capture close to the sender sees loss that lies behind it."
		f.Advice = "Look at the links and queues between the two (ethtool -S, tc -s qdisc, a policer). In Go nothing cures it: set deadlines that leave room for a repeat or two (over 1 s), and send less at a time."
		list = append(list, f)
	}
	return list
}

// stalls gathers readers that shut their window.
type stalls struct {
	by bounded[stallKey, stall] // stallsMax of 2 kB
}

const stallsMax = 1 << 10

type stallKey struct {
	server endpoint
	side   assembler.Side // who does not read
}

type stall struct {
	group
	lengths spread
	shut    uint64 // still shut when the capture ends or the connection did
	bad     uint64
}

func newStalls() *stalls {
	s := &stalls{}
	s.by.max = stallsMax
	return s
}

func (s *stalls) clone(*ledger) collector { return &stalls{s.by.clone(nil)} }

func (s *stalls) add(x *subject) {
	c, v := x.c, x.v
	env := x.env
	for i := range c.Ends {
		z, side := &c.Ends[i].ZeroWindow, assembler.Side(i)
		if !z.Seen() {
			continue
		}
		until := z.Answered.Time
		if z.Pending() {
			// A sender with something to send probes (RFC 9293 3.8.6.1); one
			// that does not has nothing, and nobody waits.
			if o := &c.Ends[1-i]; o.WinProbes == 0 && o.Outstanding() == 0 {
				continue
			}
			until = c.Last.Time
			if v.Class == Open || v.Class == HalfOpen {
				until = env.End
			}
		}
		long := until - z.First.Time
		if long < stallMin {
			continue
		}
		g := s.by.at(stallKey{endpointOf(c.End(assembler.Server)), side})
		g.lengths.add(long)
		g.bad += uint64(b2i(v.Class == Reset || v.Class == TimedOut))
		p := point{z.First, side, saysZeroWindow, 0}
		q := point{z.Answered, side, saysWindowOpen, long}
		g.shut += uint64(b2i(z.Pending()))
		g.note(x, z.First.Time, p, q)
	}
}

func (s *stalls) finish(*scene) (list []Finding) {
	for i := range s.by.items {
		g, k := &s.by.items[i].val, s.by.items[i].key
		if g.n < 2 && g.shut == 0 {
			continue
		}
		f := g.finding(KindStalls, Warning, Certain)
		if g.shut > 0 || g.bad > 0 {
			f.Severity = Serious
		}
		f.at("server", k.server)
		f.clients(&g.group)
		f.number("connections stalled", float64(g.n), "")
		f.number("not opened again", float64(g.shut), "")
		f.number("ended badly", float64(g.bad), "")
		f.seconds("median length of the stall", g.lengths.quantile(0.5))
		f.seconds("longest", g.lengths.max)
		f.overflow(s.by.dropped)
		f.Title = fmt.Sprintf("The %s of %s does not read: its window was shut for up to %s in %s.", k.side, k.server, dur(g.lengths.max), plural(g.n, "connection"))
		f.What = "The reader's kernel had no room left, because its program did not read, and told the sender to stop (window 0). The network is fine: the program is slow, blocked, or waits for something that the sender would only send later. The sender's Write blocks meanwhile."
		f.Advice = "On the reading side find the goroutine that should call Read (pprof's goroutine profile): a channel that nobody drains, a lock, a slow disk. Read in a goroutine of its own and bound what is queued. On the writing side set SetWriteDeadline, or a blocked reader blocks you for ever."
		list = append(list, f)
	}
	return list
}
