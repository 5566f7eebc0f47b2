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

// httpFamily: net/http over HTTP/1.1, both ends.
func httpFamily() (all []Scenario) {
	all = append(all, httpRefused(), httpPlain(), httpConnectionClose())
	all = append(all, idleCloseSeen("GET"), idleCloseSeen("POST"))
	for _, method := range []string{"GET", "POST"} {
		all = append(all, idleCloseRace(method, false), idleCloseRace(method, true))
	}
	all = append(all, noResponse(false), noResponse(true))
	all = append(all, truncatedBodies()...)
	all = append(all, httpPanic(false), httpPanic(true))
	all = append(all, httpShutdown(false), httpShutdown(true), httpServerClose())
	all = append(all, cancelHeaders(), cancelBody(), clientTimeoutBody(), responseHeaderTimeout(), clientIdleTimeout())
	all = append(all, readHeaderTimeout(), readTimeoutBody(), writeTimeout(), idleTimeout())
	all = append(all, earlyResponse(false), earlyResponse(true), clientGoneInUpload(), serverKilledInBody())
	return all
}

// web makes a scenario out of an HTTP client and handler.
func web(name, about string, e record.Expect, client func(*L), server func(*L)) Scenario {
	return Scenario{Name: "http-" + name, About: about, Client: client, Server: server, Expect: e, Tail: 50 * time.Millisecond}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// untilTold keeps a server going until the client has seen enough.
func untilTold(l *L) { l.Wait("client ended") }

func serverFIN() record.Expect {
	return first(truth("graceful", "orderly-close", record.Server), record.Server, "FIN")
}

func clientFIN() record.Expect {
	return first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN")
}

// eitherFIN is an orderly close that side asked for above TCP (Connection:
// close, close_notify, GOAWAY), after which either side's FIN may be first.
func eitherFIN(side string) record.Expect {
	return first(truth("graceful", "orderly-close", side), either, "")
}

func httpRefused() Scenario {
	return web("refused", "GET to a port where nobody listens", first(truth("reset", "connection-refused", record.Server), record.Server, "RST"),
		func(l *L) { _, _ = l.fetch(l.client(nil), "GET", nil) }, func(l *L) { l.At("listening") })
}

func httpPlain() Scenario {
	return web("plain", "two GETs on one connection, then the client closes its idle connections", clientFIN(), func(l *L) {
		c := l.client(nil)
		_, _ = l.fetch(c, "GET", nil)
		_, _ = l.fetch(c, "GET", nil)
		c.CloseIdleConnections()
	}, func(l *L) { l.serve(hello, nil) })
}

func httpConnectionClose() Scenario {
	return web("connection-close", "the client asks for Connection: close, and the server closes after its answer", eitherFIN(record.Server), func(l *L) {
		_, _ = l.fetch(l.client(func(t *http.Transport) { t.DisableKeepAlives = true }), "GET", nil)
	}, func(l *L) { l.serve(hello, nil) })
}

// idleCloseSeen: the FIN has arrived before the next request: the transport
// has noticed, and dials anew.
func idleCloseSeen(method string) Scenario {
	s := web("idle-close-seen-"+method, "the server closes the idle connection; the client's next "+method+", later, goes over a new one", serverFIN(), func(l *L) {
		c := l.client(nil)
		_, _ = l.fetch(c, "GET", nil)
		l.Wait("closed")
		time.Sleep(100 * time.Millisecond)
		_, _ = l.fetch(c, method, requestBody(method))
		c.CloseIdleConnections()
	}, func(l *L) {
		ln := l.Listen()
		c := ln.One()
		c.untilRequest()
		c.text(plainResponse)
		_ = c.Close()
		l.At("closed")
		c = ln.One()
		c.untilRequest()
		c.text(plainResponse)
		c.untilRequest()
		_ = c.Close()
	})
	s.Expect.Conns = append(s.Expect.Conns, orderlyTruth(record.Client))
	return s
}

func requestBody(method string) io.Reader {
	if method == "POST" {
		return bytes.NewReader(pattern(50))
	}
	return nil
}

// idleCloseRace: the server closes the idle connection while the next request
// is on its way. The FIN is held until the request has been sent.
func idleCloseRace(method string, reset bool) Scenario {
	name, about := "idle-close-race-"+method, "the server closes the idle connection while the client's next "+method+" is on its way"
	e := first(truth("reset", "write-after-close", record.Client), record.Server, "FIN")
	if reset {
		name, about = "idle-reset-race-"+method, "the server resets the idle connection while the client's next "+method+" is on its way"
		e = first(truth("reset", "abortive-close", record.Server), record.Server, "RST")
	}
	s := web(name, about+": net/http retries a GET on a new connection, and fails a POST", e, func(l *L) {
		c := l.client(nil)
		_, _ = l.fetch(c, "GET", nil)
		l.Wait("held")
		_, _ = l.fetch(c, method, requestBody(method))
		c.CloseIdleConnections()
	}, func(l *L) {
		ln := l.Listen()
		c := ln.One()
		c.untilRequest()
		c.text(plainResponse)
		if reset {
			c.UntilAcked()
			c.SetLinger(0)
		}
		_ = c.Close()
		if method == "GET" {
			c = ln.One()
			c.untilRequest()
			c.text(plainResponse)
			c.untilRequest()
			_ = c.Close()
		}
	})
	if method == "GET" {
		s.Expect.Conns = append(s.Expect.Conns, orderlyTruth(record.Client))
	}
	s.Places = wiredPlaces()
	ends := func(s Seg) bool { return hasFIN(s) || hasRST(s) }
	s.Setup = func(n *N) {
		held := false
		n.Wire("hold the server's end of the first connection until the next request is past", func(s Seg, up bool) verdict {
			switch {
			case !up && !held && ends(s):
				held = true
				return hold
			case !up && held:
				return hold // the answer to the request must not overtake
			}
			return pass
		})
	}
	s.Network = func(n *N) {
		n.Seen(record.Server, "the server's end", func(s Seg) bool { return ends(s) && s.Out })
		n.At("held")
		n.SeenTimes(2, record.Server, "the second request", func(s Seg) bool { return !s.Out && s.Len > 40 })
		n.Release()
	}
	return s
}

// unansweredReset: nothing answers what came last, so that the packets do not
// tell whether it was read.
func unansweredReset() record.Expect {
	return first(truth("reset", "abortive-close", record.Server, "close-with-unread-data"), record.Server, "RST")
}

// noResponse: a fresh connection on which the server hangs up instead of
// answering.
func noResponse(reset bool) Scenario {
	name, about, e := "no-response-fin", "the server reads the request and closes without an answer", serverFIN()
	if reset {
		name, about = "no-response-rst", "the server resets the connection instead of answering the request"
		e = unansweredReset()
	}
	return web(name, about, e, func(l *L) { _, _ = l.fetch(l.client(nil), "GET", nil) }, func(l *L) {
		c := l.Listen().One()
		c.untilRequest()
		if reset {
			c.SetLinger(0)
		}
		_ = c.Close()
		untilTold(l)
	})
}

// truncatedBodies: the answer begins and does not end as it should.
func truncatedBodies() (all []Scenario) {
	for _, b := range []struct{ name, about, text string }{
		{"short-length", "half of what Content-Length promises", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + string(pattern(50))},
		{"short-chunked", "a chunked body without its last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"},
		{"short-in-chunk", "a chunked body that ends inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01234"},
		{"short-header", "a response that ends inside its header", "HTTP/1.1 200 OK\r\nContent-Le"},
		{"no-length", "a body without length, ended by the close as it may be", "HTTP/1.1 200 OK\r\n\r\n" + string(pattern(50))},
		{"not-http", "something that is not HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n"},
	} {
		for _, reset := range []bool{false, true} {
			name, about, e := b.name, "the server sends "+b.about, serverFIN()
			if b.name == "not-http" || b.name == "short-header" || b.name == "no-length" {
				e = eitherFIN(record.Server)
			}
			if reset && b.name == "not-http" {
				continue // the client closes as soon as it has seen it: a race
			}
			if reset {
				name += "-rst"
				about += ", and resets instead of closing"
				e = first(truth("reset", "abortive-close", record.Server), record.Server, "RST")
			}
			all = append(all, web(name, about, e, func(l *L) { _, _ = l.fetch(l.client(nil), "GET", nil) }, func(l *L) {
				c := l.Listen().One()
				c.untilRequest()
				c.text(b.text)
				c.UntilAcked()
				if reset {
					c.SetLinger(0)
				}
				_ = c.Close()
				untilTold(l)
			}))
		}
	}
	return all
}

func httpPanic(inBody bool) Scenario {
	name, about := "panic", "the handler panics before it has written anything"
	if inBody {
		name, about = "panic-in-body", "the handler panics after the first half of its body"
	}
	return web(name, about, serverFIN(), func(l *L) { _, _ = l.fetch(l.client(nil), "GET", nil) }, func(l *L) {
		l.serve(func(w http.ResponseWriter, r *http.Request) {
			if inBody {
				w.Header().Set("Content-Length", "100")
				_ = l.respond(w, pattern(50))
			}
			panic(http.ErrAbortHandler)
		}, nil)
		untilTold(l)
	})
}

// httpShutdown: Shutdown with the connection idle, or with a request being
// handled.
func httpShutdown(busy bool) Scenario {
	name, about := "shutdown-idle", "the server is shut down while the connection is idle"
	if busy {
		name, about = "shutdown-busy", "the server is shut down while a request is being handled: it is answered, then the connection is closed"
	}
	return web(name, about, eitherFIN(record.Server), func(l *L) {
		c := l.client(nil)
		_, _ = l.fetch(c, "GET", nil)
		l.At("fetched")
		l.Wait("shut down")
	}, func(l *L) {
		s := l.serve(func(w http.ResponseWriter, r *http.Request) {
			if busy {
				l.At("busy")
				time.Sleep(300 * time.Millisecond)
			}
			hello(w, r)
		}, nil)
		if busy {
			l.Wait("busy")
		} else {
			l.Wait("fetched")
		}
		_ = l.App("http.shutdown", func(*record.Call) error { return s.Shutdown(context.Background()) })
		l.At("shut down")
		untilTold(l)
	})
}

// httpServerClose: Close does not wait.
func httpServerClose() Scenario {
	return web("server-close", "the server is closed (Server.Close) while a request is being handled", serverFIN(), func(l *L) {
		_, _ = l.fetch(l.client(nil), "GET", nil)
	}, func(l *L) {
		s := l.serve(func(w http.ResponseWriter, r *http.Request) {
			l.At("busy")
			l.requestContext(r)
			_ = l.respond(w, pattern(10))
		}, nil)
		l.Wait("busy")
		_ = l.App("http.close", func(*record.Call) error { return s.Close() })
		untilTold(l)
		time.Sleep(50 * time.Millisecond)
	})
}
