package story

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// options builds a segment's TCP options in Linux's order (tcp_options_write).
func (c *conn) options(s *segment, sp *spec, own offer) ([]byte, error) {
	var b []byte
	e := &c.ends[s.from]
	order := binary.BigEndian
	if s.flags&syn != 0 && own.mss != 0 {
		b = order.AppendUint16(append(b, 2, 4), uint16(own.mss))
	}
	if s.flags&syn != 0 && own.sack {
		if s.hasTS {
			b = append(b, 4, 2)
		} else {
			b = append(b, 1, 1, 4, 2)
		}
	}
	if s.hasTS {
		if s.flags&syn == 0 || !own.sack {
			b = append(b, 1, 1)
		}
		b = order.AppendUint32(append(b, 8, 10), s.tsval)
		b = order.AppendUint32(b, s.tsecr)
	}
	if s.flags&syn != 0 && own.wscale {
		b = append(b, 1, 3, 3, byte(e.wscale))
	}
	return c.rareOptions(b, s, sp, own)
}

func (c *conn) rareOptions(b []byte, s *segment, sp *spec, own offer) ([]byte, error) {
	if v, ok := sp.values["sack"]; ok && v.text != off {
		blocks, err := c.sackBlocks(v, s.from.other())
		if err != nil {
			return nil, err
		}
		b = append(b, blocks...)
	}
	if v, ok := sp.values["tfo"]; ok {
		cookie, err := hexBytes(v.tok, v.text, 16)
		if err != nil {
			return nil, err
		}
		b = append(append(b, 34, byte(2+len(cookie))), cookie...)
	}
	b = append(b, c.mptcpOption(s, sp, own)...)
	if v, ok := sp.values["opt"]; ok {
		more, err := hexBytes(v.tok, v.text, 40)
		if err != nil {
			return nil, err
		}
		b = append(b, more...)
	}
	for len(b)%4 != 0 {
		b = append(b, 1)
	}
	if len(b) > 40 {
		return nil, sp.tok.fail("drop one, or turn timestamps off with ts=off", "options of %d bytes, where TCP has room for 40", len(b))
	}
	return b, nil
}

// sackBlocks reads 100-200,300-400, relative to the ISN of the data's sender.
func (c *conn) sackBlocks(v value, data side) ([]byte, error) {
	parts := strings.Split(v.text, ",")
	b := []byte{1, 1, 5, byte(2 + 8*len(parts))}
	for _, part := range parts {
		left, right, _ := strings.Cut(part, "-")
		l, err1 := strconv.ParseUint(left, 10, 32)
		r, err2 := strconv.ParseUint(right, 10, 32)
		if err1 != nil || err2 != nil || len(parts) > 4 {
			return nil, v.tok.fail("write sack=100-200,300-400, one to four blocks", "%q are not SACK blocks", v.text)
		}
		isn := c.ends[data].isn
		b = binary.BigEndian.AppendUint32(b, isn+uint32(l))
		b = binary.BigEndian.AppendUint32(b, isn+uint32(r))
	}
	return b, nil
}

// key is an MPTCP key; any will do as long as it is always the same.
func (c *conn) key(s side) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "key %d %d", c.index, s))
	return sum[:8]
}

// mptcpKind is what a segment's MPTCP option is when the line is silent.
func (c *conn) mptcpKind(s *segment, own offer) string {
	switch {
	case s.flags&syn != 0:
		return own.mptcp
	case s.flags&rst != 0 || !c.negotiated(func(o offer) bool { return o.mptcp != "" }):
		return ""
	case s.from == client && !c.ends[client].first:
		return c.offer(client).mptcp // the handshake's third segment
	}
	return "dss"
}

// mptcpOption is an option 30 of RFC 8684 3, its subtype in the upper four
// bits of the third byte.
func (c *conn) mptcpOption(s *segment, sp *spec, own offer) []byte {
	kind := c.mptcpKind(s, own)
	if v, ok := sp.values["mptcp"]; ok {
		kind = v.text
	}
	var b []byte
	switch kind {
	case "capable":
		b = c.capable(s)
	case "join":
		b = c.join(s, sp)
	case "dss", "datafin":
		b = c.dss(s, kind == "datafin")
	case "fail":
		b = append([]byte{6 << 4, 0}, make([]byte, 8)...)
	case "fastclose":
		b = append([]byte{7 << 4, 0}, c.key(s.from.other())...)
	case "reset":
		b = []byte{8 << 4, 0}
	default:
		return nil
	}
	return append([]byte{30, byte(2 + len(b))}, b...)
}

// capable is MP_CAPABLE version 1: no key on a SYN, the server's on the
// SYN-ACK, both behind it.
func (c *conn) capable(s *segment) []byte {
	b := []byte{1, 1}
	if s.flags&(syn|ack) == syn {
		return b
	}
	if s.flags&syn == 0 {
		b = append(b, c.key(s.from)...)
		return append(b, c.key(s.from.other())...)
	}
	return append(b, c.key(s.from)...)
}

// join is MP_JOIN; unless token= says otherwise it names the story's first
// connection by its server's key.
func (c *conn) join(s *segment, sp *spec) []byte {
	b := []byte{1 << 4, 0}
	if s.flags&syn == 0 {
		return append(b, make([]byte, 20)...)
	}
	if s.flags&ack != 0 {
		return append(b, make([]byte, 12)...)
	}
	first := conn{}
	sum := sha256.Sum256(first.key(server))
	token := sp.values.apply("token", binary.BigEndian.Uint32(sum[:]), 0)
	b = binary.BigEndian.AppendUint32(b, token)
	return binary.BigEndian.AppendUint32(b, c.ends[s.from].isn)
}

// dss counts data like the subflow's own bytes, with four-byte numbers.
func (c *conn) dss(s *segment, dataFIN bool) []byte {
	order := binary.BigEndian
	b := []byte{2 << 4, 1}
	b = order.AppendUint32(b, s.ack-c.ends[s.from.other()].isn)
	if len(s.payload) == 0 && !dataFIN {
		return b
	}
	b[1] |= 4
	place := s.seq - c.ends[s.from].isn
	b = order.AppendUint32(b, place)
	length := uint16(len(s.payload))
	if dataFIN {
		b[1] |= 16
		length++ // RFC 8684 3.3.3: the DATA_FIN takes one of the mapping
	}
	if len(s.payload) == 0 {
		place = 0
	}
	b = order.AppendUint32(b, place)
	return order.AppendUint16(b, length)
}
