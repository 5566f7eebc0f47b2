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

// note counts a packet that is handed out. The time of the one before it in
// this file comes in, its own goes out.
func (in *Input) note(r *record, p *Packet, before int64) int64 {
	if in.Packets == 0 {
		in.First, in.Last = r.time, r.time
	} else if r.time < before {
		in.Backwards++
	}
	in.First, in.Last = min(in.First, r.time), max(in.Last, r.time)
	in.Packets++
	in.Bytes += uint64(r.capLen)
	if r.capLen < r.wireLen {
		in.Cut++
	}
	if p.Kind == Bad {
		in.noteBad(r, p)
	}
	return r.time
}

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
