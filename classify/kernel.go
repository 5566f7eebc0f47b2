package classify

import (
	"fmt"
	"slices"
	"strings"

	"hangup/assembler"
)

// KernelWord is what the kernel of one end said of a connection while it
// lived: plain facts of its tracepoints, from wherever they come.
type KernelWord struct {
	Errors []KernelError // left with the socket for its program, in order
	Resets []KernelReset // sent and taken, in order
	// Spoke: the kernel told of a socket with these addresses, by a change of
	// its state or an error. Otherwise it was not listened to, is another
	// host's, or translates addresses (its socket then has others than its
	// packets), and what it did not say proves nothing.
	Spoke bool
}

// KernelError is an errno that the kernel left with a socket (sk_err, as
// inet_sk_error_report tells).
type KernelError struct {
	At    int64 // ns since the epoch
	Errno Token
}

// KernelReset is a RST that the kernel sent (tcp_send_reset), or took
// (tcp_receive_reset): one that it ignored makes no event.
type KernelReset struct {
	At     int64 // ns since the epoch
	Sent   bool
	Reason string // such as NO_SOCKET; "" if not told
}

// Agreement is how a verdict stands to the kernel's word.
type Agreement uint8

const (
	KernelSilent    Agreement = iota // nothing to compare
	KernelAgrees                     // what the kernel said is what the verdict says, outright or by one of its conditions
	KernelDisagrees                  // one of them is wrong
)

func (a Agreement) String() string { return [...]string{"silent", "agrees", "disagrees"}[a] }

// Agrees holds what the packets made us say of one end against its kernel's
// word: the error that its program was told, whether a RST took effect on it,
// and whether it sent the ones that bear its address. why says what differs,
// or what the two agree on.
//
// The word has to reach from the connection's first packet to its end, or to
// the next connection with its addresses, and nothing of it may be lost.
func Agrees(c *assembler.Conn, v Verdict, env Env, side assembler.Side, word KernelWord) (a Agreement, why string) {
	if !word.Spoke || c.MPToken != 0 {
		return KernelSilent, ""
	}
	k := comparison{c: c, v: v, side: side, word: word, h: recall(c, v, env, side)}
	k.expect(env)
	for _, check := range [...]func() string{k.errors, k.taken, k.sent} {
		if why := check(); why != "" {
			return KernelDisagrees, why
		}
	}
	if k.agreed == nil {
		return KernelSilent, ""
	}
	return KernelAgrees, strings.Join(k.agreed, "; ")
}

// comparison is one end's verdict and word.
type comparison struct {
	c      *assembler.Conn
	v      Verdict
	side   assembler.Side
	word   KernelWord
	h      *history
	usual  Token   // the error expected to be left with the socket, noError for none
	others []Token // and those of the outcome's conditions
	soft   bool    // an error that no event need tell of
	agreed []string
}

// expect derives what the kernel should have left with the socket. That is
// not what calls return: EPIPE after a shutdown of one's own is made on the
// spot, and a program that has closed is told nothing (tcp_done_with_error
// looks at SOCK_DEAD before it reports).
func (k *comparison) expect(env Env) {
	if !connected(k.c, k.side) {
		k.expectDial(env)
		return
	}
	usual := k.h.usual()
	k.usual = k.h.play(usual).left()
	for r := range k.h.readings(usual) {
		k.others = append(k.others, k.h.play(r.choice).left())
	}
}

func (k *comparison) expectDial(env Env) {
	if k.side == assembler.Server {
		return // no program, no error
	}
	out := dialOutcome(k.c, k.v, env)
	k.usual = errnoOf(out.Dial)
	// An ICMP error that comes back while connect(2) still holds the socket,
	// as on a short way it does, becomes sk_err_soft (tcp_v4_err), which
	// SO_ERROR gives to Dial without an event.
	k.soft = len(k.c.KeptICMP()) > 0
	for _, c := range out.If {
		if c.Dial != nil {
			k.others = append(k.others, errnoOf(c.Dial))
		}
	}
}

