package host

import (
	"container/list"
	"net/netip"
	"slices"
)

// Word is what the kernel said of one end of a connection, in the order of time.
type Word struct {
	Resets []Reset
	Errors []SockError
	States []State
}

// Empty reports that the kernel said nothing at all of this end.
func (w Word) Empty() bool { return len(w.Resets)+len(w.Errors)+len(w.States) == 0 }

// Process is the program that closed or shut down the socket by a system call
// of its own; ok is false if no event shows one.
func (w Word) Process() (pid int, command string, ok bool) {
	for _, s := range slices.Backward(w.States) {
		if s.PID != 0 {
			return s.PID, s.Command, true
		}
	}
	return 0, "", false
}

// Reset is a RST that this host's kernel sent, or took.
type Reset struct {
	At   int64 // ns since the epoch
	Sent bool  // else received, and taken: one that was ignored makes no event
	// Reason is the kernel's name for why it sent one (enum sk_rst_reason,
	// Linux 6.10 and later), such as NO_SOCKET; "" on older kernels, and for
	// a received one.
	Reason string
	State  string // of the socket that sent it; "" if there was none, or not told
}

// SockError is an error that the kernel left with a socket for its program
// (sk_err). A socket that the program has closed gets none.
type SockError struct {
	At    int64  // ns since the epoch
	Errno string // ECONNRESET, ETIMEDOUT, ...
}

// State is a change of a socket's state by which a connection, or its own half
// of it, ended: to FIN_WAIT1, LAST_ACK, or CLOSE while its program held it.
type State struct {
	At       int64 // ns since the epoch
	From, To string
	// PID and Command are those of the program that changed it by a system
	// call of its own (close, shutdown); 0 and "" for all others: they are
	// made while a packet is taken, by whatever ran then, or from outside
	// (ss -K).
	PID     int
	Command string
}

// perEnd bounds what is kept of one end; a connection has far fewer events,
// so only a tuple that is used again and again loses its oldest.
const perEnd = 24

// endpoint is one end: its address, and its peer's.
type endpoint struct{ local, remote netip.AddrPort }

// words remembers what was said, bounded by the number of ends: those that
// the kernel has not spoken of for longest go first.
type words struct {
	limit   int
	byEnd   map[endpoint]*list.Element
	recent  *list.List // of *spoken, the most recent first
	evicted uint64
}

type spoken struct {
	endpoint
	Word
}

func newWords(limit int) *words {
	return &words{limit: limit, byEnd: map[endpoint]*list.Element{}, recent: list.New()}
}

func (w *words) of(e endpoint) *spoken {
	if el := w.byEnd[e]; el != nil {
		w.recent.MoveToFront(el)
		return el.Value.(*spoken)
	}
	if w.recent.Len() >= w.limit {
		oldest := w.recent.Remove(w.recent.Back()).(*spoken)
		delete(w.byEnd, oldest.endpoint)
		w.evicted++
	}
	s := &spoken{endpoint: e}
	w.byEnd[e] = w.recent.PushFront(s)
	return s
}

func keep[T any](list []T, v T) []T {
	if len(list) == perEnd {
		copy(list, list[1:])
		list = list[:perEnd-1]
	}
	return append(list, v)
}

func (w *words) add(ev event) {
	s := w.of(ev.end)
	switch ev.kind {
	case sentReset, receivedReset:
		s.Resets = keep(s.Resets, Reset{At: ev.at, Sent: ev.kind == sentReset, Reason: ev.reason, State: ev.to})
	case errorReport:
		s.Errors = keep(s.Errors, SockError{At: ev.at, Errno: ev.errno})
	case stateChange:
		s.States = keep(s.States, State{At: ev.at, From: ev.from, To: ev.to, PID: ev.pid, Command: ev.comm})
	}
}

// between is what was said in from..to (ns since the epoch, both included).
func (w *words) between(e endpoint, from, to int64) Word {
	el := w.byEnd[e]
	if el == nil {
		return Word{}
	}
	said, in := el.Value.(*spoken), func(at int64) bool { return from <= at && at <= to }
	var out Word
	for _, r := range said.Resets {
		if in(r.At) {
			out.Resets = append(out.Resets, r)
		}
	}
	for _, e := range said.Errors {
		if in(e.At) {
			out.Errors = append(out.Errors, e)
		}
	}
	for _, s := range said.States {
		if in(s.At) {
			out.States = append(out.States, s)
		}
	}
	return out
}
