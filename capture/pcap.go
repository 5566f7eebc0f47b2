package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"
)

// The pcap format is draft-ietf-opsawg-pcap; what it does not tell, such as
// the swapped lengths of old versions and the longer record headers of
// patched libpcaps, is known from files found in the wild.
const (
	pcapFileHeader   = 24
	pcapRecordHeader = 16

	pcapMicro    = 0xa1b2c3d4
	pcapNano     = 0xa1b23c4d
	pcapModified = 0xa1b2cd34 // Alexey Kuznetsov's patch, once shipped by Red Hat

	// maxRecord bounds one frame. BIG TCP reaches 512 KiB, USB and D-Bus
	// captures a few MiB; beyond that a length is garbage.
	maxRecord = 16 << 20
	// usualRecord is what libpcap lets a record have whatever the snaplen
	// says, since real files hold frames longer than their snaplen.
	usualRecord = 256 << 10
)

// pcap is the layout of one pcap file.
type pcap struct {
	in       *Input
	big      bool
	unit     int64 // ns per unit of the fraction field
	perSec   uint32
	oldLens  bool   // before 2.4 the two lengths stood in either order
	extra    int    // bytes between record header and frame
	limit    uint32 // longest believable frame
	link     uint16
	iface    uint16
	magic    uint32
	settled  bool // extra has been checked against the first records
	count    uint64
	register func(ifaceKey) uint16
}

// newPcap reads the file header at the start of head. It returns no layout
// if this is no pcap file at all, and an error if it is one we cannot read.
func newPcap(head []byte, in *Input, register func(ifaceKey) uint16) (*pcap, error) {
	if len(head) < 4 {
		return nil, nil
	}
	f := &pcap{in: in, register: register}
	f.magic = binary.LittleEndian.Uint32(head)
	if !isPcapMagic(f.magic) {
		f.magic, f.big = bits.ReverseBytes32(f.magic), true
	}
	if !isPcapMagic(f.magic) {
		return nil, nil
	}
	if len(head) < pcapFileHeader {
		return nil, fmt.Errorf("cut short in the middle of the pcap file header (%d of %d bytes), nothing was recorded", len(head), pcapFileHeader)
	}
	f.unit, f.perSec = 1000, 1e6
	if f.magic == pcapNano {
		f.unit, f.perSec = 1, 1e9
	}
	if f.magic == pcapModified {
		f.extra = 8
	}
	major, minor := f.u16(head[4:]), f.u16(head[6:])
	// 543.0 is what DG/UX's tcpdump wrote.
	if major != 2 && !(major == 543 && minor == 0) {
		return nil, fmt.Errorf("pcap version %d.%d is not known (2.0 to 2.4 are), convert it with: editcap -F pcapng IN OUT", major, minor)
	}
	f.oldLens = major != 2 || minor < 4
	in.Format = f.name(major, minor)
	f.header(head)
	return f, nil
}

func isPcapMagic(m uint32) bool { return m == pcapMicro || m == pcapNano || m == pcapModified }

// header takes link type and snaplen from a file header.
func (f *pcap) header(h []byte) {
	snaplen := f.u32(h[16:])
	f.limit = max(usualRecord, min(snaplen, maxRecord))
	if snaplen == 0 {
		f.limit = maxRecord
	}
	// The upper half holds the FCS length and reserved bits.
	f.link = uint16(f.u32(h[20:]))
	f.iface = f.register(ifaceKey{link: f.link})
	f.in.addLink(f.link, snaplen)
}

func (f *pcap) name(major, minor uint16) string {
	name := "pcap"
	if major != 2 || minor != 4 {
		name = fmt.Sprintf("pcap %d.%d", major, minor)
	}
	var marks []string
	switch f.magic {
	case pcapNano:
		marks = append(marks, "nanoseconds")
	case pcapModified:
		marks = append(marks, "modified")
	}
	if f.big {
		marks = append(marks, "big-endian")
	}
	return withMarks(name, marks)
}

func (f *pcap) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if f.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (f *pcap) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if f.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

// lengths of the record whose header h is. Up to version 2.3 their order
// depended on who wrote the file; the captured one is the smaller.
func (f *pcap) lengths(h []byte) (capLen, wireLen uint32) {
	capLen, wireLen = f.u32(h[8:]), f.u32(h[12:])
	if f.oldLens && capLen > wireLen {
		capLen, wireLen = wireLen, capLen
	}
	return capLen, wireLen
}

