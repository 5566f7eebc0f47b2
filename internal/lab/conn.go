//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hangup/internal/lab/record"
)

// Conn is a connection that records every call made on it. It is a net.Conn,
// so that net/http and crypto/tls can be run on top of it.
type Conn struct {
	net.Conn
	Phase string // of the calls that follow

	l             *L
	number        int
	local, remote string
}

func (l *L) wrap(nc net.Conn) *Conn {
	l.mu.Lock()
	l.conns++
	c := &Conn{Conn: nc, l: l, number: l.conns, local: nc.LocalAddr().String(), remote: nc.RemoteAddr().String()}
	l.keep = append(l.keep, nc)
	l.mu.Unlock()
	return c
}

// DialOpt changes an ordinary dial; the zero value is what net.Dial does,
// but for the local port, which is chosen so that a recording can name the
// connection even when the dial fails.
type DialOpt struct {
	Port      int // of the server; 0 is 8080
	Host      string
	Local     int // local port; 0: 40001 and up, -1: the kernel's choice
	Timeout   time.Duration
	Context   context.Context
	KeepAlive net.KeepAliveConfig
	MPTCP     bool
	Control   func(fd int)
	Now       bool // do not wait for the server to listen
	Deadline  time.Time
}

const basePort = 40000

// control binds the local port behind net's back: with Dialer.LocalAddr the
// texts of dial errors would name a source, which they ordinarily do not.
func (o DialOpt) control(network, _ string, rc syscall.RawConn) (err error) {
	e := rc.Control(func(fd uintptr) {
		if o.Control != nil {
			o.Control(int(fd))
		}
		switch {
		case o.Local < 0:
		case network == "tcp6":
			err = os.NewSyscallError("bind", unix.Bind(int(fd), &unix.SockaddrInet6{Port: o.Local}))
		default:
			err = os.NewSyscallError("bind", unix.Bind(int(fd), &unix.SockaddrInet4{Port: o.Local}))
		}
	})
	return errors.Join(e, err)
}

// Dial records one dial with the zero options.
func (l *L) Dial() *Conn {
	c, err := l.DialWith(DialOpt{Control: l.buffers()})
	if err != nil {
		l.Fail("dial: %v", err)
	}
	return c
}

// DialWith records one dial. It waits for the server's step "listening"
// unless told otherwise.
func (l *L) DialWith(o DialOpt) (*Conn, error) {
	if !o.Now {
		l.Wait("listening")
	}
	if o.Port == 0 {
		o.Port = serverPort
	}
	if o.Host == "" {
		o.Host = l.Server
	}
	d := &net.Dialer{Timeout: o.Timeout, Deadline: o.Deadline, KeepAliveConfig: o.KeepAlive}
	d.SetMultipathTCP(o.MPTCP)
	call := record.Call{Side: l.Role, Op: "dial", Level: record.Socket, Remote: net.JoinHostPort(o.Host, strconv.Itoa(o.Port))}
	if o.Local >= 0 {
		if o.Local == 0 {
			l.mu.Lock()
			l.ports++
			o.Local = basePort + l.ports
			l.mu.Unlock()
		}
		call.Local = ":" + strconv.Itoa(o.Local)
	}
	d.Control = o.control
	ctx := o.Context
	if ctx == nil {
		ctx = context.Background()
	}
	call.Patience = o.Timeout.Seconds()
	if deadline, ok := ctx.Deadline(); ok {
		call.Patience = time.Until(deadline).Seconds()
	}
	var c *Conn
	err := l.record(call, func(call *record.Call) error {
		nc, err := d.DialContext(ctx, "tcp", call.Remote)
		if err != nil {
			return err
		}
		c = l.wrap(nc)
		call.Conn, call.Local, call.Remote = c.number, c.local, c.remote
		return nil
	})
	return c, err
}

const serverPort = 8080

// Listener records its Accepts.
type Listener struct {
	net.Listener
	l *L
}

// Listen listens as net.Listen does (MPTCP offered), on the scenario's port,
// and reaches the step "listening".
func (l *L) Listen() *Listener { return l.ListenWith(l.buffers(), serverPort) }

