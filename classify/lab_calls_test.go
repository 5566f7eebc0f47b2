package classify_test

import (
	"fmt"
	"slices"
	"strings"

	"hangup/assembler"
	"hangup/classify"
	"hangup/internal/lab/record"
)

// callsOf are the socket calls that one end's program made on the i-th
// connection of an analysis, in the order in which they returned; those that
// never did come last, unless their process died: nobody was there to be told.
func callsOf(r record.Recording, side assembler.Side, a *classify.Analysis, i int) []record.Call {
	dead := r.Client.State != "running"
	if side == assembler.Server {
		dead = r.Server.State != "running"
	}
	var calls []record.Call
	for _, call := range r.Calls {
		if call.Level != record.Socket || call.Side != side.String() || dead && call.End == 0 {
			continue
		}
		if owner(r, call, side, a) == i {
			calls = append(calls, call)
		}
	}
	slices.SortStableFunc(calls, func(a, b record.Call) int {
		switch {
		case a.End == b.End:
			return 0
		case a.End == 0:
			return 1
		case b.End == 0 || a.End < b.End:
			return -1
		}
		return 1
	})
	return calls
}

// owner is the connection that a call was made on: of those on its addresses
// the last to begin before its program had it; -1 if the capture has none.
func owner(r record.Recording, call record.Call, side assembler.Side, a *classify.Analysis) int {
	had := call.End
	for _, c := range r.Calls {
		if call.Conn != 0 && c.Side == call.Side && c.Conn == call.Conn && c.End != 0 {
			had = c.End // dial or accept comes first
			break
		}
	}
	best := -1
	for i := range a.Len() {
		c := a.Conn(i)
		if !sameAddr(call.Local, c.End(side)) || !sameAddr(call.Remote, c.End(side.Peer())) {
			continue
		}
		if best < 0 || had == 0 || c.First.Time <= had {
			best = i
		}
	}
	return best
}

// matcher checks whether an outcome explains the calls of one end.
type matcher struct {
	c     *assembler.Conn
	side  assembler.Side
	calls []record.Call
	room  bool // the outcome leaves open whether the send buffer is full
	last  record.Call
}

func newMatcher(c *assembler.Conn, side assembler.Side, calls []record.Call, out classify.Outcome) *matcher {
	return &matcher{c: c, side: side, calls: calls, room: roomOpen(out)}
}

// branch reports whether one of the outcome's conditions explains the calls.
func (m *matcher) branch(out classify.Outcome) bool {
	last := m.last
	for _, c := range out.If {
		if m.mismatch(override(out, c)) == "" {
			return true
		}
	}
	m.last = last
	return false
}

// progress is how far the calls have come in an outcome's lists.
type progress struct {
	read, write int
	readEnd     bool // Read has returned an error or io.EOF
	readErr     bool // ... and that was a pending error, which is gone now
	errAt       int64
	writeErr    bool
	closedAt    int64 // when the program called Close; 0 if it did not
}

// closed reports whether the program may have closed the connection before
// the call returned.
func (p *progress) closed(call record.Call) bool {
	return p.closedAt != 0 && (call.End == 0 || call.End >= p.closedAt)
}

// mismatch says which call the outcome does not explain, "" if it explains all.
func (m *matcher) mismatch(out classify.Outcome) string {
	var p progress
	for _, call := range m.calls {
		if call.Op == "close" && p.closedAt == 0 {
			p.closedAt = call.Start
		}
	}
	for _, call := range m.calls {
		var why string
		switch call.Op {
		case "dial":
			why = m.opening(out.Dial, call)
		case "accept":
			why = m.opening(out.Accept, call)
		case "read":
			why = m.read(&p, out, call)
		case "write":
			why = m.write(&p, out, call)
		}
		if why != "" {
			m.last = call
			return fmt.Sprintf("%s %d returned %d, %s: %s", call.Op, call.Number, call.N, call.Error, why)
		}
	}
	return ""
}

func (m *matcher) opening(want *classify.Call, call record.Call) string {
	if want == nil {
		if call.Op == "accept" && call.Error == "nil" {
			return "" // only named where the accept queue matters
		}
		return "no such call in the outcome"
	}
	if string(want.Error) != token(call) {
		return "want " + string(want.Error)
	}
	return ""
}

// token is the recorded result in the words of the report: EOPNOTSUPP and
// ENOTSUP are one number on Linux, and what only the program's own patience
// ended was blocked.
func token(call record.Call) string {
	switch {
	case call.Error == "ENOTSUP":
		return "EOPNOTSUPP"
	case call.Op != "dial" && call.Error == "DeadlineExceeded":
		return "blocked"
	}
	return call.Error
}

// pathDelay is how much (ns) later than at its end a packet may pass a capture
// in these recordings.
const pathDelay = int64(100e6)

// unseen reports whether the call that did not match met something of which
// this capture cannot show anything: it came back after the connection's last
// packet here, from a socket that the outcome takes for alive.
func (m *matcher) unseen(out classify.Outcome) bool {
	alive := len(out.Write) > 0 && (out.Write[0].Error == "nil" || out.Write[0].Error == "blocked")
	return alive && (m.last.End == 0 || m.last.End+pathDelay > m.c.Last.Time)
}

