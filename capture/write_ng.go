package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// PcapngSection is what a pcapng file says of itself. All of it is optional;
// text that is not UTF-8 or too long for an option (64 KiB) is mended or cut.
type PcapngSection struct {
	Hardware, OS, Application string
	Comment                   string
}

// PcapngInterface is what a pcapng file says of one interface.
type PcapngInterface struct {
	Snaplen     uint32 // bytes of a frame that are kept at most, 0 if unlimited
	Name        string // such as "eth0"
	Description string
	Filter      string // in tcpdump's language, "" for none
}

// PcapngStatistics are one interface's counters since the capture began.
type PcapngStatistics struct {
	Start, End int64  // ns since the epoch; 0 if unknown
	Received   uint64 // packets that came in on the interface
	Dropped    uint64 // ... of which the capture lost so many, for want of room
}

// PcapngWriter writes a pcapng file of one section, little-endian, version
// 1.0, with nanosecond timestamps (draft-ietf-opsawg-pcapng). Interfaces are
// described when their first packet is written; frames of one interface that
// have different link types make several of them, as the format demands.
type PcapngWriter struct {
	w        io.Writer
	describe func(iface uint16) PcapngInterface
	ids      map[pcapngID]uint32
	order    []pcapngID
	last     pcapngID // the one of the packet before, and its number
	lastID   uint32
	size     int64
	buf      []byte // the block at hand
	options  int    // where its options begin, 0 if it has none
}

type pcapngID struct{ iface, link uint16 }

// NewPcapngWriter writes the section header. Every block is one call of w's
// Write, so w is best buffered. What describe says of an interface (by
// Frame.Iface) stands in the file; nil leaves interfaces nameless.
func NewPcapngWriter(w io.Writer, s PcapngSection, describe func(iface uint16) PcapngInterface) (*PcapngWriter, error) {
	pw := &PcapngWriter{w: w, describe: describe, ids: make(map[pcapngID]uint32)}
	if describe == nil {
		pw.describe = func(uint16) PcapngInterface { return PcapngInterface{} }
	}
	pw.begin(blockSection)
	pw.u32(sectionMagic)
	pw.u32(1)                         // version 1.0, the major number first
	pw.buf = append(pw.buf, unset...) // section length: to the end of the file
	pw.text(blockOptComment, s.Comment)
	pw.text(sectionHardware, s.Hardware)
	pw.text(sectionOS, s.OS)
	pw.text(sectionApplication, s.Application)
	return pw, pw.end()
}

const (
	sectionHardware    = 2
	sectionOS          = 3
	sectionApplication = 4

	ifFilter = 11

	statsStart    = 2
	statsReceived = 4

	maxOption = 1<<16 - 1

	flagInbound     = 1
	flagOutbound    = 2
	flagPromiscuous = 4 << 2
)

var unset = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Size is how many bytes were handed to the underlying writer.
func (pw *PcapngWriter) Size() int64 { return pw.size }

// Write writes one frame, with comments if there are any. Times before 1970
// read back as such here, other programs may take them for far ones. It is
// an error if the frame is larger than 16 MiB.
func (pw *PcapngWriter) Write(f *Frame, comments ...string) error {
	if len(f.Data) > maxRecord {
		return fmt.Errorf("a packet of %d bytes does not fit a pcapng file (at most %d)", len(f.Data), maxRecord)
	}
	id, err := pw.interfaceID(pcapngID{f.Iface, f.Link})
	if err != nil {
		return err
	}
	pw.begin(blockEnhanced)
	pw.u32(id)
	pw.time(f.Time)
	pw.u32(uint32(len(f.Data)))
	pw.u32(max(f.WireLen, uint32(len(f.Data))))
	pw.bytes(f.Data)
	if flags := packetFlagsOf(f.Traits); flags != 0 {
		pw.option(packetFlags, 4)
		pw.u32(flags)
	}
	for _, c := range comments {
		pw.text(blockOptComment, c)
	}
	if n := len(pw.buf) - pw.options; pw.options > 0 && n > maxOptions/2 {
		return fmt.Errorf("comments of %d bytes do not fit a packet (at most %d)", n, maxOptions/2)
	}
	return pw.end()
}

// packetFlagsOf is the inverse of direction.
func packetFlagsOf(t Traits) uint32 {
	switch {
	case t&NotToUs != 0:
		return flagPromiscuous
	case t&Inbound != 0:
		return flagInbound
	case t&Outbound != 0:
		return flagOutbound
	}
	return 0
}

