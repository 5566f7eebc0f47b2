//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"hangup/internal/lab/record"
)

// tupleFamily: ports that come again, handshakes from both sides, MPTCP, and
// two address families at once.
func tupleFamily() (all []Scenario) {
	all = append(all, eachSide(timeWaitReuse)...)
	all = append(all, simultaneousOpen())
	all = append(all, eachSide(mptcpClose)...)
	all = append(all, mptcpLateWrite(), mptcpReset(), mptcpUnread())
	all = append(all, happyEyeballs("refused"), happyEyeballs("late"), happyEyeballs("blackholed"), happyEyeballs("fine"), happyEyeballs("both-refused"))
	return all
}

func orderlyTruth(by string) record.Conn {
	return record.Conn{Class: "graceful", Cause: "orderly-close", By: by, FirstEnd: by, Flag: "FIN"}
}

// timeWaitReuse: side closes first and holds the TIME_WAIT; the client comes
// again from the same port more than a second later.
func timeWaitReuse(side string) Scenario {
	again := func(l *L, accept func() *Conn) {
		for range 2 {
			c := accept()
			greet(l, c)
			if l.Role == side {
				_ = c.Close()
				continue
			}
			_, _ = c.ReadN(10)
			_ = c.Close()
		}
	}
	return Scenario{
		Name: "time-wait-reuse-" + side, About: "the " + side + " closes first and is in TIME_WAIT; the client dials again from the same port, and gets a new connection",
		Places: []Place{direct4, direct6, lo4},
		Sysctl: tcpSysctl(record.Client, "tcp_tw_reuse", "1"),
		Client: func(l *L) {
			first := true
			again(l, func() *Conn {
				if !first {
					time.Sleep(1200 * time.Millisecond) // tcp_tw_reuse_delay; the kernel's unit of RFC 6191 is the second
				}
				first = false
				c, err := l.DialWith(DialOpt{Local: basePort + 1, Control: func(fd int) {
					_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
				}})
				if err != nil {
					l.Fail("dial: %v", err)
				}
				return c
			})
		},
		Server: func(l *L) {
			ln := l.Listen()
			again(l, ln.One)
		},
		Expect: record.Expect{Conns: []record.Conn{orderlyTruth(side), orderlyTruth(side)}},
	}
}

// simultaneousOpen: both dial, nobody listens (RFC 9293 3.5, figure 7).
func simultaneousOpen() Scenario {
	s := Scenario{
		Name: "simultaneous-open", About: "both ends dial each other's port, their SYNs cross, and one connection is the result; the client closes it",
		Places: wiredPlaces(),
		Client: func(l *L) {
			c, err := l.DialWith(DialOpt{Now: true})
			if err != nil {
				l.Fail("%v", err)
			}
			greet(l, c)
			_ = c.Close()
		},
		Server: func(l *L) {
			c, err := l.DialWith(DialOpt{Now: true, Host: l.Client, Port: basePort + 1, Local: serverPort})
			if err != nil {
				l.Fail("%v", err)
			}
			greet(l, c)
			_, _ = c.ReadN(10)
			_ = c.Close()
		},
		Setup: func(n *N) {
			n.Wire("hold both SYNs", func(s Seg, _ bool) verdict {
				if s.Only(flagSYN) {
					return hold
				}
				return pass
			})
		},
		Network: func(n *N) {
			for _, role := range []string{record.Client, record.Server} {
				n.Seen(role, "its SYN", func(s Seg) bool { return s.Out && s.Only(flagSYN) })
			}
			n.Release()
		},
	}
	e := orderlyTruth(record.Client)
	s.Expect.Conns = []record.Conn{e}
	s.Expect.OffWire = "which of the two is the client: both dialled"
	return s
}

func mptcpDial(l *L) *Conn {
	c, err := l.DialWith(DialOpt{MPTCP: true})
	if err != nil {
		l.Fail("dial: %v", err)
	}
	if tc, ok := c.Conn.(*net.TCPConn); ok {
		yes, err := tc.MultipathTCP()
		l.At(fmt.Sprintf("%s: MultipathTCP() = %v, %v", l.Role, yes, err))
	}
	return c
}

