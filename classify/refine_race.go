package classify

import (
	"cmp"

	"hangup/assembler"
)

// raceTime is how far apart (ns) two attempts of one dial may begin: Go and
// RFC 8305 wait 250 to 300 ms, some programs 2 s.
const raceTime = 2 * second

// heats finds attempts that failed while the same host's connection to the
// same port over the other address family was established: happy eyeballs
// (RFC 8305; net.(*sysDialer).dialParallel), where the caller saw no error.
type heats struct {
	cards map[uint64][16]byte // the only IPv4 address seen behind a card; 0 if there are several
	last  struct {
		link uint64
		addr [16]byte
	}
	won *[maxHeats]round // by their hashes
}

// round is who won a heat, in the order of IDs.
type round struct {
	heat
	n    uint8
	last uint64 // ID of the last one, once there are maxWinners: beside the rest of what most need
	list [maxWinners]winner
}

// heat is a second in which connections over one family were established by
// one host to one port.
type heat struct {
	link   uint64 // the client's network card, 0 for loopback
	port   uint16 // the server's
	v6     bool
	second int64
}

type winner struct {
	id    uint64
	first int64 // when its first packet came, ns
	up    int64 // when it was established, ns
}

const (
	maxCards   = 1 << 12
	heatBits   = 13
	maxHeats   = 1 << heatBits // a later one may take an earlier one's place
	maxWinners = 8             // of one heat: where more begin in a second, which of them won says nothing
)

// raceKey is where and when an attempt began.
type raceKey struct {
	first    int64 // ns; 0 for what is no attempt
	link     uint64
	port     uint16
	v6       bool
	loopback bool
}

func raceOf(o *assembler.Outline) raceKey {
	e := &o.Ends[assembler.Client]
	k := raceKey{o.First.Time, e.Link, o.Ends[assembler.Server].Port, o.V6, isLoopback(&e.Addr)}
	if k.loopback {
		k.link = 0
	}
	return k
}

// isLoopback reports whether a is 127.0.0.0/8 or ::1.
func isLoopback(a *[16]byte) bool {
	return *a == [16]byte{15: 1} || *(*[13]byte)(a[:13]) == [13]byte{10: 0xff, 11: 0xff, 12: 127}
}

// isIPv4 reports whether a is a mapped IPv4 address.
func isIPv4(a *[16]byte) bool { return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff} }

func (k *raceKey) heat(second int64, v6 bool) heat { return heat{k.link, k.port, v6, second} }

func (r *heats) add(o *assembler.Outline) {
	k := raceOf(o)
	if !k.v6 && !k.loopback {
		r.card(k.link, &o.Ends[assembler.Client].Addr)
	}
	if !o.Established.Seen() || k.link == 0 && !k.loopback {
		return
	}
	if r.won == nil {
		r.won = new([maxHeats]round)
	}
	h := k.heat(k.first/second, k.v6)
	p := r.round(&h)
	if p == nil {
		if p = r.oldest(&h); p.n > 0 && p.second > h.second {
			return // full of what came later
		}
		*p = round{heat: h}
	}
	if p.n == maxWinners && o.ID > p.last {
		return
	}
	w := winner{o.ID, k.first, o.Established.Time}
	i := int(p.n)
	for i > 0 && p.list[i-1].id >= w.id {
		i--
	}
	if i < maxWinners && p.list[i].id != w.id {
		copy(p.list[i+1:], p.list[i:])
		p.list[i] = w
		p.n = min(p.n+1, maxWinners)
		p.last = p.list[maxWinners-1].id
	}
}

// round finds that of h, which has two places where it may be; nil if there is none.
func (r *heats) round(h *heat) *round {
	i := h.hash()
	if p := &r.won[i]; p.heat == *h {
		return p
	}
	if p := &r.won[i^1]; p.heat == *h {
		return p
	}
	return nil
}

// oldest is the place for a round of h.
func (r *heats) oldest(h *heat) *round {
	i := h.hash()
	if r.won[i^1].second < r.won[i].second {
		i ^= 1
	}
	return &r.won[i]
}

func (h *heat) hash() uint64 {
	x := (h.link^uint64(h.port)<<48)*0x9e3779b97f4a7c15 ^ uint64(h.second)<<1 ^ uint64(b2i(h.v6))
	return x * 0xff51afd7ed558ccd >> (64 - heatBits)
}

// card notes the client's address behind its card; a card with several is a
// router's, and tells nothing.
func (r *heats) card(link uint64, addr *[16]byte) {
	if link == 0 || link == r.last.link && *addr == r.last.addr {
		return
	}
	r.last.link, r.last.addr = link, *addr
	a, ok := r.cards[link]
	switch {
	case ok && a != *addr:
		r.cards[link] = [16]byte{}
	case !ok && (r.cards == nil || len(r.cards) >= maxCards):
		r.cards = map[uint64][16]byte{link: *addr} // those still there will show again
	case !ok:
		r.cards[link] = *addr
	}
}

// lostRaces links an attempt to the one that won.
func (n *neighbours) lostRaces(q *question) {
	switch q.verdict.Cause {
	case DialCancelled, ConnectTimeout, ConnectionRefused, ICMPRejected, HandshakeIncomplete:
	default:
		return
	}
	k := q.race
	if k.first == 0 || !k.loopback && (k.link == 0 || n.heats.cards[k.link] == [16]byte{}) {
		return
	}
	w := n.heats.winner(&k)
	if w.id == 0 || q.won.id != 0 && q.won.before(&w) {
		w = q.won
	}
	q.verdict.LostTo = w.id
}

// winner is the first connection that won against k, its ID 0 if none did.
func (r *heats) winner(k *raceKey) winner {
	from := k.first / second
	for s := from - raceTime/second; r.won != nil && s <= from+raceTime/second; s++ {
		h := k.heat(s, !k.v6)
		p := r.round(&h)
		if p == nil {
			continue
		}
		for _, w := range p.list[:p.n] {
			// A dial that has won starts no further attempt.
			if d := w.first - k.first; d > -raceTime && d < raceTime && w.up >= k.first {
				return w
			}
		}
	}
	return winner{}
}

// before orders winners as winner finds them.
func (w *winner) before(o *winner) bool {
	return cmp.Or(cmp.Compare(w.first/second, o.first/second), cmp.Compare(w.id, o.id)) < 0
}
