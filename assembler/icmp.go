package assembler

import "hangup/capture"

// icmp joins an ICMP error to the connection of the segment it quotes.
func (t *Tracker) icmp(p *capture.Packet, tag uint32) {
	at := t.find(p, tag)
	i := t.promote(&at)
	_, fromA := tupleOf(p)
	for ; i >= 0; i = t.conn(i).next - 1 {
		c := t.conn(i)
		e := &c.Ends[c.side(fromA)]
		if e.Started && near(p.Seq, e.SndNxt) || !e.Started && t.conn(i).next == 0 {
			break
		}
	}
	if i < 0 {
		t.orphanICMP++
		return
	}
	c := t.conn(i)
	from := c.side(fromA)
	c.Changed = c.Told
	c.icmpError(from, p)
	if t.cfg.Trace != nil {
		t.cfg.Trace(Step{Packet: *p, Conn: c.ID, Side: from, States: [2]State{c.Ends[0].State, c.Ends[1].State}})
	}
}

// icmpError keeps the error and what it is about. Which errors end a dial,
// and which a live connection merely remembers, is the reader's to judge.
func (c *Conn) icmpError(from Side, p *capture.Packet) {
	e := &c.Ends[from]
	at := Stamp{p.Ref, p.Time}
	quotes := e.quoted(p.Seq)
	for i := range c.KeptICMP() {
		k := &c.ICMP[i]
		if k.Side == from && k.Router == p.Router && k.Type == p.ICMPType && k.Code == p.ICMPCode &&
			(k.Quotes == ToKeepAlive) == (quotes == ToKeepAlive) { // of a probe, sockets take no notice
			if k.Last.Time == at.Time && k.Last.Ref != at.Ref || at.Time-k.Last.Time < copyElsewhereBare/1000 {
				return // the same error, seen at a second capture point
			}
			k.Count++
			k.Last = at
			return
		}
	}
	n := ICMP{
		Stamp: at, Side: from, Router: p.Router, Type: p.ICMPType, Code: p.ICMPCode,
		V6: p.Has(capture.IPv6), MTU: p.MTU, Seq: p.Seq, State: e.State, Count: 1, Last: at,
	}
	n.Quotes = quotes
	if int(c.NICMP) < len(c.ICMP) {
		c.ICMP[c.NICMP] = n
	}
	c.NICMP++
	if e.State.Synchronized() {
		c.mark(at, from, ICMPOnLive, uint32(p.ICMPType)<<8|uint32(p.ICMPCode))
	}
}

// quoted tells what e had sent with this sequence number.
func (e *End) quoted(seq uint32) Trigger {
	switch {
	case e.SYNACK.Seen() && seq == e.ISN:
		return ToSYNACK
	case e.SYN.Seen() && seq == e.ISN:
		return ToSYN
	case e.FIN.Seen() && seq == e.FIN.Seq:
		return ToFIN
	case e.Probe.Seen() && seq == e.Probe.Seq:
		return ToKeepAlive
	case seqLT(seq, e.SndNxt):
		return ToData
	}
	return ToACK
}
