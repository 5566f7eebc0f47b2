package assembler

import "iter"

// What a live view needs: connections that are not reported yet.

// tellOvers calls Config.Over for the connections whose time has come.
func (t *Tracker) tellOvers() {
	if t.cfg.Over == nil {
		return
	}
	t.tell(&t.closed, t.dues.now-t.cfg.OverAfter)
	t.tell(&t.reset, t.dues.now-t.cfg.OverAfter)
}

// tell calls Config.Over for those of q that ended at the given time or before.
func (t *Tracker) tell(q *queue, at int64) {
	for q.told = max(q.told, q.head); q.told < len(q.list) && q.list[q.told].at <= at; q.told++ {
		e := q.list[q.told]
		if _, over := t.overSince(e); over {
			t.tellOne(e.r)
		}
	}
}

// tellOne calls Config.Over for the connection of record r, unless it was.
func (t *Tracker) tellOne(r ref) {
	if t.wasTold(r) {
		return
	}
	t.cfg.Over(t.whole(r))
}

// wasTold reports whether Config.Over was called for the connection of record
// r, and notes that it is now.
func (t *Tracker) wasTold(r ref) (was bool) {
	set := func(told *bool) { was, *told = *told, true }
	switch i := r.index(); r.kind() {
	case aFlow:
		f := t.flows.at(i)
		was = f.bits&flowTold != 0
		f.bits |= flowTold
	case aConn:
		set(&t.conns.at(i).Told)
	case aNoted:
		set(&t.noted.at(i).told)
	case aParked:
		set(&t.parked.at(i).told)
	}
	return was
}

// Each visits every connection that is followed now, those included that are
// over and linger, in no order. It changes nothing; the Conn is the visitor's
// until he returns. What Done has had is not among them.
func (t *Tracker) Each(visit func(*Conn)) {
	for r := range t.followed() {
		visit(t.whole(r))
	}
}

// followed lists the records of all connections that are followed. The
// visitor may free them.
func (t *Tracker) followed() iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for i, l := range t.lones.all() {
			if l.wscale&loneNoted == 0 && !yield(makeRef(aLone, i)) {
				return
			}
		}
		for i, f := range t.flows.all() {
			if f.bits&flowLive != 0 && !yield(makeRef(aFlow, i)) {
				return
			}
		}
		for i := range t.noted.all() {
			if !yield(makeRef(aNoted, i)) {
				return
			}
		}
		for i := range t.conns.all() {
			if !yield(makeRef(aConn, i)) {
				return
			}
		}
		for i := range t.parked.all() {
			if !yield(makeRef(aParked, i)) {
				return
			}
		}
	}
}

// Open is the number of connections that are followed and not over.
func (t *Tracker) Open() int { return t.live() - t.overs }

// Now is the latest time that the tracker knows of, by packets or ticks.
func (t *Tracker) Now() int64 { return t.clock.now }

// States counts the ends of connections by State and Side.
type States [numStates][2]int

func (s *States) add(client, server State) {
	s[client][Client]++
	s[server][Server]++
}

// States counts the ends of all connections that are followed, those included
// that are over and linger: as Closed, and as TimeWait for as long as Linux
// keeps that. It takes about 20 ns a connection.
func (t *Tracker) States() (s States) {
	recent := t.clock.now - timeWaitLen
	settled := func(x State, last int64) State {
		if x == TimeWait && last < recent {
			return Closed
		}
		return x
	}
	for _, l := range t.lones.all() {
		if l.wscale&loneNoted == 0 {
			s.add(SynSent, Unknown)
		}
	}
	for _, f := range t.flows.all() {
		if f.bits&flowLive != 0 {
			s.add(settled(f.state(Client), f.lastTime), settled(f.state(Server), f.lastTime))
		}
	}
	for _, k := range t.noted.all() {
		s.add(settled(k.states[Client], k.last), settled(k.states[Server], k.last))
	}
	for _, c := range t.conns.all() {
		s.add(settled(c.Ends[Client].State, c.Last.Time), settled(c.Ends[Server].State, c.Last.Time))
	}
	for _, p := range t.parked.all() {
		s.add(settled(p.states[Client], p.last), settled(p.states[Server], p.last))
	}
	return s
}

// timeWaitLen is TCP_TIMEWAIT_LEN (include/net/tcp.h), ns.
const timeWaitLen = 60e9
