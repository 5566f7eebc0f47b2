//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// stateFamily: somebody has forgotten the connection: a host that rebooted,
// a middlebox whose entry expired.
func stateFamily() (all []Scenario) {
	all = append(all, eachSide(rebooted)...)
	all = append(all, eachSide(rebootedProbed)...)
	all = append(all, sameTuple(), middleboxResetsSender(), middleboxResetsBoth(), middleboxSilent(), conntrackExpired(), resetByOwnHost())
	return all
}

// rebooted: the socket of side vanishes without a word (its RST is lost),
// and the host answers the other side's next data as a stranger.
func rebooted(side string) Scenario {
	s := pair(Scenario{
		Name:   "rebooted-" + side,
		About:  "the " + side + "'s host forgets the connection without a word on the wire; the other side's next data is answered by a stateless RST",
		Probes: []string{reader, writer, inRead, nobody}, Places: wiredPlaces(),
		Expect: first(truth("reset", "peer-lost-state", side), side, "RST"),
	}, side, forgets, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("forgotten")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
	})
	s.Expect.Conns[0].Views = []record.View{{Capture: side, Cause: "abortive-close", By: side, Class: "reset", Also: []string{"peer-lost-state"},
		Why: "this wire shows how the lab makes a host forget: a RST that is lost behind the capture point"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Wire("lose the RST with which the socket goes", func(s Seg, _ bool) verdict {
			if hasRST(s) {
				return drop
			}
			return pass
		})
		n.At("forget")
		n.UntilStates(side, basePort+1)
		n.Wire("pass everything", nil)
		n.At("forgotten")
	}
	return s
}

// forgets makes a socket vanish.
func forgets(l *L, c *Conn) {
	greet(l, c)
	l.Wait("forget")
	c.SetLinger(0)
	_ = c.Close()
	l.Wait(other(l.Role) + " ended")
}

// rebootedProbed: a keep-alive probe finds out.
func rebootedProbed(side string) Scenario {
	s := rebooted(side)
	s.Name = "rebooted-probed-" + side
	s.About = "the " + side + "'s host forgets the connection; the other side's keep-alive probe is answered by a stateless RST"
	s.Probes, s.Places = []string{inRead, writer}, []Place{wired4}
	return replaceActor(s, side, forgets, func(l *L, c *Conn) {
		greet(l, c)
		c.keepAlive(1, 1, 5)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
	})
}

// sameTuple: a rebooted client dials again from the same port, into the
// server's old connection.
func sameTuple() Scenario {
	return Scenario{
		Name: "same-tuple", About: "the client's host forgets the connection and dials again from the same port: challenge ACK, RST, and a new handshake a second later",
		Probes: []string{inRead, reader, writer}, Places: wiredPlaces(),
		Client: func(l *L) {
			c := l.Dial()
			greet(l, c)
			l.Wait("forget")
			c.SetLinger(0)
			_ = c.Close()
			l.Wait("forgotten")
			d, err := l.DialWith(DialOpt{Local: basePort + 1})
			if err != nil {
				l.Fail("%v", err)
			}
			_, _ = d.WriteN(10)
			_ = d.CloseWrite()
			_, _ = d.ReadN(10)
			_ = d.Close()
		},
		Server: func(l *L) {
			ln := l.Listen()
			c := ln.One()
			greet(l, c)
			p := c.Watch()
			l.At("watching")
			c.UntilState(closed)
			p.Run()
			d := ln.One()
			d.ReadAll(10)
			_, _ = d.ReadN(10)
			_ = d.Close()
		},
		Network: rebooted(record.Client).Network,
		Expect: record.Expect{Conns: []record.Conn{
			{Class: "reset", Cause: "stale-tuple", By: record.Client, FirstEnd: record.Client, Flag: "RST",
				Views: []record.View{{Capture: record.Client, Class: "reset", Cause: "abortive-close", By: record.Client, Also: []string{"stale-tuple"}, Why: "this wire also shows the lost RST"}}},
			{Class: "graceful", Cause: "orderly-close", By: record.Client, FirstEnd: record.Client, Flag: "FIN", Also: []string{"half-close"}},
		}},
	}
}

// middlebox is the common part: after an idle time the router has no entry.
func middlebox(s Scenario, act func(*N)) Scenario {
	s = pair(s, record.Client, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		l.Wait("expired")
		_, _ = c.WriteN(50)
		c.UntilState(closed)
		p.Run()
	}, func(l *L, c *Conn) {
		greet(l, c)
		c.Phase = record.Pending
		p := l.Go(func() { _, _ = c.ReadN(1024) })
		p.Join(1500 * time.Millisecond)
		c.Phase = record.After
	})
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		act(n)
		n.At("expired")
	}
	return s
}

func middleboxResetsSender() Scenario {
	s := middlebox(Scenario{
		Name: "middlebox-resets-sender", About: "a router's entry has expired: it answers the client's data with a RST of its own in the server's name",
		Probes: []string{reader, writer, inRead}, Places: routedPlaces(),
		Expect: first(truth("reset", "peer-lost-state", record.Middlebox, "injected-reset"), record.Server, "RST"),
	}, func(n *N) { n.Rule(routerRole, "fwd", "tcp dport 8080 reject with tcp reset") })
	s.Expect.Conns[0].AlsoBy = []string{record.Server}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown, Why: "nothing reached the server"}}
	return s
}

