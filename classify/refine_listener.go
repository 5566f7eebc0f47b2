package classify

import (
	"cmp"
	"slices"
)

// Windows (ns) within which neighbours belong to one event.
const (
	// together: a closing listener resets its whole queue in one go
	// (inet_csk_listen_stop), so its RSTs are microseconds to milliseconds apart.
	together = 100 * milli
	// refusedSoon: how soon after a listener died its next SYN must be
	// refused to belong to the same death.
	refusedSoon = 30 * second
)

// start is when a connection began, ns, and whether it was refused.
type start struct {
	at      int64
	refused bool
}

// begun remembers when the latest connections began, as a chain per server.
type begun struct {
	ring *[beginnings]beginning
	n    uint32 // so many came so far
}

type beginning struct {
	at   int64
	prev uint32 // the server's one before, with refused in the lowest bit; as n of begun
}

const (
	beginnings = 1 << 16
	maxChain   = 1 << 10
)

// begin notes that a connection to a server began.
func (n *neighbours) begin(who number, s start) {
	sv, b := n.servers.val(who), &n.begun
	if b.ring == nil {
		b.ring = new([beginnings]beginning)
	}
	if b.n++; b.n >= 1<<31 {
		b.n = 1 // all chains break, every two billion connections
	}
	b.ring[b.n%beginnings] = beginning{s.at, sv.last<<1 | uint32(b2i(s.refused))}
	sv.last = b.n
	if w := n.watches.of(sv); w != nil && n.watches.room() {
		w.starts, w.sorted = append(w.starts, s), false
	}
}

// chain lists the latest beginnings at a server, as far back as they are remembered.
func (b *begun) chain(last uint32) (list []start) {
	for last != 0 && last <= b.n && b.n-last < beginnings && len(list) < maxChain {
		o := b.ring[last%beginnings]
		list = append(list, start{o.at, o.prev&1 != 0})
		last = o.prev >> 1
	}
	return list
}

// watch is what is gathered about a server from the first question on that
// its listener may answer.
type watch struct {
	server number
	starts []start
	died   []int64 // RSTs that may have killed what waited in the queue
	full   []full
	latest int64 // when the last of all this was noted
	sorted bool
}

// full is a time at which the queue of a listener was full, or may have been.
type full struct {
	span
	id     uint64 // of the connection that shows it
	hidden bool   // the connection died with its listener
}

// watches are those of all servers that have one.
type watches struct {
	list  []*watch // by number less 1
	notes int      // in all of them
}

const (
	maxWatches = 1 << 13
	maxNotes   = 1 << 19 // 16 MB at most
)

// of is the watch on a server, nil if there is none.
func (ws *watches) of(sv *server) *watch {
	if sv.watch == 0 || int(sv.watch) > len(ws.list) {
		return nil
	}
	return ws.list[sv.watch-1]
}

// room counts a note, if there is room for it.
func (ws *watches) room() bool {
	if ws.notes >= maxNotes {
		return false
	}
	ws.notes++
	return true
}

// watch begins to watch the question's server, unless it is watched or there
// are too many, and notes what the question tells of its listener.
func (n *neighbours) watch(q *question, v *view, out *Verdict) {
	sv, ws := n.servers.val(q.server), &n.watches
	w := ws.of(sv)
	if w == nil {
		if len(ws.list) >= maxWatches || q.server == 0 {
			return
		}
		w = &watch{server: q.server, starts: n.begun.chain(sv.last)}
		ws.notes += len(w.starts)
		ws.list = append(ws.list, w)
		sv.watch = uint32(len(ws.list))
	}
	w.latest = max(w.latest, v.c.Last.Time)
	w.sorted = false
	if q.died != 0 && ws.room() {
		w.died = append(w.died, q.died)
	}
	if out.Cause == AcceptQueueOverflow && ws.room() {
		s := spanOf(&v.sv.SYNACK)
		w.full = append(w.full, full{span: span{s.from - second, s.to + second}, id: q.id})
	}
}

