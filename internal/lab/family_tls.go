//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"hangup/internal/lab/record"
)

// tlsFamily: crypto/tls, versions 1.2 and 1.3, both ends.
func tlsFamily() (all []Scenario) {
	for _, v := range []struct {
		name    string
		version uint16
	}{{"tls12", tls.VersionTLS12}, {"tls13", tls.VersionTLS13}} {
		for _, side := range []string{record.Client, record.Server} {
			for _, f := range []func(uint16, string) Scenario{
				tlsClose, tlsHalfClose, tlsTruncated, tlsTruncatedInRecord, tlsReset, tlsLateWrite, tlsKilled,
			} {
				s := f(v.version, side)
				s.Name = v.name + "-" + s.Name
				all = append(all, s)
			}
		}
		for _, f := range []func(uint16) Scenario{
			handshakeEOF, handshakeReset, handshakeUnread, handshakeTimeout, handshakeTruncated, badCertificate, clientCertificate,
			tlsNeverReads, tlsNeverReadsLateTicket, tlsAnswerUnread, plaintextServer, plaintextClient, tlsDeadline,
		} {
			s := f(v.version)
			s.Name = v.name + "-" + s.Name
			all = append(all, s)
		}
	}
	return append(all, versionMismatch())
}

// tlsClose: close_notify and FIN; the other side's own close_notify comes
// after that FIN, and can draw a RST that nobody sees.
func tlsClose(version uint16, side string) Scenario {
	return tlsPair(Scenario{Name: "close-by-" + side, About: "the " + side + " closes with close_notify; the other side reads EOF and closes",
		Expect: eitherFIN(side)}, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		t.close()
		_ = t.readN(10)
		_ = t.writeN(10)
	}, func(l *L, t *secure) {
		l.At("watching")
		_ = t.readN(10)
		_ = t.readN(10)
		t.close()
	})
}

// tlsHalfClose: CloseWrite sends close_notify only, and no FIN.
func tlsHalfClose(version uint16, side string) Scenario {
	return tlsPair(Scenario{Name: "half-close-by-" + side, About: "the " + side + " calls CloseWrite: close_notify without FIN; the other side reads EOF, still writes, and closes",
		Expect: eitherFIN(other(side))}, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		t.closeWrite()
		_ = t.writeN(10)
		_ = t.readN(50)
		_ = t.readN(50)
		t.close()
	}, func(l *L, t *secure) {
		l.At("watching")
		_ = t.readN(10)
		_ = t.writeN(50)
		t.close()
	})
}

// tlsTruncated: FIN at a record's end, without close_notify.
func tlsTruncated(version uint16, side string) Scenario {
	return tlsPair(Scenario{Name: "truncated-by-" + side, About: "the " + side + " closes the TCP connection without close_notify: the other side reads plain EOF",
		Expect: first(truth("graceful", "orderly-close", side), side, "FIN")}, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		_ = t.raw.Close()
	}, func(l *L, t *secure) {
		l.At("watching")
		_ = t.readN(10)
		_ = t.readN(10)
		t.close()
	})
}

func tlsTruncatedInRecord(version uint16, side string) Scenario {
	s := tlsTruncated(version, side)
	s.Name = "truncated-in-record-by-" + side
	s.About = "the " + side + " closes the TCP connection in the middle of a record: the other side reads unexpected EOF"
	s.Expect = first(truth("reset", "write-after-close", other(side)), side, "FIN") // by its answer, and its alert
	return tlsPair(s, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		_, _ = t.raw.Write(append([]byte{23, 3, 3, 0, 100}, pattern(20)...))
		_ = t.raw.Close()
	}, func(l *L, t *secure) {
		l.At("watching")
		_ = t.readN(10)
		_ = t.readN(10)
		_ = t.writeN(10)
		t.close()
	})
}

// tlsReset: the error is sticky above the socket, where it is not below.
func tlsReset(version uint16, side string) Scenario {
	return tlsPair(Scenario{Name: "reset-by-" + side, About: "the " + side + " resets the connection; crypto/tls repeats the error where the socket would say EOF",
		Expect: first(truth("reset", "abortive-close", side), side, "RST"), Probes: bothOrders()}, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		t.raw.SetLinger(0)
		_ = t.raw.Close()
	}, func(l *L, t *secure) {
		l.At("watching")
		t.raw.UntilState(closed)
		for _, op := range map[string]string{reader: "rrww", writer: "wwrr"}[l.Probe] {
			if op == 'r' {
				_ = t.readN(10)
			} else {
				_ = t.writeN(10)
			}
		}
		t.close()
	})
}

func tlsLateWrite(version uint16, side string) Scenario {
	return tlsPair(Scenario{Name: "write-after-close-by-" + other(side), About: "the " + side + " closes; the other side writes twice all the same",
		Expect: first(truth("reset", "write-after-close", other(side)), side, "FIN")}, version, side, func(l *L, t *secure) {
		l.Wait("watching")
		t.close()
	}, func(l *L, t *secure) {
		l.At("watching")
		t.raw.UntilState(closeWait)
		_ = t.writeN(10)
		t.raw.settle(patience)
		_ = t.writeN(10)
		_ = t.readN(10)
		t.close()
	})
}

