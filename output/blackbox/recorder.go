package blackbox

import (
	"sync"

	"hangup/capture"
)

// Recorder keeps the last packets of every connection in a ring of fixed
// size, and nothing else: after [NewRecorder] it takes no more memory.
//
// The ring alone would keep only the last packets of all: one download would
// push out the connections that have been silent for minutes, and those are
// the ones that time out. So when the turn comes to overwrite a packet that
// is among the last few of its connection, or among the first, which carry
// what the handshake agreed upon, it is moved to the front again. How many
// are the last few is found out while running: 32 where there is room, down
// to one where there are so many connections that moving their packets takes
// more than three eighths of what is written; half of it is never exceeded.
// A connection forgotten ([Recorder.Forget]), or silent for longer than any
// keep-alive of Linux's default takes, has no last packets.
//
// All methods may be called from any goroutine.
type Recorder struct {
	mu      sync.Mutex
	ring    ring
	index   index
	snaplen int
	now     int64 // latest packet time

	depth   uint32 // how many last packets of a connection are moved
	carried uint64 // bytes moved since the ring's head was at segment
	segment uint64
	frames  uint64
	cut     uint64
}

const (
	defaultRing    = 64 << 20
	leastRing      = 1 << 20
	defaultSnaplen = 2048

	mostDepth = 32
	// segments of the ring, after each of which the depth is reconsidered.
	segments = 32
	// carriesPerPacket bounds what one packet may cost.
	carriesPerPacket = 32
	// maxSilence is beyond 7200 s and nine probes of 75 s (tcp(7)).
	maxSilence = 3 * 3600e9
)

// NewRecorder makes one that takes size bytes, at least 1 MiB and 64 MiB if
// 0, and a sixth of it for its index. Of a frame it keeps snaplen bytes, 2048
// if 0, so that superframes and jumbo frames do not take the room of forty others.
func NewRecorder(size, snaplen int) *Recorder {
	if size <= 0 {
		size = defaultRing
	}
	size = max(size, leastRing)
	if snaplen <= 0 {
		snaplen = defaultSnaplen
	}
	r := &Recorder{
		ring: newRing(size), index: newIndex(size / 256),
		snaplen: min(snaplen, size/16), depth: mostDepth,
	}
	r.segment = r.ring.head
	return r
}

// Record keeps a frame that is about TCP. It is a capture.Tap.
func (r *Recorder) Record(f *capture.Frame, p *capture.Packet) {
	if p.Kind != capture.TCP && p.Kind != capture.ICMPError {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	hash, low := r.index.tuple(&p.Src, p.SrcPort, &p.Dst, p.DstPort)
	data := f.Data[:min(len(f.Data), r.snaplen)]
	h := header{
		size: uint32(recordSize(len(data))), capLen: uint32(len(data)), wireLen: f.WireLen,
		hash: hash, time: f.Time, ref: p.Ref, seq: p.Seq, ack: p.Ack, encap: p.Encap,
		link: f.Link, iface: f.Iface, traits: f.Traits | p.Traits&capture.Reassembled, flags: p.Flags,
	}
	if p.Kind == capture.ICMPError {
		h.bits |= bitICMP
	}
	if low {
		h.bits |= bitLow
	}
	if len(data) < len(f.Data) {
		h.bits |= bitCut
		r.cut++
	}
	r.frames++
	r.now = max(r.now, f.Time)
	r.room(uint64(h.size))
	r.chain(&h, p, data)
}

// chain puts the record into the ring, as the newest of its chain.
func (r *Recorder) chain(h *header, p *capture.Packet, data []byte) {
	e := r.index.take(h.hash, r.ring.tail)
	if p.Flags&(capture.SYN|capture.ACK) == capture.SYN && h.bits&bitICMP == 0 && (e.count == 0 || e.isn != p.Seq) {
		e.isn, e.birth = p.Seq, e.count
		e.life++
	}
	h.ord, h.life = e.count, e.life
	e.count++
	newest := &e.late
	if h.ord-e.birth < r.early() {
		h.bits |= bitEarly
		newest = &e.early
	}
	h.prev = *newest
	pos := r.ring.put(h, data)
	if r.ring.holds(h.prev) {
		r.ring.at(h.prev).next = pos
	}
	*newest = pos
}

// early is how many first packets of a connection are moved: SYN, SYN-ACK,
// ACK and the first data, or less of that.
func (r *Recorder) early() uint32 { return min(4, r.depth/4) }

// room makes room for n bytes.
func (r *Recorder) room(n uint64) {
	for carries := 0; r.ring.full(n); {
		if carries < carriesPerPacket && r.carry() {
			carries++
			continue
		}
		r.ring.drop()
	}
	if r.ring.head-r.segment >= r.ring.size/segments {
		r.adapt()
	}
}

// adapt chooses the depth for the next segment by what the last one took.
func (r *Recorder) adapt() {
	switch written := r.ring.head - r.segment; {
	case r.carried > written*3/8:
		r.depth = max(1, r.depth*3/4)
	case r.carried < written/4:
		r.depth = min(mostDepth, r.depth+1)
	}
	r.carried, r.segment = 0, r.ring.head
}

// carry moves the oldest record to the front if it deserves it.
func (r *Recorder) carry() bool {
	old := r.ring.tail
	h := r.ring.at(old)
	if r.carried >= r.ring.size/segments/2 || h.time < r.now-maxSilence {
		return false
	}
	e := r.index.find(h.hash)
	if e == nil || !r.deserves(e, h) {
		return false
	}
	newest := &e.late
	if h.bits&bitEarly != 0 {
		newest = &e.early
	}
	if *newest != old && !r.ring.holds(h.next) {
		return false // nothing leads to it any more
	}
	r.carried += uint64(h.size)
	pos := r.ring.carry()
	h = r.ring.at(pos)
	if *newest == old {
		*newest = pos
	} else {
		r.ring.at(h.next).prev = pos
	}
	if h.prev != 0 && r.ring.holds(h.prev) {
		r.ring.at(h.prev).next = pos
	}
	return true
}

// deserves reports whether a record is one of its connection's first or last.
func (r *Recorder) deserves(e *entry, h *header) bool {
	if h.bits&bitEarly == 0 {
		return e.count-h.ord <= r.depth
	}
	// The life before may not have been judged yet.
	return h.life == e.life && h.ord-e.birth < r.early() || h.life+1 == e.life && r.early() > 0
}
