package classify

import (
	"crypto/tls"
	"fmt"
	"net"

	"hangup/assembler"
)

const tlsName = "tls"

// tlsLateAlert reports whether payload behind the peer's FIN was a TLS alert
// and nothing else: the last thing crypto/tls says in Close, to a peer whose
// program has closed as well. The RST that it draws tells nobody anything,
// though it may be so quick that the FIN of this Close is never sent.
func tlsLateAlert(c *assembler.Conn) bool {
	for side := range c.Ends {
		e := &c.Ends[side]
		if !e.LateData.Seen() || e.App.Protocol() != assembler.AppTLS ||
			e.App.Lost() || !e.App.AtBoundary() {
			continue
		}
		s := e.App.TLS()
		if s.AlertLast(mayBeTLS13(c)) && e.LateData.Len == uint32(s.LastLen)+5 {
			return true
		}
	}
	return false
}

// mayBeTLS13 is false if a ServerHello selects an older version.
func mayBeTLS13(c *assembler.Conn) bool { return mayBe13(tlsVersion(c)) }

func mayBe13(version uint16) bool { return version == 0 || version >= tls.VersionTLS13 }

// tlsVersion is what the ServerHello of either direction selects, 0 if none was seen.
func tlsVersion(c *assembler.Conn) uint16 { return selected(&c.Ends[0].App, &c.Ends[1].App) }

// selected is tlsVersion by the framings of both directions.
func selected(a, b *assembler.Framing) uint16 {
	for _, f := range [...]*assembler.Framing{a, b} {
		if f.Protocol() == assembler.AppTLS && f.TLS().Selected != 0 {
			return f.TLS().Selected
		}
	}
	return 0
}

// tls is what crypto/tls reports.
func (a *appView) tls() *AppOutcome {
	own, peer := a.own.Protocol(), a.peer.Protocol()
	switch {
	case a.own.Lost() || a.peer.Lost():
		return nil
	case own == assembler.AppTLS && (peer == assembler.AppOther || peer == assembler.AppHTTP1 || peer == assembler.AppHTTP2):
		return a.tlsPlainPeer()
	case peer == assembler.AppTLS && own == assembler.AppHTTP1:
		return a.httpTLSPeer()
	case peer == assembler.AppTLS && (own == assembler.AppOther || own == assembler.AppHTTP2):
		return nil // a stranger to TLS, whose own business does not show
	}
	if o := a.tlsAlert(); o != nil {
		return o
	}
	switch a.end {
	case endEOF:
		return a.tlsEOF()
	case endReset, endGaveUp:
		return a.tlsSocketError()
	case endOwn:
		if o := a.tlsNotified(); o != nil {
			return o
		}
		return a.tlsGaveUp()
	}
	return nil
}

// tlsNotified: close_notify came before the end closed, and no FIN with it
// (crypto/tls.(*Conn).CloseWrite).
func (a *appView) tlsNotified() *AppOutcome {
	s := a.peer.TLS()
	if !a.handshakeDone() || !a.peer.AtBoundary() || !s.AlertLast(mayBeTLS13(a.c)) || a.o.LastData.Time > a.ownEnd().Time {
		return nil
	}
	return says(tlsName, tokenEOF, "EOF", "after what looks like close_notify, without FIN"+sealedNote+aboveEOF)
}

// tlsPlainPeer: bytes that begin no TLS record, in answer to TLS
// (crypto/tls.(*Conn).readRecordOrCCS, which wants five bytes to judge).
func (a *appView) tlsPlainPeer() *AppOutcome {
	if a.o.Bytes < 5 {
		return nil
	}
	note := "the peer does not speak TLS"
	if a.peer.Protocol() == assembler.AppHTTP1 && a.peer.HTTP().Response {
		note = "the peer speaks plain HTTP: net/http's client reports `http: server gave HTTP response to HTTPS client` instead"
	}
	return says(tlsName, tokenOther, "tls: first record does not look like a TLS handshake", note)
}

// httpTLSPeer: a TLS alert in answer to a plain HTTP request. net/http quotes
// it as a status line.
func (a *appView) httpTLSPeer() *AppOutcome {
	s := a.peer.TLS()
	if a.own.HTTP().Response || s.First != 21 || !s.Alerted {
		return nil
	}
	line := []byte{21, byte(s.Version >> 8), byte(s.Version), 0, 2, s.Level, s.Code}
	if s.Code == '\n' {
		line = line[:6]
	}
	return says(http1Name, tokenOther, brokenConn+fmt.Sprintf("malformed HTTP response %q", line),
		"the server speaks TLS, the client sent a plain HTTP request")
}

