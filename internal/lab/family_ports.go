//go:build linux

package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"hangup/internal/lab/record"
)

// portsFamily: a client whose kernel has few local ports.
func portsFamily() []Scenario { return []Scenario{portsRunOut(), portsRecycled()} }

const fewPorts = 64

// portsRunOut: each connection leaves its port in TIME_WAIT, until a dial finds
// none. Range and reuse belong to the client's namespace.
func portsRunOut() Scenario {
	return Scenario{
		Name:   "ports-run-out",
		About:  fmt.Sprintf("the client's kernel has %d local ports; short connections that the client closes first leave all of them in TIME_WAIT, and the next dials fail without a packet", fewPorts),
		Sysctl: fewPortsSysctl("0"),
		Client: func(l *L) {
			var errs []error
			for range fewPorts + 2 {
				if err := dialAndClose(l); err != nil {
					errs = append(errs, err)
				}
			}
			if len(errs) != 2 || !errors.Is(errors.Join(errs...), syscall.EADDRNOTAVAIL) {
				l.Fail("expected two dials without a port: %v", errs)
			}
		},
		Server: acceptAndClose,
		Expect: record.Expect{Conns: closedByClient(fewPorts), OffWire: "the dials that found no port", Findings: []string{"port-exhaustion"}},
	}
}

// portsRecycled: with tcp_tw_reuse the kernel takes a port out of TIME_WAIT
// after a second, and twice as many dials as there are ports succeed.
func portsRecycled() Scenario {
	s := portsRunOut()
	s.Name = "ports-recycled"
	s.About = fmt.Sprintf("as ports-run-out with tcp_tw_reuse: %d ports carry three times as many connections, and no dial fails", fewPorts)
	s.Sysctl = fewPortsSysctl("1")
	s.Client = func(l *L) {
		for range 3 * fewPorts {
			if err := dialAndClose(l); err != nil {
				l.Fail("%v", err)
			}
			time.Sleep(10 * time.Millisecond) // tcp_tw_reuse_delay: 64 dials must last longer than a second
		}
	}
	s.Expect = record.Expect{Conns: closedByClient(3 * fewPorts), NoFindings: []string{"port-exhaustion"}}
	return s
}

func fewPortsSysctl(reuse string) []Sysctl {
	return tcpSysctl(record.Client, "ip_local_port_range", fmt.Sprintf("40001 %d", 40000+fewPorts), "tcp_tw_reuse", reuse)
}

// dialAndClose returns when the client's socket is in TIME_WAIT, where it holds
// its port alone.
func dialAndClose(l *L) error {
	c, err := l.DialWith(DialOpt{Local: -1})
	if err != nil {
		return err
	}
	nc := c.Conn
	c.UntilState(established)
	defer time.Sleep(20 * time.Millisecond) // more at once than tcpdump keeps up with
	return nc.Close()
}

// acceptAndClose closes every connection after the client has.
func acceptAndClose(l *L) {
	ln := l.Listen().Listener
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 1))
			_ = nc.Close()
		}
	}()
	l.Wait("client ended")
}

func closedByClient(n int) (list []record.Conn) {
	for range n {
		list = append(list, record.Conn{Class: "graceful", Cause: "orderly-close", By: record.Client, FirstEnd: record.Client, Flag: "FIN"})
	}
	return list
}
