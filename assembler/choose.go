package assembler

import "hangup/capture"

// fitRange is how far (bytes) a sequence number may be from what its end has
// sent so far and still be thought of the same connection. With ISNs chosen
// at random a foreign one falls inside once in 128 times.
const fitRange = 1 << 24

// choose picks, among the connections of one tuple (newest first from i), the
// one that p belongs to; -1 asks for a new one.
func (t *Tracker) choose(i int32, p *capture.Packet, fromA bool) int32 {
	newest := i
	if p.Flags&(capture.SYN|capture.ACK|capture.RST) == capture.SYN {
		return t.chooseSYN(i, p, fromA)
	}
	best, nearest := int32(-1), uint64(0)
	other, next := int32(-1), uint64(0) // fits, but in another encapsulation: copies
	for ; i >= 0; i = t.conn(i).next - 1 {
		c := t.conn(i)
		if !c.fits(c.side(fromA), p) {
			continue
		}
		// An ISN is the clock plus a secret of the tuple (RFC 6528 3), so two
		// connections of a tuple that follow closely lie close together.
		d := c.distance(c.side(fromA), p)
		if c.Encap != p.Encap {
			if other < 0 || d < next {
				other, next = i, d
			}
			continue
		}
		if best < 0 || d < nearest {
			best, nearest = i, d
		}
		if d == 0 {
			break
		}
	}
	if best >= 0 {
		return best
	}
	if other >= 0 {
		return other
	}
	if t.conn(newest).declines(p, fromA) {
		return -1
	}
	return newest
}

// takes is choose for a tuple that has no other connection but c.
func (c *Conn) takes(p *capture.Packet, fromA bool) bool {
	if p.Flags&(capture.SYN|capture.ACK|capture.RST) == capture.SYN {
		return c.takesSYN(p, fromA)
	}
	return c.fits(c.side(fromA), p) || !c.declines(p, fromA)
}

// declines reports whether p, which does not fit, belongs to a connection
// that was not seen before rather than to c, the newest of its tuple.
func (c *Conn) declines(p *capture.Packet, fromA bool) bool {
	switch {
	case p.Flags.Has(capture.RST):
		return false // a stray RST never opens a connection where there is one
	case c.over():
		return true // a reuse of the tuple whose SYN the capture missed
	case c.Encap != p.Encap:
		return true // another tenant's, seen from the middle
	case !p.Flags.Has(capture.SYN) && c.awaitsSYNACK(c.side(fromA)):
		return true // an older connection's, whose packets were not captured: a challenge ACK
	case p.Flags.Has(capture.SYN) && c.Ends[c.side(fromA)].HasISN && c.Established.Seen():
		return true // SYN-ACK of a connection whose SYN the capture missed
	}
	return false
}

// chooseSYN picks the connection of a SYN: one that began with the same
// initial sequence number (it is then sent again), one in which this end has
// not spoken yet (simultaneous open, split handshake, reordered capture), or
// a new one (RFC 6191).
func (t *Tracker) chooseSYN(i int32, p *capture.Packet, fromA bool) int32 {
	for ; i >= 0; i = t.conn(i).next - 1 {
		if t.conn(i).takesSYN(p, fromA) {
			return i
		}
	}
	return -1
}

// takesSYN is chooseSYN for one connection.
func (c *Conn) takesSYN(p *capture.Packet, fromA bool) bool {
	from := c.side(fromA)
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	switch {
	case e.HasISN:
		return e.ISN == p.Seq
	case c.Encap != p.Encap:
		return false
	case e.Started:
		return e.firstSeq == p.Seq+1
	}
	return o.State == SynSent || o.AckSeen && e.SndUna == p.Seq+1
}

// fits reports whether p continues what its end has sent and acknowledges
// what the other has.
func (c *Conn) fits(from Side, p *capture.Packet) bool {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	if p.Flags.Has(capture.SYN | capture.ACK) {
		if e.HasISN {
			return e.ISN == p.Seq
		}
		return !e.Started && (!o.HasISN || near(p.Ack, o.SndNxt))
	}
	if p.Flags.Has(capture.RST) && p.Flags.Has(capture.ACK) && o.State == SynSent {
		return p.Ack == o.ISN+1 || near(p.Ack, o.SndNxt)
	}
	if e.Started && !near(p.Seq, e.SndNxt) {
		return false
	}
	if !p.Flags.Has(capture.ACK) || !o.Started {
		return true
	}
	if o.State == SynSent && !e.Started {
		// Only what acknowledges this very SYN can be an answer to it; a
		// challenge ACK of an older connection is none (RFC 5961 4.2).
		return seqLT(o.ISN, p.Ack) && seqLEQ(p.Ack, o.SndNxt)
	}
	return near(p.Ack, o.SndNxt)
}

// awaitsSYNACK reports whether nothing but a SYN was seen of c, so that its
// peer, from, can only answer that.
func (c *Conn) awaitsSYNACK(from Side) bool {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	return o.State == SynSent && e.Packets == 0 && o.Packets == o.SYN.Count
}

// distance is how far p's numbers are from those that would come next. What
// an end has yet to begin counts as the farthest that still fits.
func (c *Conn) distance(from Side, p *capture.Packet) uint64 {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	d := uint64(fitRange)
	switch {
	case e.Started:
		d = uint64(apart(p.Seq, e.SndNxt))
	case e.AckSeen:
		d = uint64(apart(p.Seq, e.SndUna))
	}
	switch {
	case !p.Flags.Has(capture.ACK):
	case o.Started:
		d += uint64(apart(p.Ack, o.SndNxt))
	default:
		d += fitRange
	}
	return d
}

func apart(a, b uint32) uint32 {
	if seqLT(a, b) {
		return b - a
	}
	return a - b
}

func near(a, b uint32) bool {
	d := int32(a - b)
	return d > -fitRange && d < fitRange
}

// succeed notes that c took over the tuple of old with packet p.
func (c *Conn) succeed(old *Conn, p *capture.Packet) {
	if old.Encap != p.Encap {
		return // two tenants' connections say nothing of each other
	}
	c.Predecessor = old.ID
	c.Gap = p.Time - old.Last.Time
	if old.Successor.Seen() || !p.Flags.Has(capture.SYN) || p.Flags.Has(capture.ACK) {
		return
	}
	old.Successor = Stamp{p.Ref, p.Time}
	old.SuccessorID = c.ID
	from := old.side(c.clientIsA)
	old.Ends[from.Peer()].mayChallenge = p.Time
	old.mark(old.Successor, from, SYNOtherISN, p.Seq)
}
