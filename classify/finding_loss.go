package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about data that a RST destroyed.
const (
	KindLostData   = "data-lost-by-reset"
	KindEarlyReply = "answer-lost-by-reset"
)

const (
	lossMin = 2
	// uploadMin is how many bytes a request must have for an answer that
	// comes before its end to be early: more than fits into one segment.
	uploadMin = 4 * 1460
)

// losses gathers what RSTs destroyed, for lossesMax servers and sides, of 1 kB.
type losses struct {
	by bounded[lossKey, loss]
}

const lossesMax = 1 << 10

type lossKey struct {
	server endpoint
	side   assembler.Side // who sent the RST
	early  bool
}

type loss struct {
	group
	unacked, unread, behind uint64 // bytes: the aborter's own in flight; taken, not answered; the peer's in flight
	shown                   uint64 // connections whose window showed unread data
}

func newLosses() *losses {
	l := &losses{}
	l.by.max = lossesMax
	return l
}

func (l *losses) clone(*ledger) collector { return &losses{l.by.clone(nil)} }

func (l *losses) add(x *subject) {
	c, v := x.c, x.v
	switch v.Cause {
	case CloseWithUnreadData, AbortiveClose, ListenerClosed:
	default:
		return
	}
	w := x.w
	r := w.rst
	if r == nil || bare(r) || !w.established() {
		return
	}
	e := c.End(r.Side)
	unread := uint64(0)
	if v.Cause == CloseWithUnreadData {
		unread = unanswered(r)
	}
	unacked := r.Unacked
	if goodbye(e, r) {
		unacked = 0
	}
	// What was already acknowledged by the peer's kernel may be lost as well:
	// Linux lets its program read it, Windows throws it away.
	if unacked == 0 && unread == 0 && r.AckBehind == 0 {
		return
	}
	k := lossKey{endpointOf(w.sv), r.Side, early(w, r)}
	g := l.by.at(k)
	g.unacked += uint64(unacked)
	g.unread += unread
	g.behind += uint64(r.AckBehind)
	p := point{r.Stamp, r.Side, saysRSTUnread, int64(unread + uint64(r.AckBehind))}
	if unacked > 0 {
		p = point{r.Stamp, r.Side, saysRSTUnacked, int64(unacked)}
	}
	if unreadShown(w, r) {
		g.shown++
	}
	first := point{c.End(r.Side.Peer()).LastData, r.Side.Peer(), saysLastBytes, 0}
	if k.early {
		first = point{e.LastData, r.Side, saysEarlyReply, 0}
	}
	g.note(x, r.Time, first, p)
}

// alertBytes is the most a TLS alert takes on the wire: 7 in the clear, 24 in
// TLS 1.3, 53 with AES-CBC and SHA-256 in TLS 1.2.
const alertBytes = 64

// goodbye reports whether all that r's sender had in flight is what its Close
// sent just before: a TLS alert, or a client's parting word (Terminate of
// PostgreSQL, QUIT, MQTT DISCONNECT). Nobody misses it.
func goodbye(e *assembler.End, r *assembler.Reset) bool {
	parting := e.App.Protocol() == assembler.AppTLS || r.Side == assembler.Client
	return parting && r.Unacked <= alertBytes && r.Time-e.LastData.Time < alertBefore
}

// early reports whether a server answered a request before all of it had
// come, and then reset.
func early(w *view, r *assembler.Reset) bool {
	cl, sv := w.cl, w.sv
	if r.Side != assembler.Server || !sv.FirstData.Seen() || cl.Bytes < uploadMin || cl.FIN.Seen() ||
		cl.LastData.Time <= sv.LastData.Time || cl.FirstData.Time >= sv.FirstData.Time {
		return false
	}
	if cl.App.Protocol() == assembler.AppHTTP1 && !cl.App.Lost() && !sv.App.Lost() {
		asked, answered := cl.App.HTTP(), sv.App.HTTP()
		return asked.Complete < asked.Messages && answered.Messages >= asked.Messages
	}
	// Of other protocols an answer is one only if the server spoke just once:
	// else what came behind it may be the next request. It must have come too
	// soon to be that, or be too much.
	trip := w.c.RTTServer + w.c.RTTClient + raceWindow
	return sv.LastData.Time-sv.FirstData.Time <= trip && (cl.LastData.Time-sv.LastData.Time <= trip || unanswered(r) >= uploadMin)
}

