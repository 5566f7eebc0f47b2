package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The pcapng format is draft-ietf-opsawg-pcapng.
const (
	blockSection   = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface = 1
	blockPacket    = 2 // obsolete, still found
	blockSimple    = 3
	blockStats     = 5
	blockEnhanced  = 6

	sectionMagic   = 0x1a2b3c4d
	blockFrame     = 12      // type, length, length again
	maxOptions     = 1 << 20 // what we hold of a block besides the frame
	maxInterfaces  = 1 << 16 // per section; the field of a packet block that names one is 16 bits in the obsolete form
	sectionBody    = 16      // fixed part of the section header's body
	minSectionRead = 12      // enough of it to know the byte order
)

// pcapng is the layout of one pcapng file.
type pcapng struct {
	in       *Input
	big      bool
	ifaces   []pcapngIface // of the current section
	last     int64         // time of the packet before, for blocks that have none
	count    uint64
	skip     int64  // bytes left of a block nobody here reads
	trailer  uint32 // total length of that block, to be found again at its end
	register func(ifaceKey) uint16
}

// pcapngIface is one interface of the current section.
type pcapngIface struct {
	clock    clock
	snaplen  uint32
	number   uint16
	link     uint16
	statLost uint64 // by its statistics blocks
	sumLost  uint64 // by its packets
}

// newPcapng returns no layout if head does not start a pcapng file.
func newPcapng(head []byte, in *Input, register func(ifaceKey) uint16) (*pcapng, error) {
	if len(head) < minSectionRead || binary.LittleEndian.Uint32(head) != blockSection {
		return nil, nil
	}
	f := &pcapng{in: in, register: register}
	if !f.byteOrder(head[8:]) {
		return nil, nil
	}
	var marks []string
	if f.big {
		marks = append(marks, "big-endian")
	}
	in.Format = withMarks("pcapng", marks)
	return f, nil
}

func (f *pcapng) byteOrder(magic []byte) bool {
	f.big = binary.BigEndian.Uint32(magic) == sectionMagic
	return f.big || binary.LittleEndian.Uint32(magic) == sectionMagic
}

func (f *pcapng) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if f.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (f *pcapng) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if f.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (f *pcapng) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if f.big {
		v = bits.ReverseBytes64(v)
	}
	return v
}

func (f *pcapng) scan(data []byte, used int, recs []record) (n, end int, err error) {
	for n < len(recs) {
		if f.trailer != 0 {
			d, err := f.pass(data[used:])
			used += d
			if f.trailer != 0 || err != nil {
				return n, used, err
			}
		}
		head := data[used:]
		if len(head) < blockFrame {
			break
		}
		kind, size, err := f.block(head)
		if err != nil {
			return n, used, err
		}
		if !isRead(kind) {
			f.skip, f.trailer = int64(size)-blockFrame, f.u32(head[4:])
			used += 8
			continue
		}
		if uint64(len(head)) < size {
			break
		}
		body := head[8 : size-4 : size-4]
		if total := f.u32(head[size-4:]); total != f.u32(head[4:]) {
			return n, used, fmt.Errorf("its block gives its length as %d in front and %d behind", f.u32(head[4:]), total)
		}
		r := &recs[n]
		isPacket, err := f.read(kind, body, r)
		if err != nil {
			return n, used, err
		}
		if isPacket {
			r.off += uint32(used + 8)
			n++
		}
		used += int(size)
	}
	return n, used, nil
}

// block reads the frame of the block that head starts with; the size is
// rounded up to four bytes, for writers that count without the padding.
func (f *pcapng) block(head []byte) (kind uint32, size uint64, err error) {
	kind = f.u32(head)
	if kind == blockSection && !f.byteOrder(head[8:]) {
		return 0, 0, fmt.Errorf("a section starts without its byte-order mark")
	}
	total := uint64(f.u32(head[4:]))
	size = (total + 3) &^ 3
	limit := uint64(maxOptions)
	switch kind {
	case blockEnhanced, blockSimple, blockPacket:
		limit += maxRecord
	case blockSection, blockInterface, blockStats:
	default:
		limit = 1<<32 + 3
	}
	if total < blockFrame || size > limit {
		return 0, 0, fmt.Errorf("block of type %#x claims to be %d bytes long", kind, total)
	}
	return kind, size, nil
}

func isRead(kind uint32) bool {
	switch kind {
	case blockEnhanced, blockSimple, blockPacket, blockSection, blockInterface, blockStats:
		return true
	}
	return false
}

