//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"time"

	"golang.org/x/net/http2"

	"hangup/internal/lab/record"
)

// http2Family: HTTP/2 as net/http speaks it, in clear (h2c) and over TLS.
func http2Family() (all []Scenario) {
	for _, secure := range []bool{false, true} {
		for _, f := range []func(bool) Scenario{
			h2Plain, h2Panic, h2PanicInBody, h2ShutdownIdle, h2ShutdownBusy, h2ServerClose, h2Cancel, h2Killed, h2PathCut,
		} {
			s := f(secure)
			name := "h2c-"
			if secure {
				name = "h2-"
			}
			s.Name = name + s.Name
			s.Tail = 50 * time.Millisecond
			if secure && s.Expect.Conns[0].Class == "graceful" {
				c := &s.Expect.Conns[0] // close_notify comes before the FIN, GOAWAY and the other's alert may follow it
				c.FirstEnd, c.AlsoIn, c.Also, c.AlsoBy = either, []string{"reset"}, append(c.Also, "write-after-close"), append(c.AlsoBy, record.Client, record.Server)
			}
			all = append(all, s)
		}
	}
	return append(all, h2Raw()...)
}

// h2Client and h2Server speak nothing else.
func (l *L) h2Client(secure bool) *http.Client {
	return l.client(func(t *http.Transport) {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(!secure)
		t.Protocols.SetHTTP2(secure)
		if secure {
			t.TLSClientConfig = l.tlsConfig(tls.VersionTLS13)
		}
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 400 * time.Millisecond, PingTimeout: 400 * time.Millisecond}
	})
}

func (l *L) h2Serve(secure bool, handler http.HandlerFunc) *http.Server {
	return l.serveTLS(secure, handler, func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(!secure)
		s.Protocols.SetHTTP2(secure)
		if secure {
			s.TLSConfig = l.tlsConfig(tls.VersionTLS13)
		}
	})
}

func h2(name, about string, e record.Expect, secure bool, client func(*L, *http.Client), handler func(*L) http.HandlerFunc, server func(*L, *http.Server)) Scenario {
	return Scenario{Name: name, About: about, Expect: e,
		Client: func(l *L) { client(l, l.h2Client(secure)) },
		Server: func(l *L) {
			s := l.h2Serve(secure, handler(l))
			if server != nil {
				server(l, s)
			}
			untilTold(l)
		}}
}

func one(l *L, c *http.Client) { _, _ = l.fetch(c, "GET", nil) }

func oneAndClose(l *L, c *http.Client) {
	one(l, c)
	c.CloseIdleConnections()
}

func h2Plain(secure bool) Scenario {
	return h2("plain", "two GETs over one connection, which the client then closes", clientFIN(), secure, func(l *L, c *http.Client) {
		one(l, c)
		oneAndClose(l, c)
	}, func(*L) http.HandlerFunc { return hello }, nil)
}

func h2Panic(secure bool) Scenario {
	return h2("panic", "the handler panics: RST_STREAM, and the connection lives on", clientFIN(), secure, func(l *L, c *http.Client) {
		one(l, c)
		oneAndClose(l, c)
	}, func(l *L) http.HandlerFunc {
		calls := 0
		return func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls == 1 {
				panic(http.ErrAbortHandler)
			}
			hello(w, r)
		}
	}, nil)
}

func h2PanicInBody(secure bool) Scenario {
	return h2("panic-in-body", "the handler panics in mid-body: RST_STREAM", clientFIN(), secure, oneAndClose, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = l.respond(w, pattern(50))
			panic(http.ErrAbortHandler)
		}
	}, nil)
}

func h2ShutdownIdle(secure bool) Scenario {
	e := eitherFIN(record.Server)
	return h2("shutdown-idle", "the server is shut down while the connection is idle: GOAWAY", e, secure, func(l *L, c *http.Client) {
		one(l, c)
		l.At("fetched")
		l.Wait("shut down")
		time.Sleep(50 * time.Millisecond)
	}, func(*L) http.HandlerFunc { return hello }, func(l *L, s *http.Server) {
		l.Wait("fetched")
		shutdown(l, s)
	})
}

func shutdown(l *L, s *http.Server) {
	_ = l.App("http.shutdown", func(*record.Call) error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return s.Shutdown(ctx)
	})
	l.At("shut down")
}

func h2ShutdownBusy(secure bool) Scenario {
	e := eitherFIN(record.Client)
	return h2("shutdown-busy", "the server is shut down while a request is being handled: GOAWAY, the answer, and the end", e, secure, func(l *L, c *http.Client) {
		one(l, c)
		l.Wait("shut down")
	}, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			l.At("busy")
			time.Sleep(300 * time.Millisecond)
			hello(w, r)
		}
	}, func(l *L, s *http.Server) {
		l.Wait("busy")
		shutdown(l, s)
	})
}

func h2ServerClose(secure bool) Scenario {
	e := serverFIN()
	e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"close-with-unread-data", "abortive-close", "write-after-close"} // a frame may be unread
	return h2("server-close", "the server is closed (Server.Close) while a request is being handled", e, secure, one, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = l.respond(w, pattern(50))
			l.At("busy")
			l.requestContext(r)
		}
	}, func(l *L, s *http.Server) {
		l.Wait("busy")
		_ = l.App("http.close", func(*record.Call) error { return s.Close() })
	})
}

