package assembler

import (
	"bytes"
	"math"
	"strings"
)

// HTTP/1's use of Framing.w and Framing.n.
const (
	wStatus   = iota // of the last response
	wMethods         // the last 16 requests, two bits each, by number modulo 16
	wLine            // bytes of the request line so far
	wLengthLo        // Content-Length of this message
	wLengthHi
	wChunks  // chunks of this message, saturating at 2
	wTrailer // bytes behind the last chunk, saturating at 2
)

const (
	nMessages = iota
	nComplete
	nInterim
)

const (
	maxMethod = 24      // longest of the IANA method registry is UPDATEREDIRECTREF, 17
	maxTarget = 1 << 16 // longer lines than that are refused by all common servers
)

// HTTPMethod is what a request's method means for its response's body, and
// for whether net/http sends it again.
type HTTPMethod uint8

const (
	MethodOther      HTTPMethod = iota // POST, PUT, DELETE and all that are not below
	MethodReplayable                   // GET, OPTIONS, TRACE: net/http repeats them on another connection
	MethodHead                         // the same, and the response has no body
	MethodConnect                      // a tunnel follows a 2xx response
)

// Methods as acc holds them: the last eight letters.
const (
	wordGET     = 'G'<<16 | 'E'<<8 | 'T'
	wordHEAD    = 'H'<<24 | 'E'<<16 | 'A'<<8 | 'D'
	wordHTTP    = 'H'<<24 | 'T'<<16 | 'T'<<8 | 'P'
	wordOPTIONS = 'O'<<48 | 'P'<<40 | 'T'<<32 | 'I'<<24 | 'O'<<16 | 'N'<<8 | 'S'
	wordTRACE   = 'T'<<32 | 'R'<<24 | 'A'<<16 | 'C'<<8 | 'E'
	wordCONNECT = 'C'<<48 | 'O'<<40 | 'N'<<32 | 'N'<<24 | 'E'<<16 | 'C'<<8 | 'T'
	wordPRI     = 'P'<<16 | 'R'<<8 | 'I'
	wordVersion = 'H'<<48 | 'T'<<40 | 'T'<<32 | 'P'<<24 | '/'<<16 | '1'<<8 | '.'
	wordHTTP20  = 'H'<<56 | 'T'<<48 | 'T'<<40 | 'P'<<32 | '/'<<24 | '2'<<16 | '.'<<8 | '0'
	wordClose   = 'c'<<32 | 'l'<<24 | 'o'<<16 | 's'<<8 | 'e'
	wordUpgrade = 'u'<<48 | 'p'<<40 | 'g'<<32 | 'r'<<24 | 'a'<<16 | 'd'<<8 | 'e'
	wordAlive   = 'e'<<56 | 'p'<<48 | '-'<<40 | 'a'<<32 | 'l'<<24 | 'i'<<16 | 'v'<<8 | 'e'
	wordChunked = 'c'<<48 | 'h'<<40 | 'u'<<32 | 'n'<<24 | 'k'<<16 | 'e'<<8 | 'd'
)

// http reads start lines, headers and chunk sizes, and stops where payload
// begins or the protocol turns out to be another.
func (f *Framing) http(seg []byte) int {
	for i := 0; i < len(seg); {
		switch f.state {
		case inReason, inOtherLine, inChunkExtension:
			n := bytes.IndexByte(seg[i:], '\n')
			if n < 0 {
				f.restOfLine(seg[i:])
				return len(seg)
			}
			i += n + 1
			f.endLine()
		case atBody:
			if !f.responseAgain(seg[i]) {
				f.body()
				return i
			}
			i++
		default:
			f.httpByte(seg[i])
			i++
		}
		if f.left > 0 || f.flags&framingDeaf != 0 || f.state == inPreface {
			return i
		}
	}
	return len(seg)
}

func (f *Framing) httpByte(b byte) {
	switch f.state {
	case atStart:
		f.startByte(b)
	case inMethod:
		f.methodByte(b)
	case inTarget:
		f.targetByte(b)
	case inStatus:
		f.statusByte(b)
	case atLine:
		f.lineByte(b)
	case inEmptyLine:
		if b != '\n' {
			f.refuse()
			return
		}
		f.endHeader()
	case inName:
		f.nameByte(b)
	case inValue:
		f.valueByte(b)
	case inChunkSize:
		f.chunkSizeByte(b)
	case afterChunk:
		f.afterChunkByte(b)
	}
}

// restOfLine takes bytes of a line whose end is not among them.
func (f *Framing) restOfLine(b []byte) {
	if f.state != inOtherLine {
		return
	}
	if bytes.IndexByte(b, ':') >= 0 {
		f.flags |= httpColon
	}
	f.inTrailer(len(b))
}

// inTrailer counts bytes behind the last chunk.
func (f *Framing) inTrailer(n int) {
	if f.flags&httpTrailer != 0 {
		f.w[wTrailer] = min(2, f.w[wTrailer]+uint32(min(n, 2)))
	}
}

// endLine follows a line whose rest was of no interest.
func (f *Framing) endLine() {
	switch f.state {
	case inReason:
		f.startLine()
	case inChunkExtension:
		f.chunk()
	default:
		f.inTrailer(2)
		f.nextLine()
	}
}

