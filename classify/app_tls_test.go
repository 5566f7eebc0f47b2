package classify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"hangup/assembler"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"example"}}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// session is one TLS connection over a loop.
type session struct {
	t        *testing.T
	l        *listener
	cc, sc   *tls.Config
	c, s     *tapped
	cln, srv *tls.Conn
}

func newSession(t *testing.T, version uint16) *session {
	t.Helper()
	x := &session{t: t, l: listen(t)}
	x.cc = &tls.Config{InsecureSkipVerify: true, ServerName: "example", MaxVersion: version}
	x.sc = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, MaxVersion: version}
	accepted := make(chan *tapped)
	go func() { accepted <- x.l.accept() }()
	var err error
	if x.c, err = x.l.dial(); err != nil {
		t.Fatal(err)
	}
	x.s = <-accepted
	x.cln, x.srv = tls.Client(x.c, x.cc), tls.Server(x.s, x.sc)
	return x
}

// shake completes the handshake, and has the client read what comes with it.
func (x *session) shake() {
	x.t.Helper()
	done := make(chan error, 1)
	go func() {
		err := x.srv.Handshake()
		if err == nil {
			_, err = x.srv.Write([]byte("welcome"))
		}
		done <- err
	}()
	_, err := io.ReadFull(x.cln, make([]byte, 7))
	if err := errors.Join(err, <-done); err != nil {
		x.t.Fatal(err)
	}
}

// readAll is what Read gives in the end, EOF included.
func readAll(r io.Reader) error {
	buf := make([]byte, 1<<14)
	for {
		if _, err := r.Read(buf); err != nil {
			return err
		}
	}
}

func eachVersion(t *testing.T, f func(t *testing.T, x *session)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) { f(t, newSession(t, v)) })
	}
}

// Ends of an established TLS connection, as its reader sees them.
func TestTLSEnds(t *testing.T) {
	for name, end := range map[string]func(x *session, from *tapped, conn *tls.Conn){
		"close_notify":        func(_ *session, _ *tapped, conn *tls.Conn) { conn.Close() },
		"FIN between records": func(_ *session, from *tapped, _ *tls.Conn) { from.Close() },
		"FIN inside a record": func(_ *session, from *tapped, conn *tls.Conn) {
			from.cut = 20
			conn.Write([]byte("hello"))
		},
		"FIN inside a record header": func(_ *session, from *tapped, conn *tls.Conn) {
			from.cut = 3
			conn.Write([]byte("hello"))
		},
		"FIN behind data": func(_ *session, from *tapped, conn *tls.Conn) {
			conn.Write([]byte("hello"))
			from.Close()
		},
		"reset": func(_ *session, from *tapped, _ *tls.Conn) { from.abort() },
		"reset behind data": func(_ *session, from *tapped, conn *tls.Conn) {
			conn.Write([]byte("hello"))
			from.abort()
		},
		"close_notify and reset": func(x *session, from *tapped, conn *tls.Conn) {
			conn.CloseWrite() // the alert, without FIN
			from.abort()
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				x.shake()
				end(x, x.s, x.srv)
				agree(t, x.c.l.facts(), Verdict{}, assembler.Client, readAll(x.cln))
			})
			eachVersion(t, func(t *testing.T, x *session) {
				x.shake()
				end(x, x.c, x.cln)
				agree(t, x.c.l.facts(), Verdict{}, assembler.Server, readAll(x.srv))
			})
		})
	}
}

// crypto/tls keeps its error, unlike the socket below it.
func TestTLSErrorStays(t *testing.T) {
	x := newSession(t, tls.VersionTLS13)
	x.shake()
	x.s.abort()
	for range 3 {
		agree(t, x.c.l.facts(), Verdict{}, assembler.Client, readAll(x.cln))
	}
}

