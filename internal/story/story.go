package story

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"hangup/capture"
)

// Section is a part of the story's file behind a `-- name --` line.
type Section struct {
	Name string
	Text string
	Line int // of the text's first line, counted from 1 in the file
}

// Emitted is one packet of the capture.
type Emitted struct {
	Time  time.Time
	Data  []byte // as captured, from the link header on
	Wire  int    // its length on the wire, at least len(Data)
	Line  int    // line of the file it came from, counted from 1
	Label string // without #, empty if it has none
}

// Story is a parsed and compiled story.
type Story struct {
	Prose    string // what stands before the first section
	Sections []Section

	link    link
	snaplen int
	packets []Emitted
	labels  map[string]int
}

// Capture reads the file of a story and writes its packets as a pcap file.
func Capture(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s.Pcap()
}

// Parse reads a story's file and compiles its packets section. An error in
// the text is an *Error.
func Parse(data []byte) (*Story, error) {
	prose, sections := split(string(data))
	s := &Story{Prose: prose, Sections: sections, labels: map[string]int{}}
	var packets *Section
	for i := range sections {
		if sections[i].Name != "packets" {
			continue
		}
		if packets != nil {
			return nil, &Error{sections[i].Line - 1, 1, "second packets section", "a story has one"}
		}
		packets = &sections[i]
	}
	if packets == nil {
		return nil, &Error{1, 1, "no packets section", "write the line `-- packets --` before the packets"}
	}
	c := newCompiler(s)
	number := packets.Line
	for line := range strings.SplitSeq(packets.Text, "\n") {
		if err := c.line(line, number); err != nil {
			return nil, err
		}
		number++
	}
	return s, nil
}

// Section is the text of the first section of that name, without the line
// that names it, and whether there is one.
func (s *Story) Section(name string) (string, bool) {
	for _, section := range s.Sections {
		if section.Name == name {
			return section.Text, true
		}
	}
	return "", false
}

// Packets are the packets in the order of the capture: packet number n, as
// Wireshark counts, is Packets()[n-1].
func (s *Story) Packets() []Emitted { return s.packets }

// Labels maps each label, without #, to its packet's number, from 1. A line
// that made several packets has its label on each, as label.1, label.2 ...
func (s *Story) Labels() map[string]int { return s.labels }

// Pcap is the capture: little-endian pcap 2.4 with nanoseconds.
func (s *Story) Pcap() ([]byte, error) {
	var b bytes.Buffer
	w, err := capture.NewPcapWriter(&b, s.link.number(), uint32(s.snaplen), true)
	if err != nil {
		return nil, err
	}
	for i, p := range s.packets {
		if err := w.Write(p.Time.UnixNano(), p.Data, p.Wire); err != nil {
			return nil, fmt.Errorf("packet %d (line %d): %w", i+1, p.Line, err)
		}
	}
	return b.Bytes(), nil
}

// split cuts a file as txtar does; unlike its packages it keeps line numbers.
func split(text string) (prose string, sections []Section) {
	var body strings.Builder
	flush := func() {
		if len(sections) == 0 {
			prose = body.String()
		} else {
			sections[len(sections)-1].Text = body.String()
		}
		body.Reset()
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if name, ok := marker(line); ok {
			flush()
			sections = append(sections, Section{Name: name, Line: number + 1})
			continue
		}
		body.WriteString(line)
	}
	flush()
	return prose, sections
}

// marker is the name in a `-- name --` line.
func marker(line string) (string, bool) {
	line = strings.TrimRight(line, "\r\n")
	name, ok := strings.CutPrefix(line, "-- ")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, " --")
	name = strings.TrimSpace(name)
	return name, ok && name != ""
}
