package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace runs the test again in a network namespace of its own, where lo
// is up and nobody else talks, and reports whether this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "HANGUP_TEST_NAMESPACE"
	if os.Getenv(mark) == t.Name() {
		if err := loopbackUp(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: it captures in a network namespace of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs the right to make network namespaces")
	}
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// running is a watch in this process.
type running struct {
	t      *testing.T
	stdout lockedBuffer
	stderr lockedBuffer
	exit   chan int
}

// lockedBuffer may be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// patience is how long a test waits for what must come. It is no measure of
// speed: it only ends a test that hangs.
const patience = 30 * time.Second

// start watches with the given arguments, and returns when packets are seen.
func start(t *testing.T, args ...string) *running {
	r := &running{t: t, exit: make(chan int, 1)}
	go func() { r.exit <- Run(args, strings.NewReader(""), &r.stdout, &r.stderr) }()
	r.until("the watch to begin", func() bool { return strings.Contains(r.stderr.String(), "watching") })
	return r
}

func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		select {
		case code := <-r.exit:
			r.t.Fatalf("ended with %d while waiting for %s: %s", code, what, r.stderr.String())
		default:
		}
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain for %s; so far: %s%s", what, r.stdout.String(), r.stderr.String())
		}
	}
}

// stop ends the watch as Ctrl-C does.
func (r *running) stop() (code int) {
	r.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	select {
	case code = <-r.exit:
	case <-time.After(patience):
		r.t.Fatal("does not end")
	}
	return code
}

// serve accepts connections and hands them to do.
func serve(t *testing.T, do func(c *net.TCPConn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go do(c.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// echo answers once and closes when the client does.
func echo(c *net.TCPConn) {
	defer c.Close()
	buf := make([]byte, 100)
	n, _ := c.Read(buf)
	c.Write(buf[:n])
	io.Copy(io.Discard, c)
}

// misbehave makes connections end in several ways, and returns the port of
// each, by cause.
func misbehave(t *testing.T) map[string]string {
	ends := make(map[string]string)
	talk := func(c *net.TCPConn) {
		c.Write([]byte("hello"))
		io.ReadFull(c, make([]byte, 5))
	}
	name := func(cause string, c *net.TCPConn) { ends[c.LocalAddr().String()] = cause }

	good := serve(t, echo)
	c := dial(t, good)
	name("orderly-close", c)
	talk(c)
	c.Close()

	c = dial(t, good)
	name("abortive-close", c)
	talk(c)
	c.SetLinger(0)
	c.Close()

	hasty := serve(t, func(c *net.TCPConn) { c.Read(make([]byte, 1)); c.Close() }) // four bytes stay unread
	c = dial(t, hasty)
	name("close-with-unread-data", c)
	c.Write([]byte("hello"))
	io.Copy(io.Discard, c)
	c.Close()

	brief := serve(t, func(c *net.TCPConn) { c.Close() })
	c = dial(t, brief)
	name("close-wait-leak", c)
	io.Copy(io.Discard, c)
	t.Cleanup(func() { c.Close() })

	d := dial(t, brief)
	name("write-after-close", d)
	io.Copy(io.Discard, d)
	d.Write([]byte("too late"))
	d.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	if _, err := net.Dial("tcp", nobody); err == nil {
		t.Fatal("somebody listens")
	}
	ends[nobody] = "connection-refused"
	return ends
}

// told is what a line of NDJSON says of a connection.
type told struct {
	Type           string
	Client, Server struct {
		Addr string
		Port int
	}
	ID                           uint64
	Class, Cause, By, Confidence string
	Process                      map[string]struct{ PID int }
	Saved                        string
}

func (l told) key() string {
	return fmt.Sprintf("%s:%d > %s:%d", l.Client.Addr, l.Client.Port, l.Server.Addr, l.Server.Port)
}

func (l told) verdict() string {
	return fmt.Sprintf("%d %s %s %s %s", l.ID, l.Class, l.Cause, l.By, l.Confidence)
}

// read takes the connections of an NDJSON stream; the last word on each counts.
func read(t *testing.T, text string) map[string]told {
	all := make(map[string]told)
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		var l told
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, s.Text())
		}
		if l.Type == "connection" {
			all[l.key()] = l
		}
	}
	return all
}

// What is told live is what an analysis of the same packets tells later.
func TestWatchAgreesWithFile(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	file := filepath.Join(t.TempDir(), "all.pcapng")
	r := start(t, "-i", "lo", "--all", "--format", "ndjson", "-s", "65535", "-w", file)
	want := misbehave(t)
	time.Sleep(1500 * time.Millisecond) // let what is over be told while the watch goes on
	if code := r.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, r.stderr.String())
	}
	live := read(t, r.stdout.String())

	var stdout, stderr bytes.Buffer
	if code := Run([]string{"--format", "ndjson", file}, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d: %s", code, stderr.String())
	}
	later := read(t, stdout.String())
	for key, l := range later {
		if live[key].verdict() != l.verdict() {
			t.Errorf("%s: live %q, from the file %q", key, live[key].verdict(), l.verdict())
		}
	}
	if len(live) != len(later) {
		t.Errorf("%d connections live, %d from the file", len(live), len(later))
	}
	for addr, cause := range want {
		found := false
		for key, l := range live {
			if strings.Contains(key, addr) && l.Cause == cause {
				found = true
				// Who closed at once may be gone before anybody looks; who listens is not.
				if cause == "close-wait-leak" && l.Process["client"].PID != os.Getpid() ||
					cause != "connection-refused" && l.Process["server"].PID != os.Getpid() {
					t.Errorf("%s %s: processes %v, not %d", key, cause, l.Process, os.Getpid())
				}
			}
		}
		if !found {
			t.Errorf("no %s of %s among %v", cause, addr, live)
		}
	}
}
