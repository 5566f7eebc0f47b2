package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary one of the programs that the tests look at.
const roleEnv = "HANGUP_HOST_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play is a program that prints its addresses, and ends with its input.
//
//	accept ADDR    listens, and holds what it accepts
//	listen ADDR    listens, and never accepts
//	dial ADDR N    holds N connections, and prints their local ends
//	events         follows the kernel's events
//	mount          is TestMountIsTakenBack's
func play(role string) error {
	f := strings.Fields(role)
	switch f[0] {
	case "dial":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		var held []net.Conn
		for range n {
			c, err := net.Dial("tcp", f[1])
			if err != nil {
				return err
			}
			held = append(held, c)
			fmt.Println(c.LocalAddr())
		}
		fmt.Println("done")
		_, _ = io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(held)
	case "events":
		e, err := OpenEvents(Config{})
		if err != nil {
			return err
		}
		defer e.Close()
		fmt.Println("127.0.0.1:1") // one line says that it has begun
		fmt.Println("done")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "mount":
		runtime.LockOSThread()
		return mountAndClose()
	default:
		l, err := net.Listen("tcp", f[1])
		if err != nil {
			return err
		}
		if f[0] == "accept" {
			go func() {
				var held []net.Conn
				for {
					c, err := l.Accept()
					if err != nil {
						runtime.KeepAlive(held)
						return
					}
					held = append(held, c)
				}
			}()
		}
		fmt.Println(l.Addr())
		fmt.Println("done")
		_, _ = io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(l)
	}
	return nil
}

// program is one that runs.
type program struct {
	pid   int
	addrs []netip.AddrPort
	stop  func()
}

// start runs a role until the test ends, or stop; it holds the files, too.
func start(t *testing.T, role string, inherits ...*os.File) program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GOMAXPROCS=2")
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, inherits
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p := program{pid: cmd.Process.Pid}
	ended := false
	p.stop = func() {
		if !ended {
			ended = true
			_ = in.Close()
			_ = cmd.Wait() // its exit says nothing that the test has not seen
		}
	}
	t.Cleanup(p.stop)
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "done"; {
		a, err := netip.ParseAddrPort(lines.Text())
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		p.addrs = append(p.addrs, a)
	}
	if len(p.addrs) == 0 {
		t.Fatalf("%s: the program did not start", role)
	}
	return p
}

// isolate puts the test, and the programs that it starts, into a network
// namespace of its own with lo up, which goes with the thread.
func isolate(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a network namespace and for other processes' files")
	}
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("network namespaces do not work here: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, _ := unix.NewIfreq("lo")
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c Config) *Processes {
	t.Helper()
	p, err := NewProcesses(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// eventually waits until ok says so, at most a minute: however slow the
// machine is, that it comes is what is tested.
func eventually(t *testing.T, p *Processes, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute\n%+v", what, p.Stats())
		}
	}
}

