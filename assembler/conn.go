// Package assembler follows TCP connections through a stream of packets and
// states facts about them: what each end sent, what the other end
// acknowledged, which states of RFC 9293 that implies. It holds no opinion on
// why anything happened, and prints nothing.
//
// The assembler is in the middle, not at an end: a packet it saw may have
// been lost behind it, one it did not see may have arrived. Its states are
// what the packets imply, and a capture that begins late or shows one
// direction yields [Unknown] states rather than guesses.
package assembler

import (
	"net/netip"

	"hangup/capture"
)

// Side is one of the two ends of a connection.
type Side uint8

const (
	Client Side = iota // sent the first SYN, or is believed to have (Conn.RoleKnown)
	Server
)

// Peer is the other side.
func (s Side) Peer() Side { return 1 - s }

func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Stamp names a packet and its time. The zero Stamp is "never".
type Stamp struct {
	Ref  capture.Ref
	Time int64 // ns since the Unix epoch
}

// Seen reports whether the stamp names a packet.
func (s Stamp) Seen() bool { return s.Ref != 0 }

// Tries is one thing an end sent and, if nothing answered, sent again: a
// SYN, a SYN-ACK, a range of data, a FIN, a run of probes. Times are ns.
type Tries struct {
	First, Last Stamp
	Prev        int64  // time of the try before Last, for probes also one that was answered; 0 if there was none
	Idle        int64  // silence on the whole connection before First; -1 if First opened it
	Seq         uint32 // of the first try
	Len         uint32 // payload bytes of the longest try
	Count       uint32 // times it was sent; duplicates of the capture not counted
	Answered    Stamp  // the peer's packet that answers it; zero while nothing has
	Delivered   bool   // the peer's answer, or a later packet of the peer's, proves that it arrived
}

// Seen reports whether there was a try at all.
func (t *Tries) Seen() bool { return t.Count > 0 }

// Pending reports whether it was sent and nothing has answered.
func (t *Tries) Pending() bool { return t.Count > 0 && !t.Answered.Seen() }

// Interval is the time between the last two tries, 0 if there was only one.
func (t *Tries) Interval() int64 {
	if t.Prev == 0 {
		return 0
	}
	return t.Last.Time - t.Prev
}

