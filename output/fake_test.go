package output

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// fakes is a hand-made set of judged connections, so that the printers are
// tested on every shape a result can take, whatever the rules say today.
type fakes struct {
	results []classify.Result
	sum     classify.Summary
}

func (f *fakes) Len() int                        { return len(f.results) }
func (f *fakes) Conn(i int) *assembler.Conn      { return f.results[i].Conn }
func (f *fakes) Verdict(i int) *classify.Verdict { return &f.results[i].Verdict }
func (f *fakes) Result(i int) classify.Result    { return f.results[i] }
func (f *fakes) Summary() classify.Summary       { return f.sum }

var epoch = time.Date(2026, 3, 14, 3, 4, 5, 123456789, time.UTC).UnixNano()

func at(seconds float64) int64 { return epoch + int64(seconds*1e9) }

func stamp(number uint64, seconds float64) assembler.Stamp {
	return assembler.Stamp{Ref: capture.MakeRef(0, number), Time: at(seconds)}
}

// conn makes a connection between two ends that lives from start for length seconds.
func conn(id uint64, client, server string, start, length float64) *assembler.Conn {
	c := &assembler.Conn{ID: id, RoleKnown: true, First: stamp(id*10, start), Last: stamp(id*10+9, start+length)}
	for i, s := range []string{client, server} {
		ap := netip.MustParseAddrPort(s)
		e := &c.Ends[i]
		e.Addr, e.Port = ap.Addr().As16(), ap.Port()
		e.State, e.Packets, e.Bytes = assembler.Established, 5, uint64(120+i*4321)
		e.First, e.Last = c.First, c.Last
	}
	c.Ends[0].SYN = assembler.Tries{First: c.First, Last: c.First, Count: 1}
	return c
}

func call(token classify.Token, text string) classify.Call {
	return classify.Call{Error: token, Text: text}
}

func (f *fakes) add(c *assembler.Conn, v classify.Verdict, change func(r *classify.Result)) {
	r := classify.Result{Conn: c, Verdict: v}
	if change != nil {
		change(&r)
	}
	f.results = append(f.results, r)
	f.sum.Connections++
	f.sum.Packets += uint64(c.Ends[0].Packets + c.Ends[1].Packets)
	f.sum.ByClass[v.Class]++
	f.sum.ByCause[v.Cause]++
}

// exampleReport has a connection of every class, groups, a sweep and trouble.
func exampleReport() *Report {
	f := &fakes{sum: classify.Summary{Hosts: 12, First: at(0), Last: at(700), End: at(700)}}
	clients := []string{"10.0.0.3:40001", "10.0.0.3:40002", "10.0.0.4:51000", "10.0.0.3:40003", "10.0.0.5:33333", "10.0.0.6:33334"}
	for i, client := range clients {
		f.abort(uint64(i+1), client, float64(i)*3)
	}
	for port := range 9 {
		f.refuse(uint64(10+port), uint16(7000+port), 20+float64(port))
	}
	f.leak(30)
	f.vanished(31)
	for i := range uint64(500) {
		c := conn(100+i, "10.0.0.3:50000", "192.0.2.80:443", 50+float64(i), 0.3)
		f.add(c, classify.Verdict{Class: classify.Graceful, Cause: classify.OrderlyClose, By: classify.ByClient + classify.Party(i%5/4), Confidence: classify.Certain}, nil)
	}
	f.add(conn(700, "[2001:db8::17]:50000", "[2001:db8:0:1::80]:443", 600, 90), classify.Verdict{Class: classify.Open, Cause: classify.StillOpen, Partial: assembler.NoStart}, nil)
	in := capture.Input{Name: "web.pcap", Format: "pcap", Links: []string{"EN10MB"}, Snaplen: 96, Packets: 5321, Bytes: 400_000,
		Cut: 17, Drops: 3, Bad: 5, BadSamples: []string{"packet 99: IP header cut short"}, Unsupported: map[string]uint64{"DOCSIS": 4}, First: at(0), Last: at(700),
		Err: errors.New("web.pcap: packet 5322: record length does not fit the file")}
	return &Report{Inputs: []capture.Input{in}, Packets: in.Packets, Conns: f, Findings: exampleFindings()}
}

