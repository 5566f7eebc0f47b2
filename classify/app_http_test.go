package classify

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hangup/assembler"
)

// agree compares what a program was told with what the packets say it was:
// the very text, or one of those that the note puts in its place.
func agree(t *testing.T, c *assembler.Conn, v Verdict, side assembler.Side, got error) {
	t.Helper()
	o := AppOutcomes(c, v)[side]
	text := ""
	if got != nil {
		text = got.Error()
	}
	switch {
	case o == nil:
		t.Errorf("%v: no outcome, the program got %q", side, text)
		return
	case o.Text == text && (got == nil) == (o.Error == tokenNil):
		t.Logf("%v: %+v", side, *o)
	case strings.Contains(o.Note, "`"+text+"`"):
		t.Logf("%v, by its note: %q of %+v", side, text, *o)
		return
	case strings.Contains(o.Note, "the text goes on") && strings.HasPrefix(text, o.Text):
		t.Logf("%v, its beginning: %q of %+v", side, text, *o)
	default:
		t.Errorf("%v: outcome %+v, the program got %q", side, *o, text)
		return
	}
	if want, is := sentinels[o.Error]; is && !errors.Is(got, want) {
		t.Errorf("%v: token %s, but the program's error %q (%T) is not %v", side, o.Error, text, got, want)
	}
}

var sentinels = map[Token]error{
	tokenEOF: io.EOF, tokenUnexpectedEOF: io.ErrUnexpectedEOF,
	tokenDeadline: context.DeadlineExceeded, tokenCanceled: context.Canceled,
}

