package classify

import (
	"iter"
	"slices"
	"strings"

	"hangup/assembler"
)

// Outcomes derives what both ends' Go programs saw from what each kernel
// received and did: never from the cause, which only words the notes and says
// whether a RST was forged.
//
// Every endpoint's part of the story is told to a small model of its socket
// (type socket), which is then asked what Read and Write return. What the
// packets leave open is told in every reading that they allow; the readings
// that end differently become the outcome's conditions.
//
// Read and Write are never nil. They are empty where the program has no
// connection to call them on: Dial failed, or Accept never returned it.
func Outcomes(c *assembler.Conn, v Verdict, env Env) [2]Outcome {
	var out [2]Outcome
	for _, side := range [...]assembler.Side{assembler.Client, assembler.Server} {
		switch {
		case c.MPToken != 0:
			out[side] = subflowOutcome()
		case connected(c, side):
			out[side] = connectedOutcome(c, v, env, side)
		case side == assembler.Client:
			out[side] = dialOutcome(c, v, env)
		default:
			out[side] = acceptOutcome(c)
		}
	}
	return out
}

// subflowOutcome: a connection that joined an MPTCP connection belongs to no
// program (RFC 8684 3.2).
func subflowOutcome() Outcome {
	return Outcome{Read: []Call{}, Write: []Call{},
		Note: "a subflow: its program sees the MPTCP connection that it joined"}
}

// connectedOutcome is that of an endpoint whose program has, or had, the
// connection.
func connectedOutcome(c *assembler.Conn, v Verdict, env Env, side assembler.Side) Outcome {
	h := recall(c, v, env, side)
	usual := h.usual()
	s := h.play(usual)
	rs := s.results()
	out := Outcome{Read: h.w.reads(rs.read), Write: h.w.writes(rs.write), Once: rs.once}
	seen := append(make([]socket, 0, 16), s)
	said := append(make([]results, 0, 8), rs)
	for r := range h.readings(usual) {
		s := h.play(r.choice)
		if slices.Contains(seen, s) {
			continue
		}
		seen = append(seen, s)
		rs := s.results()
		if slices.ContainsFunc(said, rs.same) {
			continue
		}
		said = append(said, rs)
		out.If = append(out.If, Condition{When: r.when(), Read: h.w.reads(rs.read), Write: h.w.writes(rs.write), Once: rs.once})
	}
	h.blockedWrite(s, &out)
	h.opening(s, &out)
	out.Unread = uint64(h.unread(s))
	out.Note = strings.Join(h.notes(s), "; ")
	return out
}

// reading is a choice and what makes it differ from the usual one.
type reading struct {
	choice
	differs [2]string // the second is empty where one thing differs
}

func (r reading) when() string {
	if r.differs[1] == "" {
		return "if " + r.differs[0]
	}
	return "if " + r.differs[0] + ", and " + r.differs[1]
}

// readings are the usual choice with one thing different, then with two:
// more than that explains nothing to anybody.
func (h *history) readings(usual choice) iter.Seq[reading] {
	flips := h.open(usual)
	return func(yield func(reading) bool) {
		for _, f := range flips {
			r := reading{usual, [2]string{f.when}}
			f.apply(&r.choice)
			if !yield(r) {
				return
			}
		}
		for i, f := range flips {
			for _, g := range flips[i+1:] {
				r := reading{usual, [2]string{f.when, g.when}}
				f.apply(&r.choice)
				g.apply(&r.choice)
				if !f.alone && !g.alone && !yield(r) {
					return
				}
			}
		}
	}
}

// atOnce is how long (ns) before a RST payload may come so that they can be
// said to come at once: a reader that waits for it is told of the payload
// first, and of the RST next.
const atOnce = 10 * milli

// unread is the payload that Read returns before the error, as far as that
// shows: what came together with the RST, which proves by its number that the
// kernel had it (tcp_reset leaves the receive queue alone), or what keeps the
// window shut. What else waited to be read shows nowhere.
func (h *history) unread(s socket) uint32 {
	if s.closed {
		return 0
	}
	if h.x.ZeroWindow.Pending() {
		return h.x.UnreadHint(h.o)
	}
	r, data := h.struck, &h.o.Data
	if r == nil || h.finTaken || !data.Seen() || r.Time-data.First.Time > atOnce {
		return 0
	}
	if n := r.Seq - data.Seq; uint64(n) <= h.x.SinceData {
		return n
	}
	return 0
}

