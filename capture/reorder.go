package capture

import (
	"cmp"
	"slices"
)

const (
	// reorderSpan is how far (ns) a file of several interfaces may be out of
	// order: dumpcap reads each interface in a thread of its own, whose ring
	// hands over what it has only every 250 ms, and a busy machine is later.
	reorderSpan = 1e9
	// maxHeld and maxHeldBytes bound what waits for earlier packets.
	maxHeld      = 1 << 17
	maxHeldBytes = 64 << 20
	// fewHeld packets are cheap to sort and to copy again and again.
	fewHeld = 4096
)

// reorder sorts packets by time that a capture of several interfaces wrote
// interface by interface. Equal times keep the file's order. All numbers are
// still those of the file.
type reorder struct {
	raw    Batch // as read
	at     int   // raw.Packets[at:] are not yet held
	held   Batch // not handed out: what was sorted before, then in the order of reading
	turns  []turn
	spare  Batch // memory for what stays held
	latest int64
	enough int   // packets held before it is worth counting those that are due
	flush  bool  // the clock was set back behind what is held
	err    error // what ended the source, once everything held is handed out
}

// next fills b with packets that nothing still to come precedes.
func (r *reorder) next(b *Batch, fill func(*Batch) error) error {
	for {
		if ready := r.ready(); ready > 0 {
			r.hand(b, ready)
			return nil
		}
		if r.at == len(r.raw.Packets) {
			if r.err != nil {
				b.Packets, b.Data, b.frames = b.Packets[:0], b.Data[:0], b.frames[:0]
				return r.err
			}
			r.err = fill(&r.raw)
			r.at = 0
			if len(r.raw.Packets) == 0 && r.err == nil {
				b.Packets, b.Data, b.frames = b.Packets[:0], b.Data[:0], b.frames[:0]
				return nil
			}
		}
		r.take()
	}
}

// take copies what was read to what is held, up to where the time goes back
// further than any buffer explains: what comes then is not sorted before it.
func (r *reorder) take() {
	for ; r.at < len(r.raw.Packets); r.at++ {
		p := &r.raw.Packets[r.at]
		if p.Time < r.latest-reorderSpan {
			if r.flush = len(r.held.Packets) > 0; r.flush {
				return
			}
			r.latest = p.Time
		}
		r.latest = max(r.latest, p.Time)
		r.held.hold(&r.raw, r.at)
	}
}

// hold appends packet i of another batch, with its payload or, for a Tap,
// its whole frame.
func (b *Batch) hold(from *Batch, i int) {
	b.Packets = append(b.Packets, from.Packets[i])
	p := &b.Packets[len(b.Packets)-1]
	payload := from.Payload(p)
	if len(from.frames) > 0 {
		s := from.frames[i]
		frame := from.Data[s.off : s.off+s.capLen]
		within := p.Off - s.off
		s.off = uint32(len(b.Data))
		b.frames = append(b.frames, s)
		b.Data = append(b.Data, frame...)
		if uint64(within)+uint64(p.CapLen) <= uint64(s.capLen) {
			p.Off = s.off + within
			return
		}
		// It was put together from fragments, and lies behind the frames.
	}
	p.Off = uint32(len(b.Data))
	b.Data = append(b.Data, payload...)
}

// ready is how many of the held packets, by time, can be handed out; 0 to
// read on, so that many are not sorted and copied for the sake of a few.
func (r *reorder) ready() int {
	n := len(r.held.Packets)
	if r.flush || r.err != nil && r.at == len(r.raw.Packets) {
		return n
	}
	if n < r.enough {
		return 0
	}
	due := 0
	for i := range r.held.Packets {
		if r.held.Packets[i].Time <= r.latest-reorderSpan {
			due++
		}
	}
	switch {
	case n >= maxHeld || len(r.held.Data) >= maxHeldBytes:
		return max(due, n/2)
	case n > fewHeld && due < n/2:
		r.enough = n + n/8
		return 0
	}
	return due
}

// turn is a held packet's place in time; packets are too large to be moved
// about while they are sorted.
type turn struct {
	time  int64
	index int
}

// hand moves the n earliest packets to b.
func (r *reorder) hand(b *Batch, n int) {
	r.turns = r.turns[:0]
	for i := range r.held.Packets {
		r.turns = append(r.turns, turn{r.held.Packets[i].Time, i})
	}
	slices.SortFunc(r.turns, func(a, b turn) int {
		if a.time != b.time {
			return cmp.Compare(a.time, b.time)
		}
		return a.index - b.index
	})
	b.Packets, b.Data, b.frames = b.Packets[:0], b.Data[:0], b.frames[:0]
	rest := Batch{Packets: r.spare.Packets[:0], Data: r.spare.Data[:0], frames: r.spare.frames[:0]}
	for i, t := range r.turns {
		to := b
		if i >= n {
			to = &rest
		}
		to.hold(&r.held, t.index)
	}
	r.flush, r.enough = false, 0
	r.spare, r.held = r.held, rest
}
