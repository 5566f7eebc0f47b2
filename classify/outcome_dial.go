package classify

import (
	"hangup/assembler"
	"hangup/capture"
)

// ordinary counts an end's packets that only a synchronized connection sends.
func ordinary(e *assembler.End) int {
	return int(e.Packets) - int(e.SYN.Count) - int(e.SYNACK.Count) - int(e.Resets)
}

// connected reports whether the endpoint's kernel had the connection
// established and could hand it to its program.
func connected(c *assembler.Conn, side assembler.Side) bool {
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if side == assembler.Client {
		return ordinary(cl) > 0 || c.Established.Seen() || cl.Packets == 0 && ordinary(sv) > 0 || established(c)
	}
	switch {
	case ordinary(sv) > 0:
		return true
	case c.Established.Seen():
		return !unqueued(c)
	}
	return ordinary(cl) > 0 && sv.Resets == 0 && !cl.SYN.Seen() || established(c)
}

// established: a capture that shows no handshake shows a connection, be it by
// its last RST alone; not so a RST that answers a SYN, which has ACK and the
// number 0 (RFC 9293 3.10.7.1).
func established(c *assembler.Conn) bool {
	if c.Partial&assembler.NoStart == 0 || c.End(assembler.Client).SYN.Seen() || c.End(assembler.Server).SYNACK.Seen() {
		return false
	}
	for _, r := range c.KeptResets() {
		if r.Flags.Has(capture.ACK) && r.Seq == 0 {
			return false
		}
	}
	return true
}

// unqueued reports whether the listener never made a socket of the completed
// handshake: with a full accept queue it drops the ACK (tcp_v4_syn_recv_sock)
// and repeats its SYN-ACK, or sends a bare RST at once (tcp_check_req with
// tcp_abort_on_overflow) or when it has forgotten the request.
func unqueued(c *assembler.Conn) bool {
	cl, sv := c.End(assembler.Client), c.End(assembler.Server)
	if !sv.SYNACK.Seen() || cl.AckSeen && cl.HasISN && cl.SndUna != cl.ISN+1 {
		return false
	}
	if sv.SYNACK.Last.Time > c.Established.Time {
		return true
	}
	for i := range c.KeptResets() {
		r := &c.Resets[i]
		if r.Side != assembler.Server {
			continue
		}
		rtt := c.RTTServer + c.RTTClient
		return !r.Flags.Has(capture.ACK) && r.Time-c.Established.Time <= 2*rtt+overflowGrace
	}
	return false
}

// acceptOutcome is that of a server whose program never got the connection.
func acceptOutcome(c *assembler.Conn) Outcome {
	sv := c.End(assembler.Server)
	w := wording{sv.AddrPort(), c.End(assembler.Client).AddrPort()}
	out := Outcome{Read: []Call{}, Write: []Call{}}
	blocked := w.accept(tokenBlocked)
	switch {
	case c.Established.Seen() && sv.SYNACK.Seen():
		out.Accept = blocked
		out.Note = "the handshake was never taken into the accept queue: no Accept returns this connection"
		if sv.Resets == 0 {
			out.If = []Condition{{When: "if the client's ACK came through after all", Accept: w.accept(tokenNil),
				Read: w.reads([]Token{tokenBlocked}), Write: w.writes([]Token{tokenNil})}}
		}
	case sv.SYNACK.Seen():
		out.Accept = blocked
		out.Note = "the handshake was not completed: no Accept returns this connection"
	case sv.Resets > 0:
		out.Note = "nobody listened on that port, or a firewall answered: no program heard of it"
	default:
		out.Note = "nothing shows that the SYN arrived: no program heard of it"
	}
	return out
}

// dialOutcome is that of a client whose connection was never established.
func dialOutcome(c *assembler.Conn, v Verdict, env Env) Outcome {
	d := dialing{c: c, v: v, env: env, cl: c.End(assembler.Client), sv: c.End(assembler.Server)}
	d.w = wording{d.cl.AddrPort(), d.sv.AddrPort()}
	out := Outcome{Read: []Call{}, Write: []Call{}}
	switch {
	case d.refused():
		out.Dial = d.w.dial(eCONNREFUSED)
	case !d.cl.SYN.Seen() && d.cl.Packets == 0:
		out.Note = "its packets are not in the capture: whether it dialled is unknown"
	case d.rejected() != noError:
		out.Dial = d.w.dial(d.rejected())
	case d.withdrew():
		d.withdrawn(&out)
	case d.sv.SYNACK.Seen():
		d.unanswered(&out)
	default:
		d.waiting(&out)
	}
	return out
}

// dialing is a SYN_SENT socket and what the capture shows of it.
type dialing struct {
	c      *assembler.Conn
	v      Verdict
	env    Env
	cl, sv *assembler.End
	w      wording
}