// get sends a request through a Transport whose connections are tapped, reads
// the body, and gives the error without http.Client's wrapping.
func get(ctx context.Context, tr *http.Transport, method, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return unwrapURL(err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}

func transport(t *testing.T, l *listener) *http.Transport {
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial() }}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// request reads one request with its body.
func (t *tapped) request(br *bufio.Reader) {
	req, err := http.ReadRequest(br)
	if err != nil {
		t.l.t.Errorf("%v reads a request: %v", t.side, err)
		return
	}
	io.Copy(io.Discard, req.Body)
}

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// The error texts of http.Transport's callers.
func TestHTTPClient(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name   string
		method string // "" is GET
		reused bool   // a first request goes before
		answer string
		abort  bool
		eof    bool // io.Copy takes the EOF for the end it is
		silent bool // nothing to report: nil and nil
	}{
		{name: "EOF for a response"},
		{name: "reset for a response", abort: true},
		{name: "EOF for a response to POST", method: "POST"},
		{name: "EOF on a reused connection", reused: true},
		{name: "reset on a reused connection", reused: true, abort: true},
		{name: "EOF for HEAD on a reused connection", method: "HEAD", reused: true},
		{name: "EOF for POST on a reused connection", method: "POST", reused: true},
		{name: "reset for POST on a reused connection", method: "POST", reused: true, abort: true},
		{name: "EOF for DELETE on a reused connection", method: "DELETE", reused: true},
		{name: "EOF in the protocol", answer: "HT"},
		{name: "EOF before the status", answer: "HTTP/1.1"},
		{name: "EOF before the status's digits", answer: "HTTP/1.1 "},
		{name: "EOF in the status", answer: "HTTP/1.1 20"},
		{name: "EOF behind the status", answer: "HTTP/1.1 200"},
		{name: "EOF in the reason", answer: "HTTP/1.1 200 O"},
		{name: "reset in the status line", answer: "HTTP/1.1 200 O", abort: true},
		{name: "EOF in the header", answer: "HTTP/1.1 200 OK\r\nServer: x"},
		{name: "EOF behind a header line", answer: "HTTP/1.1 200 OK\r\nServer: x\r\n"},
		{name: "EOF before the header's end", answer: "HTTP/1.1 200 OK\r\nServer: x\r\n\r"},
		{name: "reset in the header", answer: "HTTP/1.1 200 OK\r\nServer: x", abort: true},
		{name: "reset behind the status line", answer: "HTTP/1.1 200 OK\r\n", abort: true},
		{name: "reset behind a header line", answer: "HTTP/1.1 200 OK\r\nServer: x\r\n", abort: true},
		{name: "reset in a field's name", answer: "HTTP/1.1 200 OK\r\nServ", abort: true},
		{name: "EOF in a field's name", answer: "HTTP/1.1 200 OK\r\nA: b\r\nCont"},
		{name: "EOF behind the status line", answer: "HTTP/1.1 200 OK\r\n"},
		{name: "reset in the status", answer: "HTTP/1.0 20", abort: true},
		{name: "reset in a chunk's size", answer: chunked + "1", abort: true},
		{name: "reset between chunks", answer: chunked + "3\r\nabc\r\n", abort: true},
		{name: "reset in the trailer", answer: chunked + "0\r\nX: y", abort: true},
		{name: "reset behind an interim response", answer: "HTTP/1.1 103 Early Hints\r\n\r\n", abort: true},
		{name: "EOF one byte into the trailer", answer: chunked + "0\r\nX"},
		{name: "EOF of a body without length", answer: "HTTP/1.1 200 OK\r\n\r\nabc", eof: true},
		{name: "EOF in the header on a reused connection", reused: true, answer: "HTTP/1.1 200 OK\r\n"},
		{name: "EOF before the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"},
		{name: "EOF in the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{name: "reset in the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", abort: true},
		{name: "EOF in the body on a reused connection", reused: true, answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{name: "EOF before a chunk", answer: chunked},
		{name: "EOF in a chunk's size", answer: chunked + "1"},
		{name: "EOF in a chunk", answer: chunked + "a\r\nabc"},
		{name: "EOF behind a chunk", answer: chunked + "3\r\nabc"},
		{name: "EOF between chunks", answer: chunked + "3\r\nabc\r\n"},
		{name: "EOF in the last chunk's size", answer: chunked + "3\r\nabc\r\n0"},
		{name: "EOF in the last chunk's line end", answer: chunked + "3\r\nabc\r\n0\r"},
		{name: "EOF behind the last chunk", answer: chunked + "3\r\nabc\r\n0\r\n"},
		{name: "EOF in the last line end", answer: chunked + "3\r\nabc\r\n0\r\n\r"},
		{name: "EOF in the trailer", answer: chunked + "3\r\nabc\r\n0\r\nX: y\r\n"},
		{name: "reset in a chunk", answer: chunked + "a\r\nabc", abort: true},
		{name: "reset behind the last chunk", answer: chunked + "3\r\nabc\r\n0\r\n", abort: true},
		{name: "reset of a body without length", answer: "HTTP/1.1 200 OK\r\n\r\nabc", abort: true},
		{name: "interim response only", answer: "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{name: "interim response only, reused", answer: "HTTP/1.1 103 Early Hints\r\n\r\n", reused: true},
		{name: "interim response and half a final one", answer: "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2"},
		{name: "complete, then EOF", answer: ok200, silent: true},
		{name: "complete on a reused connection", answer: ok200, reused: true, silent: true},
		{name: "complete to HEAD, then EOF", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", silent: true},
		{name: "complete to HEAD, chunked", method: "HEAD", answer: chunked, silent: true},
		{name: "complete without body", answer: "HTTP/1.1 204 No Content\r\n\r\n", silent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			go func() {
				s := l.accept()
				br := bufio.NewReader(s)
				if c.reused {
					s.request(br)
					s.say(ok200)
				}
				s.request(br)
				if c.answer != "" {
					s.say(c.answer)
				}
				if c.abort {
					s.heard()
					s.abort()
				} else {
					s.Close()
				}
				// Whatever is sent again is served.
				for {
					n, err := l.Accept()
					if err != nil {
						return
					}
					n.(*tapped).request(bufio.NewReader(n))
					io.WriteString(n, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
			tr := transport(t, l)
			if c.reused {
				if err := get(t.Context(), tr, "GET", "http://example/", nil); err != nil {
					t.Fatal(err)
				}
			}
			method, body := c.method, io.Reader(nil)
			if method == "POST" {
				body = strings.NewReader("data")
			}
			err := get(t.Context(), tr, method, "http://example/", body)
			if c.eof && err == nil {
				err = io.EOF
			}
			f := l.first().facts()
			if c.silent {
				if o := AppOutcomes(f, Verdict{})[assembler.Client]; o != nil || err != nil {
					t.Errorf("outcome %+v, the program got %v; want nothing of both", o, err)
				}
				return
			}
			agree(t, f, Verdict{}, assembler.Client, err)
		})
	}
}

// A server that ends the connection before it has read the request's body,
// with an answer or without: what the caller gets is a race that the note
// must describe.
func TestHTTPUpload(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		abort        bool
	}{
		{name: "reset", abort: true},
		{name: "EOF"},
		{name: "reset behind the answer", answer: "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", abort: true},
		{name: "EOF behind the answer", answer: "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"},
		{name: "reset in the answer's header", answer: "HTTP/1.1 413 Too Lar", abort: true},
		{name: "reset in the answer's body", answer: "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\nabc", abort: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			go func() {
				s := l.accept()
				buf := make([]byte, 512)
				s.Read(buf)
				s.say(c.answer)
				if c.abort {
					s.abort() // what Close does with unread data
					return
				}
				s.CloseWrite()
				io.Copy(io.Discard, s)
			}()
			err := get(t.Context(), transport(t, l), "POST", "http://example/", strings.NewReader(strings.Repeat("x", 16<<20)))
			if f := l.first().facts(); err == nil && f.Ends[assembler.Client].App.AtBoundary() {
				return // all of it fitted in the buffers
			}
			agree(t, l.first().facts(), Verdict{}, assembler.Client, err)
		})
	}
}

// The client gives up, with a deadline or without.
func TestHTTPGaveUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string
		wait   time.Duration // for the deadline; 0 is a cancellation
	}{
		{"cancelled", "", 0},
		{"cancelled in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0},
		{"deadline", "", time.Second},
		{"short deadline", "", 50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			ctx, cancel := context.WithCancel(t.Context())
			if c.wait > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), c.wait)
			}
			defer cancel()
			go func() {
				s := l.accept()
				s.request(bufio.NewReader(s))
				s.say(c.answer)
				if c.wait == 0 {
					s.heard()
					cancel()
				}
				io.Copy(io.Discard, s)
				s.Close()
			}()
			err := get(ctx, transport(t, l), "GET", "http://example/", nil)
			waitFIN(t, l.first(), assembler.Client)
			agree(t, l.first().facts(), Verdict{}, assembler.Client, err)
		})
	}
}

