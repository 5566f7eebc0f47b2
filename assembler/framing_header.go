package assembler

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The header fields that frame a message.
const (
	fieldContentLength = iota
	fieldConnection
	fieldTransferEncoding
	numFields
)

func fieldName(i int) string {
	return [numFields]string{"content-length", "connection", "transfer-encoding"}[i]
}

// lineByte takes the first byte of a header line.
func (f *Framing) lineByte(b byte) {
	f.inTrailer(1)
	switch b {
	case '\n':
		f.endHeader()
	case '\r':
		f.state = inEmptyLine
	case ':':
		f.flags |= httpColon
		f.state = inOtherLine
	case 'c', 'C', 't', 'T':
		if f.flags&httpTrailer != 0 {
			f.state = inOtherLine
			return
		}
		f.state, f.kind, f.have = inName, 1<<numFields-1, 0
		f.nameByte(b)
	default:
		f.state = inOtherLine
	}
}

// nextLine begins another line of the header.
func (f *Framing) nextLine() {
	f.state, f.acc, f.have = atLine, 0, 0
	f.flags &^= httpColon
}

// nameByte strikes from the candidates in kind those that b, at place have,
// rules out.
func (f *Framing) nameByte(b byte) {
	switch b {
	case '\n':
		f.nextLine()
		return
	case ':':
		f.flags |= httpColon
	}
	for i := range numFields {
		name := fieldName(i)
		switch {
		case f.kind&(1<<i) == 0:
		case b == ':' && int(f.have) == len(name):
			f.state, f.kind, f.acc, f.have = inValue, uint8(i), 0, 0
			return
		case int(f.have) >= len(name) || lower(b) != name[f.have]:
			f.kind &^= 1 << i
		}
	}
	f.have++
	if f.kind == 0 {
		f.state = inOtherLine
	}
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}

func (f *Framing) valueByte(b byte) {
	switch f.kind {
	case fieldContentLength:
		f.lengthByte(b)
	case fieldConnection:
		f.connectionByte(b)
	default:
		f.encodingByte(b)
	}
}

// lengthByte reads digits into acc. have is 0 before them, 1 among them, 2 behind.
func (f *Framing) lengthByte(b byte) {
	switch {
	case b == '\n' && f.have > 0:
		if f.flags&httpHasLength != 0 && f.length() != f.acc {
			f.refuse() // RFC 9112 6.3: differing lengths are an error, and an attack
			return
		}
		f.flags |= httpHasLength
		f.setLength(f.acc)
		f.nextLine()
	case b == ' ' || b == '\t' || b == '\r':
		if f.have == 1 {
			f.have = 2
		}
	case b >= '0' && b <= '9' && f.have < 2 && f.acc <= (math.MaxInt64-9)/10:
		f.acc = f.acc*10 + uint64(b-'0')
		f.have = 1
	default:
		f.refuse()
	}
}

// connectionByte reads a list of tokens; acc holds the last eight bytes of
// the present one, have how many there were.
func (f *Framing) connectionByte(b byte) {
	switch b {
	case ' ', '\t', '\r':
		return
	case ',', '\n':
		switch {
		case f.have == 5 && f.acc == wordClose:
			f.flags |= httpClose
		case f.have == 7 && f.acc == wordUpgrade:
			f.flags |= httpUpgrade
		case f.have == 10 && f.acc == wordAlive:
			f.flags |= httpKeepAlive
		}
		f.acc, f.have = 0, 0
		if b == '\n' {
			f.nextLine()
		}
		return
	}
	f.acc = f.acc<<8 | uint64(lower(b))
	if f.have < math.MaxUint8 {
		f.have++
	}
}

// encodingByte looks for a list of codings that ends in chunked.
func (f *Framing) encodingByte(b byte) {
	switch b {
	case ' ', '\t', '\r':
	case '\n':
		if f.acc&(1<<56-1) == wordChunked {
			f.flags |= httpChunked
		}
		f.nextLine()
	default:
		f.acc = f.acc<<8 | uint64(lower(b))
	}
}

// HTTPPhase is where in an HTTP/1.x message the payload ends.
type HTTPPhase uint8

const (
	HTTPBetween   HTTPPhase = iota // between messages
	HTTPStartLine                  // in a request or status line
	HTTPHeader                     // in the header, or between it and the empty line that ends it
	HTTPBody                       // in the body
	HTTPTrailer                    // behind the last chunk, before the empty line
	HTTPTunnel                     // behind an upgrade or CONNECT
)

// HTTPBodyKind is how the end of a message's body is known.
type HTTPBodyKind uint8

