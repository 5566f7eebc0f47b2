package assembler

import "hangup/capture"

// fewBytes is the most payload a keep-alive or window probe carries (RFC
// 9293 3.8.4 allows a garbage byte, window probes of some systems send one).
const fewBytes = 1

// begin gives a new connection its ends and, as far as the first packet
// tells, its roles.
func (c *Conn) begin(p *capture.Packet, fromA bool) {
	from := firstRole(p)
	c.RoleKnown = p.Flags.Has(capture.SYN)
	c.clientIsA = fromA == (from == Client)
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	e.Addr, e.Port = p.Src, p.SrcPort
	o.Addr, o.Port = p.Dst, p.DstPort
	c.First = Stamp{p.Ref, p.Time}
	c.Encap, c.Depth, c.Iface = p.Encap, p.Depth, p.Iface
	c.V6 = p.Has(capture.IPv6)
	if !p.Flags.Has(capture.SYN) {
		c.Partial |= NoStart
	}
}

// segment applies one packet from side from, which is no copy of another.
func (c *Conn) segment(from Side, p *capture.Packet, b *capture.Batch) Notes {
	if p.Flags.Has(capture.SYN) {
		from = c.settleRoles(from, p)
	}
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	at := Stamp{p.Ref, p.Time}
	notes := c.arrive(e, at, p)
	idle := c.idle(at)
	c.zeekSegment(from, p)
	if p.Flags.Has(capture.RST) {
		notes |= c.reset(from, p, at, idle)
		c.depart(e, o, at, p)
		return notes
	}
	if e.Resets > 0 {
		notes |= c.pastReset(e, at, p)
	}
	if p.Flags.Has(capture.SYN) {
		notes |= c.syn(from, p, at, idle)
	}
	if p.Flags.Has(capture.ACK) {
		notes |= c.ack(from, p, at)
	}
	notes |= c.sequence(from, p, at, idle, b)
	if p.Flags.Has(capture.FIN) {
		notes |= c.fin(from, p, at, idle)
	}
	if p.Flags.Has(capture.ACK) {
		notes |= c.window(e, p, at, idle)
	}
	c.fingerprint(e, p)
	c.depart(e, o, at, p)
	return notes
}

// arrive counts the packet and notes what the capture says of its quality.
func (c *Conn) arrive(e *End, at Stamp, p *capture.Packet) Notes {
	var notes Notes
	if c.Last.Seen() && c.before > at.Time {
		notes = NoteTimeBackwards
		c.mark(at, c.sideOf(e), TimeBackwards, clamp32((c.before-at.Time)/1000))
	}
	c.before = at.Time
	if p.Traits&(capture.SnapCut|capture.HeaderCut) != 0 && (p.CapLen < p.Len || p.Has(capture.HeaderCut)) {
		c.Partial |= Snaplen
	}
	e.Packets++
	if !e.First.Seen() {
		e.First = at
		e.Link = p.Link
	}
	if p.Options&(capture.OptMPDataFIN|capture.OptMPFastClose|capture.OptMPReset|capture.OptMPJoin) != 0 {
		notes |= c.multipath(e, at, p)
	}
	return notes
}

// idle is the silence before a packet that comes at the given time, ns; -1
// for the connection's first.
func (c *Conn) idle(at Stamp) int64 {
	if !c.Last.Seen() {
		return -1
	}
	d := max(at.Time-c.Last.Time, 0)
	if d > c.MaxIdle {
		c.MaxIdle, c.MaxIdleEnd = d, at
	}
	return d
}

// depart does what every packet ends with.
func (c *Conn) depart(e, o *End, at Stamp, p *capture.Packet) {
	e.Last = at
	if c.Last.Time <= at.Time || !c.Last.Seen() {
		c.Last = at
	}
	if c.NResets > 0 {
		c.afterResets(c.sideOf(e), at, p)
	}
	if p.TTL != 0 && !p.Flags.Has(capture.RST) {
		if e.TTLFirst == 0 {
			e.TTLFirst, e.TTLMin, e.TTLMax = p.TTL, p.TTL, p.TTL
		}
		e.TTLLast = p.TTL
		e.TTLMin, e.TTLMax = min(e.TTLMin, p.TTL), max(e.TTLMax, p.TTL)
	}
	switch {
	case o.Packets > 0:
		c.Partial &^= OneWay
	case p.Flags.Has(capture.ACK):
		// It answers something that the capture does not show. A SYN that
		// nothing answers is not half of anything.
		c.Partial |= OneWay
	}
}

func (c *Conn) sideOf(e *End) Side {
	if e == &c.Ends[Client] {
		return Client
	}
	return Server
}

// multipath notes the ends of an MPTCP connection, which are options (RFC
// 8684 3.3.3, 3.5, 3.6) and not FIN or RST.
func (c *Conn) multipath(e *End, at Stamp, p *capture.Packet) Notes {
	var notes Notes
	first := func(s *Stamp, opt capture.Options) {
		if p.Options&opt != 0 {
			notes = NoteMPTCPClose
			if !s.Seen() {
				*s = at
			}
		}
	}
	first(&e.DataFIN, capture.OptMPDataFIN)
	first(&e.FastClose, capture.OptMPFastClose)
	first(&e.MPReset, capture.OptMPReset)
	if p.Options&capture.OptMPJoin != 0 && p.Flags.Has(capture.SYN) && c.MPToken == 0 {
		c.MPToken = p.MPToken
		c.mark(at, c.sideOf(e), MPTCPJoin, p.MPToken)
	}
	return notes
}

