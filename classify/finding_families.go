package classify

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"hangup/assembler"
)

// families pits failed dials of one address family against the connections
// over the other that the same program got instead.
//
// Of those that connected it keeps one for each team and round: the first.
// Where more share a place than it has room for, the latest stay, whatever the
// order in which they come. Of those that failed it keeps losersKept; when
// there are more, the older half is judged, and goes.
type families struct {
	won    *[winPlaces][winRoom]winning
	teams  [1 << 6]uint64 // a bitmap of teams that won, by hash
	losers []loser
	floor  int64    // older losers are judged at once
	past   eyeballs // of losers that were judged
}

const (
	winBits   = 13
	winPlaces = 1 << winBits
	winRoom   = 4
	// roundBits make a round half a second: far below eyeballsWindow.
	roundBits = 29
	// losersKept take 1 MB.
	losersKept = 1 << 14
	// winsByChance and two for each loser may connect within eyeballsWindow:
	// beyond that they are a host's usual traffic, and no answer to a loser.
	winsByChance = 4
)

// winning is a dial that connected: the first of its team in its round.
type winning struct {
	at             assembler.Stamp // of its SYN
	heat           uint64          // team and round; 0: no dial
	client, server uint64          // host and endpoint, as hashes; client is 0 if several connected in the round
	n              uint32          // how many of the team connected in the round
}

// loser is a dial that failed.
type loser struct {
	at      assembler.Stamp // of its SYN
	id      uint64
	rivals  team   // those of the other family
	server  uint64 // as a hash
	refused bool
}

// team is whose dials may race, as a hash: one host, known by its MAC (where
// that is a router's, with several clients behind it, nobody can tell whose
// dial it was), or loopback; to one port over one family. 0 is nobody's.
type team uint64

func teamOf(r *relation, link uint64, v6 bool) team {
	if isLoopback(&r.client) {
		link = 1
	}
	if link == 0 {
		return 0
	}
	return team(mix(link<<16^uint64(r.server.port)) ^ uint64(b2i(v6)) | 2)
}

func (f *families) add(x *subject) {
	o, link := x.o, x.o.Ends[assembler.Client].Link
	switch {
	case failedDial(x.v):
		if t := teamOf(&x.pair, link, !o.V6); t != 0 {
			f.lose(&loser{x.syn, o.ID, t, x.serverHash, x.v.Cause == ConnectionRefused})
		}
	case o.Established.Seen():
		if t := teamOf(&x.pair, link, o.V6); t != 0 {
			f.win(t, &winning{at: x.syn, client: x.clientHash, server: x.serverHash, n: 1})
		}
	}
}

func (w *winning) round() int64 { return w.at.Time >> roundBits }

func (t team) heat(round int64) uint64 { return uint64(t) ^ uint64(round)*0x9e3779b97f4a7c15 }

// place is where the winner of a heat is, if it is known.
func (f *families) place(heat uint64) *[winRoom]winning { return &f.won[heat>>(64-winBits)] }

func (f *families) win(t team, w *winning) {
	if f.won == nil {
		f.won = new([winPlaces][winRoom]winning)
	}
	w.heat = t.heat(w.round())
	p := f.place(w.heat)
	for i := range p {
		o := &p[i]
		switch {
		case o.heat == w.heat:
			if o.client != w.client {
				o.client, w.client = 0, 0
			}
			o.n = max(o.n, o.n+1) // which may wrap
			w.n = o.n
			if w.before(o) {
				*o = *w
			}
			return
		case o.older(w): // they stand in the order of rounds, the latest first
			copy(p[i+1:], p[i:])
			*o = *w
			f.teams[t>>6%64] |= 1 << (t >> 12 % 64)
			return
		}
	}
}

func (w *winning) before(o *winning) bool {
	return cmp.Or(cmp.Compare(w.at.Time, o.at.Time), cmp.Compare(w.at.Ref, o.at.Ref)) < 0
}

// older reports whether w has to make room for o.
func (w *winning) older(o *winning) bool {
	return w.heat == 0 || cmp.Or(cmp.Compare(w.round(), o.round()), cmp.Compare(w.heat, o.heat)) < 0
}

func (f *families) lose(l *loser) {
	if l.at.Time < f.floor {
		f.judgeOne(f.past, l, 1)
		return
	}
	if len(f.losers) == losersKept {
		f.shed()
	}
	f.losers = append(f.losers, *l)
}

// shed judges the older half of the losers.
func (f *families) shed() {
	if f.past == nil {
		f.past = eyeballs{}
	}
	f.floor = halfway(f.losers, func(l *loser) int64 { return l.at.Time })
	f.judgeBefore(f.floor, f.past)
	f.losers = slices.DeleteFunc(f.losers, func(l loser) bool { return l.at.Time < f.floor })
}

// judgeBefore judges the losers before the given time (ns).
func (f *families) judgeBefore(end int64, into eyeballs) {
	all := f.losers // in no order that means anything
	slices.SortFunc(all, func(a, b loser) int {
		return cmp.Or(cmp.Compare(a.rivals, b.rivals), cmp.Compare(a.at.Time, b.at.Time), cmp.Compare(a.id, b.id))
	})
	from, to := 0, 0 // all[from:to] have the same rivals about the same time
	for i := range all {
		l := &all[i]
		for all[from].rivals != l.rivals || all[from].at.Time <= l.at.Time-eyeballsWindow {
			from++
		}
		for to < len(all) && (all[to].rivals < l.rivals || all[to].rivals == l.rivals && all[to].at.Time < l.at.Time+eyeballsWindow) {
			to++
		}
		if l.at.Time < end {
			f.judgeOne(into, l, to-from)
		}
	}
}

// judgeOne counts a loser if somebody won against it; it is one of so many
// with the same rivals about that time.
func (f *families) judgeOne(into eyeballs, l *loser, losers int) {
	w := f.winner(l, losers)
	if w == nil {
		return
	}
	g, known := into[l.server]
	if !known && len(into) >= eyeballsMax {
		return
	}
	g.add(l, w)
	into[l.server] = g
}

// winner is the dial of the rivals that began next to l, rather behind it than
// before; nil if there is none about that time, if several hosts' could be it,
// or if so many connected, for so few losers, that one would be there by chance.
func (f *families) winner(l *loser, losers int) (found *winning) {
	if f.teams[l.rivals>>6%64]&(1<<(l.rivals>>12%64)) == 0 {
		return nil
	}
	won := uint64(0)
	for r := (l.at.Time - eyeballsWindow) >> roundBits; r <= (l.at.Time+eyeballsWindow)>>roundBits; r++ {
		heat := l.rivals.heat(r)
		p := f.place(heat)
		for i := range p {
			w := &p[i]
			d := w.at.Time - l.at.Time
			if w.heat != heat || d <= -eyeballsWindow || d >= eyeballsWindow {
				continue
			}
			if won += uint64(w.n); w.client == 0 || found != nil && found.client != w.client || won > winsByChance+2*uint64(losers) {
				return nil
			}
			if found == nil || found.at.Time < l.at.Time {
				found = w
			}
		}
	}
	return found
}

func (f *families) clone() families {
	c := *f
	if f.won != nil {
		own := *f.won
		c.won = &own
	}
	c.losers, c.past = slices.Clone(f.losers), maps.Clone(f.past)
	return c
}

// judge tells of all dials that lost a race.
func (f *families) judge() eyeballs {
	out := eyeballs{}
	f.judgeBefore(math.MaxInt64, out)
	out.join(f.past)
	return out
}
