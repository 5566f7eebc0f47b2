package story

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBytes = 64 << 20 // of one story's packets

// compiler turns lines into packets, keeping what every end knows.
type compiler struct {
	story   *Story
	conns   []*conn // the first is the default one
	configs [2]config
	mirror  values // nil without one
	capture side   // where cooked captures are taken
	start   time.Time
	rtt     time.Duration
	clock   time.Duration // since start
	begun   bool          // a packet was sent
	bytes   int

	frames     map[string]*frame // by label
	last       *frame
	number     int      // of the line being compiled
	made       []int    // packet numbers that the line made, mirrored copies aside
	lineFrames []*frame // the same packets
	at         token    // its verb
}

// action is a parsed line: what to do at each of its times.
type action struct {
	run   func() error
	gap   time.Duration // since the line before, if the line has no time
	timed bool          // the line must have a time
}

func newCompiler(s *Story) *compiler {
	c := &compiler{
		story:   s,
		start:   time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		rtt:     10 * time.Millisecond,
		frames:  map[string]*frame{},
		configs: defaults(),
	}
	s.snaplen = 262144
	return c
}

// line compiles one line of the packets section.
func (c *compiler) line(text string, number int) error {
	tokens, err := tokenize(text, number)
	if err != nil || len(tokens) == 0 {
		return err
	}
	c.number, c.made, c.lineFrames = number, c.made[:0], c.lineFrames[:0]
	label, tokens, err := c.cutLabel(tokens)
	if err != nil {
		return err
	}
	cur := &cursor{tokens: tokens, past: token{col: len(text) + 1, line: number}}
	var times []moment
	timeToken := cur.peek()
	if isTime(timeToken) {
		if times, err = parseTimes(cur.next()); err != nil {
			return err
		}
	}
	act, err := c.verb(cur)
	if err != nil {
		return err
	}
	if act == nil {
		if times != nil || label.text != "" {
			return tokens[0].fail("write it alone on its line", "a declaration has no time and no label")
		}
		return nil
	}
	if act.timed && times == nil {
		return c.at.fail("write for example +0.2 before it", "%s needs a time", c.at.text)
	}
	if err := c.runAt(act, times, timeToken); err != nil {
		return err
	}
	return c.name(label)
}

func (c *compiler) cutLabel(tokens []token) (label token, rest []token, err error) {
	last := tokens[len(tokens)-1]
	if tokens[0].text != "" && tokens[0].text[0] == '#' && !tokens[0].quoted {
		return label, nil, tokens[0].fail("a comment starts with //, and a label ends its packet's line", "the line starts with #")
	}
	if last.quoted || !strings.HasPrefix(last.text, "#") {
		return label, tokens, nil
	}
	name := last.text[1:]
	if !isName(name) {
		return label, nil, last.fail("write a letter, then letters, digits and hyphens: #fin", "%q is no label", last.text)
	}
	return last, tokens[:len(tokens)-1], nil
}

