//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// closeFamily: everybody says goodbye, in all the ways there are.
func closeFamily() (all []Scenario) {
	all = append(all, eachSide(orderlyClose)...)
	all = append(all, eachSide(lateOrderlyClose)...)
	all = append(all, eachSide(closeWithOwnCallPending)...)
	all = append(all, eachSide(halfClose)...)
	all = append(all, eachSide(closeAfterData)...)
	all = append(all, eachSide(processExit)...)
	all = append(all, eachSide(killedIdle)...)
	all = append(all, eachSide(finLost)...)
	all = append(all, eachSide(finReordered)...)
	all = append(all, simultaneousClose())
	return all
}

// toldOrderly is the polite side: it reads to the end, then closes.
func toldOrderly(l *L, c *Conn) {
	greet(l, c)
	read := func() { _, _ = c.ReadN(1024) }
	if l.Probe == inRead {
		c.Phase = record.Pending
		p := l.Go(read)
		l.At("watching")
		p.Join(l.limit())
	} else {
		l.At("watching")
		c.UntilState(closeWait)
		c.Phase = record.After
		read()
	}
	c.Phase = record.After
	read()
	_ = c.Close()
	_, _ = c.ReadN(1)
	_, _ = c.WriteN(1)
}

func orderlyClose(side string) Scenario {
	return pair(Scenario{
		Name:   "orderly-by-" + side,
		About:  "after a request and its answer the " + side + " closes, the other side reads EOF and closes",
		Probes: []string{inRead, reader}, Places: everyPlace(),
		Expect: first(truth("graceful", "orderly-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		_ = c.Close()
		_, _ = c.ReadN(1)
		_, _ = c.WriteN(1)
	}, toldOrderly)
}

func lateOrderlyClose(side string) Scenario {
	return pair(Scenario{
		Name:   "orderly-late-by-" + side,
		About:  "as orderly, but the other side closes 300 ms later: four segments",
		Places: somePlaces(),
		Expect: first(truth("graceful", "orderly-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		time.Sleep(300 * time.Millisecond) // longer than a delayed ACK, 40 to 200 ms
		c.Phase = record.After
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
}

func closeWithOwnCallPending(side string) Scenario {
	return pair(Scenario{
		Name:   "close-own-read-pending-by-" + side,
		About:  "the " + side + " closes while another goroutine of its own is blocked in Read",
		Places: []Place{direct4, routed6},
		Expect: offWire(first(truth("graceful", "orderly-close", side), side, "FIN"), "the closer's own pending Read"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		p := l.Go(func() { _, _ = c.ReadN(10) })
		l.Wait("watching")
		c.Phase = record.Before
		_ = c.Close()
		p.Join(l.limit())
	}, toldOrderly)
}

func halfClose(side string) Scenario {
	return pair(Scenario{
		Name:   "half-close-by-" + side,
		About:  "the " + side + " calls CloseWrite; the other side reads EOF, still sends 2 x 100 bytes, which are read, and closes",
		Places: everyPlace(),
		Expect: first(truth("graceful", "half-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.CloseWrite()
		c.Phase = record.After
		_, _ = c.WriteN(10)
		c.ReadAll(200)
		_, _ = c.ReadN(10)
		_, _ = c.WriteN(10)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.ReadN(10)
		_, _ = c.WriteN(100)
		c.UntilAcked()
		_, _ = c.WriteN(100)
		c.UntilAcked()
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
}

func closeAfterData(side string) Scenario {
	return pair(Scenario{
		Name:   "close-after-data-by-" + side,
		About:  "the " + side + " writes 2,000 bytes and closes at once; the other side reads them all, then EOF",
		Places: []Place{direct4, lo6},
		Expect: first(truth("graceful", "orderly-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.WriteN(2000)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
		c.Phase = record.After
		c.ReadAll(2000)
		_, _ = c.ReadN(10)
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
}

func processExit(side string) Scenario {
	return pair(Scenario{
		Name:   "exit-by-" + side,
		About:  "the process of the " + side + " exits without closing; nothing is unread, so its kernel sends FIN",
		Places: somePlaces(),
		Expect: offWire(first(truth("graceful", "orderly-close", side), side, "FIN"), "the process exited: the same packets as Close"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		l.Exit()
	}, toldOrderly)
}

func killedIdle(side string) Scenario {
	s := pair(Scenario{
		Name:   "killed-idle-" + side,
		About:  "SIGKILL to the " + side + ", which has read everything: its kernel sends FIN",
		Places: []Place{direct4, routed4},
		Expect: offWire(first(truth("graceful", "orderly-close", side), side, "FIN"), "the process was killed: the same packets as Close"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.At("idle")
		_, _ = c.ReadN(10)
	}, toldOrderly)
	s.Network = func(n *N) {
		n.Wait("idle")
		n.Wait("watching")
		n.Kill(side)
	}
	return s
}

// dropOnce loses the first segment that matches.
func dropOnce(match func(Seg) bool) func(Seg, bool) verdict {
	done := false // the wire serialises calls
	return func(s Seg, _ bool) verdict {
		if !done && match(s) {
			done = true
			return drop
		}
		return pass
	}
}

func hasFIN(s Seg) bool { return s.Has(flagFIN) }
func hasRST(s Seg) bool { return s.Has(flagRST) }
func hasSYN(s Seg) bool { return s.Has(flagSYN) }

func finLost(side string) Scenario {
	s := orderlyClose(side)
	s.Name = "fin-lost-by-" + side
	s.About = "orderly, but the first FIN is lost and has to be repeated"
	s.Probes, s.Places = []string{inRead}, wiredPlaces()
	s.Setup = func(n *N) { n.Wire("lose the first FIN", dropOnce(hasFIN)) }
	return s
}

func finReordered(side string) Scenario {
	s := closeAfterData(side)
	s.Name = "fin-reordered-by-" + side
	s.About = "the last data is overtaken by the FIN; the reader gets all of it all the same"
	s.Places = wiredPlaces()
	s.Setup = func(n *N) {
		seen := 0
		n.Wire("hold the first segment of the last data", func(s Seg, up bool) verdict {
			if s.Len >= 1000 && up == (side == record.Client) {
				if seen++; seen == 1 {
					return hold
				}
			}
			return pass
		})
	}
	s.Network = func(n *N) {
		n.Seen(other(side), "the FIN", func(s Seg) bool { return hasFIN(s) && !s.Out })
		n.Release()
	}
	return s
}

func simultaneousClose() Scenario {
	act := func(l *L, c *Conn) {
		greet(l, c)
		l.At(l.Role + " ready")
		l.Wait(other(l.Role) + " ready")
		_ = c.Close()
	}
	s := pair(Scenario{
		Name: "simultaneous-close", About: "both sides close at the same time: the FINs cross on the wire",
		Places: wiredPlaces(),
		Expect: truth("graceful", "simultaneous-close", record.Both),
	}, record.Client, act, act)
	s.Setup = func(n *N) {
		n.Wire("hold both FINs", func(s Seg, _ bool) verdict {
			if hasFIN(s) {
				return hold
			}
			return pass
		})
	}
	s.Network = func(n *N) {
		for _, role := range []string{record.Client, record.Server} {
			n.Seen(role, "its own FIN", func(s Seg) bool { return hasFIN(s) && s.Out })
		}
		n.Release()
		n.UntilStates(record.Client, serverPort, timeWait)
	}
	return s
}
