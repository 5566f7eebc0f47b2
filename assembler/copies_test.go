package assembler_test

import (
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// Where everything is seen twice at the same place, so is a RST; elsewhere
// equal RSTs are as many as there are.
func TestDoubledReset(t *testing.T) {
	for _, test := range []struct {
		name    string
		doubled bool
		rsts    int
		by      int
		want    uint32
	}{
		{"one RST, everything twice", true, 2, 1, 1},
		{"one RST of the other end", true, 2, 0, 1},
		{"two RSTs, everything twice", true, 4, 1, 2},
		{"three RSTs, nothing else twice", false, 3, 1, 3},
	} {
		var s segments
		id := uint16(100)
		send := func(from int, flags capture.Flags, seq, ack, n uint32) {
			id++
			for range map[bool]int{true: 2, false: 1}[test.doubled] {
				p := s.add(from, flags, seq, ack, n)
				s.now -= 1e6 - 1e3
				p.IPID, p.Traits = id, capture.HasIPID
			}
			s.now += 1e6
		}
		send(0, capture.SYN, 100, 0, 0)
		send(1, capture.SYN|capture.ACK, 500, 101, 0)
		send(0, capture.ACK, 101, 501, 0)
		send(0, capture.ACK, 101, 501, 10)
		send(1, capture.ACK, 501, 111, 20)
		seq, ack := uint32(501+20), uint32(111)
		if test.by == 0 {
			seq, ack = ack, seq
		}
		for range test.rsts {
			p := s.add(test.by, capture.RST|capture.ACK, seq, ack, 0)
			s.now -= 1e6 - 1e3
			p.IPID, p.Traits = id+1, capture.HasIPID
		}
		c := s.one(t)
		if c.NResets != test.want {
			t.Errorf("%s: %d RSTs, want %d", test.name, c.NResets, test.want)
		}
	}
}

// Probes that nobody answers are probes all the same, from the second on.
func TestUnansweredKeepAliveFirst(t *testing.T) {
	var s segments
	for range 4 {
		s.now += 75e9
		s.add(0, capture.ACK, 1000, 5000, 0)
	}
	e := s.one(t).End(assembler.Client)
	if e.KeepAlives != 3 || e.Probe.Count != 3 || !e.Probe.Pending() {
		t.Errorf("%d probes, %+v", e.KeepAlives, e.Probe)
	}
	var dups segments
	for range 4 { // of a download whose data this capture does not show
		dups.add(0, capture.ACK, 1000, 5000, 0)
	}
	if e := dups.one(t).End(assembler.Client); e.KeepAlives != 0 {
		t.Errorf("%d probes among duplicate ACKs", e.KeepAlives)
	}
}
