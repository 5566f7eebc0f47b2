package output

import (
	"fmt"
	"io"
	"strings"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Draw prints the ladder of every connection of the report that was traced:
// its packets as arrows between both ends, what each means, and what the Go
// program at either end saw, where it saw it.
func (l *Ladders) Draw(w io.Writer, r *Report, s Style) error {
	sum := r.Conns.Summary()
	t := &text{page: newPage(w, s), r: r, style: s, sum: sum, refs: refs{r.Inputs}, clock: newClock(sum.First, max(sum.Last, sum.End))}
	drawn := 0
	for i := range r.Conns.Len() {
		steps := l.byID[r.Conns.Conn(i).ID]
		if steps == nil {
			continue
		}
		if drawn++; drawn > 1 {
			t.blank()
		}
		steps.endRun()
		res := r.Conns.Result(i)
		d := &ladder{text: t, Result: &res, steps: steps.list}
		d.draw()
	}
	if n := uint64(len(l.more)); n > 0 {
		t.blank()
		t.prose("", fmt.Sprintf("And %s of the same end: --limit 0 draws them all, --conn NUMBER one.", plural(n, "more connection")))
	}
	return t.flush()
}

// ladder is one connection being drawn.
type ladder struct {
	*text
	*classify.Result
	steps  []rung
	origin origin

	number, time, state, arrow int // widths of columns
	left                       int // columns before the arrow
	states                     [2]assembler.State
	before                     int64           // time of the packet before, 0 for none
	told                       [2]bool         // whose Go outcome is printed
	proof                      map[uint64]bool // packets whose evidence is printed
}

const (
	deltaColumn = 8
	maxArrow    = 64
	minArrow    = 26
)

func (d *ladder) draw() {
	d.origin = newOrigin(d.Conn, d.steps)
	d.proof = make(map[uint64]bool)
	d.measure()
	by := ""
	if d.By != classify.ByUnknown {
		by = " · by " + d.By.String()
	}
	d.wrap("", d.class(d.Class, d.Class.String())+" · "+paint(d.bold, d.Cause.String())+by+paint(d.faint, " · "+d.Confidence.String()), d.width)
	d.prose("", d.pair(d.Result, false))
	d.prose("", teller{*d.Result, d.sum.End}.sentence())
	d.blank()
	d.head()
	for i := range d.steps {
		if r := &d.steps[i]; r.fold != nil {
			d.folded(r.fold)
		} else {
			d.step(&r.Step)
		}
	}
	d.after()
}

// measure fits the columns to the page and to what they will hold.
func (d *ladder) measure() {
	d.number, d.time, d.state = len("no"), len("time"), len("client")
	for i := range d.steps {
		s := &d.steps[i]
		if s.fold != nil {
			continue
		}
		d.number = max(d.number, len(d.refs.text(s.Packet.Ref)))
		d.time = max(d.time, len(d.offset(s.Packet.Time)))
		for _, state := range s.States {
			d.state = max(d.state, len(state.String()))
		}
	}
	d.left = d.number + 1 + d.time + 1 + deltaColumn + 1 + d.state + 1
	d.arrow = min(maxArrow, max(minArrow, d.width-d.left-2-1-d.state))
}

// delta is the time from the packet before to now, which takes its place.
func (d *ladder) delta(now int64) string {
	before := d.before
	d.before = now
	switch {
	case before == 0:
		return ""
	case now < before:
		return plain(span(now - before))
	}
	return "+" + plain(span(now-before))
}

func (d *ladder) offset(ns int64) string {
	v := ns - d.Conn.First.Time
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	return fmt.Sprintf("%s%d.%06d", sign, v/1e9, v%1e9/1e3)
}

func (d *ladder) head() {
	d.printf("%s\n", paint(d.faint, padLeft("no", d.number)+" "+padLeft("time", d.time)+" "+padLeft("delta", deltaColumn)+" "+
		padLeft("client", d.state)+strings.Repeat(" ", d.arrow+4)+"server"))
}

// step draws one packet, and below it what it is, proves, and does to the programs.
func (d *ladder) step(s *assembler.Step) {
	p := &s.Packet
	side := sideOf(p, d.Conn)
	states := s.States
	if side != s.Side {
		states[0], states[1] = states[1], states[0]
	}
	delta := d.delta(p.Time)
	d.printf("%s %s %s ", padLeft(d.refs.text(p.Ref), d.number), padLeft(d.offset(p.Time), d.time), paint(d.faint, padLeft(delta, deltaColumn)))
	line := padLeft(d.changed(states, assembler.Client), d.state) + " " + d.rope(s, side)
	if right := d.changed(states, assembler.Server); right != "" {
		line += " " + right
	}
	d.states = states
	d.remarks(line, d.notes(s))
	d.tell(p.Ref)
}

// changed is the side's state if it differs from the one last shown.
func (d *ladder) changed(states [2]assembler.State, s assembler.Side) string {
	if states[s] == d.states[s] {
		return ""
	}
	return paint(d.cyan, states[s].String())
}

// rope is the arrow between both ends.
func (d *ladder) rope(s *assembler.Step, side assembler.Side) string {
	p := &s.Packet
	dash, text := "─", ""
	if p.Kind == capture.ICMPError {
		dash, text, side = "┄", icmpText(p), side.Peer()
		if from := " from " + capture.Addr(p.Router).String(); len(text)+len(from) <= d.arrow-5 {
			text += from
		}
	} else {
		text = d.origin.segment(s, side, d.arrow-5)
	}
	fill := strings.Repeat(dash, max(0, d.arrow-visible(text)-5))
	text = d.flagged(p, text)
	if side == assembler.Client {
		return "│" + dash + dash + " " + text + " " + fill + "▶│"
	}
	return "│◀" + fill + " " + text + " " + dash + dash + "│"
}

func (d *ladder) flagged(p *capture.Packet, text string) string {
	switch {
	case p.Kind == capture.ICMPError || p.Flags.Has(capture.RST):
		return paint(d.red, text)
	case p.Flags.Has(capture.SYN) || p.Flags.Has(capture.FIN):
		return paint(d.bold, text)
	}
	return text
}

// notes are what the tracker made of the packet, and what it proves.
func (d *ladder) notes(s *assembler.Step) []string {
	var notes []string
	if p := &s.Packet; p.Kind == capture.ICMPError {
		if from := " from " + capture.Addr(p.Router).String(); len(icmpText(p))+len(from) > d.arrow-5 {
			notes = append(notes, "reported by"+strings.TrimPrefix(from, " from"))
		}
	}
	said := s.Notes &^ assembler.NoteReset
	for i := range d.Evidence {
		e := &d.Evidence[i]
		if e.Ref != s.Packet.Ref {
			continue
		}
		d.proof[uint64(e.Ref)] = true
		for bit := assembler.Notes(1); bit <= said; bit <<= 1 {
			if said&bit != 0 && strings.Contains(e.What, bit.String()) {
				said &^= bit
			}
		}
		if !strings.HasPrefix(flagText(s.Packet.Flags), strings.ReplaceAll(e.What, "-", "+")) { // "FIN" is on the arrow
			notes = append(notes, clean(e.What))
		}
	}
	if text := said.String(); text != "" {
		notes = append([]string{paint(d.yellow, text)}, notes...)
	}
	return notes
}

// remarks ends the line with notes: behind it where the page is wide enough,
// otherwise below it.
func (d *ladder) remarks(line string, notes []string) {
	d.w.WriteString(line)
	column := d.left + d.arrow + 2 + 1 + d.state + 2
	used := d.left - d.state - 1 + visible(line)
	if room := d.width - column; room >= 30 && len(notes) > 0 {
		lead := strings.Repeat(" ", max(1, column-used))
		for _, n := range notes {
			d.hang(lead, n, column)
			lead = strings.Repeat(" ", column)
		}
		return
	}
	d.blank()
	for _, n := range notes {
		d.wrap(strings.Repeat(" ", d.left+2), n, d.width)
	}
}

// hang wraps text at a column of which lead is only the last part.
func (d *ladder) hang(lead, text string, column int) {
	var b strings.Builder
	q := &page{newPage(&b, Style{Width: d.width}).w, d.width, d.Palette}
	q.wrap(strings.Repeat(" ", column), text, d.width)
	q.w.Flush()
	d.w.WriteString(lead + strings.TrimLeft(b.String(), " "))
}

// folded draws a run of packets as one line.
func (d *ladder) folded(f *fold) {
	var items []string
	for s, arrow := range []string{"→", "←"} {
		if f.packets[s] > 0 {
			items = append(items, keep(fmt.Sprintf("%s %s, %s", arrow, plural(f.packets[s], "packet"), volume(f.bytes[s]))))
		}
	}
	for i, n := range f.notes {
		if n > 0 {
			items = append(items, keep(fmt.Sprintf("%s × %s", count(uint64(n)), assembler.Notes(1<<i))))
		}
	}
	if f.pause >= 1e9 {
		items = append(items, keep("pauses up to "+span(f.pause)))
	}
	delta := d.delta(f.last)
	lead := padLeft("⋮", d.number) + " " + padLeft("⋮", d.time) + " " + padLeft(delta, deltaColumn) + " " + strings.Repeat(" ", d.state+1) + "⋮ "
	d.wrap(paint(d.faint, lead), paint(d.faint, dotted(items)), d.width)
}

// tell prints the outcome of the side whose program packet ref told of the
// end: the RST that it took, or else its peer's FIN.
func (d *ladder) tell(ref capture.Ref) {
	for s := range assembler.Side(2) {
		if !d.told[s] && d.news(s) == ref {
			d.outcomeOf(s)
		}
	}
}

// news is the packet from which on side s saw the end, 0 if none shows it.
func (d *ladder) news(s assembler.Side) capture.Ref {
	e, peer := d.Conn.End(s), d.Conn.End(s.Peer())
	if e.ResetAccepts.Seen() {
		return e.ResetAccepts.Ref
	}
	return peer.FIN.First.Ref
}

func (d *ladder) outcomeOf(s assembler.Side) {
	d.told[s] = true
	o := &d.Go[s]
	if !silent(o, d.App[s]) {
		d.outcome("  » ", s, d.goLine(o), o, d.Result)
	}
}

// after prints what no packet shows: outcomes without a packet, evidence
// within folds, alternatives, advice.
func (d *ladder) after() {
	for s := range assembler.Side(2) {
		if !d.told[s] {
			d.outcomeOf(s)
		}
	}
	var rest []classify.Evidence
	for _, e := range d.Evidence {
		if !d.proof[uint64(e.Ref)] {
			rest = append(rest, e)
		}
	}
	d.evidence(rest)
	if len(d.AltText) > 0 || d.Advice != "" || d.Detail != "" || d.Partial != 0 {
		d.blank()
	}
	d.doubts(d.Result)
	if d.Advice != "" {
		d.prose(margin+pad("do", label), d.Advice)
	}
	if d.style.Verbose {
		d.more(d.Result)
	}
}