// End is one end of a connection: what it sent, and what was acknowledged to
// it. All sequence numbers are absolute, all sizes bytes, all times ns.
type End struct {
	Addr [16]byte // IPv4 as ::ffff:a.b.c.d
	Port uint16

	State    State // after the last packet
	RefState State // state before the connection's first RST took effect, Unknown if none did

	// Handshake and what its SYN said.
	SYN    Tries // SYN without ACK
	SYNACK Tries
	ISN    uint32 // valid if HasISN
	HasISN bool
	Opts   capture.Options // options on its SYN or SYN-ACK
	MSS    uint16          // from its SYN; 0 if none
	WScale uint8           // from its SYN, capped at 14 (RFC 7323 2.3); in force only if both offered it

	// Sequence space this end sent into.
	Started      bool   // SndNxt and SndUna are valid: something with a sequence number was seen
	SndNxt       uint32 // one past the highest sequence number it used, SYN and FIN included
	SndUna       uint32 // highest acknowledgment its peer sent; SndNxt of the first packet if none yet
	AckSeen      bool   // the peer acknowledged something: SndUna is a fact
	Highest      uint32 // largest payload of one segment so far
	HighestAcked uint32 // ... of those known to have been acknowledged

	Window     uint32 // last one advertised, scaled
	MaxWindow  uint32 // largest advertised, scaled
	WindowAck  uint32 // acknowledgment number that came with the right edge last moved: see UnreadHint
	RightEdge  uint32 // ack + window, the furthest so far
	ZeroWindow Tries  // the current or last run in which it advertised window 0: First, Last, Count; Answered = window opened again

	// Volume.
	Packets     uint32
	Bytes       uint64 // payload, each sequence number once
	Retransmits uint32 // segments that repeat sequence space already sent
	Reordered   uint32 // segments that filled a hole left by an earlier one, not a repeat
	Lost        uint64 // bytes that the peer acknowledged but this capture never showed
	Duplicates  uint32 // copies of packets, seen twice by the capture
	KeepAlives  uint32 // keep-alive probes (RFC 9293 3.8.4): one below SndNxt, 0 or 1 bytes
	WinProbes   uint32 // window probes (RFC 9293 3.8.6.1)
	ZeroWindows uint32 // segments advertising window 0 while established
	DupAcks     uint32 // duplicate ACKs (RFC 5681 2)
	Challenges  uint32 // challenge ACKs (RFC 5961): pure ACKs that answer an unacceptable SYN or RST

	First, Last         Stamp  // its first and last packet
	FirstData, LastData Stamp  // new payload only: no retransmission, no probe
	LastNewAck          Stamp  // its last packet that acknowledged something new, or an echo that proved it alive
	AckStep             uint32 // by how many sequence numbers its acknowledgment last moved
	LastAckStep         Stamp  // ... and when
	LastChallenge       Stamp

	Data  Tries // the oldest payload not acknowledged; once all is acknowledged: the last such range, Answered set
	Deaf  Tries // the current run of repeats of payload that the capture shows acknowledged: the ACKs do not reach this end
	Probe Tries // the current or last run of keep-alive probes with no answer between; Answered = the ACK
	WProb Tries // the current or last run of window probes; Answered = any ACK

	// FIN and what happened around it.
	FIN          Tries  // Seq is that of the FIN bit itself; Answered = the ACK that covers it
	FINCrossed   bool   // sent before it had acknowledged the peer's FIN, which was sent before this one arrived
	FINWithData  bool   // payload in the FIN's segment
	FINSawPeer   bool   // the FIN's segment acknowledges the peer's FIN
	LateData     Tries  // payload it sent after the capture showed the peer's FIN; Len sums the bytes
	LateAfterAck bool   // ... and after it had itself acknowledged that FIN, with a number that excludes that it had been sent before
	AckedPastFIN uint32 // bytes of the peer's data that arrived behind its own FIN and that it acknowledged: only a half-closed socket does that
	FirstPastFIN Stamp  // first such acknowledgment

	// What it had received when: for "unread" and "unanswered".
	SinceData    uint64 // new bytes the peer sent since this end last sent payload of its own
	PureFINAcked bool   // it acknowledged the peer's FIN (in any segment)

	// Fingerprint of its ordinary packets (RSTs excluded).
	TTLFirst, TTLLast, TTLMin, TTLMax uint8
	IPIDLast                          uint16 // of its last ordinary packet with an IP ID
	IPIDKind                          IPIDKind
	CopyTTL                           uint8  // TTL of its latest copy that was seen at another distance, 0 if none
	TSLast                            uint32 // last TSVal; valid if TSCount > 0
	TSLastTime                        int64  // when
	TSCount                           uint32 // ordinary packets with timestamps
	Link                              uint64 // source MAC of its first packet, 0 if none

	Resets       uint32 // RSTs it sent, duplicates of the capture not counted
	AfterReset   uint32 // ordinary packets it sent after its first RST, on the same sequence space
	FirstAfter   Stamp  // first of these
	ResetAccepts Stamp  // the RST from the peer that took effect on this end (RFC 5961), if any

	DataFIN   Stamp // MPTCP DATA_FIN
	FastClose Stamp // MPTCP MP_FASTCLOSE
	MPReset   Stamp // MPTCP MP_TCPRST

	App  Framing // what its payload shows of TLS or HTTP
	Beat Beat    // the rhythm in which it sends a little payload

	// The tracker's own books.
	firstSeq     uint32 // of the first segment, its SYN not counted
	appNext      uint32 // next sequence number that App expects
	finAck       uint32 // acknowledgment field of the first FIN, valid if finAcked
	lastLen      uint32 // payload of its last ordinary packet
	rawWindow    uint16 // last window field, unscaled
	finAcked     bool
	sentUnseen   bool // when it acknowledged the peer's FIN, its sequence number stood beyond all that was captured
	edgeKnown    bool // RightEdge and WindowAck are valid
	nhole        uint8
	ncopies      uint8          // where in copies the next one goes
	sameID       bool           // its last two packets bear the same IP ID
	doubled      bool           // its latest packet was seen twice
	pairs        bool           // ... and so was the one before
	holes        [maxHoles]span // sequence space passed over, ascending
	holeTime     int64          // when the newest hole appeared
	mayChallenge int64          // when the peer sent something a challenge ACK answers; 0 if it did not
	copies       [keptCopies]copyKey
	zeek         zeekEnd
}

// IPIDKind is how an end chooses IP IDs, as far as seen.
type IPIDKind uint8

const (
	IPIDUnknown IPIDKind = iota // IPv6, or no packet yet
	IPIDFirst                   // one packet, ID not 0
	IPIDZero                    // always 0
	IPIDRising                  // small positive steps (per connection or per host)
	IPIDOther                   // neither: random, or byte-swapped
)

