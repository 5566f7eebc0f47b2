//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// timeoutFamily: silence, and whose timer ends it. The timers are those of
// the kernel, made short by sysctls and socket options.
func timeoutFamily() (all []Scenario) {
	all = append(all, eachSide(retransmissionTimeout)...)
	all = append(all, eachSide(blockedWriterTimeout)...)
	all = append(all, eachSide(keepAliveTimeout)...)
	all = append(all, eachSide(userTimeoutBusy)...)
	all = append(all, userTimeoutIdle(), userTimeoutBlocked())
	all = append(all, eachSide(finTimeout)...)
	all = append(all, eachSide(closeWriteUnanswered)...)
	all = append(all, eachSide(dataThenFINUnanswered)...)
	all = append(all, afterPeersFIN())
	return all
}

// cutPath is what the network does when the actor says so: from then on
// nothing passes, in the given directions.
func cutPath(toServer, toClient bool) func(*N) {
	return func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Wire("nothing passes", blackhole(toServer, toClient))
		n.At("cut")
	}
}

// listens is the silent side: it reads, and learns nothing.
func listens(l *L, c *Conn) {
	greet(l, c)
	c.Phase = record.Pending
	l.Go(func() { _, _ = c.ReadN(1024) })
	l.Wait(other(l.Role) + " ended")
}

// silentTruth is a timeout whose reason the packets leave open: the path or
// the other host. The silent side's own wire shows nothing at all.
func silentTruth(cause, side string) record.Expect {
	e := first(truth("timed-out", cause, record.Unknown), "none", "")
	e.Conns[0].AlsoBy = []string{other(side)}
	e.Conns[0].Views = []record.View{{Capture: other(side), Class: "open", Cause: "still-open", By: record.Unknown, FirstEnd: "none",
		Why: "the path was cut: this side's wire shows an idle connection"}}
	return e
}

// seenDead adds that the prober says RST when it gives up: a RST that the
// other side never gets.
func seenDead(e record.Expect, side string) record.Expect { return first(e, side, "RST") }

func retransmissionTimeout(side string) Scenario {
	s := pair(Scenario{
		Name:   "rto-" + side,
		About:  "the path is cut; the " + side + " writes 50 bytes, and its kernel gives up after 3 retransmissions (tcp_retries2)",
		Probes: allProbes()[:3], Places: []Place{wired4, wired6}, Beat: true, Limit: 30 * time.Second,
		Sysctl: tcpSysctl(side, "tcp_retries2", "3"),
		Expect: silentTruth("retransmission-timeout", side), Tail: 2 * time.Second, // past twice the last interval
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, listens)
	s.Probes = []string{reader, writer, inRead, nobody}
	s.Network = cutPath(true, true)
	return s
}

// blockedWriterTimeout: the path dies in the middle of one long Write.
func blockedWriterTimeout(side string) Scenario {
	s := retransmissionTimeout(side)
	s.Name = "rto-blocked-" + side
	s.About = "the path is cut in the middle of a Write of 256 KB by the " + side + ", which is blocked in it when its kernel gives up"
	s.Probes = []string{inWrite}
	s = replaceActor(s, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("wire ready")
		p := c.Watch()
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		for {
			if _, err := c.ReadWithin(4096, time.Second); err != nil {
				break
			}
		}
	})
	s.Network = func(n *N) {
		n.Greeted()
		data := 0
		n.Wire("nothing passes after three segments of data", func(s Seg, up bool) verdict {
			if s.Len > 100 {
				data++
			}
			if data > 3 {
				return drop
			}
			return pass
		})
		n.At("wire ready")
	}
	return s
}

