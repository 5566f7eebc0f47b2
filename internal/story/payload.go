package story

import (
	"strconv"
	"strings"
)

// maxPayload leaves room for the headers in IPv4's 65535 bytes.
const maxPayload = 65535 - 20 - 60

// payload is what a segment carries: pieces of given bytes and of filler.
type payload struct {
	pieces []piece
	size   int
}

type piece struct {
	bytes  []byte
	filler int // so many bytes of filler, when bytes is nil
}

func (p *payload) add(x piece) {
	p.pieces = append(p.pieces, x)
	p.size += len(x.bytes) + x.filler
}

// bytes is the content when it starts at the given place in the stream.
// Filler follows the place, so that a retransmission carries the same bytes
// however it is cut.
func (p *payload) bytes(place uint32) []byte {
	var b []byte
	for _, x := range p.pieces {
		b = append(b, x.bytes...)
		for range x.filler {
			b = append(b, 'a'+byte((place+uint32(len(b)))%26))
		}
	}
	return b
}

// parse adds a token such as "GET /", hex:1503 or tls:23:19; ok is false if
// the token is no payload.
func (p *payload) parse(tok token) (ok bool, err error) {
	if tok.quoted {
		p.add(piece{bytes: []byte(tok.text)})
		return true, nil
	}
	kind, rest, _ := strings.Cut(tok.text, ":")
	switch kind {
	case "hex":
		b, err := hexBytes(tok, rest, maxPayload)
		if err == nil {
			p.add(piece{bytes: b})
		}
		return true, err
	case "tls":
		return true, p.record(tok, rest)
	}
	return false, nil
}

// record adds a TLS record, RFC 8446 5.1: type, version, length, filler.
func (p *payload) record(tok token, rest string) error {
	kind, length, _ := strings.Cut(rest, ":")
	k, err1 := strconv.ParseUint(kind, 10, 8)
	n, err2 := strconv.ParseUint(length, 10, 15)
	if err1 != nil || err2 != nil {
		return tok.fail("write tls:23:100, the record's type and the bytes behind its header (at most 32767)", "%q is not a TLS record", tok.text)
	}
	p.add(piece{bytes: []byte{byte(k), 3, 3, byte(n >> 8), byte(n)}})
	p.add(piece{filler: int(n)})
	return nil
}

// fill applies len=.
func (p *payload) fill(v values) error {
	got, ok := v["len"]
	if !ok {
		return nil
	}
	if int(got.n) < p.size {
		return got.tok.fail("leave it out, or give the payload's whole length", "the payload has %d bytes already", p.size)
	}
	p.add(piece{filler: int(got.n) - p.size})
	return nil
}
