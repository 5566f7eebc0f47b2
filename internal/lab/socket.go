//go:build linux

package main

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// States of a socket, as TCP_INFO numbers them (include/net/tcp_states.h).
const (
	established = 1
	synSent     = 2
	synRecv     = 3
	finWait1    = 4
	finWait2    = 5
	timeWait    = 6
	closed      = 7
	closeWait   = 8
	lastACK     = 9
	listening   = 10
	closing     = 11
)

// fd runs f on the raw descriptor: getsockopt(TCP_INFO) and the SIOC ioctls
// neither consume sk_err nor move data, so looking changes nothing. False
// when the program has closed the connection.
func (c *Conn) fd(f func(fd int)) bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	return rc.Control(func(fd uintptr) { f(int(fd)) }) == nil
}

// State is the socket's TCP state, 0 when it cannot be asked any more.
func (c *Conn) State() (state int) {
	c.fd(func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = int(info.State)
		}
	})
	return state
}

// UntilState waits until the socket is in one of the states.
func (c *Conn) UntilState(states ...int) {
	c.l.Until(fmt.Sprintf("state %v", states), func() bool {
		s := c.State()
		for _, want := range states {
			if s == want {
				return true
			}
		}
		return false
	})
}

// Unread and Unacked are the bytes in the receive queue and those sent but
// not acknowledged, or not yet sent.
func (c *Conn) Unread() (n int)  { return c.queue(unix.SIOCINQ) }
func (c *Conn) Unacked() (n int) { return c.queue(unix.SIOCOUTQ) }

func (c *Conn) queue(which uint) (n int) {
	c.fd(func(fd int) { n, _ = unix.IoctlGetInt(fd, which) })
	return n
}

// UntilUnread waits until n bytes can be read.
func (c *Conn) UntilUnread(n int) {
	c.l.Until("bytes to read", func() bool { return c.Unread() >= n })
}

// UntilAcked waits until the peer has acknowledged everything.
func (c *Conn) UntilAcked() {
	c.l.Until("acknowledgement", func() bool { return c.Unacked() == 0 })
}

// settle waits until what was just written has had its effect, an
// acknowledgement or the socket's death, or d has gone by.
func (c *Conn) settle(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s := c.State(); s == 0 || s == closed || c.Unacked() == 0 {
			return
		}
	}
}

// SetInt sets an integer option at SOL_SOCKET or IPPROTO_TCP.
func (c *Conn) SetInt(level, opt, value int) {
	c.fd(func(fd int) {
		if err := unix.SetsockoptInt(fd, level, opt, value); err != nil {
			c.l.Fail("setsockopt %d/%d: %v", level, opt, err)
		}
	})
}

// smallBuffers keeps recordings of blocked writers small. Before the
// handshake (listener, dialer) it also keeps the window small.
func smallBuffers(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
}

// keepAlive makes probes fast: the kernel's unit is the second.
func (c *Conn) keepAlive(idle, interval, count int) {
	c.SetInt(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	c.SetInt(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	c.SetInt(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval)
	c.SetInt(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count)
}

// userTimeout sets TCP_USER_TIMEOUT.
func (c *Conn) userTimeout(d time.Duration) {
	c.SetInt(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
}