// strict reports whether the call began when no packet came to this
// connection any more: the outcome speaks of exactly such calls.
func (m *matcher) strict(call record.Call) bool { return call.Start > m.c.Last.Time }

// outlasts reports whether a call that found nothing waited beyond the
// connection's last packet.
func (m *matcher) outlasts(call record.Call) bool {
	return m.strict(call) || call.End == 0 || call.End > m.c.Last.Time+int64(50e6)
}

func (m *matcher) read(p *progress, out classify.Outcome, call record.Call) string {
	got := token(call)
	switch {
	case p.closed(call) && got == "ErrClosed":
		return ""
	case got == "nil":
		if p.readEnd {
			return "payload after an error"
		}
		return ""
	case len(out.Read) == 0:
		return "no connection to read from"
	case got == "blocked" && !m.outlasts(call):
		return ""
	}
	i := p.read
	if p.writeErr && out.Once && i == 0 {
		i = 1 // Write has taken the pending error
	}
	if at, ok := advance(out.Read, i, got); ok {
		p.read, p.readEnd = at, got != "blocked"
		if got != "blocked" && got != "EOF" {
			p.readErr, p.errAt = true, call.End
		}
		return ""
	}
	return "want " + rest(out.Read, i)
}

func (m *matcher) write(p *progress, out classify.Outcome, call record.Call) string {
	got := token(call)
	switch {
	case p.closed(call) && got == "ErrClosed":
		return ""
	case got == "nil" && !p.writeErr && (!p.readErr || call.Start < p.errAt) && (!m.strict(call) || timer(out)):
		return "" // it left a packet, or set off the timer that ended the connection
	case m.room && p.write == 0 && !p.writeErr && (got == "nil" || got == "blocked"):
		return ""
	case len(out.Write) == 0:
		return "no connection to write to"
	case got == "blocked" && !m.outlasts(call):
		return ""
	}
	i := p.write
	if p.readErr && out.Once && i == 0 {
		i = 1
	}
	if at, ok := advance(out.Write, i, got); ok {
		p.write, p.writeErr = at, got != "nil" && got != "blocked"
		return ""
	}
	return "want " + rest(out.Write, i)
}

// timer reports whether the outcome is a timer's, which only something
// written and not answered starts.
func timer(out classify.Outcome) bool {
	if len(out.Write) == 0 {
		return false
	}
	switch out.Write[0].Error {
	case "nil", "blocked", "EPIPE", "ECONNRESET", "ECONNABORTED", "ErrClosed":
		return false
	}
	return true
}

// advance finds the result at position i or right behind it: what is not yet
// the last entry may repeat until something happens (nil until the RST comes
// back, EOF until the program's own Close), and what happened need not have
// been asked for.
func advance(list []classify.Call, i int, got string) (int, bool) {
	i = min(i, len(list)-1)
	if string(list[i].Error) == got {
		if !repeats(got) {
			i++
		}
		return i, true
	}
	if i+1 < len(list) && repeats(string(list[i].Error)) && string(list[i+1].Error) == got {
		return i + 1, true
	}
	return 0, false
}

// repeats reports whether a result that is not the last entry can come more
// than once: a pending error cannot.
func repeats(t string) bool { return t == "nil" || t == "EOF" || t == "blocked" }

func rest(list []classify.Call, i int) string {
	var s []string
	for _, c := range list[min(i, len(list)-1):] {
		s = append(s, string(c.Error))
	}
	return strings.Join(s, ", then ")
}

// texts compares the words of errors that the outcome, or a condition, names.
func (m *matcher) texts(out classify.Outcome) []string {
	known := map[string]string{}
	note := func(op string, cs ...classify.Call) {
		for _, c := range cs {
			known[op+string(c.Error)] = c.Text
		}
	}
	all := []classify.Outcome{out}
	for _, c := range out.If {
		all = append(all, override(out, c))
	}
	for _, o := range all {
		note("read", o.Read...)
		note("write", o.Write...)
		if o.Dial != nil {
			note("dial", *o.Dial)
		}
	}
	var bad []string
	for _, call := range m.calls {
		want, ok := known[call.Op+token(call)]
		if !ok || want == "" || call.Text == "" {
			continue
		}
		got := call.Text
		if call.Op == "dial" {
			// The laboratory dials from ports of its own choice, which net then prints.
			got = strings.Replace(got, call.Local+"->", "", 1)
		}
		bad = append(bad, pick(got == want, "", fmt.Sprintf("%s text %q, want %q", call.Op, got, want)))
	}
	return bad
}

func (m *matcher) brief() []string {
	var s []string
	for _, c := range m.calls {
		mark := ""
		if m.strict(c) {
			mark = "!"
		}
		s = append(s, fmt.Sprintf("%s%s=%d,%s", mark, c.Op, c.N, c.Error))
	}
	return s
}
