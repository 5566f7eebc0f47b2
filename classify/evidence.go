package classify

import (
	"fmt"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/capture"
)

// proof gathers the packets that show why a rule matched.
type proof struct {
	v     *view
	lines []Evidence
}

func (p *proof) add(at assembler.Stamp, s assembler.Side, format string, args ...any) {
	if at.Seen() {
		p.lines = append(p.lines, Evidence{Stamp: at, Side: s, What: fmt.Sprintf(format, args...)})
	}
}

// side returns the side of e.
func (p *proof) side(e *assembler.End) assembler.Side {
	if e == p.v.cl {
		return assembler.Client
	}
	return assembler.Server
}

// dur prints a duration as a person says it.
func dur(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < 0:
		return "-" + dur(-ns)
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", ns)
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(ns)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(ns)/1e6)
	case d < 2*time.Minute:
		return fmt.Sprintf("%.3g s", float64(ns)/1e9)
	}
	return d.Round(time.Second).String()
}

func plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// handshake shows how the connection began.
func (p *proof) handshake() {
	c := p.v.c
	if s := p.v.cl.SYN; s.Seen() {
		p.tries(&s, assembler.Client, "SYN")
	}
	if s := p.v.sv.SYNACK; s.Seen() && !c.Established.Seen() {
		p.tries(&s, assembler.Server, "SYN-ACK")
	}
	if c.Established.Seen() {
		p.add(c.Established, assembler.Client, "handshake complete")
	}
}

// tries shows the first and the last of something sent repeatedly.
func (p *proof) tries(t *assembler.Tries, s assembler.Side, name string) {
	if t.Count <= 1 {
		p.add(t.First, s, "%s", name)
		return
	}
	p.add(t.First, s, "%s, the first of %d", name, t.Count)
	p.add(t.Last, s, "%s again, the last try, %s after the first", name, dur(t.Last.Time-t.First.Time))
}

// fins shows both FINs and what acknowledged them, in order.
func (p *proof) fins() {
	first, ok := p.v.firstFIN()
	if !ok {
		return
	}
	p.fin(first)
	p.fin(first.Peer())
}

func (p *proof) fin(s assembler.Side) {
	e := p.v.c.End(s)
	if !e.FIN.Seen() {
		return
	}
	what := "FIN"
	if e.FINWithData {
		what = "FIN with its last data"
	}
	if e.FINSawPeer {
		what += ", which also acknowledges the peer's"
	}
	p.tries(&e.FIN, s, what)
	if a := e.FIN.Answered; a.Seen() {
		if f := p.v.c.End(s.Peer()).FIN; f.First != a {
			p.add(a, s.Peer(), "acknowledges the FIN")
		}
	} else if !p.v.partial(assembler.OneWay) && e.AckStep != 1 {
		p.pause(e.FIN.Last.Time, "nothing acknowledges it")
	}
}

// unseen shows the acknowledgment of a FIN that the capture lacks.
func (p *proof) unseen() {
	s, ok := p.v.firstFIN()
	if !ok {
		return
	}
	if e := p.v.c.End(s); e.AckStep == 1 {
		p.add(e.LastAckStep, s, "acknowledges one sequence number more, without payload: the %s's FIN, which was not captured", s.Peer())
	}
}

// farewells shows the alerts by which TLS ended before TCP did.
func (p *proof) farewells() {
	if s, ok := p.v.notified(); ok {
		p.add(p.v.c.End(s).LastData, s, "a TLS alert ends its session, most likely close_notify")
	}
}

// pause is a line about the silence until the end of the capture; it carries
// no packet, since there is none.
func (p *proof) pause(since int64, what string) {
	d := p.v.env.End - since
	text := fmt.Sprintf("%s until the capture ends, %s later", what, dur(d))
	if d <= 0 {
		text = "the capture ends here"
	}
	p.lines = append(p.lines, Evidence{Stamp: assembler.Stamp{Time: p.v.env.End}, Network: true, What: text})
}

