package output

import (
	"fmt"
	"net/netip"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

func addrPort(a netip.Addr, port uint16) string { return netip.AddrPortFrom(a, port).String() }

// evidence prints the proof: when, which packet, who, what.
func (t *text) evidence(list []classify.Evidence) {
	if len(list) == 0 {
		return
	}
	t.blank()
	wide := 1
	for _, e := range list {
		wide = max(wide, len(t.refs.text(e.Ref)))
	}
	for i := 0; i < len(list); i++ {
		e, what := list[i], clean(list[i].What)
		for i+1 < len(list) && list[i+1].Ref == e.Ref && e.Ref != 0 && sender(&list[i+1]) == sender(&e) {
			i++
			what += "; " + clean(list[i].What)
		}
		lead := margin + paint(t.faint, t.clock.text(e.Time)) + "  " + padLeft(t.refs.text(e.Ref), wide) + "  " + pad(sender(&e), len("network")) + "  "
		t.wrap(lead, what, t.width)
	}
}

func sender(e *classify.Evidence) string {
	if e.Network {
		return "network"
	}
	return e.Side.String()
}

// outcomes prints what each side's Go program saw, with its conditions, and
// what the layer above the socket reported.
func (t *text) outcomes(res *classify.Result) {
	gap := false
	for s := range assembler.Side(2) {
		o := &res.Go[s]
		line := t.goLine(o)
		if silent(o, res.App[s]) {
			continue
		}
		if !gap {
			t.blank()
			gap = true
		}
		t.outcome(margin, s, line, o, res)
	}
	if gap && (len(res.AltText) > 0 || res.Advice != "" || res.Detail != "") {
		t.blank()
	}
}

// remark is the outcome's note, less what the word "once" on the line says.
func remark(o *classify.Outcome) string {
	if !o.Once {
		return o.Note
	}
	var parts []string
	for part := range strings.SplitSeq(o.Note, "; ") {
		if !strings.HasPrefix(part, "the error is delivered once,") && !strings.HasPrefix(part, "an EOF after it proves no FIN") {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// silent reports that there is nothing to say of a side.
func silent(o *classify.Outcome, app *classify.AppOutcome) bool {
	return o.Dial == nil && o.Accept == nil && len(o.Read)+len(o.Write)+len(o.If) == 0 && o.Note == "" && app == nil
}

// manyBranches is how many of the conditions are told without -v.
const manyBranches = 2

// outcome prints what the program at one end saw, behind the mark.
func (t *text) outcome(mark string, side assembler.Side, line string, o *classify.Outcome, res *classify.Result) {
	lead := paint(t.bold, mark+pad(side.String(), label))
	next := margin + strings.Repeat(" ", label)
	say := func(s string) {
		t.wrap(lead, s, t.width)
		lead = next
	}
	if line != "" {
		say(line)
	}
	if app := res.App[side]; app != nil {
		say(t.app(app))
	}
	for i := range o.If {
		if !t.style.Verbose && !abnormal(&res.Verdict) {
			break // all is well: the branches are of theoretical interest
		}
		if i == manyBranches && !t.style.Verbose {
			say(paint(t.faint, "("+plural(uint64(len(o.If)-i), "rarer branch")+": -v)"))
			break
		}
		say(t.goIf(&o.If[i]))
	}
	if note := remark(o); note != "" {
		t.prose(lead, paint(t.faint, "("+clean(note)+")"))
		lead = next
	}
	if t.style.Verbose {
		for _, s := range texts(o) {
			t.wrap(lead, paint(t.faint, keep(`"`+clean(s)+`"`)), t.width)
		}
	}
}

// app says what TLS or HTTP reported. A text that only adds addresses to the
// name of the error is left to -v.
func (t *text) app(a *classify.AppOutcome) string {
	s := a.Protocol + keep(" → ") + t.named(a.Error, a.Text)
	plain := a.Text == "" || a.Error == "other" || a.Text == string(a.Error) || a.Text == "context canceled" || a.Text == "context deadline exceeded" || strings.Contains(a.Text, " tcp ")
	if !plain || t.style.Verbose && a.Text != "" && a.Error != "other" {
		s += ": " + clean(a.Text)
	}
	if a.Note != "" {
		s += paint(t.faint, " ("+clean(a.Note)+")")
	}
	return s
}

// doubts prints the detail, the alternatives, and what is missing.
func (t *text) doubts(res *classify.Result) {
	if res.Detail != "" {
		t.prose(margin+pad("detail", label), clean(res.Detail))
	}
	for i, why := range res.AltText {
		t.prose(margin+pad("or", label), paint(t.bold, res.Alt[i].Cause.String())+": "+why)
	}
	if p := partial(res.Partial); len(p) > 0 {
		t.prose(margin+pad("lacks", label), paint(t.faint, strings.Join(p, ", ")))
	}
	if res.SameAs != 0 {
		t.prose(margin+pad("same", label), fmt.Sprintf("as #%d, seen on the other side of a NAT or tunnel", res.SameAs))
	}
}

// more is what only -v shows: handshake, states, marks.
func (t *text) more(res *classify.Result) {
	c := res.Conn
	client, server := c.End(assembler.Client), c.End(assembler.Server)
	items := []string{keep(fmt.Sprintf("%s / %s", client.State, server.State)), keep("history " + history(c)), keep("Zeek " + connState(c))}
	if c.RTTServer > 0 || c.RTTClient > 0 {
		items = append(items, keep(fmt.Sprintf("round trip %s to the server, %s to the client", span(c.RTTServer), span(c.RTTClient))))
	}
	for s := range assembler.Side(2) {
		e := c.End(s)
		if e.Retransmits > 0 {
			items = append(items, keep(plural(uint64(e.Retransmits), "retransmission")+" by the "+s.String()))
		}
	}
	t.prose(margin+pad("also", label), paint(t.faint, dotted(items)))
	for i := range c.KeptMarks() {
		m := &c.Marks[i]
		t.wrap(margin+pad("mark", label), paint(t.faint, fmt.Sprintf("%s  %s  %s  %s", keep(t.clock.text(m.Time)), t.refs.text(m.Ref), m.Side, markText(m))), t.width)
	}
}

// list prints one line per connection.
func (t *text) list() {
	n := t.r.Conns.Len()
	if n == 0 {
		return
	}
	digits := len(fmt.Sprint(t.r.Conns.Conn(n - 1).ID))
	t.printf("%s\n", paint(t.faint, "Every connection, in the order of first packets:"))
	t.blank()
	for i := range n {
		t.line(i, digits)
	}
}

// line is a connection in one row. Ends are as wide as the page allows;
// whatever is longer pushes the rest to the right rather than being cut.
func (t *text) line(i, digits int) {
	c, v := t.r.Conns.Conn(i), t.r.Conns.Verdict(i)
	lead := "  " + padLeft(fmt.Sprintf("#%d", c.ID), digits+1) + "  " + paint(t.faint, t.clock.seconds(c.First.Time)) + "  "
	verdict := t.class(v.Class, pad(v.Cause.String(), causeColumn-1))
	if v.By != classify.ByUnknown {
		verdict = t.class(v.Class, pad(v.Cause.String()+" by "+v.By.String(), causeColumn+10))
	}
	ends := endpoint(c.End(assembler.Client)) + " → " + endpoint(c.End(assembler.Server))
	if t.width >= 110 {
		t.printf("%s%s  %s  %s\n", lead, pad(verdict, causeColumn+10), pad(ends, 46), paint(t.faint, plain(span(c.Last.Time-c.First.Time))))
		return
	}
	t.printf("%s%s  %s\n", lead, pad(v.Cause.String(), causeColumn-1), ends)
}

func plain(s string) string { return strings.ReplaceAll(s, nbsp, " ") }

// partial lists what the capture lacks of a connection.
func partial(p assembler.Partial) []string {
	s := []string{}
	for i, name := range [...]string{"no-start", "no-end", "one-way", "gaps", "snaplen", "duplicates", "evicted", "drops"} {
		if p&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return s
}
