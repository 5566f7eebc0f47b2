package assembler_test

import (
	"fmt"
	"strconv"

	"hangup/assembler"
)

// arkime compares the sums of its sessions, both directions together where
// it gives no more.
func (k *corpusCheck) arkime() {
	k.Helper()
	var oracle struct {
		Sessions []struct {
			SrcIP       string         `json:"src_ip"`
			SrcPort     int            `json:"src_port"`
			DstIP       string         `json:"dst_ip"`
			DstPort     int            `json:"dst_port"`
			SrcPackets  uint32         `json:"src_packets"`
			DstPackets  uint32         `json:"dst_packets"`
			ClientBytes uint64         `json:"client_databytes"`
			ServerBytes uint64         `json:"server_databytes"`
			Flags       map[string]int `json:"tcpflags"`
			FirstMS     int64          `json:"firstPacket_ms"`
			LastMS      int64          `json:"lastPacket_ms"`
		}
	}
	if !k.load("arkime", &oracle) {
		return
	}
	for _, s := range oracle.Sessions {
		a, b := k.corpusEnd(s.SrcIP, s.SrcPort), k.corpusEnd(s.DstIP, s.DstPort)
		conns := k.ofTuple(a, b)
		if len(conns) != 1 {
			k.equal("arkime session's connections", len(conns), 1)
			continue
		}
		c := conns[0]
		side, _ := between(c, a, b)
		x, y := c.End(side), c.End(side.Peer())
		k.equal("arkime packets", fmt.Sprint(x.Packets+x.Duplicates, y.Packets+y.Duplicates), fmt.Sprint(s.SrcPackets, s.DstPackets))
		k.equal("arkime databytes", fmt.Sprint(x.Bytes, y.Bytes), fmt.Sprint(s.ClientBytes, s.ServerBytes))
		k.equal("arkime flags",
			fmt.Sprint(x.SYN.Count+y.SYN.Count, x.SYNACK.Count+y.SYNACK.Count, x.FIN.Count+y.FIN.Count, x.Resets+y.Resets),
			fmt.Sprint(s.Flags["syn"], s.Flags["syn-ack"], s.Flags["fin"], s.Flags["rst"]))
		k.equal("arkime times", fmt.Sprint(c.First.Time/1e6, c.Last.Time/1e6), fmt.Sprint(s.FirstMS, s.LastMS))
	}
	k.stream = -1
}

// ofTuple finds the connections between a and b and makes their stream the
// one being compared.
func (k *corpusCheck) ofTuple(a, b any) []*assembler.Conn {
	var conns []*assembler.Conn
	k.stream = -1
	for _, c := range k.run.conns {
		x, y := c.Ends[0].AddrPort(), c.Ends[1].AddrPort()
		if x == a && y == b || x == b && y == a {
			conns = append(conns, c)
			if s := k.streamOf(c); s != nil {
				k.stream = s.Stream
			}
		}
	}
	return conns
}

// suricata compares flow records that a test expects to be there. Its flow
// may be split or turned round; only checks that name both ends, or the
// capture's single connection, say enough.
func (k *corpusCheck) suricata() {
	k.Helper()
	var oracle struct {
		Tests []struct {
			Checks []struct {
				Count int
				Match map[string]any
			} `json:"flow_checks"`
		}
	}
	if !k.load("suricata", &oracle) {
		return
	}
	for _, test := range oracle.Tests {
		for _, check := range test.Checks {
			if _, any := check.Match["flow.pkts_toserver"]; !any {
				k.equal("suricata flows", len(k.run.conns), check.Count)
				continue
			}
			k.suricataFlow(check.Match)
		}
	}
	k.stream = -1
}

func (k *corpusCheck) suricataFlow(want map[string]any) {
	k.Helper()
	conns := k.run.conns
	if ip, ok := want["src_ip"].(string); ok {
		port := func(key string) int { return int(want[key].(float64)) }
		conns = k.ofTuple(k.corpusEnd(ip, port("src_port")), k.corpusEnd(want["dest_ip"].(string), port("dest_port")))
	}
	if len(conns) != 1 {
		k.equal("suricata flow's connections", len(conns), 1)
		return
	}
	c := conns[0]
	k.stream = k.streamOf(c).Stream
	x, y := c.End(assembler.Client), c.End(assembler.Server)
	k.equal("suricata packets", fmt.Sprint(x.Packets+x.Duplicates, y.Packets+y.Duplicates), fmt.Sprint(want["flow.pkts_toserver"], want["flow.pkts_toclient"]))
	for key, e := range map[string]*assembler.End{"tcp.tcp_flags_ts": x, "tcp.tcp_flags_tc": y} {
		hex, ok := want[key].(string)
		if !ok {
			continue
		}
		flags, err := strconv.ParseUint(hex, 16, 8)
		if err != nil {
			k.Fatal(err)
		}
		k.equal(key,
			fmt.Sprint(e.FIN.Seen(), e.SYN.Seen() || e.SYNACK.Seen(), e.Resets > 0),
			fmt.Sprint(flags&1 != 0, flags&2 != 0, flags&4 != 0))
	}
}

// tcptrace compares its connections one after the other, as both count them
// by their first packets.
func (k *corpusCheck) tcptrace() {
	k.Helper()
	var oracle struct {
		Connections []struct {
			N        int
			A, B     string
			APort    string `json:"a_port"`
			BPort    string `json:"b_port"`
			PktsAB   int    `json:"pkts_ab"`
			PktsBA   int    `json:"pkts_ba"`
			SYNAB    int    `json:"syn_ab"`
			SYNBA    int    `json:"syn_ba"`
			FINAB    int    `json:"fin_ab"`
			FINBA    int    `json:"fin_ba"`
			RexmtAB  int    `json:"rexmt_ab"`
			RexmtBA  int    `json:"rexmt_ba"`
			UniqueAB int    `json:"unique_bytes_ab"`
			UniqueBA int    `json:"unique_bytes_ba"`
		}
	}
	if !k.load("tcptrace", &oracle) {
		return
	}
	k.equal("tcptrace connections", len(k.run.conns), len(oracle.Connections))
	for i, w := range oracle.Connections[:min(len(k.run.conns), len(oracle.Connections))] {
		c := k.run.conns[i]
		ap, _ := strconv.Atoi(w.APort)
		bp, _ := strconv.Atoi(w.BPort)
		k.stream = k.streamOf(c).Stream
		side, ok := between(c, k.corpusEnd(w.A, ap), k.corpusEnd(w.B, bp))
		if !ok {
			k.equal("tcptrace connection", w.N, "another")
			continue
		}
		for _, dir := range []struct {
			name                         string
			e                            *assembler.End
			pkts, syn, fin, rexmt, bytes int
		}{
			{"tcptrace a>b", c.End(side), w.PktsAB, w.SYNAB, w.FINAB, w.RexmtAB, w.UniqueAB},
			{"tcptrace b>a", c.End(side.Peer()), w.PktsBA, w.SYNBA, w.FINBA, w.RexmtBA, w.UniqueBA},
		} {
			k.equal(dir.name,
				fmt.Sprint(dir.e.Packets+dir.e.Duplicates, dir.e.SYN.Count+dir.e.SYNACK.Count, dir.e.FIN.Count, dir.e.Retransmits, dir.e.Bytes),
				fmt.Sprint(dir.pkts, dir.syn, dir.fin, dir.rexmt, dir.bytes))
		}
	}
	k.stream = -1
}