// reset shows the decisive RST, what it answers and what its header says.
func (p *proof) reset() {
	r := p.v.rst
	if r == nil {
		return
	}
	if r.Trigger != assembler.NoTrigger && bare(r) {
		p.add(r.Answers, r.Side.Peer(), "%s", triggerNames[r.Trigger])
	}
	p.add(r.Stamp, r.Side, "%s", describeReset(p.v.c, r))
	if r.SenderAfter.Seen() {
		p.add(r.SenderAfter, r.Side, "sends on as if it had sent no RST")
	}
}

var triggerNames = [...]string{
	assembler.NoTrigger: "", assembler.ToSYN: "SYN", assembler.ToSYNACK: "SYN-ACK", assembler.ToData: "data",
	assembler.ToFIN: "FIN", assembler.ToKeepAlive: "keep-alive probe", assembler.ToWinProbe: "window probe",
	assembler.ToChallenge: "challenge ACK", assembler.ToACK: "ACK",
}

// describeReset says what a RST looks like and what that means.
func describeReset(c *assembler.Conn, r *assembler.Reset) string {
	var b strings.Builder
	b.WriteString("RST")
	if r.Flags.Has(capture.ACK) {
		b.WriteString("+ACK")
	}
	fit := map[assembler.ResetFit]string{
		assembler.FitExact: "seq = next expected", assembler.FitFIN: "seq of the FIN", assembler.FitSYN: "acknowledges the SYN",
		assembler.FitUnknown: "seq cannot be checked", assembler.FitInWindow: "seq in window, but not the next expected",
		assembler.FitOutside: "seq out of window", assembler.FitLate: "after the end", assembler.FitBadSYN: "acknowledges no SYN of the receiver's",
	}
	fmt.Fprintf(&b, ", %s, window %d", fit[r.Fit], r.Window)
	if c.Timestamps() {
		switch {
		case !r.HasTS:
			b.WriteString(", no timestamps")
		case oddTimestamp(r):
			b.WriteString(", TSval out of step")
		default:
			b.WriteString(", TSval in step")
		}
	}
	e := c.End(r.Side)
	if oddTTL(e, r) {
		fmt.Fprintf(&b, ", TTL %d where the %s's other packets have %d", r.TTL, r.Side, e.TTLMin)
	}
	if oddIPID(e, r) {
		fmt.Fprintf(&b, ", IP ID %d steps away from the series", r.IPIDDelta)
	}
	switch {
	case forged(e, r):
	case bare(r):
		b.WriteString(": sent without a socket")
	case r.Fit == assembler.FitSYN:
		b.WriteString(": nobody listens, or a firewall rejects")
	case live(c, r) && !r.Stateless:
		b.WriteString(": sent by the live socket")
	}
	return b.String()
}

func forged(e *assembler.End, r *assembler.Reset) bool {
	return oddTTL(e, r) || oddIPID(e, r) || oddTimestamp(r)
}

// unread shows what the aborter had acknowledged and not answered.
func (p *proof) unread() {
	r := p.v.rst
	if r == nil {
		return
	}
	if n := unanswered(r); n > 0 {
		peer := p.v.c.End(r.Side.Peer())
		p.add(peer.LastData, r.Side.Peer(), "last of %s that the %s acknowledged and never answered", plural(n, "byte"), r.Side)
	}
}

// silence shows what was tried in vain, and for how long the capture goes on.
func (p *proof) silence(what func(*assembler.End) *assembler.Tries, name string) {
	e, t := p.v.silent(what, 1)
	if e == nil {
		return
	}
	s := p.side(e)
	if o := p.v.c.End(s.Peer()); o.Last.Seen() && o.Last.Time <= t.First.Time {
		p.add(o.Last, s.Peer(), "the last that was heard of the %s", s.Peer())
	}
	if t.Len > fewBytes {
		name = fmt.Sprintf("%s (%s)", name, plural(uint64(t.Len), "byte"))
	}
	p.tries(t, s, name)
	if p.v.rst == nil {
		p.pause(t.Last.Time, "no answer and no further try")
	}
}

const fewBytes = 1

