package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about resets that no endpoint's program sent.
const (
	KindInjected = "injected-resets"
	KindOwnHost  = "resets-by-own-host"
)

// forgeries groups resets by whose hand they show: forgeriesMax, of 2 kB.
type forgeries struct {
	by bounded[forgeryKey, forgery]
}

const forgeriesMax = 512

// forgeryKey is the fingerprint: one middlebox sends its resets from one
// distance, in one form.
type forgeryKey struct {
	ownHost bool
	side    assembler.Side // in whose name
	delta   int16          // hop count less the endpoint's own, coarse
	bare    bool
	ts      bool
	host    [16]byte // resets-by-own-host: which
}

type forgery struct {
	group
	sure     uint64 // with a verdict that is more than possible
	servers  crowd
	idOdd    uint64 // IP ID out of step
	ttlOdd   uint64
	survived uint64 // resets that were ignored: the connection went on
	pairs    uint64 // connections reset in both directions
	fast     spread // after the packet that provoked it
}

func newForgeries() *forgeries {
	f := &forgeries{}
	f.by.max = forgeriesMax
	return f
}

func (l *forgeries) clone(*ledger) collector { return &forgeries{l.by.clone(nil)} }

func (l *forgeries) add(x *subject) {
	c, v := x.c, x.v
	if c.NResets == 0 {
		return
	}
	own := v.Cause == ResetByOwnHost
	var r *assembler.Reset
	for i := range c.KeptResets() {
		x := &c.Resets[i]
		if r == nil && (own || oddTTL(c.End(x.Side), x)) {
			r = x
		}
	}
	if r == nil && v.Cause == InjectedReset && v.By == ByMiddlebox {
		r = &c.Resets[0]
	}
	// A RST that bears another hop count but ended nothing counts only if the
	// endpoint itself lived on, which proves that it did not send it.
	if r == nil || !own && v.Cause != InjectedReset && !(r.SenderAfter.Seen() && c.End(r.Side).AfterReset > 1) {
		return
	}
	k := forgeryKey{own, r.Side, r.TTLDelta, bare(r), r.HasTS, [16]byte{}}
	if own {
		k = forgeryKey{ownHost: true, side: r.Side, host: c.End(r.Side).Addr}
	}
	g := l.by.at(k)
	g.servers.add(door(c.End(assembler.Server)))
	g.sure += uint64(b2i(v.Cause != InjectedReset && !own || v.Confidence > Possible))
	if oddIPID(c.End(r.Side), r) {
		g.idOdd++
	}
	if oddTTL(c.End(r.Side), r) {
		g.ttlOdd++
	}
	if v.Class != Reset {
		g.survived++
	}
	for _, x := range c.KeptResets() {
		if x.Side != r.Side && x.Time-r.Time < 100*milli && r.Time-x.Time < 100*milli {
			g.pairs++
			break
		}
	}
	if r.Answers.Seen() {
		g.fast.add(r.Time - r.Answers.Time)
	}
	says := saysRSTForged
	if own {
		says = saysRSTOwnHost
	}
	g.note(x, r.Time, point{r.Answers, r.Side.Peer(), saysLastBytes, 0}, point{r.Stamp, r.Side, says, int64(r.TTLDelta)}, point{r.SenderAfter, r.Side, saysLastBytes, 0})
}

func (l *forgeries) finish(s *scene) (list []Finding) {
	for i := range l.by.items {
		g, k := &l.by.items[i].val, l.by.items[i].key
		if k.ownHost {
			list = append(list, g.ownHost(k))
			continue
		}
		list = append(list, g.injected(k, l.by.dropped))
	}
	return list
}

func (g *forgery) injected(k forgeryKey, dropped uint64) Finding {
	f := g.finding(KindInjected, Serious, Likely)
	if g.sure < 2 {
		f.Confidence = Possible
		f.Severity = Warning
	}
	f.clients(&g.group)
	f.number("connections", float64(g.n), "")
	f.number("server endpoints", float64(g.servers.size()), "")
	f.number("hop count less the endpoint's", float64(k.delta), "")
	f.number("with an IP ID out of step", float64(g.idOdd), "")
	f.number("reset in both directions at once", float64(g.pairs), "")
	f.number("that went on all the same", float64(g.survived), "")
	if g.fast.total > 0 {
		f.seconds("median time behind the packet before", g.fast.quantile(0.5))
	}
	f.overflow(dropped)
	how := "whose headers do not fit the endpoint's other packets"
	if g.ttlOdd > 0 {
		how = fmt.Sprintf("that come from another distance (hop count %+d)", k.delta)
	}
	f.Title = fmt.Sprintf("Somebody on the way resets connections in the %s's name: %s by RSTs %s.", k.side, plural(g.n, "connection"), how)
	f.What = "These RSTs bear an endpoint's address, but not its hop count, IP ID series or timestamps: a device in between made them. " +
		"Firewalls and intrusion prevention do this to what they dislike, load balancers and NATs to what they have forgotten, censors to what they forbid. Both programs see ECONNRESET and blame each other."
	f.Advice = "No change to a Go program removes them. Compare captures from both ends (a RST that the named sender's own capture lacks was made on the way), count hops from the difference in the hop count, and ask who runs the device there. " +
		"If it strikes after silence, see idle timers and keep-alive."
	return f
}

func (g *forgery) ownHost(k forgeryKey) Finding {
	f := g.finding(KindOwnHost, Serious, Likely)
	whose := ""
	if g.sure == 0 {
		f.Confidence, f.Severity = Possible, Warning
		whose = ", or a router next to it,"
	}
	f.at("host", endpoint{addr: k.host})
	f.number("connections", float64(g.n), "")
	f.number("that went on all the same", float64(g.survived), "")
	f.Title = fmt.Sprintf("The kernel of %s%s resets %s of its own programs, whose sockets live on.", endpoint{addr: k.host}, whose, plural(g.n, "connection"))
	f.What = "The RST has the form of a kernel without such a socket, and yet the socket goes on sending. Either a firewall rule on this host rejects with a TCP reset, or NAT on it failed to translate a packet (conntrack calls it INVALID, after loss or reordering)."
	f.Advice = "Look through this host's firewall for rules that reject with a TCP reset (REJECT --reject-with tcp-reset); if there are none, drop packets that conntrack calls INVALID instead of passing them up (kube-proxy does so where it can; else iptables -A INPUT -m conntrack --ctstate INVALID -j DROP), or set net.netfilter.nf_conntrack_tcp_be_liberal=1."
	return f
}
