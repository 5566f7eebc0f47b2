package classify

import (
	"fmt"
	"time"

	"hangup/assembler"
)

// Errors of the layers above the socket. Those that are no sentinel have only
// their text.
const (
	tokenUnexpectedEOF Token = "UnexpectedEOF" // errors.Is io.ErrUnexpectedEOF
	tokenOther         Token = "other"
)

// AppOutcomes says what a net/http or crypto/tls caller of Go 1.26 at each
// end saw of the connection's end, nil without evidence in the payload, and
// nil where no call of a caller's was open. Its Text is what
// crypto/tls, http.Transport, a Body or a handler returns: http.Client wraps
// a failed round trip once more, in a *url.Error ("Get \"URL\": ...").
func AppOutcomes(c *assembler.Conn, v Verdict) [2]*AppOutcome {
	var out [2]*AppOutcome
	begun := c.Established.Seen() || c.Partial&assembler.NoStart != 0
	if !begun || c.Partial&assembler.OneWay != 0 {
		return out // no program ever had it, or what one side said is not known
	}
	for side := range out {
		a := newAppView(c, v, assembler.Side(side))
		switch {
		case a.either(assembler.AppTLS):
			out[side] = a.tls()
		case a.either(assembler.AppHTTP2):
			out[side] = a.http2()
		case a.either(assembler.AppHTTP1):
			out[side] = a.http1()
		}
	}
	return out
}

// appView is one end of a connection as the layer above its socket met it.
type appView struct {
	*history
	own, peer *assembler.Framing // what the end sent, and what it was sent
	end       appEnd
}

// appEnd is what first ended the end's reading.
type appEnd uint8

const (
	endNone   appEnd = iota // nothing, as far as the capture goes
	endEOF                  // the peer's FIN
	endReset                // a RST of the peer's, with no FIN before it
	endGaveUp               // its own kernel's timer
	endOwn                  // it closed or aborted the connection itself, first
)

func newAppView(c *assembler.Conn, v Verdict, side assembler.Side) *appView {
	h := recall(c, v, Env{}, side)
	a := &appView{history: h, own: &h.x.App, peer: &h.o.App}
	switch {
	case h.ownFIN && !h.finBefore && !h.half:
		a.end = endOwn
	case h.ownRST != nil && !h.finBefore:
		a.end = endOwn
		if v.Cause == KeepaliveTimeout {
			a.end = endGaveUp
		}
	case h.finTaken:
		a.end = endEOF
	case h.struck != nil:
		a.end = endReset
	case v.Class == TimedOut && v.By == BySide(side.Peer()) && v.Cause != FinTimeout:
		a.end = endGaveUp
	}
	return a
}

func (a *appView) either(p assembler.AppProtocol) bool {
	return a.own.Protocol() == p || a.peer.Protocol() == p
}

// says builds an outcome.
func says(protocol string, t Token, text, note string) *AppOutcome {
	return &AppOutcome{Protocol: protocol, Error: t, Text: text, Note: note}
}

// socketError is what Read below the layer reports: the socket's error as it
// is, for crypto/tls and net/http pass it on.
func (a *appView) socketError() Call {
	if a.end == endGaveUp {
		return a.w.read(eTIMEDOUT)
	}
	return a.w.read(eCONNRESET)
}

// waited is the time (ns) from the end's last new payload to the packet by
// which it closed the connection itself.
func (a *appView) waited() int64 {
	own := a.ownEnd()
	if !own.Seen() || !a.x.LastData.Seen() || own.Time < a.x.LastData.Time {
		return 0
	}
	return own.Time - a.x.LastData.Time
}

// waitedFor spells how long a caller had waited when it gave up.
func waitedFor(ns int64) string {
	return fmt.Sprintf("after %v", time.Duration(ns).Round(time.Millisecond))
}

// gracefully adds to a note that TCP itself has nothing to complain of.
func (a *appView) gracefully(note string) string {
	if a.v.Class == Graceful {
		return note + "; the TCP connection ended gracefully all the same"
	}
	return note
}

// appCount is a number with its noun.
func appCount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
