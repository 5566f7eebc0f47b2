package assembler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hangup/capture"
)

// zeekPlay runs a script through zeekSegment. A line is
//
//	SIDE FLAGS SEQ ACK LEN [win=N] [cap=N] [+SECONDS] [xTIMES]
//
// SIDE a is the sender of the first packet, port 40000 unless the script
// starts with "ports A B".
func zeekPlay(t *testing.T, script string) *Conn {
	t.Helper()
	c := new(Conn)
	ports := [2]uint16{40000, 7}
	now := int64(1e18)
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if f[0] == "ports" {
			fmt.Sscan(f[1]+" "+f[2], &ports[0], &ports[1])
			continue
		}
		side := Side(f[0][0] - 'a')
		p := capture.Packet{SrcPort: ports[side], DstPort: ports[side.Peer()], Window: 1000, Flags: zeekFlags(f[1])}
		fmt.Sscan(f[2]+" "+f[3]+" "+f[4], &p.Seq, &p.Ack, &p.Len)
		p.CapLen = p.Len
		times, wait := 1, 0.001
		for _, opt := range f[5:] {
			switch {
			case strings.HasPrefix(opt, "win="):
				fmt.Sscan(opt[4:], &p.Window)
			case strings.HasPrefix(opt, "cap="):
				fmt.Sscan(opt[4:], &p.CapLen)
			case opt[0] == '+':
				fmt.Sscan(opt[1:], &wait)
			case opt[0] == 'x':
				fmt.Sscan(opt[1:], &times)
			}
		}
		for range times {
			now += int64(wait * 1e9)
			p.Time = now
			c.zeekSegment(side, &p)
		}
	}
	return c
}

func zeekFlags(s string) (f capture.Flags) {
	for i, letter := range "FSRPA" {
		if strings.ContainsRune(s, letter) {
			f |= 1 << i
		}
	}
	return f
}

const zeekOpen = `
	a S 100 0 0
	b SA 500 101 0
	a A 101 501 0
`