// A client that never reads leaves a record unread, say a late session
// ticket, so that its Close resets; the server still reads close_notify first.
func TestTLSUnreadRecord(t *testing.T) {
	x := newSession(t, tls.VersionTLS13)
	done, reset := make(chan error, 1), make(chan struct{})
	go func() {
		if _, err := x.srv.Write([]byte("unread")); err != nil {
			done <- err
			return
		}
		<-reset
		done <- readAll(x.srv)
	}()
	if _, err := x.cln.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := x.c.TCPConn.Read(make([]byte, 1)); err != nil { // the record has come, and most of it stays
		t.Fatal(err)
	}
	x.cln.CloseWrite()
	x.c.l.rst(assembler.Client)
	x.c.TCPConn.Close() // unread data: RST
	close(reset)
	agree(t, x.c.l.facts(), Verdict{}, assembler.Server, <-done)
}

// Ends during the handshake.
func TestTLSHandshakeEnds(t *testing.T) {
	for name, abort := range map[string]bool{"EOF": false, "reset": true} {
		end := func(x *tapped) {
			if abort {
				x.abort()
			} else {
				x.Close()
			}
		}
		t.Run(name+" for the client", func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				go func() {
					x.s.Read(make([]byte, 4096))
					end(x.s)
				}()
				f, err := x.c.l.run(x.cln.Handshake)
				agree(t, f, Verdict{}, assembler.Client, err)
			})
		})
		t.Run(name+" for the server", func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				// All of the server's flight arrives, and no answer leaves.
				x.c.drop = 1
				go x.cln.Handshake()
				go func() {
					<-x.c.dropped
					end(x.c)
				}()
				f, err := x.c.l.run(x.srv.Handshake)
				agree(t, f, Verdict{}, assembler.Server, err)
			})
		})
		t.Run(name+" inside the server's flight", func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				x.s.cut = 300
				go x.srv.Handshake()
				f, err := x.c.l.run(x.cln.Handshake)
				agree(t, f, Verdict{}, assembler.Client, err)
			})
		})
		t.Run(name+" inside the client's hello", func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				x.c.cut = 100
				go x.cln.Handshake()
				f, err := x.c.l.run(x.srv.Handshake)
				agree(t, f, Verdict{}, assembler.Server, err)
			})
		})
	}
}

// both runs the two handshakes and gives their errors; whoever fails closes.
func (x *session) both() (client, server error) {
	done := make(chan error, 1)
	go func() {
		err := x.srv.Handshake()
		if err == nil {
			err = readAll(x.srv)
		}
		x.srv.Close()
		done <- err
	}()
	client = x.cln.Handshake()
	if client == nil {
		client = readAll(x.cln)
	}
	x.cln.Close()
	return client, <-done
}

// Alerts: what refuses, and what is refused.
func TestTLSAlerts(t *testing.T) {
	for name, prepare := range map[string]func(x *session){
		"unknown authority":     func(x *session) { x.cc.InsecureSkipVerify = false },
		"client without a cert": func(x *session) { x.sc.ClientAuth = tls.RequireAnyClientCert },
		"no common version": func(x *session) {
			x.cc.MaxVersion, x.sc.MinVersion, x.sc.MaxVersion = tls.VersionTLS12, tls.VersionTLS13, tls.VersionTLS13
		},
		"no common protocol": func(x *session) { x.cc.NextProtos, x.sc.NextProtos = []string{"a"}, []string{"b"} },
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				prepare(x)
				client, server := x.both()
				f := x.c.l.facts()
				agree(t, f, Verdict{}, assembler.Client, client)
				agree(t, f, Verdict{}, assembler.Server, server)
			})
		})
	}
}

// Late alerts: crypto/tls says close_notify in Close, also to a peer that has
// closed before.
func TestTLSLateAlert(t *testing.T) {
	for _, c := range []struct {
		name string
		last func(x *session)
		want bool
	}{
		{"alert", func(x *session) { x.cln.Close() }, true},
		{"alert without FIN", func(x *session) { x.cln.CloseWrite() }, true},
		{"data", func(x *session) { x.cln.Write([]byte("late")); x.c.Close() }, false},
		{"data and alert", func(x *session) { x.cln.Write([]byte("late")); x.cln.Close() }, false},
		{"no alert", func(x *session) { x.c.Close() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, x *session) {
				x.shake()
				x.srv.Close()
				if err := readAll(x.cln); err != io.EOF {
					t.Fatal(err)
				}
				c.last(x)
				if got := tlsLateAlert(x.c.l.facts()); got != c.want {
					t.Errorf("%v, want %v", got, c.want)
				}
			})
		})
	}
	var plain assembler.Conn
	if tlsLateAlert(&plain) {
		t.Error("an empty connection has a late alert")
	}
}