// isToken reports whether b may stand in a method (RFC 9110 5.6.2).
func isToken(b byte) bool {
	switch {
	case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b >= '0' && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func (f *Framing) startByte(b byte) {
	switch {
	case isToken(b):
		f.state, f.acc, f.have = inMethod, uint64(b), 1
	case (b == '\r' || b == '\n') && f.proto == AppHTTP1 && f.flags&httpResponse == 0:
		// RFC 9112 2.2: an empty line before a request is ignored.
	default:
		f.refuse()
	}
}

func (f *Framing) methodByte(b byte) {
	response := f.proto == AppHTTP1 && f.flags&httpResponse != 0
	switch {
	case isToken(b) && f.have < maxMethod:
		f.acc = f.acc<<8 | uint64(b)
		f.have++
	case b == ' ' && !response:
		f.kind = uint8(MethodOther)
		switch f.acc {
		case wordGET, wordOPTIONS, wordTRACE:
			f.kind = uint8(MethodReplayable)
		case wordHEAD:
			f.kind = uint8(MethodHead)
		case wordCONNECT:
			f.kind = uint8(MethodConnect)
		case wordPRI:
			f.kind = methodPRI
		}
		f.state, f.acc, f.w[wLine] = inTarget, 0, 0
	case b == '/' && f.acc == wordHTTP && f.have == 4 && (f.proto == AppUnknown || response):
		f.state, f.have = inStatus, 5
	default:
		f.refuse()
	}
}

// methodPRI begins the connection preface of HTTP/2 (RFC 9113 3.4).
const methodPRI = 255

// targetByte keeps the last eight bytes of the request line: at its end they
// are the version.
func (f *Framing) targetByte(b byte) {
	switch {
	case b == '\r':
	case b != '\n':
		f.acc = f.acc<<8 | uint64(b)
		if f.w[wLine]++; f.w[wLine] > maxTarget {
			f.refuse()
		}
	case f.acc>>8 == wordVersion && f.kind != methodPRI:
		f.startLine()
	case f.acc == wordHTTP20 && f.kind == methodPRI:
		f.state, f.have = inPreface, 0
	default:
		f.refuse()
	}
}

// statusByte reads HTTP/1.x and the three digits of the status; have is the
// place of b in the line.
func (f *Framing) statusByte(b byte) {
	digit := b >= '0' && b <= '9'
	ok := digit
	switch f.have {
	case 5:
		ok = b == '1'
	case 6:
		ok = b == '.'
	case 7:
		f.w[wLine] = uint32(b)
	case 8:
		ok = b == ' '
		f.acc = 0
	default:
		f.acc = f.acc*10 + uint64(b-'0')
	}
	if !ok {
		f.refuse()
		return
	}
	if f.have == 6 {
		f.proto = AppHTTP1
		f.flags |= httpResponse
	}
	if f.have++; f.have == 12 {
		f.w[wStatus] = uint32(f.acc)
		f.state = inReason
	}
}

// startLine opens a message whose start line is complete.
func (f *Framing) startLine() {
	f.proto = AppHTTP1
	f.flags &^= httpPerMessage
	f.state, f.w[wChunks], f.w[wTrailer] = atLine, 0, 0
	if f.flags&httpResponse != 0 {
		if f.w[wLine] > '0' {
			f.flags |= httpMinorOne
		}
		if f.w[wStatus] >= 200 || f.w[wStatus] == 101 {
			f.count(nMessages)
			f.n[nInterim] = 0
		}
	} else {
		if f.acc&0xff > '0' {
			f.flags |= httpMinorOne
		}
		shift := 2 * (f.n[nMessages] % 16)
		f.w[wMethods] = f.w[wMethods]&^(3<<shift) | uint32(f.kind)<<shift
		f.count(nMessages)
	}
	f.acc, f.have = 0, 0
}

// endHeader decides how the message's body is framed (RFC 9112 6.3).
func (f *Framing) endHeader() {
	f.acc, f.have = 0, 0
	f.flags &^= httpColon
	response := f.flags&httpResponse != 0
	switch status := f.w[wStatus]; {
	case f.flags&httpTrailer != 0:
		f.endMessage()
		return
	case response && status == 101:
		f.count(nComplete)
		f.flags |= httpTunnel | framingDeaf
		return
	case response && status < 200:
		f.count(nInterim)
		f.state = atStart
		return
	case response && (status == 204 || status == 304):
		f.endMessage()
		return
	}
	switch {
	case f.flags&httpChunked != 0:
		f.state = inChunkSize
	case f.flags&httpHasLength != 0 && f.length() == 0:
		f.endMessage()
	case f.flags&httpHasLength != 0:
		f.state = atBody
	case response:
		f.flags |= httpUntilFIN
		f.state = atBody
	default:
		f.endMessage()
	}
}

func (f *Framing) length() uint64 {
	return uint64(f.w[wLengthHi])<<32 | uint64(f.w[wLengthLo])
}

func (f *Framing) setLength(n uint64) {
	f.w[wLengthLo], f.w[wLengthHi] = uint32(n), uint32(n>>32)
}

// bodyLeft is how much of a body is to come while state is atBody.
func (f *Framing) bodyLeft() uint64 {
	if f.flags&httpUntilFIN != 0 {
		return math.MaxUint64
	}
	return f.length() - uint64(f.have)
}

// body turns what is to come into payload.
func (f *Framing) body() {
	f.left = f.bodyLeft()
	f.state, f.have = inBody, 0
}

// responseAgain reports whether b, at the beginning of a body, goes on to
// spell HTTP/1., and takes it if so. This direction does not show that the
// request was HEAD, whose response has the header of a body and no body: a
// second status line where the body should be tells.
func (f *Framing) responseAgain(b byte) bool {
	const again = "HTTP/1."
	if f.flags&httpResponse == 0 || b != again[f.have] {
		return false
	}
	f.have++
	switch {
	case int(f.have) == len(again):
		f.count(nComplete)
		f.state = inStatus
	case f.flags&httpUntilFIN == 0 && uint64(f.have) == f.length():
		f.endMessage()
	}
	return true
}

// endMessage counts a message that is complete.
func (f *Framing) endMessage() {
	f.count(nComplete)
	f.state, f.acc, f.have = atStart, 0, 0
}
