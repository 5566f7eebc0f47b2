package metrics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ask sends a request as it stands and returns status and body.
func ask(t *testing.T, s *Server, request string) (int, http.Header, string) {
	t.Helper()
	c, err := net.Dial(s.Addr().Network(), s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, request)
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return r.StatusCode, r.Header, string(body)
}

func TestWhatIsServed(t *testing.T) {
	s := serve(t, lived(t), "127.0.0.1:0")
	for _, c := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "hangup_build_info"},
		{"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, ""},
		{"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "ok\n"},
		{"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, ""},
		{"GET /metrics?name=x HTTP/1.0\r\n\r\n", 200, "hangup_build_info"},
		{"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi", 405, "only GET and HEAD\n"},
		{"DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "only GET and HEAD\n"},
		{"TRACE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "only GET and HEAD\n"},
		{"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n", 404, ""},
		{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"GET /metrics/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"GET //metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"GET /healthz/../metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, ""},
		{"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 3*maxHeader) + "\r\n\r\n", 431, ""},
		{"GET /metrics HTTP/1.1\r\n\r\n", 400, ""},
	} {
		status, header, body := ask(t, s, c.request)
		if status != c.status || !strings.Contains(body, c.body) || c.body == "" && status == 200 && body != "" {
			t.Errorf("%.60q: %d %.80q, want %d %q", c.request, status, body, c.status, c.body)
		}
		if status == 405 && header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%.60q: Allow %q", c.request, header.Get("Allow"))
		}
	}
}

func TestHostHeader(t *testing.T) {
	loopback := serve(t, New(Config{}), "127.0.0.1:0")
	everywhere := serve(t, New(Config{}), "0.0.0.0:0")
	for _, c := range []struct {
		host                 string
		loopback, everywhere int
	}{
		{"localhost", 200, 200},
		{"LOCALHOST:9317", 200, 200},
		{"localhost.", 200, 200},
		{"127.0.0.1:9317", 200, 200},
		{"127.0.0.1", 200, 200},
		{"[::1]:9317", 200, 200},
		{"[::1]", 200, 200},
		{"192.0.2.1:80", 200, 200}, // through a tunnel or a forwarded port
		{"evil.example", 421, 200},
		{"evil.example:9317", 421, 200},
		{"localhost.evil.example", 421, 200},
		{"127.0.0.1.evil.example:9317", 421, 200},
		{"0x7f.1", 421, 200},
	} {
		request := "GET /healthz HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n"
		if status, _, body := ask(t, loopback, request); status != c.loopback {
			t.Errorf("on loopback, Host %s: %d %q, want %d", c.host, status, body, c.loopback)
		}
		if status, _, body := ask(t, everywhere, request); status != c.everywhere {
			t.Errorf("on all addresses, Host %s: %d %q, want %d", c.host, status, body, c.everywhere)
		}
	}
}

func TestHostNameAsConfigured(t *testing.T) {
	h := hosts{name: "metrics.example"}
	if !h.allow("Metrics.Example:9317") || h.allow("example") || h.allow("x.metrics.example") {
		t.Error("the name that was given, and only that, is to be answered")
	}
}

func TestLoopbackUnlessSaid(t *testing.T) {
	for _, addr := range []string{"0", ":0", "localhost:0", "127.0.0.1:0"} {
		s := serve(t, New(Config{}), addr)
		if ip := s.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() || s.Warning() != "" {
			t.Errorf("--metrics %s listens on %s, warning %q", addr, s.Addr(), s.Warning())
		}
	}
	s := serve(t, New(Config{}), "0.0.0.0:0")
	if !strings.Contains(s.Warning(), "0.0.0.0:0") || !strings.Contains(s.Warning(), "firewall") {
		t.Errorf("warning %q", s.Warning())
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ addr, want, err string }{
		{"9317", "127.0.0.1:9317", ""},
		{":9317", "127.0.0.1:9317", ""},
		{"[::1]:9317", "::1:9317", ""},
		{"metrics.example:80", "metrics.example:80", ""},
		{"unix:/run/x", "/run/x", ""},
		{"", "", "neither HOST:PORT nor a port"},
		{"localhost", "", "127.0.0.1:9317"},
		{"::1:9317", "", "[::1]:9317"},
		{"127.0.0.1:", "", "is no port"},
		{"127.0.0.1:http", "", "is no port"},
		{"70000", "", "65535"},
		{"-1", "", "neither"},
		{"*:9317", "", "0.0.0.0:9317"},
		{"unix:", "", "unix:/run/hangup/metrics.sock"},
		{"http://127.0.0.1:9317", "", "not HOST:PORT"},
	} {
		a, err := parseAddress(c.addr)
		got := a.unix
		if got == "" {
			got = fmt.Sprintf("%s:%d", a.host, a.port)
		}
		if c.err == "" && (err != nil || got != c.want) {
			t.Errorf("%q: %s, %v, want %s", c.addr, got, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "--metrics ")) {
			t.Errorf("%q: %v, want %q", c.addr, err, c.err)
		}
	}
}

func TestServeErrors(t *testing.T) {
	taken := serve(t, New(Config{}), "0").Addr().String()
	for _, c := range []struct{ addr, err string }{
		{taken, "another program listens there"},
		{"192.0.2.1:9317", "192.0.2.1"},
		{"no-such-name.invalid:9317", "no-such-name.invalid"},
	} {
		s, err := New(Config{}).Serve(c.addr)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "--metrics "+c.addr) {
			t.Errorf("%s: %v", c.addr, err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: modes of sockets are those of Unix")
	}
	dir, err := os.MkdirTemp("", "") // t.TempDir is too long for a socket on macOS
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "m")
	s := serve(t, lived(t), "unix:"+path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if status, _, body := ask(t, s, "GET /metrics HTTP/1.1\r\nHost: any.example\r\n\r\n"); status != 200 || !strings.Contains(body, "hangup_") {
		t.Errorf("%d %.80q", status, body)
	}
	if _, err := New(Config{}).Serve("unix:" + path); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("taken: %v", err)
	}
	s.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}

	left, err := net.Listen("unix", path) // as a killed process leaves it
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	serve(t, New(Config{}), "unix:"+path).Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{}).Serve("unix:" + path); err == nil || !strings.Contains(err.Error(), "file of that name") {
		t.Errorf("a file: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file was overwritten")
	}
	if _, err := New(Config{}).Serve("unix:" + filepath.Join(dir, "none", "m")); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("no directory: %v", err)
	}
}

func TestHealth(t *testing.T) {
	m := New(Config{})
	s := serve(t, m, "0")
	request := "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	m.Healthy(func() error { return errors.New("eth0: no block from the ring for 31 s") })
	if status, _, body := ask(t, s, request); status != 503 || body != "eth0: no block from the ring for 31 s\n" {
		t.Errorf("stalled: %d %q", status, body)
	}
	want(t, scrape(t, s), "hangup_healthy", map[string]float64{"": 0})
	m.Healthy(func() error { return nil })
	if status, _, _ := ask(t, s, request); status != 200 {
		t.Errorf("again well: %d", status)
	}
	want(t, scrape(t, s), "hangup_healthy", map[string]float64{"": 1})
}

// Who connects and says nothing, or reads nothing, is hung up on.
func TestTimeoutsAreSet(t *testing.T) {
	h := serve(t, New(Config{}), "0").http
	for name, d := range map[string]time.Duration{
		"ReadHeaderTimeout": h.ReadHeaderTimeout, "ReadTimeout": h.ReadTimeout,
		"WriteTimeout": h.WriteTimeout, "IdleTimeout": h.IdleTimeout,
	} {
		if d <= 0 || d > 2*time.Minute {
			t.Errorf("%s is %v", name, d)
		}
	}
	if h.ErrorLog == nil {
		t.Error("strangers can write to standard error")
	}
}

func TestSilentClientIsHungUpOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}).server(l, hosts{})
	s.http.ReadHeaderTimeout = 20 * time.Millisecond
	s.start()
	t.Cleanup(func() { s.Close() })
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: ")
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("still waiting for the rest of the request")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	m := New(Config{})
	s := serve(t, m, "0")
	silent := make([]net.Conn, maxConns)
	for i := range silent {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// Answered once: the server has accepted it, and it stays open.
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		silent[i] = c
	}
	one := func() error {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return err
	}
	if one() == nil {
		t.Errorf("connection %d is answered", maxConns+1)
	}
	silent[0].Close()
	for deadline := time.Now().Add(20 * time.Second); one() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no room after one was closed")
		}
	}
}

