package classify

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

// pair is a connection over the loopback interface.
func pair(t *testing.T) (client, server net.Conn, w wording) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server, wording{client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()}
}

// TestWordsOfClosed compares with what package net says itself, on any system.
func TestWordsOfClosed(t *testing.T) {
	client, _, w := pair(t)
	client.Close()
	_, err := client.Read(make([]byte, 1))
	if got := w.read(tokenClosed).Text; got != err.Error() {
		t.Errorf("read: %q, net says %q", got, err)
	}
	_, err = client.Write([]byte("x"))
	if got := w.write(tokenClosed).Text; got != err.Error() {
		t.Errorf("write: %q, net says %q", got, err)
	}
}

func TestWordsOfEOF(t *testing.T) {
	client, server, w := pair(t)
	server.Close()
	_, err := client.Read(make([]byte, 1))
	if got := w.read(tokenEOF).Text; got != err.Error() {
		t.Errorf("read: %q, net says %q", got, err)
	}
}

func TestWordsOfCancelledDial(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:8080", "[2001:db8::1]:8080"} {
		w := wording{remote: netip.MustParseAddrPort(addr)}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if got := w.dial(tokenCanceled).Text; err == nil || got != err.Error() {
			t.Errorf("cancelled: %q, net says %v", got, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 0)
		_, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		cancel()
		if got := w.dial(tokenDeadline).Text; err == nil || got != err.Error() {
			t.Errorf("timed out: %q, net says %v", got, err)
		}
	}
}

func TestWordsOfClosedListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := wording{local: ln.Addr().(*net.TCPAddr).AddrPort()}
	ln.Close()
	_, err = ln.Accept()
	if got := w.accept(tokenClosed).Text; err == nil || got != err.Error() {
		t.Errorf("accept: %q, net says %v", got, err)
	}
}

// TestWordsOfNothing: nil and blocked have no text, and neither has an errno
// that no TCP socket reports.
func TestWordsOfNothing(t *testing.T) {
	var w wording
	for _, tok := range []Token{tokenNil, tokenBlocked, "ENOENT"} {
		if c := w.read(tok); c.Text != "" || c.Error != tok {
			t.Errorf("read %s: %+v", tok, c)
		}
	}
}
