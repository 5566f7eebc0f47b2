package classify

import (
	"cmp"
	"slices"
	"unsafe"

	"hangup/assembler"
	"hangup/capture/prefetch"
)

// identity is what a NAT leaves alone: both initial sequence numbers.
type identity struct{ client, server uint32 }

// twins links the halves of a connection that was captured on both sides of
// a NAT, or inside and outside of a tunnel that hides it. The halves end at
// almost the same time, so it remembers the latest endings only.
type twins struct {
	table *[twinBuckets][4]uint32 // where in ring, below some bits of the hash; each bucket the latest first
	ring  *[twinMemory]ending
	n     uint32
	found []ending
	most  int // of found; the older half is forgotten then. 0: maxTwins
}

const (
	endingBits  = 15
	twinMemory  = 1 << endingBits
	twinBits    = 13
	twinBuckets = 1 << twinBits
	maxTwins    = 1 << 20
	fewTwins    = 1 << 13
)

// ending is 32 bytes, so that it never lies on three cache lines.
type ending struct {
	identity
	id     uint64
	first  int64
	lasted uint32 // ms, rounded up
}

func (e *ending) last() int64 { return e.first + int64(e.lasted)*milli }

// add takes one connection; the result is the ID of one that is the same, and
// has ended before it, 0 if there is none.
func (t *twins) add(o *assembler.Outline) (twin uint64) {
	cl, sv := &o.Ends[assembler.Client], &o.Ends[assembler.Server]
	if !cl.HasISN || !sv.HasISN {
		return 0
	}
	if t.table == nil {
		t.table, t.ring = new([twinBuckets][4]uint32), new([twinMemory]ending)
	}
	h := twinHash(o)
	b, tag := &t.table[h>>(32-twinBits)], h<<endingBits
	e := ending{identity{cl.ISN, sv.ISN}, o.ID, o.First.Time, uint32((o.Last.Time - o.First.Time + milli - 1) / milli)}
	for _, at := range b {
		if at^tag < twinMemory && t.ring[at%twinMemory].identity == e.identity {
			twin = t.ring[at%twinMemory].id
			t.link(t.ring[at%twinMemory], e)
		}
	}
	t.n++
	at := t.n % twinMemory
	t.ring[at] = e
	b[3], b[2], b[1], b[0] = b[2], b[1], b[0], tag|at
	return twin
}

func twinHash(o *assembler.Outline) uint32 {
	return o.Ends[assembler.Client].ISN*0x9e3779b1 ^ o.Ends[assembler.Server].ISN*0x85ebca77
}

// foresee has fetched where add will look.
func (t *twins) foresee(list []assembler.Plain) {
	if t.table == nil {
		return
	}
	var places [16]unsafe.Pointer // a list is hardly longer
	n := min(len(list), len(places))
	for i := range places[:n] {
		places[i] = unsafe.Pointer(&t.table[twinHash(&list[i].Outline)>>(32-twinBits)])
	}
	prefetch.Records(places[:n], 1)
}

// link notes that two are the same.
func (t *twins) link(a, b ending) {
	most := t.most
	if most == 0 {
		most = maxTwins
	}
	if len(t.found) >= most {
		t.found = t.found[:copy(t.found, t.found[most/2:])]
	}
	t.found = append(t.found, a, b)
}

// links maps connections to the first one that is the same, and that one to
// the first of them.
func (t *twins) links() map[uint64]uint64 {
	found := slices.Clone(t.found)
	slices.SortFunc(found, func(a, b ending) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.id, b.id))
	})
	same := map[uint64]uint64{}
	var o ending
	for _, e := range found {
		switch {
		case e.identity != o.identity || o.id == 0:
			o = e
		case e.id != o.id && e.first <= o.last():
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
	wanted map[uint64]opening    // predecessors of which a question is open; they may not have ended yet
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

// add notes a connection, unless its SYN was answered at once: the challenge
// ACK would have been the answer.
func (r *relays) add(c *assembler.Conn) {
	if c.Established.Seen() && c.End(assembler.Client).SYN.Count == 1 {
		return
	}
	r.note(opening{c.ID, [2]int64{c.Ends[0].SYN.First.Time, c.Ends[1].SYN.First.Time}, c.Established.Time})
}

func (r *relays) note(o opening) {
	if r.seen == nil {
		r.seen = new([relayMemory]opening)
	}
	r.seen[o.id%relayMemory] = o
	if len(r.wanted) > 0 {
		if _, ok := r.wanted[o.id]; ok {
			r.wanted[o.id] = o
		}
	}
}

// want remembers the connection with the ID, 0 being none, or will.
func (r *relays) want(id uint64) {
	if id == 0 || len(r.wanted) >= relayMemory {
		return
	}
	if r.wanted == nil {
		r.wanted = map[uint64]opening{}
	}
	var o opening
	if r.seen != nil {
		o = r.seen[id%relayMemory]
	}
	if _, ok := r.wanted[id]; !ok {
		r.wanted[id] = o
	}
}

// challengeTime is how long (ns) after a SYN an old connection's challenge
// ACK comes back.
const challengeTime = 2 * second

// staleStarts: an old connection of which the capture holds nothing but its
// challenge ACK for a new one's SYN, and the RST in return.
func (n *neighbours) staleStarts(q *question) {
	r := q.relay
	o := n.relays.wanted[r.to]
	if r.to == 0 || o.id != r.to || o.syn[r.side] == 0 {
		return
	}
	d := r.first - o.syn[r.side]
	if d >= 0 && d < challengeTime && (o.established == 0 || o.established > r.rst) {
		q.verdict.became("stale-tuple")
		q.verdict.Confidence = Likely
	}
}
