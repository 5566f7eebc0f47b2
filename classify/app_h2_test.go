package classify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"hangup/assembler"
)

// h2Pair is an http.Server and a Transport that speak HTTP/2 in the clear.
type h2Pair struct {
	t   *testing.T
	l   *listener
	tr  *http.Transport
	srv *http.Server
	in  chan struct{} // a handler has begun
	out chan error    // what it got
}

func newH2(t *testing.T, handler func(p *h2Pair, w http.ResponseWriter, r *http.Request)) *h2Pair {
	t.Helper()
	p := &h2Pair{t: t, l: listen(t), in: make(chan struct{}, 9), out: make(chan error, 9)}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	p.tr = transport(t, p.l)
	p.tr.Protocols = &protocols
	p.srv = &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(p, w, r) })}
	go p.srv.Serve(p.l)
	t.Cleanup(func() { p.srv.Close() })
	return p
}

// wait blocks a handler until its request is cancelled.
func (p *h2Pair) wait(r *http.Request) {
	p.in <- struct{}{}
	<-r.Context().Done()
	p.out <- r.Context().Err()
}

const settingsAck = "\x00\x00\x00\x04\x01\x00\x00\x00\x00"

// whileOpen calls end once the request has reached its handler, and gives
// what the caller got.
func (p *h2Pair) whileOpen(ctx context.Context, body io.Reader, end func(server *tapped)) error {
	method := "GET"
	if body != nil {
		method = "POST"
	}
	got := make(chan error, 1)
	go func() { got <- get(ctx, p.tr, method, "http://example/", body) }()
	<-p.in
	p.settled(settingsAck)
	end(p.l.first().ends[assembler.Server])
	return <-got
}

// settled waits until the client has sent a frame and nothing is on its way:
// a Close with something unread would be a reset.
func (p *h2Pair) settled(frame string) {
	p.t.Helper()
	l := p.l.first()
	l.until("the connection is quiet", func() bool {
		return l.drained(assembler.Client) && l.drained(assembler.Server) && strings.Contains(l.words[assembler.Client], frame) &&
			strings.Contains(l.words[assembler.Client], settingsAck) && strings.Contains(l.words[assembler.Server], settingsAck)
	})
}

// The error texts of callers whose streams were open.
func TestH2Client(t *testing.T) {
	begin := func(w http.ResponseWriter) {
		io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
	}
	for _, c := range []struct {
		name    string
		answers bool // the response's header and part of its body
		end     func(p *h2Pair, s *tapped)
	}{
		{name: "EOF", end: func(_ *h2Pair, s *tapped) { s.Close() }},
		{name: "EOF in the body", answers: true, end: func(_ *h2Pair, s *tapped) { s.Close() }},
		{name: "reset", end: func(_ *h2Pair, s *tapped) { s.abort() }},
		{name: "reset in the body", answers: true, end: func(_ *h2Pair, s *tapped) { s.abort() }},
		{name: "EOF inside a frame", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x06\x00\x00\x00\x00\x00abc")
			s.Close()
		}},
		{name: "EOF inside a frame header", answers: true, end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x06")
			s.Close()
		}},
		{name: "GOAWAY, EOF", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00")
			s.Close()
		}},
		{name: "GOAWAY with an error, reset", answers: true, end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0b")
			s.heard()
			s.abort()
		}},
		{name: "GOAWAY with debug data, EOF", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x0b\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02bye")
			s.Close()
		}},
		{name: "GOAWAY, EOF inside a frame", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08\x06\x00\x00\x00\x00\x00abc")
			s.Close()
		}},
		{name: "GOAWAY with an error refuses the first stream", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
		}},
		{name: "RST_STREAM", end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x0b")
		}},
		{name: "RST_STREAM in the body", answers: true, end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x02")
		}},
		{name: "RST_STREAM of an unknown kind", answers: true, end: func(_ *h2Pair, s *tapped) {
			s.say("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\xff")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newH2(t, func(p *h2Pair, w http.ResponseWriter, r *http.Request) {
				if c.answers {
					begin(w)
				}
				p.wait(r)
			})
			err := p.whileOpen(t.Context(), nil, func(s *tapped) { c.end(p, s) })
			agree(t, p.l.first().facts(), Verdict{}, assembler.Client, err)
		})
	}
}