func TestZeekHistory(t *testing.T) {
	for _, test := range []struct{ name, script, state, history string }{
		{"attempt", "a S 100 0 0", "S0", "S"},
		{"attempt again", "a S 100 0 0\n a S 100 0 0 +1", "S0", "S"},
		{"attempt given up", "a S 100 0 0\n a S 100 0 0 +7\n b SA 500 101 0\n a A 101 501 0", "S1", "ShA"},
		{"late SYN-ACK is another connection", "ports 40000 80\n a S 100 0 0\n b SA 500 101 0 +6", "OTH", "^h"},
		{"refused", "a S 100 0 0\n b RA 0 101 0", "REJ", "Sr"},
		{"cancelled", "a S 100 0 0\n a R 101 0 0", "RSTOS0", "SR"},
		{"established", zeekOpen, "S1", "ShA"},
		{"originator closed", zeekOpen + "a FA 101 501 0\n b A 501 102 0", "S2", "ShAFa"},
		{"responder closed", zeekOpen + "b FA 501 101 0\n a A 101 502 0", "S3", "ShAf"},
		{"both closed", zeekOpen + "a FA 101 501 0\n b FA 501 102 0\n a A 102 502 0", "SF", "ShAFf"},
		{"reset by originator", zeekOpen + "a PA 101 501 5\n b A 501 106 0\n a R 106 0 0", "RSTO", "ShADaR"},
		{"reset by responder", zeekOpen + "a PA 101 501 5\n b R 501 0 0", "RSTR", "ShADr"},
		{"both reset, no data", "a S 100 0 0\n b RA 0 101 0\n a R 101 0 0", "REJ", "SrR"},
		{"FIN scan", "a S 100 0 0\n a F 101 0 0", "SH", "SF"},
		{"SYN-ACK and RST only", "ports 80 40000\n a SA 500 101 0\n a R 501 0 0", "RSTRH", "^hr"},
		{"SYN-ACK and FIN only", "ports 80 40000\n a SA 500 101 0\n a FA 501 101 0", "SHR", "^hf"},
		{"SYN-ACK alone, unknown port", "a SA 500 101 0", "OTH", "H"},
		{"SYN missed", "ports 80 40000\n a SA 500 101 0\n b A 101 501 0\n b PA 101 501 5", "S1", "^hAD"},
		{"midstream", "a PA 101 501 5\n b PA 501 106 7\n a A 106 508 0", "OTH", "DdA"},
		{"midstream from the server", "ports 443 40000\n a PA 101 501 5", "OTH", "^d"},
		{"two server ports, lower first", "ports 80 443\n a PA 101 501 5", "OTH", "^d"},
		{"two server ports, higher first", "ports 443 80\n a PA 101 501 5", "OTH", "D"},
		{"handshake reversed by the capture", "a SA 500 101 0\n b S 100 0 0\n b A 101 501 0", "S1", "Hs^A"},
		{"simultaneous open is a reuse to Zeek", "a S 100 0 0\n b S 500 0 0\n a SA 100 501 0\n b SA 500 101 0", "S1", "Sh"},
		{"ACK before the SYN-ACK", "a S 100 0 0\n b A 500 101 0\n b SA 500 101 0\n a A 101 501 0", "S1", "SahA"},
		{"FIN, RST, and the other FIN", zeekOpen + "a FA 101 501 0\n a R 102 0 0\n b FA 501 102 0", "SF", "ShAFRf"},
		{"RST after both FINs", zeekOpen + "a FA 101 501 0\n b FA 501 102 0\n a R 102 0 0", "SF", "ShAFfR"},
		{"RST from the middle of FINs", zeekOpen + "a FA 101 501 0\n b R 501 0 0", "RSTR", "ShAFr"},
		{"RSTs with other numbers", zeekOpen + "a R 101 0 0\n a R 101 0 0\n a R 201 0 0", "RSTO", "ShARR"},
		{"forgotten after the close", zeekOpen + "a R 101 0 0\n b PA 501 101 9 +5", "RSTO", "ShAR"},
		{"not yet forgotten", zeekOpen + "a R 101 0 0\n b PA 501 101 9 +4.9", "RSTO", "ShARd"},
		{"close waits for the data", zeekOpen + "a FA 111 501 0\n b R 501 0 0\n a A 111 501 0 +6", "RSTR", "ShAFr"},
		{"inconsistent", zeekOpen + "a FRA 101 501 0", "RSTO", "ShAI"},
		{"several flags", "a SF 100 0 0", "SH", "Q"},
		{"zero windows, 1st and 10th", zeekOpen + "b A 501 101 0 win=0 x10", "S1", "ShAaww"},
		{"zero window in a RST says nothing", zeekOpen + "a R 101 0 0 win=0", "RSTO", "ShAR"},
		{"retransmissions, 1st and 10th", zeekOpen + "a PA 101 501 5 x11", "S1", "ShADTT"},
		{"keep-alive with a byte", zeekOpen + "a PA 101 501 5\n a A 105 501 1", "S1", "ShADT"},
		{"data on a SYN", "a S 100 0 5\n b SA 500 106 0", "S1", "STh"},
		{"FIN sent again", zeekOpen + "a FA 101 501 0 x3", "S2", "ShAF"},
		{"gap", zeekOpen + "a PA 201 501 5\n b A 501 206 0", "S1", "ShADaG"},
		{"gap at the end", zeekOpen + "b A 501 201 0", "S1", "ShAaG"},
		{"gap filled in time", zeekOpen + "a PA 201 501 5\n a PA 101 501 100\n b A 501 206 0", "S1", "ShADTa"},
		{"a cut packet is a gap", zeekOpen + "a PA 101 501 100 cap=20\n b A 501 201 0", "S1", "ShADaG"},
		{"gap revealed by the FIN", zeekOpen + "a FA 201 501 0\n b A 501 202 0", "S2", "ShAFaG"},
		{"gap revealed by a RST is not believed", zeekOpen + "b RA 501 201 0", "RSTR", "ShAr"},
		{"gap in a partial connection is not believed", "a PA 101 501 5\n b A 501 206 0", "OTH", "Da"},
		{"too much beyond a hole before any ACK", zeekOpen + "a PA 201 501 5000\n b A 501 5201 0", "S1", "ShADa"},
		{"as much after an ACK", zeekOpen + "a PA 101 501 5\n b A 501 106 0\n a PA 201 501 5000\n b A 501 5201 0", "S1", "ShADaG"},
		{"numbers wrap", "a S 4294967290 0 0\n b SA 500 4294967291 0\n a PA 4294967291 501 10\n b A 501 5 0\n a FA 5 501 0\n b FA 501 6 0", "SF", "ShDaFf"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := zeekPlay(t, test.script)
			if c.ConnState() != test.state || c.History() != test.history {
				t.Errorf("%s %s, want %s %s", c.ConnState(), c.History(), test.state, test.history)
			}
		})
	}
}

