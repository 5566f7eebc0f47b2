package classify

import "slices"

// socket is as much of a Linux struct sock, and of the Go program's hold on
// it, as decides what read(2) and write(2) return. Its methods are what the
// kernel does on the way there, its events arrive in the order in which the
// endpoint met them, and then it is asked.
//
// That one sk_err serves both directions, is taken by whoever asks first
// (sock_error), and is not looked at by a reader that had its FIN, is why
// "connection reset by peer" comes once, for Read or for Write, and why an
// EOF after it proves no FIN.
type socket struct {
	err     Token // sk_err, pending
	done    bool  // SOCK_DONE: the peer's FIN was taken
	rcvShut bool  // RCV_SHUTDOWN
	sndShut bool  // SEND_SHUTDOWN
	dead    bool  // TCP_CLOSE
	finSent bool
	notConn bool // an MPTCP socket whose last subflow is gone for good

	closed  bool // the program called Close
	toldEOF bool // ... and Read had io.EOF for it before

	full bool // no room for one more write
	peer peerKind
}

// peerKind is what will become of what the endpoint writes next.
type peerKind uint8

const (
	peerTakes peerKind = iota // acknowledged, or nobody can tell: Write returns before it matters
	peerGone                  // answered by RST: no socket, or one that was closed
)

// fin is tcp_fin: RCV_SHUTDOWN and SOCK_DONE.
func (s *socket) fin() { s.done, s.rcvShut = true, true }

// shutdown is shutdown(SHUT_WR), Go's CloseWrite (tcp_shutdown).
func (s *socket) shutdown() { s.sndShut, s.finSent = true, true }

// close is Go's Close: from here the file descriptor answers, not the
// kernel (internal/poll.(*FD).Close, errClosing). It sends FIN, or RST.
func (s *socket) close() {
	if s.closed {
		return
	}
	s.closed, s.toldEOF = true, s.done
	s.shutdown()
}

// reset is tcp_reset for a socket past SYN_SENT: EPIPE in CLOSE_WAIT,
// ECONNRESET in every other state.
func (s *socket) reset() {
	if s.done && !s.finSent {
		s.fail(ePIPE)
		return
	}
	s.fail(eCONNRESET)
}

// fail is tcp_done_with_error, which tcp_reset, tcp_write_err and tcp_abort
// end in: the error stays pending, and both directions are shut.
func (s *socket) fail(err Token) {
	if s.dead {
		return
	}
	s.err = err
	s.finish()
}

// finish is tcp_done: at the end of an orderly close, or of any other.
func (s *socket) finish() { s.dead, s.rcvShut, s.sndShut = true, true, true }

// abandon is what mptcp_worker does when no subflow came back in time
// (net.mptcp.close_timeout): the state is TCP_CLOSE, and no error is set.
func (s *socket) abandon() { s.dead, s.notConn, s.sndShut = true, true, true }

// read is tcp_recvmsg_locked with an empty queue, in the order of its tests,
// below internal/poll.(*FD).Read, which waits instead of EAGAIN.
func (s *socket) read() Token {
	switch {
	case s.closed:
		return tokenClosed
	case s.done:
		return tokenEOF
	case s.err != noError:
		return s.takeError()
	case s.rcvShut:
		return tokenEOF
	case s.notConn:
		return eNOTCONN
	}
	return tokenBlocked
}

// write is tcp_sendmsg_locked: sk_stream_error turns a shut socket into its
// pending error, or EPIPE if there is none.
func (s *socket) write() Token {
	switch {
	case s.closed:
		return tokenClosed
	case s.err != noError:
		return s.takeError()
	case s.sndShut:
		return ePIPE
	case s.full:
		return tokenBlocked
	}
	if s.peer == peerGone {
		s.reset() // it comes a round trip later; until then Write is nil
	}
	return tokenNil
}

// takeError is sock_error.
func (s *socket) takeError() Token {
	err := s.err
	s.err = noError
	return err
}

// reads and writes are what successive calls return, the last one for ever;
// s itself is left as it was.
func (s socket) reads() []Token {
	var results []Token
	if s.toldEOF {
		results = append(results, tokenEOF)
	}
	return s.repeat(results, (*socket).read)
}

func (s socket) writes() []Token { return s.repeat(nil, (*socket).write) }

func (s socket) repeat(results []Token, call func(*socket) Token) []Token {
	for {
		t := call(&s)
		if n := len(results); n > 0 && results[n-1] == t {
			return results
		}
		results = append(results, t)
	}
}

// results are what successive calls return.
type results struct {
	read, write []Token
	once        bool // the first of both is one pending error, for whichever comes first
}

func (s socket) results() results { return results{s.reads(), s.writes(), s.shared()} }

func (r results) same(o results) bool {
	return r.once == o.once && slices.Equal(r.read, o.read) && slices.Equal(r.write, o.write)
}

// shared reports whether the pending error is there for whichever of Read
// and Write comes first.
func (s socket) shared() bool { return s.err != noError && !s.done && !s.closed }
