//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"

	"hangup/internal/lab/record"
)

// secure is a tls.Conn that records its calls, over a Conn that records the
// socket's.
type secure struct {
	*tls.Conn
	l   *L
	raw *Conn
}

// certificate makes the server's own, as small as they come.
func (l *L) certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.Fail("%v", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"lab"}, IPAddresses: []net.IP{net.ParseIP(l.Server)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		l.Fail("%v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsConfig for one version on this side. The classical key exchange keeps
// the recordings small; (Go's default
// ClientHello is about 1,500 bytes.)
func (l *L) tlsConfig(version uint16) *tls.Config {
	c := &tls.Config{MinVersion: version, MaxVersion: version, CurvePreferences: []tls.CurveID{tls.X25519}}
	if l.Role == record.Server {
		c.Certificates = []tls.Certificate{l.certificate()}
	} else {
		c.InsecureSkipVerify = true
		c.ServerName = "lab"
	}
	return c
}

func (l *L) secureConn(c *Conn, config *tls.Config) *secure {
	s := &secure{l: l, raw: c}
	if l.Role == record.Server {
		s.Conn = tls.Server(c, config)
	} else {
		s.Conn = tls.Client(c, config)
	}
	return s
}

func (s *secure) do(op string, asked int, f func() (int, error)) error {
	return s.l.Do("tls."+op, record.App, s.raw, func(call *record.Call) (err error) {
		call.Asked = asked
		call.N, err = f()
		return err
	})
}

func (s *secure) handshake() error {
	return s.do("handshake", 0, func() (int, error) { return 0, s.HandshakeContext(context.Background()) })
}

func (s *secure) readN(n int) error {
	return s.do("read", n, func() (int, error) { return s.Conn.Read(make([]byte, n)) })
}

func (s *secure) writeN(n int) error {
	return s.do("write", n, func() (int, error) { return s.Conn.Write(pattern(n)) })
}

func (s *secure) close() { _ = s.do("close", 0, func() (int, error) { return 0, s.Conn.Close() }) }

func (s *secure) closeWrite() {
	_ = s.do("closewrite", 0, func() (int, error) { return 0, s.Conn.CloseWrite() })
}

// greetTLS is the handshake, a request and its answer. In TLS 1.3 the client
// has read the session tickets with the answer.
func (s *secure) greet() {
	if err := s.handshake(); err != nil {
		s.l.Fail("handshake: %v", err)
	}
	if s.l.Role == record.Client {
		_ = s.writeN(requestSize)
		_ = s.readN(answerSize)
		s.l.At("client greeted")
		return
	}
	_ = s.readN(requestSize)
	_ = s.writeN(answerSize)
	s.raw.UntilAcked()
	s.l.At("server greeted")
}

// tlsPair is pair with an established TLS connection, greeted.
func tlsPair(s Scenario, version uint16, side string, actor, told func(*L, *secure)) Scenario {
	wrap := func(f func(*L, *secure)) func(*L, *Conn) {
		return func(l *L, c *Conn) {
			t := l.secureConn(c, l.tlsConfig(version))
			t.greet()
			f(l, t)
		}
	}
	s.Tail = 50 * time.Millisecond
	return pair(s, side, wrap(actor), wrap(told))
}

// tlsRaw is pair with TLS configured and no handshake yet.
func tlsRaw(s Scenario, client, server func(*L, *Conn)) Scenario {
	s.Tail = 50 * time.Millisecond
	return pair(s, record.Client, client, server)
}
