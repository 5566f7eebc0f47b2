package readme

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWords holds what README.md says of calls that neither Read nor Write to
// what they return here and now.
func TestWords(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if v := runtime.Version(); !strings.Contains(string(readme), "Measured with "+v[:min(len(v), len("go1.26"))]) {
		t.Skipf("README.md was measured with another Go than %s, whose words may differ", v)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		call string
		do   func(dead, other *net.TCPConn, f *os.File) error
	}{
		{"`io.Copy(conn, file)`", func(dead, _ *net.TCPConn, f *os.File) error { _, err := io.Copy(dead, f); return err }},
		{"`io.Copy(file, conn)`", func(dead, _ *net.TCPConn, f *os.File) error { _, err := io.Copy(f, dead); return err }},
		{"`io.Copy(conn, other)`", func(dead, other *net.TCPConn, _ *os.File) error { _, err := io.Copy(dead, other); return err }},
		{"`io.Copy(other, conn)`", func(dead, other *net.TCPConn, _ *os.File) error { _, err := io.Copy(other, dead); return err }},
		{"`net.Buffers`'s WriteTo(conn)", func(dead, _ *net.TCPConn, _ *os.File) error {
			_, err := (&net.Buffers{[]byte("a"), []byte("b")}).WriteTo(dead)
			return err
		}},
	} {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		dead, peer := connected(t)
		other, feeder := connected(t)
		if _, err := feeder.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		reset(t, dead, peer)
		err = c.do(dead, other, f)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s returns %v", c.call, err)
			continue
		}
		words := strings.NewReplacer(file, "FILE", tuple(dead), "A->B", tuple(other), "C->D").Replace(err.Error())
		var op *net.OpError
		kind := "`*net.OpError`"
		if !errors.As(err, &op) {
			kind = "`*fs.PathError` only"
		}
		if row := "| " + c.call + " | `" + words + "` | " + kind + " |"; !strings.Contains(string(readme), row+"\n") {
			t.Errorf("README.md lacks\n%s", row)
		}
		f.Close()
	}
}

// connected is a connection over loopback, from both ends.
func connected(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

// reset lets peer reset the connection, and returns when c's kernel knows.
func reset(t *testing.T, c, peer *net.TCPConn) {
	t.Helper()
	if err := errors.Join(peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpClose = 7 // include/net/tcp_states.h
	for open := true; open; {
		if err := raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Error(err)
			}
			open = err == nil && info.State != tcpClose
		}); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

func tuple(c *net.TCPConn) string { return c.LocalAddr().String() + "->" + c.RemoteAddr().String() }