// Finish writes the counters of every interface that has packets; of those
// are none, nothing is written. The file is complete without, too.
func (pw *PcapngWriter) Finish(stats func(iface uint16) PcapngStatistics) error {
	for _, k := range pw.order {
		s := stats(k.iface)
		pw.begin(blockStats)
		pw.u32(pw.ids[k])
		pw.time(s.End)
		if s.Start != 0 {
			pw.option(statsStart, 8)
			pw.time(s.Start)
		}
		if s.End != 0 {
			pw.option(statsEnd, 8)
			pw.time(s.End)
		}
		pw.option(statsReceived, 8)
		pw.u64(s.Received)
		pw.option(statsIfaceLost, 8)
		pw.u64(s.Dropped)
		if err := pw.end(); err != nil {
			return err
		}
	}
	return nil
}

// interfaceID is the number of an interface within the section; the first
// time it also describes it.
func (pw *PcapngWriter) interfaceID(k pcapngID) (uint32, error) {
	if k == pw.last && len(pw.order) > 0 {
		return pw.lastID, nil
	}
	id, known := pw.ids[k]
	if !known {
		id = uint32(len(pw.order))
		if err := pw.addInterface(k); err != nil {
			return 0, err
		}
	}
	pw.last, pw.lastID = k, id
	return id, nil
}

func (pw *PcapngWriter) addInterface(k pcapngID) error {
	if len(pw.order) >= maxInterfaces {
		return fmt.Errorf("more than %d interfaces do not fit a pcapng section", maxInterfaces)
	}
	d := pw.describe(k.iface)
	pw.begin(blockInterface)
	pw.u32(uint32(k.link)) // the upper half is reserved
	pw.u32(d.Snaplen)
	pw.text(ifName, d.Name)
	pw.text(ifDescription, d.Description)
	pw.option(ifResolution, 1)
	pw.bytes([]byte{9})
	if d.Filter != "" {
		filter := "\x00" + plainText(d.Filter, maxOption-1) // 0: it is a string
		pw.option(ifFilter, len(filter))
		pw.bytes([]byte(filter))
	}
	if err := pw.end(); err != nil {
		return err
	}
	pw.ids[k] = uint32(len(pw.order))
	pw.order = append(pw.order, k)
	return nil
}

func (pw *PcapngWriter) begin(kind uint32) {
	pw.options = 0
	pw.buf = binary.LittleEndian.AppendUint32(pw.buf[:0], kind)
	pw.u32(0) // the length, see end
}

// end completes the block and hands it on.
func (pw *PcapngWriter) end() error {
	if pw.options > 0 {
		pw.option(blockOptEnd, 0)
	}
	total := uint32(len(pw.buf) + 4)
	pw.u32(total)
	binary.LittleEndian.PutUint32(pw.buf[4:], total)
	n, err := pw.w.Write(pw.buf)
	pw.size += int64(n)
	return err
}

func (pw *PcapngWriter) u32(v uint32) { pw.buf = binary.LittleEndian.AppendUint32(pw.buf, v) }
func (pw *PcapngWriter) u64(v uint64) { pw.buf = binary.LittleEndian.AppendUint64(pw.buf, v) }

// time writes the upper half first, whatever the byte order.
func (pw *PcapngWriter) time(ns int64) {
	pw.u32(uint32(uint64(ns) >> 32))
	pw.u32(uint32(ns))
}

func (pw *PcapngWriter) option(code uint16, size int) {
	if pw.options == 0 {
		pw.options = len(pw.buf)
	}
	pw.buf = binary.LittleEndian.AppendUint16(pw.buf, code)
	pw.buf = binary.LittleEndian.AppendUint16(pw.buf, uint16(size))
}

// bytes appends b and pads it.
func (pw *PcapngWriter) bytes(b []byte) {
	pw.buf = append(pw.buf, b...)
	pw.buf = append(pw.buf, 0, 0, 0)[:(len(pw.buf)+3)&^3]
}

func (pw *PcapngWriter) text(code uint16, s string) {
	if s == "" {
		return
	}
	s = plainText(s, maxOption)
	pw.option(code, len(s))
	pw.bytes([]byte(s))
}

// plainText is s in UTF-8 and at most limit bytes of it.
func plainText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
