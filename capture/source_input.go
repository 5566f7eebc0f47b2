package capture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

const (
	maxComments   = 8
	maxCommentLen = 500 // bytes
	maxBadSamples = 8
	// maxLinkNames bounds what a pcapng file can make us list.
	maxLinkNames = 64
)

// clone copies what the source goes on changing.
func (in *Input) clone() Input {
	c := *in
	c.Links = slices.Clone(in.Links)
	c.BadSamples = slices.Clone(in.BadSamples)
	c.Comments = slices.Clone(in.Comments)
	c.Outages = slices.Clone(in.Outages)
	c.Unsupported = maps.Clone(in.Unsupported)
	return c
}

// addLink notes an interface that the file declares.
func (in *Input) addLink(link uint16, snaplen uint32) {
	in.Snaplen = max(in.Snaplen, snaplen)
	name := LinkName(link)
	if len(in.Links) < maxLinkNames && !slices.Contains(in.Links, name) {
		in.Links = append(in.Links, name)
	}
}

// comment keeps one of a section, interface or statistics block (packet 0)
// or of a packet. Files are not trusted to hold text: what a terminal would
// act on becomes a space.
func (in *Input) comment(packet uint64, text []byte) {
	if len(in.Comments) >= maxComments || len(text) == 0 {
		return
	}
	s := strings.ToValidUTF8(string(text[:min(len(text), maxCommentLen)]), "")
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	switch {
	case s == "":
		return
	case packet != 0:
		s = fmt.Sprintf("packet %d: %s", packet, s)
	}
	in.Comments = append(in.Comments, s)
}

// note counts packets that are handed out. The time of the one before them in
// this file comes in, that of the last one goes out; slack (ns) is how much
// earlier than the one before it a packet may be.
func (in *Input) note(recs []record, before, slack int64) int64 {
	if in.Packets == 0 && len(recs) > 0 {
		before = recs[0].time
		in.First, in.Last = before, before
	}
	first, last := in.First, in.Last
	var size, cut, backwards uint64
	for i := range recs {
		r := &recs[i]
		size += uint64(r.capLen)
		cut += (uint64(r.capLen) - uint64(r.wireLen)) >> 63 // a branch would be anyone's guess
		if r.time < before-slack {
			backwards++
		}
		before = r.time
		first, last = min(first, before), max(last, before)
	}
	in.First, in.Last = first, last
	in.Packets, in.Bytes, in.Cut, in.Backwards = in.Packets+uint64(len(recs)), in.Bytes+size, in.Cut+cut, in.Backwards+backwards
	return before
}

// noteBad counts a packet that could not be decoded, and keeps the first few.
func (in *Input) noteBad(r *record, p *Packet) {
	in.Bad++
	text := p.Problem.String()
	if p.Problem == LinkUnsupported {
		name := LinkName(r.link)
		if in.Unsupported == nil {
			in.Unsupported = make(map[string]uint64)
		}
		// A file can name 65,536 link types; the map need not.
		if _, ok := in.Unsupported[name]; ok || len(in.Unsupported) < maxLinkNames {
			in.Unsupported[name]++
		}
		text += " (" + name + ")"
	}
	if len(in.BadSamples) < maxBadSamples {
		in.BadSamples = append(in.BadSamples, fmt.Sprintf("packet %d: %s", r.number, text))
	}
}

// withMarks is the name of a format with what is unusual about it.
func withMarks(name string, marks []string) string {
	if len(marks) == 0 {
		return name
	}
	return name + " (" + strings.Join(marks, ", ") + ")"
}
