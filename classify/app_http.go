package classify

import (
	"fmt"

	"hangup/assembler"
)

const (
	http1Name = "http/1.1"

	// brokenConn precedes what http.Transport met once a response had begun
	// (net/http.(*persistConn).mapRoundTripError).
	brokenConn = "net/http: HTTP/1.x transport connection broken: "
)

// exchange is the request that an HTTP/1.x connection ended on.
type exchange struct {
	req, res assembler.HTTPState
	method   assembler.HTTPMethod // of the first request without a complete response
	answered int                  // complete responses
	open     bool                 // there is such a request
	begun    bool                 // ... and its response had begun
	reused   bool                 // ... and it was not the connection's first
	partial  string               // what there is of its status line, if that is all
}

// exchange reads both framings; ok is false if they cannot be trusted.
func (a *appView) exchange(client, server *assembler.Framing) (x exchange, ok bool) {
	if client.Lost() || server.Lost() || client.Protocol() != assembler.AppHTTP1 {
		return x, false
	}
	x.req = client.HTTP()
	if server.Protocol() == assembler.AppHTTP1 {
		x.res = server.HTTP()
	} else if server.Protocol() != assembler.AppUnknown {
		return x, false
	}
	if x.req.Phase == assembler.HTTPTunnel || x.res.Phase == assembler.HTTPTunnel {
		return x, false
	}
	x.answered = int(x.res.Complete)
	x.method = client.Method(x.answered)
	x.begun = x.res.Phase != assembler.HTTPBetween || x.res.Interim > 0
	if x.partial = server.PartialStatus(); x.partial != "" {
		x.begun = true
		x.res.Phase = assembler.HTTPStartLine
	}
	switch {
	case x.method == assembler.MethodHead && x.res.Phase == assembler.HTTPBody && !bodyBegun(&x.res):
		x.answered++
		x.begun = false
		x.method = client.Method(x.answered)
	case x.method == assembler.MethodConnect && x.res.Phase == assembler.HTTPBody && x.res.Status/100 == 2:
		return x, false
	}
	sent := int(x.req.Messages)
	if x.req.Phase == assembler.HTTPStartLine {
		sent++
	}
	x.open = sent > x.answered
	x.reused = x.answered > 0
	return x, true
}

// uploading reports whether the body of the last request was still on its way.
func (x *exchange) uploading() bool {
	return x.req.Phase == assembler.HTTPBody || x.req.Phase == assembler.HTTPTrailer
}

// bodyBegun reports whether any byte of a response's body came.
func bodyBegun(s *assembler.HTTPState) bool {
	switch s.Body {
	case assembler.BodyLength:
		return s.Remaining < s.Length
	case assembler.BodyChunked:
		return s.InChunk
	}
	return false
}

// http1 is what net/http reports of HTTP/1.x in the clear.
func (a *appView) http1() *AppOutcome {
	requests := a.own.Protocol() == assembler.AppHTTP1 && !a.own.HTTP().Response
	if requests && a.peer.Protocol() == assembler.AppOther {
		return a.notHTTP()
	}
	if requests {
		x, ok := a.exchange(a.own, a.peer)
		switch {
		case !ok:
			return nil
		case x.open:
			return a.http1Client(&x)
		case x.uploading() && a.end != endNone && a.end != endOwn:
			return a.earlyReply()
		}
		return nil
	}
	x, ok := a.exchange(a.peer, a.own)
	if !ok {
		return nil
	}
	return a.http1Server(&x)
}

// http1Client is what http.Transport reports to the caller whose request was
// open at the end.
func (a *appView) http1Client(x *exchange) *AppOutcome {
	switch a.end {
	case endNone:
		return nil
	case endOwn:
		return a.http1GaveUp(x)
	}
	switch {
	case x.res.Phase == assembler.HTTPBody || x.res.Phase == assembler.HTTPTrailer:
		return a.bodyCut(x)
	case x.uploading():
		o, _ := a.uploadCut()
		return o
	case x.begun:
		return a.headerCut(x)
	}
	return a.noResponse(x)
}

// noResponse: not one byte of the response came.
// (*Transport).roundTrip repeats a request on another connection if this one
// had served before and the request may be repeated (shouldRetryRequest).
func (a *appView) noResponse(x *exchange) *AppOutcome {
	text, token := "EOF", tokenEOF
	if a.end != endEOF {
		call := a.socketError()
		text, token = call.Text, call.Error
	}
	replay := x.method == assembler.MethodReplayable || x.method == assembler.MethodHead
	switch {
	case x.reused && replay:
		return says(http1Name, tokenNil, "", fmt.Sprintf(
			"http.Transport sent the request again on another connection, and nobody noticed, if it had no body; its own error here was `%s`, or `http: server closed idle connection`", text))
	case x.reused:
		return says(http1Name, token, text, a.gracefully(
			"the server closed the idle connection while the request was on its way: http.Transport repeats only GET, HEAD, OPTIONS, TRACE and what has an Idempotency-Key; `http: server closed idle connection` if it noticed before it wrote"))
	}
	note := "no byte of a response, on the connection's first request: not repeated"
	if a.c.Partial&assembler.NoStart != 0 {
		note = "no byte of a response; if the connection had served before and the request was a GET or the like, http.Transport repeated it"
	}
	return says(http1Name, token, text, a.gracefully(note))
}

