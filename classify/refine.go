package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// neighbours gathers, one connection at a time and in any order, what
// connections of the same server or host say of each other, and corrects
// verdicts by it once all have come. What it keeps of a connection is a few
// words; only of those whose verdicts it may change, a question.
type neighbours struct {
	hosts     roster[[16]byte, host]
	servers   roster[endpoint, server]
	begun     begun
	twins     twins
	heats     heats
	relays    relays
	questions []question
}

// host is what all connections together tell of one address.
type host struct {
	ttl  distance
	lost int64 // latest RST by which it showed that it had lost connections
}

// server is what they tell of one server endpoint.
type server struct{ ttl distance }

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

// question is a verdict that neighbours may change, and what they need to
// know of its connection. Times are ns.
type question struct {
	id      uint64
	twin    uint64 // the same connection, already ended; 0 if there is none
	verdict *Verdict
	server  int32
	host    [2]int32 // by side
	died    int64    // when it may have died in an accept queue; 0 if it cannot have
	synack  span     // the server's
	syn     span     // the client's
	rst     rstFrom
	hushed  [3]hush
	race    raceKey
	relay   relay
}

// span is the time of a run of tries.
type span struct{ from, to int64 }

func spanOf(t *assembler.Tries) span { return span{t.First.Time, t.Last.Time} }

type rstFrom struct {
	ttl  uint8 // 0 if there was no RST
	side assembler.Side
}

// hush is one end that stopped answering.
type hush struct {
	side  assembler.Side
	since int64 // first try that it did not answer; 0 if none
}

// add takes one connection. The second result says whether its verdict is a
// question that neighbours may yet answer.
func (n *neighbours) add(w *view, v *Verdict) (q question, open bool) {
	c := w.c
	q = question{id: c.ID, server: n.servers.at(endpointOf(w.sv)), host: [2]int32{n.hosts.at(w.cl.Addr), n.hosts.at(w.sv.Addr)}}
	n.servers.val(q.server).ttl.add(w.sv)
	for side := range c.Ends {
		n.hosts.val(q.host[side]).ttl.add(&c.Ends[side])
	}
	if v.Cause == PeerLostState && w.rst != nil {
		h := n.hosts.val(q.host[w.rst.Side])
		h.lost = max(h.lost, w.rst.Time)
	}
	n.begun.add(q.server, c.First.Time, v.Cause == ConnectionRefused)
	q.twin = n.twins.add(c)
	n.heats.add(c)
	n.relays.add(c)
	return q, q.asks(w, v)
}

// asks fills in what the question rests on, and reports whether there is one.
func (q *question) asks(w *view, v *Verdict) bool {
	switch v.Cause {
	case AbortiveClose, CloseWithUnreadData:
		q.died = diedQueued(w, v)
		return q.died != 0
	case AcceptQueueOverflow:
		q.died = diedQueued(w, v)
		q.synack = spanOf(&w.sv.SYNACK)
	case ConnectionRefused:
		q.race = raceOf(w.c)
		if w.rst != nil {
			q.rst = rstFrom{w.rst.TTL, w.rst.Side}
		}
	case ConnectTimeout:
		q.race = raceOf(w.c)
		q.syn = spanOf(&w.cl.SYN)
	case DialCancelled, ICMPRejected, HandshakeIncomplete:
		q.race = raceOf(w.c)
	case RetransmissionTimeout, PeerVanished, KeepaliveTimeout, FinTimeout:
		if v.By != ByUnknown {
			return false
		}
		for i, what := range []func(*assembler.End) *assembler.Tries{dataOf, probeOf, finOf} {
			q.hushed[i] = silenceOf(w, what)
		}
	case PeerLostState:
		q.relay = relayOf(w)
		return q.relay.to != 0
	default:
		return false
	}
	return true
}

// ask keeps a question until all connections have come; its verdict must
// stay where it is until then.
func (n *neighbours) ask(q question, v *Verdict) {
	q.verdict = v
	n.questions = append(n.questions, q)
}

