// Package capture turns bytes (files, and standard input while it grows) into
// [Packet] values. It is the only room that knows file formats, link types
// and tunnels, and it has no opinion on TCP beyond what one header says.
//
// Packets come in a [Batch], which owns all memory that its packets point
// into (by offset, never by pointer). A consumer must be done with a batch
// before it is filled again.
package capture

import "net/netip"

// Ref names one packet of the input: the index of its input file in the
// upper 24 bits, its number within that file, counted from 1 as Wireshark
// and tcpdump --number count, in the lower 40. The zero Ref is no packet.
// Refs of one run order as the packets were processed only within one file.
type Ref uint64

const refNumberBits = 40

// MakeRef builds the Ref of packet number (from 1) of the input with index
// file (from 0).
func MakeRef(file int, number uint64) Ref {
	return Ref(uint64(file)<<refNumberBits | number&(1<<refNumberBits-1))
}

// File is the index of the input the packet came from, from 0.
func (r Ref) File() int { return int(r >> refNumberBits) }

// Number is the packet's number within its file, from 1; 0 for no packet.
func (r Ref) Number() uint64 { return uint64(r & (1<<refNumberBits - 1)) }

// Kind says what a packet is to us.
type Kind uint8

const (
	Other     Kind = iota // well formed, but neither TCP nor an error about TCP
	TCP                   // one TCP segment
	ICMPError             // an ICMP or ICMPv6 error that quotes a TCP segment
	Bad                   // could not be decoded: Problem says why
)

// Flags are the TCP header's control bits, FIN the lowest (RFC 9293 3.1).
type Flags uint16

const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// Has reports whether all of the bits in f2 are set.
func (f Flags) Has(f2 Flags) bool { return f&f2 == f2 }

// Options says which TCP options a segment carried.
type Options uint16

const (
	OptMSS           Options = 1 << iota // MSS is valid
	OptWScale                            // WScale is valid
	OptSACKPermitted                     // on SYN
	OptSACK                              // SACKLeft, SACKRight hold the first block
	OptTimestamps                        // TSVal, TSEcr are valid
	OptFastOpen                          // option 34, or experimental 254 with magic f989
	OptMPCapable                         // MPTCP subtype 0
	OptMPJoin                            // MPTCP subtype 1
	OptMPDataFIN                         // MPTCP DSS (subtype 2) with the DATA_FIN flag
	OptMPFail                            // MPTCP subtype 6
	OptMPFastClose                       // MPTCP subtype 7
	OptMPReset                           // MPTCP subtype 8, MP_TCPRST
	OptMPOther                           // any other MPTCP subtype, DSS without DATA_FIN included
	OptMD5                               // option 19 (TCP-MD5) or 29 (TCP-AO)
	OptBroken                            // option list malformed or cut: what parsed is still there
)

// Traits are properties of the packet outside its TCP header.
type Traits uint16

const (
	IPv6        Traits = 1 << iota // network layer is IPv6
	HasIPID                        // IPID is valid (IPv4, or an IPv6 fragment header's low 16 bits)
	DontFrag                       // IPv4 DF
	Reassembled                    // rebuilt from IP fragments; Ref is the last fragment's
	SnapCut                        // the capture holds less of the packet than the wire did
	HeaderCut                      // so little that part of the TCP header (its options) is missing
	Inbound                        // EPB flags, cooked packet type or live socket say: received by this host
	Outbound                       // ... sent by this host
	NotToUs                        // cooked packet type 3, or the like: neither
	LengthGuess                    // payload length derived from the captured bytes (IP length 0, TSO, BIG TCP)
	Fragment                       // of IP, one of several; a later packet, Reassembled, may complete a TCP segment. Kind is Other
)

