//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtool commands (include/uapi/linux/ethtool.h) that x/sys/unix does not
// wrap as set operations.
const (
	ethtoolSetTxCsum = 0x17
	ethtoolSetTSO    = 0x1f
	ethtoolSetGSO    = 0x24
	ethtoolSetGRO    = 0x2c
)

type ethtoolValue struct{ cmd, data uint32 }

type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // the kernel's ifreq is a union of up to 24 bytes
}

// offloadsOff makes the link carry segments with their real sizes and
// checksums: a forwarder on packet sockets would otherwise pass on checksums
// that nobody ever computes. A link that the namespace lacks is no error.
func offloadsOff(ns, link string) error {
	return inNS(ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, cmd := range []uint32{ethtoolSetTxCsum, ethtoolSetTSO, ethtoolSetGSO, ethtoolSetGRO} {
			value := ethtoolValue{cmd: cmd}
			req := ifreqData{data: unsafe.Pointer(&value)}
			copy(req.name[:], link)
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
			if errors.Is(errno, unix.ENODEV) {
				return nil
			}
			if errno != 0 {
				return fmt.Errorf("ethtool %#x on %s: %w", cmd, link, errno)
			}
		}
		return nil
	})
}

// untilRunning waits until the kernel has noticed the carrier of a fresh
// veth, which takes it up to a second: IPv6 loses its first solicitation
// before that. A link that the namespace lacks is no error.
func untilRunning(ns, link string) error {
	return inNS(ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			req, err := unix.NewIfreq(link)
			if err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); errors.Is(err, unix.ENODEV) {
				return nil
			}
			if req.Uint16()&unix.IFF_RUNNING != 0 {
				return nil
			}
		}
		return fmt.Errorf("link %s of %s never came up", link, ns)
	})
}
