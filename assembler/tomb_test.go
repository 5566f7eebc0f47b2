package assembler_test

import (
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// What comes long after a connection was over opens no other one; a SYN with
// another number does, and knows whom it follows.
func TestLatePackets(t *testing.T) {
	var s segments
	handshake := func(isn uint32) {
		s.add(0, capture.SYN, isn, 0, 0)
		s.add(1, capture.SYN|capture.ACK, 500, isn+1, 0)
		s.add(0, capture.ACK, isn+1, 501, 0)
	}
	handshake(100)
	s.add(0, capture.FIN|capture.ACK, 101, 501, 0)
	s.add(1, capture.FIN|capture.ACK, 501, 102, 0)
	s.add(0, capture.ACK, 102, 502, 0)
	s.now += 200e9
	s.add(1, capture.FIN|capture.ACK, 501, 102, 0)
	s.add(0, capture.ACK, 102, 502, 0)
	s.add(0, capture.RST, 102, 0, 0)
	s.add(0, capture.SYN, 100, 0, 0)
	s.now += 200e9
	handshake(1 << 20)

	all := batches{{Packets: s.packets}}
	for _, all := range []batches{all, all.single()} {
		conns, late := all.track(t, assembler.New, assembler.Config{})
		if len(conns) != 2 || late != 4 {
			t.Fatalf("%d connections, %d late packets", len(conns), late)
		}
		if c := conns[1]; c.Predecessor != 1 || c.Gap < 400e9 || c.Gap > 401e9 {
			t.Errorf("follows %d after %d ns", c.Predecessor, c.Gap)
		}
	}
}
