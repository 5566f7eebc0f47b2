package capture

import "fmt"

const (
	blockOptEnd     = 0
	blockOptComment = 1

	ifName        = 2
	ifDescription = 3
	ifResolution  = 9
	ifOffset      = 14

	packetFlags = 2
	packetLost  = 4

	statsEnd       = 3
	statsIfaceLost = 5
	statsHostLost  = 7
)

// option cuts the first option off list. It is false at the list's end,
// proper or not: options are extras, and a broken list costs no packet.
func (f *pcapng) option(list []byte) (code uint16, value, rest []byte, ok bool) {
	if len(list) < 4 {
		return 0, nil, nil, false
	}
	code, size := f.u16(list), int(f.u16(list[2:]))
	list = list[4:]
	if code == blockOptEnd || size > len(list) {
		return 0, nil, nil, false
	}
	return code, list[:size], list[min((size+3)&^3, len(list)):], true
}

// section starts a new section: interface numbers start over.
func (f *pcapng) section(body []byte) error {
	if len(body) < sectionBody {
		return fmt.Errorf("a section header of %d bytes is too short", len(body)+blockFrame)
	}
	if major := f.u16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is not known (1.0 is), convert it with: editcap -F pcapng IN OUT", major, f.u16(body[6:]))
	}
	f.ifaces = f.ifaces[:0]
	for code, value, rest, ok := f.option(body[sectionBody:]); ok; code, value, rest, ok = f.option(rest) {
		if code == blockOptComment {
			f.in.comment(0, value)
		}
	}
	return nil
}

// describe adds an interface to the section.
func (f *pcapng) describe(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("an interface description of %d bytes is too short", len(body)+blockFrame)
	}
	if len(f.ifaces) >= maxInterfaces {
		return fmt.Errorf("a section describes more than %d interfaces", maxInterfaces)
	}
	c := pcapngIface{link: f.u16(body), snaplen: f.u32(body[4:])}
	key := ifaceKey{link: c.link, index: uint32(len(f.ifaces))}
	resolution, offset := byte(6), int64(0)
	for code, value, rest, ok := f.option(body[8:]); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case code == ifName || code == ifDescription && key.name == "":
			key.name = string(value[:min(len(value), 64)])
		case code == ifResolution && len(value) >= 1:
			resolution = value[0]
		case code == ifOffset && len(value) >= 8:
			offset = int64(f.u64(value))
		case code == blockOptComment:
			f.in.comment(0, value)
		}
	}
	c.clock = newClock(resolution, offset)
	c.number = f.register(key)
	f.ifaces = append(f.ifaces, c)
	f.in.addLink(c.link, c.snaplen)
	return nil
}

// packetOptions reads direction, losses and comments of a packet block.
func (f *pcapng) packetOptions(list []byte, c *pcapngIface, r *record) {
	for code, value, rest, ok := f.option(list); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case code == packetFlags && len(value) == 4:
			r.traits |= direction(f.u32(value))
		case code == packetLost && len(value) == 8:
			f.lost(c, 0, f.u64(value))
		case code == blockOptComment:
			f.in.comment(f.count, value)
		}
	}
}

// direction reads epb_flags: bits 0-1 are the direction, bits 2-4 how the
// frame was received, where 4 is promiscuously, that is, not for this host.
func direction(flags uint32) Traits {
	switch {
	case flags>>2&7 == 4:
		return NotToUs
	case flags&3 == 1:
		return Inbound
	case flags&3 == 2:
		return Outbound
	}
	return 0
}

// statistics reads an Interface Statistics Block. Its counters run from the
// start of the capture, so that the last block of an interface tells all.
func (f *pcapng) statistics(body []byte) {
	if len(body) < 12 {
		return
	}
	id := f.u32(body)
	if id >= uint32(len(f.ifaces)) {
		return
	}
	c := &f.ifaces[id]
	var lost uint64
	for code, value, rest, ok := f.option(body[12:]); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case code == statsEnd && len(value) == 8:
			end := c.clock.ns(uint64(f.u32(value))<<32 | uint64(f.u32(value[4:])))
			f.in.End = max(f.in.End, end)
		case (code == statsIfaceLost || code == statsHostLost) && len(value) == 8:
			lost = addCapped(lost, f.u64(value))
		case code == blockOptComment:
			f.in.comment(0, value)
		}
	}
	f.lost(c, lost, 0)
}

// lost keeps the input's drop counter: per interface the larger of what the
// statistics and what the packets add up to, since both tell of the same.
func (f *pcapng) lost(c *pcapngIface, total, more uint64) {
	before := max(c.statLost, c.sumLost)
	c.statLost = max(c.statLost, total)
	c.sumLost = addCapped(c.sumLost, more)
	f.in.Drops = addCapped(f.in.Drops, max(c.statLost, c.sumLost)-before)
}

func addCapped(a, b uint64) uint64 {
	if a+b < a {
		return 1<<64 - 1
	}
	return a + b
}
