//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// stallFamily: captures that end while something is still going on, or not
// going on.
func stallFamily() (all []Scenario) {
	all = append(all, eachSide(closeWaitLeak)...)
	all = append(all, eachSide(zeroWindow)...)
	all = append(all, eachSide(zeroWindowSilent)...)
	all = append(all, eachSide(zeroWindowRecovers)...)
	all = append(all, eachSide(vanishedBusy)...)
	all = append(all, eachSide(vanishedProbed)...)
	all = append(all, eachSide(oneWayLoss)...)
	all = append(all, vanishedIdle(), keepAliveTraffic(), hostDownBehindRouter(), hostDownOnLink(), pmtuBlackhole(), deadlines())
	return all
}

func closeWaitLeak(side string) Scenario {
	return pair(Scenario{
		Name:   "close-wait-leak-" + side,
		About:  "the other side closes; the " + side + " never notices, never reads, never closes",
		Places: []Place{direct4, routed6, lo4}, Tail: 1200 * time.Millisecond, Beat: true,
		Expect: first(truth("half-open", "close-wait-leak", side), other(side), "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closeWait)
	}, func(l *L, c *Conn) {
		greet(l, c)
		_ = c.Close()
	})
}

// zeroWindow: the writer's deadline ends its call, the connection lives on.
func zeroWindow(side string) Scenario {
	return pair(Scenario{
		Name:   "zero-window-" + side,
		About:  "the " + side + " never reads and its window closes; the other side's Write ends by its own deadline; every window probe is answered",
		Probes: []string{inWrite}, Places: []Place{direct4, direct6}, Tail: 2 * time.Second, Beat: true,
		Expect: offWire(first(truth("open", "zero-window-stall", side), "none", ""), "the writer's deadline"),
	}, other(side), func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		_, _ = c.WriteWithin(64<<10, 800*time.Millisecond)
		c.Phase = record.After
		_, _ = c.WriteWithin(10, patience)
		_, _ = c.ReadWithin(10, patience)
	}, func(l *L, c *Conn) { greet(l, c) })
}

func zeroWindowSilent(side string) Scenario {
	s := zeroWindow(side)
	s.Name = "zero-window-unanswered-" + side
	s.About = "the " + side + "'s window is closed, then the path is cut: the window probes stay unanswered"
	s.Places = wiredPlaces()
	s.Expect = first(truth("half-open", "zero-window-stall", side, "peer-vanished"), "none", "")
	s.Expect.Conns[0].AlsoBy = []string{record.Unknown}
	s.Expect.Conns[0].Views = []record.View{{Capture: side, Class: "open", Cause: "zero-window-stall", By: side, Why: "the last probe that came was answered"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.SeenTimes(2, side, "the zero window", func(s Seg) bool { return s.Out && s.Window == 0 && s.Only(flagACK) })
		n.Wire("nothing passes", blackhole(true, true))
	}
	s.Tail = 3 * time.Second
	return s
}

func zeroWindowRecovers(side string) Scenario {
	s := pair(Scenario{
		Name:   "zero-window-recovers-" + side,
		About:  "the " + side + " reads late; the window opens again, everything arrives, and both close",
		Probes: []string{inWrite}, Places: []Place{direct4},
		Expect: first(truth("graceful", "orderly-close", other(side)), other(side), "FIN"),
	}, other(side), func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.WriteN(10 << 10)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("stalled")
		c.ReadAll(10 << 10)
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
	s.Network = func(n *N) {
		n.SeenTimes(2, side, "the zero window", func(s Seg) bool { return s.Out && s.Window == 0 && s.Only(flagACK) })
		n.At("stalled")
	}
	return s
}

// vanishedBusy: the capture ends while the sender still repeats.
func vanishedBusy(side string) Scenario {
	s := pair(Scenario{
		Name:   "vanished-busy-" + side,
		About:  "the path to the " + side + " is cut; the other side's data is repeated, and the capture ends before its kernel gives up",
		Places: []Place{wired4, wired6},
		Expect: first(truth("half-open", "peer-vanished", record.Unknown, "retransmission-timeout"), "none", ""),
	}, other(side), func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(10) })
		c.Phase = record.Before
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		l.Wait("enough")
	}, func(l *L, c *Conn) { greet(l, c) })
	s.Expect.Conns[0].AlsoBy = []string{side}
	s.Expect.Conns[0].AlsoIn = []string{"timed-out"}
	s.Expect.Conns[0].Views = []record.View{{Capture: side, Class: "open", Cause: "still-open", By: record.Unknown, Why: "nothing reached this side"}}
	s.Network = func(n *N) {
		cutPath(true, true)(n)
		n.SeenTimes(4, other(side), "the third repeat", func(s Seg) bool { return s.Out && s.Len == 50 })
		n.At("enough")
	}
	return s
}

// vanishedProbed: keep-alive probes unanswered, and the capture ends.
func vanishedProbed(side string) Scenario {
	s := vanishedBusy(side)
	s.Name = "vanished-probed-" + side
	s.About = "the path to the " + side + " is cut while idle; the other side's keep-alive probes stay unanswered, and the capture ends before it gives up"
	s.Expect.Conns[0].Also = []string{"keepalive-timeout"}
	s = replaceActor(s, other(side), func(l *L, c *Conn) {
		greet(l, c)
		c.keepAlive(1, 1, 9)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(10) })
		l.At("watching")
		l.Wait("enough")
	}, func(l *L, c *Conn) { greet(l, c) })
	s.Network = func(n *N) {
		cutPath(true, true)(n)
		after := time.Now()
		n.SeenTimes(3, other(side), "the third probe", func(s Seg) bool { return s.Out && s.Only(flagACK) && s.Time.Sub(after) > 500*time.Millisecond })
		n.At("enough")
	}
	return s
}