func waitFIN(t *testing.T, p *loop, side assembler.Side) {
	t.Helper()
	p.until("a FIN is sent", func() bool { return p.conn.Ends[side].FIN.Seen() })
}

// What a handler of http.Server meets when its client goes.
func TestHTTPServer(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct {
		name   string
		ask    string
		abort  bool
		half   bool
		none   bool // no handler runs
		silent bool // nothing to report
	}{
		{name: "gone while the handler runs", ask: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{name: "reset while the handler runs", ask: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", abort: true},
		{name: "half-closed while the handler runs", ask: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", half: true},
		{name: "gone in the body", ask: post + "Content-Length: 10\r\n\r\nabc"},
		{name: "gone before the body", ask: post + "Content-Length: 10\r\n\r\n"},
		{name: "reset in the body", ask: post + "Content-Length: 10\r\n\r\nabc", abort: true},
		{name: "gone in a chunk", ask: post + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"},
		{name: "gone between chunks", ask: post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
		{name: "gone behind the last chunk", ask: post + "Transfer-Encoding: chunked\r\n\r\n0\r\n"},
		{name: "gone in the trailer", ask: post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"},
		{name: "reset in a chunk", ask: post + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", abort: true},
		{name: "reset behind the last chunk", ask: post + "Transfer-Encoding: chunked\r\n\r\n0\r\n", abort: true},
		{name: "gone in the header", ask: "GET / HTTP/1.1\r\nHost: a\r\n", none: true},
		{name: "half-closed in the header", ask: "GET / HTTP/1.1\r\nHo", none: true, half: true},
		{name: "reset in the header", ask: "GET / HTTP/1.1\r\nHost: a\r\n", none: true, abort: true},
		{name: "gone when all was done", ask: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", silent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			told, started := make(chan error, 1), make(chan struct{}, 1)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "HEAD" {
					return
				}
				started <- struct{}{}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					told <- err
					<-r.Context().Done() // as the note says
					return
				}
				<-r.Context().Done()
				told <- r.Context().Err()
			})}
			go srv.Serve(l)
			t.Cleanup(func() { srv.Close() })
			s, err := l.dial()
			if err != nil {
				t.Fatal(err)
			}
			s.say(c.ask)
			if c.silent {
				if _, err := http.ReadResponse(bufio.NewReader(s), &http.Request{Method: "HEAD"}); err != nil {
					t.Fatal(err)
				}
			} else if !c.none {
				<-started
			}
			switch {
			case c.abort:
				s.abort()
			case c.half:
				s.CloseWrite()
			default:
				s.Close()
			}
			f := l.first().facts()
			switch {
			case c.silent:
				if o := AppOutcomes(f, Verdict{})[assembler.Server]; o != nil {
					t.Errorf("outcome %+v, want none", o)
				}
			case c.none:
				if c.half {
					if b, _ := io.ReadAll(s); !strings.HasPrefix(string(b), "HTTP/1.1 400 Bad Request") {
						t.Errorf("the server answers %q", b)
					}
				}
				p := l.first()
				p.until("the server has closed", func() bool {
					e := p.ends[assembler.Server]
					return e != nil && e.closed
				})
				if len(started) > 0 {
					t.Error("a handler ran")
				}
				agree(t, f, Verdict{}, assembler.Server, nil)
			default:
				agree(t, f, Verdict{}, assembler.Server, <-told)
			}
		})
	}
}
