package output

import (
	"net/netip"

	"hangup/assembler"
	"hangup/capture"
)

// Ladders collects the packets of chosen connections while they are read,
// folding long runs of like packets as they come, so that a ladder's memory
// follows what it will show.
type Ladders struct {
	specs ConnSpecs
	limit int  // connections to draw; 0 or less is all
	all   bool // fold nothing
	byID  map[uint64]*rungs
	more  map[uint64]bool // connections that matched beyond the limit
}

// NewLadders draws at most limit connections that match one of specs.
func NewLadders(specs ConnSpecs, limit int, all bool) *Ladders {
	return &Ladders{specs: specs, limit: limit, all: all, byID: make(map[uint64]*rungs), more: make(map[uint64]bool)}
}

// Trace takes one packet; it is an assembler.Config's Trace.
func (l *Ladders) Trace(s assembler.Step) {
	if !l.matches(&s) {
		return
	}
	r := l.byID[s.Conn]
	if r == nil {
		if l.limit > 0 && len(l.byID) >= l.limit {
			l.more[s.Conn] = true
			return
		}
		r = &rungs{all: l.all}
		l.byID[s.Conn] = r
	}
	r.add(s)
}

func (l *Ladders) matches(s *assembler.Step) bool {
	p := &s.Packet
	a, b := capture.Addr(p.Src), capture.Addr(p.Dst)
	return l.specs.matches(s.Conn, netip.AddrPortFrom(a, p.SrcPort), netip.AddrPortFrom(b, p.DstPort))
}

// rung is a packet of the ladder, or a fold of several.
type rung struct {
	assembler.Step
	fold *fold
}

// fold is a run of packets shown as one line.
type fold struct {
	packets [2]uint64 // by sender
	bytes   [2]uint64
	notes   [32]uint32
	pause   int64 // longest silence before one of them
	last    int64
}

// rungs is one connection's ladder in the making.
type rungs struct {
	all    bool
	list   []rung
	kind   kind
	shown  int            // steps of the current run already in list
	fold   *fold          // what was folded of it
	first  []rung         // its first steps: so few are not worth folding
	tail   []rung         // its last steps
	before assembler.Step // the step before
	begun  bool
}

const (
	runHead = 3
	runTail = 4
	// retryPause is the silence (ns) that tells a timer's retransmission,
	// which is an event, from recovery in the middle of a transfer.
	retryPause = 150e6
)

// kind tells runs apart: packets of another kind begin a new one.
type kind uint8

const (
	plainKind kind = iota
	keepAliveKind
	windowKind
	retryKind
	eventKind // never folded
)

const (
	eventNotes  = assembler.NoteReset | assembler.NoteResetIgnored | assembler.NoteChallengeACK | assembler.NoteAfterFIN | assembler.NotePastReset | assembler.NoteMPTCPClose
	keepNotes   = assembler.NoteKeepAlive | assembler.NoteKeepAliveAnswer
	windowNotes = assembler.NoteWindowProbe | assembler.NoteZeroWindow
)

func (r *rungs) kindOf(s *assembler.Step) kind {
	b := &r.before
	switch {
	case !r.begun || s.Packet.Kind != capture.TCP || s.Notes&eventNotes != 0,
		s.Packet.Flags&(capture.SYN|capture.FIN|capture.RST) != 0,
		s.States != b.States:
		return eventKind
	case s.Notes&keepNotes != 0:
		return keepAliveKind
	case s.Notes&windowNotes != 0:
		return windowKind
	case s.Notes&assembler.NoteRetransmission != 0 && s.Packet.Time-b.Packet.Time >= retryPause:
		return retryKind
	}
	return plainKind
}

func (r *rungs) add(s assembler.Step) {
	k := r.kindOf(&s)
	if k != r.kind || k == eventKind {
		r.endRun()
		r.kind = k
	}
	r.before, r.begun = s, true
	switch {
	case k == eventKind || r.all:
		r.list = append(r.list, rung{Step: s})
	case r.shown < runHead:
		r.list = append(r.list, rung{Step: s})
		r.shown++
	case len(r.tail) < runTail:
		r.tail = append(r.tail, rung{Step: s})
	default:
		r.swallow(&r.tail[0].Step)
		copy(r.tail, r.tail[1:])
		r.tail[runTail-1] = rung{Step: s}
	}
}

func (r *rungs) swallow(s *assembler.Step) {
	if r.fold == nil {
		r.fold, r.first = &fold{last: r.list[len(r.list)-1].Packet.Time}, r.first[:0]
	}
	if len(r.first) < runTail {
		r.first = append(r.first, rung{Step: *s})
	}
	f := r.fold
	f.packets[s.Side&1]++
	f.bytes[s.Side&1] += uint64(s.Packet.Len)
	f.pause = max(f.pause, s.Packet.Time-f.last)
	f.last = s.Packet.Time
	for i := range f.notes {
		if s.Notes&(1<<i) != 0 {
			f.notes[i]++
		}
	}
}

// endRun moves the current run to the list. A fold of few packets is no gain.
func (r *rungs) endRun() {
	if f := r.fold; f != nil {
		if f.packets[0]+f.packets[1] >= runTail {
			r.list = append(r.list, rung{fold: f})
		} else {
			r.list = append(r.list, r.first...)
		}
	}
	r.list = append(r.list, r.tail...)
	r.tail, r.fold, r.shown = r.tail[:0], nil, 0
}

// sideOf is who sent the packet, by the connection's final roles: a ladder
// is drawn after it is known who was the client.
func sideOf(p *capture.Packet, c *assembler.Conn) assembler.Side {
	src := netip.AddrPortFrom(capture.Addr(p.Src), p.SrcPort)
	if src == c.End(assembler.Server).AddrPort() && src != c.End(assembler.Client).AddrPort() {
		return assembler.Server
	}
	return assembler.Client
}