func TestBothEndsOfALoopbackConnection(t *testing.T) {
	for _, tc := range []struct{ name, listen, dial string }{
		{"IPv4", "127.0.0.1:0", ""},
		{"IPv6", "[::1]:0", ""},
		{"IPv4 on a socket of both families", "[::]:0", "127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			isolate(t)
			server := start(t, "accept "+tc.listen)
			to := server.addrs[0]
			if tc.dial != "" {
				to = netip.AddrPortFrom(netip.MustParseAddr(tc.dial), to.Port())
			}
			client := start(t, fmt.Sprintf("dial %v 1", to))
			p := open(t, Config{})
			p.Seen(client.addrs[0], to)
			p.Seen(client.addrs[0], to) // as its SYN-ACK passes
			for _, end := range []struct {
				local, remote netip.AddrPort
				pid           int
			}{{client.addrs[0], to, client.pid}, {to, client.addrs[0], server.pid}} {
				var got Process
				eventually(t, p, "the process of "+end.local.String(), func() (ok bool) {
					got, ok = p.Of(end.local, end.remote)
					return ok && got.How == BySocket
				})
				self, _ := os.Executable()
				if got.PID != end.pid || !slices.Equal(got.PIDs, []int{end.pid}) || got.Inode == 0 || got.UID != 0 {
					t.Errorf("%v: %+v, want PID %d", end.local, got, end.pid)
				}
				if !strings.HasPrefix(filepath.Base(self), got.Command) || got.Command == "" || !strings.Contains(got.Args, filepath.Base(self)) || got.Cgroup == "" {
					t.Errorf("%v: %+v", end.local, got)
				}
			}
			if s := p.Stats(); s.Lookups != 2 || s.BySocket != 2 || s.Misses+s.ByOwner+s.ByListener != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestListenerStandsIn: a connection that nobody has accepted, and one that
// is gone, belong to the program that listens; a client that is gone is
// nobody's any more.
func TestListenerStandsIn(t *testing.T) {
	isolate(t)
	p := open(t, Config{}) // before the listener: it has to be found anew
	server := start(t, "listen 127.0.0.1:0")
	client := start(t, fmt.Sprintf("dial %v 1", server.addrs[0]))
	local, remote := server.addrs[0], client.addrs[0]
	find := func(local, remote netip.AddrPort) (got Process) {
		p.Seen(remote, local)
		eventually(t, p, "the listener's process", func() (ok bool) {
			got, ok = p.Of(local, remote)
			return ok && got.How == ByListener
		})
		return got
	}
	if got := find(local, remote); got.PID != server.pid || got.Inode != 0 {
		t.Errorf("in the queue: %+v, want PID %d", got, server.pid)
	}
	gone := netip.AddrPortFrom(remote.Addr(), remote.Port()^1)
	if got := find(local, gone); got.PID != server.pid {
		t.Errorf("gone: %+v, want PID %d", got, server.pid)
	}
	eventually(t, p, "that the client is gone", func() bool { return p.Stats().Misses == 1 })
	if got, ok := p.Of(gone, local); ok {
		t.Errorf("a client that is gone is said to be %+v", got)
	}
}

// TestClosedIsUnknown: neither end has a socket, and nobody listens.
func TestClosedIsUnknown(t *testing.T) {
	isolate(t)
	p := open(t, Config{})
	a, b := netip.MustParseAddrPort("127.0.0.1:40001"), netip.MustParseAddrPort("127.0.0.1:9")
	p.Seen(a, b)
	p.Seen(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2"))
	eventually(t, p, "the answers", func() bool { s := p.Stats(); return s.Misses == 2 && s.Remote == 1 })
	for _, e := range []endpoint{{a, b}, {b, a}} {
		if got, ok := p.Of(e.local, e.remote); ok {
			t.Errorf("%v: %+v", e.local, got)
		}
	}
}

// TestSameAddressesAgain: what was known of a connection is no answer for the
// next one with its addresses.
func TestSameAddressesAgain(t *testing.T) {
	isolate(t)
	server := start(t, "accept 127.0.0.1:0")
	client := start(t, fmt.Sprintf("dial %v 1", server.addrs[0]))
	p := open(t, Config{})
	local, remote := client.addrs[0], server.addrs[0]
	p.Seen(local, remote)
	eventually(t, p, "the client", func() bool { _, ok := p.Of(local, remote); return ok })
	client.stop()
	eventually(t, p, "that it is gone", func() bool { p.Seen(local, remote); _, ok := p.Of(local, remote); return !ok })
}

// TestAddressesChange: an address that comes later is local too.
func TestAddressesChange(t *testing.T) {
	isolate(t)
	p := open(t, Config{})
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the command ip (iproute2)")
	}
	if out, err := exec.Command("ip", "addr", "add", "192.0.2.7/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := start(t, "accept 192.0.2.7:0")
	client := start(t, fmt.Sprintf("dial %v 1", server.addrs[0]))
	eventually(t, p, "the server", func() bool {
		p.Seen(client.addrs[0], server.addrs[0])
		got, ok := p.Of(server.addrs[0], client.addrs[0])
		return ok && got.PID == server.pid
	})
}

// TestSharedSockets: after fork, several processes hold a listener, and
// which of them accepts does not show; of a connection's own socket all
// holders are named, the oldest first.
func TestSharedSockets(t *testing.T) {
	isolate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := start(t, fmt.Sprintf("dial %v 1", l.Addr()))
	hold := func(c interface{ File() (*os.File, error) }) (pid int) {
		f, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return start(t, "listen 127.0.0.1:0", f).pid
	}
	p := open(t, Config{})
	find := func(how How) (got Process) {
		eventually(t, p, "an answer "+how.String(), func() (ok bool) {
			p.Seen(client.addrs[0], addrOf(l.Addr()))
			got, ok = p.Of(addrOf(l.Addr()), client.addrs[0])
			return ok && got.How == how && len(got.PIDs) > 1
		})
		return got
	}
	child := hold(l.(*net.TCPListener))
	both := []int{os.Getpid(), child}
	slices.Sort(both)
	if got := find(ByListener); got.PID != 0 || !slices.Equal(got.PIDs, both) || got.Command == "" {
		t.Errorf("listener: %+v, want %v", got, both)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	child = hold(c.(*net.TCPConn))
	both = []int{os.Getpid(), child}
	slices.Sort(both)
	if got := find(BySocket); got.PID != both[0] || !slices.Equal(got.PIDs, both) {
		t.Errorf("connection: %+v, want %v", got, both)
	}
}