func (l *losses) finish(s *scene) (list []Finding) {
	for i := range l.by.items {
		g, k := &l.by.items[i].val, l.by.items[i].key
		if g.n < lossMin && !k.early && g.unacked == 0 {
			continue
		}
		if s.scans.onlyScanners(&g.group) {
			continue
		}
		list = append(list, g.report(k, l.by.dropped))
	}
	return list
}

// brokenOff reports whether all that is lost was meant for the client, which
// reset of its own accord: nobody else misses it.
func (g *loss) brokenOff(k lossKey) bool { return k.side == assembler.Client && g.unacked == 0 }

func (g *loss) report(k lossKey, dropped uint64) Finding {
	kind, sev, conf := KindLostData, Serious, Possible
	if k.early {
		kind, conf = KindEarlyReply, Likely
	}
	if g.unacked > 0 || g.shown > 0 {
		conf = Likely
	}
	if g.n < lossMin || conf == Possible || g.brokenOff(k) {
		sev = Warning
	}
	f := g.finding(kind, sev, conf)
	f.at("server", k.server)
	f.clients(&g.group)
	f.number("connections", float64(g.n), "")
	f.number("bytes sent by the resetting side, not acknowledged", float64(g.unacked), "bytes")
	f.number("bytes it took and never answered", float64(g.unread), "bytes")
	f.number("bytes on their way to it", float64(g.behind), "bytes")
	f.number(bytesAtRisk, float64(g.unacked+g.unread+g.behind), "bytes")
	f.overflow(dropped)
	if k.early {
		f.Title = fmt.Sprintf("%s answers %s before it has read them, and destroys its answers by a reset.", k.server, plural(g.n, "upload"))
		f.What = "The server answered while the request's body was still coming (too large, not allowed, an error) and closed without reading the rest. Closing with unread data makes the kernel send RST, " +
			"and a RST lets the client's kernel report ECONNRESET instead of the answer that had come before it: the caller never learns why."
		f.Advice = "Read on for a while after the answer, up to a limit (io.CopyN(io.Discard, r.Body, limit)), or CloseWrite and wait for the client's FIN; net/http's server reads up to 256 KiB, sends Connection: close and waits 500 ms before it resets. " +
			"Clients should send Expect: 100-continue (http.Transport.ExpectContinueTimeout) for large bodies."
		return f
	}
	f.Alternatives = []string{WhyReadUnknown.String()}
	if g.brokenOff(k) {
		f.Title = fmt.Sprintf("The client of %s resets %s before it has taken all that it was sent.", k.server, plural(g.n, "connection"))
		f.What = "The client's program did not read to the end: it cancelled, its own deadline passed, it was stopped, or it closes without reading. " +
			"What it had not read is gone, and the server gets ECONNRESET though nothing is wrong with it."
		f.Advice = "If the client gave up on purpose, nothing is lost that it wanted, and the server may take ECONNRESET for its departure; look then at why it took so long. " +
			"If not, let the client read to EOF before Close (in HTTP the response's body), and look for SetLinger(0)."
		return f
	}
	verb := "destroyed"
	if conf == Possible {
		verb = "may have destroyed"
	}
	f.Title = fmt.Sprintf("Resets by the %s of %s %s data in %s.", k.side, k.server, verb, plural(g.n, "connection"))
	f.What = "A RST ends both directions at once: what its sender had in flight or had not read is gone, and the other side gets ECONNRESET. " +
		"An ordinary Close sends what is left and then FIN; a reset comes from SetLinger(0), from closing with unread input, or from a process that was killed."
	f.Advice = "Do not call SetLinger(0) on connections that carry data. Read to EOF before Close, or CloseWrite first and read until the peer closes. At shutdown let requests finish (http.Server.Shutdown, grpc.Server.GracefulStop) before the process exits."
	return f
}
