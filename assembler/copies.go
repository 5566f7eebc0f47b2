package assembler

import "hangup/capture"

// keptCopies is how many of an end's latest packets are remembered to
// recognise one that the capture shows again. Batching between a bridge's or
// tunnel's capture points rarely exceeds a few packets of one direction.
const keptCopies = 4

// Windows (ns), from its sender's latest packet, in which an equal packet is a
// copy and no retransmission.
const (
	// copyElsewhere: seen at another place (interface, encapsulation, MAC,
	// direction, hop count) with the same IP ID or timestamps.
	copyElsewhere = 1e9
	// copyElsewhereBare: at another place, but nothing in the header would
	// differ in a retransmission. Below any RTO (200 ms on Linux, RFC 6298
	// says 1 s).
	copyElsewhereBare = 100e6
	// copySamePlace: at the same place with the same, non-zero IP ID, as
	// mirrored ports show it.
	copySamePlace = 100e6
)

// signature hashes what a router or bridge leaves alone.
func signature(p *capture.Packet) uint32 {
	a := uint64(p.Seq)<<32 | uint64(p.Ack)
	b := uint64(p.Len)<<32 | uint64(p.Window)<<16 | uint64(p.Flags)
	d := uint64(p.TSVal)<<32 | uint64(p.TSEcr)
	b ^= uint64(p.Options) << 16
	if p.Has(capture.HasIPID) {
		d ^= uint64(p.IPID) << 24
	}
	if p.Options&capture.OptSACK != 0 {
		d += mix(uint64(p.SACK[0]), uint64(p.SACK[1]))
	}
	return uint32(mix(a^b, d) >> 16)
}

// place is where in the capture a packet was seen: its interface,
// encapsulation and direction, and which IP header it bears.
type place uint64

func placeOf(p *capture.Packet) place {
	dir := p.Traits & (capture.Inbound | capture.Outbound | capture.NotToUs)
	ip := p.Traits & (capture.IPv6 | capture.HasIPID)
	return place(p.Encap)<<32 | place(p.Iface)<<16 | place(p.Depth)<<8 | place(ip) | place(dir>>4)
}

func (pl place) encap() uint32              { return uint32(pl >> 32) }
func (pl place) iface() uint16              { return uint16(pl >> 16) }
func (pl place) depth() uint8               { return uint8(pl >> 8) }
func (pl place) has(ip capture.Traits) bool { return capture.Traits(pl)&ip != 0 }

// copyKey is a packet that was seen, and where.
type copyKey struct {
	sig   uint32
	place place
	link  uint32
	ttl   uint8
}

func linkKey(link uint64) uint32 { return uint32(link) ^ uint32(link>>24) }

// isCopy reports whether p was seen before at another capture point, or
// twice at a mirrored one, and remembers it if not.
func (c *Conn) isCopy(from Side, p *capture.Packet) bool {
	e, o := &c.Ends[from], &c.Ends[from.Peer()]
	k := copyKey{signature(p), placeOf(p), linkKey(p.Link), p.TTL}
	if !e.news(o, p) {
		for i := range e.copies {
			if e.copies[i].sig == k.sig && e.copied(o, &e.copies[i], &k, p) {
				e.doubled = e.doubled || i == int(e.ncopies+keptCopies-1)%keptCopies
				return true
			}
		}
	}
	e.remember(k, p)
	return false
}

// copyAt notes how far away another capture point sees e, which p is a copy
// of. A RST does not tell: somebody else may have sent it in e's name, and its
// copies are as far away as he is.
func (e *End) copyAt(p *capture.Packet) {
	if p.TTL != e.TTLLast && e.TTLFirst != 0 && !p.Flags.Has(capture.RST) {
		e.CopyTTL = p.TTL
	}
}

// news reports whether p goes on where e left off, or acknowledges what e
// had not acknowledged: then nothing before it can be the same packet.
func (e *End) news(o *End, p *capture.Packet) bool {
	if !e.Started || !o.Started {
		return e.Packets == 0
	}
	if p.Flags&(capture.SYN|capture.RST) != 0 {
		return false
	}
	return p.Seq == e.SndNxt && (p.Len > 0 || p.Flags.Has(capture.FIN)) ||
		p.Flags.Has(capture.ACK) && seqLT(o.SndUna, p.Ack) && near(p.Ack, o.SndNxt)
}

// remember keeps the packet, no copy of another, as e's latest.
func (e *End) remember(k copyKey, p *capture.Packet) {
	e.sameID = p.Has(capture.HasIPID) && e.IPIDKind != IPIDUnknown && p.IPID == e.IPIDLast
	e.pairs, e.doubled = e.doubled, false
	e.copies[e.ncopies%keptCopies] = k
	e.ncopies = (e.ncopies + 1) % keptCopies
}

// copied reports whether k, seen later than its like s, is the same packet.
// The time between them is counted from e's latest packet, which is no later.
func (e *End) copied(o *End, s, k *copyKey, p *capture.Packet) bool {
	d := p.Time - e.Last.Time
	if d < 0 {
		d = -d // capture points deliver out of order
	}
	// What a retransmission would not share. An IP ID that other packets of
	// the sender bear as well tells nothing (RFC 6864 4.1).
	byID := p.Has(capture.HasIPID) && p.IPID != 0 && !e.sameID
	byStamp := p.Options&capture.OptTimestamps != 0
	elsewhere := s.place != k.place || s.link != k.link || s.ttl != k.ttl
	switch {
	case *s == copyKey{}:
		return false
	case elsewhere && (byID || byStamp):
		return d < copyElsewhere
	case elsewhere:
		return d < copyElsewhereBare
	case p.Flags.Has(capture.RST):
		// Forgers send the same RST several times at once. Only another
		// place proves one of them a copy, or that the packet before the
		// RST had been doubled as well.
		before := e.pairs || e.Packets == e.Resets && o.doubled
		return before && !e.doubled && d < copySamePlace
	case byID:
		return d < copySamePlace
	}
	return false
}
