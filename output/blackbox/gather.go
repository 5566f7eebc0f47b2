package blackbox

import (
	"cmp"
	"slices"

	"hangup/assembler"
	"hangup/capture"
)

// packet is one that was taken out of the ring.
type packet struct {
	header
	frame []byte
}

// trail is what the ring still had of a connection, in order of capture.
type trail struct {
	packets []packet
	own     uint64 // of them, the connection's own: no ICMP errors, no fragments but the last
	more    bool   // the ring has older ones, which the limit left out
}

const (
	// sortSpan is how far packets may be out of order (ns) without being
	// taken for another connection's.
	sortSpan = 1e9
	// fitSpan is how far a sequence number may be from what an end has sent
	// and still be thought of it.
	fitSpan = 1 << 24
	// maxSteps bounds the search for a connection's packets behind those of
	// later ones on the same ports.
	maxSteps = 1 << 16
)

// notOwn marks records that the tracker does not count as the connection's packets.
const notOwn = bitICMP | bitFragment

// gather takes the packets of a connection: the last ones, up to limit bytes,
// and the first few.
func (r *Recorder) gather(c *assembler.Conn, limit uint64) trail {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t trail
	e, isLow := r.entry(c)
	if e == nil {
		return t
	}
	w := windowOf(c)
	var list []uint64
	var here uint64 // of them, packets in the connection's own encapsulation, up to its last
	for _, newest := range []uint64{e.early, e.late} {
		taken := uint64(0)
		steps := 0
		for pos := newest; pos != 0 && r.ring.holds(pos) && steps < maxSteps; steps++ {
			h := r.ring.at(pos)
			if w.isLongBefore(h) {
				break
			}
			within := w.contains(h)
			if fromClient := (h.bits&bitLow != 0) == isLow; (within || w.isCopy(c, h)) && belongs(c, h, fromClient) {
				if taken += uint64(h.size); taken > limit {
					t.more = true
					break
				}
				list = append(list, pos)
				if within && h.encap == c.Encap && h.bits&notOwn == 0 {
					here++
				}
			}
			pos = h.prev
		}
	}
	if here >= total(c) {
		// It never left its encapsulation: what fits elsewhere is another's.
		list = slices.DeleteFunc(list, func(pos uint64) bool {
			h := r.ring.at(pos)
			return h.encap != c.Encap && h.bits&bitICMP == 0
		})
	}
	slices.SortFunc(list, func(a, b uint64) int { return cmp.Compare(r.ring.at(a).ord, r.ring.at(b).ord) })
	t.packets = make([]packet, len(list))
	isMixed := false // datagrams whose fragments came between those of others
	for i, pos := range list {
		h := r.ring.at(pos)
		t.packets[i] = packet{*h, r.ring.frame(make([]byte, 0, h.capLen), pos)}
		if h.bits&notOwn == 0 {
			t.own++
		}
		isMixed = isMixed || h.bits&bitFragment != 0
	}
	if isMixed {
		slices.SortStableFunc(t.packets, func(a, b packet) int { return cmp.Compare(a.time, b.time) })
	}
	return t
}

// total is how many packets of the connection the capture showed.
func total(c *assembler.Conn) (n uint64) {
	for s := range c.Ends {
		n += uint64(c.Ends[s].Packets) + uint64(c.Ends[s].Duplicates)
	}
	return n
}

// Forget tells that the packets of c are no longer wanted: it is over, and
// saved or not worth it. Without, they would be moved to the front of the
// ring for hours.
func (r *Recorder) Forget(c *assembler.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, _ := r.entry(c)
	if e == nil {
		return
	}
	w := windowOf(c)
	for _, pos := range []uint64{e.late, e.early} {
		if r.ring.holds(pos) && !w.contains(r.ring.at(pos)) {
			return // the next connection on these ports
		}
	}
	*e = entry{}
}

// entry finds a connection's, and whether its client is the end whose hash is
// the lower one.
func (r *Recorder) entry(c *assembler.Conn) (*entry, bool) {
	a, b := &c.Ends[assembler.Client], &c.Ends[assembler.Server]
	hash, low := r.index.tuple(&a.Addr, a.Port, &b.Addr, b.Port)
	return r.index.find(hash), low
}

// window is the part of the capture in which a connection's packets lie.
type window struct{ first, last assembler.Stamp }

func windowOf(c *assembler.Conn) window {
	w := window{c.First, c.Last}
	extend := func(s assembler.Stamp) {
		if s.Seen() && isAfter(s, w.last) {
			w.last = s
		}
	}
	extend(c.Ends[0].Last)
	extend(c.Ends[1].Last)
	extend(c.Successor)
	for _, e := range c.KeptICMP() {
		extend(e.Last)
		if isAfter(w.first, e.Stamp) {
			w.first = e.Stamp
		}
	}
	return w
}

// isAfter compares by number within one input, else by time.
func isAfter(a, b assembler.Stamp) bool {
	if a.Ref.File() == b.Ref.File() {
		return a.Ref.Number() > b.Ref.Number()
	}
	return a.Time > b.Time
}

// contains reports whether the record lies in the window by its number or by
// its time: files of several interfaces are in order by one of them only.
func (w window) contains(h *header) bool {
	s := assembler.Stamp{Ref: h.ref, Time: h.time}
	if h.bits&bitFragment != 0 && isAfter(w.first, s) {
		return h.time >= w.first.Time-fragmentSpan // of the first packet
	}
	return (!isAfter(w.first, s) || s.Time >= w.first.Time) && (!isAfter(s, w.last) || s.Time <= w.last.Time)
}

// isCopy reports whether the record may be a copy of one in the window, seen
// at another place behind it: the assembler does not count those as last.
func (w window) isCopy(c *assembler.Conn, h *header) bool {
	if c.Partial&assembler.Duplicated == 0 || h.time > w.last.Time+sortSpan || h.time < w.first.Time {
		return false
	}
	return h.flags&(capture.SYN|capture.ACK) != capture.SYN || h.seq == c.Ends[assembler.Client].ISN
}

func (w window) isLongBefore(h *header) bool {
	span := int64(sortSpan)
	if h.bits&bitFragment != 0 {
		span = fragmentSpan
	}
	return isAfter(w.first, assembler.Stamp{Ref: h.ref, Time: h.time}) && h.time < w.first.Time-span
}

// belongs reports whether a packet of c's tuple is of c, as the assembler
// tells it: by the encapsulation and, where that is another one, by the
// sequence numbers, since a connection may change its encapsulation from one
// direction to the other, and two tenants may use the same addresses.
func belongs(c *assembler.Conn, h *header, fromClient bool) bool {
	if h.encap == c.Encap {
		return true
	}
	from := assembler.Server
	if fromClient {
		from = assembler.Client
	}
	e, o := c.End(from), c.End(from.Peer())
	if h.bits&bitICMP != 0 {
		return sent(e, h.seq)
	}
	return sent(e, h.seq) && (h.flags&capture.ACK == 0 || sent(o, h.ack))
}

// sent reports whether an end may have sent a sequence number.
func sent(e *assembler.End, seq uint32) bool {
	if !e.Started {
		return true
	}
	oldest := e.SndNxt
	if e.HasISN {
		oldest = e.ISN
	}
	return seq-(oldest-fitSpan) <= e.SndNxt-oldest+2*fitSpan
}
