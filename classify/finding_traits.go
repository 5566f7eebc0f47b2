package classify

import "hangup/assembler"

// traits are what is remarkable about a connection, found out once: a
// collector is told only of those that have what it looks for. A healthy,
// short connection has none.
type traits uint32

const (
	isFlawed    traits = 1 << iota // gaps, copies, cut or one-way, marks
	isLeft                         // one side never closed, or too late
	serverFirst                    // the server sent a FIN, and before the client or crossing its
	isHeir                         // took over the tuple of another
	isFruitless                    // see fruitless
	wasQuiet                       // for a second at least
	endedBadly                     // reset, timed out or vanished
	isBeating                      // keep-alive probes or a rhythm of payload
	isLong                         // half a second or more
	hasReset                       // a RST, whether it took effect or not
	dialFailing                    // refused or rejected
	isRetried                      // SYN or SYN-ACK sent again, or an accept queue overflowed
	isRepeating                    // segments sent again
	wasShut                        // a window of 0
	anything    traits = 1<<32 - 1
)

// traitsOf looks at everything that collectors begin with.
func traitsOf(w *view, v *Verdict) (t traits) {
	c, cl, sv := w.c, w.cl, w.sv
	if cl.Lost|sv.Lost != 0 || cl.Duplicates|sv.Duplicates|c.NMarks != 0 || c.Partial&(assembler.Snaplen|assembler.OneWay) != 0 {
		t |= isFlawed
	}
	if sv.FIN.Seen() && (sv.FINCrossed || !cl.FIN.Seen() || sv.FIN.First.Time <= cl.FIN.First.Time) {
		t |= serverFirst
	}
	if c.Predecessor != 0 {
		t |= isHeir
	}
	if c.MaxIdle >= second {
		t |= wasQuiet
	}
	if cl.KeepAlives >= probesMin || sv.KeepAlives >= probesMin || cl.Beat.Count > 0 || sv.Beat.Count > 0 {
		t |= isBeating
	}
	if c.Last.Time-c.First.Time >= second/2 {
		t |= isLong
	}
	if c.NResets > 0 {
		t |= hasReset
	}
	if cl.SYN.Count >= 2 || sv.SYNACK.Count >= 2 {
		t |= isRetried
	}
	if cl.Retransmits|sv.Retransmits != 0 {
		t |= isRepeating
	}
	if cl.ZeroWindow.Seen() || sv.ZeroWindow.Seen() {
		t |= wasShut
	}
	return t | traitsOfVerdict(c, cl, v)
}

func traitsOfVerdict(c *assembler.Conn, cl *assembler.End, v *Verdict) (t traits) {
	switch v.Cause {
	case CloseWaitLeak, FinWait2Expired:
		t |= isLeft
	case ConnectionRefused, ICMPRejected:
		t |= dialFailing
	case AcceptQueueOverflow:
		t |= isRetried
	case PeerVanished:
		t |= endedBadly
	}
	if v.Class == Reset || v.Class == TimedOut {
		t |= endedBadly
	}
	if cl.SYN.Seen() && fruitless(c, v) {
		t |= isFruitless
	}
	return t
}