// settle corrects the verdicts, in the order of IDs, so that the outcome does
// not depend on how connections came.
func (n *neighbours) settle() {
	slices.SortFunc(n.questions, func(a, b question) int { return cmp.Compare(a.id, b.id) })
	n.listeners()
	n.refusals()
	n.fullQueues()
	n.rebooted()
	n.staleStarts()
	n.lostRaces()
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
	queues := map[int32][]*question{}
	for i := range n.questions {
		if q := &n.questions[i]; q.died != 0 {
			queues[q.server] = append(queues[q.server], q)
		}
	}
	if len(queues) == 0 {
		return
	}
	starts := n.begun.of(queues)
	for server, queue := range queues {
		slices.SortStableFunc(queue, func(a, b *question) int { return cmp.Compare(a.died, b.died) })
		for k, q := range queue {
			crowd := k > 0 && q.died-queue[k-1].died < together || k+1 < len(queue) && queue[k+1].died-q.died < together
			refused := refusedAfter(starts[server], q.died)
			if q.verdict.Cause == AcceptQueueOverflow {
				crowd = false // a full queue resets many as well
			}
			if crowd || refused {
				q.verdict.becomeListenerClosed(crowd && refused)
			}
		}
	}
}

// diedQueued is when the connection may have died in an accept queue, or as
// a half-open request of the listener; 0 if it cannot have.
func diedQueued(w *view, v *Verdict) int64 {
	if v.By != ByServer || w.rst == nil || w.sv.FirstData.Seen() || w.sv.FIN.Seen() || bare(w.rst) != (v.Cause == AcceptQueueOverflow) {
		return 0
	}
	return w.rst.Time
}

// refusedAfter reports whether the server's next new connection after t was refused.
func refusedAfter(starts []start, t int64) bool {
	k, _ := slices.BinarySearchFunc(starts, t, func(s start, t int64) int {
		if s.at <= t {
			return -1
		}
		return 1
	})
	return k < len(starts) && starts[k].refused && starts[k].at-t < refusedSoon
}

func (v *Verdict) becomeListenerClosed(sure bool) {
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
	for i := range n.questions {
		q := &n.questions[i]
		v := q.verdict
		if v.Cause != ConnectionRefused || q.rst.ttl == 0 {
			continue
		}
		var port distance
		if q.rst.side == assembler.Server {
			port = n.servers.val(q.server).ttl
		}
		host := n.hosts.val(q.host[q.rst.side]).ttl
		switch {
		case port.known() && port.ttl == q.rst.ttl, host.known() && host.ttl == q.rst.ttl:
			v.NAlt = 0
		case port.known():
			v.By, v.NAlt = ByMiddlebox, 0
		case host.known():
			v.By, v.NAlt, v.Confidence = ByMiddlebox, 0, Possible
		}
	}
}

// fullQueues: where a listener's queue was full, SYNs that it did not answer
// at that time met the same queue (tcp_conn_request, sk_acceptq_is_full).
func (n *neighbours) fullQueues() {
	full := map[int32][]span{}
	for i := range n.questions {
		if q := &n.questions[i]; q.verdict.Cause == AcceptQueueOverflow {
			full[q.server] = append(full[q.server], span{q.synack.from - second, q.synack.to + second})
		}
	}
	for server := range full {
		full[server] = merge(full[server])
	}
	for i := range n.questions {
		q := &n.questions[i]
		if q.verdict.Cause == ConnectTimeout && touches(full[q.server], q.syn) {
			q.verdict.By = ByServer
			q.verdict.leadAlt(Alternative{AcceptQueueOverflow, WhyQueueFull})
		}
	}
}

// merge joins spans that overlap, in order of time.
func merge(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	out := list[:0]
	for _, s := range list {
		if k := len(out) - 1; k >= 0 && s.from <= out[k].to {
			out[k].to = max(out[k].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// touches reports whether s overlaps one of list, which are merged.
func touches(list []span, s span) bool {
	k, _ := slices.BinarySearchFunc(list, s.from, func(o span, t int64) int { return cmp.Compare(o.to, t) })
	return k < len(list) && list[k].from <= s.to
}

// rebooted names the host that fell silent where it shows afterwards, in any
// connection, that it has lost its connections. Silence alone names nobody:
// the path may have been cut.
func (n *neighbours) rebooted() {
	for i := range n.questions {
		q := &n.questions[i]
		for _, s := range q.hushed {
			if s.since != 0 && q.verdict.By == ByUnknown && n.hosts.val(q.host[s.side]).lost > s.since {
				q.verdict.By = BySide(s.side)
			}
		}
	}
}

// silenceOf is the end that said nothing any more once what was sent to it
// went unanswered.
func silenceOf(w *view, what func(*assembler.End) *assembler.Tries) hush {
	e, t := w.silent(what, 1)
	if e == nil {
		return hush{}
	}
	side := assembler.Client
	if e == w.cl {
		side = assembler.Server
	}
	if w.c.End(side).Last.Time >= t.First.Time {
		return hush{}
	}
	return hush{side, t.First.Time}
}
