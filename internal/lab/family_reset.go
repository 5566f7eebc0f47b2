//go:build linux

package main

// resetFamily: one side ends at once, or answers what comes too late.
func resetFamily() (all []Scenario) {
	all = append(all, eachSide(lingerZero)...)
	all = append(all, eachSide(lingerZeroWithData)...)
	all = append(all, eachSide(unreadData)...)
	all = append(all, eachSide(killedUnread)...)
	all = append(all, eachSide(writeAfterClose)...)
	return all
}

// toldReset is the side that is reset and then makes its probe calls.
func toldReset(l *L, c *Conn) {
	greet(l, c)
	p := c.Watch()
	l.At("watching")
	c.UntilState(closed)
	p.Run()
	_ = c.Close()
}

// unreadIfBlockedWriter: a blocked writer has filled the aborter's receive
// buffer, so that its abort also leaves data unread.
func unreadIfBlockedWriter(s *Scenario) {
	if s.Probe == inWrite {
		s.Expect.Conns[0].Also = []string{"close-with-unread-data"}
	}
}

func lingerZero(side string) Scenario {
	return pair(Scenario{
		Name:   "linger0-by-" + side,
		About:  "after a request and its answer the " + side + " calls SetLinger(0) and Close",
		Probes: allProbes(), Places: everyPlace(),
		Expect: first(truth("reset", "abortive-close", side), side, "RST"),
		Adjust: unreadIfBlockedWriter,
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		c.SetLinger(0)
		_ = c.Close()
		_, _ = c.ReadN(1)
	}, toldReset)
}

func lingerZeroWithData(side string) Scenario {
	return pair(Scenario{
		Name:   "linger0-after-data-by-" + side,
		About:  "the " + side + " writes 500 bytes, then resets; they stay readable, and are read before the error",
		Probes: []string{reader, writer}, Places: []Place{direct4, routed6},
		Expect: first(truth("reset", "abortive-close", side), side, "RST"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.WriteN(500)
		c.UntilAcked()
		l.Wait("watching")
		c.SetLinger(0)
		_ = c.Close()
	}, toldReset)
}

func unreadData(side string) Scenario {
	return pair(Scenario{
		Name:   "unread-by-" + side,
		About:  "the " + side + " closes with 100 received bytes unread: its kernel sends RST instead of FIN",
		Probes: readProbes(), Places: everyPlace(),
		Expect: first(truth("reset", "close-with-unread-data", side, "abortive-close"), side, "RST"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilUnread(100)
		l.Wait("watching")
		_ = c.Close()
		_, _ = c.ReadN(1)
	}, toldUnread)
}

// toldUnread sends what the other side will not read.
func toldUnread(l *L, c *Conn) {
	greet(l, c)
	_, _ = c.WriteN(100)
	c.UntilAcked()
	p := c.Watch()
	l.At("watching")
	c.UntilState(closed)
	p.Run()
	_ = c.Close()
}

func killedUnread(side string) Scenario {
	s := pair(Scenario{
		Name:   "killed-unread-" + side,
		About:  "SIGKILL to the " + side + " while 100 bytes are unread: RST",
		Probes: bothOrders(), Places: []Place{direct4, lo4},
		Expect: offWire(first(truth("reset", "close-with-unread-data", side, "abortive-close"), side, "RST"), "the process was killed"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilUnread(100)
		l.At("unread")
		l.Wait("never")
	}, toldUnread)
	s.Network = func(n *N) {
		n.Wait("unread")
		n.Wait("watching")
		n.Kill(side)
	}
	return s
}

func writeAfterClose(side string) Scenario {
	return pair(Scenario{
		Name:   "write-after-close-by-" + other(side),
		About:  "the " + side + " closes; the other side writes all the same, and its data draws a RST",
		Probes: []string{writer, reader, inRead, nobody}, Places: everyPlace(),
		Expect: first(truth("reset", "write-after-close", other(side)), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closeWait)
		p.Run()
		_ = c.Close()
	})
}