// Close comes back only when a request under way has been answered.
func TestCloseWaitsForHandlers(t *testing.T) {
	m := New(Config{})
	entered, leave := make(chan struct{}), make(chan struct{})
	m.Healthy(func() error { close(entered); <-leave; return nil })
	s, err := m.Serve("0")
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan int, 1)
	go func() {
		r, err := http.Get("http://" + s.Addr().String() + "/healthz")
		if err != nil {
			answer <- 0
			return
		}
		r.Body.Close()
		answer <- r.StatusCode
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Fatal("closed while a request was being answered")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	if status := <-answer; status != http.StatusOK {
		t.Errorf("the request under way: %d", status)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("still listening")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// A handler that outlasts the time that Close allows for connections still
// must not run on: what it reads belongs to the run.
func TestCloseOutlastsShutdown(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: waits out the server's patience")
	}
	m := New(Config{})
	entered, leave := make(chan struct{}), make(chan struct{})
	m.Healthy(func() error { close(entered); <-leave; return nil })
	s, err := m.Serve("0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, "GET", "http://"+s.Addr().String()+"/healthz", nil)
	go http.DefaultClient.Do(request)
	<-entered
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("closed while a request was being answered")
	case <-time.After(closeTimeout + 100*time.Millisecond):
	}
	close(leave)
	<-closed
}