// Packet is one TCP segment, or one ICMP error about a segment, or the note
// that a packet was something else. It is a plain value and holds no
// pointer. For an ICMPError the addresses, ports and Seq are those of the
// quoted segment (so Src is who sent what drew the error), Router is who
// reported it, and TTL, IPID and Link belong to the ICMP packet itself.
type Packet struct {
	Ref  Ref
	Time int64 // nanoseconds since the Unix epoch, UTC

	Src, Dst [16]byte // IPv4 as ::ffff:a.b.c.d
	Router   [16]byte // ICMPError: source of the ICMP message

	Link    uint64    // source MAC in the low 48 bits; 0 where the link type has none
	Seq     uint32    //
	Ack     uint32    // valid only with the ACK flag
	Len     uint32    // payload bytes on the wire (IP length less headers)
	Off     uint32    // captured payload: Batch.Data[Off:Off+CapLen]
	CapLen  uint32    // <= Len; trailing Ethernet padding never counts
	TSVal   uint32    // OptTimestamps
	TSEcr   uint32    //
	SACK    [2]uint32 // OptSACK: left and right edge of the first block
	Encap   uint32    // which VLAN or tunnel: key for Source.Encap; 0 is none
	MPToken uint32    // OptMPJoin on a SYN: the receiver's token, else 0

	SrcPort, DstPort uint16
	Window           uint16 // as on the wire, not scaled
	MSS              uint16 // OptMSS
	IPID             uint16 // HasIPID
	Iface            uint16 // interface number of the capture, over all files and sections
	MTU              uint16 // ICMPError: next-hop MTU of "fragmentation needed" or "packet too big", else 0
	Flags            Flags
	Options          Options
	Traits           Traits

	Kind     Kind
	Problem  Problem // Bad only, else 0
	TTL      uint8   // or IPv6 hop limit
	WScale   uint8   // OptWScale, 0..255 as on the wire (RFC 7323 caps it at 14)
	ICMPType uint8   // ICMPError; IPv6 in Traits tells ICMPv6 from ICMP
	ICMPCode uint8
	Depth    uint8 // IP headers around the innermost one
}

// Has reports whether all of the traits in t are set.
func (p *Packet) Has(t Traits) bool { return p.Traits&t == t }

// Addr is a packet address as netip has it, IPv4 unmapped.
func Addr(a [16]byte) netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Batch is a run of packets in input order and the bytes their payloads lie
// in. The Source that fills a batch reuses both slices: whoever calls Next
// owns the batch until he calls Next with it again.
type Batch struct {
	Packets []Packet
	Data    []byte

	// Now is a moment (ns since the Unix epoch) before which no further
	// packet will be stamped, unless the clock is set back; 0 if the source
	// does not know, as files do not.
	Now int64

	// Slips of all packets, in order, if a Source made use of Lazy, which
	// allows it to leave packets that are simple for [Batch.Packet] to
	// decode; Packets are then the others. Their tags are made with Seed.
	Slips []Slip
	Lazy  bool
	Seed  uint64

	frames []span // of Packets, for a Tap; else empty
}

// Payload is the captured part of p's TCP payload; it aliases the batch.
func (b *Batch) Payload(p *Packet) []byte { return b.Data[p.Off : p.Off+p.CapLen] }

// Source is a stream of packets.
type Source interface {
	// Next refills b, reusing its memory, but for what of it is said to be
	// the caller's choice. It returns io.EOF, and an empty
	// batch, when the input is exhausted; any other error is final too, and
	// names the file, the packet and the remedy. A batch without an error
	// may be empty as well: of a live capture after a while without packets,
	// of files where a filter passed none. A packet that cannot be decoded
	// is no error but a value of Kind Bad.
	Next(b *Batch) error

	// Encap describes an encapsulation key of a packet, such as
	// "vlan 100" or "vxlan 42 in 192.0.2.1 > 192.0.2.2".
	Encap(key uint32) string

	// Inputs tells what has been read so far, one entry per file or standard input.
	Inputs() []Input

	Close() error
}

// Input is what is known of one file (or standard input, or interface).
type Input struct {
	Name        string
	Format      string            // "pcap", "pcapng", "pcap (nanoseconds, big-endian)", ..., "live"
	Compression string            // "", "gzip", "zstd", "lz4"
	Links       []string          // names of its link types, such as "EN10MB"
	Snaplen     uint32            // the largest one any interface declares, 0 if unlimited or unknown
	Packets     uint64            // records read, without those that the filter left out
	Filtered    uint64            // records that the filter left out; a kernel's filter does not count them
	Bytes       uint64            // bytes they hold
	Cut         uint64            // records shorter than the packet was on the wire
	Bad         uint64            // packets of Kind Bad
	BadSamples  []string          // the first few of them: "packet N: cause"
	Backwards   uint64            // records whose time is earlier than the one before
	Drops       uint64            // packets the capturer reports lost (ISB counters, PACKET_STATISTICS)
	Unsupported map[string]uint64 // link types we do not decode, with their packets
	First, Last int64             // earliest and latest packet time; 0 if none
	End         int64             // pcapng statistics block's end time, 0 if none
	Comments    []string          // of sections and packets, the first few
	Outages     []Outage          // when a live interface was down, the last few
	Err         error             // what is wrong with the input, nil if nothing
	Broken      bool              // ... and packets are missing because of it, at the end or all
}
