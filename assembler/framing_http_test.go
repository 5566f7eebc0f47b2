package assembler

import "testing"

const chunkedHead = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip , Chunked \r\n\r\n"

func TestHTTPState(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     HTTPState
	}{
		{"request without body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			HTTPState{Messages: 1, Complete: 1}},
		{"two requests and a half", "GET / HTTP/1.1\r\n\r\n\r\nPUT /a HTTP/1.1\r\ncontent-length:3\r\n\r\nabcDEL",
			HTTPState{Messages: 2, Complete: 2, Phase: HTTPStartLine, Body: BodyLength, Length: 3}},
		{"request with half a header", "POST / HTTP/1.1\r\nContent-Length: 3\r\nHo",
			HTTPState{Messages: 1, Phase: HTTPHeader, Body: BodyLength, Length: 3, InLine: true}},
		{"request with half a body", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na",
			HTTPState{Messages: 1, Phase: HTTPBody, Body: BodyLength, Length: 3, Remaining: 2}},
		{"request to close", "GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n",
			HTTPState{Messages: 1, Complete: 1, Close: true}},
		{"request of 1.0", "GET / HTTP/1.0\r\n\r\n", HTTPState{Messages: 1, Complete: 1, Close: true}},
		{"request of 1.0 to keep alive", "GET / HTTP/1.0\r\nConnection:Keep-Alive\r\n\r\n", HTTPState{Messages: 1, Complete: 1}},
		{"upgrade and what follows", "GET / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n\x81\x85",
			HTTPState{Messages: 1, Complete: 1, Phase: HTTPTunnel, Upgrade: true}},
		{"connect and what follows", "CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03\x01",
			HTTPState{Messages: 1, Complete: 1, Phase: HTTPTunnel}},
		{"half a status line", "HTTP/1.1 2", HTTPState{Response: true, Phase: HTTPStartLine, Close: true}},
		{"half a reason", "HTTP/1.1 200 O", HTTPState{Response: true, Status: 200, Phase: HTTPStartLine, Close: true}},
		{"length", "HTTP/1.1 200 OK\r\nX-Content-Length: 1\r\nContent-Lengthy: 2\r\nContent-Length: 5 \r\nC: d\r\n\r\nab",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyLength, Length: 5, Remaining: 3}},
		{"length and nothing", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyLength, Length: 5, Remaining: 5}},
		{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
			HTTPState{Response: true, Messages: 1, Complete: 1, Status: 200, Body: BodyLength, Length: 1}},
		{"no length", "HTTP/1.1 200 OK\r\n\r\nabc",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyUntilFIN}},
		{"no content", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
			HTTPState{Response: true, Messages: 1, Complete: 1, Status: 304, Body: BodyLength, Length: 5}},
		{"interim responses", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n",
			HTTPState{Response: true, Messages: 1, Complete: 1, Status: 200, Body: BodyLength}},
		{"interim responses alone", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\n",
			HTTPState{Response: true, Interim: 2, Status: 103}},
		{"header up to a colon", "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length:",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader, InLine: true, Colon: true}},
		{"header up to another colon", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: ",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader, InLine: true, Colon: true}},
		{"header up to a colon in an odd place", "HTTP/1.1 200 OK\r\nC:",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader, InLine: true, Colon: true}},
		{"header up to a line's end", "HTTP/1.1 200 OK\r\nConnection: x\r\n",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader}},
		{"header up to a name", "HTTP/1.1 200 OK\r\nA: b\r\nDat",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader, InLine: true}},
		{"header up to its last byte", "HTTP/1.1 200 OK\r\nA: b\r\n\r",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPHeader, InLine: true}},
		{"switching protocols", "HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\nHTTP/1.1 ",
			HTTPState{Response: true, Messages: 1, Complete: 1, Status: 101, Phase: HTTPTunnel, Upgrade: true}},
		{"two answers to HEAD with length", "HTTP/1.1 200 x\r\nContent-Length: 90\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 90\r\n\r\n",
			HTTPState{Response: true, Messages: 2, Complete: 1, Status: 200, Phase: HTTPBody, Body: BodyLength, Length: 90, Remaining: 90}},
		{"answers to HEAD and GET, chunked", chunkedHead + chunkedHead + "1\r\na\r\n0\r\n\r\n",
			HTTPState{Response: true, Messages: 2, Complete: 2, Status: 200, Body: BodyChunked}},
		{"answers to HEAD and GET, no length", "HTTP/1.1 200 x\r\n\r\nHTTP/1.1 404 x\r\n\r\nHTTP/2",
			HTTPState{Response: true, Messages: 2, Complete: 1, Status: 404, Phase: HTTPBody, Body: BodyUntilFIN}},
		{"body that only begins like a status line", "HTTP/1.1 200 x\r\nContent-Length: 6\r\n\r\nHTTP/1HTTP/1.1 204 x\r\n\r\n",
			HTTPState{Response: true, Messages: 2, Complete: 2, Status: 204}},
		{"chunk size cut", chunkedHead + "1", HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyChunked}},
		{"chunk cut", chunkedHead + "1f;a=b\r\nabc",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyChunked, Remaining: 28, InChunk: true}},
		{"between chunks", chunkedHead + "3\r\nabc\r\n", HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPBody, Body: BodyChunked}},
		{"last chunk without its end", chunkedHead + "3\r\nabc\r\n0\r\n",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPTrailer, Body: BodyChunked}},
		{"last chunk and one byte", chunkedHead + "0\r\n\r",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPTrailer, Body: BodyChunked, Trailer: 1, InLine: true}},
		{"half a trailer", chunkedHead + "0\r\nX: y\r\n",
			HTTPState{Response: true, Messages: 1, Status: 200, Phase: HTTPTrailer, Body: BodyChunked, Trailer: 2}},
		{"trailer", chunkedHead + "3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n",
			HTTPState{Response: true, Messages: 1, Complete: 1, Status: 200, Body: BodyChunked}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fed(c.in)
			if f.Protocol() != AppHTTP1 || f.HTTP() != c.want {
				t.Errorf("%v\ngot  %+v\nwant %+v", f.Protocol(), f.HTTP(), c.want)
			}
			boundary := c.want.Phase == HTTPBetween || c.want.Phase == HTTPTunnel
			if f.AtBoundary() != boundary || f.Lost() {
				t.Errorf("at boundary %v, want %v; lost %v", f.AtBoundary(), boundary, f.Lost())
			}
		})
	}
}

