package host

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"net/netip"
)

// Events follows the kernel's tracepoints of TCP sockets, in a trace instance
// of its own, so that nobody else's tracing is touched.
//
// It hears of all network namespaces of this host, and a trace does not tell
// them apart: words are found by the connection's addresses and ports alone.
// Two namespaces that use the same ones at the same time are mixed up.
type Events struct {
	Said []string // what this kernel cannot tell, one sentence each, for the user

	mu    sync.Mutex // guards what follows
	words *words
	stats EventStats
	tgid  func(tid int) int

	source // of the lines, by system
}

// EventStats are counters since the start.
type EventStats struct {
	Events   uint64 // read and placed
	Lost     uint64 // overwritten in the kernel's buffer before they were read
	Strange  uint64 // lines that were not understood
	Unplaced uint64 // of sockets without a peer, and of other protocols
	Evicted  uint64 // ends forgotten to make room (Config.Remember)
	Ends     int    // ends known now
	Read     time.Duration
}

const lostNote = "the kernel lost %d events: a word that is missing proves nothing"

// Doubt says why a missing word proves nothing, "" if it does prove something.
func (s EventStats) Doubt() string {
	if s.Lost == 0 {
		return ""
	}
	return fmt.Sprintf(lostNote, s.Lost)
}

// take digests whole lines of a trace. offset (ns) turns the trace's clock
// into the wall clock; where the trace has a clock that cannot be converted,
// now (ns since the epoch) stands for every line. The caller holds mu.
func (e *Events) take(text string, offset, now int64) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		ev, ok := parseLine(line)
		switch n, lost := parseLost(line); {
		case lost:
			e.stats.Lost += n
			continue
		case !ok:
			e.stats.Strange++
			continue
		case !ev.placed:
			e.stats.Unplaced++
			continue
		}
		ev.at += offset
		if now != 0 {
			ev.at = now
		}
		if ev.kind == errorReport {
			if ev.error == 0 {
				continue // the error queue (timestamps), or taken by its program already
			}
			ev.errno = errnoName(ev.error)
		}
		e.own(&ev)
		e.words.add(ev)
		e.stats.Events++
	}
}

// own leaves pid and comm only where they are those of the socket's program:
// a change that a system call makes on the caller's own socket. What a packet
// does happens in whatever runs then, what `ss -K` or a timer does ends in
// CLOSE, and a kernel worker closes MPTCP subflows.
func (e *Events) own(ev *event) {
	called := ev.process && ev.kind == stateChange && ev.pid != 0 && !strings.HasPrefix(ev.comm, "kworker/")
	switch {
	case called && ev.from == "ESTABLISHED" && ev.to == "FIN_WAIT1":
	case called && ev.from == "CLOSE_WAIT" && ev.to == "LAST_ACK":
	default:
		ev.pid, ev.comm = 0, ""
		return
	}
	if ev.tgid == 0 {
		ev.tgid = e.tgid(ev.pid)
	}
	if ev.pid = ev.tgid; ev.pid == 0 {
		ev.comm = "" // a thread that is gone: whose it was does not show
	}
}

// Word is what the kernel said of the end local of the connection with
// remote, in the time from..to (ns since the epoch, both included). What it
// said up to this call is included, unless more has piled up than can be read
// in some hundredths of a second, which is how long a call may take: it is
// nothing for the path of packets.
func (e *Events) Word(local, remote netip.AddrPort, from, to int64) Word {
	if e == nil {
		return Word{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drain(turn)
	return e.words.between(endpoint{plain(local), plain(remote)}, from, to)
}

// All calls f with every end that the kernel spoke of in the time from..to,
// until f returns false. f must not call methods of e.
func (e *Events) All(from, to int64, f func(local, remote netip.AddrPort, w Word) bool) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drain(turn)
	for el := e.words.recent.Back(); el != nil; el = el.Prev() {
		end := el.Value.(*spoken).endpoint
		if w := e.words.between(end, from, to); !w.Empty() && !f(end.local, end.remote, w) {
			return
		}
	}
}

// Stats are the counters up to now.
func (e *Events) Stats() EventStats {
	if e == nil {
		return EventStats{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Evicted, s.Ends = e.words.evicted, len(e.words.byEnd)
	return s
}