// syn applies the SYN bit (RFC 9293 3.10.7.2 to 3.10.7.4).
func (c *Conn) syn(from Side, p *capture.Packet, at Stamp, idle int64) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	tries := &e.SYN
	if p.Flags.Has(capture.ACK) {
		tries = &e.SYNACK
	}
	var notes Notes
	if tries.Seen() {
		notes = NoteSYNRetry
		c.mark(at, from, RetransmittedSYN, tries.Count+1)
	}
	tries.again(at, idle, p.Seq, p.Len)
	if !e.HasISN {
		e.HasISN, e.ISN = true, p.Seq
		e.Opts, e.MSS = p.Options, p.MSS
		e.WScale = min(p.WScale, 14) // RFC 7323 2.3
	}
	if p.Len > 0 {
		c.mark(at, from, SYNData, p.Len)
	}
	both := e.Opts & o.Opts
	c.MPTCP = both&capture.OptMPCapable != 0
	if !p.Flags.Has(capture.ACK) {
		if o.SYN.Seen() && !o.SYNACK.Seen() {
			c.SimulOpen = !o.SYN.Answered.Seen()
			c.SplitSYN = from == Server && o.SYN.Answered.Seen()
		}
		e.move(onSYN)
		return notes
	}
	if o.SYN.Pending() {
		o.SYN.Answered = at
		if o.SYN.Count == 1 && c.RTTServer == 0 {
			c.RTTServer = at.Time - o.SYN.First.Time
		}
	}
	e.move(onSYNACK)
	return notes
}

// again counts one more try.
func (t *Tries) again(at Stamp, idle int64, seq, n uint32) {
	if t.Count == 0 {
		t.First, t.Idle, t.Seq = at, idle, seq
	} else {
		t.Prev = t.Last.Time
	}
	t.Last = at
	t.Len = max(t.Len, n)
	t.Count++
}

// fin applies the FIN bit (RFC 9293 3.10.7.4, eighth check).
func (c *Conn) fin(from Side, p *capture.Packet, at Stamp, idle int64) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	seq := p.Seq + p.Len
	if e.FIN.Seen() {
		if seq != e.FIN.Seq {
			return 0
		}
		e.FIN.again(at, idle, seq, p.Len)
		return NoteFINRetry
	}
	e.FIN.again(at, idle, seq, p.Len)
	e.FINWithData = p.Len > 0
	e.finAck, e.finAcked = p.Ack, p.Flags.Has(capture.ACK)
	e.FINSawPeer = o.FIN.Seen() && e.finAcked && seqLT(o.FIN.Seq, p.Ack)
	if o.FIN.Seen() && o.finAcked && seqLT(seq, o.finAck) {
		o.FINSawPeer = true // the capture has them in the wrong order
	} else if o.FIN.Seen() && !e.FINSawPeer {
		// Neither end had the other's FIN when it sent its own.
		e.FINCrossed, o.FINCrossed = true, true
	}
	e.move(onFIN)
	if e.AckSeen && seqLT(seq, e.SndUna) {
		// Acknowledged before it was captured (reordered capture).
		e.FIN.Answered = e.FIN.Last
		e.move(onFINAcked)
		o.PureFINAcked = true
		o.move(onPeerFIN)
	}
	return 0
}

// window follows the advertised window (RFC 9293 3.8.6).
func (c *Conn) window(e *End, p *capture.Packet, at Stamp, idle int64) Notes {
	o := &c.Ends[c.sideOf(e).Peer()]
	w := uint32(p.Window)
	if !p.Flags.Has(capture.SYN) && e.Opts&o.Opts&capture.OptWScale != 0 {
		w <<= e.WScale
	}
	e.Window, e.rawWindow = w, p.Window
	e.MaxWindow = max(e.MaxWindow, w)
	if e.HasISN && o.HasISN && !p.Flags.Has(capture.SYN) {
		if edge := p.Ack + w; !e.edgeKnown || seqLT(e.RightEdge, edge) {
			e.RightEdge, e.WindowAck, e.edgeKnown = edge, p.Ack, true
		}
	}
	if w == 0 && e.State.Synchronized() && !p.Flags.Has(capture.SYN) {
		e.ZeroWindows++
		if !e.ZeroWindow.Pending() {
			e.ZeroWindow = Tries{}
			c.mark(at, c.sideOf(e), ZeroWindowStart, 0)
		}
		e.ZeroWindow.again(at, idle, p.Ack, 0)
		return NoteZeroWindow
	}
	if w > 0 && e.ZeroWindow.Pending() {
		e.ZeroWindow.Answered = at
		c.mark(at, c.sideOf(e), ZeroWindowEnd, w)
	}
	return 0
}

func (c *Conn) mark(at Stamp, s Side, w What, n uint32) {
	if int(c.NMarks) < len(c.Marks) {
		c.Marks[c.NMarks] = Mark{at, s, w, n}
	}
	c.NMarks++
}

func clamp32(n int64) uint32 { return uint32(max(0, min(n, 1<<32-1))) }
