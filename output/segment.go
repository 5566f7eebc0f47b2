package output

import (
	"fmt"
	"strings"

	"hangup/assembler"
	"hangup/capture"
)

// origin is where each side's relative sequence numbers count from: its ISN,
// or the first number the capture shows.
type origin struct {
	base  [2]uint32
	known [2]bool
	scale [2]uint8
}

func newOrigin(c *assembler.Conn, list []rung) origin {
	var o origin
	scaled := c.Ends[0].Opts&c.Ends[1].Opts&capture.OptWScale != 0
	for s := range o.base {
		e := &c.Ends[s]
		o.base[s], o.known[s] = e.ISN, e.HasISN
		if scaled {
			o.scale[s] = e.WScale
		}
	}
	for i := range list {
		p := &list[i].Packet
		if list[i].fold != nil || p.Kind != capture.TCP {
			continue
		}
		s := sideOf(p, c)
		o.see(s, p.Seq)
		if p.Flags.Has(capture.ACK) && !p.Flags.Has(capture.RST) {
			o.see(s.Peer(), p.Ack)
		}
	}
	return o
}

func (o *origin) see(s assembler.Side, seq uint32) {
	if !o.known[s] {
		o.base[s], o.known[s] = seq, true
	}
}

// rel is a relative sequence number; one just below the origin (a keep-alive
// probe, a stray) is negative rather than four thousand million.
func (o *origin) rel(s assembler.Side, seq uint32) string {
	d := seq - o.base[s]
	if int32(d) < 0 && d > 1<<32-1<<20 {
		return fmt.Sprint(int32(d))
	}
	return fmt.Sprint(d)
}

var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

// flagText is SYN+ACK and the like, in the order in which people say them.
func flagText(f capture.Flags) string {
	var s []string
	for _, i := range []int{1, 0, 2, 3, 4, 5, 6, 7, 8} {
		if f&(1<<i) != 0 {
			s = append(s, flagNames[i])
		}
	}
	if len(s) == 0 {
		return "no flags"
	}
	return strings.Join(s, "+")
}

// segment describes a packet in at most room columns, if they suffice for
// flags and numbers; PSH, length, window and options are left out for want
// of room. The window is scaled, save on a RST, where it is a fingerprint.
func (o *origin) segment(s *assembler.Step, side assembler.Side, room int) string {
	p := &s.Packet
	flags, numbers, may := p.Flags, "", []string(nil)
	switch {
	case p.Len > 0:
		numbers = " " + o.rel(side, p.Seq) + ":" + o.rel(side, p.Seq+p.Len)
		may = append(may, fmt.Sprintf("len %d", p.Len))
	case p.Flags&(capture.SYN|capture.FIN|capture.RST) != 0 || s.Notes != 0:
		numbers = " " + o.rel(side, p.Seq)
	}
	if p.Flags.Has(capture.ACK) {
		numbers += " ack " + o.rel(side.Peer(), p.Ack)
	}
	must := flagText(flags) + numbers
	if len(must) > room {
		must = flagText(flags&^capture.PSH) + numbers
	}
	window := uint32(p.Window)
	if p.Flags&(capture.SYN|capture.RST) == 0 {
		window <<= o.scale[side]
	}
	may = append(may, fmt.Sprintf("win %d", window))
	for _, more := range append(may, options(p)...) {
		if visible(must)+1+visible(more) > room-2 { // the arrow wants to be seen
			break
		}
		must += " " + more
	}
	return must
}

// options names what a SYN offers, or what is notable on another segment.
func options(p *capture.Packet) []string {
	var s []string
	if p.Flags.Has(capture.SYN) {
		if p.Options&capture.OptMSS != 0 {
			s = append(s, fmt.Sprintf("mss %d", p.MSS))
		}
		if p.Options&capture.OptWScale != 0 {
			s = append(s, fmt.Sprintf("ws %d", p.WScale))
		}
		for _, o := range []struct {
			bit  capture.Options
			name string
		}{{capture.OptSACKPermitted, "sack"}, {capture.OptTimestamps, "ts"}, {capture.OptFastOpen, "fastopen"}, {capture.OptMPCapable, "mptcp"}, {capture.OptMPJoin, "mp_join"}} {
			if p.Options&o.bit != 0 {
				s = append(s, o.name)
			}
		}
	}
	if p.Options&capture.OptSACK != 0 {
		s = append(s, "sack")
	}
	for _, o := range []struct {
		bit  capture.Options
		name string
	}{{capture.OptMPDataFIN, "DATA_FIN"}, {capture.OptMPFail, "MP_FAIL"}, {capture.OptMPFastClose, "MP_FASTCLOSE"}, {capture.OptMPReset, "MP_TCPRST"}, {capture.OptMD5, "signed"}} {
		if p.Options&o.bit != 0 {
			s = append(s, o.name)
		}
	}
	return s
}

// icmpText says what an ICMP error reports.
func icmpText(p *capture.Packet) string {
	s := fmt.Sprintf("ICMP %d/%d", p.ICMPType, p.ICMPCode)
	if p.Has(capture.IPv6) {
		s = fmt.Sprintf("ICMPv6 %d/%d", p.ICMPType, p.ICMPCode)
	}
	if p.MTU > 0 {
		s += fmt.Sprintf(" mtu %d", p.MTU)
	}
	return s
}
