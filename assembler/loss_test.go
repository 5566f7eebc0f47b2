package assembler_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// segments is a hand-made capture between 192.0.2.1:40000 (side 0) and
// 192.0.2.2:80 (side 1), one packet a millisecond.
type segments struct {
	packets []capture.Packet
	now     int64
}

func (s *segments) add(from int, flags capture.Flags, seq, ack, length uint32) *capture.Packet {
	s.now += 1e6
	ends := [2][16]byte{{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 1}, {10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 2}}
	ports := [2]uint16{40000, 80}
	s.packets = append(s.packets, capture.Packet{
		Ref: capture.MakeRef(0, uint64(len(s.packets)+1)), Time: 1e18 + s.now, Kind: capture.TCP,
		Src: ends[from], Dst: ends[1-from], SrcPort: ports[from], DstPort: ports[1-from],
		Flags: flags, Seq: seq, Ack: ack, Len: length, Window: 1000, TTL: 64,
	})
	return &s.packets[len(s.packets)-1]
}

func (s *segments) track() []*assembler.Conn {
	var conns []*assembler.Conn
	t := assembler.New(assembler.Config{Done: func(c *assembler.Conn) { kept := *c; conns = append(conns, &kept) }})
	t.Batch(&capture.Batch{Packets: s.packets})
	t.Finish()
	return conns
}

func (s *segments) one(t *testing.T) *assembler.Conn {
	t.Helper()
	conns := s.track()
	if len(conns) != 1 {
		t.Fatalf("%d connections", len(conns))
	}
	return conns[0]
}

// A capture that drops packets of a fast transfer may miss gigabytes between
// two segments. What the other end acknowledges shows where the stream is.
func TestGreatLoss(t *testing.T) {
	const gib = 1 << 30
	var s segments
	s.add(0, capture.SYN, 100, 0, 0)
	s.add(1, capture.SYN|capture.ACK, 500, 101, 0)
	s.add(0, capture.ACK, 101, 501, 0)
	s.add(1, capture.ACK, 501, 101, 1000)
	s.add(1, capture.ACK, 501+gib, 101, 1000) // a segment beyond a hole
	s.add(0, capture.ACK, 101, 1501+gib, 0)
	s.add(0, capture.ACK, 101, 501+2*gib, 0) // an ACK beyond one
	s.add(1, capture.ACK|capture.FIN, 501+2*gib, 101, 1000)
	s.add(0, capture.ACK|capture.FIN, 101, 1502+2*gib, 0)
	s.add(1, capture.ACK, 1502+2*gib, 102, 0)
	c := s.one(t)
	e := c.End(assembler.Server)
	if e.Bytes != 3000 || e.Lost != 2*gib-2000 {
		t.Errorf("%d bytes, %d lost", e.Bytes, e.Lost)
	}
	if c.Partial&assembler.Gaps == 0 {
		t.Error("not marked as having gaps")
	}
	if e.State != assembler.TimeWait || c.End(assembler.Client).State != assembler.Closed {
		t.Errorf("states %v %v", c.End(assembler.Client).State, e.State)
	}
}

// A capture that begins while a connection is idle shows keep-alive probes
// first. They are no loss of a byte.
func TestKeepAliveFirst(t *testing.T) {
	var s segments
	for range 3 {
		s.now += 75e9
		s.add(0, capture.ACK, 1000, 5000, 0)
		s.add(1, capture.ACK, 5000, 1001, 0)
	}
	c := s.one(t)
	e := c.End(assembler.Client)
	if e.Lost != 0 || c.Partial&assembler.Gaps != 0 || e.KeepAlives < 2 {
		t.Errorf("lost %d, partial %b, probes %d", e.Lost, c.Partial, e.KeepAlives)
	}
}

// Equal IP IDs prove a copy only of senders that change them.
func TestConstantIPID(t *testing.T) {
	for _, test := range []struct {
		id                   [4]uint16
		retransmits, doubles uint32
	}{
		{[4]uint16{1, 1, 1, 1}, 1, 0},
		{[4]uint16{1, 2, 3, 3}, 0, 1},
		{[4]uint16{1, 2, 3, 4}, 1, 0},
		{[4]uint16{0, 0, 0, 0}, 1, 0},
	} {
		var s segments
		own := func(p *capture.Packet, i int) { p.IPID, p.Traits = test.id[i], capture.HasIPID }
		own(s.add(0, capture.SYN, 100, 0, 0), 0)
		s.add(1, capture.SYN|capture.ACK, 500, 101, 0)
		own(s.add(0, capture.ACK, 101, 501, 0), 1)
		own(s.add(0, capture.ACK, 101, 501, 10), 2)
		own(s.add(0, capture.ACK, 101, 501, 10), 3)
		e := s.one(t).End(assembler.Client)
		if e.Retransmits != test.retransmits || e.Duplicates != test.doubles {
			t.Errorf("IP IDs %v: %d retransmissions, %d copies", test.id, e.Retransmits, e.Duplicates)
		}
	}
}

// Real captures as a worse capturer would have made them: whatever is
// missing, each packet has its place in one connection.
func TestCorpusDamaged(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS does not name a directory of captures")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", dir, err)
	}
	for _, file := range files {
		all := corpusPackets(t, file)
		r := rand.New(rand.NewPCG(7, 8))
		for name, keep := range map[string]func(i int, p *capture.Packet) bool{
			"one way":          func(_ int, p *capture.Packet) bool { return p.SrcPort > p.DstPort },
			"the other way":    func(_ int, p *capture.Packet) bool { return p.SrcPort <= p.DstPort },
			"from the middle":  func(i int, _ *capture.Packet) bool { return i > len(all)/2 },
			"without SYNs":     func(_ int, p *capture.Packet) bool { return !p.Flags.Has(capture.SYN) },
			"without payload":  func(_ int, p *capture.Packet) bool { return p.Len == 0 },
			"a third is lost":  func(int, *capture.Packet) bool { return r.IntN(3) > 0 },
			"nine tenths lost": func(int, *capture.Packet) bool { return r.IntN(10) == 0 },
		} {
			var kept []capture.Packet
			for i := range all {
				if keep(i, &all[i]) {
					kept = append(kept, all[i])
				}
			}
			checkPlaces(t, file+", "+name, kept)
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		checkPlaces(t, file+", shuffled", all)
	}
}

// corpusPackets are the TCP segments of a capture, without payload.
func corpusPackets(t *testing.T, file string) (all []capture.Packet) {
	t.Helper()
	src, err := capture.Open([]string{file}, capture.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for b := new(capture.Batch); src.Next(b) == nil; {
		for _, p := range b.Packets {
			if p.Off, p.CapLen = 0, 0; p.Kind == capture.TCP {
				all = append(all, p)
			}
		}
	}
	return all
}

func checkPlaces(t *testing.T, name string, packets []capture.Packet) {
	t.Helper()
	sum := 0
	for _, c := range (&segments{packets: packets}).track() {
		for i := range c.Ends {
			sum += int(c.Ends[i].Packets + c.Ends[i].Duplicates)
		}
		// Whether a silent end must have spoken depends on what the other
		// one answers; where both spoke nothing is one-way.
		silent := c.Ends[0].Packets == 0 || c.Ends[1].Packets == 0
		if oneWay := c.Partial&assembler.OneWay != 0; oneWay && !silent {
			t.Errorf("%s: connection %d, %d and %d packets, is one-way", name, c.ID, c.Ends[0].Packets, c.Ends[1].Packets)
		}
	}
	if sum != len(packets) {
		t.Errorf("%s: %d of %d packets have a place", name, sum, len(packets))
	}
}
