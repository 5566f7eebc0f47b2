//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"hangup/internal/lab/record"
)

// lateAnswer: the client has closed, and the answer draws a RST.
func lateAnswer() record.Expect {
	return first(truth("reset", "write-after-close", record.Server), record.Client, "FIN")
}

// cancelHeaders: the client stops waiting before the answer has begun. It
// has nothing unread, so that its Close is a FIN; the handler learns by its
// context.
func cancelHeaders() Scenario {
	return web("cancel-waiting", "the client cancels its request while it waits for the header; the handler answers all the same", lateAnswer(), func(l *L) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			l.Wait("busy")
			cancel()
		}()
		_, _ = l.fetchContext(ctx, l.client(nil), "GET", nil)
		l.Wait("noticed")
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			l.At("busy")
			l.requestContext(r)
			_ = l.respond(w, pattern(10))
			l.At("noticed")
		}, nil)
		l.Wait("noticed")
		untilTold(l)
	})
}

// cancelBody: the client stops in mid-body, while the server goes on
// writing: its data draws RSTs or meets unread data.
func cancelBody() Scenario {
	e := first(truth("reset", "write-after-close", record.Server, "close-with-unread-data"), record.Client, "")
	e.Conns[0].AlsoBy = []string{record.Client}
	e.Conns[0].FirstEnd = record.Client
	return web("cancel-in-body", "the client cancels its request in mid-body, while the handler goes on writing", e, func(l *L) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			l.Wait("half")
			time.Sleep(50 * time.Millisecond)
			cancel()
		}()
		_, _ = l.fetchContext(ctx, l.client(nil), "GET", nil)
		l.At("cancelled")
		l.Wait("noticed")
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10000")
			_ = l.respond(w, pattern(500))
			l.At("half")
			l.Wait("cancelled")
			for range 5 {
				if l.respond(w, pattern(100)) != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			l.requestContext(r)
			l.At("noticed")
		}, nil)
		l.Wait("noticed")
		untilTold(l)
	})
}

func clientTimeoutBody() Scenario {
	return web("client-timeout-in-body", "the client's own timeout ends the reading of a body that stalls", offWire(clientFIN(), "Client.Timeout"), func(l *L) {
		c := l.client(nil)
		c.Timeout = 400 * time.Millisecond
		_, _ = l.fetch(c, "GET", nil)
		l.Wait("noticed")
	}, stallInBody)
}

func stallInBody(l *L) {
	l.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_ = l.respond(w, pattern(50))
		l.requestContext(r)
		l.At("noticed")
	}, nil)
	l.Wait("noticed")
	untilTold(l)
}

func responseHeaderTimeout() Scenario {
	return web("response-header-timeout", "Transport.ResponseHeaderTimeout ends the wait for an answer", offWire(lateAnswer(), "the transport's timeout"), func(l *L) {
		_, _ = l.fetch(l.client(func(t *http.Transport) { t.ResponseHeaderTimeout = 300 * time.Millisecond }), "GET", nil)
		l.Wait("noticed")
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			l.requestContext(r)
			l.At("noticed")
		}, nil)
		l.Wait("noticed")
		untilTold(l)
	})
}

func clientIdleTimeout() Scenario {
	return web("client-idle-timeout", "the transport closes its idle connection (IdleConnTimeout)", offWire(clientFIN(), "IdleConnTimeout"), func(l *L) {
		_, _ = l.fetch(l.client(func(t *http.Transport) { t.IdleConnTimeout = 200 * time.Millisecond }), "GET", nil)
		time.Sleep(500 * time.Millisecond)
	}, func(l *L) { l.serve(hello, nil) })
}

// readHeaderTimeout: a client that never finishes its request's header.
func readHeaderTimeout() Scenario {
	return web("read-header-timeout", "the server's ReadHeaderTimeout ends a request whose header never ends", offWire(serverFIN(), "the server's timeout"), func(l *L) {
		c := l.Dial()
		c.text("GET / HTTP/1.1\r\nHost: x\r\n")
		c.Phase = record.Pending
		_, _ = c.ReadN(1000)
		_, _ = c.ReadN(1000)
		_ = c.Close()
	}, func(l *L) {
		l.serve(hello, func(s *http.Server) { s.ReadHeaderTimeout = 300 * time.Millisecond })
		untilTold(l)
	})
}