func keepAliveTimeout(side string) Scenario {
	s := pair(Scenario{
		Name:   "keepalive-" + side,
		About:  "the path is cut while idle; the " + side + " probes (1 s, then 2 probes 1 s apart), gives up, and sends a RST into the void",
		Probes: []string{reader, writer, inRead, nobody}, Places: []Place{wired4, wired6}, Beat: true, Limit: 30 * time.Second,
		Expect: seenDead(silentTruth("keepalive-timeout", side), side), Tail: 100 * time.Millisecond,
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.keepAlive(1, 1, 2)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, listens)
	s.Network = cutPath(true, true)
	return s
}

func userTimeoutBusy(side string) Scenario {
	s := retransmissionTimeout(side)
	s.Name = "user-timeout-" + side
	s.About = "the path is cut; the " + side + " writes, and TCP_USER_TIMEOUT of 1.5 s ends the wait"
	s.Probes, s.Sysctl, s.Tail = []string{reader, writer, inRead}, nil, 2*time.Second
	return replaceActor(s, side, func(l *L, c *Conn) {
		greet(l, c)
		c.userTimeout(1500 * time.Millisecond)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, listens)
}

// replaceActor keeps a scenario's network and changes what the sides do.
func replaceActor(s Scenario, side string, actor, told func(*L, *Conn)) Scenario {
	n := s.Network
	s = pair(s, side, actor, told)
	s.Network = n
	return s
}

func userTimeoutIdle() Scenario {
	s := keepAliveTimeout(record.Client)
	s.Name = "user-timeout-idle-client"
	s.About = "the path is cut while idle; keep-alive probes every second, and TCP_USER_TIMEOUT of 2.5 s ends it before their number does"
	s.Probes = []string{inRead, writer}
	return replaceActor(s, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		c.keepAlive(1, 1, 9)
		c.userTimeout(2500 * time.Millisecond)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, listens)
}

// userTimeoutBlocked: the writer is in Write when its kernel gives up.
func userTimeoutBlocked() Scenario {
	s := pair(Scenario{
		Name:   "user-timeout-zero-window-client",
		About:  "the server never reads and its window closes; the client, blocked in Write, gives up by TCP_USER_TIMEOUT of 2 s though every probe is answered",
		Probes: []string{inWrite}, Places: []Place{direct4, direct6}, Limit: 20 * time.Second, Beat: true, Tail: 100 * time.Millisecond,
		Expect: offWire(first(truth("open", "zero-window-stall", record.Server), "none", ""), "that the client's kernel has given up, in silence"),
		Adjust: func(s *Scenario) { s.Expect.Conns[0].AlsoIn = []string{"timed-out"} },
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		c.userTimeout(2 * time.Second)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("client ended")
	})
	return s
}

// finTimeout: Close, into the void. The socket is an orphan, and nobody can
// be told.
func finTimeout(side string) Scenario {
	s := pair(Scenario{
		Name:   "fin-unanswered-" + side,
		About:  "the path is cut; the " + side + " closes, and its FIN is repeated (tcp_orphan_retries 3) until the kernel forgets the socket",
		Places: []Place{wired4, wired6}, Limit: 30 * time.Second, Beat: true, Tail: 100 * time.Millisecond,
		Sysctl: tcpSysctl(side, "tcp_orphan_retries", "3", "tcp_fin_timeout", "10"),
		Expect: silentTruth("fin-timeout", side),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.At("watching")
		l.Wait("cut")
		_ = c.Close()
		_, _ = c.ReadN(1)
		_, _ = c.WriteN(1)
		_ = c.Close()
		l.Wait("forgotten")
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(1024) })
	})
	s.Expect = first(s.Expect, side, "FIN")
	s.Network = func(n *N) {
		cutPath(true, true)(n)
		n.Seen(side, "the FIN", hasFIN)
		n.UntilStates(side, basePort+1)
		n.At("forgotten")
	}
	return s
}

// closeWriteUnanswered: a FIN by CloseWrite has a living socket behind it,
// which is told.
func closeWriteUnanswered(side string) Scenario {
	s := retransmissionTimeout(side)
	s.Name = "closewrite-unanswered-" + side
	s.About = "the path is cut; the " + side + " calls CloseWrite, and its kernel gives up on the FIN after 3 retransmissions (tcp_retries2)"
	s.Probes = []string{reader, writer, inRead}
	s.Expect = first(silentTruth("fin-timeout", side), side, "FIN")
	return replaceActor(s, side, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_ = c.CloseWrite()
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, listens)
}

func dataThenFINUnanswered(side string) Scenario {
	s := finTimeout(side)
	s.Name = "data-and-fin-unanswered-" + side
	s.About = "the path is cut; the " + side + " writes 50 bytes and closes: both calls say nil, and the data is lost"
	s.Expect.Conns[0].Also = []string{"retransmission-timeout"}
	return replaceActor(s, side, func(l *L, c *Conn) {
		greet(l, c)
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		_ = c.Close()
		l.Wait("forgotten")
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(1024) })
	})
}

// afterPeersFIN: the peer has closed and is gone; what is written then stays
// unanswered.
func afterPeersFIN() Scenario {
	s := pair(Scenario{
		Name:   "rto-after-peers-fin-client",
		About:  "the server closes, then the path is cut; the client's data stays unanswered until its kernel gives up",
		Probes: []string{reader, writer, nobody}, Places: []Place{wired4, wired6}, Limit: 30 * time.Second, Beat: true, Tail: 2 * time.Second,
		Sysctl: tcpSysctl(record.Client, "tcp_retries2", "3"),
		Expect: first(truth("timed-out", "retransmission-timeout", record.Unknown, "close-wait-leak"), record.Server, "FIN"),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.Close()
	})
	s.Expect.Conns[0].AlsoBy = []string{record.Server}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Class: "half-open", Cause: "close-wait-leak", By: record.Client,
		Why: "the server's wire shows only that the client does not close"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.UntilStates(record.Server, basePort+1, finWait2) // its FIN is acknowledged
		cutPath(true, true)(n)
	}
	return s
}
