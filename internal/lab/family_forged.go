//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// forgedFamily: RSTs that neither end has sent.
func forgedFamily() (all []Scenario) {
	all = append(all, eachSide(forgedExact)...)
	all = append(all, forgedBoth())
	for _, f := range []struct {
		name, about string
		offset      uint32
	}{
		{"in-window", "a forged RST in the window but not at its edge draws a challenge ACK and ends nothing", 100},
		{"below", "a forged RST below the window is ignored", ^uint32(1000) + 1},
		{"beyond", "a forged RST beyond the window is ignored", 1 << 30},
	} {
		all = append(all, eachSide(func(side string) Scenario { return forgedIgnored(side, f.name, f.about, f.offset) })...)
	}
	all = append(all, eachSide(forgedConfirmed)...)
	all = append(all, forgedSYN(), forgedSpray())
	return all
}

// forgery of a RST towards side, as a middlebox three hops nearer would send
// it: seq is the victim's RCV.NXT plus offset.
func forgedRST(like Seg, offset uint32) []byte {
	return forge(like, forgery{Seq: like.Seq + uint32(like.Len) + offset, Flags: flagRST, TTL: 61, IPID: 0x4242})
}

// lastTo is the last segment with data that has arrived at side: RCV.NXT is
// behind it.
func lastTo(n *N, side string) Seg {
	size := requestSize
	if side == record.Client {
		size = answerSize
	}
	return n.Seen(side, "the greeting", func(s Seg) bool { return !s.Out && s.Len == size })
}

// challenge waits for the ACK that side sends after the given time.
func challenge(n *N, side string, after time.Time) Seg {
	return n.Seen(side, "the challenge ACK", func(s Seg) bool { return s.Out && s.Only(flagACK) && s.Time.After(after) })
}

func forgedExact(side string) Scenario {
	s := pair(Scenario{
		Name:   "forged-rst-to-" + side,
		About:  "a middlebox resets the " + side + " with an exact sequence number; the other end knows nothing, and its next data draws a stateless RST",
		Probes: []string{reader, writer, inRead, nobody}, Places: wiredPlaces(),
		Expect: first(truth("reset", "injected-reset", record.Middlebox), other(side), "RST"),
	}, side, toldReset, func(l *L, c *Conn) {
		greet(l, c)
		l.Wait("reset")
		l.Wait(other(l.Role) + " ended")
		c.Phase = record.After
		_, _ = c.WriteN(10)
		c.UntilState(closed)
		_, _ = c.ReadWithin(10, patience)
		_, _ = c.WriteWithin(10, patience)
	})
	s.Expect.Conns[0].Views = []record.View{{Capture: other(side), Class: "reset", Cause: "peer-lost-state", By: side, Also: []string{"injected-reset"},
		FirstEnd: side, Flag: "RST", Why: "the forged RST is not on this wire"}}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		n.Inject(side, "RST at RCV.NXT", forgedRST(lastTo(n, side), 0))
		n.At("reset")
	}
	return s
}

func forgedBoth() Scenario {
	told := func(l *L, c *Conn) {
		greet(l, c)
		p := c.Watch()
		l.At(l.Role + " watching")
		c.UntilState(closed)
		p.Run()
	}
	s := pair(Scenario{
		Name: "forged-rst-to-both", About: "a middlebox resets both ends, each in the other's name",
		Probes: readProbes(), Places: wiredPlaces(), Expect: truth("reset", "injected-reset", record.Middlebox),
	}, record.Client, told, told)
	for _, side := range []string{record.Client, record.Server} {
		s.Expect.Conns[0].Views = append(s.Expect.Conns[0].Views, record.View{Capture: side, Class: "reset", Cause: "injected-reset", By: record.Middlebox,
			Also: []string{"peer-lost-state"}, Why: "only the RST to this side is on its wire"})
	}
	s.Network = func(n *N) {
		n.Greeted()
		for _, side := range []string{record.Client, record.Server} {
			n.Wait(side + " watching")
		}
		for _, side := range []string{record.Client, record.Server} {
			n.Inject(side, "RST at RCV.NXT", forgedRST(lastTo(n, side), 0))
		}
	}
	return s
}

// forgedIgnored: the connection goes on as if nothing had been.
func forgedIgnored(side, name, about string, offset uint32) Scenario {
	s := orderlyClose(record.Client)
	s.Name, s.About = "forged-rst-"+name+"-to-"+side, about+"; the connection goes on and ends orderly"
	s.Probes, s.Places = nil, wiredPlaces()
	s.Client = func(l *L) {
		c := l.Dial()
		greet(l, c)
		l.Wait("forged")
		greet(l, c)
		_ = c.Close()
	}
	s.Server = func(l *L) {
		c := l.Listen().One()
		greet(l, c)
		greet(l, c)
		_, _ = c.ReadN(10)
		_ = c.Close()
	}
	s.Network = func(n *N) {
		n.Greeted()
		before := time.Now()
		n.Inject(side, "RST, "+name, forgedRST(lastTo(n, side), offset))
		if name == "in-window" {
			challenge(n, side, before)
		}
		n.At("forged")
	}
	return s
}

// forgedConfirmed: a forger who listens confirms the challenge (RFC 5961
// 3.2: the second RST has the challenge's ack number as its sequence number).
func forgedConfirmed(side string) Scenario {
	s := forgedExact(side)
	s.Name = "forged-rst-confirmed-to-" + side
	s.About = "a forged RST inside the window draws a challenge ACK; a second one with exactly that number ends the connection"
	s.Probes = []string{reader}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		last := lastTo(n, side)
		n.Wire("catch the challenge", func(s Seg, up bool) verdict {
			if s.Only(flagACK) && up == (side == record.Client) {
				return drop
			}
			return pass
		})
		before := time.Now()
		n.Inject(side, "RST in the window", forgedRST(last, 100))
		ack := challenge(n, side, before).Ack
		n.Inject(side, "RST at the challenge's number", forge(last, forgery{Seq: ack, Flags: flagRST, TTL: 61, IPID: 0x4243}))
		n.Release()
		n.At("reset")
	}
	return s
}

// forgedSYN: a SYN inside a live connection draws a challenge ACK only.
func forgedSYN() Scenario {
	s := forgedIgnored(record.Server, "syn", "a forged SYN inside a live connection draws a challenge ACK", 0)
	s.Name = "forged-syn-to-server"
	s.Expect = first(truth("graceful", "orderly-close", record.Client), record.Client, "FIN")
	s.Network = func(n *N) {
		n.Greeted()
		last := lastTo(n, record.Server)
		before := time.Now()
		// The genuine client takes the challenge for a duplicate ACK.
		n.Inject(record.Server, "SYN", forge(last, forgery{Seq: last.Seq + 5000, Flags: flagSYN, TTL: 61, Window: 1000}))
		challenge(n, record.Server, before)
		n.At("forged")
	}
	return s
}

// forgedSpray: several RSTs with climbing numbers, as some middleboxes send.
func forgedSpray() Scenario {
	s := forgedExact(record.Client)
	s.Name, s.About = "forged-rst-spray-to-client", "a middlebox sends RSTs with climbing sequence numbers; one of them is exact"
	s.Probes = []string{inRead}
	s.Network = func(n *N) {
		n.Greeted()
		n.Wait("watching")
		last := lastTo(n, record.Client)
		for _, offset := range []uint32{^uint32(1460) + 1, 0, 1460, 4380} {
			n.Inject(record.Client, "RST", forgedRST(last, offset))
		}
		n.At("reset")
	}
	return s
}