// buffers is the socket option that the inwrite probe needs, or nil.
func (l *L) buffers() func(fd int) {
	if l.Probe == inWrite {
		return smallBuffers
	}
	return nil
}

// ListenWith lets control set options on the listening socket.
func (l *L) ListenWith(control func(fd int), port int) *Listener {
	var lc net.ListenConfig
	if control != nil {
		lc.Control = func(_, _ string, rc syscall.RawConn) error {
			return rc.Control(func(fd uintptr) { control(int(fd)) })
		}
	}
	ln, err := lc.Listen(context.Background(), "tcp", ":"+strconv.Itoa(port))
	if err != nil {
		l.Fail("listen: %v", err)
	}
	l.mu.Lock()
	l.keep = append(l.keep, ln)
	l.mu.Unlock()
	l.At("listening")
	return &Listener{ln, l}
}

// Accept records one accept and returns a *Conn.
func (ln *Listener) Accept() (net.Conn, error) {
	var c *Conn
	call := record.Call{Side: ln.l.Role, Op: "accept", Level: record.Socket, Local: ln.Addr().String()}
	err := ln.l.record(call, func(call *record.Call) error {
		nc, err := ln.Listener.Accept()
		if err != nil {
			return err
		}
		c = ln.l.wrap(nc)
		call.Conn, call.Local, call.Remote = c.number, c.local, c.remote
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// One accepts one connection.
func (ln *Listener) One() *Conn {
	c, err := ln.Accept()
	if err != nil {
		ln.l.Fail("accept: %v", err)
	}
	return c.(*Conn)
}

func (c *Conn) move(op string, b []byte, patience time.Duration, f func([]byte) (int, error)) (n int, err error) {
	call := record.Call{Side: c.l.Role, Op: op, Level: record.Socket, Conn: c.number, Local: c.local, Remote: c.remote,
		Phase: c.Phase, Asked: len(b), Patience: patience.Seconds()}
	err = c.l.record(call, func(call *record.Call) error {
		n, err = f(b)
		call.N = n
		return err
	})
	return n, err
}

// Read and Write record one call each.
func (c *Conn) Read(b []byte) (int, error)  { return c.move("read", b, 0, c.Conn.Read) }
func (c *Conn) Write(b []byte) (int, error) { return c.move("write", b, 0, c.Conn.Write) }

// ReadN is one Read with a buffer of n bytes, WriteN one Write of n bytes.
func (c *Conn) ReadN(n int) (int, error)  { return c.Read(make([]byte, n)) }
func (c *Conn) WriteN(n int) (int, error) { return c.Write(pattern(n)) }

// ReadAll reads exactly n bytes.
func (c *Conn) ReadAll(n int) {
	for n > 0 {
		m, err := c.ReadN(n)
		if err != nil {
			c.l.Fail("%d bytes short: %v", n, err)
		}
		n -= m
	}
}

// ReadWithin and WriteWithin are one call with a deadline.
func (c *Conn) ReadWithin(n int, d time.Duration) (int, error) {
	return c.move("read", make([]byte, n), d, func(b []byte) (int, error) {
		_ = c.Conn.SetReadDeadline(time.Now().Add(d)) // a closed connection says so in Read
		n, err := c.Conn.Read(b)
		_ = c.Conn.SetReadDeadline(time.Time{})
		return n, err
	})
}

func (c *Conn) WriteWithin(n int, d time.Duration) (int, error) {
	return c.move("write", pattern(n), d, func(b []byte) (int, error) {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(d))
		n, err := c.Conn.Write(b)
		_ = c.Conn.SetWriteDeadline(time.Time{})
		return n, err
	})
}

// Close, CloseWrite and SetLinger record what they are called.
func (c *Conn) Close() error {
	return c.l.Do("close", record.Socket, c, func(*record.Call) error { return c.Conn.Close() })
}

func (c *Conn) CloseWrite() error {
	return c.l.Do("closewrite", record.Socket, c, func(*record.Call) error {
		return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	})
}

func (c *Conn) SetLinger(sec int) {
	_ = c.l.Do("setlinger", record.Socket, c, func(call *record.Call) error {
		call.Asked = sec
		return c.Conn.(*net.TCPConn).SetLinger(sec)
	})
}

// pattern is n bytes of recognisable payload that no protocol starts with.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}
