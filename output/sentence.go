package output

import (
	"fmt"
	"strings"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// teller says in a sentence who hung up, how and when. What it says beyond
// the cause comes from the connection's facts alone; a detail whose fact is
// missing (a partial capture) is left out.
type teller struct {
	classify.Result
	end int64 // end of the capture
}

// sentence is the verdict for a reader in a hurry.
func (t teller) sentence() string {
	s := t.told()
	if t.Confidence == classify.Possible && t.Class != classify.Open && !t.Even() {
		return "Possibly: " + strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func (t teller) told() string {
	switch t.Class {
	case classify.Graceful:
		return t.graceful()
	case classify.Reset:
		return t.reset()
	}
	return t.silent()
}

func (t teller) graceful() string {
	switch t.Cause {
	case classify.SimultaneousClose:
		return "Both sides closed at the same moment" + t.when() + "."
	case classify.HalfClose:
		x := t.actor(t.FirstEnd.Side)
		y := t.Conn.End(x.Peer())
		s := fmt.Sprintf("The %s finished sending%s and went on reading", x, aside(t.when()))
		if y.LateData.Seen() {
			s += fmt.Sprintf("; the %s sent another %s and then finished too", x.Peer(), volume(uint64(y.LateData.Len)))
		}
		return s + "."
	}
	x := t.actor(t.FirstEnd.Side)
	s := fmt.Sprintf("The %s closed first", x)
	if t.FirstEnd.Side == x { // a close may show before its FIN, by a TLS farewell
		s += aside(t.when())
	}
	if d, ok := t.finGap(x); ok {
		s += fmt.Sprintf("; the %s followed %s later", x.Peer(), span(d))
	}
	return s + "."
}

// aside puts the result of when in parentheses.
func aside(when string) string {
	if when == "" {
		return ""
	}
	return " (" + when[1:] + ")"
}

// finGap is the time from x's FIN to its peer's.
func (t teller) finGap(x assembler.Side) (int64, bool) {
	a, b := t.Conn.End(x).FIN, t.Conn.End(x.Peer()).FIN
	if !a.Seen() || !b.Seen() || b.First.Time < a.First.Time {
		return 0, false
	}
	return b.First.Time - a.First.Time, true
}

func (t teller) reset() string {
	x := t.actor(t.FirstEnd.Side)
	switch t.Cause {
	case classify.ConnectionRefused:
		return t.refused()
	case classify.ICMPRejected:
		return t.rejected()
	case classify.DialCancelled:
		return "The client had stopped waiting: it answered the SYN-ACK with a RST" + t.sinceSYN() + "."
	case classify.AcceptQueueOverflow:
		return "The server finished the handshake and then reset the connection: its accept queue was full."
	case classify.ListenerClosed:
		return "The server's listener closed before the program had accepted the connection, which was reset" + t.resetWhen() + "."
	case classify.InjectedReset:
		bears := t.FirstEnd.Side
		if r := t.firstReset(); r != nil {
			bears = r.Side
		}
		return fmt.Sprintf("Something on the path forged a RST in the %s's name%s.", bears, t.resetWhen())
	case classify.ResetByOwnHost:
		return fmt.Sprintf("The %s's program and socket lived on, but its host sent a RST%s.", x, t.resetWhen())
	}
	return t.aborted(x)
}

func (t teller) aborted(x assembler.Side) string {
	if t.Even() {
		return fmt.Sprintf("The %s cut the connection with a RST%s: by choice, or because it closed with data unread.", x, t.resetWhen())
	}
	switch t.Cause {
	case classify.CloseWithUnreadData:
		unread := ""
		if r := t.Conn.EffectiveReset(); r != nil && r.Side == x && r.Unread > 0 {
			unread = fmt.Sprintf(" (at least %s)", volume(uint64(r.Unread)))
		}
		return fmt.Sprintf("The %s closed without having read all that the %s had sent%s, so its kernel sent a RST%s.", x, x.Peer(), unread, t.resetWhen())
	case classify.WriteAfterClose:
		if !t.Conn.End(x.Peer()).FIN.Seen() {
			return fmt.Sprintf("The %s had closed while nothing of the %s's came through; when that came at last, it drew a RST%s.", x.Peer(), x, t.resetWhen())
		}
		return fmt.Sprintf("The %s sent data after the %s had closed, and drew a RST%s.", x, x.Peer(), t.resetWhen())
	case classify.FinWait2Expired:
		s := fmt.Sprintf("The %s closed too late", x)
		if d, ok := t.finGap(x.Peer()); ok {
			s += fmt.Sprintf(", %s after the %s", span(d), x.Peer())
		}
		return s + ": the other kernel had forgotten the connection and answered with a RST that no program hears of."
	case classify.PeerLostState:
		return fmt.Sprintf("The %s no longer knew the connection and answered %s with a RST%s.", x, t.trigger(), t.resetWhen())
	case classify.StaleTuple:
		return fmt.Sprintf("The %s opened a new connection on the same ports while the %s still held this one; a RST ended it%s.", x, x.Peer(), t.resetWhen())
	}
	if t.By == classify.ByBoth {
		return fmt.Sprintf("Both sides cut the connection with a RST%s.", t.resetWhen())
	}
	return fmt.Sprintf("The %s cut the connection with a RST%s.", x, t.resetWhen())
}

func (t teller) refused() string {
	c := t.Conn
	s := "The server refused the connection: a RST answered the SYN"
	if t.By == classify.ByMiddlebox {
		s = "Something on the path refused the connection in the server's name: a RST answered the SYN"
	}
	if r := t.firstReset(); r != nil && r.Answers.Seen() && r.Time > r.Answers.Time {
		s += " " + span(r.Time-r.Answers.Time) + " later"
	}
	if n := c.End(assembler.Client).SYN.Count; n > 1 {
		s += fmt.Sprintf("; the client tried %d times", n)
	}
	return s + "."
}

func (t teller) rejected() string {
	errs := t.Conn.KeptICMP()
	if len(errs) == 0 {
		return "An ICMP error answered the SYN."
	}
	from := capture.Addr(errs[0].Router)
	if t.By == classify.ByServer {
		return "The server's own host rejected the SYN with an ICMP error" + t.sinceSYN() + "."
	}
	return fmt.Sprintf("%s, on the path, rejected the SYN with an ICMP error%s.", from, t.sinceSYN())
}

// silent tells of connections whose end is somebody's silence.
func (t teller) silent() string {
	c := t.Conn
	x := t.actor(t.waiting().Peer())
	y := x.Peer()
	switch t.Cause {
	case classify.StillOpen:
		return t.open()
	case classify.HandshakeIncomplete:
		return fmt.Sprintf("The handshake was never completed: nothing acknowledged the server's SYN-ACK%s.", times(&c.End(assembler.Server).SYNACK))
	case classify.AcceptQueueOverflow:
		return fmt.Sprintf("The server's accept queue was full: it took nothing of what the client sent%s.", repeated(&c.End(assembler.Server).SYNACK))
	case classify.CloseWaitLeak:
		return t.leak(x)
	case classify.ConnectTimeout:
		return fmt.Sprintf("Nothing answered the client's SYN%s.", times(&c.End(assembler.Client).SYN))
	case classify.PMTUBlackhole:
		return fmt.Sprintf("Full-size segments of the %s were lost on the path while smaller ones got through.", t.waiting())
	case classify.ZeroWindowStall:
		return t.stall(x)
	case classify.PeerVanished:
		return t.vain(y, "was still trying when the capture ends")
	case classify.RetransmissionTimeout, classify.KeepaliveTimeout, classify.FinTimeout:
		return t.vain(y, "gave up")
	}
	return "The connection ended" + t.when() + "."
}

// vain tells of side y, which tried in vain and did as then says.
func (t teller) vain(y assembler.Side, then string) string {
	x := y.Peer()
	k := t.unanswered(y)
	switch {
	case k.Tries == nil:
		return fmt.Sprintf("The %s heard nothing more and %s.", y, then)
	case k.Tries == &t.Conn.End(y).Deaf || t.resetSince(x, k.First.Time):
		// Answers that the capture shows, and the socket never saw: a
		// firewall behind the place of capture, or a way back that is cut.
		return fmt.Sprintf("What came back from the %s did not reach the %s, which %s: %s%s.", x, y, then, k.noun, often(k.Tries))
	case t.Conn.End(x).Last.Time > k.First.Time:
		return fmt.Sprintf("The %s went on sending but never acknowledged what the %s sent, which %s: %s%s.", x, y, then, k.noun, often(k.Tries))
	case t.By == classify.ByUnknown:
		return fmt.Sprintf("Nothing came back from the %s any more, and the %s %s: %s%s drew no answer.", x, y, then, k.noun, often(k.Tries))
	}
	return fmt.Sprintf("The %s fell silent, and the %s %s: %s%s drew no answer.", x, y, then, k.noun, often(k.Tries))
}

func (t teller) open() string {
	if t.FirstEnd.Flag == classify.FlagFIN {
		x := t.FirstEnd.Side
		if t.Partial&assembler.OneWay != 0 {
			return fmt.Sprintf("The %s closed%s; what the %s sent is not in the capture.", x, t.when(), x.Peer())
		}
		return fmt.Sprintf("The %s closed%s; the %s has not when the capture ends.", x, t.when(), x.Peer())
	}
	s := "Still open when the capture ends"
	if quiet := t.end - t.Conn.Last.Time; t.end > 0 && quiet >= 1e9 {
		s += ", " + span(quiet) + " after its last packet"
	}
	return s + "."
}

func (t teller) leak(x assembler.Side) string {
	fin := t.Conn.End(x.Peer()).FIN
	s := fmt.Sprintf("The %s closed%s", x.Peer(), t.when())
	if fin.Seen() && t.end > fin.First.Time {
		return s + fmt.Sprintf("; the %s has not in the %s since.", x, span(t.end-fin.First.Time))
	}
	return s + fmt.Sprintf("; the %s has not.", x)
}

func (t teller) stall(x assembler.Side) string {
	z := &t.Conn.End(x).ZeroWindow
	s := fmt.Sprintf("The %s's program stopped reading: its window stood at zero", x)
	if z.Seen() {
		until := max(z.Last.Time, t.Conn.Last.Time)
		if z.Answered.Seen() {
			until = z.Answered.Time
		}
		s += " for " + span(until-z.First.Time)
	}
	switch t.Class {
	case classify.TimedOut:
		s += fmt.Sprintf(", and the %s gave up", x.Peer())
	case classify.HalfOpen:
		s += fmt.Sprintf(", and the %s's probes went unanswered", x.Peer())
	}
	return s + "."
}

// repeated tells of SYN-ACKs that went out again and again.
func repeated(t *assembler.Tries) string {
	if t.Count < 2 {
		return ""
	}
	return fmt.Sprintf(", and sent its SYN-ACK %d times in %s", t.Count, span(t.Last.Time-t.First.Time))
}

type unansweredTry struct {
	*assembler.Tries
	noun string
}

// resetSince reports whether side x has sent a RST since.
func (t teller) resetSince(x assembler.Side, since int64) bool {
	for _, r := range t.Conn.KeptResets() {
		if r.Side == x && r.Time >= since {
			return true
		}
	}
	return false
}

// unanswered is what side y tried in vain; its Tries are nil if there is nothing.
func (t teller) unanswered(y assembler.Side) unansweredTry {
	e := t.Conn.End(y)
	list := []unansweredTry{{&e.Data, "data"}, {&e.Probe, "its keep-alive probe"}, {&e.FIN, "its FIN"}, {&e.WProb, "its window probe"}}
	switch t.Cause {
	case classify.KeepaliveTimeout:
		list[0], list[1] = list[1], list[0]
	case classify.FinTimeout:
		list[0], list[2] = list[2], list[0]
	}
	for _, k := range list {
		if k.Pending() {
			return k
		}
	}
	if e.Deaf.Seen() {
		return unansweredTry{&e.Deaf, "data"}
	}
	return unansweredTry{}
}

// times says how often and for how long something was tried, as a clause behind a comma.
func times(t *assembler.Tries) string {
	if t.Count < 2 {
		return ""
	}
	return "," + often(t)
}

func often(t *assembler.Tries) string {
	switch t.Count {
	case 0, 1:
		return ""
	case 2:
		return fmt.Sprintf(" sent twice in %s", span(t.Last.Time-t.First.Time))
	}
	return fmt.Sprintf(" sent %s times in %s", count(uint64(t.Count)), span(t.Last.Time-t.First.Time))
}

// waiting is the side with something unanswered.
func (t teller) waiting() assembler.Side {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		e := t.Conn.End(s)
		if e.Deaf.Count > 1 || e.Data.Pending() || e.Probe.Pending() || e.FIN.Pending() || e.WProb.Pending() || e.SYN.Pending() {
			return s
		}
	}
	return assembler.Client
}

// actor is the side the cause is laid to, or the given one where it is laid
// to neither or both.
func (t teller) actor(otherwise assembler.Side) assembler.Side {
	switch t.By {
	case classify.ByClient:
		return assembler.Client
	case classify.ByServer:
		return assembler.Server
	}
	return otherwise
}

// when is the time of the first end from the connection's first packet, and
// the silence before it if there was any to speak of.
func (t teller) when() string {
	if !t.FirstEnd.Seen() {
		return ""
	}
	return t.at(t.FirstEnd.Time, t.IdleBeforeEnd)
}

// resetWhen is when for the RST, which need not be the first end.
func (t teller) resetWhen() string {
	if r := t.firstReset(); r != nil {
		return t.at(r.Time, r.Idle)
	}
	return t.when()
}

func (t teller) at(ns, idle int64) string {
	if ns <= t.Conn.First.Time {
		return "" // at once, or by a clock that went backwards
	}
	s := " " + span(ns-t.Conn.First.Time)
	if t.Partial&assembler.NoStart != 0 {
		s += " after its first captured packet"
	} else {
		s += " in"
	}
	if idle >= 5e8 && idle < ns-t.Conn.First.Time {
		s += ", after " + span(idle) + " of silence"
	}
	return s
}

func (t teller) sinceSYN() string {
	syn := t.Conn.End(assembler.Client).SYN
	if !syn.Seen() || !t.FirstEnd.Seen() {
		return ""
	}
	return " " + span(t.FirstEnd.Time-syn.First.Time) + " after the first SYN"
}

// firstReset is the RST that did it, or else the first one.
func (t teller) firstReset() *assembler.Reset {
	if r := t.Conn.EffectiveReset(); r != nil {
		return r
	}
	if t.Conn.NResets > 0 {
		return &t.Conn.Resets[0]
	}
	return nil
}

// trigger names what drew the RST.
func (t teller) trigger() string {
	if r := t.firstReset(); r != nil {
		switch r.Trigger {
		case assembler.ToSYN, assembler.ToSYNACK:
			return "a SYN"
		case assembler.ToFIN:
			return "a FIN"
		case assembler.ToKeepAlive:
			return "a keep-alive probe"
		case assembler.ToWinProbe:
			return "a window probe"
		case assembler.ToData:
			return "data"
		}
	}
	return "the next packet"
}
