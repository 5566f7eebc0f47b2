package story

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// attribute describes one word of the form name, name=value.
type attribute struct {
	name   string
	usage  string   // what to write, shown with every error about it
	bare   bool     // may stand without a value
	number bool     // takes a number from 0 to max
	signed bool     // ... or one with a sign, relative to what would be sent
	free   bool     // takes any text
	max    int64    //
	words  []string // takes one of these words
}

// value is what a line gave an attribute.
type value struct {
	tok      token
	text     string
	n        int64
	isNumber bool
	relative bool
}

// values are a line's attributes by name.
type values map[string]value

func (v values) has(name string) bool { _, ok := v[name]; return ok }

// is reports whether the attribute was given with this word as its value.
func (v values) is(name, word string) bool {
	got, ok := v[name]
	return ok && !got.isNumber && got.text == word
}

// apply gives what a field is to be when it would be def, counting from zero
// for a number without a sign.
func (v values) apply(name string, def, zero uint32) uint32 {
	got, ok := v[name]
	switch {
	case !ok || !got.isNumber:
		return def
	case got.relative:
		return def + uint32(got.n)
	}
	return zero + uint32(got.n)
}

const on, off = "on", "off"

func onOff() []string { return []string{on, off} }

var endAttributes = []attribute{
	{name: "ttl", number: true, max: 255, usage: "ttl=64, the TTL or hop limit"},
	{name: "id", number: true, max: 65535, usage: "id=1000, the first IP ID"},
	{name: "idstep", number: true, max: 65535, words: []string{"random"}, usage: "idstep=1, by how much the IP ID grows with each packet, 0 or random"},
	{name: "isn", number: true, max: 1<<32 - 1, usage: "isn=4294967290, the initial sequence number"},
	{name: "mss", number: true, max: 65535, words: []string{off}, usage: "mss=1460 or mss=off"},
	{name: "wscale", number: true, max: 255, words: []string{off}, usage: "wscale=7 or wscale=off"},
	{name: "window", number: true, max: 1 << 30, usage: "window=64240, in bytes; packets have win=, the header's field"},
	{name: "sack", words: onOff(), usage: "sack=on or sack=off"},
	{name: "ts", words: onOff(), usage: "ts=on or ts=off"},
	{name: "tsval", number: true, max: 1<<32 - 1, usage: "tsval=100000, the timestamp clock (ms) at the story's start"},
	{name: "mptcp", words: []string{off, "capable", "join"}, usage: "mptcp=capable, mptcp=join or mptcp=off"},
	{name: "mac", free: true, usage: "mac=02:00:00:00:00:01"},
	{name: "vlan", free: true, usage: "vlan=10, vlan=10,20 or vlan=off"},
}

var packetAttributes = []attribute{
	{name: "seq", number: true, signed: true, max: 1<<32 - 1, usage: "seq=1 (relative to the ISN) or seq=+100 or seq=-1 (relative to the next)"},
	{name: "ack", number: true, signed: true, max: 1<<32 - 1, usage: "ack=1 (relative to the peer's ISN) or ack=+100 or ack=-1 (relative to what was received)"},
	{name: "win", number: true, signed: true, max: 65535, usage: "win=0, the header's field"},
	{name: "ttl", number: true, signed: true, max: 255, usage: "ttl=57 or ttl=-7"},
	{name: "id", number: true, signed: true, max: 65535, usage: "id=0 or id=+500"},
	{name: "urg", number: true, max: 65535, usage: "urg=1, the urgent pointer"},
	{name: "len", number: true, max: 65535, usage: "len=100, bytes of payload"},
	{name: "cut", number: true, max: 65535, usage: "cut=60, bytes captured from the link header on"},
	{name: "ts", words: onOff(), usage: "ts=on or ts=off"},
	{name: "tsval", number: true, signed: true, max: 1<<32 - 1, usage: "tsval=1 or tsval=-1000"},
	{name: "tsecr", number: true, signed: true, max: 1<<32 - 1, usage: "tsecr=0 or tsecr=-1000"},
	{name: "mss", number: true, max: 65535, words: []string{off}, usage: "mss=1460 or mss=off"},
	{name: "wscale", number: true, max: 255, words: []string{off}, usage: "wscale=7 or wscale=off"},
	{name: "sack", free: true, usage: "sack=100-200,300-400 (relative to the peer's ISN), or sack=off on a SYN"},
	{name: "mptcp", words: []string{off, "capable", "join", "dss", "datafin", "fail", "fastclose", "reset"}, usage: "mptcp=capable|join|dss|datafin|fail|fastclose|reset|off"},
	{name: "token", number: true, max: 1<<32 - 1, usage: "token=305419896, of mptcp=join on a SYN"},
	{name: "tfo", bare: true, free: true, usage: "tfo (asks for a cookie) or tfo=0102030405060708"},
	{name: "opt", free: true, usage: "opt=hex of raw TCP options"},
	{name: "mac", free: true, usage: "mac=02:00:00:00:00:01, the source's"},
	{name: "vlan", free: true, usage: "vlan=10, vlan=10,20 or vlan=off"},
	{name: "iface", number: true, max: 1<<31 - 1, usage: "iface=3, with link sll2"},
	{name: "to", free: true, usage: "to=#label, the packet it answers"},
	{name: "crossed", bare: true, number: true, max: 1000, usage: "crossed, or crossed=2: sent before the peer's last two packets arrived"},
	{name: "last", bare: true, usage: "rexmit last: the newest segment, not the oldest"},
	{name: "lost", bare: true, usage: "lost: captured, but never delivered"},
	{name: "uncaptured", bare: true, usage: "uncaptured: on the wire, but not in the capture"},
	{name: "forged", bare: true, usage: "forged: sent by something else in the sender's name"},
	{name: "badsum", bare: true, usage: "badsum: wrong TCP checksum"},
	{name: "pad", bare: true, usage: "pad: Ethernet padding to 60 bytes"},
}

