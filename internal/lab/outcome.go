//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"hangup/internal/lab/record"
)

// sentinels returns what errors.Is is asked for, beside the errnos, in the
// order in which the first that fits gives the token. ErrClosed precedes the
// rest because a poller's error wraps nothing else; UnexpectedEOF precedes
// EOF because some libraries answer Is for both.
func sentinels() []sentinel {
	return []sentinel{
		{"ErrClosed", net.ErrClosed},
		{"UnexpectedEOF", io.ErrUnexpectedEOF},
		{"EOF", io.EOF},
		{"DeadlineExceeded", context.DeadlineExceeded},
		{"DeadlineExceeded", os.ErrDeadlineExceeded},
		{"Canceled", context.Canceled},
		{"ErrServerClosed", http.ErrServerClosed},
		{"ErrHandlerTimeout", http.ErrHandlerTimeout},
		{"ErrClosedPipe", io.ErrClosedPipe},
		{"ErrInvalid", os.ErrInvalid},
	}
}

type sentinel struct {
	token string
	err   error
}

// describe fills in everything about the error of a call.
func describe(c *record.Call, err error) {
	if err == nil {
		c.Error = "nil"
		return
	}
	c.Error = "other"
	c.Text = err.Error()
	c.Types = chain(err)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		c.Error = unix.ErrnoName(errno)
		c.Is = append(c.Is, c.Error)
	}
	for _, s := range sentinels() {
		if !errors.Is(err, s.err) {
			continue
		}
		if c.Error == "other" {
			c.Error = s.token
		}
		c.Is = append(c.Is, sentinelName(s))
	}
	var t interface{ Timeout() bool }
	c.Timeout = errors.As(err, &t) && t.Timeout()
	var alert tls.AlertError
	if errors.As(err, &alert) {
		c.Note = fmt.Sprintf("tls alert %d", uint8(alert))
	}
}

func sentinelName(s sentinel) string {
	switch s.err {
	case context.DeadlineExceeded:
		return "context.DeadlineExceeded"
	case os.ErrDeadlineExceeded:
		return "os.ErrDeadlineExceeded"
	case context.Canceled:
		return "context.Canceled"
	case net.ErrClosed:
		return "net.ErrClosed"
	case io.EOF:
		return "io.EOF"
	case io.ErrUnexpectedEOF:
		return "io.ErrUnexpectedEOF"
	}
	return s.token
}

// chain lists the dynamic types of err and of what it wraps, outermost first.
func chain(err error) []string {
	var types []string
	for err != nil {
		types = append(types, fmt.Sprintf("%T", err))
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, sub := range e.Unwrap() {
				types = append(types, chain(sub)...)
			}
			return types
		default:
			return types
		}
	}
	return types
}
