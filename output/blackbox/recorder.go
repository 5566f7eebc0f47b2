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
// is among the last of its connection, or among the first, which carry what
// the handshake agreed upon, it is moved to the front again. That costs
// credit, to which whatever is recorded adds half of its size: while there is
// plenty, the last 32 and the first 4 packets are moved, less the scarcer it
// is, and in the end just the very last one. When half of it is spent, frames
// are cut to what holds their headers, and lone SYNs are left to go.
//
// A connection forgotten ([Recorder.Forget]), or silent for three hours, which
// is longer than Linux's keep-alive takes, has no last packets; neither has
// one silent for three minutes of which only one end has ever spoken.
//
// Measured: a packet takes 50 to 80 ns with up to a thousand connections, and
// 250 to 650 ns where a hundred thousand are active at once, when nearly every
// packet moves others and nothing is in the cache.
//
// All methods may be called from any goroutine.
type Recorder struct {
	mu      sync.Mutex
	ring    ring
	index   index
	snaplen int
	now     int64 // latest packet time

	fragments fragments

	credit uint64 // bytes that may be moved, up to half of the ring
}

const (
	defaultRing    = 64 << 20
	leastRing      = 1 << 20
	defaultSnaplen = 2048

	mostLast  = 32
	mostFirst = 4
	// fewBytes hold the headers of TCP in a tunnel with all options.
	fewBytes = 192
	// carriesPerPacket bounds what one packet may cost.
	carriesPerPacket = 256
	// maxSilence is beyond 7200 s and nine probes of 75 s (tcp(7)), and
	// maxUnanswered beyond the 127 s that six retries of a SYN take.
	maxSilence    = 3 * 3600e9
	maxUnanswered = 3 * 60e9
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
		snaplen: min(snaplen, size/16),
	}
	r.fragments.mem = make([]byte, keptFragments*r.snaplen)
	r.credit = r.mostCredit()
	return r
}

// Record keeps a frame that is about TCP. It is a capture.Tap.
func (r *Recorder) Record(f *capture.Frame, p *capture.Packet) {
	isFragment := p.Kind == capture.Other && p.Has(capture.Fragment)
	if p.Kind != capture.TCP && p.Kind != capture.ICMPError && !isFragment {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	data := f.Data[:min(len(f.Data), r.snaplen)]
	h := header{
		size: uint32(recordSize(len(data))), capLen: uint32(len(data)), wireLen: f.WireLen,
		time: f.Time, ref: p.Ref, seq: p.Seq, ack: p.Ack, encap: p.Encap,
		link: f.Link, iface: f.Iface, traits: f.Traits, flags: p.Flags,
	}
	if len(data) < len(f.Data) {
		h.bits |= bitCut
	}
	if isFragment {
		r.fragments.keep(&h, p, data)
		return
	}
	if p.Kind == capture.ICMPError {
		h.bits |= bitICMP
	}
	low := false
	if h.hash, low = r.index.tuple(&p.Src, p.SrcPort, &p.Dst, p.DstPort); low {
		h.bits |= bitLow
	}
	r.now = max(r.now, f.Time)
	if p.Has(capture.Reassembled) && !r.complete(&h, p, f.Data) {
		h.bits |= bitAlone
	}
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
	e.last = max(e.last, h.time)
	e.sides |= h.side()
	newest := &e.late
	if h.ord-e.birth < mostFirst {
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

// room makes room for n bytes.
func (r *Recorder) room(n uint64) {
	r.credit = min(r.credit+n/2, r.mostCredit())
	for carries := 0; r.ring.full(n); {
		if carries < carriesPerPacket && r.carry() {
			carries++
			continue
		}
		r.ring.drop()
	}
}

func (r *Recorder) mostCredit() uint64 { return r.ring.size / 2 }

// lasts is how many last packets of a connection are worth moving now.
func (r *Recorder) lasts() uint32 { return 1 + uint32((mostLast-1)*r.credit/r.mostCredit()) }

// carry moves the oldest record to the front if it deserves it.
func (r *Recorder) carry() bool {
	old := r.ring.tail
	h := r.ring.at(old)
	if r.credit < uint64(h.size) {
		return false
	}
	e := r.index.find(h.hash)
	if e == nil || !r.deserves(e, h) || r.isOver(e) {
		return false
	}
	newest := &e.late
	if h.bits&bitEarly != 0 {
		newest = &e.early
	}
	if *newest != old && !r.ring.holds(h.next) {
		return false // nothing leads to it any more
	}
	pos := r.ring.carry(r.most())
	h = r.ring.at(pos)
	r.credit -= uint64(h.size)
	if *newest == old {
		*newest = pos
	} else {
		r.ring.at(h.next).prev = pos
	}
	if r.ring.holds(h.prev) {
		r.ring.at(h.prev).next = pos
	}
	return true
}

// most is how many bytes of a frame are worth moving now.
func (r *Recorder) most() uint32 {
	if r.credit < r.mostCredit()/2 {
		return fewBytes
	}
	return uint32(r.snaplen)
}

// deserves reports whether a record is one of its connection's first or last.
// Lone SYNs that nobody answered come after all others: a scan has millions.
func (r *Recorder) deserves(e *entry, h *header) bool {
	if e.count == 1 && r.credit < r.mostCredit()/2 {
		return false
	}
	switch {
	case e.count-h.ord <= r.lasts():
		return true
	case h.bits&bitEarly == 0:
		return false
	}
	// The life before may not have been judged yet.
	return h.life == e.life && h.ord-e.birth < r.lasts()*mostFirst/mostLast+1 || h.life+1 == e.life && r.credit > r.mostCredit()/2
}

// isOver reports whether nothing is to be expected of a tuple any more.
func (r *Recorder) isOver(e *entry) bool {
	if e.answered() {
		return e.last < r.now-maxSilence
	}
	return e.last < r.now-maxUnanswered
}
