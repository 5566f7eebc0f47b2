package assembler

// Framing is what one direction's payload shows of the protocol above TCP:
// enough to tell whether the bytes ended at the boundary of a TLS record, an
// HTTP/1.x message or an HTTP/2 frame, and nothing that would keep payload.
// It is fed in sequence order and holds no pointer. The zero value is ready.
//
// A stream that starts as something else is [AppOther] for good: a protocol
// that switches to TLS later (STARTTLS) is not followed.
type Framing struct {
	left  uint64 // payload bytes to come of the current record, frame, body or chunk
	acc   uint64 // header, number or word being read, latest byte lowest
	w     [8]uint32
	n     [6]uint16 // counters, saturating
	flags framingFlags
	state framingState
	proto AppProtocol
	have  uint8 // how much of what acc collects has been read
	kind  uint8 // type of the record or frame, field of the header, being read
	first uint8 // TLS: type of the first record
	last  uint8 // TLS: type of the last complete record
	level uint8 // TLS: last alert in the clear
	code  uint8
}

// AppProtocol is what a direction's first bytes look like.
type AppProtocol uint8

const (
	AppUnknown AppProtocol = iota // no payload, or too little of it to tell
	AppOther                      // none of those below
	AppTLS                        // records of TLS 1.0 to 1.3, or SSL 3
	AppHTTP1                      // requests or responses of HTTP/1.0 or 1.1
	AppHTTP2                      // frames of HTTP/2 without TLS
)

func (p AppProtocol) String() string {
	return [...]string{"unknown", "other", "tls", "http/1.1", "h2"}[p]
}

type framingFlags uint32

const (
	framingDeaf   framingFlags = 1 << iota // nothing more can be learned
	framingLost                            // where the next header stands is not known
	framingMissed                          // bytes of interest were missing at least once
	framingBroken                          // the bytes contradict the protocol
	framingLook                            // payload of the current record or frame is worth reading

	tlsFinished // a handshake record after ChangeCipherSpec
	tlsALPNH2   // ServerHello selects h2 in the clear (TLS 1.2 and before)
	tlsAlerted  // level and code are valid

	httpResponse
	httpClose     // this message: Connection: close
	httpKeepAlive // this message: Connection: keep-alive
	httpUpgrade   // this message: Connection: upgrade
	httpHasLength // this message: Content-Length
	httpChunked   // this message: Transfer-Encoding ends in chunked
	httpUntilFIN  // this message: its body ends with the connection
	httpMinorOne  // this message: HTTP/1.1 or later
	httpTrailer   // behind the last chunk
	httpColon     // a colon in the header line being read
	httpTunnel    // what follows is no HTTP

	h2Debug  // GOAWAY carries debug data
	h2Client // the connection preface was seen
)

const httpPerMessage = httpClose | httpKeepAlive | httpUpgrade | httpHasLength | httpChunked |
	httpUntilFIN | httpMinorOne | httpTrailer | httpColon

type framingState uint8

const (
	atStart framingState = iota // of the stream, or between HTTP messages
	inRecordHeader
	inFrameHeader
	inMethod
	inTarget
	inStatus
	inReason
	atLine
	inEmptyLine
	inName
	inValue
	inOtherLine
	atBody
	inBody
	inChunkSize
	inChunkExtension
	inChunk
	afterChunk
	inPreface
)

// Feed takes the next payload bytes in sequence: seg is what was captured of
// wire bytes (len(seg) <= wire). How a stream is cut into calls makes no
// difference, except that after a loss a segment that holds exactly one TLS
// record puts TLS back into step.
func (f *Framing) Feed(seg []byte, wire uint32) {
	if f.flags&framingDeaf == 0 {
		f.feed(seg[:min(uint64(len(seg)), uint64(wire))], uint64(wire))
	}
}

// Deaf reports whether nothing more can be learned, whatever comes.
func (f *Framing) Deaf() bool { return f.flags&framingDeaf != 0 }

// Skip takes n bytes of the sequence that the capture does not show. Inside a
// record or body whose length is known they only count; elsewhere the framing
// is out of step from here on.
func (f *Framing) Skip(n uint32) {
	if f.flags&framingDeaf == 0 {
		f.feed(nil, uint64(n))
	}
}

