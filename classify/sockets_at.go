package classify

import (
	"net/netip"

	"hangup/assembler"
)

// Socket is one line of what `ss -tan` on a host would have shown.
type Socket struct {
	Conn        uint64
	Side        assembler.Side
	State       assembler.State
	Local, Peer netip.AddrPort
	// QueuesKnown: no later packet hides what the queues held at that moment.
	QueuesKnown bool
	SendQ       uint32 // bytes sent and not acknowledged, as ss counts them
	RecvQ       uint32 // lower bound of bytes that the program had not read
	Timer       Timer
	Since       int64 // ns: when the state began
	Inferred    bool  // the state's end follows from a kernel's timer, not from a packet
}

// Timer is the timer that ss -o prints.
type Timer struct {
	Kind    string // "on" (retransmission), "keepalive", "persist", "timewait", "" none or unknown
	Left    int64  // ns until it fires, -1 if unknown
	Retries uint32
}

// SocketsAt lists the sockets that host had at time t (ns), in the order of
// connection IDs; an invalid host means all hosts. A socket that the capture
// never saw a packet of does not exist here, listeners included.
func (a *Analysis) SocketsAt(t int64, host netip.Addr) []Socket {
	var list []Socket
	replaced := map[uint64]bool{} // by a new connection on the same tuple
	for i := range a.Len() {
		if c := a.Conn(i); c.Predecessor != 0 && c.Established.Seen() && c.First.Time <= t {
			replaced[c.Predecessor] = true
		}
	}
	for i := range a.Len() {
		c := a.Conn(i)
		if replaced[c.ID] && c.Last.Time < t {
			continue
		}
		if a.Verdict(i).SameAs != 0 && a.Verdict(i).SameAs < c.ID {
			continue // the same socket, seen behind a NAT
		}
		for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
			if addr := c.End(s).AddrPort().Addr(); host.IsValid() && addr != host {
				continue
			}
			if k, ok := SocketAt(c, s, t, a.env); ok {
				list = append(list, k)
			}
		}
	}
	return list
}

// SocketAt is side s's socket at time t (ns); ok is false if it had none then.
func SocketAt(c *assembler.Conn, s assembler.Side, t int64, env Env) (k Socket, ok bool) {
	for _, iv := range Lifetimes(c, s, env) {
		if t < iv.From || t >= iv.To {
			continue
		}
		e, o := c.End(s), c.End(s.Peer())
		k = Socket{Conn: c.ID, Side: s, State: iv.State, Local: e.AddrPort(), Peer: o.AddrPort(), Since: iv.From, Inferred: iv.Inferred}
		k.queues(c, e, o, t)
		k.timer(e, o, t, iv)
		return k, true
	}
	return Socket{}, false
}

// queues tells the queues where they are known: before anything was sent,
// and after the last packet.
func (k *Socket) queues(c *assembler.Conn, e, o *assembler.End, t int64) {
	switch {
	case k.State == assembler.TimeWait, k.State == assembler.SynSent, k.State == assembler.SynReceived:
		k.QueuesKnown = true // ss shows 0 (1 for a SYN, which counts as unacknowledged)
		if k.State == assembler.SynSent {
			k.SendQ = 1
		}
	case t >= c.Last.Time:
		k.QueuesKnown = true
		k.SendQ, k.RecvQ = e.Outstanding(), e.UnreadHint(o)
	case !e.FirstData.Seen() || t < e.FirstData.Time:
		k.QueuesKnown = !o.FirstData.Seen() || t < o.FirstData.Time
	}
}

// timer tells the timer where the facts do.
func (k *Socket) timer(e, o *assembler.End, t int64, iv Interval) {
	switch {
	case k.State == assembler.TimeWait:
		k.Timer = Timer{"timewait", max(iv.Expires-t, 0), 0}
	case k.State == assembler.SynSent:
		k.Timer = waiting("on", &e.SYN, t)
	case e.Data.Pending() && t >= e.Data.First.Time && o.ZeroWindow.Pending():
		k.Timer = waiting("persist", &e.WProb, t)
	case e.Data.Pending() && t >= e.Data.First.Time:
		k.Timer = waiting("on", &e.Data, t)
	case e.FIN.Seen() && t >= e.FIN.First.Time && (!e.FIN.Answered.Seen() || t < e.FIN.Answered.Time):
		k.Timer = waiting("on", &e.FIN, t)
	case k.State == assembler.FinWait2 && iv.Expires != 0:
		k.Timer = Timer{"timewait", max(iv.Expires-t, 0), 0} // a mini TIME_WAIT socket, as ss has it
	case e.Probe.Seen() && t >= e.Probe.First.Time:
		k.Timer = waiting("keepalive", &e.Probe, t)
	case e.KeepAlives > 0:
		k.Timer = Timer{"keepalive", -1, 0}
	}
}

// waiting is the timer of something that is tried with back-off.
func waiting(kind string, tr *assembler.Tries, t int64) Timer {
	w := Timer{kind, -1, 0}
	switch {
	case !tr.Seen(), t < tr.Last.Time && (tr.Prev == 0 || t < tr.Prev):
		return w
	case t < tr.Last.Time: // the try that this timer will start was captured
		return Timer{kind, tr.Last.Time - t, tr.Count - 2}
	}
	w.Retries = tr.Count - 1
	next := tr.Interval() * 2
	if kind == "keepalive" {
		next = tr.Interval()
		w.Retries = tr.Count
		if !tr.Pending() {
			w.Retries = 0
			next = tr.Idle
		}
	}
	if next > 0 {
		w.Left = max(tr.Last.Time+next-t, 0)
	}
	return w
}
