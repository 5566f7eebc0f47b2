//go:build linux

package main

import (
	"context"
	"time"

	"hangup/internal/lab/record"
)

// dialFamily: connections that never came to be, and those that died before
// the dialer knew.
func dialFamily() (all []Scenario) {
	all = append(all, refusals()...)
	all = append(all, blackHoles()...)
	all = append(all, lateAnswers()...)
	all = append(all, localFailures()...)
	all = append(all, resetBehindSYNACK(), synAckAckLost(), halfHandshake())
	return all
}

// dialing is a client that only dials, whatever the outcome. A connection
// that succeeds against expectation shows in the recording.
func dialing(o DialOpt) func(*L) {
	o.Now = true
	return func(l *L) { _, _ = l.DialWith(o) }
}

// fastSYN lets the kernel give up on a SYN after two repeats, about 7 s, or
// one, about 3 s.
func fastSYN(retries string) []Sysctl {
	return tcpSysctl(record.Client, "tcp_syn_retries", retries, "tcp_syn_linear_timeouts", "0")
}

func refusals() []Scenario {
	refused := first(truth("reset", "connection-refused", record.Server), record.Server, "RST")
	firewall := func(role, chain, rule string) func(*N) {
		return func(n *N) { n.Rule(role, chain, "tcp dport 8080 "+rule) }
	}
	return []Scenario{
		{Name: "refused", About: "nobody listens on the port", Client: dialing(DialOpt{}),
			Places: []Place{direct4, direct6, routed4, routed6, lo4, lo6, any4, routedAny4}, Expect: refused},
		{Name: "refused-with-context", About: "nobody listens on the port; the dial has a context with a far deadline",
			Client: func(l *L) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				dialing(DialOpt{Context: ctx})(l)
			}, Expect: refused},
		{Name: "refused-by-host-firewall", About: "the server's own firewall answers with a TCP reset",
			Setup: firewall(record.Server, "in", "reject with tcp reset"), Client: dialing(DialOpt{}),
			Places: []Place{direct4, direct6}, Expect: offWire(refused, "a firewall, not an empty port")},
		{Name: "refused-by-router", About: "a router on the way answers with a TCP reset in the server's name",
			Setup: firewall(routerRole, "fwd", "reject with tcp reset"), Client: dialing(DialOpt{}),
			Places: routedPlaces(), Expect: routerRefusal(refused)},
		{Name: "refused-after-retry", About: "the first SYN is lost, the second one refused",
			Setup: func(n *N) { n.Wire("lose the first SYN", dropOnce(hasSYN)) }, Client: dialing(DialOpt{}),
			Places: wiredPlaces(), Expect: refused},
		{Name: "local-output-rejected", About: "the client's own firewall rejects its SYN with a TCP reset, which never leaves the host",
			Setup: firewall(record.Client, "out", "reject with tcp reset"), Client: dialing(DialOpt{}), Expect: record.Expect{OffWire: "everything: no packet reaches the wire"}},
		{Name: "local-output-dropped", About: "the client's own firewall drops its SYN before the wire: EPERM or silence",
			Setup: firewall(record.Client, "out", "drop"), Client: dialing(DialOpt{Timeout: 500 * time.Millisecond}),
			Expect: record.Expect{OffWire: "everything: no packet reaches the wire"}},
	}
}

// routerRefusal: on the client's wire the router's reset cannot be told from
// the server's but for its hop count, of which there is nothing to compare.
func routerRefusal(e record.Expect) record.Expect {
	e = offWire(e, "a router answered in the server's name")
	e.Conns[0].AlsoBy = []string{record.Middlebox, record.Network}
	e.Conns[0].Views = []record.View{{Capture: record.Server, Why: "the SYN never came: no connection"}}
	return e
}

func dropAllSYN(n *N) {
	n.Wire("lose every SYN", func(s Seg, up bool) verdict {
		if s.Only(flagSYN) && up {
			return drop
		}
		return pass
	})
}

