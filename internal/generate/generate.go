// Package generate writes synthetic captures of any size, deterministic by
// seed, together with the truth about how each connection in them ended. They
// serve benchmarks and tests of correctness at scale: what they lack in
// variety, stories and recordings have.
//
// A capture is a stream of connections, a given number of them alive at any
// time. Each follows a script (handshake, exchanges, one of [Endings]) with
// its own clock, IP IDs and timestamps as Linux would send them; IP checksums
// are right, TCP checksums are left to the offload that a capture on a sender
// shows, 0. When the last connection has been opened the capture goes on
// until all have ended and for five minutes more, so that no timeout is left
// in doubt.
package generate

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"

	"hangup/capture"
)

// Mix says what a capture is made of.
type Mix struct {
	Name        string
	Connections int     // all in all
	Concurrent  int     // alive at once
	Exchanges   int     // requests and responses per connection, on average
	Request     int     // payload bytes
	Response    int     // payload bytes; sent in segments of at most 1448
	Snaplen     int     // bytes kept of each packet
	Think       float64 // seconds between exchanges, on average
	IPv6        float64 // share of connections
	Endings     []Share // how they end; the shares need not add up to 1
	Seed        uint64
}

// Share is how often an ending occurs.
type Share struct {
	Ending Ending
	Weight float64
}

// Stats is what Write wrote.
type Stats struct {
	Packets, Connections, Bytes uint64
}

// Write writes the capture as a nanosecond pcap to w, and to truth one line
// per connection, in the order of their first packets: id, client, server,
// ending, class, by; separated by tabs, with a header line.
func Write(w, truth io.Writer, m Mix) (Stats, error) {
	out := bufio.NewWriterSize(w, 1<<20)
	g := &generator{
		mix: m, truth: bufio.NewWriterSize(truth, 1<<20),
		rng: rand.New(rand.NewPCG(m.Seed, 0x68616e67757001)),
	}
	for _, s := range m.Endings {
		g.total += s.Weight
	}
	g.begin(out)
	fmt.Fprintln(g.truth, "id\tclient\tserver\tending\tclass\tby")
	if err := g.run(); err != nil {
		return g.stats, err
	}
	if err := out.Flush(); err != nil {
		return g.stats, err
	}
	return g.stats, g.truth.Flush()
}

// Of the files that are written.
const (
	ethernet     = 1 // LINKTYPE_ETHERNET
	fileHeader   = 24
	recordHeader = 16
)

type generator struct {
	mix   Mix
	out   *capture.PcapWriter
	truth *bufio.Writer
	rng   *rand.Rand
	total float64
	queue queue
	now   int64
	buf   [1 << 16]byte
	stats Stats
	next  int // connections opened so far
	err   error
}

// queue orders connections by the time of their next packet.
type queue []*conn

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].id < q[j].id
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*conn)) }
func (q *queue) Pop() any     { o := *q; c := o[len(o)-1]; *q = o[:len(o)-1]; return c }

// epoch is when every generated capture begins: 2026-01-01T00:00:00Z, in ns.
const epoch = 1767225600e9

// after is how long (ns) the capture goes on when all connections have ended.
const after = 300e9

func (g *generator) run() error {
	g.now = epoch
	for g.next < min(g.mix.Concurrent, g.mix.Connections) {
		// Spread the first ones over the time one connection takes.
		c := g.open(nil)
		c.at = epoch + int64(g.rng.Float64()*g.spread())
	}
	heap.Init(&g.queue)
	for len(g.queue) > 0 && g.err == nil {
		c := g.queue[0]
		g.now = c.at
		if !c.begun {
			c.begun = true
			g.announce(c)
		}
		if wait, more := c.step(g); more {
			c.at += wait
			heap.Fix(&g.queue, 0)
			continue
		}
		if g.next < g.mix.Connections {
			g.open(c)
			c.at = g.now + int64(g.rng.ExpFloat64()*1e6)
			heap.Fix(&g.queue, 0)
			continue
		}
		heap.Pop(&g.queue)
	}
	g.now += after
	g.noise()
	return g.err
}