// exampleFindings are one of each severity, and one that repeats another's texts.
func exampleFindings() []classify.Finding {
	server, client := netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("10.0.0.9")
	down := classify.Finding{
		Kind: classify.KindServerDown, Severity: classify.Warning, Confidence: classify.Likely, Title: "Nothing listened on 192.0.2.3:7000 for at least 8 s: 5 dials refused.",
		What:        "The server's host answered SYNs with RST: the host is up, and no program listens on this port (it crashed, restarts, or has not begun), or a firewall there rejects. Callers got ECONNREFUSED at once.",
		Numbers:     []classify.Number{{Name: "client hosts", Value: 1}, {Name: "dials refused", Value: 5}, {Name: "runs", Value: 1}, {Name: "first to last refusal", Value: 8.00338, Unit: "s"}},
		Where:       []classify.Place{{Role: "server", Host: server, Port: 7000}, {Role: "client", Host: client}},
		Connections: []uint64{10, 11, 12, 13, 14}, Total: 5, First: at(20), Last: at(28),
		Evidence: []classify.Evidence{{Stamp: stamp(101, 20), What: "connection 10: SYN answered by RST+ACK"}, {Stamp: stamp(111, 21), What: "connection 11: SYN answered by RST+ACK"}},
		Advice:   "Keep the listener open across restarts. In clients treat ECONNREFUSED as a reason to try another address at once.",
	}
	again := down
	again.Title, again.Connections, again.Total, again.Evidence = "Nothing listened on 192.0.2.3:7008 in all of the capture: 1 dial refused.", []uint64{18}, 1, nil
	again.First, again.Last, again.Where = at(28), at(28), []classify.Place{{Role: "server", Host: server, Port: 7008}}
	return []classify.Finding{
		{Kind: classify.KindUntrusted, Severity: classify.Serious, Confidence: classify.Certain, Title: "The capture itself is flawed: the capturing system reports 3 packets dropped.",
			What: "What was not captured cannot be told from what never happened. Read all that follows with this in mind.", Advice: "Capture again.",
			Numbers: []classify.Number{{Name: "packets dropped by the capturer", Value: 3}, {Name: "bytes acknowledged and never shown", Value: 12345, Unit: "bytes"}}},
		{Kind: classify.KindPorts, Severity: classify.Critical, Confidence: classify.Likely, Title: "10.0.0.3 runs out of local ports towards 192.0.2.80:443: 27,900 of about 28,232 in use.",
			What:        "Each connection needs a local port of its own. " + strings.Repeat("The side that closes first keeps the port. ", 12),
			Numbers:     []classify.Number{{Name: "share in use at the peak", Value: 98.824, Unit: "%"}, {Name: "new connections at the busiest", Value: 480.2, Unit: "/s"}, {Name: "hop count less the endpoint's", Value: -9}, {Name: "client hosts", Value: 7}, {Name: "dials that failed", Value: 0}},
			Where:       []classify.Place{{Role: "client", Host: netip.MustParseAddr("10.0.0.3")}, {Role: "client", Host: netip.MustParseAddr("10.0.0.4")}, {Role: "server", Host: netip.MustParseAddr("192.0.2.80"), Port: 443}},
			Connections: []uint64{100, 101, 102, 103, 104}, Total: 27900, First: at(50), Last: at(550), Advice: "Reuse connections.", Alternatives: []string{"another program on the same host holds the ports"}},
		down, again,
		{Kind: classify.KindHeartbeats, Severity: classify.Info, Confidence: classify.Certain, Title: "Quiet connections to 192.0.2.7:5432 are kept alive by a TCP keep-alive probe after 15 s of silence.",
			What: "Heartbeats tell a dead peer from a quiet one.", Numbers: []classify.Number{{Name: "probes after a silence of", Value: 15, Unit: "s"}}, Connections: []uint64{31}, Total: 1, First: at(400), Last: at(690)},
	}
}

func (f *fakes) abort(id uint64, client string, start float64) {
	c := conn(id, client, "192.0.2.2:8080", start, 12.25)
	f.add(c, classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose, By: classify.ByServer, Confidence: classify.Likely,
		FirstEnd: classify.FirstEnd{Stamp: stamp(id*10+8, start+12.25), Side: assembler.Server, Flag: classify.FlagRST},
		NAlt:     1, Alt: [4]classify.Alternative{{Cause: classify.CloseWithUnreadData}}},
		func(r *classify.Result) {
			where := client + "->192.0.2.2:8080"
			r.Evidence = []classify.Evidence{
				{Stamp: stamp(id*10+7, start+11.85), Side: assembler.Client, What: "last data, 120 bytes, acknowledged and never answered"},
				{Stamp: stamp(id*10+8, start+12.25), Side: assembler.Server, What: "RST+ACK, seq = next expected, window 64 and TSval in step: sent by the live socket"},
			}
			r.IdleBeforeEnd = 4e8
			r.AltText = []string{"the server had acknowledged 120 bytes that it never answered; whether its program read them, the packets do not show"}
			r.Advice = "On the server, look for SetLinger(0), a proxy's hard timeout, or a process that was killed. On the client, retry on a new connection only what is idempotent."
			r.Go[0] = classify.Outcome{Once: true, Read: []classify.Call{call("ECONNRESET", "read tcp "+where+": read: connection reset by peer"), call("EOF", "EOF")},
				Write: []classify.Call{call("ECONNRESET", "write tcp "+where+": write: connection reset by peer"), call("EPIPE", "write tcp "+where+": write: broken pipe")}, Unread: 96}
			r.Go[1] = classify.Outcome{Read: []classify.Call{call("ErrClosed", "")}, Write: []classify.Call{call("ErrClosed", "")}, Note: "it closed the connection itself; Close returned nil"}
			r.App[0] = &classify.AppOutcome{Protocol: "tls", Error: "ECONNRESET", Text: "read tcp: connection reset by peer", Note: "sticky"}
		})
}

