package blackbox

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"hangup/capture"
	"hangup/classify"
	"hangup/output"
)

// job is one connection on its way to the disk.
type job struct {
	name    string
	result  classify.Result
	end     int64 // of the capture so far
	trail   trail
	refused uint64 // like it since the last one saved

	replaces string // an older file about the same connection, "" if there is none
}

// encode makes the file. The section's comment says all there is to say, and
// packets that prove it say so themselves.
func (j *job) encode(section capture.PcapngSection, describe func(uint16) capture.PcapngInterface) ([]byte, error) {
	said := j.comments()
	section.Comment = j.about()
	var b bytes.Buffer
	w, err := capture.NewPcapngWriter(&b, section, describe)
	for i := range j.trail.packets {
		p := &j.trail.packets[i]
		if err == nil {
			err = w.Write(&capture.Frame{
				Ref: p.ref, Time: p.time, Link: p.link, Iface: p.iface, Traits: p.traits, Data: p.frame, WireLen: p.wireLen,
			}, said[i]...)
		}
	}
	if err == nil {
		err = w.Finish(j.watched)
	}
	return b.Bytes(), err
}

// watched tells how long the connection was watched: the silence behind its
// last packet is a part of the evidence.
func (j *job) watched(iface uint16) (s capture.PcapngStatistics) {
	s.End = j.end
	for i := range j.trail.packets {
		p := &j.trail.packets[i]
		s.End = max(s.End, p.time)
		if p.iface == iface {
			s.Received++
		}
	}
	return s
}

// comments are what the evidence says of each packet.
func (j *job) comments() [][]string {
	said := make([][]string, len(j.trail.packets))
	for _, e := range j.result.Evidence {
		if i := j.trail.find(e.Ref); i >= 0 {
			said[i] = append(said[i], e.What)
		}
	}
	return said
}

// find is where a packet is, -1 if it is not there.
func (t *trail) find(ref capture.Ref) int {
	if ref == 0 {
		return -1
	}
	return slices.IndexFunc(t.packets, func(p packet) bool { return p.ref == ref })
}

const commentWidth = 100

// about is the section's comment.
func (j *job) about() string {
	var b strings.Builder
	res := j.result
	res.Evidence = slices.Clone(res.Evidence)
	lost := j.renumber(res.Evidence)
	output.Spell(&b, &res, j.end, output.Style{Width: commentWidth, Verbose: true}) // a Builder takes everything
	b.WriteByte('\n')
	j.lacks(&b, lost)
	return strings.TrimSpace(b.String())
}

// renumber lets evidence name packets by their numbers in this file. It
// returns how many are not in it.
func (j *job) renumber(list []classify.Evidence) (lost int) {
	for i := range list {
		e := &list[i]
		at := j.trail.find(e.Ref)
		if at < 0 && e.Ref != 0 {
			e.What += fmt.Sprintf(" (packet %d of the capture, not in this file)", e.Ref.Number())
			lost++
		}
		e.Ref = capture.MakeRef(0, uint64(at+1))
	}
	return lost
}

// lacks says which packets these are, and what there was beyond them.
func (j *job) lacks(b *strings.Builder, lost int) {
	t := &j.trail
	say := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	first, last := t.packets[0].ref, t.packets[len(t.packets)-1].ref
	say("The packets here are numbers %d to %d of the capture, as far as they are this connection's.", first.Number(), last.Number())
	if n := total(j.result.Conn); n > t.own {
		why := "the black box's ring was too small to hold them"
		if t.more {
			why = "a file of the black box is to stay small"
		}
		say("Missing are %d of the connection's %d packets: %s.", n-t.own, n, why)
	}
	if lost > 0 {
		say("Of the evidence above, %d packets are among the missing: this file alone may not prove the verdict.", lost)
	}
	j.cut(say)
	if j.refused > 0 {
		say("Before this one, %d connections that ended alike were not saved.", j.refused)
	}
}

// cut says which packets are not whole.
func (j *job) cut(say func(format string, args ...any)) {
	var here, before, fragments int
	for i := range j.trail.packets {
		p := &j.trail.packets[i]
		switch {
		case p.bits&bitCut != 0:
			here++
		case p.capLen < p.wireLen:
			before++
		}
		if p.bits&bitAlone != 0 {
			fragments++
		}
	}
	if before > 0 {
		say("Of %d packets the capture kept only the beginning (its snaplen).", before)
	}
	if here > 0 {
		say("Of %d packets the black box kept only the beginning.", here)
	}
	if fragments > 0 {
		say("Of %d packets that came in IP fragments only the last fragment is here: they cannot be read again.", fragments)
	}
}
