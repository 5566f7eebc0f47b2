package assembler

import "hangup/capture"

// Zeek's limits on what its reassembler holds, in bytes:
// tcp_max_initial_window, tcp_max_above_hole_without_any_acks and
// tcp_excessive_data_without_further_acks.
const (
	zeekInitialWindow = 16384
	zeekAboveHole     = 4096
	zeekExcessive     = 10 << 20
)

// zeekStream is Zeek's reassembler without the bytes: which of one end's
// payload has been seen, which acknowledged. All numbers are relative, the
// first byte after the SYN being 1.
//
// Zeek keeps any number of blocks beyond a hole; we keep a few ranges, and
// when they do not suffice join the two with the smallest hole between them.
// That can lose repeats of the letter G, never the first one, because the
// hole before all ranges is never closed that way.
type zeekStream struct {
	next  uint64 // all below is delivered, or was given up
	trim  uint64 // all below is acknowledged
	above [4]span64
	n     uint8
	skip  bool // too much came without an ACK: Zeek looks no further
}

type span64 struct{ from, to uint64 }

func (s *zeekStream) begin() { s.next, s.trim = 1, 1 }

// holding reports whether Zeek would hold any block: payload beyond a hole,
// or not acknowledged yet.
func (s *zeekStream) holding() bool { return !s.skip && (s.n > 0 || s.next > s.trim) }

// insert notes payload [from, to) beyond s.next.
func (s *zeekStream) insert(from, to uint64) {
	var all [len(s.above) + 1]span64
	k := 0
	placed := false
	for _, r := range s.above[:s.n] {
		switch {
		case r.to < from:
		case to < r.from:
			if !placed {
				all[k] = span64{from, to}
				k++
				placed = true
			}
		default:
			from, to = min(from, r.from), max(to, r.to)
			continue
		}
		all[k] = r
		k++
	}
	if !placed {
		all[k] = span64{from, to}
		k++
	}
	if k > len(s.above) {
		joinNearest(all[:k])
		k--
	}
	s.n = uint8(copy(s.above[:], all[:k]))
}

// joinNearest makes one range of the two of all with the smallest hole
// between them; the last element of all is then void.
func joinNearest(all []span64) {
	best := 0
	for i := range all[:len(all)-1] {
		if all[i+1].from-all[i].to < all[best+1].from-all[best].to {
			best = i
		}
	}
	all[best].to = all[best+1].to
	copy(all[best+1:], all[best+2:])
}

// drain delivers the ranges that s.next has reached.
func (s *zeekStream) drain() {
	k := 0
	for k < int(s.n) && s.above[k].from <= s.next {
		s.next = max(s.next, s.above[k].to)
		k++
	}
	if k > 0 {
		s.n = uint8(copy(s.above[:], s.above[k:s.n]))
	}
}

// held is the payload that Zeek would hold in memory, in bytes.
func (s *zeekStream) held() uint64 {
	var n uint64
	if s.next > s.trim {
		n = s.next - s.trim
	}
	for _, r := range s.above[:s.n] {
		n += r.to - r.from
	}
	return n
}

// init sets the numbers of an end that is new, or that starts again with
// another SYN.
func (e *zeekEnd) init(p *capture.Packet, past uint32) {
	syn := p.Flags.Has(capture.SYN)
	switch e.state {
	case zeekInactive:
		if syn {
			e.start, e.ack, e.last = p.Seq, p.Seq, past
		} else {
			// As if a SYN had come before; and this is no repeat.
			e.start, e.ack, e.last = p.Seq-1, p.Seq-1, p.Seq
		}
	case zeekSYNSent, zeekSYNACKSent:
		if syn && p.Seq != e.start {
			e.start, e.ack, e.last = p.Seq, p.Seq, past
		}
	case zeekEstablished, zeekPartial:
		if syn {
			e.start, e.ack, e.last = p.Seq, p.Seq, past
		}
	case zeekReset:
		if syn && e.prev == zeekInactive {
			e.start, e.ack, e.last = p.Seq, p.Seq, past
		}
	}
}

// relative maps seq into the end's 64-bit numbers, last being near it, and
// reports whether it lies before the start.
func (e *zeekEnd) relative(seq, last uint32, wraps uint16) (rel uint64, before bool) {
	switch delta := int32(seq - last); {
	case delta < 0 && wraps > 0 && seq > last:
		wraps--
	case delta > 0 && seq < last:
		wraps++
	}
	if wraps == 0 {
		delta := int32(seq - e.start)
		return uint64(int64(delta)), delta < 0
	}
	return full(seq, wraps) - uint64(e.start), false
}

func full(seq uint32, wraps uint16) uint64 { return uint64(wraps)<<32 + uint64(seq) }

