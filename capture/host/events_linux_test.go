package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withTracefs gives the test tracefs, and takes back the mount that it needed.
func withTracefs(t *testing.T) (root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for tracefs")
	}
	root, unmount, err := tracefs()
	if err != nil {
		t.Skipf("tracefs does not work here: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return root
}

func addrOf(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// TestKernelTellsOfAReset: a real connection, a real RST, and nothing left
// behind.
func TestKernelTellsOfAReset(t *testing.T) {
	root := withTracefs(t)
	isolate(t)
	e, err := OpenEvents(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	t.Logf("this kernel lacks: %q", e.Said)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begin := time.Now()
	dial := func() (c, s net.Conn) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if s, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return c, s
	}
	word := func(local, remote net.Addr) Word {
		return e.Word(addrOf(local), addrOf(remote), begin.Add(-time.Second).UnixNano(), time.Now().Add(time.Second).UnixNano())
	}

	c, s := dial()
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read: %v", err)
	}
	w := word(s.LocalAddr(), s.RemoteAddr())
	if len(w.Errors) != 1 || w.Errors[0].Errno != "ECONNRESET" || len(w.Resets) != 1 || w.Resets[0].Sent {
		t.Errorf("the end that was reset: %+v", w)
	}
	if w := word(c.LocalAddr(), c.RemoteAddr()); len(w.Errors) != 0 || len(w.Resets) != 1 || !w.Resets[0].Sent {
		t.Errorf("the end that reset: %+v", w)
	}
	if !e.Word(addrOf(s.LocalAddr()), addrOf(s.RemoteAddr()), 0, begin.Add(-time.Second).UnixNano()).Empty() {
		t.Error("words from before the time that was asked for")
	}

	c, s = dial()
	_ = c.Close()
	if pid, comm, ok := word(c.LocalAddr(), c.RemoteAddr()).Process(); !ok || pid != os.Getpid() || comm == "" {
		t.Errorf("closed by %d %q, want %d", pid, comm, os.Getpid())
	}
	_ = s.Close()

	before := e.Stats()
	if before.Events == 0 || before.Strange != 0 || before.Lost != 0 {
		t.Errorf("%+v", before)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "instances", instancePrefix+strconv.Itoa(os.Getpid()))); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if word(c.LocalAddr(), c.RemoteAddr()).Empty() {
		t.Error("what was said is forgotten after Close")
	}
}

// TestKilledProgramsInstanceIsSwept: nobody can clean up after SIGKILL but the
// next who comes.
func TestKilledProgramsInstanceIsSwept(t *testing.T) {
	root := withTracefs(t)
	p := start(t, "events")
	mine := filepath.Join(root, "instances", instancePrefix+strconv.Itoa(p.pid))
	sweepInstances(root)
	if _, err := os.Stat(mine); err != nil {
		t.Fatalf("while it lives: %v", err)
	}
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.stop()
	sweepInstances(root)
	if _, err := os.Stat(mine); err == nil {
		t.Errorf("%s is still there", mine)
	}
}

// TestMountIsTakenBack runs in a mount namespace of its own, where tracefs is
// not mounted.
func TestMountIsTakenBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for tracefs")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"=mount")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == skipStatus {
		t.Skipf("a mount namespace or tracefs does not work here: %s", out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// skipStatus is how a role says that it cannot do its part here.
const skipStatus = 77

// mountAndClose is that test's program.
func mountAndClose() error {
	const where = "/sys/kernel/tracing"
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		fmt.Println(err)
		os.Exit(skipStatus)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range [...]string{where, "/sys/kernel/debug"} {
		_ = unix.Unmount(dir, unix.MNT_DETACH) // not mounted is what is wanted
	}
	e, err := OpenEvents(Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(skipStatus)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(e.dir, &st); err != nil || uint32(st.Type) != unix.TRACEFS_MAGIC {
		return fmt.Errorf("%s is not in tracefs: %v", e.dir, err)
	}
	if err := e.Close(); err != nil {
		return err
	}
	if err := unix.Statfs(where, &st); err != nil || uint32(st.Type) == unix.TRACEFS_MAGIC {
		return fmt.Errorf("still mounted (%v)", err)
	}
	return nil
}
