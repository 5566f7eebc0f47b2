package capture

// Problem says why a packet could not be decoded. New ones are added at the
// end of their group; each has a text that completes "packet N: ...".
type Problem uint8

const (
	NoProblem Problem = iota
	LinkTruncated
	LinkUnsupported
	IPTruncated
	IPVersion
	IPHeaderLength
	IPTotalLength
	IPv6Extension
	TCPTruncated
	TCPHeaderLength
	TunnelTruncated
	TooDeep
	FragmentOverlap
	FragmentTimeout
	FragmentLimit
	FragmentLength
	RecordLength
	UnknownInterface
)

var problemTexts = [...]string{
	NoProblem:        "no problem",
	LinkTruncated:    "link header cut short",
	LinkUnsupported:  "link type not supported",
	IPTruncated:      "IP header cut short",
	IPVersion:        "IP version is neither 4 nor 6",
	IPHeaderLength:   "IP header length below 20 bytes or beyond the packet",
	IPTotalLength:    "IP total length below the header's",
	IPv6Extension:    "IPv6 extension header runs past the packet",
	TCPTruncated:     "TCP header cut short before its flags",
	TCPHeaderLength:  "TCP data offset below 20 bytes or beyond the segment",
	TunnelTruncated:  "tunnel header cut short",
	TooDeep:          "more nested headers than any real packet has",
	FragmentOverlap:  "IP fragments overlap (RFC 5722)",
	FragmentTimeout:  "IP fragments never completed",
	FragmentLimit:    "too many IP fragments pending",
	RecordLength:     "record length does not fit the file",
	UnknownInterface: "belongs to an interface that the file does not describe",
}

// String is the cause as it stands after "file: packet N: ".
func (p Problem) String() string {
	if int(p) < len(problemTexts) {
		return problemTexts[p]
	}
	return "unknown problem"
}