func tlsKilled(version uint16, side string) Scenario {
	s := tlsPair(Scenario{Name: "killed-" + side, About: "SIGKILL to the " + side + ": FIN without close_notify",
		Expect: offWire(first(truth("graceful", "orderly-close", side), side, "FIN"), "the process was killed")}, version, side,
		func(l *L, t *secure) {
			l.At("idle")
			l.Wait("never")
		}, func(l *L, t *secure) {
			l.At("watching")
			_ = t.readN(10)
			_ = t.writeN(10)
		})
	s.Network = func(n *N) {
		n.Wait("idle")
		n.Wait("watching")
		n.Kill(side)
	}
	// What the survivor writes draws a RST: it learns of it only if it asks.
	s.Expect.Conns[0].Class, s.Expect.Conns[0].Cause, s.Expect.Conns[0].By = "reset", "write-after-close", other(side)
	return s
}

// shakes is a client that only tries the handshake, then reads and writes.
func shakes(version uint16) func(*L, *Conn) {
	return func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(version))
		_ = t.handshake()
		_ = t.readN(10)
		_ = t.writeN(10)
		t.close()
	}
}

func handshakeEOF(version uint16) Scenario {
	return tlsRaw(Scenario{Name: "handshake-eof", About: "the server reads the ClientHello and closes", Expect: serverFIN()}, shakes(version), func(l *L, c *Conn) {
		_, _ = c.ReadN(4096)
		_ = c.Close()
	})
}

func handshakeReset(version uint16) Scenario {
	return tlsRaw(Scenario{Name: "handshake-reset", About: "the server reads the ClientHello and resets the connection",
		Expect: unansweredReset()}, shakes(version), func(l *L, c *Conn) {
		_, _ = c.ReadN(4096)
		c.SetLinger(0)
		_ = c.Close()
	})
}

func handshakeUnread(version uint16) Scenario {
	return tlsRaw(Scenario{Name: "handshake-unread", About: "the server closes without having read the ClientHello: RST",
		Expect: first(truth("reset", "close-with-unread-data", record.Server, "abortive-close"), record.Server, "RST")}, shakes(version), func(l *L, c *Conn) {
		c.UntilUnread(100)
		_ = c.Close()
	})
}

// handshakeTruncated: the server's answer ends inside a record.
func handshakeTruncated(version uint16) Scenario {
	return tlsRaw(Scenario{Name: "handshake-truncated", About: "the server's first record ends in the middle, by FIN", Expect: serverFIN()}, shakes(version), func(l *L, c *Conn) {
		_, _ = c.ReadN(4096)
		_, _ = c.Write([]byte{22, 3, 3, 0, 100, 2, 0, 0, 96})
		_ = c.Close()
	})
}

// handshakeTimeout: the server says nothing.
func handshakeTimeout(version uint16) Scenario {
	return tlsRaw(Scenario{Name: "handshake-timeout", About: "the server never answers the ClientHello; the client's context ends the handshake",
		Expect: offWire(clientFIN(), "the client's timeout")}, func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(version))
		_ = t.do("handshake", 0, func() (int, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			return 0, t.HandshakeContext(ctx)
		})
		t.close()
	}, func(l *L, c *Conn) {
		_, _ = c.ReadN(4096)
		_, _ = c.ReadN(4096)
		_ = c.Close()
	})
}

// badCertificate: the client does not trust the server. Who sends the alert
// closes first.
func badCertificate(version uint16) Scenario {
	e := eitherFIN(record.Client)
	e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"write-after-close", "close-with-unread-data", "simultaneous-close"}
	return tlsRaw(Scenario{Name: "bad-certificate", About: "the client does not trust the server's certificate: alert 42, and close", Expect: e}, func(l *L, c *Conn) {
		config := l.tlsConfig(version)
		config.InsecureSkipVerify, config.RootCAs = false, x509.NewCertPool()
		t := l.secureConn(c, config)
		_ = t.handshake()
		_ = t.writeN(10)
		t.close()
	}, func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(version))
		_ = t.handshake()
		_ = t.readN(10)
		_ = t.readN(10)
		t.close()
	})
}

// clientCertificate: the server wants one, the client has none. In TLS 1.3
// the client's handshake has succeeded by then.
func clientCertificate(version uint16) Scenario {
	e := eitherFIN(record.Server)
	e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"write-after-close", "close-with-unread-data", "simultaneous-close"}
	return tlsRaw(Scenario{Name: "client-certificate-required", About: "the server requires a client certificate that the client does not have: alert, and close", Expect: e}, func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(version))
		_ = t.handshake()
		_ = t.readN(10)
		_ = t.readN(10)
		t.close()
	}, func(l *L, c *Conn) {
		config := l.tlsConfig(version)
		config.ClientAuth = tls.RequireAnyClientCert
		t := l.secureConn(c, config)
		_ = t.handshake()
		_ = t.readN(10)
		t.close()
	})
}

