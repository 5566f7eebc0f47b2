package output

import (
	"bytes"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// script makes the steps of connection 7 between 10.0.0.1:40000 and 192.0.2.2:8080.
type script struct {
	steps  []assembler.Step
	c      *assembler.Conn
	time   int64
	states [2]assembler.State
}

func newScript() *script {
	s := &script{c: conn(7, "10.0.0.1:40000", "192.0.2.2:8080", 0, 60), time: epoch}
	s.c.Ends[0].ISN, s.c.Ends[0].HasISN = 1000, true
	s.c.Ends[1].ISN, s.c.Ends[1].HasISN = 5000, true
	return s
}

func (s *script) send(after float64, from assembler.Side, flags capture.Flags, seq, ack, length uint32, notes assembler.Notes) *assembler.Step {
	s.time += int64(after * 1e9)
	e, peer := s.c.End(from), s.c.End(from.Peer())
	s.steps = append(s.steps, assembler.Step{
		Packet: capture.Packet{Ref: capture.MakeRef(0, uint64(len(s.steps)+1)), Time: s.time, Kind: capture.TCP, Flags: flags,
			Src: e.Addr, Dst: peer.Addr, SrcPort: e.Port, DstPort: peer.Port, Seq: e.ISN + seq, Ack: peer.ISN + ack, Len: length, Window: 500},
		Conn: 7, Side: from, States: s.states, Notes: notes,
	})
	return &s.steps[len(s.steps)-1]
}

func (s *script) open() {
	s.states = [2]assembler.State{assembler.SynSent, assembler.Unknown}
	s.send(0, assembler.Client, capture.SYN, 0, 0, 0, 0)
	s.states[1] = assembler.SynReceived
	s.send(0.01, assembler.Server, capture.SYN|capture.ACK, 0, 1, 0, 0)
	s.states = [2]assembler.State{assembler.Established, assembler.Established}
	s.send(0.01, assembler.Client, capture.ACK, 1, 1, 0, 0)
}

func (s *script) report(change func(r *classify.Result)) *Report {
	f := &fakes{sum: classify.Summary{First: epoch, Last: s.time, End: s.time}}
	f.add(s.c, classify.Verdict{Class: classify.Reset, Cause: classify.AbortiveClose, By: classify.ByServer, Confidence: classify.Certain}, change)
	return &Report{Inputs: []capture.Input{{Name: "x"}}, Conns: f}
}

func (s *script) draw(t *testing.T, l *Ladders, style Style, change func(r *classify.Result)) string {
	t.Helper()
	for _, step := range s.steps {
		l.Trace(step)
	}
	var b bytes.Buffer
	if err := l.Draw(&b, s.report(change), style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bulk is an open connection with n packets each way, then a RST.
func bulk(n int) *script {
	s := newScript()
	s.open()
	for i := range uint32(n) {
		s.send(0.001, assembler.Server, capture.ACK, 1+i*1000, 1, 1000, 0)
		notes := assembler.Notes(0)
		if i%10 == 5 {
			notes = assembler.NoteDupACK
		}
		s.send(0.001, assembler.Client, capture.ACK, 1, 1+i*1000+1000, 0, notes)
	}
	s.states = [2]assembler.State{assembler.Closed, assembler.Closed}
	rst := s.send(2, assembler.Server, capture.RST|capture.ACK, 1+uint32(n)*1000, 1, 0, assembler.NoteReset)
	s.c.Ends[0].ResetAccepts = assembler.Stamp{Ref: rst.Packet.Ref, Time: rst.Packet.Time}
	return s
}

func TestLadderFolds(t *testing.T) {
	spec := ConnSpecs{{ID: 7}}
	short := bulk(1000).draw(t, NewLadders(spec, 1, false), Style{Width: 100}, nil)
	if n := strings.Count(short, "\n"); n > 25 {
		t.Errorf("%d lines for a thousand packets of data:\n%s", n, short)
	}
	// 2000 packets less the three before and the four behind the fold.
	for _, want := range []string{"→ 997 packets, 0 B", "← 996 packets, 996 kB", "100 × duplicate ACK"} {
		if !strings.Contains(short, want) {
			t.Errorf("%q not in\n%s", want, short)
		}
	}
	long := bulk(100).draw(t, NewLadders(spec, 1, true), Style{Width: 100}, nil)
	if strings.Contains(long, "⋮") || strings.Count(long, "▶│")+strings.Count(long, "│◀") != 204 {
		t.Errorf("not every packet is shown:\n%s", long)
	}
}

func TestLadderMemoryIsBounded(t *testing.T) {
	l := NewLadders(ConnSpecs{{ID: 7}}, 1, false)
	for _, step := range bulk(20_000).steps {
		l.Trace(step)
	}
	if n := len(l.byID[7].list); n > 50 {
		t.Errorf("%d rungs kept of 40,000 packets", n)
	}
}

func TestLadderTellsOutcomesWherePacketsDo(t *testing.T) {
	s := bulk(2)
	out := s.draw(t, NewLadders(ConnSpecs{{ID: 7}}, 1, false), Style{Width: 120}, func(r *classify.Result) {
		r.Go[0] = classify.Outcome{Read: []classify.Call{call("ECONNRESET", ""), call("EOF", "")}, Write: []classify.Call{call("ECONNRESET", ""), call("EPIPE", "")}, Once: true}
		r.Go[1] = classify.Outcome{Read: []classify.Call{call("ErrClosed", "")}, Write: []classify.Call{call("ErrClosed", "")}}
		r.Evidence = []classify.Evidence{{Stamp: assembler.Stamp{Ref: capture.MakeRef(0, 8), Time: s.time}, Side: assembler.Server, What: "RST in step"},
			{Stamp: assembler.Stamp{Time: s.time}, Network: true, What: "the capture ends here"}}
	})
	rst := strings.Index(out, "RST+ACK 2001")
	told := strings.Index(out, "» client  Read or Write → ECONNRESET once")
	if rst < 0 || told < rst {
		t.Errorf("the client's outcome does not follow the RST:\n%s", out)
	}
	for text, n := range map[string]int{"RST in step": 1, "the capture ends here": 1, "» server": 1, "» client": 1} {
		if got := strings.Count(out, text); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", text, got, n, out)
		}
	}
}

// The tracker may find out late who is the client; the ladder is drawn with
// the roles as they are in the end.
func TestLadderFollowsFinalRoles(t *testing.T) {
	s := newScript()
	s.open()
	want := s.draw(t, NewLadders(ConnSpecs{{ID: 7}}, 1, false), Style{Width: 100}, nil)
	for i := range s.steps {
		step := &s.steps[i]
		step.Side = step.Side.Peer()
		step.States[0], step.States[1] = step.States[1], step.States[0]
	}
	if got := s.draw(t, NewLadders(ConnSpecs{{ID: 7}}, 1, false), Style{Width: 100}, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLadderFitsWidth(t *testing.T) {
	for _, width := range []int{80, 100, 160, 240} {
		out := bulk(30).draw(t, NewLadders(ConnSpecs{{ID: 7}}, 1, true), Style{Width: width, Palette: NewPalette(true)}, nil)
		for _, line := range strings.Split(out, "\n") {
			if visible(line) > width {
				t.Errorf("width %d: %d columns: %q", width, visible(line), line)
			}
		}
	}
}

func TestLadderICMPAndOdditiesDraw(t *testing.T) {
	s := newScript()
	s.open()
	step := s.send(0.1, assembler.Client, 0, 5, 0, 0, 0)
	step.Packet.Kind, step.Packet.ICMPType, step.Packet.ICMPCode, step.Packet.MTU = capture.ICMPError, 3, 4, 1400
	step.Packet.Router = s.c.Ends[1].Addr
	s.send(0.1, assembler.Client, 0, 1<<32-5, 0, 0, assembler.NoteDuplicate)
	s.send(-1, assembler.Server, capture.URG|capture.PSH|capture.ACK|capture.ECE|capture.CWR|capture.AE, 1<<31, 1<<31, 70000, assembler.NoteTimeBackwards)
	out := s.draw(t, NewLadders(ConnSpecs{{ID: 7}}, 1, false), Style{Width: 80}, nil)
	for _, want := range []string{"│◀", "ICMP 3/4 mtu 1400 ", "reported by 192.0.2.2", "no flags -5", "URG+ECE+CWR+AE 2147483648:2147553648", "time went backwards", " -1 s "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q not in\n%s", want, out)
		}
	}
}

func TestLaddersByEnd(t *testing.T) {
	spec, err := ParseConn("192.0.2.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	l := NewLadders(ConnSpecs{spec}, 2, false)
	for id := range uint64(5) {
		for _, step := range bulk(1).steps {
			step.Conn = id
			l.Trace(step)
		}
	}
	if len(l.byID) != 2 || len(l.more) != 3 {
		t.Errorf("%d ladders and %d more, want 2 and 3", len(l.byID), len(l.more))
	}
	other, err := ParseConn("[2001:db8::1]:8080")
	if err != nil {
		t.Fatal(err)
	}
	l = NewLadders(ConnSpecs{other}, 2, false)
	l.Trace(bulk(1).steps[0])
	if len(l.byID) != 0 {
		t.Error("a connection of another end is drawn")
	}
}

func TestRelativeNumbers(t *testing.T) {
	o := origin{base: [2]uint32{4294967290, 0}}
	for seq, want := range map[uint32]string{4294967290: "0", 4294967291: "1", 5: "11", 4294967289: "-1"} {
		if got := o.rel(assembler.Client, seq); got != want {
			t.Errorf("%d is %s, want %s", seq, got, want)
		}
	}
	if got := o.rel(assembler.Server, 3_000_000_000); got != "3000000000" {
		t.Errorf("3 GB into the stream is %s", got)
	}
}