func (f *fakes) refuse(id uint64, port uint16, start float64) {
	c := conn(id, "10.0.0.9:45000", netip.AddrPortFrom(netip.MustParseAddr("192.0.2.3"), port).String(), start, 0.0002)
	f.add(c, classify.Verdict{Class: classify.Reset, Cause: classify.ConnectionRefused, By: classify.ByServer, Confidence: classify.Certain,
		FirstEnd: classify.FirstEnd{Stamp: stamp(id*10+1, start+0.0002), Side: assembler.Server, Flag: classify.FlagRST}},
		func(r *classify.Result) {
			r.Evidence = []classify.Evidence{{Stamp: stamp(id*10+1, start+0.0002), Side: assembler.Server, What: "RST+ACK answers the SYN"}}
			dial := call("ECONNREFUSED", "dial tcp 192.0.2.3: connect: connection refused")
			r.Go[0] = classify.Outcome{Dial: &dial}
		})
}

func (f *fakes) leak(id uint64) {
	c := conn(id, "[2001:db8::17]:50123", "[2001:db8:0:1::80]:443", 40, 30)
	c.Ends[0].FIN = assembler.Tries{First: stamp(305, 70), Last: stamp(305, 70), Count: 1}
	f.add(c, classify.Verdict{Class: classify.HalfOpen, Cause: classify.CloseWaitLeak, By: classify.ByServer, Confidence: classify.Likely,
		FirstEnd: classify.FirstEnd{Stamp: stamp(305, 70), Side: assembler.Client, Flag: classify.FlagFIN}},
		func(r *classify.Result) {
			r.Evidence = []classify.Evidence{{Stamp: stamp(305, 70), Side: assembler.Client, What: "FIN"}, {Stamp: stamp(306, 70.1), Side: assembler.Server, What: "acknowledges the FIN, and nothing follows"}}
			r.Go[0] = classify.Outcome{Read: []classify.Call{call("ErrClosed", "")}, Write: []classify.Call{call("ErrClosed", "")}}
			r.Go[1] = classify.Outcome{Read: []classify.Call{call("EOF", "EOF")}, Write: []classify.Call{call("nil", ""), call("EPIPE", "")}}
			r.Encap = "vlan 100"
			r.IdleBeforeEnd = 29e9
		})
}

func (f *fakes) vanished(id uint64) {
	c := conn(id, "10.0.0.3:40777", "192.0.2.7:5432", 400, 300)
	c.Ends[0].Data = assembler.Tries{First: stamp(311, 640), Last: stamp(319, 690), Count: 8, Len: 512}
	f.add(c, classify.Verdict{Class: classify.HalfOpen, Cause: classify.PeerVanished, By: classify.ByUnknown, Confidence: classify.Possible},
		func(r *classify.Result) {
			r.Evidence = []classify.Evidence{{Stamp: stamp(310, 639.9), Side: assembler.Server, What: "its last packet"}, {Stamp: stamp(311, 640), Side: assembler.Client, What: "512 bytes, sent 8 times until the end of the capture and never acknowledged"},
				{Stamp: stamp(312, 641), Network: true, What: "ICMP host unreachable"}}
			r.Go[0] = classify.Outcome{Read: []classify.Call{call("blocked", "")}, Write: []classify.Call{call("nil", "")},
				If: []classify.Condition{{When: "if it gave up", Read: []classify.Call{call("ETIMEDOUT", ""), call("EOF", "")}, Write: []classify.Call{call("ETIMEDOUT", ""), call("EPIPE", "")}, Once: true}}}
		})
}
