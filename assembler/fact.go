package assembler

import "hangup/capture"

// ResetFit is how a RST's sequence number stood to its receiver (RFC 5961 3.2).
type ResetFit uint8

const (
	FitUnknown  ResetFit = iota // the receiver's RCV.NXT is not known from this capture
	FitExact                    // SEG.SEQ = RCV.NXT: takes effect
	FitFIN                      // RCV.NXT - 1 where the receiver has the FIN: Linux accepts it (tcp_reset_check)
	FitSYN                      // answers a SYN: acceptable by its acknowledgment (RFC 9293 3.10.7.3)
	FitBadSYN                   // answers a SYN but acknowledges something else: dropped
	FitInWindow                 // draws a challenge ACK, ends nothing
	FitOutside                  // dropped
	FitLate                     // the receiver had no connection any more (both FINs acknowledged, or reset before)
)

func (f ResetFit) String() string {
	return [...]string{"unknown", "exact", "behind the FIN", "answers the SYN", "wrong ack for the SYN", "in window", "out of window", "after the end"}[f]
}

// TakesEffect reports whether the receiver's socket died of it.
func (f ResetFit) TakesEffect() bool { return f == FitExact || f == FitFIN || f == FitSYN }

// Trigger is the kind of packet that a RST or an ICMP error most likely answers.
type Trigger uint8

const (
	NoTrigger   Trigger = iota
	ToSYN               // the peer's SYN
	ToSYNACK            // the peer's SYN-ACK
	ToData              // the peer's payload
	ToFIN               // the peer's FIN
	ToKeepAlive         // the peer's keep-alive probe
	ToWinProbe          // the peer's window probe
	ToChallenge         // the peer's challenge ACK
	ToACK               // some other ACK of the peer's
)

// Reset is one RST segment and how it stood to everything else when it came.
type Reset struct {
	Stamp
	Side   Side // who its source address says sent it
	Flags  capture.Flags
	Seq    uint32
	Ack    uint32
	Len    uint32
	Window uint16 // unscaled, as on the wire
	IPID   uint16
	TTL    uint8
	Traits capture.Traits
	HasTS  bool
	TSVal  uint32
	Link   uint64

	Fit       ResetFit
	Trigger   Trigger
	Before    Stamp  // its sender's packet before it, zero if none
	Answers   Stamp  // the packet it answers, if Trigger is not NoTrigger
	Idle      int64  // silence on the connection before it
	From, To  State  // of its sender and its receiver before it
	Unacked   uint32 // bytes of its sender's own data not yet acknowledged
	Unread    uint32 // UnreadHint of the sender at this moment
	SinceData uint64 // End.SinceData of the sender at this moment
	AckBehind uint32 // bytes its ACK field (or the sender's last ACK) lies behind what the peer had sent: in flight or not taken

	// Fingerprint against the sender's ordinary packets just before it
	// (valid only if the End has any: see End.First).
	TTLDelta    int16 // TTL less the sender's last TTL
	IPIDDelta   int16 // IPID less the sender's last IPID, as a signed 16 bit difference
	TSDelta     int32 // TSVal less the sender's last TSVal
	TSElapsed   int64 // ns since the sender's last timestamp
	LinkDiffers bool  // another source MAC
	Copied      bool  // the capture shows it at another place, too

	SenderAfter   Stamp // its sender's first ordinary packet after it on this sequence space
	ReceiverAfter Stamp // its receiver's first ordinary packet after it
	Stateless     bool  // bare RST or RST+ACK as a host without a socket sends it: window 0, no timestamps though negotiated
}

// ICMP is one ICMP error that quotes a packet of this connection.
type ICMP struct {
	Stamp
	Side       Side // who sent the quoted packet, so whom the error is for
	Router     [16]byte
	Type, Code uint8
	V6         bool
	MTU        uint16
	Seq        uint32  // of the quoted segment
	Quotes     Trigger // what was quoted: ToSYN, ToData, ToFIN, ToKeepAlive, ToACK
	State      State   // of the quoted packet's sender when the error came
	Count      uint32  // errors alike (same router, type, code, side), this one the first
	Last       Stamp
}

// Partial says what the capture lacks of a connection.
type Partial uint8

const (
	NoStart    Partial = 1 << iota // no SYN seen
	NoEnd                          // the capture (or --until, or --max-conns) stops before an end: set by classify
	OneWay                         // packets of one direction only
	Gaps                           // bytes acknowledged that the capture never showed
	Snaplen                        // packets cut
	Duplicated                     // packets seen more than once
	Evicted                        // reported early: too many connections
	Dropped                        // the kernel had no room for some packets of its time, which may have been its: set by whoever captures
)

// Mark is something notable that changes no verdict by itself.
type Mark struct {
	Stamp
	Side Side
	What What
	N    uint32 // what N counts depends on What
}

// What a Mark says.
type What uint8

const (
	_                What = iota
	ResetIgnored          // a RST that took no effect; N is its ResetFit
	ChallengeACK          // pure ACK that answers an unacceptable SYN or RST
	TimeBackwards         // packet time went back by N microseconds
	SYNOtherISN           // SYN with another initial sequence number on the live tuple; N is the new ISN
	ICMPOnLive            // ICMP error on an established connection; N is type<<8 | code
	RetransmittedSYN      // N-th SYN
	ZeroWindowStart       // window 0 advertised
	ZeroWindowEnd         // opened again; N is the new window
	WindowShrunk          // right edge moved left by N bytes
	DataPastReset         // the sender of a RST sent on; N payload bytes of its first packet
	DataAfterClose        // payload behind the peer's FIN; N bytes
	MPTCPJoin             // subflow
	SYNData               // payload on the SYN (TCP Fast Open); N bytes
	OverlapMismatch       // retransmission with other bytes than the original: never set unless payload is kept
)
