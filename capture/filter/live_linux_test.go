package filter

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A wire is a pair of virtual Ethernet interfaces in a network namespace that
// vanishes with the goroutine that made it.
type wire struct{ near, far int }

// onWire runs f on a thread in a new network namespace.
func onWire(t *testing.T, f func(w wire)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a network namespace and packet sockets")
	}
	done := make(chan string)
	go func() {
		why := ""
		defer func() { done <- why }()
		runtime.LockOSThread() // never unlocked: the thread ends, and the namespace with it
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			why = "no network namespace: " + err.Error()
			return
		}
		for _, command := range []string{"link add hgfilter0 type veth peer name hgfilter1",
			"link set hgfilter0 up", "link set hgfilter1 up"} {
			if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
				why = "ip " + command + ": " + err.Error() + " " + string(out)
				return
			}
		}
		near, err1 := net.InterfaceByName("hgfilter0")
		far, err2 := net.InterfaceByName("hgfilter1")
		if err1 != nil || err2 != nil {
			why = "the interfaces are not there"
			return
		}
		w := wire{near.Index, far.Index}
		if !carries(t, w) {
			why = "the interfaces do not carry packets"
			return
		}
		f(w)
	}()
	if why := <-done; why != "" {
		t.Skip(why)
	}
}

// carries waits until a frame gets from one end to the other: the kernel brings
// queues up some time after the interfaces.
func carries(t *testing.T, w wire) bool {
	watch := packetSocket(t, unix.SOCK_RAW, w.far, nil)
	send := packetSocket(t, unix.SOCK_RAW, w.near, nil)
	defer unix.Close(watch)
	defer unix.Close(send)
	probe := marked(wrap(linkEthernet, etherIPv4, nil, 1), 0)
	for range 200 {
		if err := unix.Sendto(send, probe, 0, &unix.SockaddrLinklayer{Ifindex: w.near}); err == nil && arrived(watch)[0] {
			return true
		}
		unix.Poll([]unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}, 20)
	}
	return false
}

// packetSocket opens a packet socket behind a filter: the filter is in place
// before the socket is bound, so that no other packet enters.
func packetSocket(t *testing.T, kind, index int, p *Program) int {
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Error(err)
		return -1
	}
	if p != nil {
		if err := attach(fd, p.Raw()); err != nil {
			t.Errorf("the kernel refuses\n%s\n%v", p, err)
		}
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	all := uint16(unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: index}); err != nil {
		t.Error(err)
	}
	return fd
}

// marked is a frame that ends in its number, so that it can be told from what
// else there is on the wire.
func marked(frame []byte, number int) []byte {
	f := append(append([]byte(nil), frame...), make([]byte, max(0, 60-len(frame)))...)
	f = append(f, "hangup"...)
	return binary.BigEndian.AppendUint32(f, uint32(number))
}

// arrived are the numbers of the marked frames that a socket has received.
func arrived(fd int) map[int]bool {
	got := map[int]bool{}
	b := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return got
		}
		if n >= 10 && string(b[n-10:n-4]) == "hangup" {
			got[int(binary.BigEndian.Uint32(b[n-4:]))] = true
		}
	}
}

// sendAll sends the frames from the near end and waits until a socket at the
// far end has the last one.
func sendAll(t *testing.T, w wire, frames [][]byte) {
	watch := packetSocket(t, unix.SOCK_RAW, w.far, nil)
	send := packetSocket(t, unix.SOCK_RAW, w.near, nil)
	defer unix.Close(watch)
	defer unix.Close(send)
	for _, f := range frames {
		if err := unix.Sendto(send, f, 0, &unix.SockaddrLinklayer{Ifindex: w.near}); err != nil {
			t.Errorf("sending %x: %v", f, err)
			return
		}
	}
	for range 100 {
		if arrived(watch)[len(frames)-1] {
			return
		}
		unix.Poll([]unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}, 100)
	}
	t.Error("the last frame did not arrive")
}

