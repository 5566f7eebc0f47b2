package assembler

import (
	"encoding/binary"

	"hangup/capture"
)

// lone is a connection of which nothing but one ordinary SYN was seen, in a
// cache line: a flood or a scan leaves millions of them. Whatever follows
// the SYN turns it into a flow or a Conn.
type lone struct {
	ref    capture.Ref // 0 marks a record not in use
	time   int64
	link   uint64 // source MAC in the lower 48 bits, the ID's lower 16 above
	idHigh uint32

	// Of IPv4 the addresses; else, with loneWide, client is the number of
	// their record in Tracker.wide.
	client, server uint32

	seq, tsval, sig uint32

	cport, sport uint16
	options      capture.Options
	mss, ipid    uint16
	place        uint16 // in Tracker.places
	wscale       uint8  // and loneFlags
	ttl          uint8
}

const (
	loneWide  = 0x80
	loneHeir  = 0x40 // Tracker.heirs has an entry
	loneNoted = 0x20 // there are notes, which belong to it

	loneFlags = loneWide | loneHeir | loneNoted
)

// wide is the addresses of an IPv6 connection.
type wide struct{ client, server [16]byte }

// oddOptions are those that make a connection anything but plain.
const oddOptions = capture.OptMPCapable | capture.OptMPJoin | capture.OptMPDataFIN | capture.OptMPFastClose | capture.OptMPReset

// openLone notes p, the first packet of its tuple, as a lone SYN, and reports
// whether it is one.
func (t *Tracker) openLone(at found, p *capture.Packet, tag uint32) bool {
	const kind = capture.FIN | capture.SYN | capture.RST | capture.ACK
	if t.cfg.general || p.Flags&kind != capture.SYN || p.Len > 0 || p.Window == 0 || p.Seq+1 == 0 || p.Ref == 0 ||
		p.Options&oddOptions != 0 || p.Has(capture.HeaderCut) || p.Src == p.Dst && p.SrcPort == p.DstPort {
		return false
	}
	where, ok := t.places.number(placeOf(p))
	if !ok {
		return false
	}
	id := t.newID()
	i := t.lones.take()
	l := t.lones.at(i)
	l.ref, l.time, l.link, l.idHigh = p.Ref, p.Time, p.Link&(1<<48-1)|id<<48, uint32(id>>16)
	l.seq, l.tsval, l.sig = p.Seq, p.TSVal, signature(p)
	l.cport, l.sport, l.options, l.mss, l.ipid = p.SrcPort, p.DstPort, p.Options, p.MSS, p.IPID
	l.place, l.wscale, l.ttl = where, min(p.WScale, 14), p.TTL
	if isMapped(&p.Src) && isMapped(&p.Dst) {
		l.client, l.server = binary.LittleEndian.Uint32(p.Src[12:]), binary.LittleEndian.Uint32(p.Dst[12:])
	} else {
		l.client = t.wide.take()
		l.wscale |= loneWide
		*t.wide.at(l.client) = wide{p.Src, p.Dst}
	}
	switch r := at.ref(); r {
	case 0:
		t.table.add(tag, makeRef(aLone, i))
	default:
		if h, ok := t.inherit(r.index(), p); ok {
			t.heirs[id] = h
			l.wscale |= loneHeir
		}
		at.set(makeRef(aLone, i))
	}
	if t.cfg.Trace != nil {
		t.cfg.Trace(Step{Packet: *p, Conn: id, Side: Client, States: [2]State{SynSent, Unknown}})
	}
	return true
}

// isMapped reports whether a is an IPv4 address.
func isMapped(a *[16]byte) bool {
	return binary.LittleEndian.Uint64(a[:8]) == 0 && binary.LittleEndian.Uint32(a[8:]) == 0xffff0000
}

func (l *lone) id() uint64 { return l.link>>48 | uint64(l.idHigh)<<16 }

// addrs sets c and s to the addresses that a lone or a flow keeps.
func (t *Tracker) addrs(client, server uint32, isWide bool, c, s *[16]byte) {
	if isWide {
		w := t.wide.at(client)
		*c, *s = w.client, w.server
		return
	}
	setMapped(c, client)
	setMapped(s, server)
}

