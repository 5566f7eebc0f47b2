package assembler

import (
	"hash/maphash"

	"hangup/capture"
)

// Config is what a Tracker needs to know.
type Config struct {
	// Done is called once for every connection, when it is over or the
	// tracker finishes; the Conn is the callee's only until it returns. The
	// order is that of endings, which Conn.ID brings back into the order of
	// first packets.
	Done func(*Conn)

	// Trace, if not nil, is called for every packet of every connection,
	// after it took effect.
	Trace func(Step)
}

// linger is how long (ns of packet time) a connection that is over stays in
// the table, so that late packets still find it: longer than TIME_WAIT and
// any retransmission of a FIN that is still of interest.
const linger = 150e9

// Tracker follows all connections of one stream of packets.
type Tracker struct {
	cfg    Config
	table  *table
	pages  []*[pageSize]Conn
	free   []int32
	nconn  int32 // records ever taken from the pages
	lastID uint64
	now    int64 // latest packet time seen
	batch  *capture.Batch

	over     []int32 // connections that are over, in the order in which they ended
	overHead int

	orphanICMP uint64
}

const pageSize = 128

// New returns a Tracker without connections.
func New(cfg Config) *Tracker {
	return &Tracker{cfg: cfg, table: newTable(maphash.Comparable(maphash.MakeSeed(), 0))}
}

// Batch takes the packets of b, in order. It keeps nothing of b.
func (t *Tracker) Batch(b *capture.Batch) {
	t.batch = b
	for i := range b.Packets {
		p := &b.Packets[i]
		switch p.Kind {
		case capture.TCP:
			t.tcp(p)
		case capture.ICMPError:
			t.icmp(p)
		}
		if p.Time > t.now {
			t.now = p.Time
		}
	}
	t.batch = nil
	t.retire(t.now - linger)
}

// Finish reports every connection that is still in the table. The tracker
// must not be used afterwards.
func (t *Tracker) Finish() {
	t.retire(1<<63 - 1)
	for i := range t.table.slots {
		for c := t.table.slots[i].conn - 1; c >= 0; {
			conn := t.conn(c)
			c = conn.next - 1
			t.cfg.Done(conn)
		}
	}
	t.table = nil
}

// OrphanICMP counts ICMP errors about connections that the capture does not show.
func (t *Tracker) OrphanICMP() uint64 { return t.orphanICMP }

func (t *Tracker) conn(i int32) *Conn { return &t.pages[i/pageSize][i%pageSize] }

func (t *Tracker) take() int32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	if int(t.nconn)%pageSize == 0 {
		t.pages = append(t.pages, new([pageSize]Conn))
	}
	t.nconn++
	return t.nconn - 1
}

// retire reports and recycles the connections that have been over, and
// silent, since before the given time.
func (t *Tracker) retire(before int64) {
	for t.overHead < len(t.over) {
		i := t.over[t.overHead]
		c := t.conn(i)
		if c.Last.Time >= before {
			// Queued in order of their ends: a late packet only delays.
			break
		}
		t.overHead++
		t.unlink(i, c)
		t.cfg.Done(c)
		t.free = append(t.free, i)
	}
	if t.overHead > 1024 && t.overHead*2 > len(t.over) {
		t.over = t.over[:copy(t.over, t.over[t.overHead:])]
		t.overHead = 0
	}
}

// unlink takes connection i out of its tuple's chain.
func (t *Tracker) unlink(i int32, c *Conn) {
	s := t.table.find(&c.key, c.key.hash(t.table.seed))
	if s.conn-1 == i {
		if c.next == 0 {
			t.table.remove(&c.key)
		} else {
			s.conn = c.next
		}
		return
	}
	for o := t.conn(s.conn - 1); ; o = t.conn(o.next - 1) {
		if o.next-1 == i {
			o.next = c.next
			return
		}
	}
}

// tcp takes one TCP segment.
func (t *Tracker) tcp(p *capture.Packet) {
	key, fromA := tupleOf(p)
	s := t.table.find(&key, key.hash(t.table.seed))
	i := s.conn - 1
	if i >= 0 {
		i = t.choose(i, p, fromA)
	}
	if i < 0 {
		i = t.open(&key, p, fromA)
	}
	c := t.conn(i)
	from := c.side(fromA)
	var notes Notes
	if c.isCopy(from, p) {
		c.Ends[from].Duplicates++
		c.Partial |= Duplicated
		c.zeekSegment(from, p)
		notes = NoteDuplicate
	} else {
		wasOver := c.over()
		notes = c.segment(from, p, t.batch)
		if !wasOver && c.over() {
			t.over = append(t.over, i)
		}
		from = c.side(fromA) // a SYN may have turned a guess about roles round
	}
	if t.cfg.Trace != nil {
		t.cfg.Trace(Step{Packet: *p, Conn: c.ID, Side: from, States: [2]State{c.Ends[0].State, c.Ends[1].State}, Notes: notes})
	}
}

// open starts a connection with its first packet.
func (t *Tracker) open(key *tuple, p *capture.Packet, fromA bool) int32 {
	older := t.table.find(key, key.hash(t.table.seed)).conn
	i := t.take()
	c := t.conn(i)
	t.lastID++
	*c = Conn{ID: t.lastID, key: *key, next: older}
	c.begin(p, fromA)
	if older > 0 {
		c.succeed(t.conn(older-1), p)
	}
	t.table.put(key, i)
	return i
}

// side is the side that the a or b end of the tuple is on.
func (c *Conn) side(a bool) Side {
	if a == c.clientIsA {
		return Client
	}
	return Server
}

// over reports whether nothing but stragglers can follow: both ends are
// closed or in TIME_WAIT.
func (c *Conn) over() bool {
	return gone(c.Ends[Client].State) && gone(c.Ends[Server].State)
}

func gone(s State) bool { return s == Closed || s == TimeWait }
