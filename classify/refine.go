package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// neighbours gathers, one connection at a time and in any order, what
// connections of the same server or host say of each other, and corrects
// verdicts by it. What it keeps of a connection is a few words; only those
// whose verdicts it may change leave a question. All of it is bounded: what
// is old makes room for the new.
type neighbours struct {
	hosts   addresses
	servers servers
	begun   begun
	watches watches
	twins   twins
	heats   heats
	relays  relays
}

// host is what all connections together tell of one address.
type host struct {
	ttl  distance
	lost int64 // latest RST by which it showed that it had lost its connections; 0 once one is known to live on
	had  int64 // since when it had the connection that the RST was for
	life tenures
}

// tenures are times at which a host showed that it knew its connections: the
// latest, those that overlap as one.
type tenures [3]span

func (l *tenures) add(s span) {
	for i := 0; i < len(l); i++ {
		if o := l[i]; s.from < o.to && o.from < s.to {
			s = span{min(s.from, o.from), max(s.to, o.to)}
			l[i] = span{}
			i = -1 // what it grew to may meet others
		}
	}
	oldest := 0
	for i := range l {
		if l[i].to < l[oldest].to {
			oldest = i
		}
	}
	if s.to > l[oldest].to {
		l[oldest] = s
	}
}

func (l *tenures) around(t int64) bool {
	for i := range l {
		if l[i].around(t) {
			return true
		}
	}
	return false
}

// lose notes a RST by which the host showed that it had lost a connection
// which it had had since another time.
func (h *host) lose(t, since int64) {
	if t > h.lost && !h.life.around(t) {
		h.lost, h.had = t, since
	}
}

// live notes for how long one of the host's connections was alive: what
// spans a moment refutes that all were lost then.
func (h *host) live(life span) {
	h.life.add(life)
	if life.around(h.lost) {
		h.lost = 0
	}
}

// lifeOf is the time over which e showed that it knew the connection.
func lifeOf(e *assembler.EndOutline) span {
	return span{e.First.Time, max(e.LastData.Time, e.LastNewAck.Time)}
}

// server is what they tell of one server endpoint.
type server struct {
	ttl   distance
	last  uint32 // its latest beginning
	watch uint32 // 0: none
}

// distance is the hop count of ordinary packets.
type distance struct {
	ttl    uint8 // 0 if none was seen
	varies bool
}

func (d *distance) note(least, most uint8) {
	switch {
	case least == 0:
	case d.ttl == 0 && least == most:
		d.ttl = least
	case d.ttl != least || d.ttl != most:
		d.varies = true
	}
}

func (d *distance) known() bool { return d.ttl != 0 && !d.varies }

// question is a verdict that neighbours may change, and what they need to
// know of its connection. Times are ns.
type question struct {
	acquainted
	id      uint64
	verdict *Verdict
	died    int64 // when it may have died in an accept queue; 0 if it cannot have
	up      int64 // when it was established
	syn     span  // the client's
	rst     rstFrom
	hushed  [3]hush
	race    raceKey
	won     winner // of those known when it was asked
	relay   relay
}

// acquainted is where a connection has its neighbours.
type acquainted struct {
	twin   uint64 // the same connection, already ended; 0 if there is none
	server number
	host   [2]number // by side
}

// span is the time of a run of tries.
type span struct{ from, to int64 }

func spanOf(t *assembler.Tries) span { return span{t.First.Time, t.Last.Time} }

// around reports whether t lies within the span.
func (s span) around(t int64) bool { return s.from < t && t < s.to }

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
	o := w.outline()
	q = question{id: o.ID, up: o.Established.Time, acquainted: n.meet(o, v.Cause == ConnectionRefused)}
	if v.Cause == PeerLostState && w.rst != nil && !w.sender().FIN.Seen() && w.sender().Lost == 0 {
		// Who has closed has nothing to lose; a FIN may be what was not captured.
		n.hosts.val(q.host[w.rst.Side]).lose(w.rst.Time, o.First.Time)
	}
	n.relays.add(w.c)
	if open = q.asks(w, v); open {
		n.hear(&q, w, v)
	}
	return q, open
}