// mptcpPair is pair with a client that offers MPTCP; Go's listeners accept
// it by default.
func mptcpPair(s Scenario, side string, actor, told func(*L, *Conn)) Scenario {
	s = pair(s, side, actor, told)
	client := actor
	if side == record.Server {
		client = told
	}
	s.Client = func(l *L) { client(l, mptcpDial(l)) }
	s.Tail = 300 * time.Millisecond
	return s
}

func mptcpClose(side string) Scenario {
	return mptcpPair(Scenario{
		Name: "mptcp-orderly-by-" + side, About: "an MPTCP connection; the " + side + " closes, the other side reads EOF and closes",
		Places: []Place{direct4, direct6}, Expect: first(truth("graceful", "orderly-close", side), side, "FIN"),
	}, side, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		_ = c.Close()
	}, toldMPTCP)
}

// toldMPTCP is toldOrderly without the waits on TCP states, which an MPTCP
// socket does not tell.
func toldMPTCP(l *L, c *Conn) {
	greet(l, c)
	l.At("watching")
	_, _ = c.ReadN(10)
	_, _ = c.ReadN(10)
	_ = c.Close()
}

func mptcpLateWrite() Scenario {
	return mptcpPair(Scenario{
		Name: "mptcp-write-after-close", About: "an MPTCP connection; the server closes, the client writes all the same, and again",
		Places: []Place{direct4, direct6}, Expect: first(truth("graceful", "orderly-close", record.Server, "write-after-close"), record.Server, "FIN"),
		Adjust: func(s *Scenario) { s.Expect.Conns[0].AlsoIn = []string{"reset"} },
	}, record.Server, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		l.At("watching")
		_, _ = c.ReadN(10)
		c.Phase = record.After
		_, _ = c.WriteWithin(10, patience)
		time.Sleep(patience)
		_, _ = c.WriteWithin(10, patience)
		time.Sleep(patience)
		_, _ = c.ReadWithin(10, patience)
		_, _ = c.WriteWithin(10, patience)
		_ = c.Close()
	})
}

func mptcpReset() Scenario {
	return mptcpPair(Scenario{
		Name: "mptcp-linger0", About: "an MPTCP connection; the server calls SetLinger(0) and Close",
		Places: []Place{direct4, direct6}, Expect: first(truth("reset", "abortive-close", record.Server), record.Server, "RST"),
	}, record.Server, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		c.SetLinger(0)
		_ = c.Close()
	}, toldMPTCPReset)
}

func toldMPTCPReset(l *L, c *Conn) {
	greet(l, c)
	l.At("watching")
	c.Phase = record.Pending
	_, _ = c.ReadWithin(10, 2*time.Second)
	c.Phase = record.After
	_, _ = c.WriteWithin(10, patience)
	_, _ = c.ReadWithin(10, patience)
	_, _ = c.WriteWithin(10, patience)
}

func mptcpUnread() Scenario {
	return mptcpPair(Scenario{
		Name: "mptcp-unread", About: "an MPTCP connection; the server closes with 100 bytes unread",
		Places: []Place{direct4}, Expect: first(truth("reset", "close-with-unread-data", record.Server, "abortive-close"), record.Server, "RST"),
	}, record.Server, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("watching")
		time.Sleep(50 * time.Millisecond)
		_ = c.Close()
	}, func(l *L, c *Conn) {
		greet(l, c)
		_, _ = c.WriteN(100)
		time.Sleep(50 * time.Millisecond)
		l.At("watching")
		c.Phase = record.Pending
		_, _ = c.ReadWithin(10, 2*time.Second)
		c.Phase = record.After
		_, _ = c.WriteWithin(10, patience)
		_, _ = c.ReadWithin(10, patience)
	})
}