// setMapped sets a to an IPv4 address, in two stores: what is written in
// small pieces and then read whole has to be waited for.
func setMapped(a *[16]byte, v4 uint32) {
	binary.LittleEndian.PutUint64(a[:8], 0)
	binary.LittleEndian.PutUint64(a[8:], uint64(v4)<<32|0xffff0000)
}

// loneSide tells who of l sent p; ok is false if p is not of l's tuple.
func (t *Tracker) loneSide(l *lone, p *capture.Packet) (from Side, ok bool) {
	var c, s [16]byte
	t.addrs(l.client, l.server, l.wscale&loneWide != 0, &c, &s)
	return sideBetween(p, &c, l.cport, &s, l.sport)
}

// sideBetween tells which of a client and a server sent p to the other; ok is
// false if neither did.
func sideBetween(p *capture.Packet, client *[16]byte, cport uint16, server *[16]byte, sport uint16) (from Side, ok bool) {
	if p.SrcPort == cport && p.DstPort == sport && p.Src == *client && p.Dst == *server {
		return Client, true
	}
	return Server, p.SrcPort == sport && p.DstPort == cport && p.Src == *server && p.Dst == *client
}

// freeLone gives l's memory back.
func (t *Tracker) freeLone(i uint32) {
	l := t.lones.at(i)
	if l.wscale&loneWide != 0 {
		t.wide.release(l.client)
	}
	if l.wscale&loneHeir != 0 {
		delete(t.heirs, l.id())
	}
	t.lones.at(i).ref = 0
	t.lones.release(i)
}

// Lone is a connection of which nothing but one SYN was seen.
type Lone struct {
	ID             uint64 // as Conn.ID
	SYN            Stamp
	Client, Server [16]byte // IPv4 as ::ffff:a.b.c.d
	ClientPort     uint16
	ServerPort     uint16
	Seq            uint32
	TSVal          uint32 // of its timestamps, if Options has them
	Options        capture.Options
	MSS            uint16
	WScale, TTL    uint8
	IPID           uint16
	Link           uint64 // source MAC, 0 if none
	Predecessor    uint64 // as Conn.Predecessor
	Gap            int64
	Partial        Partial
	Expired        Expiry
	Until          int64 // as Conn.Until

	place place
	sig   uint32
}

// lone describes lone i, until the next call.
func (t *Tracker) lone(i uint32) *Lone {
	l, x := t.lones.at(i), &t.spare
	// One by one: a composite literal would be built elsewhere and copied.
	x.ID, x.SYN.Ref, x.SYN.Time = l.id(), l.ref, l.time
	x.ClientPort, x.ServerPort = l.cport, l.sport
	x.Seq, x.TSVal, x.Options, x.MSS, x.IPID = l.seq, l.tsval, l.options, l.mss, l.ipid
	x.WScale, x.TTL, x.Link = l.wscale&^loneFlags, l.ttl, l.link&(1<<48-1)
	x.place, x.sig = t.places.list[l.place], l.sig
	x.Predecessor, x.Gap, x.Partial, x.Expired, x.Until = 0, 0, 0, Watched, 0
	t.addrs(l.client, l.server, l.wscale&loneWide != 0, &x.Client, &x.Server)
	if l.wscale&loneHeir != 0 {
		h := t.heirs[x.ID]
		x.Predecessor, x.Gap = h.id, h.gap
	}
	return x
}

// endLone is end for the lone SYN of record r.
func (t *Tracker) endLone(r ref, how early) {
	x := t.lone(r.index())
	x.Until = how.until
	if how.evicted {
		x.Partial |= Evicted
	}
	if how.expired {
		x.Expired = Unanswered
	}
	b := x.tomb()
	b.tag = b.key.tag(t.seed)
	*t.bury(t.locate(b.tag, r), b.tag) = b
	t.freeLone(r.index())
	if t.cfg.Lone != nil {
		t.cfg.Lone(x)
		return
	}
	x.Expand(t.spareLone)
	t.cfg.Done(t.spareLone)
}

