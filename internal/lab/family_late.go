//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// lateFamily: resets in combination with FINs, and data that comes too late.
func lateFamily() (all []Scenario) {
	all = append(all, eachSide(largeWriteAfterClose)...)
	all = append(all, eachSide(closeWhileResponding)...)
	all = append(all, eachSide(halfCloseThenReset)...)
	all = append(all, eachSide(finThenReset)...)
	all = append(all, eachSide(finWait2Expired)...)
	all = append(all, eachSide(destroyed)...)
	all = append(all, eachSide(closeWhileOwnWriteBlocked)...)
	all = append(all, earlyReply(false), earlyReply(true), bothReset(), unreadBoth())
	return all
}

// largeWriteAfterClose: one Write that is larger than what draws the RST.
func largeWriteAfterClose(side string) Scenario {
	return pair(Scenario{
		Name:   "large-write-after-close-by-" + other(side),
		About:  "the " + side + " closes; the other side then writes 256 KB with small buffers, and is reset in the middle of the call",
		Probes: []string{inWrite}, Places: []Place{direct4, direct6, lo4},
		Expect: first(truth("reset", "write-after-close", other(side)), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("client greeted")
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		c.Phase = record.After
		_, _ = c.WriteN(256 << 10)
		_, _ = c.WriteN(10)
		_, _ = c.ReadWithin(10, patience)
		_, _ = c.WriteN(10)
	})
}

// closeWhileResponding: the requester has read part of the answer and
// leaves; the rest is on its way.
func closeWhileResponding(side string) Scenario {
	return pair(Scenario{
		Name:   "close-in-mid-response-by-" + side,
		About:  "the other side is blocked writing 256 KB; the " + side + " reads 3,000 bytes of it and closes with more unread",
		Probes: []string{inWrite}, Places: []Place{direct4, routed6, lo4},
		Expect: first(truth("reset", "close-with-unread-data", side, "abortive-close"), side, "RST"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		c.ReadAll(3000)
		c.UntilUnread(1000)
		_ = c.Close()
	}, toldReset)
}

// halfCloseThenReset: the told side has sent its FIN before the RST comes.
func halfCloseThenReset(side string) Scenario {
	return pair(Scenario{
		Name:   "half-close-then-reset-by-" + side,
		About:  "the other side has called CloseWrite; the " + side + " resets instead of answering",
		Probes: readProbes(), Places: []Place{direct4, routed6},
		Expect: first(truth("reset", "abortive-close", side), other(side), "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		c.UntilState(closeWait)
		c.SetLinger(0)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.CloseWrite()
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
	})
}

// finThenReset: the told side has received a FIN before the RST.
func finThenReset(side string) Scenario {
	return pair(Scenario{
		Name:   "fin-then-reset-by-" + side,
		About:  "the " + side + " calls CloseWrite, and later resets the connection with SetLinger(0) and Close",
		Probes: []string{reader, writer, nobody}, Places: []Place{direct4, routed6},
		Expect: first(truth("reset", "abortive-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.CloseWrite()
		l.Wait("watching")
		c.SetLinger(0)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
	})
}

func finWait2Expired(side string) Scenario {
	s := pair(Scenario{
		Name:   "fin-wait2-expired-" + side,
		About:  "the " + side + " closes and its FIN_WAIT_2 expires (tcp_fin_timeout 1 s); the other side's FIN much later draws a RST",
		Places: []Place{direct4, direct6}, Sysctl: tcpSysctl(side, "tcp_fin_timeout", "1"),
		Expect: first(truth("reset", "fin-wait2-expired", other(side)), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("client greeted")
		_ = c.Close()
		l.At("closed")
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		l.Wait("expired")
		c.Phase = record.After
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
	s.Network = func(n *N) {
		n.Wait("closed")
		n.UntilStates(side, basePort+1)
		n.At("expired")
		n.Seen(side, "the RST", hasRST)
	}
	return s
}

// destroyed: the administrator kills the socket with ss -K.
func destroyed(side string) Scenario {
	s := pair(Scenario{
		Name:   "destroyed-" + side,
		About:  "the administrator destroys the socket of the " + side + " with ss -K: its own program gets ECONNABORTED, the other side a RST",
		Probes: []string{reader, writer, inRead}, Places: []Place{direct4, direct6},
		Expect: offWire(first(truth("reset", "abortive-close", side), side, "RST"), "that it was the administrator"),
	}, side, toldReset, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		p := l.Go(func() { _, _ = c.ReadN(10) })
		l.At("other watching")
		p.Join(l.limit())
		c.Phase = record.After
		_, _ = c.ReadN(10)
		_, _ = c.WriteN(10)
	})
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Wait("other watching")
		n.Exec(side, "ss", "-K", "-t", "sport", "=", ":"+map[string]string{record.Client: "40001", record.Server: "8080"}[side])
	}
	return s
}

func closeWhileOwnWriteBlocked(side string) Scenario {
	return pair(Scenario{
		Name:   "close-own-write-blocked-by-" + side,
		About:  "the " + side + " is blocked in Write when another goroutine of its own closes the connection; the other side then reads what was sent, and EOF",
		Probes: []string{inWrite}, Places: []Place{direct4},
		Expect: offWire(first(truth("graceful", "orderly-close", side), side, "FIN"), "the closer's own blocked Write"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		p := l.Go(func() { _, _ = c.WriteN(32 << 10) })
		c.Phase = record.Before
		_ = c.Close()
		p.Join(l.limit())
		l.At("closed")
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("closed")
		for {
			if _, err := c.ReadN(4096); err != nil {
				break
			}
		}
		_ = c.Close()
	})
}

// earlyReply: an answer to an upload that the server does not read to its
// end. The RST can destroy the answer in the client's receive queue: on
// Linux it does not, if the answer came first.
func earlyReply(linger bool) Scenario {
	s := pair(Scenario{
		Name:   "early-reply",
		About:  "the client is blocked uploading 256 KB; the server answers 100 bytes after the first 1,000 and closes with the rest unread",
		Probes: []string{inWrite}, Places: []Place{direct4, routed6},
		Expect: first(truth("reset", "close-with-unread-data", record.Server, "abortive-close"), record.Server, "RST"),
	}, record.Server, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		c.ReadAll(1000)
		_, _ = c.WriteN(100)
		if linger {
			_ = c.CloseWrite()
			c.UntilAcked()
			time.Sleep(100 * time.Millisecond) // net/http waits 500 ms here
		}
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
		c.l.Probe = ""
	})
	if linger {
		s.Name += "-lingering"
		s.About += ", but sends its FIN first and waits a little, as net/http does"
		s.Expect = first(s.Expect, record.Server, "FIN")
		s.Expect.Conns[0].Also = append(s.Expect.Conns[0].Also, "write-after-close")
		s.Expect.Conns[0].AlsoBy = []string{record.Client}
	}
	return s
}

// bothReset: both sides reset at the same time.
func bothReset() Scenario {
	act := func(l *L, c *Conn) {
		greet(l, c)
		c.SetLinger(0)
		l.At(l.Role + " ready")
		l.Wait(other(l.Role) + " ready")
		_ = c.Close()
	}
	s := pair(Scenario{Name: "both-reset", About: "both sides reset at the same time: the RSTs cross, nobody is told",
		Places: wiredPlaces(), Expect: truth("reset", "abortive-close", record.Both)}, record.Client, act, act)
	s.Expect.Conns[0].AlsoBy = []string{record.Client, record.Server}
	s.Setup = func(n *N) {
		n.Wire("hold both RSTs", func(s Seg, _ bool) verdict {
			if hasRST(s) {
				return hold
			}
			return pass
		})
	}
	s.Network = func(n *N) {
		for _, role := range []string{record.Client, record.Server} {
			n.Seen(role, "its own RST", func(s Seg) bool { return hasRST(s) && s.Out })
		}
		n.Release()
	}
	return s
}

// unreadBoth: both have unread data, one closes.
func unreadBoth() Scenario {
	act := func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.WriteN(100)
		c.UntilAcked()
		c.UntilUnread(100)
		l.At(l.Role + " ready")
		l.Wait(other(l.Role) + " ready")
		if l.Role == record.Server {
			_ = c.Close()
			return
		}
		p := c.Watch()
		c.UntilState(closed)
		p.Run()
	}
	return pair(Scenario{Name: "unread-both", About: "both have 100 unread bytes; the server closes; the client still reads its 100 bytes before, or after, the error",
		Probes: bothOrders(), Places: []Place{direct4},
		Expect: first(truth("reset", "close-with-unread-data", record.Server, "abortive-close"), record.Server, "RST")}, record.Client, act, act)
}
