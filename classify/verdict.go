// Package classify says what the facts of a connection mean: how it ended,
// why, by whom, with which evidence, and what each end's Go program saw. It
// never touches a packet stream: everything here is a function of
// [assembler.Conn] values.
//
// Judging happens twice. [Judge] looks at one connection as soon as it is
// over. An [Analysis] then refines the verdicts that are open yet, with what
// only other connections show (a listener that died, a queue that was full,
// the other address family that won) and where the capture ends: when it is
// finished, or, live, when enough time has passed.
package classify

import (
	"hangup/assembler"
)

// Class is the way a connection ended.
type Class uint8

const (
	Open     Class = iota // no end in the capture
	Graceful              // both directions ended by FIN, nobody was told of an error
	Reset                 // explicit refusal: a RST that took effect, or a fatal ICMP error
	HalfOpen              // one side is done or gone, the other has not noticed or not acted
	TimedOut              // somebody's timer ran out with no answer
)

// Party is the actor of a cause.
type Party uint8

const (
	ByUnknown Party = iota
	ByClient
	ByServer
	ByBoth
	ByMiddlebox
	ByNetwork
)

// BySide is the party of one end.
func BySide(s assembler.Side) Party { return ByClient + Party(s) }

// Confidence says how much the packets leave open.
type Confidence uint8

const (
	Possible Confidence = iota // one reading among several
	Likely                     // the others need something unusual
	Certain                    // the packets allow nothing else
)

// Cause is why a connection ended; Causes documents each.
type Cause uint8

const (
	StillOpen Cause = iota
	OrderlyClose
	SimultaneousClose
	HalfClose
	ConnectionRefused
	ICMPRejected
	DialCancelled
	AbortiveClose
	CloseWithUnreadData
	ListenerClosed
	AcceptQueueOverflow
	WriteAfterClose
	FinWait2Expired
	PeerLostState
	StaleTuple
	InjectedReset
	ResetByOwnHost
	PMTUBlackhole
	HandshakeIncomplete
	CloseWaitLeak
	PeerVanished
	ConnectTimeout
	RetransmissionTimeout
	KeepaliveTimeout
	FinTimeout
	ZeroWindowStall
	NumCauses int = iota
)

var classNames = [...]string{"open", "graceful", "reset", "half-open", "timed-out"}
var partyNames = [...]string{"unknown", "client", "server", "both", "middlebox", "network"}
var confidenceNames = [...]string{"possible", "likely", "certain"}
var causeNames = [...]string{
	"still-open", "orderly-close", "simultaneous-close", "half-close", "connection-refused",
	"icmp-rejected", "dial-cancelled", "abortive-close", "close-with-unread-data", "listener-closed",
	"accept-queue-overflow", "write-after-close", "fin-wait2-expired", "peer-lost-state", "stale-tuple",
	"injected-reset", "reset-by-own-host", "pmtu-blackhole", "handshake-incomplete", "close-wait-leak",
	"peer-vanished", "connect-timeout", "retransmission-timeout", "keepalive-timeout", "fin-timeout",
	"zero-window-stall",
}

func (c Class) String() string      { return classNames[c] }
func (p Party) String() string      { return partyNames[p] }
func (c Confidence) String() string { return confidenceNames[c] }
func (c Cause) String() string      { return causeNames[c] }

// ParseClass is the inverse of Class.String.
func ParseClass(s string) (Class, bool) { i, ok := index(classNames[:], s); return Class(i), ok }

// ParseCause is the inverse of Cause.String.
func ParseCause(s string) (Cause, bool) { i, ok := index(causeNames[:], s); return Cause(i), ok }

// ParseParty is the inverse of Party.String.
func ParseParty(s string) (Party, bool) { i, ok := index(partyNames[:], s); return Party(i), ok }

func index(names []string, s string) (int, bool) {
	for i, n := range names {
		if n == s {
			return i, true
		}
	}
	return 0, false
}

// Verdict is what hangup says of one connection, in a form small and
// pointer-free enough to be kept for millions of them. Explain spells it out.
type Verdict struct {
	Class      Class
	Cause      Cause
	By         Party
	Confidence Confidence
	NAlt       uint8
	Alt        [4]Alternative // the first NAlt: other causes that the packets leave possible, likeliest first
	FirstEnd   FirstEnd
	Matched    uint64 // bit i: rule i of Rules matched; shows what the first match hides
	SameAs     uint64 // ID of the same connection seen on the other side of a NAT, or in its tunnel; 0 if none
	LostTo     uint64 // ID of the connection over the other address family that won this dial (RFC 8305), 0 if none
	Partial    assembler.Partial
}