func isName(s string) bool {
	for i, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '-' && r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// runAt moves the clock and acts, once for each time.
func (c *compiler) runAt(act *action, times []moment, tok token) error {
	if times == nil {
		gap := act.gap
		if !c.begun {
			gap = 0
		}
		times, tok = []moment{{d: gap}}, c.at
	}
	for _, m := range times {
		next := c.clock + m.d
		if m.absolute {
			next = m.d
			if next < c.clock {
				return tok.fail("write a later one, or -0.001 if the capture's clock is to go backwards", "%v is before the line above, at %v", next, c.clock)
			}
		}
		if next < -horizon || next > horizon {
			return tok.fail("shorten it", "the story gets longer than ten years")
		}
		c.clock = next
		if err := act.run(); err != nil {
			return err
		}
		c.begun = true
	}
	return nil
}

// name gives the line's packets its label.
func (c *compiler) name(label token) error {
	if label.text == "" {
		return nil
	}
	if len(c.made) == 0 {
		return label.fail("drop the label", "the line made no packet in the capture")
	}
	for i, number := range c.made {
		name := label.text[1:]
		if len(c.made) > 1 {
			name += "." + strconv.Itoa(i+1)
		}
		if _, taken := c.story.labels[name]; taken {
			return label.fail("choose another", "the label #%s is taken", name)
		}
		c.story.labels[name] = number
		c.story.packets[number-1].Label = name
		c.frames[name] = c.lineFrames[i]
	}
	return nil
}

// labelled finds the packet behind to=#label or of=#label.
func (c *compiler) labelled(v value) (*frame, error) {
	f, ok := c.frames[strings.TrimPrefix(v.text, "#")]
	if !ok || v.text[0] != '#' {
		return nil, v.tok.fail("name a packet above that ends in #label; a line of several packets has #label.1, #label.2 ...", "no packet has the label %q", v.text)
	}
	return f, nil
}

// emit writes a frame to the capture, and its mirror's copy.
func (c *compiler) emit(f *frame) error {
	c.last = f
	if err := c.write(f, c.clock); err != nil {
		return err
	}
	c.made = append(c.made, len(c.story.packets))
	c.lineFrames = append(c.lineFrames, f)
	if c.mirror == nil {
		return nil
	}
	twin, err := c.copy(f, c.mirror, c.at)
	if err != nil {
		return err
	}
	return c.write(twin, c.clock+copyGap)
}

func (c *compiler) write(f *frame, clock time.Duration) error {
	data := f.encode(c.story.link)
	wire := len(data)
	if f.cut > 0 && f.cut < len(data) {
		data = data[:f.cut]
	}
	data = data[:min(len(data), c.story.snaplen)]
	if err := c.charge(len(data)); err != nil {
		return err
	}
	c.story.packets = append(c.story.packets, Emitted{
		Time: c.start.Add(clock), Data: slices.Clip(data), Wire: wire, Line: c.number,
	})
	return nil
}

// charge keeps a story that a typing error made huge from filling memory.
func (c *compiler) charge(n int) error {
	c.bytes += n + 64
	if c.bytes > maxBytes {
		return c.at.fail("shorten it", "the story takes more than %d bytes", maxBytes)
	}
	return nil
}

// send lets an end of a connection send what the line asks for.
func (c *compiler) send(cn *conn, from side, sp *spec) error {
	e, v := &cn.ends[from], sp.values
	if err := c.fits(e, sp); err != nil {
		return err
	}
	if sp.flags&syn != 0 && !v.has("forged") {
		e.declareOnSYN(v)
	}
	s, err := c.segment(cn, from, sp)
	if err != nil {
		return err
	}
	if err := c.charge(len(s.payload)); err != nil {
		return err
	}
	s.id = e.chooseID(s, sp)
	cn.last = s
	peer := &cn.ends[from.other()]
	if !v.has("forged") {
		if s.flags&syn != 0 {
			e.synSent, e.offered = true, cn.own(s, sp)
			e.offered.ts = s.hasTS
		}
		e.sends(s)
	}
	if !v.has("lost") {
		peer.receives(s, v.has("forged"))
	}
	if v.has("uncaptured") {
		return nil
	}
	f, err := c.frame(s, v)
	if err != nil {
		return err
	}
	return c.emit(f)
}

// fits refuses attributes that have no place in this packet or capture.
func (c *compiler) fits(e *end, sp *spec) error {
	for _, name := range []string{"mss", "wscale"} {
		if v, ok := sp.values[name]; ok && sp.flags&syn == 0 {
			return v.tok.fail("write it on the SYN, or on the client or server line", "%s is an option of a SYN", name)
		}
	}
	if v, ok := sp.values["id"]; ok && e.addr.Addr().Is6() {
		return v.tok.fail("drop it", "IPv6 has no IP ID")
	}
	return c.fitsLink(sp.values)
}

func (c *compiler) fitsLink(v values) error {
	if got, ok := v["iface"]; ok && c.story.link != sll2 {
		return got.tok.fail("declare `link sll2`", "only link sll2 has interface numbers")
	}
	for _, name := range []string{"vlan", "pad"} {
		if got, ok := v[name]; ok && c.story.link != ethernet {
			return got.tok.fail("drop it, or capture Ethernet", "link %s has no %s", linkNames[c.story.link], name)
		}
	}
	return nil
}

// frame puts a segment on its link.
func (c *compiler) frame(s *segment, v values) (*frame, error) {
	e, peer := &s.conn.ends[s.from], &s.conn.ends[s.from.other()]
	f := &frame{ip: s.encode(), tcp: s, src: e.linkAddr(), dst: peer.linkAddr(), vlans: e.vlans, iface: 1, outgoing: s.from == c.capture, pad: v.has("pad")}
	return f, f.change(v)
}

// change applies what concerns the link header and the capture.
func (f *frame) change(v values) (err error) {
	if got, ok := v["mac"]; ok {
		if f.src, err = parseMAC(got); err != nil {
			return err
		}
	}
	if got, ok := v["vlan"]; ok {
		if f.vlans, err = parseVLAN(got); err != nil {
			return err
		}
	}
	f.iface = v.apply("iface", f.iface, 0)
	f.cut = int(v.apply("cut", uint32(f.cut), 0))
	return nil
}
