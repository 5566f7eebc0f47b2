package classify

import (
	"cmp"
	"slices"

	"hangup/assembler"
)

// identity is what a NAT leaves alone: both initial sequence numbers.
type identity struct{ client, server uint32 }

// twins links the halves of a connection that was captured on both sides of
// a NAT, or inside and outside of a tunnel that hides it. The halves end at
// almost the same time, so it remembers the latest endings only.
type twins struct {
	buckets *[twinBuckets][4]ending // each the latest first
	found   []ending
}

const (
	twinBits    = 14
	twinBuckets = 1 << twinBits
	maxTwins    = 1 << 20
)

type ending struct {
	identity
	id          uint64
	first, last int64
}

// add takes one connection; the result is the ID of one that is the same, and
// has ended before it, 0 if there is none.
func (t *twins) add(c *assembler.Conn) (twin uint64) {
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if !cl.HasISN || !sv.HasISN {
		return 0
	}
	if t.buckets == nil {
		t.buckets = new([twinBuckets][4]ending)
	}
	e := ending{identity{cl.ISN, sv.ISN}, c.ID, c.First.Time, c.Last.Time}
	b := &t.buckets[(cl.ISN*0x9e3779b1^sv.ISN*0x85ebca77)>>(32-twinBits)]
	for i := range b {
		if b[i].id != 0 && b[i].identity == e.identity && len(t.found) < maxTwins {
			t.found = append(t.found, b[i], e)
			twin = b[i].id
		}
	}
	copy(b[1:], b[:3])
	b[0] = e
	return twin
}

// links maps connections to the first one that is the same, and that one to
// the first of them.
func (t *twins) links() map[uint64]uint64 {
	slices.SortFunc(t.found, func(a, b ending) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.id, b.id))
	})
	same := map[uint64]uint64{}
	var o ending
	for _, e := range t.found {
		switch {
		case e.identity != o.identity || o.id == 0:
			o = e
		case e.id != o.id && e.first <= o.last:
			same[e.id] = o.id
			if same[o.id] == 0 {
				same[o.id] = e.id
			}
		}
	}
	return same
}

// relays tell of connections that took over the tuple of another, by which
// an old connection's challenge ACK for a new one's SYN is known.
type relays struct {
	seen   *[relayMemory]opening // by ID, the latest
	wanted map[uint64]opening    // predecessors that had not ended when they were asked for
}

// relayMemory is how many connections may end between two of one tuple.
const relayMemory = 1 << 14

// opening is what a successor needs to know of the connection before it.
type opening struct {
	id          uint64
	syn         [2]int64 // first SYN of each side, 0 if none
	established int64    // 0 if it never was
}

// relay is a connection of which the capture holds nothing but a RST, and
// the one that it took the tuple from.
type relay struct {
	to         uint64 // the predecessor; 0 if there is none
	side       assembler.Side
	first, rst int64
}

func relayOf(w *view) relay {
	if w.c.Predecessor == 0 || !w.partial(assembler.NoStart) || w.rst == nil {
		return relay{}
	}
	return relay{w.c.Predecessor, w.rst.Side, w.c.First.Time, w.rst.Time}
}

func (r *relays) add(c *assembler.Conn) {
	if r.seen == nil {
		r.seen = new([relayMemory]opening)
		r.wanted = map[uint64]opening{}
	}
	o := opening{c.ID, [2]int64{c.Ends[0].SYN.First.Time, c.Ends[1].SYN.First.Time}, c.Established.Time}
	r.seen[c.ID%relayMemory] = o
	if _, ok := r.wanted[c.ID]; ok {
		r.wanted[c.ID] = o
	}
	if p := c.Predecessor; p != 0 && c.Partial&assembler.NoStart != 0 && len(r.wanted) < relayMemory {
		r.wanted[p] = r.seen[p%relayMemory]
	}
}

// challengeTime is how long (ns) after a SYN an old connection's challenge
// ACK comes back.
const challengeTime = 2 * second

// staleStarts: an old connection of which the capture holds nothing but its
// challenge ACK for a new one's SYN, and the RST in return.
func (n *neighbours) staleStarts() {
	for i := range n.questions {
		q := &n.questions[i]
		r := q.relay
		o := n.relays.wanted[r.to]
		if r.to == 0 || o.id != r.to || o.syn[r.side] == 0 {
			continue
		}
		d := r.first - o.syn[r.side]
		if d >= 0 && d < challengeTime && (o.established == 0 || o.established > r.rst) {
			q.verdict.became("stale-tuple")
			q.verdict.Confidence = Likely
		}
	}
}