const (
	BodyNone     HTTPBodyKind = iota // no body, or not known yet
	BodyLength                       // Content-Length
	BodyChunked                      // Transfer-Encoding: chunked
	BodyUntilFIN                     // a response that ends with the connection
)

// HTTPState is what one direction shows of HTTP/1.x.
type HTTPState struct {
	Response  bool   // status lines; false: request lines
	Messages  uint16 // whose start line is complete, interim responses left out; saturates
	Complete  uint16 // of these, how many ended; one with BodyUntilFIN never does
	Interim   uint16 // responses 100 to 199, 101 left out, that no final one has followed yet
	Phase     HTTPPhase
	Status    uint16       // of the last status line
	Body      HTTPBodyKind // of the message being read, or the last
	Length    uint64       // BodyLength: bytes declared
	Remaining uint64       // HTTPBody: bytes missing of the body (BodyLength) or of the current chunk (BodyChunked)
	InLine    bool         // HTTPHeader, HTTPTrailer: a line is incomplete
	Colon     bool         // ... and has its colon
	Trailer   uint8        // HTTPTrailer: bytes behind the last chunk's line, 2 for two and more
	InChunk   bool         // HTTPBody, BodyChunked: inside a chunk, not in a size or line end
	Close     bool         // the message ends the connection: Connection: close, or HTTP/1.0 without keep-alive
	Upgrade   bool         // the message said Connection: upgrade
}

// HTTP tells what the direction shows if Protocol is AppHTTP1. The response
// to a HEAD looks like one whose body is missing entirely until the next
// response comes; [Framing.Method] of the other direction tells.
func (f *Framing) HTTP() HTTPState {
	h := HTTPState{
		Response: f.flags&httpResponse != 0, Messages: f.n[nMessages], Complete: f.n[nComplete], Interim: f.n[nInterim],
		Status: uint16(f.w[wStatus]), Phase: f.httpPhase(), Remaining: f.left,
		Close:   f.flags&httpClose != 0 || f.flags&(httpMinorOne|httpKeepAlive) == 0,
		Upgrade: f.flags&httpUpgrade != 0, InChunk: f.state == inChunk, Colon: f.flags&httpColon != 0,
	}
	switch {
	case f.flags&httpChunked != 0:
		h.Body = BodyChunked
	case f.flags&httpHasLength != 0:
		h.Body, h.Length = BodyLength, f.length()
	case f.flags&httpUntilFIN != 0:
		h.Body, h.Remaining = BodyUntilFIN, 0
	}
	switch h.Phase {
	case HTTPTrailer:
		h.Trailer = uint8(f.w[wTrailer])
		fallthrough
	case HTTPHeader:
		h.InLine = f.state != atLine
	}
	if f.state == atBody && h.Body == BodyLength {
		h.Remaining = f.bodyLeft()
	}
	return h
}

func (f *Framing) httpPhase() HTTPPhase {
	if f.flags&httpTunnel != 0 {
		return HTTPTunnel
	}
	switch f.state {
	case atStart:
		return HTTPBetween
	case inMethod, inTarget, inStatus, inReason:
		return HTTPStartLine
	case atLine, inEmptyLine, inName, inValue, inOtherLine:
		if f.flags&httpTrailer != 0 {
			return HTTPTrailer
		}
		return HTTPHeader
	}
	return HTTPBody
}

// PartialStatus is what there is of a status line that ends before its three
// digits do, or of what may become one; "" if that is not where the payload ends.
func (f *Framing) PartialStatus() string {
	switch {
	case f.state == inMethod && f.have <= 8 && (f.proto == AppUnknown || f.flags&httpResponse != 0):
		b := binary.BigEndian.AppendUint64(nil, f.acc)
		return string(b[8-f.have:])
	case f.state != inStatus:
		return ""
	case f.have <= 7:
		return "HTTP/1."[:f.have]
	}
	line := "HTTP/1." + string(rune(f.w[wLine]))
	if f.have > 8 {
		line += " "
	}
	if f.have > 9 {
		line += fmt.Sprintf("%0*d", f.have-9, f.acc)
	}
	return line
}

// Method is that of request i of this direction, from 0; MethodOther for one
// not seen, or longer ago than the last 16.
func (f *Framing) Method(i int) HTTPMethod {
	seen := int(f.n[nMessages])
	if f.proto != AppHTTP1 || f.flags&httpResponse != 0 || i < 0 || i >= seen || seen-i > 16 || seen == math.MaxUint16 {
		return MethodOther
	}
	return HTTPMethod(f.w[wMethods] >> (2 * (i % 16)) & 3)
}
