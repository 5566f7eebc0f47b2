package capture

import (
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"hangup/capture/filter"
)

const (
	// liveBatch is how many packets a batch holds at most.
	liveBatch = 1024
	// overdue is how long packets wait, by a clock that nobody sets, for
	// others that may be earlier. Blocks are handed over after retireAfter,
	// so that only a wall clock that was set back can keep them longer.
	overdue = 300 * time.Millisecond
	// holdPause is how long to leave packets alone that wait until they are
	// old enough, and fillPause those that wait for a block to be filled.
	holdPause = 3 * time.Millisecond
	fillPause = 16 * time.Millisecond
	// lastBlock is how long the end of a capture may wait for the block that
	// the kernel is filling, and deafening how long packets may still be on
	// their way past the filter before.
	lastBlock = time.Second
	deafening = 2 * time.Millisecond
)

// Live is a Source of the packets that cross network interfaces now. It is
// for one goroutine at a time, save for Encap, Stop, Now, Inputs, DropEvents
// and InterfaceName, which any may call at any time.
type Live struct {
	dec     *decoder
	tap     Tap
	frame   Frame // what tap is called with
	tick    time.Duration
	snaplen uint32
	start   time.Time // monotonic times count from here
	held    time.Duration
	polls   []unix.PollFd

	control int // a socket of the namespace that is captured, for questions about interfaces
	wake    int // eventfd: Stop was called
	stopped atomic.Bool
	quit    chan struct{} // closed by Close, for watch
	watched sync.WaitGroup

	mu     sync.Mutex
	closed bool
	feeds  []*feed
	names  []string // by Packet.Iface
	drops  dropLog
}

// feed is the ring of an interface and what is known of that. Its Input,
// index and state belong to Live.mu, the rest to whoever calls Next.
type feed struct {
	*ring // nil when there is nothing more to come
	Input
	number int // of the Input, and of the interface but for "any"
	index  int // the kernel's, 0 for "any"
	cooked bool
	link   uint16
	code   *filter.Program  // what the kernel cannot run, or nil
	ifaces map[int32]uint16 // "any": numbers of the kernel's indices
	lately int32            // the last of them
	iface  uint16           // and its number

	count  uint64
	before int64         // time of the packet before
	ending time.Duration // when it began to end, 0 if it does not

	state linkState
}

// Next waits for packets until the next tick. Batches are in the order of
// time over all interfaces.
func (l *Live) Next(b *Batch) error {
	b.Packets, b.Data, b.frames, b.Now = b.Packets[:0], b.Data[:0], b.frames[:0], 0
	b.Packets = slices.Grow(b.Packets, liveBatch)
	for began := l.elapsed(); ; {
		l.heed()
		until := l.collect(l.Now())
		l.fill(b, until)
		if len(b.Packets) > 0 {
			b.Now = min(until, l.earliest(until))
			l.frame.tap(b, l.tap)
			return nil
		}
		if !l.settle() {
			return io.EOF
		}
		waited := l.elapsed() - began
		if waited >= l.tick {
			b.Now = until
			return nil
		}
		l.wait(l.tick - waited)
	}
}

// elapsed is a clock that nobody sets.
func (l *Live) elapsed() time.Duration { return time.Since(l.start) }

// Now is the wall clock, by which packets are stamped too, in nanoseconds
// since the Unix epoch.
func (l *Live) Now() int64 { return time.Now().UnixNano() }

// collect takes what the rings have, as far as it is soon needed, and returns
// until when nothing is missing, given the wall clock.
func (l *Live) collect(now int64) int64 {
	until := now
	for _, f := range l.feeds {
		if f.ring == nil {
			continue
		}
		// Of very many packets none may be old enough before the next block
		// is known.
		for f.ready() && (f.waiting() < liveBatch || f.pending[f.at].time > f.horizon(now)) {
			f.take()
		}
		until = min(until, f.horizon(now))
	}
	return until
}

// first is the feed whose next packet is the earliest, nil if none waits.
func (l *Live) first() *feed {
	var first *feed
	var least int64
	for _, f := range l.feeds {
		if f.ring == nil || f.waiting() == 0 {
			continue
		}
		if t := f.pending[f.at].time; first == nil || t < least {
			first, least = f, t
		}
	}
	return first
}

// earliest is the time of the next packet, otherwise if none waits.
func (l *Live) earliest(otherwise int64) int64 {
	if f := l.first(); f != nil {
		return f.pending[f.at].time
	}
	return otherwise
}

// fill moves packets to b that nothing still to come precedes.
func (l *Live) fill(b *Batch, until int64) {
	if l.held > 0 && l.elapsed()-l.held > overdue {
		until = math.MaxInt64
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b.Packets) < liveBatch && len(b.Data) < maxChunk {
		f := l.first()
		if f == nil {
			l.held = 0
			return
		}
		if f.pending[f.at].time > until {
			break
		}
		l.deliver(b, f)
	}
	if len(b.Packets) > 0 || l.held == 0 {
		l.held = l.elapsed()
	}
}

