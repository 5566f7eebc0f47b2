package assembler

import (
	"iter"
	"math"
)

// Expiry is why a connection was reported although no packet ended it
// (Config.Expire).
type Expiry uint8

const (
	Watched    Expiry = iota // it was not: it was watched to its end, or to that of the input
	Unanswered               // its SYNs were never answered
	Unfinished               // its SYN-ACK was never acknowledged
	HalfClosed               // an end had sent FIN, then there was silence
	GivenUp                  // an end had repeated what nobody acknowledged, then there was silence
)

func (x Expiry) String() string {
	return [...]string{"watched", "unanswered", "unfinished", "half closed", "given up"}[x]
}

// A connection expires when no timer of either kernel can make it speak any
// more. One that is established and idle has no such timer: it may be a
// leak, or cut by a middlebox, and never expires, however long it is silent.
// All in ns after its last packet.
const (
	// expireSYN: SYNs and SYN-ACKs are repeated at intervals of at most
	// TCP_RTO_MAX, 120 s (tcp_retransmit_timer, reqsk_timer_handler); with
	// Linux's defaults connect gives up 131 to 135 s after its first SYN.
	expireSYN = 180e9

	// expireFIN: an orphan in FIN_WAIT2 lives tcp_fin_timeout, 60 s
	// (tcp_time_wait); one in FIN_WAIT1, CLOSING or LAST_ACK repeats its FIN
	// at most every 120 s (tcp_orphan_retries). Longer, since a program may
	// have closed its sending half only, and wait for the answer.
	expireFIN = 600e9

	// expireData: repeats of data, and probes of a closed window, come at
	// intervals of at most TCP_RTO_MAX (RFC 6298 2.5, tcp_probe_timer): two
	// of these and a margin, because the capture may have missed one ...
	expireData = 300e9
	// ... and no sooner than tcp_retries2 lets a socket die of it, 924.6 s
	// after the first try (retransmits_timed_out; RFC 1122 4.2.3.5 wants at
	// least 100 s).
	expireRetries = 925e9

	never = math.MaxInt64
)

// expires is when a lone SYN expires unless answered.
func (l *lone) expires() int64 {
	if l.wscale&loneNoted != 0 {
		return never // that is its notes' to say
	}
	return l.time + expireSYN
}

// expires is [Conn.expiry]. A flow has repeated nothing.
func (f *flow) expires() int64 {
	switch {
	case f.over(), f.bits&flowLive == 0:
		return never
	case (f.ends[0]|f.ends[1])&endFIN != 0:
		return f.lastTime + expireFIN
	case f.bits&flowEstablished == 0:
		return f.lastTime + expireSYN
	}
	return never
}

// expiry is when the connection expires unless a packet comes, and why.
func (c *Conn) expiry() (Expiry, int64) {
	e, o := &c.Ends[Client], &c.Ends[Server]
	switch {
	case c.over():
		return Watched, never
	case e.FIN.Seen() || o.FIN.Seen():
		return HalfClosed, c.Last.Time + expireFIN
	case e.State.Synchronized() || o.State.Synchronized():
		at := min(e.givesUp(o), o.givesUp(e))
		if at == never {
			return Watched, never
		}
		return GivenUp, max(at, c.Last.Time+expireData)
	case e.SYNACK.Seen() && o.Packets == 0 || o.SYNACK.Seen() && e.Packets == 0:
		return Watched, never // one direction was captured: it may be established
	case e.SYNACK.Seen() || o.SYNACK.Seen():
		return Unfinished, c.Last.Time + expireSYN
	case e.SYN.Seen() || o.SYN.Seen():
		return Unanswered, c.Last.Time + expireSYN
	}
	return Watched, never
}

// givesUp is when the end gives up on what it repeats, if its peer's packets
// were captured at all. What it sent only once was acknowledged, whether the
// capture has that or not.
func (e *End) givesUp(peer *End) int64 {
	at := int64(never)
	for _, x := range [...]*Tries{&e.Data, &e.WProb} {
		if x.Pending() && x.Count > 1 && peer.Packets > 0 {
			at = min(at, x.First.Time+expireRetries)
		}
	}
	return at
}

// expireRound is how long (ns) it takes to look at every connection once.
const expireRound = 10e9

// expire reports what has expired, among as many connections as the time
// since the last call is of expireRound.
func (t *Tracker) expire(now int64) {
	last := t.swept
	if !t.cfg.Expire || now <= last {
		return
	}
	t.swept = now
	for i, l := range sweep(&t.lones, last, now) {
		t.expireOne(makeRef(aLone, i), l.expires(), now)
	}
	for i, f := range sweep(&t.flows, last, now) {
		t.expireOne(makeRef(aFlow, i), f.expires(), now)
	}
	for i, k := range sweep(&t.noted, last, now) {
		t.expireOne(makeRef(aNoted, i), k.expires, now)
	}
	for i, c := range sweep(&t.conns, last, now) {
		_, at := c.expiry()
		t.expireOne(makeRef(aConn, i), at, now)
	}
	for i, p := range sweep(&t.parked.pool, last, now) {
		t.expireOne(makeRef(aParked, i), p.expires, now)
	}
}

// expireOne reports the connection of record r, which expires at the given
// time, if that is past.
func (t *Tracker) expireOne(r ref, at, now int64) {
	if at < now {
		t.end(r, early{expired: true, until: at})
	}
}

// sweep visits the records in those pages of the pool that a hand passes
// between two times, going round once in expireRound.
func sweep[T any](p *pool[T], last, now int64) iter.Seq2[uint32, *T] {
	pages := len(p.pages)
	at := func(time int64) int { return int(uint64(time) % expireRound * uint64(pages) / expireRound) }
	return func(yield func(uint32, *T) bool) {
		switch rounds := now/expireRound - last/expireRound; {
		case last < now-expireRound:
			p.among(0, pages)(yield)
		case rounds == 0:
			p.among(at(last), at(now))(yield)
		default:
			p.among(at(last), pages)(yield)
			p.among(0, at(now))(yield)
		}
	}
}
