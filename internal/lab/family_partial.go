//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// partialFamily: what a capture does not hold. The truths are those of the
// connection; the views say what the files still show.
func partialFamily() (all []Scenario) {
	all = append(all, eachSide(lateStart)...)
	all = append(all, eachSide(earlyStop)...)
	all = append(all, oneDirection("client"), oneDirection("server"))
	all = append(all, snapped(40), snapped(54), snapped(96))
	all = append(all, eachSide(firewalledAnswers)...)
	all = append(all, eachSide(firewalledRST)...)
	all = append(all, startsWithReset(), onlyRefusal())
	return all
}

// lateStart: the capture begins in the middle of the connection.
func lateStart(side string) Scenario {
	s := pair(Scenario{
		Name: "late-start-close-by-" + side, About: "the capture starts in mid-connection; then the " + side + " closes, and the other side after it",
		Places: []Place{direct4, direct6, routed4}, From: "capture",
		Expect: first(truth("graceful", "orderly-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("capture")
		greet(l, c)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("capture")
		greet(l, c)
		_, _ = c.ReadN(10)
		_ = c.Close()
	})
	s.Network = func(n *N) {
		n.Greeted()
		n.StartCapture()
		n.At("capture")
	}
	return s
}

// startsWithReset: so late that a RST is all there is, or nearly.
func startsWithReset() Scenario {
	s := lateStart(record.Server)
	s.Name, s.About = "late-start-reset-by-server", "the capture starts in mid-connection; then the server resets with nothing sent in between"
	s.Places = []Place{direct4}
	s.Expect = first(truth("reset", "abortive-close", record.Server, "close-with-unread-data", "listener-closed", "injected-reset"), record.Server, "RST")
	s.Client = func(l *L) {
		c := l.Dial()
		greet(l, c)
		l.Wait("capture")
		c.UntilState(closed)
		c.Phase = record.After
		_, _ = c.ReadN(10)
		_, _ = c.ReadN(10)
		_, _ = c.WriteN(10)
	}
	s.Server = func(l *L) {
		c := l.Listen().One()
		greet(l, c)
		l.Wait("capture")
		c.SetLinger(0)
		_ = c.Close()
	}
	return s
}

// onlyRefusal: the capture sees one direction, that of the refusal.
func onlyRefusal() Scenario {
	return Scenario{Name: "one-way-refused", About: "a refused dial, of which the captures hold only the server's direction",
		Filter: "tcp src port 8080", Client: dialing(DialOpt{}), Expect: first(truth("reset", "connection-refused", record.Server), record.Server, "RST")}
}

func earlyStop(side string) Scenario {
	s := pair(Scenario{
		Name: "early-stop-before-close-by-" + side, About: "the capture stops before the " + side + " resets the connection",
		Places: []Place{direct4, direct6},
		Expect: offWire(first(truth("open", "still-open", record.Unknown), "none", ""), "everything after the capture's end, the reset included"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("stopped")
		c.SetLinger(0)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.UntilState(closed)
		c.Phase = record.After
		_, _ = c.ReadN(10)
	})
	s.Network = func(n *N) {
		n.Greeted()
		n.StopCapture("")
		n.At("stopped")
	}
	return s
}

func oneDirection(from string) Scenario {
	filter := "tcp dst port 8080"
	if from == record.Server {
		filter = "tcp src port 8080"
	}
	s := orderlyClose(record.Server)
	s.Name, s.About = "one-way-from-"+from, "an orderly close by the server, of which the captures hold only what the "+from+" sent"
	s.Probes, s.Places, s.Filter = []string{reader}, []Place{direct4, direct6}, filter
	s.Expect.Conns[0].AlsoIn = []string{"half-open"}
	s.Expect.Conns[0].FirstEnd = "" // the other side's FIN cannot be seen, only its acknowledgement
	return s
}

// snapped: 40 bytes hold no whole TCP header over Ethernet and IPv4, 54 one
// without options, 96 what people use.
func snapped(size int) Scenario {
	s := lingerZeroWithData(record.Server)
	names := map[int]string{40: "snaplen-40", 54: "snaplen-54", 96: "snaplen-96"}
	s.Name, s.About = names[size], s.About+"; the captures are cut by their snaplen"
	s.Probes, s.Places, s.Snap = []string{reader}, []Place{direct4}, size
	s.Expect.Conns[0].Also = []string{"close-with-unread-data", "peer-lost-state", "injected-reset"}
	return s
}

// firewalledAnswers: side's own firewall drops what comes in, behind the
// capture point: the wire shows answers that the socket never saw.
func firewalledAnswers(side string) Scenario {
	s := pair(Scenario{
		Name:   "firewall-drops-inbound-" + side,
		About:  "the " + side + "'s own firewall starts to drop what comes in: its capture shows the acknowledgements, its socket gives up all the same",
		Probes: []string{reader, inRead}, Places: []Place{direct4, direct6}, Limit: 30 * time.Second, Beat: true, Tail: 2 * time.Second,
		Sysctl: tcpSysctl(side, "tcp_retries2", "3"),
		Expect: first(truth("timed-out", "retransmission-timeout", record.Unknown, "still-open", "peer-vanished"), "none", ""),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("cut")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.ReadAll(50)
		c.Phase = record.Pending
		l.Go(func() { _, _ = c.ReadN(10) })
		l.Wait(other(l.Role) + " ended")
	})
	s.Expect.Conns[0].AlsoBy = []string{side, record.Network, other(side)}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Rule(side, "in", "tcp dport { 8080, 40001 } drop")
		n.Rule(side, "in", "tcp sport { 8080, 40001 } drop")
		n.At("cut")
	}
	return s
}

// firewalledRST: a RST that arrives at the host and never at the socket.
func firewalledRST(side string) Scenario {
	s := pair(Scenario{
		Name:   "firewall-drops-rst-" + side,
		About:  "the other side resets, but the " + side + "'s own firewall drops the RST behind the capture point; its next data draws another one, dropped too, and its kernel gives up",
		Places: []Place{direct4}, Limit: 30 * time.Second, Beat: true, Tail: 2 * time.Second, Probes: []string{reader},
		Sysctl: tcpSysctl(side, "tcp_retries2", "3"),
		Expect: first(truth("reset", "abortive-close", other(side), "retransmission-timeout", "peer-lost-state"), other(side), "RST"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("reset")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		l.Wait("deaf")
		c.SetLinger(0)
		_ = c.Close()
		l.At("reset")
	})
	s.Expect.Conns[0].AlsoIn, s.Expect.Conns[0].AlsoBy = []string{"timed-out"}, []string{record.Unknown, side}
	s.Expect.OffWire = "that the RSTs on the " + side + "'s wire never reached its socket"
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Rule(side, "in", "tcp flags & rst == rst drop")
		n.At("deaf")
	}
	return s
}