// refused: a RST that acknowledges the SYN ends the dial
// (tcp_rcv_synsent_state_process, tcp_reset in SYN_SENT), if it arrived: a
// kernel that goes on sending the SYN did not get it. Where the capture lacks
// the SYN, a RST+ACK with number 0 can only answer one (RFC 9293 3.10.7.1).
func (d *dialing) refused() bool {
	for i := range d.c.KeptResets() {
		r := &d.c.Resets[i]
		unseen := !d.cl.SYN.Seen() && r.Flags.Has(capture.ACK) && r.Seq == 0 && r.Window == 0
		if r.Side == assembler.Server && (r.Fit == assembler.FitSYN || unseen) && r.Time >= d.cl.SYN.Last.Time {
			return true
		}
	}
	return false
}

// rejected is the error of an ICMP message after which the kernel stopped.
func (d *dialing) rejected() Token {
	for i := range d.c.KeptICMP() {
		m := &d.c.ICMP[i]
		if m.Side != assembler.Client || m.Quotes != assembler.ToSYN || !metSocket(&d.cl.SYN, m) {
			continue
		}
		if e := icmpErrno(m); e != noError {
			return e
		}
	}
	return noError
}

// givenUp are the ways in which a dial ends without an answer; over excludes
// that it has not ended. The text of Dialer.Timeout, Dialer.Deadline and a
// context's deadline is one and the same.
func (d *dialing) givenUp(out *Outcome, main Token, over bool) {
	out.Dial = d.w.dial(main)
	for _, b := range [...]struct {
		when string
		err  Token
	}{
		{"if Dialer.Timeout or a deadline ended it", tokenDeadline},
		{"if its context was cancelled", tokenCanceled},
		{"if the kernel gave up (net.ipv4.tcp_syn_retries)", eTIMEDOUT},
		{"if it is still waiting", tokenBlocked},
	} {
		if b.err == main || b.err == tokenBlocked && over {
			continue
		}
		out.If = append(out.If, Condition{When: b.when, Dial: d.w.dial(b.err)})
	}
}

// withdrew reports whether the client reset the SYN-ACK, and did not go on
// dialling: a SYN-ACK with a wrong number draws a RST too (RFC 9293 3.10.7.3).
func (d *dialing) withdrew() bool {
	for _, r := range d.c.KeptResets() {
		if r.Side == assembler.Client && d.sv.SYNACK.Seen() && r.Time >= d.cl.SYN.Last.Time {
			return true
		}
	}
	return false
}

// withdrawn: the socket that had sent the SYN was gone when its SYN-ACK came.
func (d *dialing) withdrawn(out *Outcome) {
	out.Note = "the socket was closed before the SYN-ACK came: the dial had timed out or been cancelled (as net.Dialer does, unreported, " +
		"when another address of the name was faster), its process was gone, or nobody dialled but a port scanner, or somebody who forged its address"
	d.givenUp(out, tokenDeadline, true)
}

// unanswered: the SYN-ACK is in the capture, and nothing that answers it.
func (d *dialing) unanswered(out *Outcome) {
	if d.sv.SYNACK.Last.Time > d.cl.SYN.Last.Time && d.sv.SYNACK.Count == 1 && d.env.End-d.sv.SYNACK.Last.Time < second {
		out.Dial = d.w.dial(tokenNil)
		out.Read, out.Write = d.w.reads([]Token{tokenBlocked}), d.w.writes([]Token{tokenNil})
		out.If = []Condition{{When: "if the SYN-ACK did not reach it", Dial: d.w.dial(tokenBlocked), Read: []Call{}, Write: []Call{}}}
		return
	}
	d.waiting(out)
}

// waiting: nothing came back that the socket took.
func (d *dialing) waiting(out *Outcome) {
	over := !d.env.Truncated && d.env.End-d.cl.SYN.Last.Time > settle(&d.cl.SYN)
	switch {
	case d.scheduleOver():
		d.givenUp(out, eTIMEDOUT, over)
	case over || d.v.Class == TimedOut:
		d.givenUp(out, tokenDeadline, over)
	default:
		d.givenUp(out, tokenBlocked, false)
	}
}

// defaultSYNs are the tries of a kernel with default settings: 6 retries, and
// since Linux 6.5 the first 4 at the initial interval on top of them
// (tcp_write_timeout, net.ipv4.tcp_syn_linear_timeouts).
const (
	defaultSYNs = 7
	linearSYNs  = 4
)

// scheduleOver reports whether the SYNs were repeated as often as a kernel
// does that is left to itself.
func (d *dialing) scheduleOver() bool {
	n := d.cl.SYN.Count
	return n == defaultSYNs && d.cl.SYN.Interval() > 20*second || n >= defaultSYNs+linearSYNs
}
