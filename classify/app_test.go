package classify

import (
	"strings"
	"testing"

	"hangup/assembler"
)

// asked is a connection on which the client has sent this, and the server that.
func asked(t *testing.T, request, answer string) *loop {
	l := listen(t)
	done := make(chan *tapped)
	go func() { done <- l.accept() }()
	c, err := l.dial()
	if err != nil {
		t.Fatal(err)
	}
	s := <-done
	c.say(request)
	s.say(answer)
	return c.l
}

// What a verdict and a partial capture add to the framings. The errors
// themselves are other tests' business.
func TestAppFacts(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	fin := func(p *loop) { p.ends[assembler.Server].Close() }
	gone := func(*loop) {}
	for _, c := range []struct {
		name   string
		answer string
		end    func(p *loop)
		facts  func(c *assembler.Conn)
		v      Verdict
		text   string // of the client's outcome: its end
		note   string // part of it
		none   bool
	}{
		{name: "kernel gave up", end: gone, v: Verdict{Class: TimedOut, Cause: RetransmissionTimeout, By: ByServer}, text: "read: connection timed out"},
		{name: "kernel gave up in the body", answer: ok200[:len(ok200)-1], end: gone, v: Verdict{Class: TimedOut, Cause: KeepaliveTimeout, By: ByServer},
			text: "read: connection timed out", note: "after 1 of 2 bytes"},
		{name: "the other side's kernel gave up", end: gone, v: Verdict{Class: TimedOut, Cause: RetransmissionTimeout, By: ByClient}, none: true},
		{name: "still open", end: gone, none: true},
		{name: "graceful", end: fin, v: Verdict{Class: Graceful, Cause: OrderlyClose}, text: "EOF", note: "gracefully"},
		{name: "not graceful", end: fin, v: Verdict{Class: HalfOpen, Cause: CloseWaitLeak}, text: "EOF"},
		{name: "capture begins late", end: fin, facts: func(c *assembler.Conn) { c.Partial |= assembler.NoStart }, text: "EOF", note: "if the connection had served before"},
		{name: "one direction only", end: fin, facts: func(c *assembler.Conn) { c.Partial |= assembler.OneWay }, none: true},
		{name: "never established", end: fin, facts: func(c *assembler.Conn) { c.Established = assembler.Stamp{} }, none: true},
		{name: "response's header missing", end: fin, facts: func(c *assembler.Conn) { c.Ends[assembler.Server].App.Skip(100) }, none: true},
		{name: "request's header missing", end: fin, facts: func(c *assembler.Conn) { c.Ends[assembler.Client].App.Skip(100) }, none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := asked(t, get, c.answer)
			c.end(p)
			f := p.facts()
			if c.facts != nil {
				c.facts(f)
			}
			o := AppOutcomes(f, c.v)[assembler.Client]
			switch {
			case c.none && o != nil:
				t.Errorf("%+v, want nothing", *o)
			case c.none:
			case o == nil:
				t.Error("no outcome")
			case !strings.HasSuffix(o.Text, c.text) || !strings.Contains(o.Note, c.note):
				t.Errorf("%+v, want text %q and note %q", *o, c.text, c.note)
			case c.note == "" && strings.Contains(o.Note, "gracefully"):
				t.Errorf("%+v: TCP did not end gracefully", *o)
			}
		})
	}
}