// tlsNeverReads: what the client has not read when it closes. A Go client
// gets a TLS 1.3 session ticket only if it has a ClientSessionCache, and Go's
// server sends it in its first flight, where the handshake reads it along;
// only when it asks for a client certificate does the ticket come later, as
// other servers' tickets do.
func tlsNeverReads(version uint16) Scenario { return neverReads(version, tls.NoClientCert) }

func tlsNeverReadsLateTicket(version uint16) Scenario {
	s := neverReads(version, tls.RequestClientCert)
	s.Name += "-late-ticket"
	s.About = "as client-never-reads, but the server asks for a client certificate, and so sends its TLS 1.3 session ticket after the handshake: unread, it turns Close into RST"
	if version == tls.VersionTLS13 {
		s.Expect = first(truth("reset", "close-with-unread-data", record.Client, "abortive-close"), record.Client, "RST")
	}
	return s
}

func neverReads(version uint16, auth tls.ClientAuthType) Scenario {
	return tlsRaw(Scenario{Name: "client-never-reads", About: "the client shakes hands, writes, and closes without ever reading", Expect: clientFIN()}, func(l *L, c *Conn) {
		config := l.tlsConfig(version)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		t := l.secureConn(c, config)
		_ = t.handshake()
		_ = t.writeN(20)
		l.Wait("received")
		t.close()
	}, func(l *L, c *Conn) {
		config := l.tlsConfig(version)
		config.ClientAuth = auth
		t := l.secureConn(c, config)
		_ = t.handshake()
		_ = t.readN(20)
		c.UntilAcked()
		l.At("received")
		c.UntilState(closeWait, closed)
		c.settle(patience)
		_ = t.readN(20)
		_ = t.readN(20)
		t.close()
	})
}

// tlsAnswerUnread: the same with an answer that comes and is not read.
func tlsAnswerUnread(version uint16) Scenario {
	e := first(truth("reset", "close-with-unread-data", record.Client, "abortive-close"), record.Client, "RST")
	s := tlsPair(Scenario{Name: "answer-unread", About: "the client closes with an answer of 50 bytes unread: close_notify, and RST", Expect: e}, version, record.Client, func(l *L, t *secure) {
		t.raw.UntilUnread(50)
		t.close()
	}, func(l *L, t *secure) {
		_ = t.writeN(50)
		t.raw.UntilState(closed)
		_ = t.readN(20)
		_ = t.readN(20)
		_ = t.writeN(20)
		_ = t.writeN(20)
		t.close()
	})
	return s
}

func plaintextServer(version uint16) Scenario {
	e := clientFIN()
	e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"close-with-unread-data"}
	return tlsRaw(Scenario{Name: "plaintext-server", About: "the server speaks plain text first (an SMTP banner)", Expect: e}, shakes(version), func(l *L, c *Conn) {
		c.text("220 mail.example ESMTP\r\n")
		_, _ = c.ReadN(4096)
		_, _ = c.ReadN(4096)
		_ = c.Close()
	})
}

func plaintextClient(version uint16) Scenario {
	e := serverFIN()
	return tlsRaw(Scenario{Name: "plaintext-client", About: "the client speaks plain HTTP to a TLS server", Expect: e}, func(l *L, c *Conn) {
		c.text("GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
		_, _ = c.ReadN(100)
		_, _ = c.ReadN(100)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(version))
		_ = t.handshake()
		t.close()
	})
}

func versionMismatch() Scenario {
	e := eitherFIN(record.Server)
	return tlsRaw(Scenario{Name: "tls-version-mismatch", About: "the client speaks at most TLS 1.2, the server at least 1.3: alert 70", Expect: e}, shakes(tls.VersionTLS12), func(l *L, c *Conn) {
		t := l.secureConn(c, l.tlsConfig(tls.VersionTLS13))
		_ = t.handshake()
		t.close()
	})
}

// tlsDeadline: a read deadline is not sticky, a write deadline is.
func tlsDeadline(version uint16) Scenario {
	e := offWire(eitherFIN(record.Client), "the client's deadlines")
	e.Conns[0].AlsoIn, e.Conns[0].Also = []string{"reset"}, []string{"write-after-close", "simultaneous-close"}
	e.Conns[0].AlsoBy = []string{record.Server} // whose alert can be the first
	return tlsPair(Scenario{Name: "deadlines", About: "a Read that timed out can be repeated; after a Write that timed out every Write fails, and the next record, Close's alert, has a number that the peer cannot verify",
		Expect: e}, version, record.Client, func(l *L, t *secure) {
		_ = t.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_ = t.readN(10)
		_ = t.SetReadDeadline(time.Time{})
		l.At("late")
		_ = t.readN(10)
		_ = t.SetWriteDeadline(time.Now().Add(-time.Second))
		_ = t.writeN(10)
		_ = t.SetWriteDeadline(time.Time{})
		_ = t.writeN(10)
		t.close()
	}, func(l *L, t *secure) {
		l.Wait("late")
		_ = t.writeN(10)
		_ = t.readN(10)
		t.close()
	})
}
