package story

import (
	"net/netip"
	"slices"
)

// side is an end of a connection.
type side uint8

const (
	client side = iota
	server
)

func (s side) other() side { return 1 - s }

func (s side) String() string { return [...]string{"client", "server"}[s] }

// none marks mss=off and wscale=off.
const none = -1

// config is what a story declares of an end.
type config struct {
	addr   netip.AddrPort
	ttl    uint8
	id     uint16
	idStep int // none: random
	isn    uint32
	mss    int // 0: 1460, for IPv6 1440
	wscale int
	window uint32 // bytes
	sack   bool
	ts     bool
	tsval  uint32
	mptcp  string // "", "capable" or "join"
	mac    *mac
	vlans  []uint16
}

// span is sequence space [from, to).
type span struct{ from, to uint32 }

func before(a, b uint32) bool { return int32(a-b) < 0 }

// snapshot is what an end knew before a packet reached it.
type snapshot struct{ next, tsRecent uint32 }

// end is one end of a connection as the story goes on.
type end struct {
	config
	nextID uint16

	next    uint32     // sequence number of its next byte
	una     uint32     // oldest one not acknowledged, as far as it was told
	sent    []*segment // all that took sequence space, for rexmit
	finSent bool
	synSent bool
	offered offer // valid with synSent
	first   bool  // it has sent a segment without SYN

	received span   // from: nothing, to: next expected from the peer
	early    []span // received behind a gap
	tsRecent uint32
	lastAck  uint32 // last acknowledgement sent
	arrivals []snapshot
	latest   *segment // last one that reached it
}

// offer is what an end's SYN carried.
type offer struct {
	ts, sack, wscale bool
	mss              int // 0: none
	mptcp            string
}

type conn struct {
	name  string
	index int
	ends  [2]end
	last  *segment
}

func newConn(name string, index int, configs [2]config) *conn {
	c := &conn{name: name, index: index}
	for s := range c.ends {
		e, peer := &c.ends[s], configs[1-s]
		e.config = configs[s]
		e.nextID = e.id
		e.next, e.una = e.isn+1, e.isn
		e.received.to, e.lastAck = peer.isn+1, peer.isn+1
		e.tsRecent = peer.tsval
	}
	return c
}

// negotiated reports whether both ends have, or without a captured SYN are
// declared to have, what feature picks.
func (c *conn) negotiated(feature func(offer) bool) bool {
	return feature(c.offer(client)) && feature(c.offer(server))
}

func (c *conn) offer(s side) offer {
	e := &c.ends[s]
	if e.synSent {
		return e.offered
	}
	return offer{e.ts, e.sack, e.wscale != none, 0, e.mptcp}
}

// takeID is the next IP ID of the end's series.
func (e *end) takeID() uint16 {
	id := e.nextID
	if e.idStep == none {
		e.nextID = e.nextID*25173 + 13849
	} else {
		e.nextID += uint16(e.idStep)
	}
	return id
}

// sends records a segment that this end put on the wire.
func (e *end) sends(s *segment) {
	if s.flags&ack != 0 {
		e.lastAck = s.ack
	}
	e.first = e.first || s.flags&(syn|rst) == 0
	if s.space() == 0 {
		return
	}
	e.finSent = e.finSent || s.flags&fin != 0
	known := before(s.seq, e.next) && slices.ContainsFunc(e.sent, func(old *segment) bool { return old.seq == s.seq })
	probe := s.seq == e.next-1 && s.flags&(syn|fin) == 0
	if !known && !probe {
		e.sent = append(e.sent, s)
	}
	if before(e.next, s.end()) {
		e.next = s.end()
	}
}

// outstanding are the segments that nobody acknowledged to this end.
func (e *end) outstanding() []*segment {
	var list []*segment
	for _, s := range e.sent {
		if before(e.una, s.end()) {
			list = append(list, s)
		}
	}
	return list
}

// receives lets a segment reach this end. A forged one can be answered, but
// leaves the end's own books alone.
func (e *end) receives(s *segment, forged bool) {
	e.latest = s
	if forged {
		return
	}
	e.arrivals = append(e.arrivals, snapshot{e.received.to, e.tsRecent})
	if s.flags&ack != 0 && before(e.una, s.ack) && !before(e.next, s.ack) {
		e.una = s.ack
	}
	// RFC 7323 4.3: TS.Recent follows the segment that spans Last.ACK.sent.
	if s.hasTS && !before(e.lastAck, s.seq) {
		e.tsRecent = s.tsval
	}
	if s.space() > 0 {
		e.early = append(e.early, span{s.seq, s.end()})
		e.closeGaps()
	}
}

func (e *end) closeGaps() {
	for moved := true; moved; {
		moved = false
		e.early = slices.DeleteFunc(e.early, func(r span) bool {
			if before(e.received.to, r.from) {
				return false
			}
			if before(e.received.to, r.to) {
				e.received.to, moved = r.to, true
			}
			return true
		})
	}
}

// declareOnSYN lets a SYN's line change what the end declares.
func (e *end) declareOnSYN(v values) {
	e.mss = v.orNone("mss", off, e.mss)
	e.wscale = v.orNone("wscale", off, e.wscale)
}

// chooseID is the packet's IP ID. Linux sends 0 from what is no full socket:
// a SYN-ACK from a request, and every stateless RST (ip_build_and_send_pkt,
// ip_send_unicast_reply).
func (e *end) chooseID(s *segment, sp *spec) uint16 {
	if sp.values.has("id") {
		return uint16(sp.values.apply("id", uint32(e.nextID), 0))
	}
	if sp.bare() || s.flags&(syn|ack) == syn|ack {
		return 0
	}
	return e.takeID()
}

func (e *end) linkAddr() mac {
	if e.mac != nil {
		return *e.mac
	}
	return deriveMAC(e.addr.Addr())
}
