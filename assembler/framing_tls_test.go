package assembler

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// tap frames what is written to a connection.
type tap struct {
	net.Conn
	f *Framing
}

func (t tap) Write(b []byte) (int, error) {
	t.f.Feed(b, uint32(len(b)))
	return t.Conn.Write(b)
}

func certificate(t *testing.T) tls.Certificate {
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

// speak runs one TLS connection over loopback, in which the client says
// hello, and gives what both directions show.
func speak(t *testing.T, cc, sc *tls.Config) (client, server *Framing) {
	t.Helper()
	client, server = new(Framing), new(Framing)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		s := tls.Server(tap{c, server}, sc)
		io.Copy(io.Discard, s)
		s.Close()
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := tls.Client(tap{c, client}, cc)
	if _, err := s.Write([]byte("hello")); err == nil {
		s.CloseWrite()
		io.Copy(io.Discard, s)
	}
	s.Close()
	<-done
	return client, server
}

func TestTLSVersions(t *testing.T) {
	cert := certificate(t)
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		for _, alpn := range []string{"", "h2", "http/1.1"} {
			t.Run(tls.VersionName(v)+" "+alpn, func(t *testing.T) {
				sc := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: v, MaxVersion: v}
				cc := &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v}
				if alpn != "" {
					cc.NextProtos, sc.NextProtos = []string{alpn}, []string{alpn}
				}
				client, server := speak(t, cc, sc)
				c, s := client.TLS(), server.TLS()
				if s.Selected != v || c.Selected != 0 {
					t.Errorf("selected %x by server and %x by client, want %x and 0", s.Selected, c.Selected, v)
				}
				v13 := v == tls.VersionTLS13
				if s.Finished == v13 || c.Finished == v13 {
					t.Errorf("Finished in the clear: client %v, server %v", c.Finished, s.Finished)
				}
				if want := alpn == "h2" && !v13; s.H2 != want {
					t.Errorf("h2 by ALPN %v, want %v", s.H2, want)
				}
				if !c.AlertLast(v13) || !s.AlertLast(v13) || c.Alerted || s.Alerted {
					t.Errorf("want both to end in a sealed alert:\n%+v\n%+v", c, s)
				}
				if v13 && (c.Data != 3 || c.FirstData != 53 && c.FirstData != 69 || c.ShortData != 1) {
					t.Errorf("want Finished, data and an alert of the client: %+v", c)
				}
				if !client.AtBoundary() || !server.AtBoundary() || client.Missed() || server.Missed() {
					t.Errorf("client at boundary %v, server %v", client.AtBoundary(), server.AtBoundary())
				}
			})
		}
	}
}

// A rejected certificate: the alert is in the clear before TLS 1.3.
func TestTLSAlert(t *testing.T) {
	cert := certificate(t)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		sc := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: v}
		client, server := speak(t, &tls.Config{ServerName: "example", MaxVersion: v}, sc)
		c, s := client.TLS(), server.TLS()
		if v == tls.VersionTLS12 && (!c.Alerted || c.Level != 2 || c.Code != 42 || c.Last != recordAlert || c.Finished) {
			t.Errorf("1.2: want a fatal bad_certificate: %+v", c)
		}
		if v == tls.VersionTLS13 && (c.Alerted || c.FirstData != sealedAlert || c.Data != 1) {
			t.Errorf("1.3: want one sealed alert: %+v", c)
		}
		if s.Selected != v {
			t.Errorf("selected %x, want %x", s.Selected, v)
		}
	}
}

// hello builds a ServerHello of TLS 1.2 with these extensions, nil for none.
func hello(extensions []byte, more string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\xc0\x2f\x00"
	if extensions != nil {
		body += string([]byte{byte(len(extensions) >> 8), byte(len(extensions))}) + string(extensions)
	}
	msg := string([]byte{2, 0, 0, byte(len(body))}) + body + more
	return string([]byte{22, 3, 3, 0, byte(len(msg))}) + msg
}

func TestServerHello(t *testing.T) {
	const certificateMsg = "\x0b\x00\x00\x03\x00\x00\x00"
	for _, c := range []struct {
		name string
		in   string
		want uint16
	}{
		{"no extensions", hello(nil, ""), 0x0303},
		{"no extensions, another message behind it", hello(nil, certificateMsg), 0x0303},
		{"empty extensions", hello([]byte{}, certificateMsg), 0x0303},
		{"an empty extension, and 1.3", hello([]byte{0, 23, 0, 0, 0, 43, 0, 2, 3, 4}, ""), 0x0304},
		{"1.3, then others", hello([]byte{0, 43, 0, 2, 3, 4, 0, 51, 0, 1, 9}, certificateMsg), 0x0304},
		{"an extension longer than the list", hello([]byte{0, 43, 0, 9, 3, 4}, ""), 0},
		{"a list longer than the record", hello(nil, "")[:5] + "\x02\x00\x00\x28" + hello(nil, "")[9:], 0},
		{"a client's", "\x16\x03\x01\x00\x04\x01\x00\x00\x00", 0},
	} {
		f := fed(c.in)
		if got := f.TLS(); got.Selected != c.want || !f.AtBoundary() {
			t.Errorf("%s: selected %x, want %x; at boundary %v", c.name, got.Selected, c.want, f.AtBoundary())
		}
	}
	// Cut by a snaplen behind the legacy version: 1.2 is not to be concluded.
	f, in := new(Framing), hello([]byte{0, 43, 0, 2, 3, 4}, "")
	f.Feed([]byte(in[:20]), uint32(len(in)))
	if f.TLS().Selected != 0 || !f.Missed() || f.Lost() {
		t.Errorf("cut hello: selected %x, missed %v, lost %v", f.TLS().Selected, f.Missed(), f.Lost())
	}
}

// A lost stream regains its step at a lone record, and only there.
func TestRegainTLS(t *testing.T) {
	const alert = "\x15\x03\x03\x00\x1a"
	lost := func() *Framing {
		f := fed("\x16\x03\x03\x00\x01x")
		f.Skip(100)
		return f
	}
	f := lost()
	f.Feed([]byte(alert+strings.Repeat("e", 26)), 31)
	if s := f.TLS(); f.Lost() || !f.Missed() || !f.AtBoundary() || !s.AlertLast(false) {
		t.Errorf("lone alert: lost %v, missed %v, %+v", f.Lost(), f.Missed(), s)
	}
	for name, feed := range map[string]func(*Framing){
		"two records":          func(f *Framing) { f.Feed([]byte(strings.Repeat(alert+strings.Repeat("e", 26), 2)), 62) },
		"end of a longer one":  func(f *Framing) { f.Feed([]byte(alert+strings.Repeat("e", 25)), 30) },
		"no header":            func(f *Framing) { f.Feed([]byte(strings.Repeat("e", 31)), 31) },
		"header not captured":  func(f *Framing) { f.Feed([]byte(alert[:4]), 31) },
		"nothing captured":     func(f *Framing) { f.Skip(31) },
		"version out of range": func(f *Framing) { f.Feed([]byte("\x15\x03\x09\x00\x02ab"), 7) },
	} {
		f := lost()
		if feed(f); !f.Lost() {
			t.Errorf("%s: in step again", name)
		}
	}
}
