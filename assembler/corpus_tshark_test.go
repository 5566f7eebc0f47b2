package assembler_test

import (
	"fmt"
	"math"
	"net/netip"

	"hangup/assembler"
	"hangup/capture"
)

// tsharkStream is one tcp.stream. Side a is the sender of its first frame.
type tsharkStream struct {
	Stream     int
	AIP        string `json:"a_ip"`
	APort      int    `json:"a_port"`
	BIP        string `json:"b_ip"`
	BPort      int    `json:"b_port"`
	FirstFrame uint64 `json:"first_frame"`
	LastFrame  uint64 `json:"last_frame"`
	FramesAB   int    `json:"frames_ab"`
	FramesBA   int    `json:"frames_ba"`
	BytesAB    int    `json:"bytes_ab"`
	BytesBA    int    `json:"bytes_ba"`
	SYNAB      int    `json:"syn_ab"`
	SYNBA      int    `json:"syn_ba"`
	SYNACKAB   int    `json:"synack_ab"`
	SYNACKBA   int    `json:"synack_ba"`
	FINAB      int    `json:"fin_ab"`
	FINBA      int    `json:"fin_ba"`
	RSTAB      int    `json:"rst_ab"`
	RSTBA      int    `json:"rst_ba"`
	RetransAB  int    `json:"retrans_ab"`
	RetransBA  int    `json:"retrans_ba"`
	OutOfOrder int    `json:"ooo"`
	KeepAlives int    `json:"keepalive"`
	WinProbes  int    `json:"zwprobe"`
	Truncated  int    `json:"caplen_truncated"`
	Head, Tail [][]any

	a, b  netip.AddrPort
	conns []*assembler.Conn
}

// tshark compares the container, the streams and their frames.
func (k *corpusCheck) tshark() {
	k.Helper()
	var oracle struct {
		Container struct {
			Packets, TruncPk, Back int
			Err                    []string
		}
		Streams []tsharkStream
	}
	if !k.load("tshark", &oracle) {
		k.Fatal("no tshark oracle")
	}
	in := &k.run.input
	k.equal("tshark packets", in.Packets, oracle.Container.Packets)
	k.equal("tshark truncpk", in.Cut, oracle.Container.TruncPk)
	k.equal("tshark back", in.Backwards, oracle.Container.Back)
	k.equal("input error", in.Err != nil, len(oracle.Container.Err) > 0)
	k.equal("bad packets", in.BadSamples, []string(nil))
	k.streams = oracle.Streams
	k.assign()
	for i := range k.streams {
		s := &k.streams[i]
		k.stream = s.Stream
		k.equal("tshark connections", len(s.conns), 1)
		k.compareCounts(s)
		k.compareFrames(s, append(s.Head, s.Tail...))
	}
	k.stream = -1
}

// assign gives every connection to the stream of its two ends that began
// last before it.
func (k *corpusCheck) assign() {
	for i := range k.streams {
		s := &k.streams[i]
		s.a, s.b = k.corpusEnd(s.AIP, s.APort), k.corpusEnd(s.BIP, s.BPort)
	}
	var strangers []string
	for _, c := range k.run.conns {
		if s := k.streamOf(c); s != nil {
			s.conns = append(s.conns, c)
		} else {
			strangers = append(strangers, fmt.Sprintf("%d: %v %v", c.First.Ref.Number(), c.Ends[0].AddrPort(), c.Ends[1].AddrPort()))
		}
	}
	k.equal("connections in no stream", strangers, []string(nil))
}

func (k *corpusCheck) streamOf(c *assembler.Conn) (found *tsharkStream) {
	for i := range k.streams {
		s := &k.streams[i]
		if _, ok := between(c, s.a, s.b); ok && s.FirstFrame <= c.First.Ref.Number() && (found == nil || s.FirstFrame > found.FirstFrame) {
			found = s
		}
	}
	return found
}