func readTimeoutBody() Scenario {
	e := offWire(eitherFIN(record.Server), "the server's timeout")
	return web("read-timeout-in-body", "the server's ReadTimeout ends the reading of a request body that stalls", e, func(l *L) {
		c := l.Dial()
		c.text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		_, _ = c.ReadN(1000)
		_, _ = c.ReadN(1000)
		_ = c.Close()
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			_ = l.receiveBody(r)
			_ = l.respond(w, pattern(10))
		}, func(s *http.Server) { s.ReadTimeout = 400 * time.Millisecond })
		untilTold(l)
	})
}

func writeTimeout() Scenario {
	return web("write-timeout", "the handler takes longer than the server's WriteTimeout: the connection is closed without an answer", offWire(serverFIN(), "the server's timeout"), func(l *L) {
		_, _ = l.fetch(l.client(nil), "GET", nil)
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(500 * time.Millisecond)
			_ = l.respond(w, pattern(10))
		}, func(s *http.Server) { s.WriteTimeout = 300 * time.Millisecond })
		untilTold(l)
	})
}

func idleTimeout() Scenario {
	return web("idle-timeout", "the server closes the idle connection (IdleTimeout)", offWire(serverFIN(), "IdleTimeout"), func(l *L) {
		c := l.client(nil)
		_, _ = l.fetch(c, "GET", nil)
		time.Sleep(600 * time.Millisecond)
		l.At("waited")
	}, func(l *L) {
		l.serve(hello, func(s *http.Server) { s.IdleTimeout = 300 * time.Millisecond })
		untilTold(l)
	})
}

// earlyResponse: the handler answers without reading the upload. Of a small
// body net/http's server reads the rest by itself; before a large one it
// closes its sending half at once, and waits 500 ms before it closes.
func earlyResponse(large bool) Scenario {
	name, about, e := "early-response-small", "the handler answers 413 without reading a body of 64 KB, which the server then reads by itself", clientFIN()
	if large {
		name, about, e = "early-response-large", "the handler answers 413 to an upload of 1 MB of which 20 KB have come: the connection is closed by both", eitherFIN(record.Server)
		e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"close-with-unread-data", "abortive-close"}
	}
	s := web(name, about, e, func(l *L) {
		c := l.client(nil)
		var body io.Reader = bytes.NewReader(make([]byte, 64<<10))
		if large {
			answered := make(chan struct{})
			defer close(answered)
			body = sized{io.MultiReader(bytes.NewReader(make([]byte, 20<<10)), blockedReader{answered}), 1 << 20}
		}
		_, _ = l.fetch(c, "POST", body)
		time.Sleep(700 * time.Millisecond)
		c.CloseIdleConnections()
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}, nil)
		untilTold(l)
	})
	s.Snap = 96 // of kilobytes of zeroes
	return s
}

// blockedReader has nothing to give until the channel is closed.
type blockedReader struct{ until <-chan struct{} }

func (b blockedReader) Read([]byte) (int, error) {
	<-b.until
	return 0, io.EOF
}

// clientGoneInUpload: the client's body fails, and with it the request.
func clientGoneInUpload() Scenario {
	return web("upload-abandoned", "the client's request body ends early: it closes in mid-request, and the handler reads unexpected EOF", lateAnswer(), func(l *L) {
		body := io.MultiReader(bytes.NewReader(pattern(50)), failingReader{})
		_, _ = l.fetch(l.client(nil), "POST", body)
		l.Wait("noticed")
	}, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			_ = l.receiveBody(r)
			l.At("noticed")
			_ = l.respond(w, pattern(10))
		}, nil)
		l.Wait("noticed")
		untilTold(l)
	})
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func serverKilledInBody() Scenario {
	s := web("server-killed-in-body", "SIGKILL to the server in mid-body: its kernel sends FIN, and the client reads unexpected EOF",
		offWire(serverFIN(), "the process was killed"),
		func(l *L) { _, _ = l.fetch(l.client(nil), "GET", nil) }, func(l *L) {
			l.serve(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				_ = l.respond(w, pattern(50))
				l.At("half")
				l.Wait("never")
			}, nil)
			l.Wait("never")
		})
	s.Network = func(n *N) {
		n.Wait("half")
		n.Kill(record.Server)
	}
	return s
}