// Expand makes c the Conn that stands for l. C must be zero, or come from
// another call of Expand: what differs between the Conns of lone SYNs is set.
func (l *Lone) Expand(c *Conn) {
	pl := l.place
	c.ID, c.RoleKnown, c.First, c.Last, c.before = l.ID, true, l.SYN, l.SYN, l.SYN.Time
	c.Partial, c.Expired, c.Until = l.Partial, l.Expired, l.Until
	c.Predecessor, c.Gap = l.Predecessor, l.Gap
	c.Encap, c.Depth, c.Iface, c.V6 = pl.encap(), pl.depth(), pl.iface(), pl.has(capture.IPv6)
	c.zeek.begun, c.zeek.attempt = true, l.SYN.Time+zeekAttemptDelay
	c.zeek.history[0], c.zeek.n = 'S', 1

	e, o := &c.Ends[Client], &c.Ends[Server]
	e.Addr, e.Port, o.Addr, o.Port = l.Client, l.ClientPort, l.Server, l.ServerPort
	c.setKey()
	e.State = SynSent
	e.SYN.First, e.SYN.Last, e.SYN.Idle, e.SYN.Seq, e.SYN.Count = l.SYN, l.SYN, -1, l.Seq, 1
	e.ISN, e.HasISN = l.Seq, true
	e.Opts, e.MSS, e.WScale = l.Options, l.MSS, l.WScale
	e.Started, e.SndNxt, e.SndUna = true, l.Seq+1, l.Seq
	e.firstSeq, e.appNext = l.Seq+1, l.Seq+1
	e.Packets, e.First, e.Last = 1, l.SYN, l.SYN
	e.TTLFirst, e.TTLLast, e.TTLMin, e.TTLMax = l.TTL, l.TTL, l.TTL, l.TTL
	e.Link = l.Link
	e.IPIDKind, e.IPIDLast = IPIDUnknown, 0
	if pl.has(capture.HasIPID) && !c.V6 {
		e.IPIDKind, e.IPIDLast = IPIDUnknown.next(l.IPID, 0), l.IPID
	}
	e.TSLast, e.TSLastTime, e.TSCount = 0, 0, 0
	if l.Options&capture.OptTimestamps != 0 {
		e.TSLast, e.TSLastTime, e.TSCount = l.TSVal, l.SYN.Time, 1
	}
	e.copies[0] = copyKey{l.sig, pl, linkKey(e.Link), l.TTL}
	e.ncopies = 1
	e.zeek.syn(l.Seq)
	e.zeek.state, e.zeek.orig = zeekSYNSent, true
	o.zeek.next, o.zeek.trim = 1, 1
}

// tomb is tombOf the Conn that stands for l.
func (l *Lone) tomb() tomb {
	b := tomb{encap: l.place.encap(), expired: l.Expired != Watched, last: l.SYN.Time, id: l.ID}
	client := Client
	if !b.key.set(&l.Client, l.ClientPort, &l.Server, l.ServerPort) {
		client = Server
	}
	b.isn[client], b.sndNxt[client], b.started[client] = l.Seq, l.Seq+1, true
	return b
}

// syn is what a SYN with the given number makes of an end.
func (e *zeekEnd) syn(isn uint32) {
	e.start, e.ack, e.last = isn, isn, isn+1
	e.next, e.trim = 1, 1
	e.seen, e.spoke = zeekSeenSYN, true
}

// places numbers the places that lone SYNs were seen at.
type places struct {
	list []place
	of   map[place]uint16
	last uint16 // the latest number given out
}

// number returns the number of pl, or false if there are too many.
func (s *places) number(pl place) (uint16, bool) {
	if int(s.last) < len(s.list) && s.list[s.last] == pl {
		return s.last, true
	}
	n, ok := s.of[pl]
	if !ok {
		if len(s.list) == 1<<16 {
			return 0, false
		}
		if s.of == nil {
			s.of = make(map[place]uint16)
		}
		n = uint16(len(s.list))
		s.list = append(s.list, pl)
		s.of[pl] = n
	}
	s.last = n
	return n, true
}
