package classify

import (
	"math"
	"math/bits"
	"slices"

	"hangup/assembler"
)

// ledger counts what is needed of every connection, by server endpoint and by
// client host and server endpoint, whatever became of it. Collectors look
// here for the healthy traffic beside what they have found.
//
// It is bounded by serversMax (of up to 5 kB each, once there are more than
// fewMoments dials) and pairsMax (up to 0.7 kB, and timedMax of them 12 kB more), and earlyDials.
type ledger struct {
	servers table[endpoint, serverStat]
	pairs   table[relation, pairStat]
	timed   int // pairs with portTimes, at most
	early   earlyDials
	untimed uint64            // dials of pairs that would deserve them
	once    [strangers]uint64 // the latest pairs that were in a flood, as hashes
}

// strangers is how many pairs of a flood are remembered: one that dials again
// before as many others is counted like everybody from then on.
const strangers = 1 << 12

const (
	serversMax = 1 << 13
	pairsMax   = 1 << 14
	timedMax   = 1 << 11
)

// serverStat is what a server endpoint has done.
type serverStat struct {
	dials       uint32 // SYNs of distinct connections
	handshakes  uint32 // completed
	closedAfter uint32 // connections that it closed after the client, in time
	ok          moments
	early       [fewMoments]int64 // of dials, until there are more
	dialled     *eventCount
	rtt         roundTrips
}

// pairStat is what passed between a client host and a server endpoint.
type pairStat struct {
	conns       uint32 // of two packets at least
	closedAfter uint32 // closed by the client after the server, in time
	sent, again [2]uint64
	established uint32  // connections, however begun
	ok          moments // dials that were not fruitless
	ports       portUse
}

func newLedger() *ledger {
	l := &ledger{}
	l.servers.max, l.pairs.max = serversMax, pairsMax
	return l
}

func (l *ledger) add(x *subject) {
	o := x.o
	cl, sv := &o.Ends[assembler.Client], &o.Ends[assembler.Server]
	s := l.servers.at(&x.pair.server, x.serverHash)
	p := l.pairs.at(&x.pair, x.pairHash)
	if cl.Packets+sv.Packets >= 2 {
		p.conns++
	}
	est := o.Established.Seen()
	if est {
		s.handshakes++
	}
	if x.dials {
		s.dial(o.First.Time)
		if est && o.Partial&assembler.OneWay == 0 {
			s.ok.fine = true
			s.ok.add(o.First.Time)
			if x.c == nil || x.w.cl.SYN.Count == 1 {
				s.rtt.add(o.RTTServer + o.RTTClient)
			}
		}
		if (est || cl.Bytes > 0) && x.traits&isFruitless == 0 {
			p.ok.add(o.First.Time)
		}
		p.ports.add(x, l)
	}
	if est || o.Partial&assembler.NoStart != 0 {
		p.path(x)
	}
	if passive, ok := x.closedInTime(); ok && passive == assembler.Server {
		s.closedAfter++
	} else if ok {
		p.closedAfter++
	}
}

// dial counts a dial. The first few need no timeline: most servers of a scan
// are dialled once.
func (s *serverStat) dial(t int64) {
	s.dials++
	switch {
	case s.dialled != nil:
		s.dialled.add(t)
	case s.dials <= fewMoments:
		s.early[s.dials-1] = t
	default:
		s.dialled = new(eventCount)
		for _, old := range s.early {
			s.dialled.add(old)
		}
		s.dialled.add(t)
	}
}

// stranger reports whether a pair of a flood is there for the first time.
func (l *ledger) stranger(pair uint64) bool {
	seen := &l.once[pair%strangers]
	if *seen == pair {
		return false
	}
	*seen = pair
	return true
}

// mayTime reports whether one more pair may have portTimes.
func (l *ledger) mayTime() bool {
	if l.timed >= timedMax && l.untimed%pairsMax == 0 {
		l.timed = 0
		for i := range l.pairs.items {
			l.timed += b2i(l.pairs.items[i].val.ports.over != nil)
		}
	}
	if l.timed >= timedMax {
		l.untimed++
		return false
	}
	l.timed++
	return true
}

// closedInTime is the side that closed after its peer, before the peer's
// kernel lost patience.
func (x *subject) closedInTime() (passive assembler.Side, ok bool) {
	if x.v.Cause == CloseWaitLeak || x.v.Cause == FinWait2Expired || x.o.Partial&assembler.OneWay != 0 ||
		!x.o.Ends[0].FIN.Seen() || !x.o.Ends[1].FIN.Seen() {
		return 0, false
	}
	first, _ := x.closer()
	return first.Peer(), true
}

func (p *pairStat) path(x *subject) {
	// A dead peer is no lossy path; its retransmissions are not counted.
	if v := x.v; v.Class == TimedOut || v.Cause == PeerVanished || v.Cause == PMTUBlackhole {
		return
	}
	p.established++
	for s := range x.o.Ends {
		p.sent[s] += uint64(x.o.Ends[s].Packets)
		if x.c != nil {
			p.again[s] += uint64(x.c.Ends[s].Retransmits)
		}
	}
}

func (l *ledger) server(e endpoint) *serverStat {
	return l.servers.find(&e, e.hash())
}

// successes are the times at which dials to e succeeded.
func (l *ledger) successes(e endpoint) *moments {
	if s := l.server(e); s != nil {
		return &s.ok
	}
	return new(moments)
}

func (l *ledger) pair(r relation) *pairStat {
	return l.pairs.find(&r, r.hash())
}

func (e *endpoint) hash() uint64 { return e.hashAt(hashOf(&e.addr)) }

// hashAt is hash, given that of the host.
func (e *endpoint) hashAt(host uint64) uint64 { return mix(host + uint64(e.port)*0x9e3779b97f4a7c15) }

func (r *relation) hash() uint64 { return relationHash(hashOf(&r.client), r.server.hash()) }

func relationHash(client, server uint64) uint64 { return mix(client*3 ^ server) }

func (l *ledger) clone() *ledger {
	return &ledger{
		timed: l.timed, untimed: l.untimed, once: l.once, early: earlyDials{slices.Clone(l.early.ring), l.early.n},
		servers: l.servers.clone(func(s *serverStat) {
			s.ok.part()
			if s.dialled != nil {
				own := *s.dialled
				s.dialled = &own
			}
		}),
		pairs: l.pairs.clone(func(p *pairStat) {
			p.ok.part()
			if p.ports.over != nil {
				own := *p.ports.over
				p.ports.over = &own
			}
		}),
	}
}

// roundTrips is a histogram of round trips with two steps to an octave, from
// 10 µs to ten seconds.
type roundTrips struct {
	n     [40]uint32
	total uint32
}

func (r *roundTrips) add(d int64) {
	u := uint64(max(d, 0)) / 10_000
	length := bits.Len64(u)
	i := 2 * length
	if length >= 2 {
		i += int(u >> (length - 2) & 1)
	}
	r.n[min(i, len(r.n)-1)]++
	r.total++
}

// median is right to a quarter or so.
func (r *roundTrips) median() int64 {
	sum := uint32(0)
	for i, n := range r.n {
		if sum += n; 2*sum > r.total {
			low := 10_000 * math.Exp2(float64(i/2-1))
			return int64(low * (1.25 + 0.5*float64(i%2)))
		}
	}
	return 0
}