func h2Cancel(secure bool) Scenario {
	return h2("cancel-in-body", "the client cancels its request in mid-body: RST_STREAM, and the connection lives on", clientFIN(), secure, func(l *L, c *http.Client) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			l.Wait("half")
			time.Sleep(50 * time.Millisecond)
			cancel()
		}()
		_, _ = l.fetchContext(ctx, c, "GET", nil)
		l.Wait("noticed")
		c.CloseIdleConnections()
	}, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = l.respond(w, pattern(50))
			l.At("half")
			l.requestContext(r)
			_ = l.respond(w, pattern(50))
			l.At("noticed")
		}
	}, func(l *L, _ *http.Server) { l.Wait("noticed") })
}

func h2Killed(secure bool) Scenario {
	s := h2("server-killed-in-body", "SIGKILL to the server in mid-body: FIN", offWire(serverFIN(), "the process was killed"), secure, one, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = l.respond(w, pattern(50))
			l.At("half")
			l.Wait("never")
		}
	}, nil)
	s.Network = func(n *N) {
		n.Wait("half")
		n.Sleep(50 * time.Millisecond)
		n.Kill(record.Server)
	}
	return s
}

// h2PathCut: the transport's own ping notices.
func h2PathCut(secure bool) Scenario {
	e := offWire(first(truth("half-open", "peer-vanished", record.Unknown, "retransmission-timeout", "fin-timeout"), record.Client, "FIN"), "the transport's ping timeout")
	e.Conns[0].AlsoBy, e.Conns[0].AlsoIn = []string{record.Server}, []string{"timed-out"}
	e.Conns[0].Views = []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown,
		FirstEnd: "none", Why: "after the cut neither end's packets cross: an idle connection"}}
	s := h2("path-cut", "the path is cut in mid-body; the client's pings stay unanswered, and the transport gives up", e, secure, func(l *L, c *http.Client) {
		one(l, c)
	}, func(l *L) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = l.respond(w, pattern(50))
			l.At("half")
			l.Wait("never")
		}
	}, nil)
	s.Places = []Place{wired4}
	s.Network = func(n *N) {
		n.Wait("half")
		n.Sleep(100 * time.Millisecond)
		n.Wire("nothing passes", blackhole(true, true))
	}
	return s
}

// h2Raw: a server that speaks frames, and misbehaves.
func h2Raw() (all []Scenario) {
	for _, r := range []struct {
		name, about string
		end         func(c *Conn, f *http2.Framer)
		e           record.Expect
	}{
		{"goaway-error", "GOAWAY with ENHANCE_YOUR_CALM, then FIN", func(c *Conn, f *http2.Framer) {
			_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("slow down"))
			_ = c.Close()
		}, serverFIN()},
		{"goaway-graceful", "GOAWAY with NO_ERROR and the stream not processed, then FIN: the client retries on a new connection, where the error is real", func(c *Conn, f *http2.Framer) {
			code := http2.ErrCodeNo
			if c.number > 1 {
				code = http2.ErrCodeEnhanceYourCalm
			}
			_ = f.WriteGoAway(0, code, nil)
			_ = c.Close()
		}, record.Expect{Conns: []record.Conn{orderlyTruth(record.Server), orderlyTruth(record.Server)}}},
		{"stream-refused", "RST_STREAM with REFUSED_STREAM; then FIN", func(c *Conn, f *http2.Framer) {
			_ = f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
			time.Sleep(100 * time.Millisecond)
			_ = c.Close()
		}, serverFIN()},
		{"stream-reset", "RST_STREAM with INTERNAL_ERROR; then FIN", func(c *Conn, f *http2.Framer) {
			_ = f.WriteRSTStream(1, http2.ErrCodeInternal)
			time.Sleep(100 * time.Millisecond)
			_ = c.Close()
		}, serverFIN()},
		{"fin-instead", "FIN instead of an answer", func(c *Conn, _ *http2.Framer) { _ = c.Close() }, serverFIN()},
		{"rst-instead", "RST instead of an answer", func(c *Conn, _ *http2.Framer) {
			c.SetLinger(0)
			_ = c.Close()
		}, first(truth("reset", "abortive-close", record.Server), record.Server, "RST")},
		{"http1-instead", "an HTTP/1.1 error instead of frames, then FIN", func(c *Conn, _ *http2.Framer) {
			c.text("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
		}, serverFIN()},
	} {
		e := r.e
		if r.name == "http1-instead" {
			e = eitherFIN(record.Server)
		}
		for i := range e.Conns { // frames of the client's that nobody read make Close a RST
			e.Conns[i].AlsoBy, e.Conns[i].AlsoIn, e.Conns[i].Flag = []string{record.Client}, []string{"reset"}, ""
			e.Conns[i].Also = append(e.Conns[i].Also, "write-after-close", "close-with-unread-data", "abortive-close")
		}
		all = append(all, Scenario{Name: "h2c-" + r.name, About: "h2c: the server sends " + r.about, Expect: e, Tail: 50 * time.Millisecond,
			Client: func(l *L) { one(l, l.h2Client(false)) },
			Server: func(l *L) {
				ln := l.Listen()
				go func() {
					for {
						c, err := ln.Accept()
						if err != nil {
							return
						}
						rawH2(c.(*Conn), r.name == "http1-instead", r.end)
					}
				}()
				untilTold(l)
			}})
	}
	return all
}

// rawH2 reads the preface and the first request, then ends as told.
func rawH2(c *Conn, silent bool, end func(*Conn, *http2.Framer)) {
	f := http2.NewFramer(c, c)
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	if !silent {
		_ = f.WriteSettings()
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := frame.(*http2.HeadersFrame); ok && h.StreamEnded() {
			break
		}
	}
	end(c, f)
}
