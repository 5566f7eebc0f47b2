//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"hangup/internal/lab/record"
)

// client is an http.Client over recorded connections.
func (l *L) client(tune func(*http.Transport)) *http.Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := l.DialWith(DialOpt{Context: ctx})
		if err != nil {
			return nil, err // a nil *Conn must not become a net.Conn
		}
		return c, nil
	}}
	if tune != nil {
		tune(t)
	}
	return &http.Client{Transport: t}
}

// fetch records the round trip and, if there is a response, the reading of
// its body; n is what was read of it.
func (l *L) fetch(c *http.Client, method string, body io.Reader) (n int64, err error) {
	return l.fetchContext(context.Background(), c, method, body)
}

func (l *L) fetchContext(ctx context.Context, c *http.Client, method string, body io.Reader) (n int64, err error) {
	scheme := "http"
	if t, ok := c.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+l.Addr(serverPort)+"/", body)
	if err != nil {
		l.Fail("%v", err)
	}
	if s, ok := body.(sized); ok {
		req.ContentLength = s.size
	}
	var resp *http.Response
	err = l.App("http."+strings.ToLower(method), func(call *record.Call) error {
		var err error
		resp, err = c.Do(req)
		if resp != nil {
			call.Note = resp.Proto + " " + resp.Status
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	err = l.App("http.body", func(call *record.Call) error {
		var err error
		n, err = io.Copy(io.Discard, resp.Body)
		call.N = int(n)
		return err
	})
	_ = resp.Body.Close()
	return n, err
}

// sized is a request body that announces its length.
type sized struct {
	io.Reader
	size int64
}

// serve starts an http.Server on a recorded listener. Its own log would only
// repeat what the calls say.
func (l *L) serve(handler http.HandlerFunc, tune func(*http.Server)) *http.Server {
	return l.serveTLS(false, handler, tune)
}

func (l *L) serveTLS(secure bool, handler http.HandlerFunc, tune func(*http.Server)) *http.Server {
	s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	if tune != nil {
		tune(s)
	}
	ln := l.Listen()
	go func() {
		_ = l.App("http.serve", func(*record.Call) error {
			if secure {
				return s.ServeTLS(ln, "", "")
			}
			return s.Serve(ln)
		})
	}()
	return s
}

// respond records what a handler's Write says.
func (l *L) respond(w http.ResponseWriter, b []byte) error {
	return l.App("http.respond", func(call *record.Call) error {
		call.Asked = len(b)
		n, err := w.Write(b)
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		call.N = n
		return err
	})
}

// receive records what a handler reads of its request's body.
func (l *L) receiveBody(r *http.Request) error {
	return l.App("http.requestbody", func(call *record.Call) error {
		n, err := io.Copy(io.Discard, r.Body)
		call.N = int(n)
		return err
	})
}

// requestContext records how the request's context ended.
func (l *L) requestContext(r *http.Request) {
	_ = l.App("http.context", func(*record.Call) error {
		select {
		case <-r.Context().Done():
			return context.Cause(r.Context())
		case <-time.After(3 * time.Second):
			return errors.New("lab: the request's context did not end")
		}
	})
}

// text writes a string in one call.
func (c *Conn) text(s string) { _, _ = c.Write([]byte(s)) }

// untilRequest reads an HTTP/1.1 request without a body.
func (c *Conn) untilRequest() bool {
	b := make([]byte, 4096)
	for got := ""; !strings.Contains(got, "\r\n\r\n"); {
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		got += string(b[:n])
	}
	return true
}

const plainResponse = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
