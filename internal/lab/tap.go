//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Seg is a frame with a TCP segment, as far as conditions and injections
// need it. It is a decoder of its own, tiny and for our own well-formed
// frames only, so that the laboratory does not judge the program with the
// program's own eyes.
type Seg struct {
	Time          time.Time
	Out           bool // sent by this host
	Src, Dst      netip.AddrPort
	Seq, Ack      uint32
	Flags         byte
	Window        uint16
	TTL           byte
	Len           int // payload bytes
	Frame         []byte
	ipOff, tcpOff int
}

const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// Has reports whether all flags are set; Only, whether no other of FIN, SYN,
// RST, ACK is.
func (s Seg) Has(flags byte) bool  { return s.Flags&flags == flags }
func (s Seg) Only(flags byte) bool { return s.Flags&(flagFIN|flagSYN|flagRST|flagACK) == flags }

func (s Seg) String() string {
	return fmt.Sprintf("%v > %v flags %#x seq %d ack %d len %d", s.Src, s.Dst, s.Flags, s.Seq, s.Ack, s.Len)
}

// parseFrame decodes an Ethernet frame; false when it is no TCP segment.
func parseFrame(b []byte) (s Seg, ok bool) {
	if len(b) < 14 {
		return s, false
	}
	s.ipOff = 14
	var src, dst netip.Addr
	var end int
	switch binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_IP:
		if len(b) < 34 || b[23] != unix.IPPROTO_TCP {
			return s, false
		}
		src, dst = netip.AddrFrom4([4]byte(b[26:30])), netip.AddrFrom4([4]byte(b[30:34]))
		s.TTL = b[22]
		s.tcpOff = 14 + int(b[14]&15)*4
		end = 14 + int(binary.BigEndian.Uint16(b[16:]))
	case unix.ETH_P_IPV6:
		if len(b) < 54 || b[20] != unix.IPPROTO_TCP {
			return s, false
		}
		src, dst = netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54]))
		s.TTL = b[21]
		s.tcpOff = 54
		end = 54 + int(binary.BigEndian.Uint16(b[18:]))
	default:
		return s, false
	}
	if len(b) < s.tcpOff+20 {
		return s, false
	}
	t := b[s.tcpOff:]
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(t))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(t[2:]))
	s.Seq, s.Ack = binary.BigEndian.Uint32(t[4:]), binary.BigEndian.Uint32(t[8:])
	s.Flags, s.Window = t[13], binary.BigEndian.Uint16(t[14:])
	s.Len = max(min(end, len(b))-s.tcpOff-int(t[12]>>4)*4, 0)
	s.Frame = b
	return s, true
}

// packetSocket opens a raw packet socket on one link of a namespace, with a
// receive timeout so that its reader can be stopped.
func packetSocket(ns, link string) (fd int, err error) {
	err = inNS(ns, func() error {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		index, err := linkIndex(fd, link)
		if err != nil {
			return err
		}
		tv := unix.Timeval{Usec: 50000}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL)
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: index})
	})
	if err != nil && fd > 0 {
		unix.Close(fd)
	}
	return fd, err
}

func linkIndex(fd int, link string) (int, error) {
	req, err := unix.NewIfreq(link)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, fmt.Errorf("link %s: %w", link, err)
	}
	return int(req.Uint32()), nil
}

// receive calls f with every frame until stop is closed. f may keep the
// slice. Frames that this host sends come too, marked out.
func receive(fd int, stop <-chan struct{}, f func(frame []byte, out bool)) {
	buf := make([]byte, 1<<17)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			continue // the timeout, or a link that went down for a while
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		f(append([]byte(nil), buf[:n]...), ok && ll.Pkttype == unix.PACKET_OUTGOING)
	}
}

// stamp is the kernel's time of the packet received last, so that a slow tap
// does not make an old packet look new.
func stamp(fd int) time.Time {
	var ts unix.Timespec
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGSTAMPNS, uintptr(unsafe.Pointer(&ts))); errno != 0 {
		return time.Now()
	}
	return time.Unix(ts.Unix())
}