// errnoOf is a dial's error if the kernel made it.
func errnoOf(dial *Call) Token {
	if dial == nil || linuxErrno(dial.Error).Error() == "" {
		return noError
	}
	return dial.Error
}

// left is the error that the kernel left with the socket while its program
// held it.
func (s socket) left() Token {
	if s.closed {
		return noError
	}
	return s.err
}

// errors compares what the socket was left with. The last error counts: a
// stale one may have been taken before it.
func (k *comparison) errors() string {
	said := noError
	if n := len(k.word.Errors); n > 0 {
		said = k.word.Errors[n-1].Errno
	}
	switch {
	case said == k.usual && said != noError:
		k.agree("told %s", said)
	case said == k.usual:
		k.agree("told of no error")
	case said == noError && k.soft:
	case slices.Contains(k.others, said):
		k.agree("told %s, by a condition", orNone(said))
	default:
		return fmt.Sprintf("the kernel told %s, the packets say %s", orNone(said), orNone(k.usual))
	}
	return ""
}

func orNone(t Token) Token {
	if t == noError {
		return "no error"
	}
	return t
}

func (k *comparison) agree(format string, args ...any) {
	k.agreed = append(k.agreed, fmt.Sprintf(format, args...))
}

// taken compares the RSTs that took effect on the end.
func (k *comparison) taken() string {
	took := k.count(false)
	doubt := k.h.far != nil || k.h.forged != nil || k.h.missed != nil || k.h.vanished()
	switch {
	case !connected(k.c, k.side), k.c.MPTCP:
		// Refused, as its error says; and of a subflow's reset the connection
		// need not hear.
	case k.h.ownFIN:
		// A closed socket that data reaches resets itself, by tcp_reset and so
		// with the event of a RST that came (tcp_rcv_state_process,
		// TCP_ABORT_ON_DATA); a TIME_WAIT one takes a RST without an event.
	case took > 0 && k.h.struck != nil:
		k.agree("took the RST")
	case took > 0 && !doubt:
		return "the kernel took a RST, the packets show none that it should have taken"
	case took == 0 && k.h.struck != nil:
		return "the packets show a RST that took effect, the kernel took none"
	}
	return ""
}

// sent compares the RSTs that bear the end's address.
func (k *comparison) sent() string {
	sent := k.count(true)
	switch d := decisive(k.c); {
	case sent > 0 && k.v.Cause == InjectedReset && d != nil && d.Side == k.side && k.sentNear(d.Time):
		return "the kernel sent the RST that the verdict takes for injected"
	case k.h.ownRST != nil && sent > 0:
		k.agree("sent its RST (%s)", k.reasons())
	case k.h.ownRST != nil && k.h.ownRST == d && sent == 0:
		return "the verdict takes a RST for the live socket's own, the kernel sent none"
	}
	return ""
}

// near is how much (ns) the clocks of trace and capture may differ.
const near = 5 * milli

func (k *comparison) sentNear(at int64) bool {
	return slices.ContainsFunc(k.word.Resets, func(r KernelReset) bool {
		return r.Sent && r.At > at-near && r.At < at+near
	})
}

func (k *comparison) count(sent bool) (n int) {
	for _, r := range k.word.Resets {
		if r.Sent == sent {
			n++
		}
	}
	return n
}

func (k *comparison) reasons() string {
	var list []string
	for _, r := range k.word.Resets {
		if r.Sent && r.Reason != "" && !slices.Contains(list, r.Reason) {
			list = append(list, r.Reason)
		}
	}
	if list == nil {
		return "no reason told"
	}
	return strings.Join(list, ", ")
}

// Agrees is [Agrees] for the i-th connection.
func (a *Analysis) Agrees(i int, side assembler.Side, word KernelWord) (Agreement, string) {
	return Agrees(a.Conn(i), *a.kept[i].verdict, a.env, side, word)
}