// pass consumes what it can of a block that is not read, up to its end.
func (f *pcapng) pass(data []byte) (used int, err error) {
	used = int(min(f.skip, int64(len(data))))
	f.skip -= int64(used)
	if f.skip > 0 || len(data)-used < 4 {
		return used, nil
	}
	if total := f.u32(data[used:]); total != f.trailer {
		return used, fmt.Errorf("a block gives its length as %d in front and %d behind", f.trailer, total)
	}
	f.trailer = 0
	return used + 4, nil
}

func (f *pcapng) number() uint64 { return f.count }

func (f *pcapng) rest(data []byte) (what string, have, need int64) {
	have = int64(len(data))
	switch {
	case f.trailer != 0:
		need = int64(f.trailer)
		return "block", need - f.skip - 4 + have, need
	case have < blockFrame:
		return "block header", have, blockFrame
	}
	kind, size, _ := f.block(data)
	if kind == blockEnhanced || kind == blockSimple || kind == blockPacket {
		return "record", have, int64(size)
	}
	return "block", have, int64(size)
}

// read takes in the body of one block, and fills r if it is a packet.
func (f *pcapng) read(kind uint32, body []byte, r *record) (isPacket bool, err error) {
	switch kind {
	case blockEnhanced:
		f.enhanced(body, r)
	case blockPacket:
		f.obsolete(body, r)
	case blockSimple:
		f.simple(body, r)
	case blockSection:
		return false, f.section(body)
	case blockInterface:
		return false, f.describe(body)
	case blockStats:
		f.statistics(body)
		return false, nil
	}
	return true, nil
}

// broken makes r a packet that can only be reported.
func (f *pcapng) broken(r *record, p Problem) {
	*r = record{time: f.last, number: f.count, problem: p}
}

// enhanced reads an Enhanced Packet Block's body.
func (f *pcapng) enhanced(body []byte, r *record) {
	f.count++
	if len(body) < 20 {
		f.broken(r, RecordLength)
		return
	}
	f.frame(body, f.u32(body), 20, r)
}

// obsolete reads a Packet Block: like an enhanced one, but for a drop count
// in the upper half of the interface number (all ones: unknown).
func (f *pcapng) obsolete(body []byte, r *record) {
	f.count++
	if len(body) < 20 {
		f.broken(r, RecordLength)
		return
	}
	id := uint32(f.u16(body))
	if lost := f.u16(body[2:]); lost != 0xffff && id < uint32(len(f.ifaces)) {
		f.lost(&f.ifaces[id], 0, uint64(lost))
	}
	f.frame(body, id, 20, r)
}

// frame reads what enhanced and obsolete packet blocks have in common.
func (f *pcapng) frame(body []byte, id uint32, fixed int, r *record) {
	if id >= uint32(len(f.ifaces)) {
		f.broken(r, UnknownInterface)
		return
	}
	c := &f.ifaces[id]
	capLen, wireLen := f.u32(body[12:]), f.u32(body[16:])
	t := c.clock.ns(uint64(f.u32(body[4:]))<<32 | uint64(f.u32(body[8:])))
	f.last = t
	if uint64(capLen) > uint64(len(body)-fixed) || capLen > maxRecord {
		f.broken(r, RecordLength)
		r.iface = c.number
		return
	}
	r.time, r.number = t, f.count
	r.off, r.capLen, r.wireLen = uint32(fixed), capLen, max(wireLen, capLen)
	r.iface, r.link, r.traits, r.problem = c.number, c.link, 0, NoProblem
	if at := fixed + int(capLen+3)&^3; len(body)-at > 4 {
		f.packetOptions(body[at:], c, r)
	}
}

// simple reads a Simple Packet Block, which has neither time nor captured
// length: the block, the snaplen and the wire length bound it.
func (f *pcapng) simple(body []byte, r *record) {
	f.count++
	if len(body) < 4 {
		f.broken(r, RecordLength)
		return
	}
	if len(f.ifaces) == 0 {
		f.broken(r, UnknownInterface)
		return
	}
	c := &f.ifaces[0]
	wireLen := f.u32(body)
	capLen := min(wireLen, uint32(len(body)-4), maxRecord)
	if c.snaplen > 0 {
		capLen = min(capLen, c.snaplen)
	}
	*r = record{time: f.last, number: f.count, off: 4, capLen: capLen, wireLen: wireLen, iface: c.number, link: c.link}
}
