package capture

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"hangup/capture/filter"
)

// OpenLive starts a capture, in the network namespace of the calling thread.
// All interfaces have to be there, but need not be up.
//
// Frames are captured with the link layer that the interface has where that
// is known to be reliable (Ethernet, loopback, 802.11, and devices without
// one such as tun and wireguard); on others (PPP, GRE, InfiniBand) and on
// "any" they get a LINUX_SLL2 header instead. What the loopback interface
// sends is left out, as it also receives it.
//
// It takes CAP_NET_RAW, nothing else, and only until it returns.
func OpenLive(cfg LiveConfig) (*Live, error) {
	if err := checkNames(cfg.Interfaces); err != nil {
		return nil, err
	}
	if cfg.Filter != nil && cfg.Code != nil {
		return nil, errors.New("a filter is given both as an expression and as BPF code, give one of them")
	}
	control, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("live capture: no socket: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(control)
		return nil, fmt.Errorf("live capture: no eventfd: %w", err)
	}
	l := &Live{
		dec: newDecoder(), tap: cfg.Tap, tick: cfg.Tick, snaplen: min(cfg.Snaplen, MaxSnaplen),
		start: time.Now().Add(-time.Nanosecond), control: control, wake: wake, quit: make(chan struct{}),
	}
	if l.snaplen == 0 {
		l.snaplen = DefaultSnaplen
	}
	if l.tick <= 0 {
		l.tick = defaultTick
	}
	for _, name := range cfg.Interfaces {
		if err := l.open(name, cfg); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	l.watched.Add(1)
	go l.watch()
	return l, nil
}

// checkNames refuses what cannot be meant.
func checkNames(names []string) error {
	if len(names) == 0 {
		return errors.New("live capture: no interface named, give one, or any")
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s: given twice, name it once", name)
		}
		if name == AnyInterface && len(names) > 1 {
			return errors.New("any: is all interfaces, name it alone, or only the others")
		}
	}
	return nil
}

// open adds the feed of an interface.
func (l *Live) open(name string, cfg LiveConfig) error {
	f := &feed{number: len(l.feeds), link: linkSLL2, cooked: true, ifaces: make(map[int32]uint16)}
	f.Input = Input{Name: name, Format: "live"}
	if name != AnyInterface {
		index, hardware, err := l.indexOf(name)
		if err != nil {
			return interfaceError(name, err)
		}
		f.index = index
		f.link, f.cooked = linkOf(hardware)
	}
	f.addLink(f.link, l.snaplen)
	var err error
	if f.ring, err = openRing(f.cooked); err != nil {
		return interfaceError(name, err)
	}
	l.feeds = append(l.feeds, f)
	l.names = append(l.names, name)
	if err := l.begin(f, cfg); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// begin lets packets in, in the one order in which none gets in unfiltered.
func (l *Live) begin(f *feed, cfg LiveConfig) error {
	program, err := l.program(f, cfg)
	if err == nil {
		err = f.attach(program)
	}
	if err != nil {
		return err
	}
	size := cfg.Buffer
	if size <= 0 {
		size = defaultBuffer
	}
	got, err := f.setUp(size, l.snaplen)
	if err != nil {
		return err
	}
	if got <= size/2 {
		f.Comments = append(f.Comments, fmt.Sprintf("a ring of %d KiB only, the kernel has no memory for %d KiB", got>>10, size>>10))
	}
	f.state.counted = l.Now()
	if err := f.bind(f.index); err != nil {
		return fmt.Errorf("cannot be captured: %w", err)
	}
	l.look(f)
	if cfg.Promiscuous && f.index != 0 {
		m := unix.PacketMreq{Ifindex: int32(f.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(f.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("cannot be made promiscuous: %w", err)
		}
	}
	return nil
}

// program is what the kernel decides by which packets we get, and how much of
// them.
func (l *Live) program(f *feed, cfg LiveConfig) ([]unix.SockFilter, error) {
	code := cfg.Code
	if code != nil {
		if err := fitting(code, f.link); err != nil {
			return nil, fmt.Errorf("its frames are %s: %w", LinkName(f.link), err)
		}
	}
	if cfg.Filter != nil {
		link := f.link
		if f.cooked {
			link = filter.CookedSocket
		}
		var err error
		if code, err = cfg.Filter.CompileLive(link, l.snaplen); err != nil {
			return nil, err
		}
	} else if f.cooked {
		f.code, code = code, nil
	}
	body := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: l.snaplen}}
	if code != nil {
		body = cut(code.Raw(), l.snaplen)
	}
	const most = 4096 // BPF_MAXINSNS
	if prologue := notLooped(); len(body)+len(prologue) <= most {
		body = append(prologue, body...)
	}
	return body, nil
}

// cut lets a program keep no more of a packet than the snaplen.
func cut(code []bpf.RawInstruction, snaplen uint32) []unix.SockFilter {
	var program []unix.SockFilter
	for _, in := range code {
		if in.Op == unix.BPF_RET|unix.BPF_K {
			in.K = min(in.K, snaplen)
		}
		program = append(program, unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K})
	}
	return program
}

// notLooped begins a program: it refuses what looped reports, so that the
// ring need not hold it.
func notLooped() []unix.SockFilter {
	const (
		load       = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal      = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ancillary  = 0xfffff000 // SKF_AD_OFF, linux/filter.h
		packetType = ancillary + 4
		hardware   = ancillary + 28
	)
	return []unix.SockFilter{
		{Code: load, K: packetType},
		{Code: equal, K: packetOutgoing, Jf: 3},
		{Code: load, K: hardware},
		{Code: equal, K: unix.ARPHRD_LOOPBACK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
}

// interfaceError says what to do about an interface that cannot be opened.
func interfaceError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		binary, lookErr := os.Executable()
		if lookErr != nil {
			binary = os.Args[0]
		}
		return fmt.Errorf("%s: no permission to capture: run as root or `setcap cap_net_raw+ep %s`", name, binary)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%s: this kernel has no packet sockets (CONFIG_PACKET): %w", name, err)
	case errors.Is(err, unix.ENODEV):
		return unknownInterface(name)
	}
	return fmt.Errorf("%s: cannot be opened: %w", name, err)
}

// unknownInterface names those that may have been meant.
func unknownInterface(name string) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("%s: no such interface", name)
	}
	names := []string{AnyInterface}
	for _, i := range all {
		names = append(names, i.Name)
	}
	if close := closest(name, names); len(close) > 0 {
		return fmt.Errorf("%s: no such interface, did you mean %s? hangup -D lists all", name, strings.Join(close, " or "))
	}
	return fmt.Errorf("%s: no such interface, hangup -D lists them", name)
}