// wireFrames are whole Ethernet frames, the last one without a tag.
func wireFrames() [][]byte {
	var all [][]byte
	for _, f := range frames(linkEthernet) {
		if len(f) >= 34 && f[0] == 2 || len(f) >= 34 && f[0] == 0xff {
			all = append(all, marked(f, len(all)))
		}
	}
	last := wrap(linkEthernet, etherIPv4, packet{src: "10.0.0.1", dst: "10.0.0.2", proto: ipTCP}.bytes(), 1)
	return append(all, marked(last, len(all)))
}

// kernelTakes says whether the kernel takes the outer tag off a frame that
// comes in.
func kernelTakes(f []byte) bool {
	v := binary.BigEndian.Uint16(f[12:])
	return v == etherVLAN || v == etherVLANOuter
}

func untagged(f []byte) []byte {
	if !kernelTakes(f) {
		return f
	}
	return append(append([]byte(nil), f[:12]...), f[16:]...)
}

// cooked is the frame as a file of link type SLL has it when it came in.
func cooked(f []byte) []byte {
	f = untagged(f)
	v := binary.BigEndian.Uint16(f[12:])
	if v < 0x600 {
		v = cookedLLC
		if f[14] == 0xff && f[15] == 0xff {
			v = cookedNovell
		}
	}
	head := append(make([]byte, 14), byte(v>>8), byte(v))
	return append(head, f[14:]...)
}

func compiled(t *testing.T, expr string, compile func(*Expr) (*Program, error)) *Program {
	e, err := Parse(expr)
	if err != nil {
		t.Errorf("%q: %v", expr, err)
		return nil
	}
	p, err := compile(e)
	if err != nil {
		t.Errorf("%q: %v", expr, err)
	}
	return p
}

func liveExpressions() []string {
	return []string{
		"vlan", "vlan 5", "vlan 7", "not vlan", "not vlan 5", "vlan and ip", "vlan 5 and ip6", "vlan 5 and tcp port 80",
		"vlan and port 443", "vlan and host 10.0.0.1", "vlan 5 and host 2001:db8::1", "vlan and src net 10.0.0.0/8",
		"vlan and tcp[13] & 2 != 0", "vlan and ip[9] = 6", "vlan and ip6[6] = 6", "vlan and icmp6[0] = 0", "vlan and ether[12:2] = 0x800 or ip",
		"vlan and vlan", "vlan 7 and vlan 5", "vlan 5 and vlan 7 and ip", "vlan and vlan and tcp port 80", "vlan and mpls 17 and ip",
		"vlan and mpls and mpls 18 and tcp", "vlan and pppoes 3 and tcp port 443", "vlan and pppoes and tcp[13] & 2 != 0",
		"vlan or vlan 7", "vlan 5 or ip", "vlan and arp host 10.0.0.1", "vlan and ether host 02:00:00:00:00:01", "vlan and stp",
		"vlan and udp[2:2] = 53 and ip[8] = 64", "vlan and portrange 80-90", "vlan and ip multicast", "vlan and not (tcp or udp)",
		"tcp", "tcp port 80", "host 10.0.0.2 and not port 53", "ether broadcast", "ip6", "mpls 17 and ip", "pppoes and ip6", "arp",
		"ether proto 0x42", "ipx", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "icmp6 or icmp", "net 10 or net 2001:db8::/32",
	}
}

