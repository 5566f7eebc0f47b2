package assembler

import (
	"slices"

	"hangup/capture"
)

// The zeek files keep, beside our own view of a connection,
// the one that Zeek's conn.log would have of it: the history string and the
// conn_state. Zeek's rules are its own (TCPSessionAdapter.cc, TCP_Endpoint.cc
// and TCP_Reassembler.cc below src/, and scripts/base/protocols/conn); they
// are kept to the letter, also where ours say something else, because the
// only use of these two fields is to find the same connection in Zeek's log.
//
// It is Zeek as "zeek -C" with its default scripts: bad checksums pass. Two
// things differ on purpose. Zeek's inactivity timer (5 minutes) does not cut
// a connection in two, and Zeek's payload parsers cannot call the analysis
// off. What the capture shows twice does get here: Zeek takes every copy for
// a retransmission.
//
// Where Zeek makes several log entries of what is one connection to us, the
// one kept is that of the conversation: an attempt that Zeek gave up, or
// mistook for a reuse of the tuple, gives way to what follows it; what
// follows an entry that Zeek had closed is left out.

// zeekState is a state of one of Zeek's endpoints.
type zeekState uint8

const (
	zeekInactive    zeekState = iota // nothing seen of it
	zeekSYNSent                      //
	zeekSYNACKSent                   // SYN-ACK of an originator
	zeekPartial                      // joined without a SYN
	zeekEstablished                  //
	zeekClosed                       // FIN seen
	zeekReset                        // RST seen
)

// Zeek's tcp_attempt_delay and tcp_close_delay, in ns.
const (
	zeekAttemptDelay = 5e9
	zeekCloseDelay   = 5e9
)

// zeekLargeJump is the distance beyond which Zeek does not believe the
// sequence number of a SYN or RST, nor an acknowledgment of 0.
const zeekLargeJump = 1 << 20

// zeekEnd is one of Zeek's two endpoints. Which role it has goes with it, so
// that our own two sides may be turned round without harm.
type zeekEnd struct {
	zeekStream
	fin                       uint64 // relative, one past the FIN
	start, last, ack          uint32 // initial, highest and acknowledged sequence number
	lastSYN, lastFIN, lastRST uint32 // relative, of the last of each: only another one is news
	retrans, zeroWin, gaps    uint32
	seqWraps, ackWraps        uint16
	state, prev               zeekState
	seen                      uint8 // letters that this role has had
	orig                      bool
	spoke                     bool
	hasFIN                    bool
	didClose                  bool
	eof                       bool
}

// zeekConn is what Zeek knows of the connection as a whole.
type zeekConn struct {
	removal int64 // ns: when Zeek forgets the closed connection; 0 while it is not closed
	attempt int64 // ns: when Zeek gives up on an unanswered SYN
	history [46]byte
	n       uint8
	begun   bool
	partial bool
	pending bool // a close waits for payload that is not delivered yet
}

// Letters that appear once per role, except S, F and R with another sequence
// number.
const (
	zeekSeenSYN uint8 = 1 << iota
	zeekSeenFIN
	zeekSeenRST
	zeekSeenFINRST
	zeekSeenData
	zeekSeenACK
	zeekSeenMulti
)

// History is the connection's history as Zeek's conn.log has it: a letter
// for each kind of packet, in upper case from Zeek's originator, which is
// not always our client. It is cut at 46 letters, which only a storm of
// RSTs or SYNs with ever other sequence numbers can fill.
func (c *Conn) History() string { return string(c.zeek.history[:c.zeek.n]) }

// Originator is the side whose letters are in upper case in History: the one
// that Zeek's conn.log has in id.orig_h.
func (c *Conn) Originator() Side {
	if c.Ends[Server].zeek.orig {
		return Server
	}
	return Client
}

// zeekSegment takes one packet of the connection, copies included.
func (c *Conn) zeekSegment(from Side, p *capture.Packet) {
	z := &c.zeek
	e, peer := &c.Ends[from].zeek, &c.Ends[from.Peer()].zeek
	if z.removal != 0 && (p.Time >= z.removal || e.didClose && peer.didClose && p.Flags&(capture.SYN|capture.ACK) == capture.SYN) {
		z.removal = min(z.removal, p.Time)
		return
	}
	if z.begun && z.givesUp(e, peer, p) {
		*z, *e, *peer = zeekConn{}, zeekEnd{}, zeekEnd{}
	}
	if !z.begun {
		z.begin(e, peer, p)
	}
	if p.Has(capture.HeaderCut) {
		return // Zeek: truncated_header
	}
	z.process(e, peer, p)
	e.spoke = true
}

// givesUp reports whether Zeek takes p for the start of another connection,
// of which this one was a mere attempt.
func (z *zeekConn) givesUp(e, peer *zeekEnd, p *capture.Packet) bool {
	o, r := e, peer
	if peer.orig {
		o, r = peer, e
	}
	if r.state == zeekInactive && (o.state == zeekSYNSent || o.state == zeekSYNACKSent) && p.Time >= z.attempt {
		return true
	}
	// IsReuse compares with the originator's SYN whoever sent this one, so
	// a simultaneous open starts a new connection, too.
	if p.Flags&(capture.SYN|capture.ACK) != capture.SYN || p.Seq == o.start {
		return false
	}
	reversed := o.state == zeekSYNACKSent && r.state == zeekInactive && p.Seq == r.start
	return !reversed
}