// forget lets go of what was noted before t (ns) about servers of which no
// question is open any more.
func (n *neighbours) forget(t int64) {
	if len(n.watches.list) == 0 {
		return
	}
	var ws watches
	for i, w := range n.watches.list {
		sv := n.servers.val(w.server)
		if sv.watch != uint32(i+1) {
			continue // the server has left
		}
		sv.watch = 0
		if w.latest < t {
			continue
		}
		w.starts = slices.DeleteFunc(w.starts, func(s start) bool { return s.at < t })
		w.died = slices.DeleteFunc(w.died, func(at int64) bool { return at < t })
		w.full = slices.DeleteFunc(w.full, func(f full) bool { return f.to < t })
		ws.list = append(ws.list, w)
		ws.notes += len(w.starts) + len(w.died) + len(w.full)
		sv.watch = uint32(len(ws.list))
	}
	n.watches = ws
}

func (w *watch) sort() {
	if w.sorted {
		return
	}
	slices.SortFunc(w.starts, func(a, b start) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b2i(a.refused), b2i(b.refused)))
	})
	slices.Sort(w.died)
	w.sorted = true
}

// listeners finds a connection that died with its listener: the server
// reset it before it ever sent anything, several at once, or its next SYN
// was refused (inet_csk_listen_stop, RFC 9293 3.10.5).
func (n *neighbours) listeners(q *question) {
	w := n.watches.of(n.servers.val(q.server))
	if q.died == 0 || w == nil {
		return
	}
	w.sort()
	crowd := w.crowd(q.died) && q.verdict.Cause != AcceptQueueOverflow // a full queue resets many as well
	refused := w.refusedAfter(q.died)
	if !crowd && !refused {
		return
	}
	q.verdict.becomeListenerClosed(crowd && refused)
	for i := range w.full {
		w.full[i].hidden = w.full[i].hidden || w.full[i].id == q.id
	}
	if q.up != 0 && n.watches.room() {
		// While they waited, nobody accepted.
		w.full = append(w.full, full{span: span{q.up, q.died}, id: q.id, hidden: true})
	}
}

// diedQueued is when the connection may have died in an accept queue, or as
// a half-open request of the listener; 0 if it cannot have.
func diedQueued(w *view, v *Verdict) int64 {
	if v.By != ByServer || w.rst == nil || w.sv.FirstData.Seen() || w.sv.FIN.Seen() || synProxy(w) || bare(w.rst) != (v.Cause == AcceptQueueOverflow) {
		return 0
	}
	return w.rst.Time
}

// synProxy reports whether the SYN-ACK came from a SYN proxy rather than from
// a listener: window 0, so that the client says nothing before the server
// behind has answered, and no other window since (nf_synproxy_core.c,
// synproxy_send_client_synack). No socket offers that.
func synProxy(w *view) bool { return w.sv.SYNACK.Seen() && w.sv.MaxWindow == 0 }

// crowd reports whether another one died together with that which died at t.
func (w *watch) crowd(t int64) bool {
	from, _ := slices.BinarySearch(w.died, t-together+1)
	to, _ := slices.BinarySearch(w.died, t+together)
	return to-from > 1
}

// refusedAfter reports whether the server's next new connection after t was refused.
func (w *watch) refusedAfter(t int64) bool {
	k, _ := slices.BinarySearchFunc(w.starts, t, func(s start, t int64) int {
		if s.at <= t {
			return -1
		}
		return 1
	})
	return k < len(w.starts) && w.starts[k].refused && w.starts[k].at-t < refusedSoon
}

func (v *Verdict) becomeListenerClosed(sure bool) {
	was, why := v.Cause, WhyMaybeAccepted
	if was == AcceptQueueOverflow {
		why = WhyQueueOrState
	}
	v.became("listener-closed")
	v.Confidence = Likely
	v.NAlt = 0
	switch {
	case sure && was == CloseWithUnreadData:
		v.addAlt(Alternative{was, WhyMaybeKilled}) // what was accepted dies with its process as well
	case !sure:
		v.addAlt(Alternative{was, why})
	}
}

// fullQueues: where a listener's queue was full, SYNs that it did not answer
// at that time met the same queue (tcp_conn_request, sk_acceptq_is_full).
func (n *neighbours) fullQueues(q *question) {
	w := n.watches.of(n.servers.val(q.server))
	if q.verdict.Cause != ConnectTimeout || w == nil {
		return
	}
	for _, f := range w.full {
		if f.from > q.syn.to || f.to < q.syn.from {
			continue
		}
		if !f.hidden {
			q.verdict.By = ByServer
			q.verdict.leadAlt(Alternative{AcceptQueueOverflow, WhyQueueFull})
			return
		}
		q.verdict.addAlt(Alternative{AcceptQueueOverflow, WhyQueueDied})
	}
}