// tlsAlert: an error alert ends TLS for both, whatever TCP does afterwards.
// Before TLS 1.3 those of the handshake are in the clear.
func (a *appView) tlsAlert() *AppOutcome {
	own, peer := a.own.TLS(), a.peer.TLS()
	switch {
	case peer.Alerted && peer.Code != 0 && peer.Last == 21 && a.peer.AtBoundary():
		if peer.Level != 2 && !tlsIs13(a.c) {
			return nil // a warning: crypto/tls drops it
		}
		return says(tlsName, tokenOther, remoteAlert(peer.Code), "an alert of the peer's, in the clear")
	case own.Alerted && own.Level == 2 && own.Last == 21:
		return a.tlsRefused(own.Code)
	case a.sealedInHandshake(&peer):
		return says(tlsName, tokenOther, remoteAlert(42),
			"a sealed alert of the client's ended the handshake: its code does not show, bad certificate is what Go's clients send; other clients also unknown certificate authority or expired certificate; EOF if it was close_notify")
	case a.sealedInHandshake(&own):
		return a.tlsRefused(42)
	case !a.certificateMissing():
		return nil
	case a.isTLSClient():
		return says(tlsName, tokenOther, remoteAlert(116),
			"from Read, after a Handshake that returned nil: the server asked for a certificate, the client had none, and a sealed alert ended it; `EOF` if that was close_notify")
	}
	return says(tlsName, tokenOther, "tls: client didn't provide a certificate",
		"if it required one: the client had none, and the server's sealed alert ended it; no error if that was close_notify")
}

func tlsIs13(c *assembler.Conn) bool { return tlsVersion(c) >= tls.VersionTLS13 }

func remoteAlert(code uint8) string {
	return (&net.OpError{Op: "remote error", Err: tls.AlertError(code)}).Error()
}

// tlsRefused: the end sent the alert itself. Its own error says more than
// the alert does, and some of it is not on the wire.
func (a *appView) tlsRefused(code uint8) *AppOutcome {
	const goesOn = "it refused the handshake itself, with the alert %q; the text goes on with the reason, which is not on the wire"
	note := fmt.Sprintf(goesOn, tls.AlertError(code).Error())
	client := a.isTLSClient()
	switch {
	case code >= 42 && code <= 48 && code != 47 && client:
		return says(tlsName, tokenOther, "tls: failed to verify certificate: ", note)
	case code == 70 && !client:
		return says(tlsName, tokenOther, "tls: client offered only unsupported versions: ", note)
	case code == 120 && !client:
		return says(tlsName, tokenOther, "tls: client requested unsupported application protocols ", note)
	}
	return says(tlsName, tokenOther, "tls: ", note)
}

// sealedEmpty is the length of a TLS 1.3 client's Certificate message without
// a certificate: header, context, list, inner type and tag (RFC 8446 4.4.2).
const sealedEmpty = 4 + 1 + 3 + 1 + 16

// certificateMissing reports whether a TLS 1.3 client was asked for a
// certificate, had none, and the server's next words, if not close_notify,
// were the alert that says so. By then the client's Handshake had returned nil.
func (a *appView) certificateMissing() bool {
	client, server := a.own, a.peer
	if !a.isTLSClient() {
		client, server = server, client
	}
	c, s := client.TLS(), server.TLS()
	return tlsIs13(a.c) && c.FirstData == sealedEmpty && c.Data <= 3 && server.AtBoundary() && s.AlertLast(true)
}

// isTLSClient: the side that did not send the ServerHello.
func (a *appView) isTLSClient() bool {
	if a.own.TLS().Selected != 0 {
		return false
	}
	return a.peer.TLS().Selected != 0 || a.side == assembler.Client
}

// sealedInHandshake reports whether a TLS 1.3 client's first sealed record is
// an alert: it never sent Finished, which is longer (RFC 8446 4.4.4).
func (a *appView) sealedInHandshake(s *assembler.TLSState) bool {
	return tlsIs13(a.c) && s.Selected == 0 && s.Handshakes > 0 && s.Data == 1 && s.ShortData == 1 && s.Last == 23
}

