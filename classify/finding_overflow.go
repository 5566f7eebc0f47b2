package classify

import (
	"fmt"

	"hangup/assembler"
)

// KindOverflow is a listener whose program does not accept fast enough.
const KindOverflow = "accept-queue-overflow"

// overflows finds listeners whose accept queue was full.
// It keeps overflowsMax of them.
type overflows struct {
	by     bounded[endpoint, overflow]
	ledger *ledger
}

const overflowsMax = 1 << 10

type overflow struct {
	group
	reset, silent uint64
	waiting       spread // from the handshake's end to the last SYN-ACK
}

func newOverflows(l *ledger) *overflows {
	o := &overflows{ledger: l}
	o.by.max = overflowsMax
	return o
}

func (o *overflows) clone(l *ledger) collector { return &overflows{o.by.clone(nil), l} }

func (o *overflows) add(x *subject) {
	c, v := x.c, x.v
	if v.Cause != AcceptQueueOverflow && !c.Established.Seen() {
		return
	}
	sv := c.End(assembler.Server)
	late := sv.SYNACK.Last.Time - c.Established.Time
	// A connection that was served in the end had waited as well, if the
	// SYN-ACK came again behind the client's ACK and payload was repeated.
	waited := c.Established.Seen() && sv.SYNACK.Count >= 2 && late > 0 && c.End(assembler.Client).Retransmits > 0
	if v.Cause != AcceptQueueOverflow && !waited {
		return
	}
	g := o.by.at(x.pair.server)
	if v.Class == Reset {
		g.reset++
	} else {
		g.silent++
	}
	g.waiting.add(max(late, 0))
	p := point{c.Established, assembler.Client, saysHandshake, 0}
	q := point{sv.SYNACK.Last, assembler.Server, saysSYNACKAgain, int64(sv.SYNACK.Count)}
	if rst := c.EffectiveReset(); rst != nil && rst.Side == assembler.Server {
		q = point{rst.Stamp, rst.Side, saysBareRST, 0}
	}
	g.note(x, c.First.Time, p, q)
}

func (o *overflows) finish(s *scene) (list []Finding) {
	for i := range o.by.items {
		g, k := &o.by.items[i].val, o.by.items[i].key
		if g.n < 2 {
			continue
		}
		f := g.finding(KindOverflow, Serious, Likely)
		f.at("server", k)
		f.clients(&g.group)
		f.number("connections caught in the full queue", float64(g.n), "")
		f.number("of them left waiting", float64(g.silent), "")
		f.number("of them reset", float64(g.reset), "")
		if l := o.ledger.server(k); l != nil {
			f.number("handshakes", float64(l.handshakes), "")
		}
		f.overflow(o.by.dropped)
		f.Title = fmt.Sprintf("%s does not accept fast enough: %s caught in a full accept queue.", k, plural(g.n, "connection"))
		f.What = "The handshake was done as far as the client could see, and its Dial returned nil; but the server's queue of connections waiting for Accept was full, so its kernel threw the last packet away and repeats its SYN-ACK. " +
			"The client's requests are not acknowledged until a place is free, if ever. (A lost ACK looks alike for a moment, but not many times at one server.)"
		f.Advice = "Call Accept in a loop that does nothing else: start a goroutine per connection at once, and do TLS handshakes and locks there. Go takes the queue's length from net.core.somaxconn (4,096 since Linux 5.4): raise it, and look at ListenOverflows in nstat. " +
			"If a limit is wanted (netutil.LimitListener), reject early instead of letting callers hang."
		list = append(list, f)
	}
	return list
}
