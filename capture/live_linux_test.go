package capture

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A place is a network namespace without a name: it lives in a thread, and
// ends with that thread and the sockets opened there.
type place struct {
	t    testing.TB
	work chan func()
	path string
}

func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{t: t, work: make(chan func())}
	opened := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		p.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		err := unix.Unshare(unix.CLONE_NEWNET)
		opened <- err
		if err != nil {
			return
		}
		for f := range p.work {
			f()
		}
	}()
	if err := <-opened; err != nil {
		t.Skipf("needs a network namespace, and with that root: %v", err)
	}
	t.Cleanup(func() { close(p.work) })
	return p
}

// do runs f in the place.
func (p *place) do(f func()) {
	done := make(chan struct{})
	p.work <- func() { defer close(done); f() }
	<-done
}

// sh runs commands, one a line.
func (p *place) sh(lines string) {
	p.t.Helper()
	for line := range strings.Lines(lines) {
		argv := strings.Fields(line)
		if len(argv) == 0 {
			continue
		}
		if _, err := exec.LookPath(argv[0]); err != nil {
			p.t.Skipf("needs %s: %v", argv[0], err)
		}
		var out []byte
		var err error
		p.do(func() { out, err = exec.Command(argv[0], argv[1:]...).CombinedOutput() })
		if err != nil {
			p.t.Fatalf("%s: %v: %s", strings.TrimSpace(line), err, out)
		}
	}
}

// open starts a capture there.
func (p *place) open(cfg LiveConfig) *Live {
	p.t.Helper()
	var l *Live
	var err error
	p.do(func() { l, err = OpenLive(cfg) })
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	return l
}

// sender opens a packet socket that sends on an interface.
func (p *place) sender(name string) *sender {
	p.t.Helper()
	s := &sender{t: p.t}
	p.do(func() {
		q, err := unix.NewIfreq(name)
		if err == nil {
			s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.IoctlIfreq(s.fd, unix.SIOCGIFINDEX, q)
			s.to.Ifindex = int(q.Uint32())
		}
		if err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
	})
	p.t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

type sender struct {
	t  testing.TB
	fd int
	to unix.SockaddrLinklayer
}

func (s *sender) send(frame []byte) {
	for {
		err := unix.Sendto(s.fd, frame, 0, &s.to)
		if err == unix.ENOBUFS || err == unix.EINTR {
			continue
		}
		if err != nil && err != unix.EBADF { // the test is over
			s.t.Errorf("send: %v", err)
		}
		return
	}
}

// numbered is an Ethernet frame with a TCP segment whose sequence number is n.
func numbered(n uint32, payload int) []byte {
	f := make([]byte, 14+20+20+payload)
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := f[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	tcp := ip[20:]
	binary.BigEndian.PutUint16(tcp, 1000)
	binary.BigEndian.PutUint16(tcp[2:], 80)
	binary.BigEndian.PutUint32(tcp[4:], n)
	tcp[12], tcp[13] = 5<<4, byte(ACK)
	return f
}

// veth makes a pair of interfaces, both here, silent but for what is sent.
func (p *place) veth(a, b string) {
	p.t.Helper()
	p.sh("ip link add " + a + " address 02:00:00:00:00:01 type veth peer name " + b + " address 02:00:00:00:00:02")
	for _, name := range []string{a, b} {
		p.do(func() {
			path := filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
			if err := os.WriteFile(path, []byte("1"), 0); err != nil && !os.IsNotExist(err) {
				p.t.Log(err)
			}
		})
		p.sh("ip link set " + name + " up")
	}
}

// untilEnd calls each with every packet until the capture ends.
func untilEnd(t testing.TB, l *Live, each func(b *Batch, p *Packet)) {
	t.Helper()
	var b Batch
	for {
		err := l.Next(&b)
		for i := range b.Packets {
			each(&b, &b.Packets[i])
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dropped is how many packets the interfaces themselves dropped: on a busy
// machine not everything that is sent gets as far as a capture.
func (p *place) dropped(names ...string) (n uint64) {
	p.t.Helper()
	for _, name := range names {
		var out []byte
		var err error
		p.do(func() { out, err = exec.Command("ip", "-s", "-j", "link", "show", name).Output() })
		var links []struct {
			Stats64 struct{ Rx, Tx struct{ Dropped uint64 } }
		}
		if err == nil {
			err = json.Unmarshal(out, &links)
		}
		if err != nil || len(links) != 1 {
			p.t.Fatalf("ip -s -j link show %s: %v: %s", name, err, out)
		}
		n += links[0].Stats64.Rx.Dropped + links[0].Stats64.Tx.Dropped
	}
	return n
}

func TestLiveDeliversEveryPacketInOrder(t *testing.T) {
	const n = 20000
	p := newPlace(t)
	p.veth("va", "vb")
	l := p.open(LiveConfig{Interfaces: []string{"vb"}})
	s := p.sender("va")
	before := time.Now().UnixNano()
	go func() {
		for i := range uint32(n) {
			s.send(numbered(i, int(i%1400)))
		}
		l.Stop() // in the middle of a block
	}()
	got, next, last := uint64(0), uint32(0), before
	untilEnd(t, l, func(b *Batch, p *Packet) {
		got++
		if p.Kind != TCP || p.Seq < next || p.Len != p.Seq%1400 || p.Ref.Number() != got {
			t.Fatalf("after packet %d comes %+v", next, p)
		}
		if p.Time < last || !p.Has(Inbound) {
			t.Fatalf("packet %d at %d after %d, traits %b", p.Seq, p.Time, last, p.Traits)
		}
		if want := min(p.Len, DefaultSnaplen-54); p.CapLen != want || p.Has(SnapCut) != (want < p.Len) {
			t.Fatalf("packet %d: %d of %d bytes, traits %b", p.Seq, p.CapLen, p.Len, p.Traits)
		}
		next, last = p.Seq+1, p.Time
	})
	in, dropped := l.Inputs()[0], p.dropped("va", "vb")
	if dropped > n/2 {
		t.Skipf("%d packets of %d never arrived at the interface", dropped, n)
	}
	if got+dropped != n || in.Packets != got || in.Drops != 0 || in.Backwards != 0 || in.Err != nil {
		t.Errorf("got %d of %d packets, %d were dropped before: %+v", got, n, dropped, in)
	}
}