// spread is about how long (ns) one connection lives.
func (g *generator) spread() float64 {
	return (float64(g.mix.Exchanges)*g.mix.Think + 0.1) * 1e9
}

// open starts connection number g.next, in a new record or in one that is over.
func (g *generator) open(c *conn) *conn {
	fresh := c == nil
	if fresh {
		c = new(conn)
	}
	n := g.next
	g.next++
	*c = conn{
		id: n, v6: g.rng.Float64() < g.mix.IPv6, ending: g.ending(),
		exchanges: 1 + int(g.rng.ExpFloat64()*float64(max(g.mix.Exchanges-1, 0))+0.5),
		rtt:       int64(2e5 + g.rng.ExpFloat64()*2e6),
	}
	if g.mix.Exchanges == 0 {
		c.exchanges = 0
	}
	c.exchanges = min(c.exchanges, 4*max(g.mix.Exchanges, 1))
	for s := range c.end {
		e := &c.end[s]
		e.seq, e.id, e.ts = g.rng.Uint32(), uint16(g.rng.Uint32()), g.rng.Uint32()
		e.ttl = 64
	}
	// 60,000 ports of each client, 16 servers: no tuple comes twice within
	// the first 2^32 connections.
	c.end[0].port = uint16(4096 + n%60000)
	host := uint32(n / 60000 / 16)
	c.end[0].host = 1 + host
	c.end[1].host = uint32(n / 60000 % 16)
	if c.ending == LostState {
		c.end[1].host += 16 // hosts of their own: what they lost says nothing of the others
	}
	c.end[1].port = 443
	if fresh {
		c.at = g.now
		g.queue = append(g.queue, c)
	}
	return c
}

func (g *generator) ending() Ending {
	x := g.rng.Float64() * g.total
	for _, s := range g.mix.Endings {
		if x -= s.Weight; x < 0 {
			return s.Ending
		}
	}
	return g.mix.Endings[len(g.mix.Endings)-1].Ending
}

// announce writes the connection's line of truth, at its first packet.
func (g *generator) announce(c *conn) {
	g.stats.Connections++
	t := truths[c.ending]
	fmt.Fprintf(g.truth, "%d\t%s\t%s\t%s\t%s\t%s\n", g.stats.Connections, c.addr(0), c.addr(1), c.ending, t.class, t.by)
}

// addr is the address of an end: 10.0.0.0/8 and fd00::/8, clients low, servers high.
func (c *conn) addr(s int) netip.AddrPort {
	a := c.ip(s)
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), c.end[s].port)
}

func (c *conn) ip(s int) (a [16]byte) {
	base := uint32(10<<24 | 1<<16)
	if s == 1 {
		base = 10<<24 | 200<<16
	}
	if c.v6 {
		a[0], a[1] = 0xfd, byte(s)
	} else {
		a[10], a[11] = 0xff, 0xff
	}
	binary.BigEndian.PutUint32(a[12:], base+c.end[s].host)
	return a
}

// begin writes the file's header.
func (g *generator) begin(w io.Writer) {
	g.out, g.err = capture.NewPcapWriter(w, ethernet, uint32(g.mix.Snaplen), true)
	g.stats.Bytes = fileHeader
}

// record writes the frame that lies in buf[:n].
func (g *generator) record(n int) {
	kept := min(n, g.mix.Snaplen)
	if err := g.out.Write(g.now, g.buf[:kept], n); err != nil && g.err == nil {
		g.err = err
	}
	g.stats.Packets++
	g.stats.Bytes += uint64(recordHeader + kept)
}

// noise writes an ARP request: something that is not TCP.
func (g *generator) noise() {
	f := g.buf[:60]
	clear(f)
	copy(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01")
	g.record(len(f))
}