func (f *Framing) feed(seg []byte, wire uint64) {
	if f.flags&framingLost != 0 && !f.regainTLS(seg, wire) {
		return
	}
	for wire > 0 {
		if f.left > 0 {
			n := min(f.left, wire)
			got := seg[:min(n, uint64(len(seg)))]
			if f.flags&framingLook != 0 {
				f.look(got, n)
			}
			seg = seg[len(got):]
			wire -= n
			if f.left -= n; f.left == 0 {
				f.end()
			}
			continue
		}
		if len(seg) == 0 {
			if f.state == atBody {
				f.body()
				continue
			}
			f.lose()
			return
		}
		n := f.step(seg)
		seg = seg[n:]
		wire -= uint64(n)
		if f.flags&framingDeaf != 0 {
			return
		}
	}
}

// step reads header bytes from seg, which is not empty, and tells how many it
// took: none only when it turned them into payload, by setting left.
func (f *Framing) step(seg []byte) int {
	switch f.state {
	case inRecordHeader:
		return f.recordHeader(seg)
	case inFrameHeader:
		return f.frameHeader(seg)
	case inPreface:
		return f.preface(seg)
	case atStart:
		if f.proto == AppUnknown {
			return f.detect(seg)
		}
	}
	return f.http(seg)
}

// detect chooses what the first byte of a stream may begin.
func (f *Framing) detect(seg []byte) int {
	switch b := seg[0]; {
	case b >= recordCCS && b <= recordData:
		f.state = inRecordHeader
		return f.recordHeader(seg)
	case b == 0:
		// A server's first frame is SETTINGS (RFC 9113 3.4), never 64 KiB long.
		f.state = inFrameHeader
		return f.frameHeader(seg)
	}
	return f.http(seg)
}

// look reads the payload bytes of interest that got holds; of the n that went
// by, the rest was not captured.
func (f *Framing) look(got []byte, n uint64) {
	if f.proto == AppTLS {
		f.lookTLS(got)
	} else {
		f.lookFrame(got)
	}
	if uint64(len(got)) < n {
		f.flags = f.flags&^framingLook | framingMissed
	}
}

// end closes the record, frame, body or chunk whose payload has all gone by.
func (f *Framing) end() {
	switch f.proto {
	case AppTLS:
		f.endRecord()
	case AppHTTP1:
		if f.state == inChunk {
			f.state = afterChunk
			return
		}
		f.endMessage()
	case AppHTTP2:
		f.endFrame()
	}
}

// refuse takes note that the bytes are not what they were taken for.
func (f *Framing) refuse() {
	f.left, f.acc, f.have = 0, 0, 0
	f.flags |= framingDeaf
	switch {
	case f.proto == AppUnknown:
		f.proto = AppOther
		f.state = atStart
	case f.proto == AppHTTP1 && f.flags&httpResponse == 0 && f.state <= inTarget:
		f.flags |= httpTunnel
	default:
		f.flags |= framingBroken | framingLost | framingMissed
	}
}

// lose takes note that bytes are missing where a header stands.
func (f *Framing) lose() {
	f.left, f.acc, f.have = 0, 0, 0
	f.flags = f.flags&^framingLook | framingLost | framingMissed
	if f.proto != AppTLS {
		f.flags |= framingDeaf
	}
}

// count adds one to a counter that stops at its greatest value.
func (f *Framing) count(i int) {
	if f.n[i] != 1<<16-1 {
		f.n[i]++
	}
}

// Protocol is what the direction's first bytes look like.
func (f *Framing) Protocol() AppProtocol { return f.proto }

// Lost reports whether the framing is out of step at its end: missing bytes
// hid a header, or the bytes broke the protocol's rules. Then AtBoundary and
// what the last record, message or frame was are not known.
func (f *Framing) Lost() bool { return f.flags&framingLost != 0 }

// Missed reports whether bytes of interest were missing anywhere, so that
// counts are lower bounds.
func (f *Framing) Missed() bool { return f.flags&framingMissed != 0 }

// Broken reports whether the bytes contradict the protocol they began as.
func (f *Framing) Broken() bool { return f.flags&framingBroken != 0 }

// AtBoundary reports whether the payload so far ends where a TLS record,
// HTTP/1.x message or HTTP/2 frame ends, or shows none of them. A response
// body that ends with the connection is at no boundary.
func (f *Framing) AtBoundary() bool {
	if f.left > 0 || f.have > 0 {
		return false
	}
	switch f.state {
	case atStart, inRecordHeader, inFrameHeader:
		return true
	}
	return f.flags&httpTunnel != 0
}