func TestLiveOnEthernet(t *testing.T) {
	onWire(t, func(w wire) {
		frames, taken, passed := wireFrames(), 0, 0
		for _, expr := range liveExpressions() {
			live := compiled(t, expr, func(e *Expr) (*Program, error) { return e.CompileLive(linkEthernet, 262144) })
			file := compiled(t, expr, func(e *Expr) (*Program, error) { return e.Compile(linkEthernet, 262144) })
			if live == nil || file == nil {
				return
			}
			far := packetSocket(t, unix.SOCK_RAW, w.far, live)
			near := packetSocket(t, unix.SOCK_RAW, w.near, live)
			sendAll(t, w, frames)
			in, out := arrived(far), arrived(near)
			unix.Close(far)
			unix.Close(near)
			for i, f := range frames {
				want := file.Match(f, len(f))
				if out[i] != want {
					t.Errorf("%q, going out, frame %x: %v in the kernel, %v in a file\n%s", expr, f, out[i], want, live)
				}
				if kernelTakes(f) && !strings.Contains(expr, "vlan") {
					want = file.Match(untagged(f), len(f)-4)
					taken++
				}
				if in[i] != want && !(kernelTakes(f) && strings.Contains(expr, "ether[")) {
					t.Errorf("%q, coming in, frame %x: %v in the kernel, %v in a file\n%s", expr, f, in[i], want, live)
				}
				if in[i] {
					passed++
				}
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%d expressions, %d frames, %d passed", len(liveExpressions()), len(frames), passed)
		if taken == 0 || passed < 1000 {
			t.Errorf("too little was tried: %d with tags, %d passed", taken, passed)
		}
	})
}

func TestLiveOnCookedSocket(t *testing.T) {
	onWire(t, func(w wire) {
		frames, passed := wireFrames(), 0
		for _, expr := range append(liveExpressions(), "iso", "stp", "atalk", "aarp", "rarp", "ether proto 100", "netbeui") {
			if strings.Contains(expr, "vlan") || strings.Contains(expr, "ether b") || strings.Contains(expr, "mpls") {
				continue
			}
			live := compiled(t, expr, func(e *Expr) (*Program, error) { return e.CompileLive(CookedSocket, 262144) })
			file := compiled(t, expr, func(e *Expr) (*Program, error) { return e.Compile(linkSLL, 262144) })
			if live == nil || file == nil {
				return
			}
			far := packetSocket(t, unix.SOCK_DGRAM, 0, live) // every interface, as "any" has it
			sendAll(t, w, frames)
			in := arrivedAt(far, w.far)
			unix.Close(far)
			for i, f := range frames {
				if want := file.Match(cooked(f), len(f)+2); in[i] != want {
					t.Errorf("%q, frame %x: %v in the kernel, %v in a file\n%s", expr, f, in[i], want, live)
					return
				}
				if in[i] {
					passed++
				}
			}
		}
		t.Logf("%d frames, %d passed", len(frames), passed)
		if passed < 500 {
			t.Errorf("only %d passed", passed)
		}
	})
}

// arrivedAt is arrived, of one interface only.
func arrivedAt(fd, index int) map[int]bool {
	got := map[int]bool{}
	b := make([]byte, 4096)
	for {
		n, from, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return got
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Ifindex == index && n >= 10 && string(b[n-10:n-4]) == "hangup" {
			got[int(binary.BigEndian.Uint32(b[n-4:]))] = true
		}
	}
}

func TestLiveDirections(t *testing.T) {
	onWire(t, func(w wire) {
		frames := wireFrames()[:50]
		for i := range frames {
			frames[i] = marked(frames[i], i)
		}
		for _, link := range []uint16{linkEthernet, CookedSocket} {
			kind := unix.SOCK_RAW
			if link == CookedSocket {
				kind = unix.SOCK_DGRAM
			}
			for _, expr := range []string{"inbound", "outbound"} {
				live := compiled(t, expr, func(e *Expr) (*Program, error) { return e.CompileLive(link, 262144) })
				far := packetSocket(t, kind, w.far, live)
				near := packetSocket(t, kind, w.near, live)
				sendAll(t, w, frames)
				in, out := len(arrived(far)), len(arrived(near))
				unix.Close(far)
				unix.Close(near)
				if expr == "inbound" && (in != len(frames) || out != 0) || expr == "outbound" && (in != 0 || out != len(frames)) {
					t.Errorf("%s on %d: %d came in, %d went out, of %d", expr, link, in, out, len(frames))
				}
			}
		}
	})
}
