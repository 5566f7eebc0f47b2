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
	SendKnown   bool   // SendQ is what ss would have shown, but for bytes never sent
	SendQ       uint32 // bytes sent and not acknowledged, SYN and FIN counted as one each
	RecvKnown   bool   // RecvQ is what ss would have shown; else at least that much was there
	RecvQ       uint32 // bytes that the program had not read
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
	taken := a.takenOver()
	for i := range a.Len() {
		c := a.Conn(i)
		if at, ok := taken[c.ID]; ok && t >= max(at, c.Last.Time+1) {
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

// takenOver tells when a new connection took over the tuple of an old one,
// which is known by its ID: what was left of the old sockets went then.
func (a *Analysis) takenOver() map[uint64]int64 {
	taken := map[uint64]int64{}
	for i := range a.Len() {
		if c := a.Conn(i); c.Predecessor != 0 && c.Established.Seen() {
			taken[c.Predecessor] = c.First.Time
		}
	}
	return taken
}

// SocketAt is side s's socket at time t (ns); ok is false if it had none then.
func SocketAt(c *assembler.Conn, s assembler.Side, t int64, env Env) (k Socket, ok bool) {
	for _, iv := range Lifetimes(c, s, env) {
		if t < iv.From || t >= iv.To {
			continue
		}
		e, o := c.End(s), c.End(s.Peer())
		k = Socket{Conn: c.ID, Side: s, State: iv.State, Local: e.AddrPort(), Peer: o.AddrPort(), Since: iv.From, Inferred: iv.Inferred}
		k.queues(e, o, t, iv)
		k.timer(e, o, t, iv)
		return k, true
	}
	return Socket{}, false
}

// queues tells the queues where packets do.
func (k *Socket) queues(e, o *assembler.End, t int64, iv Interval) {
	orphan := k.State == assembler.FinWait2 && iv.Expires != 0
	switch {
	case k.State == assembler.TimeWait, k.State == assembler.SynReceived, orphan:
		k.SendKnown, k.RecvKnown = true, true // kept by sockets without queues
		return
	case k.State == assembler.SynSent:
		k.SendKnown, k.RecvKnown, k.SendQ = true, true, 1
		return
	}
	k.sent(e, o, t)
	k.unread(e, o, t)
}

// sent is what was sent and not acknowledged by t.
func (k *Socket) sent(e, o *assembler.End, t int64) {
	fin := uint32(0)
	if e.FIN.Seen() && t >= e.FIN.First.Time && (!e.FIN.Answered.Seen() || t < e.FIN.Answered.Time) {
		fin = 1
	}
	later := uint32(0) // a FIN that counts at the end, but not yet
	if e.FIN.Seen() && t < e.FIN.First.Time && !e.FIN.Answered.Seen() {
		later = 1
	}
	switch {
	case !e.FirstData.Seen() || t < e.FirstData.Time:
		k.SendKnown, k.SendQ = true, fin
	case t < e.LastData.Time, o.Lost > 0 && e.Outstanding() > 0: // the acknowledgment may be among what was not captured
	case e.AckSeen && t >= o.LastNewAck.Time:
		k.SendKnown, k.SendQ = true, e.Outstanding()-min(later, e.Outstanding())
	case e.Data.Answered.Seen() && e.Data.Answered.Time <= t && !e.Data.Pending():
		k.SendKnown, k.SendQ = true, fin
	}
}

// unread is what the kernel had and the program had not taken. Packets show it
// only where nothing had come, or where the window shows how much was left.
func (k *Socket) unread(e, o *assembler.End, t int64) {
	nothing := !o.FirstData.Seen() || t < o.FirstData.Time
	eof := o.FIN.Seen() && t >= o.FIN.First.Time // ss counts the FIN until it is read
	if nothing && !eof {
		k.RecvKnown = true
		return
	}
	if t >= max(o.LastData.Time, e.Last.Time) {
		k.RecvQ = e.UnreadHint(o)
	}
}

// timer tells the timer where the facts do.
func (k *Socket) timer(e, o *assembler.End, t int64, iv Interval) {
	outstanding := func(tr *assembler.Tries) bool {
		return tr.Seen() && t >= tr.First.Time && (!tr.Answered.Seen() || t < tr.Answered.Time)
	}
	switch {
	case k.State == assembler.TimeWait:
		k.Timer = Timer{"timewait", max(iv.Expires-t, 0), 0}
	case k.State == assembler.SynSent:
		k.Timer = waiting("on", &e.SYN, t)
	case k.State == assembler.SynReceived:
		k.Timer = waiting("on", &e.SYNACK, t)
	case outstanding(&o.ZeroWindow) && outstanding(&e.Data):
		k.Timer = waiting("persist", &e.WProb, t)
	case outstanding(&e.Data):
		k.Timer = waiting("on", &e.Data, t)
	case outstanding(&e.FIN):
		k.Timer = waiting("on", &e.FIN, t)
	case k.State == assembler.FinWait2 && iv.Expires != 0:
		k.Timer = Timer{"timewait", max(iv.Expires-t, 0), 0} // a mini TIME_WAIT socket, as ss has it
	case e.Probe.Seen() && t >= e.Probe.First.Time:
		k.Timer = waiting("keepalive", &e.Probe, t)
	case e.Probe.Seen() && e.Probe.Idle > 0 && t >= e.Probe.First.Time-e.Probe.Idle:
		k.Timer = Timer{"keepalive", e.Probe.First.Time - t, 0}
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