// begin assigns the roles: the originator sent the first packet, unless that
// is no SYN and comes from a port that servers use.
func (z *zeekConn) begin(e, peer *zeekEnd, p *capture.Packet) {
	z.begun = true
	e.orig = true
	e.zeekStream.begin()
	peer.zeekStream.begin()
	if p.Flags&(capture.SYN|capture.ACK) == capture.SYN || !zeekServerPort(p.SrcPort) {
		return
	}
	if !zeekServerPort(p.DstPort) || !p.Flags.Has(capture.SYN) && p.SrcPort < p.DstPort {
		z.flip(e, peer)
	}
}

// zeekServerPort reports whether Zeek's default scripts put the TCP port
// into likely_server_ports.
func zeekServerPort(port uint16) bool {
	_, ok := slices.BinarySearch(zeekServerPorts[:], port)
	return ok
}

var zeekServerPorts = [...]uint16{
	21, 22, 25, 53, 79, 80, 81, 88, 110, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636,
	989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269, 5432, 6379,
	6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
}

// flip turns the roles round. The letters already given belong to the role,
// everything else to the endpoint.
func (z *zeekConn) flip(e, peer *zeekEnd) {
	e.orig, peer.orig = peer.orig, e.orig
	e.seen, peer.seen = peer.seen, e.seen
	z.partial = false
	z.add('^', true)
}

// add appends a letter, given in upper case.
func (z *zeekConn) add(letter byte, orig bool) {
	if !orig {
		letter |= 0x20
	}
	if int(z.n) < len(z.history) {
		z.history[z.n] = letter
		z.n++
	}
}

// once appends a letter that its role has not had yet, and reports whether
// it had.
func (z *zeekConn) once(e *zeekEnd, bit uint8, letter byte) bool {
	if e.seen&bit != 0 {
		return true
	}
	e.seen |= bit
	z.add(letter, e.orig)
	return false
}

// onceEach is once for S, F and R: they appear again with another number.
func (z *zeekConn) onceEach(e *zeekEnd, bit uint8, letter byte, last *uint32, rel uint64) {
	if z.once(e, bit, letter) && uint32(rel) != *last {
		z.add(letter, e.orig)
	}
	*last = uint32(rel)
}

// scaled counts an event and appends its letter the 1st, 10th, 100th... time.
func (z *zeekConn) scaled(e *zeekEnd, count *uint32, letter byte) {
	*count++
	n := *count
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		z.add(letter, e.orig)
	}
}

func (z *zeekConn) process(e, peer *zeekEnd, p *capture.Packet) {
	syn, fin, rst := p.Flags.Has(capture.SYN), p.Flags.Has(capture.FIN), p.Flags.Has(capture.RST)
	if !e.spoke && (e.orig || !z.partial) {
		z.partial = !syn || e.orig && p.Flags.Has(capture.ACK)
	}
	var length uint32
	if !rst {
		length = p.Len // what comes with a RST is outside the stream
	}
	if syn {
		length++
	}
	if fin {
		length++
	}
	past := p.Seq + length
	e.init(p, past)
	rel, before := e.relative(p.Seq, e.last, e.seqWraps)
	z.flags(e, p, rel)
	if p.Window == 0 && !rst && peer.state != zeekClosed && e.state != zeekReset {
		z.scaled(e, &e.zeroWin, 'W')
	}
	if fin {
		e.hasFIN, e.fin = true, rel+uint64(length)
	}
	acked := e.takeACK(peer, p)
	if e.advance(past, p) {
		z.scaled(e, &e.retrans, 'T')
	}
	closing := z.move(e, peer, p)
	if p.Flags.Has(capture.ACK) {
		z.deliverTo(peer, e, acked, p.Time)
	}
	if p.Len > 0 && p.CapLen >= p.Len && !rst && !before {
		if syn {
			rel++
		}
		e.data(rel, uint64(p.Len), peer)
	}
	z.checkEOF(e, peer, p.Time)
	if closing {
		z.close(e, peer, p.Time)
	}
}

// flags appends the letter of the packet's kind.
func (z *zeekConn) flags(e *zeekEnd, p *capture.Packet, rel uint64) {
	switch f := p.Flags & (capture.SYN | capture.FIN | capture.RST); {
	case f.Has(capture.FIN | capture.RST):
		z.once(e, zeekSeenFINRST, 'I')
	case f&(f-1) != 0:
		z.once(e, zeekSeenMulti, 'Q')
	case f == capture.SYN && p.Flags.Has(capture.ACK):
		z.onceEach(e, zeekSeenSYN, 'H', &e.lastSYN, rel)
	case f == capture.SYN:
		z.onceEach(e, zeekSeenSYN, 'S', &e.lastSYN, rel)
	case f == capture.FIN:
		z.onceEach(e, zeekSeenFIN, 'F', &e.lastFIN, rel+uint64(p.Len))
	case f == capture.RST:
		z.onceEach(e, zeekSeenRST, 'R', &e.lastRST, rel)
	case p.Len > 0:
		z.once(e, zeekSeenData, 'D')
	case p.Flags.Has(capture.ACK):
		z.once(e, zeekSeenACK, 'A')
	}
}