// One end speaks TLS, the other does not.
func TestTLSPlainPeer(t *testing.T) {
	t.Run("client of a plain server", func(t *testing.T) {
		x := newSession(t, 0)
		go x.s.say("220 mail ready\r\n")
		err := x.cln.Handshake()
		x.c.Close()
		agree(t, x.c.l.facts(), Verdict{}, assembler.Client, err)
	})
	t.Run("client of an h2c server", func(t *testing.T) {
		x := newSession(t, 0)
		go x.s.say("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00") // SETTINGS, unasked, as gRPC's server greets
		err := x.cln.Handshake()
		x.c.Close()
		agree(t, x.c.l.facts(), Verdict{}, assembler.Client, err)
	})
	t.Run("https client of an http server", func(t *testing.T) {
		l := listen(t)
		srv := &http.Server{}
		go srv.Serve(l)
		defer srv.Close()
		err := get(t.Context(), transport(t, l), "GET", "https://example/", nil)
		agree(t, l.first().facts(), Verdict{}, assembler.Client, err)
	})
	t.Run("tls client of an http server", func(t *testing.T) {
		x := newSession(t, 0)
		go x.s.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		err := x.cln.Handshake()
		agree(t, x.c.l.facts(), Verdict{}, assembler.Client, err)
	})
	for name, alert := range map[string]string{
		"handshake_failure": "\x15\x03\x01\x00\x02\x02\x28", "unexpected_message": "\x15\x03\x03\x00\x02\x02\x0a",
	} {
		t.Run("http client of a tls server, "+name, func(t *testing.T) {
			l := listen(t)
			go func() {
				s := l.accept()
				s.Read(make([]byte, 4096))
				s.say(alert)
				s.Close()
			}()
			err := get(t.Context(), transport(t, l), "GET", "http://example/", nil)
			agree(t, l.first().facts(), Verdict{}, assembler.Client, err)
		})
	}
}

// What http.Server logs of a failed handshake is the very error.
func TestTLSServerLog(t *testing.T) {
	var logged strings.Builder
	l := listen(t)
	srv := &http.Server{ErrorLog: log.New(&logged, "", 0), TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}}
	closed := make(chan error, 1)
	go func() { closed <- srv.ServeTLS(l, "", "") }()
	c, err := l.dial()
	if err != nil {
		t.Fatal(err)
	}
	c.cut = 100
	tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
	waitFIN(t, l.first(), assembler.Server)
	srv.Close()
	<-closed
	o := AppOutcomes(l.first().facts(), Verdict{})[assembler.Server]
	want := fmt.Sprintf("http: TLS handshake error from %s: ", c.LocalAddr())
	if o == nil || !strings.Contains(logged.String(), want+o.Text+"\n") {
		t.Errorf("outcome %+v, the server logged %q", o, logged.String())
	}
}

// The handshake that never goes on: the client's patience.
func TestTLSGaveUp(t *testing.T) {
	c := newSession(t, 0)
	done := make(chan struct{})
	go func() { c.cln.Handshake(); close(done) }()
	c.s.Read(make([]byte, 4096))
	c.c.Close()
	<-done
	f := c.c.l.facts()
	if o := AppOutcomes(f, Verdict{})[assembler.Client]; o != nil {
		t.Errorf("gave up at once: %+v, want nothing", o)
	}
	// Transport's timer itself, in facts: the socket shows nothing but time.
	f.Ends[assembler.Client].FIN.First.Time = f.Ends[assembler.Client].FirstData.Time + 10*second
	tr := &http.Transport{TLSHandshakeTimeout: 20 * time.Millisecond}
	l := listen(t)
	tr.DialContext = transport(t, l).DialContext
	agree(t, f, Verdict{}, assembler.Client, get(t.Context(), tr, "GET", "https://example/", nil))
}
