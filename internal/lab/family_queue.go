//go:build linux

package main

import (
	"fmt"
	"time"

	"hangup/internal/lab/record"
)

// queueFamily: connections that no Accept ever returned, or that died before
// one did.
func queueFamily() []Scenario {
	return []Scenario{
		listenerClosed(1, 0), listenerClosed(3, 0), listenerClosed(1, 40), listenerClosed(3, 40), listenerExit(),
		overflow(false), overflow(true), overflowCookies(), overflowExpired(), queueFullSYNDropped(),
		resetInQueue(), resetInQueueAfterData(), closedInQueue(),
	}
}

// listenerClosed: the kernel completes handshakes for a program that never
// accepts, and resets them when the listener goes.
func listenerClosed(count, bytes int) Scenario {
	s := Scenario{
		Name:   fmt.Sprintf("listener-closed-%d-queued-%d-bytes", count, bytes),
		About:  fmt.Sprintf("%d connections wait in the accept queue, %d bytes written on each, when the listener is closed", count, bytes),
		Probes: []string{reader, writer, inRead}, Places: []Place{direct4, direct6, lo4},
		Client: func(l *L) {
			var watch []*Prober
			var conns []*Conn
			for range count {
				c := l.Dial()
				conns = append(conns, c)
				if bytes > 0 {
					_, _ = c.WriteN(bytes)
					c.UntilAcked()
				}
			}
			for _, c := range conns {
				watch = append(watch, c.Watch())
			}
			l.At("watching")
			for i, c := range conns {
				c.UntilState(closed)
				watch[i].Run()
			}
		},
		Server: func(l *L) {
			ln := l.Listen()
			l.Wait("watching")
			_ = ln.Close()
			l.Wait("client ended")
		},
	}
	truths := record.Expect{}
	for range count {
		truths.Conns = append(truths.Conns, record.Conn{Class: "reset", Cause: "listener-closed", By: record.Server, FirstEnd: record.Server, Flag: "RST",
			Also: []string{"abortive-close", "close-with-unread-data"}})
	}
	s.Expect = truths
	return s
}

// listenerExit: the process exits with one connection accepted and one
// still queued.
func listenerExit() Scenario {
	return Scenario{
		Name: "listener-exit", About: "the server exits with one accepted connection (FIN) and one still in the accept queue (RST)",
		Probes: []string{reader}, Places: []Place{direct4},
		Client: func(l *L) {
			a := l.Dial()
			greet(l, a)
			b := l.Dial()
			_, _ = b.WriteN(10)
			b.UntilAcked()
			l.At("queued")
			b.UntilState(closed)
			b.Watch().Run()
			a.UntilState(closeWait)
			a.Phase = record.After
			_, _ = a.ReadWithin(10, patience)
			_ = a.Close()
		},
		Server: func(l *L) {
			greet(l, l.Listen().One())
			l.Wait("queued")
			l.Exit()
		},
		Expect: offWire(record.Expect{Conns: []record.Conn{
			{Class: "graceful", Cause: "orderly-close", By: record.Server, FirstEnd: record.Server, Flag: "FIN"},
			{Class: "reset", Cause: "listener-closed", By: record.Server, FirstEnd: record.Server, Flag: "RST", Also: []string{"abortive-close", "close-with-unread-data"}},
		}}, "the process exited"),
	}
}

// overflow: the third handshake completes on the client's side only. Its ACK
// and the second's are held until both SYN-ACKs are out, because a queue that
// is full already drops the SYN. The first must be complete by then: with
// more handshakes under way than the backlog allows, SYN cookies take over,
// which neither repeat a SYN-ACK nor abort (see overflowCookies).
func overflow(abort bool) Scenario {
	s := Scenario{
		Name:   "accept-queue-overflow",
		About:  "the accept queue (2 places) is full when the third handshake's ACK comes: it is ignored, the SYN-ACK repeated, the data never acknowledged",
		Probes: []string{inRead}, Places: wiredPlaces(), Tail: time.Second, Beat: true,
		Sysctl: []Sysctl{{record.Server, "net.core.somaxconn", "1"}},
	}
	third := record.Conn{Class: "half-open", Cause: "accept-queue-overflow", By: record.Server, FirstEnd: "none"}
	if abort {
		s.Name, s.About = "accept-queue-overflow-abort", "as accept-queue-overflow with tcp_abort_on_overflow: the third client is reset"
		s.Probes = []string{inRead, reader, writer}
		s.Sysctl = append(s.Sysctl, tcpSysctl(record.Server, "tcp_abort_on_overflow", "1")...)
		third.Class, third.FirstEnd, third.Flag = "reset", record.Server, "RST"
		third.Also = []string{"peer-lost-state", "listener-closed"}
	}
	open := record.Conn{Class: "open", Cause: "still-open", By: record.Unknown}
	s.Expect.Conns = []record.Conn{open, open, third}
	s.Setup = holdHandshakeACKs
	s.Client = func(l *L) { overflowClient(l, abort) }
	s.Server = func(l *L) {
		l.keep = append(l.keep, l.Listen())
		l.Wait("client ended")
	}
	s.Network = func(n *N) {
		n.Wait("dialled")
		n.Release()
		n.At("released")
		if !abort {
			n.SeenTimes(3, record.Client, "the third SYN-ACK of one port", func(s Seg) bool {
				return s.Only(flagSYN|flagACK) && s.Dst.Port() == basePort+3
			})
			n.At("enough")
		}
	}
	return s
}

func holdHandshakeACKs(n *N) {
	n.Wire("hold the ACKs of all handshakes but the first", func(s Seg, up bool) verdict {
		if up && s.Only(flagACK) && s.Src.Port() != basePort+1 {
			return hold
		}
		return pass
	})
}

