package classify

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
)

// Tokens that are not errnos.
const (
	tokenNil      Token = "nil"
	tokenBlocked  Token = "blocked"
	tokenEOF      Token = "EOF"
	tokenClosed   Token = "ErrClosed"
	tokenDeadline Token = "DeadlineExceeded"
	tokenCanceled Token = "Canceled"
)

// The errnos that a TCP socket can report.
const (
	eACCES       Token = "EACCES"
	ePIPE        Token = "EPIPE"
	eNONET       Token = "ENONET"
	ePROTO       Token = "EPROTO"
	eNOPROTOOPT  Token = "ENOPROTOOPT"
	eOPNOTSUPP   Token = "EOPNOTSUPP"
	eNETUNREACH  Token = "ENETUNREACH"
	eCONNABORTED Token = "ECONNABORTED"
	eCONNRESET   Token = "ECONNRESET"
	eNOTCONN     Token = "ENOTCONN"
	eTIMEDOUT    Token = "ETIMEDOUT"
	eCONNREFUSED Token = "ECONNREFUSED"
	eHOSTDOWN    Token = "EHOSTDOWN"
	eHOSTUNREACH Token = "EHOSTUNREACH"
	noError      Token = ""
)

// linuxErrno is an errno as Go prints it on Linux. syscall.Errno would print
// the words, and hold the numbers, of the system that hangup runs on; the
// report speaks of the endpoints.
type linuxErrno Token

// Error is the text of package syscall's table for linux, "" for what is no errno.
func (e linuxErrno) Error() string {
	switch Token(e) {
	case eACCES:
		return "permission denied"
	case ePIPE:
		return "broken pipe"
	case eNONET:
		return "machine is not on the network"
	case ePROTO:
		return "protocol error"
	case eNOPROTOOPT:
		return "protocol not available"
	case eOPNOTSUPP:
		return "operation not supported"
	case eNETUNREACH:
		return "network is unreachable"
	case eCONNABORTED:
		return "software caused connection abort"
	case eCONNRESET:
		return "connection reset by peer"
	case eNOTCONN:
		return "transport endpoint is not connected"
	case eTIMEDOUT:
		return "connection timed out"
	case eCONNREFUSED:
		return "connection refused"
	case eHOSTDOWN:
		return "host is down"
	case eHOSTUNREACH:
		return "no route to host"
	}
	return ""
}

// errCanceled has the words of the error that package net has for a cancelled
// dial; the value itself is not exported.
var errCanceled = errors.New("operation was canceled")

// errorOf is the value below the net.OpError that a call of the given name
// ("connect" for a dial) returns, nil for tokens without one.
func errorOf(t Token, call string) error {
	switch t {
	case tokenClosed:
		return net.ErrClosed
	case tokenDeadline:
		return os.ErrDeadlineExceeded
	case tokenCanceled:
		return errCanceled
	}
	if e := linuxErrno(t); e.Error() != "" {
		return os.NewSyscallError(call, e)
	}
	return nil
}

// wording prints the errors of one endpoint's calls.
type wording struct{ local, remote netip.AddrPort }

// read and write are the calls of an established connection, of which
// package net names both addresses.
func (w wording) read(t Token) Call {
	if t == tokenEOF {
		return Call{Error: t, Text: io.EOF.Error()} // net.(*conn).Read does not wrap it
	}
	return w.call("read", "read", w.local, w.remote, t)
}

func (w wording) write(t Token) Call { return w.call("write", "write", w.local, w.remote, t) }

// dial has no source address unless the program asked for one
// (net.(*sysDialer).dialSingle), and then prints what it asked for.
func (w wording) dial(t Token) *Call {
	c := w.call("dial", "connect", netip.AddrPort{}, w.remote, t)
	return &c
}

// accept names the listener's address, for which the connection's own stands:
// whether the program listened on a wildcard does not show.
func (w wording) accept(t Token) *Call {
	c := w.call("accept", "accept", netip.AddrPort{}, w.local, t)
	return &c
}

func (w wording) call(op, syscall string, source, addr netip.AddrPort, t Token) Call {
	cause := errorOf(t, syscall)
	if cause == nil {
		return Call{Error: t}
	}
	e := net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: cause}
	if source.IsValid() {
		e.Source = net.TCPAddrFromAddrPort(source)
	}
	return Call{Error: t, Text: e.Error()}
}

// reads and writes spell the results of successive calls.
func (w wording) reads(ts []Token) []Call  { return spell(ts, w.read) }
func (w wording) writes(ts []Token) []Call { return spell(ts, w.write) }

func spell(ts []Token, f func(Token) Call) []Call {
	calls := make([]Call, len(ts))
	for i, t := range ts {
		calls[i] = f(t)
	}
	return calls
}