// What net/http refuses ends the framing rather than being believed.
func TestHTTPBroken(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 x\r\nContent-Length: 18446744073709551615\r\n\r\n",
		"HTTP/1.1 200 x\r\nContent-Length: 1, 1\r\n\r\n",
		"HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 x\r\nContent-Length:\r\n\r\n",
		"HTTP/1.1 200 x\r\n\rX",
		"HTTP/1.1 2x0 x\r\n\r\n",
		"HTTP/1.1 204 x\r\n\r\nHTTP/2.0 200 x\r\n",
		"HTTP/1.1 204 x\r\n\r\nGET / HTTP/1.1\r\n",
		chunkedHead + "x\r\n",
		chunkedHead + "1\r\nab",
		chunkedHead + "ffffffffffffffff\r\n",
	} {
		if f := fed(in); f.Protocol() != AppHTTP1 || !f.Broken() || !f.Lost() {
			t.Errorf("%q: %v, broken %v, lost %v", in, f.Protocol(), f.Broken(), f.Lost())
		}
	}
}

func TestPartialStatus(t *testing.T) {
	const line = "HTTP/1.0 404"
	for n := range line {
		if got := fed(line[:n]).PartialStatus(); got != line[:n] {
			t.Errorf("%q after %q", got, line[:n])
		}
		if got := fed("HTTP/1.1 204 x\r\n\r\n" + line[:n]).PartialStatus(); got != line[:n] {
			t.Errorf("%q after a response and %q", got, line[:n])
		}
	}
	for _, in := range []string{line, line + " x\r\nA", "GET /", "GET / HTTP/1.1\r\n\r\nGE"} {
		if got := fed(in).PartialStatus(); got != "" {
			t.Errorf("%q after %q", got, in)
		}
	}
}

