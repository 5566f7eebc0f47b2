package classify

import (
	"crypto/tls"
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
	} else if !p.v.partial(assembler.OneWay) && e.AckStep != 1 && p.v.rst == nil {
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
	if s, ok := notified(p.v.outline()); ok {
		p.add(p.v.c.End(s).LastData, s, "%s", p.v.farewell(s))
	}
}

// farewell tells what is known of the alert that is s's last words. In TLS
// 1.3 a handshake that fails after the keys are there ends with a sealed alert
// too, and its records look like the application's.
func (v *view) farewell(s assembler.Side) string {
	t, o := v.c.End(s).App.TLS(), v.c.End(s.Peer()).App.TLS()
	switch {
	case t.Alerted && t.LastLen == clearAlert && t.Code == 0:
		return "a TLS alert ends its session: close_notify"
	case t.Alerted && t.LastLen == clearAlert:
		return fmt.Sprintf("a TLS alert ends its session: %q, in the clear", strings.TrimPrefix(tls.AlertError(t.Code).Error(), "tls: "))
	case t.Last == alertRecord && t.Data+o.Data > 0:
		return "a TLS alert ends its session, most likely close_notify"
	}
	return "a TLS alert ends its session: close_notify, or an error, for it is sealed"
}

// alertRecord is the type of a TLS record (RFC 8446 5.1) that is an alert for
// sure; sealed by TLS 1.2 or before, if it is longer than clearAlert.
const alertRecord = 21

// clearAlert is the length (bytes) of an alert that is not encrypted (RFC 8446 6).
const clearAlert = 2

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

// silence shows what was tried in vain, and for how long the capture goes on.
func (p *proof) silence(what func(*assembler.End) *assembler.Tries, name string) {
	e, t := p.v.tried(what)
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

// sizes shows that small segments get through where large ones do not.
func (p *proof) sizes() {
	e, t := p.v.tried(dataOf)
	if e == nil {
		return
	}
	s := p.side(e)
	o := p.v.c.End(s.Peer())
	if o.Last.Time > t.First.Time {
		p.add(o.Last, s.Peer(), "is still heard meanwhile")
	}
}

// deaf shows data repeated although it was acknowledged.
func (p *proof) deaf() {
	for _, s := range []assembler.Side{assembler.Client, assembler.Server} {
		if t := p.v.c.End(s).Deaf; t.Count > 1 {
			p.add(p.v.c.End(s.Peer()).LastNewAck, s.Peer(), "acknowledges the data")
			p.tries(&t, s, "data that was acknowledged before")
			p.pause(t.Last.Time, "no further try")
		}
	}
}

// icmp shows the errors that routers sent.
func (p *proof) icmp() {
	for _, i := range p.v.c.KeptICMP() {
		text := fmt.Sprintf("%s from %s, quoting the %s's %s", icmpName(&i), capture.Addr(i.Router), i.Side, quoted(p.v.c, &i))
		if i.Count > 1 {
			text += fmt.Sprintf(" (%d times)", i.Count)
		}
		network := i.Router != p.v.c.End(i.Side.Peer()).Addr
		p.lines = append(p.lines, Evidence{Stamp: i.Stamp, Side: i.Side.Peer(), Network: network, What: text})
		if i.Count > 1 {
			p.lines = append(p.lines, Evidence{Stamp: i.Last, Side: i.Side.Peer(), Network: network, What: "the last of these errors"})
		}
	}
}

// quoted names what the error quotes. A RST takes no number, so that its own
// is the next one, as an ACK's is.
func quoted(c *assembler.Conn, i *assembler.ICMP) string {
	for _, r := range c.KeptResets() {
		if i.Quotes == assembler.ToACK && r.Side == i.Side && r.Seq == i.Seq && r.Time <= i.Time {
			return "RST"
		}
	}
	return triggerNames[i.Quotes]
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