// AddrPort is the end's address as netip has it.
func (e *End) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(capture.Addr(e.Addr), e.Port)
}

// Outstanding is the number of sequence numbers sent and not acknowledged,
// SYN and FIN included; 0 when no acknowledgment was ever seen.
func (e *End) Outstanding() uint32 {
	if !e.Started || !e.AckSeen || !seqLT(e.SndUna, e.SndNxt) {
		return 0
	}
	return e.SndNxt - e.SndUna
}

// UnreadHint is a lower bound for the bytes that the end's kernel had
// acknowledged and its program had not read at its last packet: a receiver
// never moves its window's right edge while its program does not read (RFC
// 9293 3.8.6.2.2), so what it acknowledged since the edge last moved was
// still queued. 0 says nothing.
func (e *End) UnreadHint(peer *End) uint32 {
	if !peer.AckSeen || !e.edgeKnown || !seqLT(e.WindowAck, peer.SndUna) {
		return 0
	}
	return peer.SndUna - e.WindowAck
}

// maxHoles is how many holes of one direction are told apart.
const maxHoles = 4

const maxMarks = 10

// Conn is one TCP connection. It holds no pointer, so millions of them cost
// the collector nothing, and a copy is the whole of it.
type Conn struct {
	ID        uint64 // from 1, in the order of first packets
	Ends      [2]End // by Side
	RoleKnown bool   // a SYN or SYN-ACK proved who is the client
	Partial   Partial
	Expired   Expiry // why it was reported without an end, if Config.Expire was set

	// Told says that Config.Over was called for it, Changed that packets (or
	// ICMP errors) of it have come since.
	Told, Changed bool

	First, Last Stamp  // first and last packet, ICMP errors not counted
	Encap       uint32 // capture key of the encapsulation it was first seen in
	Depth       uint8
	Iface       uint16
	V6          bool

	// Until is up to when it was watched, if it was reported early, as
	// Evicted or Expired; else 0: until it was over, or the input ended.
	Until int64

	Established Stamp // the ACK that completed the handshake (client's, or data that implies it)
	RTTServer   int64 // SYN-ACK less the SYN it answers, 0 if unknown: capture point to server and back
	RTTClient   int64 // ACK less the SYN-ACK: capture point to client and back
	SplitSYN    bool  // split handshake: server's SYN apart from its ACK
	SimulOpen   bool  // both sent SYN before SYN-ACK (RFC 9293 3.5)

	Resets  [4]Reset // the first three RSTs, and the last
	NResets uint32   // all of them
	ICMP    [2]ICMP  // the first two kinds
	NICMP   uint32   // all of them

	Predecessor uint64 // ID of the connection this one replaced on the same tuple, 0 if none
	Gap         int64  // ns since that one's last packet
	Successor   Stamp  // SYN with another ISN on this tuple while it was alive or in TIME_WAIT
	SuccessorID uint64

	MaxIdle    int64 // longest silence between two packets
	MaxIdleEnd Stamp // the packet that ended it

	MPTCP   bool   // both offered MPTCP
	MPToken uint32 // MP_JOIN: token of the connection it joins

	Marks  [maxMarks]Mark
	NMarks uint32 // all of them, kept or not

	key       tuple
	clientIsA bool
	before    int64 // time of the packet before
	next      int32 // other connections of the same tuple, newest first
	zeek      zeekConn
}

// End of side s.
func (c *Conn) End(s Side) *End { return &c.Ends[s] }

// KeptResets are the RSTs whose details were kept, in order.
func (c *Conn) KeptResets() []Reset { return c.Resets[:min(int(c.NResets), len(c.Resets))] }

// KeptICMP are the ICMP errors whose details were kept, in order.
func (c *Conn) KeptICMP() []ICMP { return c.ICMP[:min(int(c.NICMP), len(c.ICMP))] }

// KeptMarks are the marks that were kept, in order.
func (c *Conn) KeptMarks() []Mark { return c.Marks[:min(int(c.NMarks), len(c.Marks))] }

// EffectiveReset is the first RST that its receiver took, nil if none did.
func (c *Conn) EffectiveReset() *Reset {
	for i := range c.KeptResets() {
		if c.Resets[i].Fit.TakesEffect() {
			return &c.Resets[i]
		}
	}
	return nil
}

// Timestamps reports whether both SYNs offered TCP timestamps (RFC 7323).
func (c *Conn) Timestamps() bool {
	return c.Ends[Client].Opts&c.Ends[Server].Opts&capture.OptTimestamps != 0
}
