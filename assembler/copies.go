package assembler

import "hangup/capture"

// keptCopies is how many of an end's latest packets are remembered to
// recognise one that the capture shows again. Batching between a bridge's or
// tunnel's capture points rarely exceeds a few packets of one direction.
const keptCopies = 4

// Windows (ns) in which an equal packet is a copy and no retransmission.
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

// copyKey is what two captures of one packet share, and where each was seen.
type copyKey struct {
	time  int64
	sig   uint64 // everything a router or bridge leaves alone
	encap uint32
	link  uint32
	iface uint16
	dir   capture.Traits
	id    uint16
	ttl   uint8
	stamp bool // timestamps: a retransmission would differ
	idSet bool // IP ID not 0: a retransmission would differ, unless the sender always uses this one
}

// isCopy reports whether p was seen before at another capture point, or
// twice at a mirrored one, and remembers it if not.
func (c *Conn) isCopy(from Side, p *capture.Packet) bool {
	e := &c.Ends[from]
	k := copyKeyOf(p)
	for i := range e.copies {
		if o := &e.copies[i]; o.idSet && o.id == k.id && o.sig != k.sig {
			k.idSet = false // other packets bear the same one: it tells nothing (RFC 6864 4.1)
		}
	}
	for i := range e.copies {
		if e.copies[i].sig == k.sig && e.copies[i].covers(&k, p) {
			return true
		}
	}
	e.copies[e.ncopies%keptCopies] = k
	e.ncopies++
	return false
}

func copyKeyOf(p *capture.Packet) copyKey {
	k := copyKey{
		time: p.Time, encap: p.Encap, link: uint32(p.Link) ^ uint32(p.Link>>24), iface: p.Iface,
		dir: p.Traits & (capture.Inbound | capture.Outbound | capture.NotToUs), ttl: p.TTL,
	}
	k.stamp = p.Options&capture.OptTimestamps != 0
	k.id, k.idSet = p.IPID, p.Has(capture.HasIPID) && p.IPID != 0
	a := uint64(p.Seq)<<32 | uint64(p.Ack)
	b := uint64(p.Len)<<32 | uint64(p.Window)<<16 | uint64(p.Flags)
	d := uint64(p.TSVal)<<32 | uint64(p.TSEcr)
	var id uint64
	if p.Has(capture.HasIPID) {
		id = uint64(p.IPID)
	}
	sack := uint64(p.SACK[0])<<32 | uint64(p.SACK[1])
	k.sig = mix(mix(a, b)^id, mix(d, uint64(p.Options)^sack))
	return k
}

// covers reports whether k, seen later than o and alike, is the same packet.
func (o *copyKey) covers(k *copyKey, p *capture.Packet) bool {
	d := k.time - o.time
	if o.time == 0 {
		return false
	}
	if d < 0 {
		d = -d // capture points deliver out of order
	}
	elsewhere := o.encap != k.encap || o.iface != k.iface || o.link != k.link || o.dir != k.dir || o.ttl != k.ttl
	switch {
	case elsewhere && (k.idSet || k.stamp):
		return d < copyElsewhere
	case elsewhere:
		return d < copyElsewhereBare
	case p.Flags.Has(capture.RST):
		// Forgers send the same RST several times at once; only another
		// place proves one of them a copy.
		return false
	case k.idSet:
		return d < copySamePlace
	}
	return false
}