// uploadCut: the connection ended while the request's body was on its way.
// Whoever notices first, roundTrip waits for the writer, and a body whose
// copy failed has precedence, undecorated (mapRoundTripError;
// (*transferWriter).doBodyCopy takes the writer's failure for the reader's).
func (a *appView) uploadCut() (o *AppOutcome, others string) {
	tokens := []Token{eCONNRESET, ePIPE, tokenClosed}
	switch a.end {
	case endEOF:
		tokens = []Token{tokenClosed, eCONNRESET, ePIPE}
	case endGaveUp:
		tokens = []Token{eTIMEDOUT, tokenClosed}
	}
	call := a.w.write(tokens[0])
	for _, t := range tokens[1:] {
		others += fmt.Sprintf("`%s`, ", a.w.write(t).Text)
	}
	read, text := a.cutText()
	if read == tokenUnexpectedEOF {
		text = "EOF"
	}
	others += fmt.Sprintf("or `%s`, as writer or reader meets the end first", text)
	return says(http1Name, call.Error, call.Text, a.gracefully("from sending the request's body; it may also be "+others)), others
}

// earlyReply: the response was complete before the request was, and then the
// connection ended. (*persistConn).roundTrip takes what comes first.
func (a *appView) earlyReply() *AppOutcome {
	o, others := a.uploadCut()
	return says(http1Name, tokenNil, "", fmt.Sprintf(
		"if the caller got the response, which came before the request's body was sent; a race with the upload's failure: `%s`, %s", o.Text, others))
}

// headerCut: the end came inside the status line or the header. A reader of
// lines takes what there is of one for the whole of it, and drops the error
// that came with it (bufio.(*Reader).ReadLine; ReadMIMEHeader, which looks
// ahead); of a reset, which comes once, only EOF is left for the next line,
// and ReadResponse turns that into io.ErrUnexpectedEOF.
func (a *appView) headerCut(x *exchange) *AppOutcome {
	note := "cut inside the response's header"
	broken := func(t Token, text string) *AppOutcome {
		return says(http1Name, t, brokenConn+text, a.gracefully(note))
	}
	switch {
	case len(x.partial) > len("HTTP/1.1"):
		return broken(tokenOther, fmt.Sprintf("malformed HTTP status code %q", x.partial[len("HTTP/1.1 "):]))
	case x.partial != "":
		return broken(tokenOther, fmt.Sprintf("malformed HTTP response %q", x.partial))
	case x.res.Phase == assembler.HTTPHeader && x.res.InLine && !x.res.Colon:
		note += "; the text goes on with what came of the line"
		return broken(tokenOther, "malformed MIME header: missing colon:")
	case a.end == endEOF || x.res.Phase != assembler.HTTPBetween:
		return broken(tokenUnexpectedEOF, "unexpected EOF")
	}
	call := a.socketError()
	return broken(call.Error, call.Text)
}

// bodyCut: the round trip succeeded; reading the body did not.
func (a *appView) bodyCut(x *exchange) *AppOutcome {
	if x.res.Body == assembler.BodyUntilFIN && a.end == endEOF {
		return says(http1Name, tokenEOF, "EOF", "the response declares no length and ends with the connection: whether it is complete, nobody can tell")
	}
	note := "from the response's Body, " + a.cutBody(&x.res)
	if x.uploading() {
		o, others := a.uploadCut()
		note += fmt.Sprintf("; the request's body was still on its way, and its failure may come first: `%s`, %s; the Body then returns `%s` or `unexpected EOF`",
			o.Text, others, a.w.read(tokenClosed).Text)
	}
	if x.res.Phase == assembler.HTTPTrailer {
		return says(http1Name, tokenOther, trailerText(&x.res), a.gracefully(note))
	}
	token, text := a.cutText()
	return says(http1Name, token, text, a.gracefully(note))
}

// cutText is what a body's reader gets inside the body.
func (a *appView) cutText() (Token, string) {
	if a.end == endEOF {
		return tokenUnexpectedEOF, "unexpected EOF"
	}
	call := a.socketError()
	return call.Error, call.Text
}

// trailerText is what it gets behind the last chunk, whatever the end was
// (net/http.(*body).readTrailer).
func trailerText(s *assembler.HTTPState) string {
	if s.Trailer < 2 {
		return "http: unexpected EOF reading trailer"
	}
	return "http: suspiciously long trailer after chunked body"
}

