package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// encapKind is one way to put a frame or an IP packet into another.
type encapKind uint8

const (
	inVLAN encapKind = iota
	inMPLS
	inPPPoE
	inBackbone
	in4in4
	in6in4
	in4in6
	in6in6
	inGRE
	inPPTP
	inEoIP
	inERSPAN
	inVXLAN
	inGeneve
	inGTP
	inTeredo
	inEtherIP
	inL2
)

// encapKinds tells how each kind is named, whether it lies between two IP
// hosts, and whether its identifier is the same in both directions of a
// connection: only then may it be part of the key. MPLS labels and GTP
// tunnel endpoints belong to one direction by definition (RFC 3031 2.1, 3GPP
// TS 29.281 5.1), and so does a PPTP call (RFC 2637 4.1).
var encapKinds = [...]struct {
	name   string
	hosts  bool
	shared bool
}{
	inVLAN:     {"vlan", false, true},
	inMPLS:     {"mpls", false, false},
	inPPPoE:    {"pppoe", false, true},
	inBackbone: {"802.1ah", false, true},
	in4in4:     {"ipip", true, false},
	in6in4:     {"6in4", true, false},
	in4in6:     {"4in6", true, false},
	in6in6:     {"6in6", true, false},
	inGRE:      {"gre", true, true},
	inPPTP:     {"pptp", true, false},
	inEoIP:     {"eoip", true, true},
	inERSPAN:   {"erspan", true, true},
	inVXLAN:    {"vxlan", true, true},
	inGeneve:   {"geneve", true, true},
	inGTP:      {"gtp", true, false},
	inTeredo:   {"teredo", true, false},
	inEtherIP:  {"etherip", true, false},
	inL2:       {"ethernet", true, false},
}

// noID stands for an encapsulation without identifier.
const noID = -1

// maxNested is how many encapsulations of one packet are described; all of
// them count for the key.
const maxNested = 8

// encapStack is what a walk has passed so far. The first n layers, outermost
// first, are in decoder.passed, so that a walk is cheap to set up.
type encapStack struct {
	hash uint64
	n    uint8
}

type nesting struct {
	kind  encapKind
	v6    bool
	addrs uint32 // as walk.addrs
	id    int64  // noID if none
}

// enter notes that what follows lies inside an encapsulation. For those
// between hosts it is the IP header last met that carries it.
func (w *walk) enter(kind encapKind, id int64) {
	s := &w.nested
	s.hash = mix(s.hash ^ uint64(kind+1))
	if encapKinds[kind].shared {
		s.hash = mix(s.hash ^ uint64(id))
	}
	if encapKinds[kind].hosts {
		s.hash = mix(s.hash ^ w.hostPair())
	}
	if s.n < maxNested {
		w.d.passed[s.n] = nesting{kind: kind, v6: w.v6, addrs: w.addrs, id: id}
		s.n++
	}
}

// hostPair hashes the addresses of the IP header last met so that both
// directions give the same.
func (w *walk) hostPair() uint64 {
	h := w.b.Data[w.addrs:]
	if w.v6 {
		return mix(binary.BigEndian.Uint64(h)^mix(binary.BigEndian.Uint64(h[8:]))) +
			mix(binary.BigEndian.Uint64(h[16:])^mix(binary.BigEndian.Uint64(h[24:])))
	}
	return mix(uint64(binary.BigEndian.Uint32(h))) + mix(uint64(binary.BigEndian.Uint32(h[4:])))
}

// mix scrambles the bits of x (an odd multiplier between two folds).
func mix(x uint64) uint64 {
	x = (x ^ x>>32) * 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// key is the stack's Packet.Encap: 0 for an empty one, and for no other.
func (s *encapStack) key() uint32 {
	if s.hash == 0 && s.n == 0 {
		return 0
	}
	return max(uint32(s.hash^s.hash>>32), 1)
}

// maxEncaps bounds the descriptions kept; a scan through every VXLAN network
// must not fill the memory.
const maxEncaps = 1 << 16

// encapTable keeps what each key stands for. The decoding goroutine alone
// writes, so it may look keys up without the lock.
type encapTable struct {
	last  uint32
	mu    sync.Mutex
	names map[uint32]string
}

// note returns the key of the encapsulations that w has passed, having
// written down their description if they are new.
func (t *encapTable) note(w *walk) uint32 {
	key := w.nested.key()
	if key == t.last || key == 0 {
		return key
	}
	t.last = key
	if _, known := t.names[key]; known || len(t.names) >= maxEncaps {
		return key
	}
	name := describe(w.d.passed[:w.nested.n], w.b.Data)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = make(map[uint32]string)
	}
	t.names[key] = name
	return key
}

// describe is what a key stands for, innermost first. Of identifiers that are
// not part of the key, and of the order of addresses, it is the first packet's.
func (t *encapTable) describe(key uint32) string {
	if key == 0 {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if name, ok := t.names[key]; ok {
		return name
	}
	return fmt.Sprintf("encapsulation %08x", key)
}

func describe(passed []nesting, data []byte) string {
	var text strings.Builder
	for _, n := range slices.Backward(passed) {
		if text.Len() > 0 {
			text.WriteString(" in ")
		}
		n.describe(&text, data)
	}
	return text.String()
}

func (n nesting) describe(text *strings.Builder, data []byte) {
	text.WriteString(encapKinds[n.kind].name)
	if n.id != noID {
		text.WriteByte(' ')
		text.WriteString(strconv.FormatInt(n.id, 10))
	}
	if !encapKinds[n.kind].hosts {
		return
	}
	size := 4
	if n.v6 {
		size = 16
	}
	from, _ := netip.AddrFromSlice(data[n.addrs:][:size])
	to, _ := netip.AddrFromSlice(data[n.addrs:][size : 2*size])
	fmt.Fprintf(text, " in %v > %v", from, to)
}