var copyAttributes = []attribute{
	{name: "of", free: true, usage: "of=#label, the packet to repeat"},
	{name: "ttl", number: true, signed: true, max: 255, usage: "ttl=63 or ttl=-1"},
	{name: "mac", free: true, usage: "mac=02:00:00:00:00:01, the source's"},
	{name: "vlan", free: true, usage: "vlan=10, vlan=10,20 or vlan=off"},
	{name: "iface", number: true, max: 1<<31 - 1, usage: "iface=3, with link sll2"},
	{name: "nat", free: true, usage: "nat=198.51.100.1:50000, the client's address behind a translator"},
	{name: "cut", number: true, max: 65535, usage: "cut=60, bytes captured from the link header on"},
}

var icmpAttributes = []attribute{
	{name: "to", free: true, usage: "to=#label, the packet it quotes"},
	{name: "mtu", number: true, max: 65535, usage: "mtu=1400, the next hop's"},
	{name: "quote", number: true, max: 1500, usage: "quote=28, bytes of the IP packet that it quotes"},
	{name: "ttl", number: true, signed: true, max: 255, usage: "ttl=64"},
	{name: "id", number: true, signed: true, max: 65535, usage: "id=1, IPv4 only"},
}

// attributes reads the rest of a line, each word of which must be one of defs.
func attributes(cur *cursor, defs []attribute) (values, error) {
	got := values{}
	for cur.more() {
		if err := got.add(cur.next(), defs); err != nil {
			return nil, err
		}
	}
	return got, nil
}

func (v values) add(tok token, defs []attribute) error {
	name, text, given := strings.Cut(tok.text, "=")
	i := slices.IndexFunc(defs, func(d attribute) bool { return d.name == name })
	if i < 0 || tok.quoted {
		return unknownAttribute(tok, name, defs)
	}
	if v.has(name) {
		return tok.fail("keep one", "%s given twice", name)
	}
	got, err := defs[i].parse(tok, text, given)
	if err != nil {
		return err
	}
	v[name] = got
	return nil
}

func unknownAttribute(tok token, name string, defs []attribute) error {
	var names []string
	for _, d := range defs {
		names = append(names, d.name)
	}
	remedy := "known here: " + strings.Join(names, ", ")
	if near := nearest(name, names); near != "" {
		i := slices.IndexFunc(defs, func(d attribute) bool { return d.name == near })
		remedy = "did you mean " + defs[i].usage
	} else if strings.HasPrefix(name, "#") {
		remedy = "a label ends the line, and a comment starts with //"
	}
	return tok.fail(remedy, "unknown word %q", tok.text)
}

func (d attribute) parse(tok token, text string, given bool) (value, error) {
	got := value{tok: tok, text: text}
	wrong := tok.fail("write "+d.usage, "%q does not fit", tok.text)
	if !given {
		if d.bare {
			return got, nil
		}
		return got, wrong
	}
	if slices.Contains(d.words, text) || d.free && text != "" {
		return got, nil
	}
	if !d.number || text == "" {
		return got, wrong
	}
	got.isNumber = true
	got.relative = text[0] == '+' || text[0] == '-'
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n > d.max || n < -d.max || got.relative && !d.signed {
		return got, wrong
	}
	got.n = n
	return got, nil
}

// hexBytes decodes the value of an attribute such as opt=0101.
func hexBytes(tok token, text string, limit int) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) > limit {
		return nil, tok.fail(fmt.Sprintf("write two hexadecimal digits a byte, at most %d bytes", limit), "%q is not hexadecimal, or too long", text)
	}
	return b, nil
}