// handshakeDone reports whether the end's own Handshake had returned nil.
func (a *appView) handshakeDone() bool {
	own, peer := a.own.TLS(), a.peer.TLS()
	client := &peer
	if a.isTLSClient() {
		client = &own
	}
	switch {
	case own.Handshakes == 0 && peer.Handshakes == 0:
		return true // the capture begins later
	case own.Finished && peer.Finished:
		return true
	case mayBeTLS13(a.c):
		return own.Data > 0 && peer.Data > 0 && !(client.Data == 1 && client.ShortData == 1)
	}
	return false
}

// tlsEOF: crypto/tls takes EOF between two records for the end of the data,
// with close_notify or without (readRecordOrCCS), and inside one for an error.
func (a *appView) tlsEOF() *AppOutcome {
	s := a.peer.TLS()
	switch {
	case !a.peer.AtBoundary():
		return says(tlsName, tokenUnexpectedEOF, "unexpected EOF", a.gracefully(cutRecord(&s)))
	case !a.handshakeDone():
		return says(tlsName, tokenEOF, "EOF", a.gracefully("the peer closed during the handshake: Handshake returns it, net/http passes it on"+a.ifTLS()))
	case s.AlertLast(mayBeTLS13(a.c)):
		return says(tlsName, tokenEOF, "EOF", "after what looks like close_notify"+sealedNote+aboveEOF)
	}
	return says(tlsName, tokenEOF, "EOF",
		a.gracefully("cut between two records, without close_notify: crypto/tls reports it like a proper end, so only the protocol above can tell that data is missing")+aboveEOF)
}

// aboveEOF: HTTP/2 turns EOF into io.ErrUnexpectedEOF for what is open, and
// so does an HTTP/1.1 body that is not complete.
const aboveEOF = "; net/http above it reports `unexpected EOF` to a request that was open, and `context canceled` to its handler"

const sealedNote = "; the alert is sealed: were it an error, the text would be `remote error: tls: ...`"

// cutRecord says where inside a record the stream ended.
func cutRecord(s *assembler.TLSState) string {
	if s.Header > 0 {
		return fmt.Sprintf("cut after %d of the 5 bytes of a record header", s.Header)
	}
	return fmt.Sprintf("cut inside a TLS record, %d bytes before its end", s.Missing)
}

// ifTLS is a condition: an end that sent nothing has not shown what it speaks.
func (a *appView) ifTLS() string {
	if a.own.Protocol() == assembler.AppTLS {
		return ""
	}
	return ", if this end speaks TLS, which it had no time to show"
}

// tlsSocketError: crypto/tls passes a socket's error on and keeps it for
// later Reads. What had arrived before a RST is read first, close_notify too.
func (a *appView) tlsSocketError() *AppOutcome {
	s := a.peer.TLS()
	call := a.socketError()
	if a.peer.AtBoundary() && a.handshakeDone() && s.AlertLast(mayBeTLS13(a.c)) {
		return says(tlsName, tokenEOF, "EOF", "what looks like close_notify came before the reset and is read first; Write meets the reset"+sealedNote+aboveEOF)
	}
	note := fmt.Sprintf("again from every later Read; if Write came first, that has and keeps `%s`, and Read returns `EOF`", a.w.write(call.Error).Text)
	if !a.handshakeDone() {
		note = "from Handshake; net/http passes it on" + a.ifTLS()
	}
	return says(tlsName, call.Error, call.Text, note)
}

// tlsPatience is Transport.TLSHandshakeTimeout of http.DefaultTransport, ns.
const tlsPatience = 10 * second

// tlsGaveUp: a client closed with its handshake unfinished.
func (a *appView) tlsGaveUp() *AppOutcome {
	if a.own.Protocol() != assembler.AppTLS || !a.isTLSClient() || a.handshakeDone() || !a.x.FirstData.Seen() {
		return nil
	}
	own := a.ownEnd()
	took := own.Time - a.x.FirstData.Time
	switch {
	case took > tlsPatience-second/10 && took < tlsPatience+second/2:
		return says(tlsName, tokenOther, "net/http: TLS handshake timeout",
			"if net/http with its default of 10 s gave up; `context deadline exceeded` if a deadline of the caller's did")
	case took >= second:
		return says(tlsName, tokenDeadline, "context deadline exceeded",
			"if a deadline ended the handshake, "+waitedFor(took)+"; `context canceled` if the caller did; nothing if the process ended")
	}
	return nil
}