func TestMethod(t *testing.T) {
	f := fed("GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\n",
		"DELETE / HTTP/1.1\r\n\r\nTRACE / HTTP/1.1\r\n\r\nget / HTTP/1.1\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n")
	want := []HTTPMethod{MethodReplayable, MethodOther, MethodHead, MethodReplayable, MethodOther, MethodReplayable, MethodOther, MethodConnect}
	for i, m := range want {
		if f.Method(i) != m {
			t.Errorf("request %d: %v, want %v", i, f.Method(i), m)
		}
	}
	for range 9 {
		f.Feed([]byte("HEAD / HTTP/1.1\r\n\r\n"), 19)
	}
	for i, m := range map[int]HTTPMethod{-1: MethodOther, 0: MethodOther, 2: MethodHead, 7: MethodConnect, 16: MethodHead, 17: MethodOther} {
		if f.Method(i) != m {
			t.Errorf("request %d of 17: %v, want %v", i, f.Method(i), m)
		}
	}
}

func TestH2State(t *testing.T) {
	const (
		preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	)
	for _, c := range []struct {
		name, in string
		want     H2State
	}{
		{"preface", preface, H2State{Preface: true}},
		{"two requests", preface + settings +
			"\x00\x00\x01\x01\x05\x00\x00\x00\x01h" + "\x00\x00\x01\x01\x04\x00\x00\x00\x03h" + "\x00\x00\x02\x00\x01\x80\x00\x00\x03ab",
			H2State{Preface: true, Frames: 4, MaxStream: 3, Opened: 2, Ended: 2}},
		{"trailers open nothing", preface + settings + "\x00\x00\x01\x01\x04\x00\x00\x00\x01h" + "\x00\x00\x01\x01\x05\x00\x00\x00\x01h",
			H2State{Preface: true, Frames: 3, MaxStream: 1, Opened: 1, Ended: 1}},
		{"reset", settings + "\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x02",
			H2State{Frames: 2, Resets: 1, RSTStream: 5, RSTCode: 2}},
		{"reset behind the end", settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x05h\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x00",
			H2State{Frames: 3, MaxStream: 5, Opened: 1, Ended: 1}},
		{"cancelled by the client", preface + settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01h\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
			H2State{Preface: true, Frames: 3, MaxStream: 1, Opened: 1, Ended: 1, Resets: 1, RSTStream: 1, RSTCode: 8}},
		{"go away with a reason", settings + "\x00\x00\x0b\x07\x00\x00\x00\x00\x00\x80\x00\x00\x07\x00\x00\x00\x0bxyz" + "\x00\x00\x08\x06\x00\x00\x00\x00\x00ppppqqqq",
			H2State{Frames: 3, GoAways: 1, GoAway: 7, ErrCode: 11, Debug: true, Pings: 1}},
		{"push opens nothing", settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x02h", H2State{Frames: 2}},
		{"half a header", settings + "\x00\x00\x01\x01", H2State{Frames: 1, Header: 4}},
		{"half a frame", settings + "\x00\x00\x05\x00\x01\x00\x00\x00\x01ab", H2State{Frames: 1, Ended: 1, Missing: 3}},
		{"half a go away", settings + "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x80\x00\x00\x07\x00", H2State{Frames: 1, Missing: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := fed(c.in); f.Protocol() != AppHTTP2 || f.H2() != c.want {
				t.Errorf("%v\ngot  %+v\nwant %+v", f.Protocol(), f.H2(), c.want)
			}
		})
	}
}