// blockedWrite adds that a Write which the error met in its middle reports
// what it had passed on (internal/poll.(*FD).Write returns nn with err). Only
// a full send buffer blocks one, so only much unacknowledged data suggests it.
func (h *history) blockedWrite(s socket, out *Outcome) {
	if s.closed || s.err == noError || h.x.Outstanding() < 2*max(h.x.Highest, 1) && h.o.Window > 0 {
		return
	}
	write := append([]Call(nil), out.Write...)
	write[0].NMin = 1
	out.If = append(out.If, Condition{When: "if a Write was blocked in the middle of its data", Write: write, Once: out.Once})
}

// opening adds Dial and Accept.
func (h *history) opening(s socket, out *Outcome) {
	if h.side == assembler.Client || h.c.SimulOpen {
		out.Dial = h.w.dial(tokenNil)
		if h.raced() {
			out.If = append(out.If, Condition{When: "if the RST came before Dial had returned",
				Dial: h.w.dial(eCONNRESET), Read: []Call{}, Write: []Call{}})
		}
		return
	}
	if h.c.Partial&assembler.NoStart != 0 || h.x.FirstData.Seen() || h.ownFIN {
		return
	}
	switch {
	case h.struck != nil:
		// The socket stays in the queue (inet_csk_accept hands it out, and
		// accept4 asks it for the peer's name only).
		out.Accept = h.w.accept(tokenNil)
	case h.ownRST != nil:
		h.queued(out)
	}
}

// queued: a listener that is closed resets what nobody has accepted yet
// (inet_csk_listen_stop), with the packet that an aborting program sends.
func (h *history) queued(out *Outcome) {
	never := Condition{When: "if its listener was closed before it was accepted",
		Accept: h.w.accept(tokenClosed), Read: []Call{}, Write: []Call{}}
	if h.v.Cause != ListenerClosed {
		out.If = append(out.If, never)
		return
	}
	out.If = []Condition{{When: "if it had been accepted before", Accept: h.w.accept(tokenNil),
		Read: out.Read, Write: out.Write, Once: out.Once}}
	out.Accept, out.Read, out.Write, out.Once = never.Accept, never.Read, never.Write, false
}

// dialRace is how long (ns) after the SYN-ACK a RST can come before the
// dialling goroutine has run and asked for SO_ERROR.
const dialRace = 100 * milli

// raced reports whether the RST may have come between the SYN-ACK and Dial's
// getsockopt(SO_ERROR), which then takes the pending ECONNRESET
// (net.(*netFD).connect).
func (h *history) raced() bool {
	r := h.struck
	if r == nil || h.x.FirstData.Seen() || h.ownFIN || h.finTaken {
		return false
	}
	opened := h.x.SYN.Answered
	if !opened.Seen() {
		opened = h.c.Established
	}
	return opened.Seen() && r.Time-opened.Time < dialRace
}

// notes are remarks on the endpoint as a whole.
func (h *history) notes(s socket) []string {
	var notes []string
	add := func(ok bool, note string) {
		if ok {
			notes = append(notes, note)
		}
	}
	add(h.x.Packets == 0, "its own packets are not in the capture: what it did itself is unknown")
	add(h.o.Packets == 0, "the peer's packets are not in the capture: what it was told is unknown")
	add(h.c.Partial&assembler.Evicted != 0, "the connection was followed only up to here")
	add(h.c.Partial&assembler.NoStart != 0 && h.c.Partial&assembler.OneWay == 0, "the capture begins after the connection did")
	add(s.shared(), "the error is delivered once, to whichever of Read and Write is called first; an EOF after it proves no FIN")
	add(s.toldEOF, "io.EOF until its own Close")
	add(s.closed && h.ownRST != nil, "a process that ends leaves the same packets: then nobody was told")
	add(h.vanished(),
		"a host answered for it that had no such socket: restarted, or the socket had ended unseen, or a middlebox answered")
	add(h.far != nil, "nothing had answered the peer for so long that its RST hardly arrived")
	add(h.forged != nil, "the RST in its name did not come from its socket")
	add(h.struck != nil && h.ownFIN && s.closed, "the RST came after its FIN: a closed socket tells nobody")
	add(h.struck != nil && !s.closed && !h.finTaken && h.x.SinceData > 0 && h.unread(s) == 0,
		"what it had not read yet is read before the error: how much does not show")
	add(h.soft != noError, "the ICMP error shows only when the kernel gives up; an acknowledgment before that clears it")
	add(h.multipath && s.done, "MPTCP: what is written now is acknowledged and lost")
	add(h.full(s), "a Write with a deadline returns i/o timeout")
	return notes
}

func (h *history) full(s socket) bool { return s.full && !s.closed && !s.dead }