func middleboxResetsBoth() Scenario {
	s := middlebox(Scenario{
		Name: "middlebox-resets-both", About: "a router's entry has expired: it answers the client's data with RSTs to both ends, each in the other's name",
		Probes: []string{reader, writer, inRead}, Places: wiredPlaces(),
		Expect: first(truth("reset", "peer-lost-state", record.Middlebox, "injected-reset"), record.Server, "RST"),
	}, nil)
	s.Expect.Conns[0].AlsoBy = []string{record.Server, record.Client}
	s.Expect.Conns[0].Views = []record.View{{Capture: record.Server, FirstEnd: record.Client, Flag: "RST", Why: "the RST to this side bears the client's name"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Wire("answer data with RSTs to both ends", func(s Seg, up bool) verdict {
			if up && s.Len > 0 {
				back := s
				back.Src, back.Dst = s.Dst, s.Src
				back.Frame = append(append(append([]byte(nil), s.Frame[6:12]...), s.Frame[:6]...), s.Frame[12:]...)
				n.wire.send(forge(back, forgery{Seq: s.Ack, Flags: flagRST, TTL: 250}), false)
				n.wire.send(forge(s, forgery{Seq: s.Seq, Flags: flagRST, TTL: 250}), true)
				return drop
			}
			return pass
		})
		n.At("expired")
	}
	return s
}

func middleboxSilent() Scenario {
	s := middlebox(Scenario{
		Name: "middlebox-silent", About: "a router's entry has expired, and it drops without a word: the client's kernel gives up",
		Probes: []string{reader, writer}, Places: routedPlaces(), Limit: 30 * time.Second, Beat: true, Tail: 2 * time.Second, Sysctl: tcpSysctl(record.Client, "tcp_retries2", "3"),
		Expect: silentTruth("retransmission-timeout", record.Client),
	}, func(n *N) {
		n.Rule(routerRole, "fwd", "tcp sport 8080 drop")
		n.Rule(routerRole, "fwd", "tcp dport 8080 drop")
	})
	s.Expect.Conns[0].AlsoBy = []string{record.Server, record.Network, record.Middlebox}
	return s
}

// conntrackExpired: the same by the kernel's own connection tracking.
func conntrackExpired() Scenario {
	s := middlebox(Scenario{
		Name: "conntrack-expired", About: "a router with connection tracking (established timeout 1 s, tcp_loose 0) drops what is invalid: data after an idle time is lost",
		Probes: []string{reader, inRead}, Places: routedPlaces(), Limit: 30 * time.Second, Beat: true, Tail: 2 * time.Second,
		Sysctl: append(tcpSysctl(record.Client, "tcp_retries2", "3"),
			Sysctl{routerRole, "net.netfilter.nf_conntrack_tcp_timeout_established", "1"}, Sysctl{routerRole, "net.netfilter.nf_conntrack_tcp_loose", "0"}),
		Setup:  func(n *N) { n.Rule(routerRole, "fwd", "ct state invalid drop") },
		Expect: silentTruth("retransmission-timeout", record.Client),
	}, func(n *N) { n.Sleep(1500 * time.Millisecond) })
	s.Expect.Conns[0].AlsoBy = []string{record.Server, record.Network, record.Middlebox}
	return s
}

// aliasOf is the address by which the translated server is dialled.
func aliasOf(server string) string { return server + "9" }

// resetByOwnHost: kubernetes#74839. The client's host translates the
// server's address (DNAT); an answer that conntrack takes for invalid is not
// translated back, finds no socket, and the host itself resets the
// connection, whose socket lives on.
func resetByOwnHost() Scenario {
	s := pair(Scenario{
		Name: "reset-by-own-host", About: "a late duplicate of the server's data, invalid to the client host's connection tracking, escapes the address translation and is answered by that host with a RST that kills the server's side",
		Probes: []string{reader, inRead}, Places: []Place{wired4}, Beat: true, Limit: 30 * time.Second,
		Setup: func(n *N) {
			n.Exec(record.Client, "nft", "add table ip lab_nat")
			n.Exec(record.Client, "nft", "add chain ip lab_nat out { type nat hook output priority -100 ; }")
			server := n.r.ns.addr[record.Server][0]
			n.Exec(record.Client, "nft", "add rule ip lab_nat out ip daddr "+aliasOf(server)+" tcp dport 8080 dnat to "+server)
		},
		Expect: first(truth("reset", "reset-by-own-host", record.Client, "injected-reset"), record.Client, "RST"),
	}, record.Server, func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At("watching")
		c.UntilState(closed)
		p.Run()
	}, nil)
	s.Expect.Conns[0].AlsoBy = []string{record.Middlebox, record.Network}
	s.Client = func(l *L) {
		c, err := l.DialWith(DialOpt{Host: aliasOf(l.Server)})
		if err != nil {
			l.Fail("%v", err)
		}
		greet(l, c)
		c.Phase = record.Pending
		p := l.Go(func() { _, _ = c.ReadN(10) })
		l.Wait("server ended")
		c.Phase = record.After
		_, _ = c.WriteN(10)
		c.UntilState(closed)
		p.Join(l.limit()) // it or the next Write gets the error: let it be this one
		_, _ = c.WriteWithin(10, patience)
		_, _ = c.ReadWithin(10, patience)
	}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		data := n.Seen(record.Client, "the server's answer", func(s Seg) bool { return s.Len == answerSize && !s.Out })
		// Conntrack calls data far beyond the window invalid; the host's
		// stateless RST answers with the segment's own ack number, which
		// the server takes for exact.
		n.Inject(record.Client, "the server's data far ahead of the window", forge(data, forgery{Seq: data.Seq + 1<<20, Ack: data.Ack, Flags: flagACK | flagPSH, Window: 64, Payload: pattern(10)}))
		n.Seen(record.Client, "the host's own RST", func(s Seg) bool { return hasRST(s) && s.Out })
	}
	return s
}