// vanishedIdle: nothing on the wire can tell.
func vanishedIdle() Scenario {
	s := pair(Scenario{Name: "vanished-idle", About: "the server's host is cut off while the connection is idle and nobody probes: no packet tells",
		Places: []Place{wired4}, Tail: time.Second, Beat: true,
		Expect: offWire(first(truth("open", "still-open", record.Unknown), "none", ""), "that the path is dead"),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		l.At("watching")
		l.Wait("cut")
		_, _ = c.ReadWithin(10, 800*time.Millisecond)
	}, func(l *L, c *Conn) { greet(l, c) })
	s.Network = cutPath(true, true)
	return s
}

// oneWayLoss: only the answers are lost, so that the other wire shows data
// arriving again and again, and being acknowledged.
func oneWayLoss(side string) Scenario {
	s := retransmissionTimeout(side)
	s.Name = "one-way-loss-" + side
	s.About = "only what comes back to the " + side + " is lost: its data arrives, the acknowledgements do not, and it gives up"
	s.Probes = []string{inRead, writer}
	s.Expect.Conns[0].Views[0] = record.View{Capture: other(side), Class: "timed-out", Cause: "retransmission-timeout", By: record.Unknown,
		Also: []string{"still-open", "peer-vanished"}, Why: "the acknowledgements are on this wire, and all the same the data comes again"}
	s = replaceActor(s, side, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.ReadAll(50)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(1024) })
		l.Wait(other(l.Role) + " ended")
	})
	s.Network = cutPath(side == record.Server, side == record.Client)
	return s
}

// keepAliveTraffic: probes and answers, then an orderly end.
func keepAliveTraffic() Scenario {
	return pair(Scenario{Name: "keepalive-traffic", About: "an idle connection with answered keep-alive probes every second, closed in the end",
		Places: []Place{direct4, direct6}, Expect: first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN"),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		c.keepAlive(1, 1, 3)
		_, _ = c.ReadWithin(10, 2500*time.Millisecond)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
}

// hostDownBehindRouter: the router's ARP stays unanswered, and it says so.
func hostDownBehindRouter() Scenario {
	s := pair(Scenario{Name: "host-down-behind-router", About: "the server's host goes down; the router answers the client's data with host unreachable, until the client gives up with that errno",
		Probes: []string{writer, reader}, Places: routedPlaces(), Limit: 40 * time.Second, Beat: true, Tail: 4 * time.Second,
		Sysctl: tcpSysctl(record.Client, "tcp_retries2", "4"),
		Expect: first(truth("timed-out", "retransmission-timeout", record.Unknown, "peer-vanished"), "none", ""),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("down")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) { greet(l, c) })
	s.Expect.Conns[0].AlsoBy = []string{record.Server, record.Network}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown, Why: "the server's link was down"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Exec(record.Server, "ip", "link", "set", "eth0", "down")
		n.Exec(routerRole, "ip", "neigh", "flush", "all")
		n.At("down")
	}
	return s
}

// hostDownOnLink: no ARP answer on the client's own link.
func hostDownOnLink() Scenario {
	s := hostDownBehindRouter()
	s.Name = "host-down-on-link"
	s.About = "the server's host stops answering anything, ARP included; the client's data cannot even leave, and it gives up"
	s.Places, s.Probes = []Place{direct4, direct6}, []string{writer}
	s.Expect = offWire(first(truth("open", "still-open", record.Unknown), "none", ""), "the data itself: only unanswered ARP requests or neighbour solicitations reach the wire")
	s.Expect.Conns[0].AlsoIn, s.Expect.Conns[0].AlsoBy = []string{"timed-out", "half-open"}, []string{record.Server}
	s.Expect.Conns[0].Also = []string{"retransmission-timeout", "peer-vanished"}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Exec(record.Server, "ip", "addr", "flush", "dev", "eth0", "scope", "global")
		n.Exec(record.Client, "ip", "neigh", "flush", "all")
		n.At("down")
	}
	return s
}

// pmtuBlackhole: large segments die silently, small ones pass.
func pmtuBlackhole() Scenario {
	s := pair(Scenario{Name: "pmtu-blackhole", About: "segments above 600 bytes are lost without a word; the client's large write is repeated until it gives up, while the server's small ones arrive",
		Probes: []string{reader}, Places: wiredPlaces(), Limit: 40 * time.Second, Beat: true, Tail: 3 * time.Second,
		Sysctl: tcpSysctl(record.Client, "tcp_retries2", "3"),
		Expect: first(truth("timed-out", "pmtu-blackhole", record.Network, "retransmission-timeout"), "none", ""),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		_, _ = c.WriteN(1400)
		l.At("large")
		c.ReadAll(10)
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("large")
		_, _ = c.WriteN(10)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(2000) })
	})
	s.Expect.Conns[0].AlsoBy = []string{record.Unknown}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown, Why: "the large segments never reached this wire"}}
	s.Setup = func(n *N) {
		n.Wire("lose large segments", func(s Seg, up bool) verdict {
			if up && s.Len > 600 {
				return drop
			}
			return pass
		})
	}
	return s
}

// deadlines of the program's own leave no trace.
func deadlines() Scenario {
	return pair(Scenario{Name: "read-deadline", About: "the client's Read ends by its own deadline, twice; then the answer comes after all and both close",
		Places: []Place{direct4}, Expect: offWire(first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN"), "the program's deadline"),
	}, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.ReadWithin(10, 200*time.Millisecond)
		_, _ = c.ReadWithin(10, 200*time.Millisecond)
		l.At("late")
		_, _ = c.ReadN(10)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("late")
		_, _ = c.WriteN(10)
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
}