// undelivered is how much of what the capture shows the receiver's kernel
// never took: behind a shut window a sender's RST bears the number that the
// receiver expected (tcp_acceptable_seq), not the one behind its last byte.
func (a *appView) undelivered() uint64 {
	if a.struck == nil {
		return 0
	}
	return uint64(max(0, int32(a.o.SndNxt-a.struck.Seq)))
}

// cutBody says how much of a body was missing.
func (a *appView) cutBody(s *assembler.HTTPState) string {
	switch {
	case s.Body == assembler.BodyLength:
		got := s.Length - s.Remaining
		return fmt.Sprintf("cut after %d of %d bytes", got-min(got, a.undelivered()), s.Length)
	case s.Phase == assembler.HTTPTrailer:
		return "cut behind the last chunk, before the line that ends it"
	case s.InChunk:
		return fmt.Sprintf("cut inside a chunk, %d bytes before its end", s.Remaining)
	case s.Body == assembler.BodyChunked:
		return "cut between chunks"
	}
	return "cut before the server ended it"
}

// http1GaveUp: the client closed with its request open. Whether a deadline
// ended it, and which one, or the program, no packet shows.
func (a *appView) http1GaveUp(x *exchange) *AppOutcome {
	if x.uploading() {
		return says(http1Name, tokenOther, "", "the client broke off in its request's body: its Body failed, whose own error the caller got; `context canceled` or `context deadline exceeded` if the request was; nothing if the process ended")
	}
	what := "before the response's header"
	others := "`context deadline exceeded (Client.Timeout exceeded while awaiting headers)` or `net/http: timeout awaiting response headers`"
	if x.begun && x.res.Phase == assembler.HTTPBody {
		what = "in the response's body"
		others = "`context deadline exceeded (Client.Timeout or context cancellation while reading body)`, or no error if it closed the Body unread"
	}
	const rest = "%s, %s; `%s` if %s; %s; nothing if the process ended"
	waited := waitedFor(a.waited())
	if a.waited() >= second {
		return says(http1Name, tokenDeadline, "context deadline exceeded", fmt.Sprintf(
			"if a deadline ended the request "+rest, waited, what, "context canceled", "the program did", "http.Client's and Transport's own timers: "+others))
	}
	return says(http1Name, tokenCanceled, "context canceled", fmt.Sprintf(
		"if the program cancelled the request "+rest, waited, what, "context deadline exceeded", "a deadline did", "http.Client's and Transport's own timers: "+others))
}

// notHTTP: the server answered a request with something else.
func (a *appView) notHTTP() *AppOutcome {
	if a.o.Bytes == 0 || a.own.Lost() {
		return nil
	}
	return says(http1Name, tokenOther, brokenConn+"malformed HTTP ", "the server does not speak HTTP; the text goes on with its first line, or what stands for a status in it")
}

// http1Server is what a handler of http.Server meets.
func (a *appView) http1Server(x *exchange) *AppOutcome {
	gone := a.end == endEOF || a.end == endReset || a.end == endGaveUp
	if !gone || a.ownFIN && !a.finBefore {
		return nil
	}
	if x.uploading() && !x.open && !a.answeredLate() {
		return nil // answered before the client went: the handler had done with the body
	}
	token, text := a.cutText()
	switch x.req.Phase {
	case assembler.HTTPStartLine, assembler.HTTPHeader:
		return a.noHandler()
	case assembler.HTTPTrailer:
		token, text = tokenOther, trailerText(&x.req)
		fallthrough
	case assembler.HTTPBody:
		return says(http1Name, token, text, a.gracefully("from Request.Body, "+a.cutBody(&x.req)+"; the request's context is cancelled"))
	}
	if !x.open && !a.answeredLate() {
		return nil
	}
	note := "the request's context, while the handler runs: net/http reads ahead and takes the client's end for its departure"
	if a.end == endEOF {
		note += ", a half-close too; Writes succeed until the client's host answers with RST, then `" + a.w.write(ePIPE).Text + "`"
	} else {
		note += "; Write returns `" + a.w.write(ePIPE).Text + "`, or the reset if it comes before the reader"
	}
	return says(http1Name, tokenCanceled, "context canceled", note)
}

// noHandler: the request's header never came to its end.
func (a *appView) noHandler() *AppOutcome {
	note := "no handler ran: the request's header was cut"
	if a.end == endEOF {
		note += "; http.Server answers 400 Bad Request and closes"
	}
	return says(http1Name, tokenNil, "", note)
}

// answeredLate reports whether the server was still sending its response when
// the client's end came.
func (a *appView) answeredLate() bool {
	at := a.o.FIN.First
	if a.struck != nil && a.end == endReset {
		at = a.struck.Stamp
	}
	return at.Seen() && a.x.LastData.Seen() && a.x.LastData.Time > at.Time
}
