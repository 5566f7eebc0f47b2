package assembler

import (
	"bytes"

	"hangup/capture"
)

// ConnState is the connection's state at its end as Zeek's conn.log has it:
// S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR or OTH.
func (c *Conn) ConnState() string {
	o, r := &c.Ends[c.Originator()].zeek, &c.Ends[c.Originator().Peer()].zeek
	oSilent := o.state == zeekInactive || o.state == zeekPartial
	rSilent := r.state == zeekInactive || r.state == zeekPartial
	switch {
	case r.state == zeekReset:
		return zeekResetByResponder(o, r, oSilent)
	case o.state == zeekReset && !rSilent:
		return "RSTO"
	case o.state == zeekReset && zeekOnlySYN(c.zeek.history[:c.zeek.n]):
		return "RSTOS0"
	case o.state == zeekReset:
		return "OTH"
	case r.state == zeekClosed && o.state == zeekClosed:
		return "SF"
	case o.state == zeekClosed && rSilent:
		return "SH"
	case o.state == zeekClosed:
		return "S2"
	case r.state == zeekClosed && oSilent:
		return "SHR"
	case r.state == zeekClosed:
		return "S3"
	case o.state == zeekSYNSent && r.state == zeekInactive:
		return "S0"
	case o.state == zeekEstablished && r.state == zeekEstablished:
		return "S1"
	}
	return "OTH"
}

func zeekResetByResponder(o, r *zeekEnd, oSilent bool) string {
	switch {
	case o.state == zeekSYNSent || o.state == zeekSYNACKSent,
		o.state == zeekReset && o.size(r) == 0 && r.size(o) == 0:
		return "REJ"
	case oSilent:
		return "RSTRH"
	}
	return "RSTR"
}

// zeekOnlySYN reports whether, before its RST, the originator of history h
// had sent nothing but a SYN and perhaps data.
func zeekOnlySYN(h []byte) bool {
	h = bytes.TrimPrefix(h, []byte("^"))
	rst := bytes.IndexByte(h, 'R')
	return rst > 0 && h[0] == 'S' && !bytes.ContainsAny(h[:rst], "HAFGIQ")
}

func (e *zeekEnd) become(s zeekState) {
	if s != e.state {
		e.prev, e.state = e.state, s
	}
}

// move takes p through Zeek's state machine and reports whether it closes.
func (z *zeekConn) move(e, peer *zeekEnd, p *capture.Packet) (closing bool) {
	syn, fin, rst := p.Flags.Has(capture.SYN), p.Flags.Has(capture.FIN), p.Flags.Has(capture.RST)
	switch e.state {
	case zeekInactive:
		z.awake(e, peer, p)
		return fin || rst
	case zeekSYNSent, zeekSYNACKSent:
		if fin {
			e.become(zeekClosed)
		}
		if rst {
			e.become(zeekReset)
		}
		return fin || rst
	case zeekEstablished, zeekPartial:
		if syn && e.state == zeekPartial && peer.state == zeekInactive && !p.Flags.Has(capture.ACK) {
			e.become(zeekSYNSent)
		}
		if fin && !rst {
			e.become(zeekClosed)
			if peer.state == zeekReset && peer.prev == zeekClosed {
				peer.become(zeekClosed) // FIN, then RST, then our FIN: a normal end after all
			}
		}
		if rst {
			e.become(zeekReset)
		}
		return fin || rst
	case zeekClosed:
		if rst && peer.state != zeekClosed {
			e.become(zeekReset)
			return !e.didClose
		}
	}
	return false
}

// awake is move for an end of which nothing was seen yet.
func (z *zeekConn) awake(e, peer *zeekEnd, p *capture.Packet) {
	ack := p.Flags.Has(capture.ACK)
	orig := e.orig
	if p.Flags.Has(capture.SYN) {
		switch {
		case orig && ack:
			e.become(zeekSYNACKSent)
			z.attempt = p.Time + zeekAttemptDelay
		case orig:
			e.become(zeekSYNSent)
			z.attempt = p.Time + zeekAttemptDelay
		default:
			if !ack && peer.state == zeekSYNACKSent && p.Seq == e.start {
				z.flip(e, peer) // SYN and SYN-ACK came in the wrong order
				peer.become(zeekEstablished)
			}
			if peer.state == zeekSYNSent {
				peer.become(zeekEstablished)
			}
			e.become(zeekEstablished)
		}
	}
	if p.Flags.Has(capture.FIN) {
		e.become(zeekClosed)
	}
	if p.Flags.Has(capture.RST) {
		e.become(zeekReset)
	}
	switch {
	case e.state != zeekInactive:
	case !orig && p.Len == 0 && peer.state == zeekSYNSent:
		// Some hosts acknowledge a SYN before they answer it.
	case ack && peer.state == zeekEstablished:
		e.become(zeekEstablished) // only its SYN was missed
		z.partial = false
	default:
		e.become(zeekPartial)
	}
}

// checkEOF carries out a close that was put off, once e has delivered all.
func (z *zeekConn) checkEOF(e, peer *zeekEnd, now int64) {
	if e.eof || !e.hasFIN && e.state != zeekClosed && e.state != zeekReset || e.undelivered(peer) {
		return
	}
	e.eof = true
	if z.pending {
		z.close(e, peer, now)
		z.pending = false
	}
}

// close notes that e closed, and when Zeek will forget the connection.
func (z *zeekConn) close(e, peer *zeekEnd, now int64) {
	z.pending = e.undelivered(peer)
	if z.pending || e.didClose {
		return
	}
	e.didClose = true
	if e.state == zeekReset || peer.didClose || peer.state == zeekInactive {
		z.removal = now + zeekCloseDelay
	}
}