func overflowClient(l *L, abort bool) {
	l.Dial()
	l.Dial()
	c := l.Dial()
	p := c.Watch()
	l.At("dialled")
	l.Wait("released")
	if abort {
		c.UntilState(closed)
		p.Run()
		return
	}
	c.Phase = record.After
	_, _ = c.WriteN(10)
	l.Wait("enough")
	_, _ = c.WriteWithin(10, patience)
}

// overflowCookies: three handshakes under way at once exceed the backlog, so
// that the third SYN is answered by a cookie, of which the server remembers
// nothing: neither SYN-ACKs nor, with tcp_abort_on_overflow, a RST follow.
func overflowCookies() Scenario {
	s := overflow(false)
	s.Name = "accept-queue-overflow-cookies"
	s.About = "as accept-queue-overflow with the third SYN answered by a SYN cookie: the server never says anything again"
	s.Places = []Place{wired4}
	s.Sysctl = append(s.Sysctl, tcpSysctl(record.Server, "tcp_abort_on_overflow", "1")...)
	s.Expect.Conns[2].Also = []string{"peer-vanished", "handshake-incomplete", "retransmission-timeout"}
	s.Expect.Conns[2].AlsoBy = []string{record.Unknown}
	s.Setup = func(n *N) {
		n.Wire("hold the ACKs of handshakes", func(s Seg, up bool) verdict {
			if up && s.Only(flagACK) {
				return hold
			}
			return pass
		})
	}
	s.Network = func(n *N) {
		n.Wait("dialled")
		n.Release()
		n.At("released")
		n.SeenTimes(4, record.Client, "the third repeat of the data", func(s Seg) bool { return s.Out && s.Len > 0 })
		n.At("enough")
	}
	return s
}

// overflowExpired: after its last SYN-ACK the server forgets the handshake,
// and answers the client's next data with a RST.
func overflowExpired() Scenario {
	s := overflow(true)
	s.Name, s.About = "accept-queue-overflow-expired", "as accept-queue-overflow, until the server has forgotten the handshake and answers the client's repeated data with a RST"
	s.Sysctl = append(tcpSysctl(record.Server, "tcp_synack_retries", "1"), Sysctl{record.Server, "net.core.somaxconn", "1"})
	s.Probes, s.Limit = []string{inRead, writer}, 40*time.Second
	s.Client = func(l *L) {
		l.Dial()
		l.Dial()
		c := l.Dial()
		p := c.Watch()
		l.At("dialled")
		l.Wait("released")
		_, _ = c.WriteN(10)
		c.UntilState(closed)
		p.Run()
	}
	return s
}

// queueFullSYNDropped: from the wire no different from a black hole.
func queueFullSYNDropped() Scenario {
	open := record.Conn{Class: "open", Cause: "still-open", By: record.Unknown}
	return Scenario{
		Name: "queue-full-syn-dropped", About: "the accept queue is full already when the third SYN comes: it is dropped, and the dial ends by its own timeout",
		Places: []Place{direct4, direct6}, Tail: 2 * time.Second, Beat: true, Sysctl: []Sysctl{{record.Server, "net.core.somaxconn", "1"}},
		Client: func(l *L) {
			l.Dial()
			l.Dial()
			_, _ = l.DialWith(DialOpt{Timeout: 1500 * time.Millisecond})
		},
		Server: func(l *L) {
			l.keep = append(l.keep, l.Listen())
			l.Wait("client ended")
		},
		Expect: offWire(record.Expect{Conns: []record.Conn{open, open,
			{Class: "timed-out", Cause: "connect-timeout", By: record.Unknown, Also: []string{"accept-queue-overflow"}, FirstEnd: "none"}}},
			"the full accept queue; the dial's timeout"),
	}
}

// resetInQueue: the client gives up before Accept, which returns nil all the
// same.
func resetInQueue() Scenario {
	return Scenario{
		Name: "reset-in-queue", About: "the client resets the connection before the server calls Accept: Accept returns nil, the first call fails",
		Probes: []string{reader, writer}, Places: []Place{direct4, lo6, routed4},
		Client: func(l *L) {
			c := l.Dial()
			c.SetLinger(0)
			_ = c.Close()
		},
		Server: func(l *L) {
			ln := l.Listen()
			l.Wait("client ended")
			c := ln.One()
			c.UntilState(closed)
			c.Watch().Run()
			_ = c.Close()
		},
		Expect: first(truth("reset", "abortive-close", record.Client), record.Client, "RST"),
	}
}

func resetInQueueAfterData() Scenario {
	s := resetInQueue()
	s.Name, s.About = "reset-in-queue-after-data", "as reset-in-queue, with 40 bytes sent before the reset: they are still read first"
	s.Client = func(l *L) {
		c := l.Dial()
		_, _ = c.WriteN(40)
		c.UntilAcked()
		c.SetLinger(0)
		_ = c.Close()
	}
	return s
}

func closedInQueue() Scenario {
	return Scenario{
		Name: "closed-in-queue", About: "the client writes and closes before the server calls Accept, which then reads it all and EOF",
		Places: []Place{direct4, lo4},
		Client: func(l *L) {
			c := l.Dial()
			_, _ = c.WriteN(40)
			_ = c.Close()
		},
		Server: func(l *L) {
			ln := l.Listen()
			l.Wait("client ended")
			c := ln.One()
			c.UntilState(closeWait)
			c.Phase = record.After
			_, _ = c.ReadN(100)
			_, _ = c.ReadN(100)
			_ = c.Close()
		},
		Expect: first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN"),
	}
}
