package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

// PcapWriter writes a pcap file, little-endian, version 2.4.
type PcapWriter struct {
	w    io.Writer
	unit int64 // ns per unit of the fraction field
	buf  []byte
}

// NewPcapWriter writes the file header. The link type is one of the
// LINKTYPE_ values; snaplen is only declared, no packet is cut to it; nano
// chooses nanosecond over microsecond timestamps.
func NewPcapWriter(w io.Writer, linktype uint16, snaplen uint32, nano bool) (*PcapWriter, error) {
	pw := &PcapWriter{w: w, unit: 1000}
	magic := uint32(pcapMicro)
	if nano {
		magic, pw.unit = pcapNano, 1
	}
	h := make([]byte, pcapFileHeader)
	binary.LittleEndian.PutUint32(h, magic)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], snaplen)
	binary.LittleEndian.PutUint32(h[20:], uint32(linktype))
	_, err := w.Write(h)
	return pw, err
}

// Write writes one packet, in one call to the underlying writer, which is
// best buffered. The time is in nanoseconds since the epoch, from 1970 to
// 2106; origLen is the packet's length on the wire, and is raised to that of
// data if it is less.
func (pw *PcapWriter) Write(t int64, data []byte, origLen int) error {
	sec, frac := t/int64(time.Second), t%int64(time.Second)
	if t < 0 || sec > math.MaxUint32 {
		return fmt.Errorf("time %d ns does not fit a pcap file (1970 to 2106)", t)
	}
	if len(data) > maxRecord {
		return fmt.Errorf("a packet of %d bytes does not fit a pcap file (at most %d)", len(data), maxRecord)
	}
	pw.buf = binary.LittleEndian.AppendUint32(pw.buf[:0], uint32(sec))
	pw.buf = binary.LittleEndian.AppendUint32(pw.buf, uint32(frac/pw.unit))
	pw.buf = binary.LittleEndian.AppendUint32(pw.buf, uint32(len(data)))
	pw.buf = binary.LittleEndian.AppendUint32(pw.buf, uint32(max(origLen, len(data))))
	pw.buf = append(pw.buf, data...)
	_, err := pw.w.Write(pw.buf)
	return err
}