// deliver decodes the next packet of a feed.
func (l *Live) deliver(b *Batch, f *feed) {
	c := f.pending[f.at]
	f.at++
	h, from, data := f.packet(c, f.cooked)
	if looped(from) {
		f.copied(c)
		return
	}
	r := record{time: c.time, off: uint32(len(b.Data)), link: f.link, traits: directions[from.Pkttype&7]}
	r.iface = l.ifaceOf(f, from.Ifindex)
	b.Data, r.wireLen = f.appendFrame(b.Data, h, from, data)
	f.copied(c)
	if f.code != nil && !f.code.Match(b.Data[r.off:], int(r.wireLen)) {
		b.Data = b.Data[:r.off]
		f.Filtered++
		return
	}
	f.count++
	r.number = f.count
	r.capLen = min(uint32(len(b.Data))-r.off, l.snaplen)
	b.Data = b.Data[:r.off+r.capLen]
	if r.capLen < r.wireLen {
		r.traits |= SnapCut
	}
	b.Packets = b.Packets[:len(b.Packets)+1]
	p := &b.Packets[len(b.Packets)-1]
	l.dec.decode(b, &r, p)
	p.Ref = MakeRef(f.number, r.number)
	f.before = f.note([]record{r}, f.before, 0)
	if p.Kind == Bad {
		f.noteBad(&r, p)
	}
	if l.tap != nil {
		b.frames = append(b.frames, r.span())
	}
}

// heed lets the feeds end whose interfaces are gone, or all if Stop was
// called.
func (l *Live) heed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.feeds {
		if f.ring == nil || f.ending > 0 || !f.state.gone && !l.stopped.Load() {
			continue
		}
		f.ending = l.elapsed()
		if err := f.deafen(); err != nil {
			f.Err, f.Broken = fmt.Errorf("%s: what the kernel still has cannot be told from what comes after the end: %w", f.Name, err), true
			l.end(f)
		}
	}
}

// settle ends the feeds that have delivered everything, and reports whether
// any goes on.
func (l *Live) settle() (left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.feeds {
		if f.ring == nil {
			continue
		}
		since := l.elapsed() - f.ending
		if f.ending == 0 || f.waiting() > 0 || f.ready() || since < deafening || !f.empty() && since < lastBlock {
			left = true
			continue
		}
		l.end(f)
	}
	return left
}

// end closes a feed's ring. It needs mu.
func (l *Live) end(f *feed) {
	l.lost(f)
	f.ring.close()
	f.ring = nil
}

// wait returns when there may be packets, the capture is to stop, or the
// timeout is over.
func (l *Live) wait(timeout time.Duration) {
	pause := holdPause
	if l.filling() {
		pause = fillPause
	}
	l.polls = append(l.polls[:0], unix.PollFd{Fd: int32(l.wake), Events: unix.POLLIN})
	for _, f := range l.feeds {
		switch {
		case f.ring == nil:
			continue
		case f.ending > 0:
			timeout = min(timeout, deafening)
		case f.held > 0:
			// The kernel reports a ring readable as long as the block
			// before the one it fills is not given back.
			timeout = min(timeout, pause)
		default:
			l.polls = append(l.polls, unix.PollFd{Fd: int32(f.fd), Events: unix.POLLIN | unix.POLLERR})
		}
	}
	if l.stopped.Load() {
		l.polls = l.polls[1:]
	}
	ms := int((timeout + time.Millisecond - 1) / time.Millisecond)
	n, err := unix.Poll(l.polls, ms)
	if n <= 0 || err != nil {
		return // EINTR, or nothing
	}
	for i := range l.polls {
		if l.polls[i].Revents&unix.POLLERR != 0 {
			l.troubled(l.polls[i].Fd)
		}
	}
}

// filling reports whether a block is being filled, before which packets may
// not be handed out that come after its first.
func (l *Live) filling() bool {
	return slices.ContainsFunc(l.feeds, func(f *feed) bool { return f.ring != nil && !f.ready() && !f.empty() })
}

// Stop ends the capture: Next delivers what the kernel has, the block that it
// is filling included, and then returns io.EOF. It may be called from any
// goroutine, at any time and more than once.
func (l *Live) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.stopped.Swap(true) {
		return
	}
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// Close ends the capture at once. The batches filled so far stay valid.
func (l *Live) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	for _, f := range l.feeds {
		if f.ring != nil {
			l.end(f)
		}
	}
	l.mu.Unlock()
	close(l.quit)
	l.watched.Wait()
	_ = unix.Close(l.control)
	return unix.Close(l.wake)
}

// Encap describes an encapsulation key of a packet.
func (l *Live) Encap(key uint32) string { return l.dec.encap(key) }

// Inputs has an entry for each interface.
func (l *Live) Inputs() []Input {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Input, len(l.feeds))
	for i, f := range l.feeds {
		all[i] = f.clone()
	}
	return all
}

// DropEvents tells when the kernel had no room for packets.
func (l *Live) DropEvents() []DropEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.drops.events)
}

// InterfaceName is the name that Packet.Iface stands for; "" if none.
func (l *Live) InterfaceName(n uint16) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(n) < len(l.names) {
		return l.names[n]
	}
	return ""
}