// Refused requests are sent again, if they can be.
func TestH2Refused(t *testing.T) {
	for name, code := range map[string]string{"REFUSED_STREAM": "\x07", "PROTOCOL_ERROR": "\x01"} {
		for _, body := range []io.Reader{nil, io.MultiReader(strings.NewReader("data"))} {
			t.Run(fmt.Sprintf("%s, body %v", name, body != nil), func(t *testing.T) {
				first := make(chan struct{}, 1)
				first <- struct{}{}
				p := newH2(t, func(p *h2Pair, _ http.ResponseWriter, r *http.Request) {
					select {
					case <-first:
						io.Copy(io.Discard, r.Body)
						p.wait(r)
					default:
					}
				})
				err := p.whileOpen(t.Context(), body, func(s *tapped) {
					s.say("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00" + code)
				})
				agree(t, p.l.first().facts(), Verdict{}, assembler.Client, err)
			})
		}
	}
}

// A handler that panics resets its stream and nothing else.
func TestH2Panic(t *testing.T) {
	p := newH2(t, func(p *h2Pair, _ http.ResponseWriter, _ *http.Request) {
		p.in <- struct{}{}
		panic(http.ErrAbortHandler)
	})
	err := p.whileOpen(t.Context(), nil, func(*tapped) {})
	agree(t, p.l.first().facts(), Verdict{}, assembler.Client, err)
}

// Nothing is open: nobody is told.
func TestH2Quiet(t *testing.T) {
	p := newH2(t, func(*h2Pair, http.ResponseWriter, *http.Request) {})
	for range 3 {
		if err := get(t.Context(), p.tr, "POST", "http://example/", strings.NewReader("data")); err != nil {
			t.Fatal(err)
		}
	}
	p.l.first().ends[assembler.Server].Close()
	waitFIN(t, p.l.first(), assembler.Client)
	for side, o := range AppOutcomes(p.l.first().facts(), Verdict{}) {
		if o != nil {
			t.Errorf("%v: %+v, want nothing", assembler.Side(side), *o)
		}
	}
}

// What handlers meet when the client goes.
func TestH2Server(t *testing.T) {
	type ends = func(p *h2Pair, cancel func())
	client := func(p *h2Pair) *tapped { return p.l.first().ends[assembler.Client] }
	for name, end := range map[string]ends{
		"EOF":        func(p *h2Pair, _ func()) { client(p).Close() },
		"reset":      func(p *h2Pair, _ func()) { client(p).abort() },
		"half-close": func(p *h2Pair, _ func()) { client(p).CloseWrite() },
		"cancelled and closed": func(p *h2Pair, cancel func()) {
			cancel()
			p.settled("\x00\x00\x04\x03\x00\x00\x00\x00\x01") // RST_STREAM
			client(p).Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newH2(t, func(p *h2Pair, _ http.ResponseWriter, r *http.Request) { p.wait(r) })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.whileOpen(ctx, nil, func(*tapped) { end(p, cancel) })
			agree(t, p.l.first().facts(), Verdict{}, assembler.Server, <-p.out)
		})
		t.Run(name+", body", func(t *testing.T) {
			// The note on Body and ResponseWriter.
			p := newH2(t, func(p *h2Pair, w http.ResponseWriter, r *http.Request) {
				p.in <- struct{}{}
				_, err := io.Copy(io.Discard, r.Body)
				p.out <- err
				<-r.Context().Done()
				l := p.l.first()
				l.until("the server has closed", func() bool { return l.ends[assembler.Server].closed })
				for err = nil; err == nil; {
					_, err = io.WriteString(w, strings.Repeat("x", 1<<14))
				}
				p.out <- err
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body, feeder := io.Pipe()
			defer feeder.Close()
			go io.WriteString(feeder, "data")
			p.whileOpen(ctx, body, func(*tapped) { p.settled("data"); end(p, cancel) })
			o := AppOutcomes(p.l.first().facts(), Verdict{})[assembler.Server]
			for range 2 {
				if err := <-p.out; o == nil || !strings.Contains(o.Note, "`"+err.Error()+"`") || errors.Is(err, context.Canceled) {
					t.Errorf("outcome %+v, the handler got %q", o, err)
				}
			}
		})
	}
}