// happyEyeballs: one name, two addresses; Go tries IPv6 first here and IPv4
// 300 ms later, or at once when IPv6 fails.
func happyEyeballs(v6 string) Scenario {
	s := Scenario{
		Name: "happy-eyeballs-" + v6, Places: []Place{dual}, Tail: 700 * time.Millisecond, Beat: true,
		Client: func(l *L) {
			l.Wait("listening")
			c := dialByName(l)
			if c == nil {
				return
			}
			greet(l, c)
			_ = c.Close()
		},
		Server: func(l *L) {
			if v6 == "both-refused" {
				l.At("listening")
				return
			}
			ln := l.Listen()
			c := ln.One()
			for c.isV6() && v6 == "late" { // the loser, in case it is accepted first
				c = ln.One()
			}
			greet(l, c)
			_, _ = c.ReadN(10)
			_ = c.Close()
		},
	}
	win4 := orderlyTruth(record.Client)
	refused := record.Conn{Class: "reset", Cause: "connection-refused", By: record.Server, FirstEnd: record.Server, Flag: "RST"}
	rule := func(chain, r string) func(*N) { return func(n *N) { n.Rule(record.Server, chain, r) } }
	switch v6 {
	case "fine":
		s.About = "a name with two addresses, both working: the preferred family wins and the other is never tried"
		s.Expect.Conns = []record.Conn{win4}
	case "refused":
		s.About = "a name with two addresses: the IPv6 port is refused, IPv4 is tried at once, and the dial succeeds"
		s.Setup = rule("in", "meta nfproto ipv6 tcp dport 8080 reject with tcp reset")
		s.Expect.Conns = []record.Conn{refused, win4}
	case "both-refused":
		s.About = "a name with two addresses, both refused: the error is the first one's"
		s.Expect.Conns = []record.Conn{refused, refused}
	case "blackholed":
		s.About = "a name with two addresses: IPv6 is a black hole, IPv4 is tried 300 ms later and wins; the IPv6 attempt is cancelled"
		s.Setup = rule("in", "meta nfproto ipv6 tcp dport 8080 drop")
		s.Expect.Conns = []record.Conn{{Class: "timed-out", Cause: "connect-timeout", By: record.Unknown, FirstEnd: "none"}, win4}
		s.Tail = 3 * time.Second
	case "late":
		s.About = "a name with two addresses: the IPv6 SYN-ACK comes after IPv4 has won, and is reset by the client's kernel"
		s.Setup = rule("out", "meta nfproto ipv6 tcp sport 8080 drop")
		s.Network = func(n *N) {
			n.Seen(record.Client, "IPv4's SYN", func(s Seg) bool { return s.Only(flagSYN) && s.Dst.Addr().Is4() })
			n.Wait("client ended")
			n.Flush(record.Server) // the SYN-ACK's repeat, after a second, gets out
			n.Seen(record.Client, "the RST", func(s Seg) bool { return hasRST(s) && s.Out })
		}
		s.Expect.Conns = []record.Conn{{Class: "reset", Cause: "dial-cancelled", By: record.Client, FirstEnd: record.Client, Flag: "RST"}, win4}
	}
	s.Expect.OffWire = "that both attempts are one dial"
	return s
}

func (c *Conn) isV6() bool { return c.Conn.RemoteAddr().(*net.TCPAddr).IP.To4() == nil }

// dialByName dials a name that resolves to both of the server's addresses.
func dialByName(l *L) (c *Conn) {
	d := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		go answerDNS(b, l.Server, l.Server2)
		return a, nil
	}}}
	call := record.Call{Side: l.Role, Op: "dial", Level: record.Socket, Remote: "server.lab.:8080"}
	_ = l.record(call, func(call *record.Call) error {
		nc, err := d.Dial("tcp", call.Remote)
		if err != nil {
			return err
		}
		c = l.wrap(nc)
		call.Conn, call.Local, call.Remote = c.number, c.local, c.remote
		return nil
	})
	return c
}

// answerDNS is a name server for one name, over the stream form of DNS (RFC
// 7766: two bytes of length), which is what Go speaks on a net.Pipe.
func answerDNS(c net.Conn, v4, v6 string) {
	defer c.Close()
	b := make([]byte, 2048)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		for q := b[:n]; len(q) <= 2; q = b[:n] { // the length may come alone
			m, err := c.Read(b[n:])
			if err != nil {
				return
			}
			n += m
		}
		var m dnsmessage.Message
		if m.Unpack(b[2:n]) != nil || len(m.Questions) == 0 {
			return
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
		switch q.Type {
		case dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(v4).To4())}}}
		case dnsmessage.TypeAAAA:
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(net.ParseIP(v6))}}}
		}
		out, err := m.AppendPack([]byte{0, 0})
		if err != nil {
			return
		}
		out[0], out[1] = byte((len(out)-2)>>8), byte(len(out)-2)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}
