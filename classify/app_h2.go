package classify

import (
	"fmt"

	"hangup/assembler"
)

const http2Name = "h2"

// http2 is what net/http reports of HTTP/2 in the clear.
func (a *appView) http2() *AppOutcome {
	own, peer := a.own.H2(), a.peer.H2()
	switch {
	case a.own.Lost() || a.peer.Lost():
		return nil
	case own.Preface && a.peer.Protocol() == assembler.AppHTTP1:
		return says(http2Name, tokenOther, "http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header",
			"the server speaks HTTP/1.1 only")
	case a.own.Protocol() != assembler.AppHTTP2 || a.peer.Protocol() != assembler.AppHTTP2:
		return nil
	case own.Preface:
		return a.http2Client(&own, &peer)
	}
	return a.http2Server(&peer, &own)
}

// openStreams is how many requests had neither a complete response nor a
// reset by either end, and were not refused by GOAWAY. A client resets the
// ones that were refused, too.
func openStreams(client, server *assembler.H2State) int {
	given := max(int(client.Resets), refusedStreams(client, server))
	return max(0, int(client.Opened)-int(server.Ended)-int(server.Resets)-given)
}

// refusedStreams is how many requests GOAWAY says the server did not take:
// those with numbers above its last (RFC 9113 6.8).
func refusedStreams(client, server *assembler.H2State) int {
	if server.GoAways == 0 || server.GoAway >= client.MaxStream {
		return 0
	}
	return int(client.MaxStream+1)/2 - int(server.GoAway+1)/2
}

// http2Client is what http.Transport reports to the callers whose streams
// were open at the end.
func (a *appView) http2Client(own, peer *assembler.H2State) *AppOutcome {
	if a.end == endEOF && a.x.LateData.Seen() {
		own.Resets = 0 // of streams that the connection's end had already failed
	}
	open := openStreams(own, peer)
	refused := refusedStreams(own, peer)
	switch {
	case refused == 1 && peer.ErrCode != 0 && own.MaxStream == 1:
		return says(http2Name, tokenOther, "http2: Transport received GOAWAY from server ErrCode:"+h2Code(peer.ErrCode),
			"the server did not take the connection's first request: not repeated")
	case open > 0 && (a.end == endEOF || a.end == endReset || a.end == endGaveUp):
		return a.http2Cut(peer, open)
	case open > 0 && own.Pings > peer.Pings && (a.end == endOwn || a.x.Data.Pending()):
		// The FIN of such an end may have to wait behind the PING.
		return says(http2Name, tokenOther, "http2: client connection lost",
			"if the client's PING was not answered in time (Transport's SendPingTimeout and PingTimeout): "+appCount(open, "open stream"))
	case refused > 0:
		return says(http2Name, tokenNil, "", fmt.Sprintf(
			"http.Transport sent %s, not taken by the server as its GOAWAY says, again on another connection", appCount(refused, "request")))
	case peer.Resets > 0:
		return resetStream(peer)
	case own.Resets > 0:
		return dropped(own)
	}
	return nil
}

// dropped: the client reset its own requests.
func dropped(own *assembler.H2State) *AppOutcome {
	return says(http2Name, tokenCanceled, "context canceled", fmt.Sprintf(
		"if the program cancelled: the client dropped %s by RST_STREAM; `context deadline exceeded` if a deadline did, `http2: client connection lost` if a PING went unanswered; no error if it closed the Body unread", appCount(int(own.Resets), "request")))
}

// resetStream: the server reset requests. http.Transport repeats some
// (http2canRetryError).
func resetStream(peer *assembler.H2State) *AppOutcome {
	text := fmt.Sprintf("stream error: stream ID %d; %s; received from peer", peer.RSTStream, h2Code(peer.RSTCode))
	note := fmt.Sprintf("the server reset %s; this is the last", appCount(int(peer.Resets), "stream"))
	switch {
	case harmless(peer.RSTCode):
		return nil
	case peer.RSTCode == 1 || peer.RSTCode == 7:
		return says(http2Name, tokenNil, "", note+", which http.Transport sent again; if it had a body and no GetBody, the error is `http2: Transport: cannot retry err ["+
			text+"] after Request.Body was written; define Request.GetBody to avoid this error`")
	}
	return says(http2Name, tokenOther, text, note)
}

// harmless reports whether a server's RST_STREAM with this code most likely
// followed a complete response: NO_ERROR stops the upload (RFC 9113 8.1),
// STREAM_CLOSED answers more of it.
func harmless(code uint32) bool { return code == 0 || code == 5 }

// http2Cut: the connection ended under open streams
// (http2clientConnReadLoop.cleanup).
func (a *appView) http2Cut(peer *assembler.H2State, open int) *AppOutcome {
	broken := !a.peer.AtBoundary() && a.end == endEOF
	note := appCount(open, "open stream")
	switch {
	case peer.GoAways > 0 && !broken:
		debug := `""`
		if peer.Debug {
			debug = ""
			note += "; the text goes on with the server's words"
		}
		return says(http2Name, tokenOther, fmt.Sprintf(
			"http2: server sent GOAWAY and closed the connection; LastStreamID=%d, ErrCode=%s, debug=%s", peer.GoAway, h2Code(peer.ErrCode), debug), note)
	case a.end != endEOF:
		call := a.socketError()
		note += "; `unexpected EOF` if the socket's one error met the writer of an acknowledgment or a request first"
		return says(http2Name, call.Error, call.Text, note)
	case broken:
		note += ", cut inside a frame"
	}
	return says(http2Name, tokenUnexpectedEOF, "unexpected EOF", a.gracefully(note))
}

// http2Server is what handlers meet when the client goes, or drops a request.
func (a *appView) http2Server(client, own *assembler.H2State) *AppOutcome {
	open := openStreams(client, own)
	switch {
	case open > 0 && a.end != endNone && a.end != endOwn:
		return says(http2Name, tokenCanceled, "context canceled",
			fmt.Sprintf("the context of %s; Body and ResponseWriter return `client disconnected`", appCount(open, "request")))
	case client.Resets > 0:
		return says(http2Name, tokenCanceled, "context canceled", fmt.Sprintf(
			"if a handler still ran: the client dropped %s by RST_STREAM; the last one's Body returns `stream error: stream ID %d; %s`, its ResponseWriter `http2: stream closed`, or `client disconnected` once the connection is gone",
			appCount(int(client.Resets), "request"), client.RSTStream, h2Code(client.RSTCode)))
	}
	return nil
}

// h2Code names an error code (RFC 9113 7) as net/http prints it.
func h2Code(c uint32) string {
	names := [...]string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
		"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
		"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	}
	if int64(c) < int64(len(names)) {
		return names[c]
	}
	return fmt.Sprintf("unknown error code 0x%x", c)
}