func blackHoles() []Scenario {
	gone := truth("timed-out", "connect-timeout", record.Unknown)
	gone.Conns[0].FirstEnd = "none"
	gone.Conns[0].Views = []record.View{{Capture: record.Server, Why: "the SYN never came: no connection"}}
	program := offWire(gone, "whether kernel, Dialer.Timeout or context gave up")
	wire := func(name, about string, e record.Expect, client func(*L)) Scenario {
		return Scenario{Name: name, About: about, Client: client, Setup: dropAllSYN, Places: wiredPlaces(), Expect: e, Beat: true, Limit: 30 * time.Second}
	}
	kernel := wire("syn-blackholed-kernel", "every SYN is lost; the kernel gives up after two repeats", gone, dialing(DialOpt{}))
	kernel.Sysctl = fastSYN("2")
	kernel.Tail = 100 * time.Millisecond
	timeout := wire("syn-blackholed-timeout", "every SYN is lost; Dialer.Timeout ends it after 1.5 s, and the capture goes on past the next retry", program,
		dialing(DialOpt{Timeout: 1500 * time.Millisecond}))
	timeout.Tail = 3 * time.Second
	deadline := wire("syn-blackholed-context", "every SYN is lost; the context's deadline ends the dial after 1.5 s", program, func(l *L) {
		ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		dialing(DialOpt{Context: ctx})(l)
	})
	deadline.Tail = 3 * time.Second
	cancelled := wire("syn-blackholed-cancel", "every SYN is lost; the context is cancelled once the first has been repeated", program, cancelWhenTold)
	cancelled.Network = func(n *N) {
		n.SeenTimes(2, record.Client, "the repeated SYN", hasSYN)
		n.At("cancel")
	}
	cancelled.Tail = 4 * time.Second
	still := wire("syn-blackholed-still-trying", "every SYN is lost, and the capture ends while the client still tries", gone, func(l *L) {
		l.Go(func() { dialing(DialOpt{})(l) })
		l.Wait("enough")
	})
	still.Network = func(n *N) {
		n.SeenTimes(2, record.Client, "the repeated SYN", hasSYN)
		n.At("enough")
	}
	still.Beat = false
	dropped := Scenario{Name: "syn-dropped-by-server-firewall", About: "the server's firewall drops the SYN behind its capture point; the kernel gives up after one repeat",
		Client: dialing(DialOpt{}), Sysctl: fastSYN("1"), Beat: true, Places: []Place{direct4, direct6}, Expect: truth("timed-out", "connect-timeout", record.Unknown),
		Setup: func(n *N) { n.Rule(record.Server, "in", "tcp dport 8080 drop") }, Limit: 20 * time.Second}
	neighbour := Scenario{Name: "neighbour-missing", About: "nobody answers ARP or neighbour solicitation for the server's address",
		Client: func(l *L) { dialing(DialOpt{Host: neighbourless(l.Server)})(l) }, Places: []Place{direct4, direct6}, Beat: true,
		Expect: record.Expect{OffWire: "everything but the unanswered ARP or neighbour solicitations"}, Limit: 20 * time.Second}
	return []Scenario{kernel, timeout, deadline, cancelled, still, dropped, neighbour}
}

// neighbourless is an address on the server's network that nobody has.
func neighbourless(server string) string { return server + "3" } // 192.0.2.23, 2001:db8::23

func cancelWhenTold(l *L) {
	ctx, cancel := context.WithCancel(context.Background())
	p := l.Go(func() { dialing(DialOpt{Context: ctx})(l) })
	l.Wait("cancel")
	cancel()
	p.Join(l.limit())
}

// lateAnswers: the dialer has gone when the SYN-ACK comes.
func lateAnswers() []Scenario {
	e := offWire(first(truth("reset", "dial-cancelled", record.Client), record.Client, "RST"), "timeout or cancellation")
	holdSYNACK := func(n *N) {
		n.Wire("hold SYN-ACKs", func(s Seg, up bool) verdict {
			if s.Only(flagSYN | flagACK) {
				return hold
			}
			return pass
		})
	}
	release := func(n *N) {
		n.Wait("client ended")
		n.Release()
		n.Seen(record.Client, "the RST", hasRST)
	}
	listen := func(l *L) {
		ln := l.Listen()
		l.keep = append(l.keep, ln)
	}
	timeout := Scenario{Name: "late-synack-after-timeout", About: "the SYN-ACK comes after Dialer.Timeout: the kernel answers it with a RST",
		Client: func(l *L) { _, _ = l.DialWith(DialOpt{Timeout: 300 * time.Millisecond}) }, Server: listen,
		Setup: holdSYNACK, Network: release, Places: wiredPlaces(), Expect: e}
	cancelled := timeout
	cancelled.Name, cancelled.About = "late-synack-after-cancel", "the SYN-ACK comes after the dial's context was cancelled"
	cancelled.Client = func(l *L) {
		l.Wait("listening")
		cancelWhenTold(l)
	}
	cancelled.Network = func(n *N) {
		n.Seen(record.Client, "the SYN", hasSYN)
		n.At("cancel")
		release(n)
	}
	exited := timeout
	exited.Name, exited.About = "late-synack-after-exit", "the SYN-ACK comes after the dialing process has exited"
	exited.Client = func(l *L) {
		l.Wait("listening")
		l.Go(func() { _, _ = l.DialWith(DialOpt{}) })
		l.Exit()
	}
	exited.Expect = offWire(e, "the process exited")
	return []Scenario{timeout, cancelled, exited}
}

func localFailures() []Scenario {
	nothing := record.Expect{OffWire: "everything: no packet reaches the wire"}
	return []Scenario{
		{Name: "no-route", About: "the client has no route to the server's network", Places: []Place{direct4, direct6}, Expect: nothing,
			Client: func(l *L) {
				host := "198.51.100.9"
				if len(l.Server) > 0 && l.Server[0:2] == "20" {
					host = "2001:db8:ffff::9"
				}
				dialing(DialOpt{Host: host})(l)
			}},
		{Name: "prohibited-route", About: "the client's routing table prohibits the server", Expect: nothing,
			Setup: func(n *N) { n.Exec(record.Client, "ip", "route", "add", "prohibit", n.r.ns.addr[record.Server][0]) }, Client: dialing(DialOpt{})},
		{Name: "unreachable-route", About: "the client's routing table says unreachable", Expect: nothing,
			Setup: func(n *N) { n.Exec(record.Client, "ip", "route", "add", "unreachable", n.r.ns.addr[record.Server][0]) }, Client: dialing(DialOpt{})},
		{Name: "local-port-taken", About: "the local port that the dialer asked for is taken", Expect: nothing,
			Client: func(l *L) {
				l.ListenWith(nil, 40077)
				dialing(DialOpt{Local: 40077})(l)
			}},
	}
}