// meet lets the neighbours know of a connection. Whether they have something
// to say of it is another question.
func (n *neighbours) meet(o *assembler.Outline, refused bool) (a acquainted) {
	cl, sv := &o.Ends[assembler.Client], &o.Ends[assembler.Server]
	a.server = n.servers.at(endpoint{sv.Addr, sv.Port})
	if sv.Packets > 0 || cl.Packets > 1 {
		a.host[0], a.host[1] = n.hosts.at(&cl.Addr), n.hosts.at(&sv.Addr)
	} else {
		a.host[0], a.host[1] = n.hosts.peek(&cl.Addr), n.hosts.peek(&sv.Addr)
	}
	n.servers.val(a.server).ttl.note(sv.TTLMin, sv.TTLMax)
	for side := range o.Ends {
		e, h := &o.Ends[side], n.hosts.val(a.host[side])
		h.ttl.note(e.TTLMin, e.TTLMax)
		if e.Packets > 1 {
			h.live(lifeOf(e))
		}
	}
	n.begin(a.server, start{o.First.Time, refused})
	n.heats.add(o)
	a.twin = n.twins.add(o)
	return a
}

// asks fills in what the question rests on, and reports whether there is one.
func (q *question) asks(w *view, v *Verdict) bool {
	switch v.Cause {
	case AbortiveClose, CloseWithUnreadData, AcceptQueueOverflow:
		q.died = diedQueued(w, v)
		return q.died != 0 || v.Cause == AcceptQueueOverflow
	case ConnectionRefused:
		q.race = raceOf(w.outline())
		if w.rst != nil {
			q.rst = rstFrom{w.rst.TTL, w.rst.Side}
		}
	case ConnectTimeout:
		q.race = raceOf(w.outline())
		q.syn = spanOf(&w.cl.SYN)
	case DialCancelled, ICMPRejected, HandshakeIncomplete:
		q.race = raceOf(w.outline())
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

// hear notes what a question tells its neighbours, and what they have said
// already that may be forgotten by the time it is answered.
func (n *neighbours) hear(q *question, w *view, v *Verdict) {
	if q.died != 0 || v.Cause == AcceptQueueOverflow {
		n.watch(q, w, v)
	}
	if q.race.first != 0 {
		q.won = n.heats.winner(&q.race)
	}
	n.relays.want(q.relay.to)
}

// settle corrects the verdicts of questions. The outcome does not depend on
// how connections came.
func (n *neighbours) settle(list []*question) {
	slices.SortFunc(list, func(a, b *question) int { return cmp.Compare(a.id, b.id) })
	for _, q := range list {
		n.listeners(q)
		n.refusals(q)
		n.rebooted(q)
		n.staleStarts(q)
	}
	for _, q := range list {
		n.fullQueues(q) // which queues were full depends on what became of all the others
		n.lostRaces(q)
	}
}

// refusals settles who refused: a RST with the hop count of the server's
// other packets came from the server's own host. One that came a shorter way
// came from something on it, or from another of several machines to which
// ports are forwarded. One that came a longer way cannot have: it is rather
// the other packets that a proxy sent in the server's name.
func (n *neighbours) refusals(q *question) {
	v := q.verdict
	if v.Cause != ConnectionRefused || q.rst.ttl == 0 {
		return
	}
	var port distance
	if q.rst.side == assembler.Server {
		port = n.servers.val(q.server).ttl
	}
	host := n.hosts.val(q.host[q.rst.side]).ttl
	switch ttl := q.rst.ttl; {
	case port.known() && port.ttl == ttl, host.known() && host.ttl == ttl:
		v.NAlt = 0
	case port.known() && port.ttl == ttl-1, host.known() && host.ttl == ttl-1:
		// One hop nearer is the host itself, in front of its containers: what
		// was forwarded to one of them is its own again once that is gone.
	case port.known() && hops(ttl) < hops(port.ttl), host.known() && hops(ttl) < hops(host.ttl):
		v.By, v.NAlt, v.Confidence = ByMiddlebox, 0, Possible
	}
}

// hops is how far away a packet's sender was, if it began with 64, 128 or 255,
// as systems do.
func hops(ttl uint8) uint8 {
	switch {
	case ttl <= 64:
		return 64 - ttl
	case ttl <= 128:
		return 128 - ttl
	}
	return 255 - ttl
}

// rebooted names the host that fell silent where it shows afterwards, in any
// connection, that it has lost its connections. Silence alone names nobody:
// the path may have been cut. Nor does it tell of the silence if it lost what
// had begun after that: a NAT that forgets soon answers so, and drops as well.
func (n *neighbours) rebooted(q *question) {
	for _, s := range q.hushed {
		h := n.hosts.val(q.host[s.side])
		if s.since != 0 && q.verdict.By == ByUnknown && h.lost > s.since && h.had < s.since {
			q.verdict.By = BySide(s.side)
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