// icmp shows the errors that routers sent.
func (p *proof) icmp() {
	for _, i := range p.v.c.KeptICMP() {
		text := fmt.Sprintf("%s from %s, quoting the %s's %s", icmpName(&i), capture.Addr(i.Router), i.Side, triggerNames[i.Quotes])
		if i.Count > 1 {
			text += fmt.Sprintf(" (%d times)", i.Count)
		}
		p.lines = append(p.lines, Evidence{Stamp: i.Stamp, Side: i.Side.Peer(), Network: i.Router != p.v.c.End(i.Side.Peer()).Addr, What: text})
	}
}

// window shows the shut window and the probes against it.
func (p *proof) window() {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		z := p.v.c.End(s).ZeroWindow
		if !z.Pending() {
			continue
		}
		p.add(z.First, s, "advertises window 0")
		if w := p.v.c.End(s.Peer()).WProb; w.Seen() {
			p.tries(&w, s.Peer(), "window probe")
			p.add(w.Answered, s, "answers: window still 0")
		}
		p.pause(z.First.Time, "the window stays shut")
	}
}

// late shows payload behind the peer's FIN.
func (p *proof) late() {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		if l := p.v.c.End(s).LateData; l.Seen() {
			p.add(l.First, s, "%s behind the peer's FIN", plural(uint64(l.Len), "payload byte"))
		}
		if e := p.v.c.End(s); e.AckedPastFIN > 0 {
			p.add(e.FirstPastFIN, s, "acknowledges payload behind its own FIN: only its sending half is closed")
		}
	}
}

// crossed shows payload that was on its way when its receiver closed.
func (p *proof) crossed() {
	if p.v.rst == nil {
		return
	}
	if w := p.v.receiver(); !w.LateData.Seen() && w.Data.Pending() {
		p.add(w.Data.First, p.side(w), "%s, on the way when the %s closes", plural(uint64(w.Data.Len), "payload byte"), p.v.rst.Side)
	}
}

// challenge shows the new SYN and what it drew.
func (p *proof) challenge() {
	c := p.v.c
	if !c.Successor.Seen() {
		return
	}
	s := assembler.Client
	if p.v.rst != nil {
		s = p.v.rst.Side
	}
	p.add(c.Successor, s, "SYN of a new connection on the same tuple")
	p.add(c.End(s.Peer()).LastChallenge, s.Peer(), "challenge ACK: the old connection is still alive here")
}

// icmpName is the error's name as tcpdump or Wireshark would have it.
func icmpName(i *assembler.ICMP) string {
	names := icmpNames
	proto := "ICMP"
	if i.V6 {
		names, proto = icmp6Names, "ICMPv6"
	}
	if n, ok := names[uint16(i.Type)<<8|uint16(i.Code)]; ok {
		return fmt.Sprintf("%s %s (type %d, code %d)", proto, n, i.Type, i.Code)
	}
	return fmt.Sprintf("%s type %d, code %d", proto, i.Type, i.Code)
}

var icmpNames = map[uint16]string{
	0x0300: "network unreachable", 0x0301: "host unreachable", 0x0302: "protocol unreachable", 0x0303: "port unreachable",
	0x0304: "fragmentation needed", 0x0305: "source route failed", 0x0306: "network unknown", 0x0307: "host unknown",
	0x0308: "source host isolated", 0x0309: "network administratively prohibited", 0x030a: "host administratively prohibited",
	0x030b: "network unreachable for this type of service", 0x030c: "host unreachable for this type of service",
	0x030d: "communication administratively prohibited", 0x030e: "host precedence violation", 0x030f: "precedence cutoff",
	0x0b00: "time to live exceeded", 0x0b01: "fragment reassembly time exceeded", 0x0c00: "parameter problem",
}

var icmp6Names = map[uint16]string{
	0x0100: "no route to destination", 0x0101: "administratively prohibited", 0x0102: "beyond scope of source address",
	0x0103: "address unreachable", 0x0104: "port unreachable", 0x0105: "source address failed policy", 0x0106: "reject route",
	0x0200: "packet too big", 0x0300: "hop limit exceeded", 0x0301: "fragment reassembly time exceeded",
}