func (f *pcap) scan(data []byte, used int, recs []record) (n, end int, err error) {
	if !f.settled && len(data)-used >= pcapRecordHeader {
		f.settle(data[used:])
	}
	size, unit, limit := pcapRecordHeader+f.extra, f.unit, f.limit
	for n < len(recs) && len(data)-used >= size {
		h := data[used : used+size : used+size]
		sec, fraction := f.u32(h), f.u32(h[4:])
		capLen, wireLen := f.lengths(h)
		if capLen == 0 {
			skip, err := f.odd(data[used:])
			if skip < 0 || err != nil {
				return n, used, err
			}
			if skip > 0 {
				used += skip
				limit = f.limit
				continue
			}
		}
		if capLen > limit {
			return n, used, fmt.Errorf("its header claims %d captured bytes, more than any frame holds", capLen)
		}
		if int(capLen) > len(data)-used-size {
			break
		}
		f.count++
		r := &recs[n]
		r.time = int64(sec)*int64(time.Second) + int64(fraction)*unit
		r.number, r.off = f.count, uint32(used+size)
		r.capLen, r.wireLen = capLen, max(wireLen, capLen)
		r.iface, r.link, r.traits, r.problem = f.iface, f.link, f.traits(h), NoProblem
		used += size + int(capLen)
		n++
	}
	return n, used, nil
}

// traits of a modified record, which carries the packet type of a Linux
// packet socket (linux/if_packet.h).
func (f *pcap) traits(h []byte) Traits {
	if f.extra < 8 {
		return 0
	}
	switch h[pcapRecordHeader+6] {
	case 0:
		return Inbound
	case 3:
		return NotToUs
	case 4:
		return Outbound
	}
	return 0
}

// odd looks at a record without bytes: real ones exist, but it is also what
// the header of a second file looks like (cat a.pcap b.pcap), and what a
// disk that ran full, or a crash, leaves as zeros. It returns how many bytes
// to skip before the next record, -1 when it takes more bytes to know.
func (f *pcap) odd(h []byte) (skip int, err error) {
	if f.u32(h) == f.magic {
		if len(h) < pcapFileHeader {
			return -1, nil
		}
		if major := f.u16(h[4:]); major == 2 {
			f.header(h)
			return pcapFileHeader, nil
		}
	}
	if len(h) >= 4*pcapRecordHeader && allZero(h[:4*pcapRecordHeader]) {
		return 0, fmt.Errorf("only zero bytes where a record should be (disk full, or never written to the end)")
	}
	return 0, nil
}

func (f *pcap) number() uint64 { return f.count }

func (f *pcap) rest(data []byte) (what string, have, need int64) {
	have, need = int64(len(data)), int64(pcapRecordHeader+f.extra)
	if have < need {
		return "record header", have, need
	}
	capLen, _ := f.lengths(data)
	return "record", have, need + int64(capLen)
}

// settle finds out how long record headers really are: patched libpcaps and
// some equipment (Nokia, SuSE 6.3) lengthened them without a new magic
// number. The length is wrong if following it soon leads to a header that
// makes no sense, and right if another one leads from header to header.
func (f *pcap) settle(data []byte) {
	f.settled = true
	if _, ok := f.follow(data, f.extra); ok {
		return
	}
	for _, extra := range [...]int{0, 4, 8, 12} {
		if n, ok := f.follow(data, extra); ok && n >= 2 {
			f.extra = extra
			return
		}
	}
}

// follow walks over the first records as if extra bytes stood after each
// header, and tells how many headers it met and whether all made sense: a
// time within a year of the first, and lengths that a frame can have.
func (f *pcap) follow(data []byte, extra int) (n int, ok bool) {
	const year = 365 * 24 * 3600
	for first := uint32(0); n < 8 && len(data) >= pcapRecordHeader; n++ {
		sec := f.u32(data)
		if n == 0 {
			first = sec
		}
		capLen, wireLen := f.lengths(data)
		if f.u32(data[4:]) >= f.perSec || capLen > f.limit || wireLen == 0 || wireLen > 8*maxRecord ||
			max(sec, first)-min(sec, first) > year {
			return n, false
		}
		if int(capLen) > len(data)-pcapRecordHeader-extra {
			return n + 1, true
		}
		data = data[pcapRecordHeader+extra+int(capLen):]
	}
	return n, true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