// Alternative is another cause that fits, and why it is not excluded.
type Alternative struct {
	Cause Cause
	Why   Why
}

// FirstEnd is the first packet that ended the connection or a half of it.
type FirstEnd struct {
	assembler.Stamp
	Side    assembler.Side
	Flag    EndFlag
	Network bool // an ICMP error from neither end; Side is then the end it speaks for
}

// Even reports whether the packets do not say at all if the one who reset had
// aborted by choice or had closed with something unread: whichever of the two
// names the cause, the other is as likely.
func (v *Verdict) Even() bool {
	if v.Confidence != Possible || v.By == ByBoth {
		return false
	}
	for _, a := range v.Alt[:v.NAlt] {
		if v.Cause == AbortiveClose && a.Cause == CloseWithUnreadData || v.Cause == CloseWithUnreadData && a.Cause == AbortiveClose {
			return true
		}
	}
	return false
}

// EndFlag is the kind of a first end.
type EndFlag uint8

const (
	NoFlag EndFlag = iota
	FlagFIN
	FlagRST
	FlagICMP
)

func (f EndFlag) String() string { return [...]string{"", "FIN", "RST", "ICMP"}[f] }

// Env is what a verdict depends on besides its connection.
type Env struct {
	// End is the end of the capture: time of its last packet, or the pcapng
	// statistics block's end time (ns since the epoch).
	End int64
	// Truncated: the input broke off, so silence at its end proves nothing.
	Truncated bool
	// OS is the system that all hosts are taken to run; AnySystem: guessed for each.
	OS System
	// EncapName describes a capture.Packet.Encap key; nil gives "".
	EncapName func(uint32) string
}

// Evidence is one line of proof: a packet that one can look up, and what it shows.
type Evidence struct {
	assembler.Stamp
	Side    assembler.Side
	Network bool // sent by neither end (an ICMP error's router)
	What    string
}

// Result is a verdict spelled out for a reader.
type Result struct {
	Conn *assembler.Conn
	Verdict
	Evidence      []Evidence
	AltText       []string // why each alternative is not excluded; same order as Alt
	Detail        string   // ICMP code, TTL distance, timer matched; "" if none
	Advice        string   // what to do about it in Go; "" if nothing is wrong
	IdleBeforeEnd int64    // ns of silence before the first end or first unanswered try
	Go            [2]Outcome
	App           [2]*AppOutcome // what a net/http or crypto/tls caller saw; nil without evidence
	Encap         string
}

// Outcome is what one endpoint's Go program saw of the end.
type Outcome struct {
	Dial   *Call  // client only
	Accept *Call  // server only, where the accept queue matters
	Read   []Call // what successive Reads return if Read comes first; the last entry repeats
	Write  []Call
	// Once: the first entry of Read and Write is one shared, pending error:
	// whichever is called first gets it, the other starts at its second entry.
	Once   bool
	Unread uint64 // payload bytes readable before the first error, as far as the capture tells
	Note   string
	If     []Condition
}

// Condition is a branch that the wire leaves open. What it names overrides
// the outcome's; what it leaves nil stays.
type Condition struct {
	When   string // "if it gave up", "if Close was called before"
	Dial   *Call
	Accept *Call
	Read   []Call
	Write  []Call
	Once   bool
}

// Call is what one call returns.
type Call struct {
	Error Token
	Text  string // err.Error(), "" for nil and blocked
	NMin  uint64 // Write: bytes it reports at least, although it failed
}

// Token names an error: "nil", "blocked", "EOF", "UnexpectedEOF",
// "ErrClosed", "DeadlineExceeded", "Canceled", or an errno such as
// "ECONNRESET".
type Token string

// AppOutcome is what the layer above the socket reported.
type AppOutcome struct {
	Protocol string // "tls", "http/1.1", "h2"
	Error    Token
	Text     string
	Note     string
}

// Summary counts connections.
type Summary struct {
	Connections uint64
	Packets     uint64 // TCP packets in these connections
	Hosts       uint64
	HostsAbout  bool // Hosts is an estimate: they were too many to list
	ByClass     [5]uint64
	ByCause     [NumCauses]uint64
	First, Last int64
	End         int64 // end of the capture
}