// A stream longer than the sequence space: relative numbers have 64 bits.
func TestZeekBeyondFourGigabytes(t *testing.T) {
	c := zeekPlay(t, zeekOpen)
	p := capture.Packet{SrcPort: 40000, DstPort: 7, Window: 1000, Flags: capture.ACK, Seq: 101, Ack: 501, Len: 1 << 30, CapLen: 1 << 30}
	ack := capture.Packet{SrcPort: 7, DstPort: 40000, Window: 1000, Flags: capture.ACK, Seq: 501}
	for range 9 {
		c.zeekSegment(Client, &p)
		p.Seq += p.Len
		ack.Ack = p.Seq
		c.zeekSegment(Server, &ack)
	}
	p.Seq += 1000
	c.zeekSegment(Client, &p)
	ack.Ack = p.Seq + p.Len
	c.zeekSegment(Server, &ack)
	if got := c.Ends[Client].zeek.size(&c.Ends[Server].zeek); got != 10<<30+1000 {
		t.Errorf("size %d", got)
	}
	// 1 GiB is more than Zeek holds without an ACK: it stops looking for gaps.
	if c.History() != "ShADa" {
		t.Error(c.History())
	}
}

// The ranges of a stream agree with a plain list of bytes, as long as there
// are few enough holes; with more, only holes between ranges may be lost.
func TestZeekRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const size = 400
	for range 2000 {
		var s zeekStream
		s.begin()
		var seen [size]bool
		seen[0] = true
		exact := true
		for range 1 + r.IntN(14) {
			from := uint64(1 + r.IntN(size-40))
			to := from + uint64(1+r.IntN(30))
			for i := from; i < to; i++ {
				seen[i] = true
			}
			if from <= s.next {
				s.next = max(s.next, to)
				s.drain()
			} else {
				s.insert(from, to)
			}
			exact = exact && runs(seen[:], s.next) <= len(s.above)
			checkZeekRanges(t, &s, seen[:], exact)
		}
	}
}

// runs counts the runs of seen bytes beyond from.
func runs(seen []bool, from uint64) (n int) {
	for i := from; i < uint64(len(seen)); i++ {
		if seen[i] && !seen[i-1] {
			n++
		}
	}
	return n
}

func checkZeekRanges(t *testing.T, s *zeekStream, seen []bool, exact bool) {
	t.Helper()
	for i := range s.next {
		if exact && !seen[i] {
			t.Fatalf("%d delivered, never seen", i)
		}
	}
	if seen[s.next] {
		t.Fatalf("%d seen, not delivered", s.next)
	}
	at := s.next
	for _, r := range s.above[:s.n] {
		if r.from <= at || r.to <= r.from {
			t.Fatalf("ranges not ascending: %v after %d", s.above[:s.n], s.next)
		}
		at = r.to
	}
	if !exact {
		return
	}
	covered := make([]bool, len(seen))
	for _, r := range s.above[:s.n] {
		for i := r.from; i < r.to; i++ {
			covered[i] = true
		}
	}
	for i := s.next; i < uint64(len(seen)); i++ {
		if covered[i] != seen[i] {
			t.Fatalf("byte %d: covered %v, seen %v; %v", i, covered[i], seen[i], s.above[:s.n])
		}
	}
}

// zeekNoise is n packets without sense.
func zeekNoise(r *rand.Rand, n int) []capture.Packet {
	packets := make([]capture.Packet, n)
	for i := range packets {
		packets[i] = capture.Packet{
			Time: int64(i) * int64(r.IntN(2e9)), SrcPort: uint16(r.IntN(100)), DstPort: uint16(r.IntN(100)),
			Flags: capture.Flags(r.IntN(32)), Seq: r.Uint32() >> r.IntN(32), Ack: r.Uint32() >> r.IntN(32),
			Len: r.Uint32() >> (8 + r.IntN(25)), Window: uint16(r.IntN(2)), CapLen: 1 << 24,
		}
	}
	return packets
}

func TestZeekAllocatesNothing(t *testing.T) {
	packets := zeekNoise(rand.New(rand.NewPCG(5, 6)), 500)
	c := new(Conn)
	if n := testing.AllocsPerRun(20, func() {
		for i := range packets {
			c.zeekSegment(Side(packets[i].Seq&1), &packets[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes, the history holds but Zeek's letters, and the state is one
// of the thirteen.
func TestZeekAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		c := new(Conn)
		for _, p := range zeekNoise(r, 60) {
			c.zeekSegment(Side(p.Seq&1), &p)
		}
		if strings.Trim(c.History(), "SHADFRTWGIQ^shadfrtwgiq") != "" {
			t.Fatalf("history %q", c.History())
		}
		if !strings.Contains(" S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH ", " "+c.ConnState()+" ") {
			t.Fatalf("state %q", c.ConnState())
		}
		for s := range c.Ends {
			z := &c.Ends[s].zeek
			for i, span := range z.above[:z.n] {
				if span.from >= span.to || i > 0 && span.from <= z.above[i-1].to {
					t.Fatalf("ranges %v", z.above[:z.n])
				}
			}
		}
	}
}
