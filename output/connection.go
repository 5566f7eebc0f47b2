package output

import (
	"fmt"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

func newConnection(r *classify.Result, f refs) *jsonConnection {
	c := r.Conn
	j := &jsonConnection{
		Type: "connection", ID: c.ID,
		Client: newEnd(r, assembler.Client), Server: newEnd(r, assembler.Server),
		Start: stampText(c.First.Time), End: stampText(c.Last.Time),
		Duration: seconds(max(0, c.Last.Time-c.First.Time)), IdleBeforeEnd: seconds(max(0, r.IdleBeforeEnd)),
		RTTClient: seconds(max(0, c.RTTClient)), RTTServer: seconds(max(0, c.RTTServer)),
		Class: r.Class.String(), Cause: r.Cause.String(), By: r.By.String(), Confidence: r.Confidence.String(),
		Alternatives: []jsonAlternative{}, Evidence: []jsonEvidence{}, Marks: []jsonMark{},
		Detail: r.Detail, History: history(c), ConnState: connState(c), Partial: partial(r.Partial),
		Encap: r.Encap, MPTCP: c.MPTCP, SameAs: r.SameAs, Advice: r.Advice,
	}
	if r.FirstEnd.Seen() {
		j.FirstEnd = &jsonFirstEnd{r.FirstEnd.Side.String(), r.FirstEnd.Flag.String(), f.ref(r.FirstEnd.Stamp)}
	}
	for i, why := range r.AltText {
		j.Alternatives = append(j.Alternatives, jsonAlternative{r.Alt[i].Cause.String(), why})
	}
	for i := range r.Evidence {
		e := &r.Evidence[i]
		j.Evidence = append(j.Evidence, jsonEvidence{f.ref(e.Stamp), sender(e), e.What})
	}
	for i := range c.KeptMarks() {
		m := &c.Marks[i]
		j.Marks = append(j.Marks, jsonMark{f.ref(m.Stamp), m.Side.String(), markName(m.What), markText(m)})
	}
	return j
}

func newEnd(r *classify.Result, s assembler.Side) jsonEnd {
	e := r.Conn.End(s)
	return jsonEnd{
		Addr: e.AddrPort().Addr().String(), Port: e.Port, RoleKnown: r.Conn.RoleKnown, State: e.State.String(),
		Packets: e.Packets, Bytes: e.Bytes, Retransmits: e.Retransmits, Reordered: e.Reordered, LostBytes: e.Lost,
		Duplicates: e.Duplicates, ZeroWindows: e.ZeroWindows, WinProbes: e.WinProbes, KeepAlives: e.KeepAlives,
		Resets: e.Resets, Go: newGo(&r.Go[s]), App: newApp(r.App[s]),
	}
}

func newGo(o *classify.Outcome) jsonGo {
	j := jsonGo{
		Dial: newCall(o.Dial), Accept: newCall(o.Accept), Read: newCalls(o.Read), Write: newCalls(o.Write),
		Once: o.Once, Unread: o.Unread, Note: o.Note,
	}
	for i := range o.If {
		c := &o.If[i]
		j.If = append(j.If, jsonCondition{c.When, newCall(c.Dial), newCall(c.Accept), newCalls(c.Read), newCalls(c.Write), c.Once})
	}
	return j
}

func newCall(c *classify.Call) *jsonCall {
	if c == nil {
		return nil
	}
	return &jsonCall{string(c.Error), c.Text, c.NMin}
}

func newCalls(list []classify.Call) []jsonCall {
	j := make([]jsonCall, len(list))
	for i := range list {
		j[i] = *newCall(&list[i])
	}
	return j
}

func newApp(a *classify.AppOutcome) *jsonApp {
	if a == nil {
		return nil
	}
	return &jsonApp{a.Protocol, string(a.Error), a.Text, a.Note}
}

// String has no exponent and no rounding: 12.25, 0.000041, 300.
func (s seconds) String() string {
	if s < 0 {
		return "-" + (-s).String()
	}
	text := fmt.Sprintf("%d.%09d", s/1e9, s%1e9)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
