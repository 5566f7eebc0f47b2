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

// firstRole guesses which side sent a connection's first visible packet. A
// SYN settles it; otherwise the lower of two ports is taken for the server's
// if it is a registered one and the other is not, as services listen there.
func firstRole(p *capture.Packet) Side {
	switch {
	case p.Flags.Has(capture.SYN | capture.ACK):
		return Server
	case p.Flags.Has(capture.SYN):
		return Client
	case p.Flags.Has(capture.RST|capture.ACK) && p.Seq == 0 && p.Window == 0:
		return Server // answers a SYN that the capture missed (RFC 9293 3.10.7.1)
	}
	return portRole(p)
}

// portRole guesses by the ports alone.
func portRole(p *capture.Packet) Side {
	switch {
	case p.SrcPort < ephemeral && p.DstPort >= ephemeral:
		return Server
	case p.SrcPort >= ephemeral && p.DstPort < ephemeral:
		return Client
	case p.SrcPort < 1024 && p.DstPort >= 1024:
		return Server
	}
	return Client
}

// ephemeral is where Linux's local ports begin by default (ip_local_port_range).
const ephemeral = 32768

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

// settleRoles fixes the roles of a connection that began in the middle, now
// that a SYN of it turns up (reordered captures), and of one that both ends
// opened: whose SYN passes first there depends on where the capture stands,
// so the ports decide.
func (c *Conn) settleRoles(from Side, p *capture.Packet) Side {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	is := from
	switch {
	case !c.RoleKnown && p.Flags.Has(capture.ACK):
		is = Server
	case !c.RoleKnown:
		is = Client
	case from == Server && !p.Flags.Has(capture.ACK) && e.Packets == 0 && o.SYN.Pending():
		is = portRole(p)
	}
	c.RoleKnown = true
	if is != from && c.NResets == 0 && c.NICMP == 0 && c.NMarks == 0 {
		c.Ends[0], c.Ends[1] = c.Ends[1], c.Ends[0]
		c.clientIsA = !c.clientIsA
		return is
	}
	return from
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

// ack applies the acknowledgment number (RFC 9293 3.10.7.4, fifth check).
func (c *Conn) ack(from Side, p *capture.Packet, at Stamp) Notes {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	missing := !o.Started || !seqLEQ(p.Ack, o.SndNxt) // the capture lacks what this acknowledges
	if o.Started && missing {
		if lost := e.Started && p.Seq == e.SndNxt && p.Ack != 0; !near(p.Ack, o.SndNxt) && !lost {
			return 0 // acknowledges nothing of this connection
		}
		c.unseen(o, p.Ack)
	}
	fresh := !o.AckSeen || seqLT(o.SndUna, p.Ack)
	if !fresh && seqLT(p.Ack, o.SndUna) {
		return 0 // reordered: older than one already seen
	}
	pure := p.Len == 0 && p.Flags&(capture.SYN|capture.FIN) == 0
	// What comes when the other end has reset the connection answers nothing
	// of it any more: the RST may not even have arrived.
	tooLate := e.ResetAccepts.Seen() && o.AfterReset == 0
	var notes Notes
	if pure && !fresh {
		notes = c.repeatedACK(e, o, p, at)
	}
	if fresh {
		if e.FIN.Seen() {
			c.pastFIN(e, o, p, at, missing)
		}
		if o.AckSeen {
			e.AckStep, e.LastAckStep = p.Ack-o.SndUna, at
		}
		o.SndUna, o.AckSeen = p.Ack, true
		e.LastNewAck = at
		e.Deaf = Tries{}
		if o.dropHoles(p.Ack); o.Lost > 0 {
			c.Partial |= Gaps
		}
		if !tooLate {
			c.acknowledge(o, p.Ack, at)
		}
	}
	if !tooLate && !e.isProbe(o, p) {
		c.alive(e, o, at, &notes, pure)
	}
	c.established(from, p, at, pure)
	return notes
}

// alive settles the probes of o that a packet of e answers.
func (c *Conn) alive(e, o *End, at Stamp, notes *Notes, pure bool) {
	if o.Probe.Pending() {
		o.Probe.Answered = at
		e.LastNewAck = at
		if pure {
			*notes = *notes&^NoteDupACK | NoteKeepAliveAnswer
		}
	}
	if o.WProb.Pending() {
		o.WProb.Answered = at
		e.LastNewAck = at
		*notes &^= NoteDupACK
	}
}

// unseen accounts for sequence space that o's peer acknowledged and this
// capture never showed.
func (c *Conn) unseen(o *End, ack uint32) {
	n := ack - o.SndNxt
	if n == 1 && o.SndNxt == o.firstSeq && !o.HasISN {
		// Nothing but keep-alive probes so far, which begin one below (RFC 9293 3.8.4).
		o.SndNxt = ack
		return
	}
	o.Lost += uint64(n)
	o.App.Skip(n)
	o.SndNxt = ack
	c.Partial |= Gaps
}

// repeatedACK tells a challenge ACK from a duplicate one.
func (c *Conn) repeatedACK(e, o *End, p *capture.Packet, at Stamp) Notes {
	if e.mayChallenge != 0 && at.Time-e.mayChallenge < challengeWait && p.Seq == e.SndNxt {
		e.mayChallenge = 0
		e.Challenges++
		e.LastChallenge = at
		c.mark(at, c.sideOf(e), ChallengeACK, 0)
		return NoteChallengeACK
	}
	if o.Outstanding() > 0 && p.Window == e.rawWindow {
		e.DupAcks++
		return NoteDupACK
	}
	return 0
}

// challengeWait is how long (ns) after an unacceptable SYN or RST an ACK is
// taken for its challenge ACK: a round trip of any real path.
const challengeWait = 2e9

// pastFIN counts what a half-closed socket goes on to accept. A fully closed
// one answers data with RST instead (tcp_rcv_state_process, FIN_WAIT states).
//
// A single sequence number that was not captured is more likely the peer's
// FIN than a byte.
func (c *Conn) pastFIN(e, o *End, p *capture.Packet, at Stamp, missing bool) {
	top := p.Ack
	if o.FIN.Seen() && seqLT(o.FIN.Seq, top) {
		top = o.FIN.Seq
	}
	if !e.finAcked || !seqLT(e.finAck, top) || missing && top == e.finAck+1 {
		return
	}
	if !e.FirstPastFIN.Seen() {
		e.FirstPastFIN = at
	}
	e.AckedPastFIN = top - e.finAck
}

// acknowledge settles what o had sent and an ACK now covers.
func (c *Conn) acknowledge(o *End, ack uint32, at Stamp) {
	if ack == o.SndNxt {
		o.HighestAcked = o.Highest
	}
	if o.HasISN && seqLT(o.ISN, ack) {
		for _, t := range []*Tries{&o.SYN, &o.SYNACK} {
			if t.Pending() {
				t.Answered = at
			}
		}
	}
	if o.Data.Pending() && seqLT(o.Data.Seq, ack) {
		if end := o.dataEnd(); seqLT(ack, end) {
			o.nextData(ack)
		} else {
			o.Data.Answered = at
		}
	}
	if o.FIN.Pending() && seqLT(o.FIN.Seq, ack) {
		o.FIN.Answered = at
		o.move(onFINAcked)
		e := &c.Ends[c.sideOf(o).Peer()]
		e.PureFINAcked = true
		e.move(onPeerFIN)
	}
}

// dataEnd is one past the last payload byte o has sent.
func (e *End) dataEnd() uint32 {
	if e.FIN.Seen() && seqLEQ(e.FIN.Seq, e.SndNxt) {
		return e.FIN.Seq
	}
	return e.SndNxt
}

// nextData makes what lies beyond ack the oldest unacknowledged payload. It
// was sent no later than the last new data, and when exactly is not kept.
func (e *End) nextData(ack uint32) {
	first := e.LastData
	if seqLT(e.Data.Seq+e.Data.Len, ack) || e.Data.Count == 1 {
		e.Data = Tries{First: first, Last: first, Seq: ack, Count: 1, Len: e.dataEnd() - ack}
		return
	}
	e.Data = Tries{First: first, Last: e.Data.Last, Seq: ack, Count: 1, Len: e.dataEnd() - ack}
}

// established notes the end of the handshake.
func (c *Conn) established(from Side, p *capture.Packet, at Stamp, pure bool) {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	if p.Flags.Has(capture.SYN) {
		return
	}
	if o.State == SynReceived && o.HasISN && seqLT(o.ISN, p.Ack) {
		if !c.Established.Seen() {
			c.Established = at
			if pure && o.SYNACK.Count == 1 {
				c.RTTClient = at.Time - o.SYNACK.First.Time
			}
		}
		o.move(onHandshake)
		e.move(onHandshake)
	}
	if e.State == Unknown {
		e.move(onHandshake)
	}
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
	if o.FIN.Seen() && !e.FINSawPeer {
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
