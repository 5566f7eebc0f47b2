package classify

import (
	"slices"

	"hangup/assembler"
	"hangup/capture"
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
	won map[heat][]winner
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
	maxHeats   = 1 << 14
	maxWinners = 8 // of one heat: where more begin in a second, which of them won says nothing
)

// raceKey is where and when an attempt began.
type raceKey struct {
	first    int64 // ns; 0 for what is no attempt
	link     uint64
	port     uint16
	v6       bool
	loopback bool
}

func raceOf(c *assembler.Conn) raceKey {
	e := c.End(assembler.Client)
	k := raceKey{c.First.Time, e.Link, c.End(assembler.Server).Port, c.V6, isLoopback(&e.Addr)}
	if k.loopback {
		k.link = 0
	}
	return k
}

func isLoopback(a *[16]byte) bool {
	return (a[0] == 0 && (a[15] == 1 || a[12] == 127)) && capture.Addr(*a).IsLoopback()
}

func (k *raceKey) heat(second int64, v6 bool) heat { return heat{k.link, k.port, v6, second} }

func (r *heats) add(c *assembler.Conn) {
	if r.cards == nil {
		r.cards, r.won = map[uint64][16]byte{}, map[heat][]winner{}
	}
	k := raceOf(c)
	if !k.v6 && !k.loopback {
		r.card(k.link, &c.End(assembler.Client).Addr)
	}
	if !c.Established.Seen() || k.link == 0 && !k.loopback {
		return
	}
	h := k.heat(k.first/second, k.v6)
	list, ok := r.won[h]
	if !ok && len(r.won) >= maxHeats {
		return
	}
	w := winner{c.ID, k.first, c.Established.Time}
	if len(list) == maxWinners && list[maxWinners-1].id < w.id {
		return
	}
	i, _ := slices.BinarySearchFunc(list, w.id, func(o winner, id uint64) int { return int(min(1, max(-1, int64(o.id-id)))) })
	list = slices.Insert(list, i, w)
	r.won[h] = list[:min(len(list), maxWinners)]
}

// card notes the client's address behind its card; a card with several is a
// router's, and tells nothing.
func (r *heats) card(link uint64, addr *[16]byte) {
	if link == 0 || link == r.last.link && *addr == r.last.addr {
		return
	}
	r.last.link, r.last.addr = link, *addr
	if a, ok := r.cards[link]; ok && a != *addr {
		r.cards[link] = [16]byte{}
	} else if !ok && len(r.cards) < maxCards {
		r.cards[link] = *addr
	}
}

// lostRaces links attempts to those that won.
func (n *neighbours) lostRaces() {
	for i := range n.questions {
		q := &n.questions[i]
		switch q.verdict.Cause {
		case DialCancelled, ConnectTimeout, ConnectionRefused, ICMPRejected, HandshakeIncomplete:
		default:
			continue
		}
		if k := q.race; k.first != 0 && (k.loopback || k.link != 0 && n.heats.cards[k.link] != [16]byte{}) {
			q.verdict.LostTo = n.heats.winner(&k)
		}
	}
}

// winner is the first connection that won against k, 0 if none did.
func (r *heats) winner(k *raceKey) uint64 {
	from := k.first / second
	for s := from - raceTime/second; s <= from+raceTime/second; s++ {
		for _, w := range r.won[k.heat(s, !k.v6)] {
			// A dial that has won starts no further attempt.
			if d := w.first - k.first; d > -raceTime && d < raceTime && w.up >= k.first {
				return w.id
			}
		}
	}
	return 0
}