// takeACK takes p's acknowledgment into peer and returns it, relative.
func (e *zeekEnd) takeACK(peer *zeekEnd, p *capture.Packet) uint64 {
	if !p.Flags.Has(capture.ACK) {
		return 0
	}
	if peer.state == zeekInactive {
		peer.start, peer.ack, peer.last = p.Ack-1, p.Ack-1, p.Ack-1
		return 1
	}
	rel, before := peer.relative(p.Ack, peer.ack, peer.ackWraps)
	if before {
		return 0
	}
	delta := int32(p.Ack - peer.ack)
	if p.Flags.Has(capture.RST) || delta <= 0 || p.Ack == 0 && delta > zeekLargeJump {
		return rel
	}
	if p.Ack < peer.ack {
		peer.ackWraps++
	}
	peer.ack = p.Ack
	return rel
}

// advance moves e.last, and reports whether p repeats payload.
func (e *zeekEnd) advance(past uint32, p *capture.Packet) (repeats bool) {
	delta := int32(past - e.last)
	switch {
	case p.Flags&(capture.SYN|capture.RST) != 0 && (delta > zeekLargeJump || delta < -zeekLargeJump):
		return false
	case p.Flags.Has(capture.FIN) && e.last == e.start+1:
		// Between SYN and FIN nothing was seen: any distance is possible.
	case e.state == zeekReset:
		return false
	case delta <= 0:
		return p.Len > 0
	}
	if past < e.last {
		e.seqWraps++
	}
	e.last = past
	return false
}

// noneAcked reports whether nothing of the end's payload is acknowledged.
func (e *zeekEnd) noneAcked() bool {
	ack := full(e.ack, e.ackWraps)
	return ack == uint64(e.start) || ack == uint64(e.start)+1
}

// size is the end's payload as Zeek computes it from sequence numbers.
func (e *zeekEnd) size(peer *zeekEnd) uint64 {
	if e.prev == zeekSYNSent && e.state == zeekReset && peer.state == zeekInactive && !e.noneAcked() {
		return 0
	}
	n := max(full(e.last, e.seqWraps), full(e.ack, e.ackWraps)) - uint64(e.start)
	if n != 0 {
		n-- // the SYN
	}
	if e.hasFIN && n != 0 {
		n--
	}
	return n
}

// data takes length bytes of e's payload at seq.
func (e *zeekEnd) data(seq, length uint64, peer *zeekEnd) {
	if e.skip {
		return
	}
	to := seq + length
	from := max(seq, full(e.ack, e.ackWraps)-uint64(e.start), e.trim)
	if to <= from {
		return
	}
	if from <= e.next {
		if to > e.next {
			e.next = to
			e.drain()
			if e.noneAcked() && e.size(peer) > zeekInitialWindow {
				e.trim = e.next // seemingly the peer's ACKs are not in the capture
			}
		}
	} else {
		e.insert(from, to)
	}
	if e.noneAcked() && e.n > 0 && e.above[e.n-1].to-e.next > zeekAboveHole || e.held() > zeekExcessive {
		e.skip, e.n = true, 0
	}
}

// deliverTo takes the acknowledgment, by o, of e's payload below seq: what
// was never seen of it is a gap.
func (z *zeekConn) deliverTo(e, o *zeekEnd, seq uint64, now int64) {
	if e.hasFIN && seq >= e.fin {
		seq = e.fin - 1
	}
	if seq <= e.trim {
		return
	}
	if seq > e.next && !(seq <= 2 && z.partial) {
		z.giveUp(e, o, seq)
	}
	e.drain()
	e.trim = seq
	z.checkEOF(e, o, now)
}

// giveUp skips the holes of e's stream below seq.
func (z *zeekConn) giveUp(e, o *zeekEnd, seq uint64) {
	for e.next < seq && !e.skip {
		if e.clean() && o.clean() {
			z.scaled(e, &e.gaps, 'G')
		}
		if e.n == 0 || e.above[0].from >= seq {
			break
		}
		e.next = e.above[0].from
		e.drain()
	}
	e.next = max(e.next, seq)
}

// clean reports whether gaps of this end are believed.
func (e *zeekEnd) clean() bool {
	return e.state == zeekEstablished || e.state == zeekClosed && e.prev == zeekEstablished
}

// undelivered reports whether payload that e sent is still missing, or the
// peer's not acknowledged: the close is then put off.
func (e *zeekEnd) undelivered(peer *zeekEnd) bool {
	if e.skip {
		return false
	}
	delivered, last := uint64(e.start)+e.next, full(e.last, e.seqWraps)
	if last < delivered {
		return false
	}
	if delivered != last && delivered != last-1 {
		return true
	}
	return e.state != zeekReset && peer.holding()
}