// resetBehindSYNACK: the RST is right behind the SYN-ACK, before the dialing
// goroutine has run.
func resetBehindSYNACK() Scenario {
	return Scenario{Name: "reset-behind-synack", About: "a RST follows the SYN-ACK so closely that connect itself reports it",
		Client: func(l *L) {
			c, err := l.DialWith(DialOpt{})
			if err != nil {
				return
			}
			c.UntilState(closed)
			c.Phase = record.After
			_, _ = c.ReadWithin(10, patience)
			_, _ = c.WriteWithin(10, patience)
		},
		Server: func(l *L) { l.keep = append(l.keep, l.Listen()) },
		Setup: func(n *N) {
			n.Wire("hold SYN-ACKs", func(s Seg, up bool) verdict {
				if s.Only(flagSYN | flagACK) {
					return hold
				}
				return pass
			})
		},
		Network: func(n *N) {
			s := n.Seen(record.Server, "the SYN-ACK", func(s Seg) bool { return s.Only(flagSYN | flagACK) })
			n.wire.mu.Lock() // both frames reach the client's queue together
			n.wire.held = append(n.wire.held, heldFrame{forge(s, forgery{Seq: s.Seq + 1, Ack: s.Ack, Flags: flagRST | flagACK, Window: 64}), false})
			n.wire.mu.Unlock()
			n.Release()
		},
		Places: wiredPlaces(),
		Expect: record.Expect{OffWire: "whether connect or the first call reports it", Conns: []record.Conn{{Class: "reset", Cause: "injected-reset", By: record.Middlebox,
			Also: []string{"abortive-close", "listener-closed", "peer-lost-state", "accept-queue-overflow", "close-with-unread-data"}, AlsoBy: []string{record.Server}, FirstEnd: record.Server, Flag: "RST",
			// The client's socket may be gone before it has answered the SYN-ACK: then its kernel resets.
			Views: []record.View{{Capture: record.Server, Class: "open", Cause: "still-open", By: record.Unknown, Also: []string{"dial-cancelled"}, FirstEnd: "none",
				Why: "the forged RST is not on the server's wire", Blind: true}}}}}}
}

// synAckAckLost: the client believes in the connection, the server does not
// yet; data completes the handshake later.
func synAckAckLost() Scenario {
	s := orderlyClose(record.Client)
	s.Name, s.About = "handshake-ack-lost", "the ACK that ends the handshake is lost; the data behind it completes it"
	s.Probes, s.Places = []string{reader}, []Place{wired4}
	s.Setup = func(n *N) {
		n.Wire("lose the handshake's ACK", dropOnce(func(s Seg) bool { return s.Only(flagACK) && s.Len == 0 && s.Dst.Port() == serverPort }))
	}
	return s
}

// halfHandshake: a SYN from nowhere (a scan, a spoofed source) whose SYN-ACK
// nobody answers.
func halfHandshake() Scenario {
	return Scenario{Name: "handshake-incomplete", About: "a SYN whose sender never answers the SYN-ACK; the server repeats it and gives up",
		Server: func(l *L) {
			ln := l.Listen()
			l.Go(func() { _, _ = ln.Accept() })
			l.Wait("over")
		},
		Client: func(l *L) {
			l.Wait("listening")
			l.Go(func() { _, _ = l.DialWith(DialOpt{}) })
			l.Wait("over")
		},
		Sysctl: tcpSysctl(record.Server, "tcp_synack_retries", "1"),
		Setup: func(n *N) {
			n.Wire("lose SYN-ACKs and repeated SYNs", func(s Seg, up bool) verdict {
				if s.Only(flagSYN|flagACK) || up && s.Only(flagSYN) && len(n.wire.held) > 0 {
					return drop
				}
				return pass
			})
		},
		Network: func(n *N) {
			n.SeenTimes(2, record.Server, "the repeated SYN-ACK", func(s Seg) bool { return s.Only(flagSYN|flagACK) && s.Out })
			n.Sleep(3 * time.Second)
			n.At("over")
		},
		Places: []Place{wired4}, Beat: true, Limit: 20 * time.Second,
		Expect: record.Expect{Conns: []record.Conn{{Class: "half-open", Cause: "handshake-incomplete", By: record.Unknown, FirstEnd: "none",
			Views: []record.View{{Capture: record.Client, Class: "timed-out", Cause: "connect-timeout", By: record.Unknown, Also: []string{"handshake-incomplete"},
				Why: "no SYN-ACK reached the client, which is still trying"}}}}}}
}
