package classify

import (
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// Interval is one state that an end's socket was in.
type Interval struct {
	State    assembler.State // Closed never occurs: the socket is gone
	From, To int64           // ns; To is exclusive, and the capture's end for what lasts beyond it
	Inferred bool            // To follows from a kernel's timer, not from a packet
	Expires  int64           // ns: when the kernel's timer for this state would end it, 0 if it has none
}

// Lifetimes of sockets that end without a packet (ns).
const (
	// timeWaitLinux is TCP_TIMEWAIT_LEN, fixed; timeWaitWindows is
	// TcpTimedWaitDelay's default, timeWaitMac twice net.inet.tcp.msl.
	timeWaitLinux   = 60 * second
	timeWaitWindows = 120 * second
	timeWaitMac     = 30 * second
	// finWait2Linux is net.ipv4.tcp_fin_timeout's default: how long an
	// orphaned socket waits for the peer's FIN (tcp_time_wait, TCP_FIN_WAIT2).
	finWait2Linux = 60 * second
	// finWait2Windows is TcpFinWait2Delay's default, finWait2Mac the BSDs'
	// tcp_finwait2_timeout.
	finWait2Windows = 120 * second
	finWait2Mac     = 60 * second
)

// Lifetimes derives the states that side s's socket went through from the
// stamps of its connection, in order. What the capture began in the middle of
// starts with the first packet. An end that was never heard (a SYN nobody
// answered) has no socket.
func Lifetimes(c *assembler.Conn, s assembler.Side, env Env) []Interval {
	var l lives
	l.derive(newView(c, env), s)
	return slices.Clone(l.list())
}

// mostTurns is how often a socket's state can change: SYN_SENT, ESTABLISHED,
// FIN_WAIT1, FIN_WAIT2 (or CLOSING) and TIME_WAIT are the longest way.
const mostTurns = 6

// lives are the states of one end's socket.
type lives struct {
	interval [mostTurns]Interval
	n        int

	w     *view
	c     *assembler.Conn
	e, o  *assembler.End
	side  assembler.Side
	turns [mostTurns]turn
	nturn int
}

func (l *lives) list() []Interval { return l.interval[:l.n] }

// turn is a change of state at a time.
type turn struct {
	at int64
	to assembler.State
}

// turn adds a change of state, in the order of time.
func (l *lives) turn(at int64, to assembler.State) {
	i := l.nturn
	for ; i > 0 && l.turns[i-1].at > at; i-- {
		l.turns[i] = l.turns[i-1]
	}
	l.turns[i] = turn{at, to}
	l.nturn++
}

func (l *lives) derive(w *view, s assembler.Side) {
	l.w, l.c, l.e, l.o, l.side = w, w.c, w.c.End(s), w.c.End(s.Peer()), s
	l.n, l.nturn = 0, 0
	if !l.opening() {
		return
	}
	l.closing()
	turns := l.turns[:l.nturn]
	dead, deadInferred := l.death()
	for i, t := range turns {
		to, inferred := dead, deadInferred
		if i+1 < len(turns) {
			to, inferred = min(dead, turns[i+1].at), false
		}
		limit := l.expiry(t)
		if limit < to {
			to, inferred = limit, true
		}
		if to > t.at {
			iv := Interval{State: t.to, From: t.at, To: to, Inferred: inferred && to < w.env.End}
			if limit < never {
				iv.Expires = limit
			}
			l.interval[l.n] = iv
			l.n++
		}
		if inferred && to < dead {
			return // gone before what follows: a later packet meets no socket
		}
	}
}

// opening is how the socket came to be ESTABLISHED, as far as it did.
func (l *lives) opening() bool {
	c, e, o := l.c, l.e, l.o
	switch {
	case !e.First.Seen():
		return false
	case e.SYN.Seen() && !e.SYNACK.Seen():
		l.turn(e.SYN.First.Time, assembler.SynSent)
		// The client is ESTABLISHED when the SYN-ACK arrives; the capture
		// shows its departure from the server or its passing by.
		if c.Established.Seen() && o.SYNACK.Seen() {
			l.turn(o.SYNACK.First.Time, assembler.Established)
		} else if c.Established.Seen() {
			l.turn(c.Established.Time, assembler.Established)
		}
	case e.SYNACK.Seen():
		l.turn(e.SYNACK.First.Time, assembler.SynReceived)
		if c.Established.Seen() {
			l.turn(c.Established.Time, assembler.Established)
		}
	case !e.Started, c.NResets > 0 && e.Packets == e.Resets:
		return false // nothing but RSTs: no socket ever answered
	default:
		l.turn(c.First.Time, assembler.Established)
	}
	return true
}

// closing is how FINs moved it (RFC 9293 3.6, figures 12 and 13).
func (l *lives) closing() {
	e, o := l.e, l.o
	mine, acked, theirs := e.FIN.First.Time, e.FIN.Answered.Time, o.FIN.First.Time
	sent, answered, got := e.FIN.Seen(), e.FIN.Answered.Seen(), o.FIN.Seen()
	// A FIN that nobody acknowledged may never have arrived.
	if got && !o.FIN.Answered.Seen() && !e.FINSawPeer {
		got = false
	}
	switch {
	case !sent && !got:
		return
	case !sent:
		l.turn(theirs, assembler.CloseWait)
		return
	case got && theirs <= mine && !e.FINCrossed:
		l.turn(theirs, assembler.CloseWait)
		l.turn(mine, assembler.LastAck)
		if answered {
			l.turn(acked, assembler.Closed)
		}
		return
	}
	l.turn(mine, assembler.FinWait1)
	switch {
	case answered && got && theirs < acked:
		l.turn(theirs, assembler.Closing)
		l.turn(acked, assembler.TimeWait)
	case answered && got:
		l.turn(acked, assembler.FinWait2)
		l.turn(theirs, assembler.TimeWait)
	case answered:
		l.turn(acked, assembler.FinWait2)
	case got:
		l.turn(theirs, assembler.Closing)
	}
}

// never is later than any packet.
const never = 1<<63 - 1

// expiry is when the kernel drops a socket in the state that began at t.
func (l *lives) expiry(t turn) int64 {
	switch t.to {
	case assembler.Closed:
		return t.at
	case assembler.TimeWait:
		// A FIN that comes again starts the wait anew (tcp_timewait_state_process).
		return max(t.at, l.o.FIN.Last.Time) + systemOf(l.e, l.w.env.OS).TimeWait()
	case assembler.FinWait2:
		// Only of a socket that its program has closed; one that took data
		// since is half-closed, and waits for ever.
		if l.e.AckedPastFIN == 0 && !l.o.FIN.Answered.Seen() {
			return t.at + systemOf(l.e, l.w.env.OS).FinWait2()
		}
	}
	return never
}

// death is when something ended the socket whatever its state: a RST that it
// sent or took, a timer that ran out, the capture's end.
func (l *lives) death() (at int64, inferred bool) {
	w := l.w
	at = w.env.End + 1
	if w.rst != nil {
		at = min(at, w.rst.Time)
	}
	for _, m := range l.c.KeptICMP() {
		if m.Side == l.side && fatalOnSYN(&m) && !l.c.Established.Seen() && l.e.SYN.Last.Time <= m.Time {
			at = min(at, m.Time)
		}
	}
	if s := l.c.Successor; s.Seen() {
		at = min(at, max(s.Time, l.e.Last.Time))
	}
	for _, t := range [...]*assembler.Tries{&l.e.SYN, &l.e.SYNACK, &l.e.Data, &l.e.FIN, &l.e.Probe} {
		if t == &l.e.Data && w.stalled(l.e) || !t.Pending() || !w.gaveUp(t) {
			continue
		}
		// It gave up when the next try would have been due.
		if gone := t.Last.Time + 2*t.Interval(); gone < at && (t.Count > 1 || t == &l.e.SYN) {
			at, inferred = max(gone, t.Last.Time+second), true
		}
	}
	return at, inferred
}

// System is an operating system, as far as its TCP differs.
type System uint8

const (
	AnySystem System = iota // not told: guessed for each end
	Linux
	Darwin
	Windows
	numSystems
)

var systemNames = [...]string{"auto", "linux", "darwin", "windows"}

func (s System) String() string { return systemNames[s] }

// ParseSystem is the inverse of System.String.
func ParseSystem(s string) (System, bool) { i, ok := index(systemNames[:], s); return System(i), ok }

// TimeWait is how long (ns) a socket stays in TIME_WAIT; Linux's where the
// system is not told.
func (s System) TimeWait() int64 {
	switch s {
	case Windows:
		return timeWaitWindows
	case Darwin:
		return timeWaitMac
	}
	return timeWaitLinux
}

// FinWait2 is how long (ns) an orphaned socket waits for its peer's FIN.
func (s System) FinWait2() int64 {
	switch s {
	case Windows:
		return finWait2Windows
	case Darwin:
		return finWait2Mac
	}
	return finWait2Linux
}

// Ports is the default range of local ports.
func (s System) Ports() (low, high uint16) {
	if s == Linux || s == AnySystem {
		return 32768, 60999 // net.ipv4.ip_local_port_range
	}
	return 49152, 65535 // RFC 6335 6
}

// TimeWaitOf is how long (ns) the system of e keeps a socket in TIME_WAIT, by
// the best guess its packets allow.
func TimeWaitOf(e *assembler.End) int64 { return systemOf(e, AnySystem).TimeWait() }

// systemOf is the system behind an end: as told, or guessed from its SYN. An
// initial hop count of 128 is Windows; 64 with window scale 5 or 6 and
// timestamps macOS and iOS (Linux scales by 7 and more with its default
// tcp_rmem).
func systemOf(e *assembler.End, told System) System {
	return systemBy(told, e.TTLFirst, e.SYN.Seen(), e.Opts, e.WScale)
}

func systemBy(told System, ttl uint8, syn bool, opts capture.Options, wscale uint8) System {
	switch {
	case told != AnySystem:
		return told
	case ttl > 64 && ttl <= 128:
		return Windows
	case syn && ttl <= 64 && opts&capture.OptTimestamps != 0 && opts&capture.OptWScale != 0 && (wscale == 5 || wscale == 6):
		return Darwin
	}
	return Linux
}