// compareCounts compares the sums over the stream's connections, and what
// the packets sum up to with what the connections say of themselves.
func (k *corpusCheck) compareCounts(s *tsharkStream) {
	var n [2]counts // a, b
	var unique, sent [2]int
	for _, c := range s.conns {
		side, _ := between(c, s.a, s.b)
		for i, sd := range [2]assembler.Side{side, side.Peer()} {
			n[i].add(c.End(sd))
			unique[i] += int(c.End(sd).Bytes)
		}
	}
	for i := range k.run.steps {
		step := &k.run.steps[i]
		p := &step.Packet
		if p.Kind != capture.TCP || !s.has(step.Conn) {
			continue
		}
		dir := 0
		if netip.AddrPortFrom(capture.Addr(p.Src), p.SrcPort) != s.a {
			dir = 1
		}
		n[dir].bytes += int(k.tsharkLen(p))
		switch {
		case step.Notes&assembler.NoteDuplicate != 0:
			n[dir].addCopy(p)
		case !p.Flags.Has(capture.RST):
			sent[dir] += int(p.Len)
		}
	}
	k.equal("tshark a>b", n[0], counts{s.FramesAB, s.BytesAB, s.SYNAB, s.SYNACKAB, s.FINAB, s.RSTAB})
	k.equal("tshark b>a", n[1], counts{s.FramesBA, s.BytesBA, s.SYNBA, s.SYNACKBA, s.FINBA, s.RSTBA})
	if s.OutOfOrder+s.KeepAlives+s.WinProbes == 0 {
		if s.RetransAB == 0 {
			k.equal("unique bytes a>b", unique[0], sent[0])
		}
		if s.RetransBA == 0 {
			k.equal("unique bytes b>a", unique[1], sent[1])
		}
	}
}

func (s *tsharkStream) has(id uint64) bool {
	for _, c := range s.conns {
		if c.ID == id {
			return true
		}
	}
	return false
}

// compareFrames compares single frames: [number, time, direction, flags,
// length, sequence, acknowledgment].
func (k *corpusCheck) compareFrames(s *tsharkStream, frames [][]any) {
	for _, f := range frames {
		number := uint64(f[0].(float64))
		step := k.frame(s, number)
		if step == nil {
			k.equal("tshark frame", number, "seen")
			continue
		}
		p := &step.Packet
		dir := "<"
		if netip.AddrPortFrom(capture.Addr(p.Src), p.SrcPort) == s.a {
			dir = ">"
		}
		ack := uint32(f[6].(float64))
		if !p.Flags.Has(capture.ACK) {
			ack = p.Ack // not meaningful
		}
		type fields struct {
			frame    uint64
			dir      string
			flags    string
			len      uint32
			seq, ack uint32
			time     bool
		}
		at := f[1].(float64)
		near := math.Abs(float64(p.Time)/1e9-at) < 2e-6 || at > latest
		k.equal("tshark frame",
			fields{number, dir, letters(p.Flags), k.tsharkLen(p), p.Seq, p.Ack, near},
			fields{number, f[2].(string), f[3].(string), uint32(f[4].(float64)), uint32(f[5].(float64)), ack, true})
	}
}

// latest is the last second that has a time in ns since the epoch.
const latest = math.MaxInt64 / 1e9

// tsharkLen is tcp.len as the oracle has it. Where the IP header tells of
// more than the record does, as in files whose writer put the snaplen into
// both of its lengths, it stops at the end of the frame.
func (k *corpusCheck) tsharkLen(p *capture.Packet) uint32 {
	if k.run.input.Cut == 0 {
		return p.CapLen
	}
	return p.Len
}

// frame finds the step of a frame in a stream.
func (k *corpusCheck) frame(s *tsharkStream, number uint64) *assembler.Step {
	for i := range k.run.steps {
		if step := &k.run.steps[i]; step.Packet.Ref.Number() == number && step.Packet.Kind == capture.TCP && s.has(step.Conn) {
			return step
		}
	}
	return nil
}

// letters are flags in the oracle's order.
func letters(f capture.Flags) string {
	s := ""
	for _, l := range []struct {
		bit    capture.Flags
		letter string
	}{{capture.SYN, "S"}, {capture.FIN, "F"}, {capture.RST, "R"}, {capture.PSH, "P"}, {capture.ACK, "A"}, {capture.URG, "U"}} {
		if f.Has(l.bit) {
			s += l.letter
		}
	}
	return s
}
