package output

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// Hosts knows what sockets hosts had: a finished [classify.Analysis].
type Hosts interface {
	Connections
	SocketsAt(t int64, host netip.Addr) []classify.Socket
	StateSeries() []classify.Series
}

// Sockets prints the view of sockets that f asks for: those of a moment, as
// `ss -tan` would have listed them, or their number over time. The report's
// connections must be [Hosts], all of them.
func Sockets(w io.Writer, format Format, r Report, f *Filter, s Style) error {
	a, ok := r.Conns.(Hosts)
	if !ok {
		return errors.New("a selection of connections does not tell which sockets there were")
	}
	v := &socketView{page: newPage(w, s), style: s, sum: a.Summary(), filter: f, in: r.Inputs}
	v.last = max(v.sum.Last, v.sum.End)
	v.clock = newClock(v.sum.First, v.last)
	if f.states {
		list := slices.DeleteFunc(a.StateSeries(), func(x classify.Series) bool { return !v.wants(x.Host) })
		if format == FormatJSON {
			return v.statesJSON(w, list)
		}
		return v.states(list)
	}
	at := f.at.in(v.sum.First, v.sum.Last)
	list := slices.DeleteFunc(a.SocketsAt(at, netip.Addr{}), func(k classify.Socket) bool { return !v.wants(k.Local.Addr()) })
	if format == FormatJSON {
		return v.socketsJSON(w, at, list)
	}
	return v.sockets(at, list)
}

type socketView struct {
	*page
	style  Style
	sum    classify.Summary
	last   int64 // ns: end of the capture
	clock  clock
	filter *Filter
	in     []capture.Input
}

// wants reports whether the host is among those selected.
func (v *socketView) wants(a netip.Addr) bool { return v.filter.keepsHost(a, a) }

// whose says which hosts are shown.
func (v *socketView) whose() string {
	if len(v.filter.hosts) == 0 {
		return "on all hosts (--host ADDR shows one)"
	}
	var s []string
	for _, p := range v.filter.hosts {
		if p.IsSingleIP() {
			s = append(s, p.Addr().String())
		} else {
			s = append(s, p.String())
		}
	}
	return "on " + strings.Join(s, ", ")
}

// sockets prints the list in the columns of ss.
func (v *socketView) sockets(at int64, list []classify.Socket) error {
	when := time.Unix(0, at).UTC().Format("2006-01-02 15:04:05.999999") + " UTC"
	v.wrap("", paint(v.bold, fmt.Sprintf("%s at %s %s,", plural(uint64(len(list)), "socket"), keep(when), v.whose()))+" as far as the capture shows: no listeners, and none without a packet.", v.width)
	switch {
	case at < v.sum.First:
		v.prose(paint(v.yellow, "! "), fmt.Sprintf("The capture begins %s later, at %s.", span(v.sum.First-at), keep(v.clock.text(v.sum.First))))
	case at > v.last:
		v.prose(paint(v.yellow, "! "), fmt.Sprintf("The capture ends %s before, at %s: what was open then is shown no more.", span(at-v.last), keep(v.clock.text(v.last))))
	}
	v.blank()
	if len(list) == 0 {
		return v.flush()
	}
	slices.SortStableFunc(list, func(a, b classify.Socket) int { return a.Local.Addr().Compare(b.Local.Addr()) })
	local, peer := len("Local Address:Port"), len("Peer Address:Port")
	for _, k := range list {
		local, peer = max(local, len(k.Local.String())), max(peer, len(k.Peer.String()))
	}
	v.printf("%s\n", paint(v.faint, fmt.Sprintf("%-10s %6s %6s %*s  %*s  %-5s Timer", "State", "Recv-Q", "Send-Q", local, "Local Address:Port", peer, "Peer Address:Port", "Conn")))
	for _, k := range list {
		recv, send := queueText(k.RecvKnown, k.RecvQ), queueText(k.SendKnown, k.SendQ)
		state := v.state(k.State, pad(ssName(k.State), 10))
		line := fmt.Sprintf("%s %6s %6s %*s  %*s  %-5s %s", state, recv, send, local, k.Local, peer, k.Peer, fmt.Sprintf("#%d", k.Conn), timerText(k.Timer))
		v.printf("%s\n", strings.TrimRight(line, " "))
	}
	v.blank()
	v.printf("%s\n", summed(list))
	return v.flush()
}

// queueText is the length of a queue, ? where packets do not tell.
func queueText(known bool, n uint32) string {
	switch {
	case known:
		return fmt.Sprint(n)
	case n > 0:
		return fmt.Sprintf("≥%d", n)
	}
	return "?"
}

// summed counts the sockets by state, in the order of states.
func summed(list []classify.Socket) string {
	var n [assembler.TimeWait + 1]uint64
	for _, k := range list {
		n[k.State]++
	}
	var items []string
	for s := range assembler.TimeWait + 1 {
		if n[s] > 0 {
			items = append(items, count(n[s])+" "+ssName(s))
		}
	}
	return strings.Join(items, ", ")
}

// ssName is what ss calls a state.
func ssName(s assembler.State) string {
	switch s {
	case assembler.Established:
		return "ESTAB"
	case assembler.SynReceived:
		return "SYN-RECV"
	case assembler.FinWait1:
		return "FIN-WAIT-1"
	case assembler.FinWait2:
		return "FIN-WAIT-2"
	}
	return strings.ReplaceAll(s.String(), "_", "-")
}

// state colours a text by what the state asks of whoever looks: nothing,
// patience, or a bug report.
func (p *Palette) state(s assembler.State, text string) string {
	switch s {
	case assembler.Established:
		return paint(p.green, text)
	case assembler.CloseWait:
		return paint(p.red, text)
	case assembler.TimeWait:
		return paint(p.faint, text)
	}
	return paint(p.yellow, text)
}

// timerText is the last column of ss -o, with ? for an unknown rest.
func timerText(t classify.Timer) string {
	if t.Kind == "" {
		return ""
	}
	return fmt.Sprintf("timer:(%s,%s,%d)", t.Kind, left(t.Left), t.Retries)
}

// left is a time as ss writes it: 200ms, 1.532sec, 41sec, 1min2sec.
func left(ns int64) string {
	d := time.Duration(ns)
	switch {
	case ns < 0:
		return "?"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second >= time.Millisecond:
		return fmt.Sprintf("%d.%03dsec", d/time.Second, d%time.Second/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%dsec", d/time.Second)
	case d%time.Minute < time.Second:
		return fmt.Sprintf("%dmin", d/time.Minute)
	}
	return fmt.Sprintf("%dmin%dsec", d/time.Minute, d%time.Minute/time.Second)
}

type jsonTimer struct {
	Kind    string   `json:"kind"`
	Left    *seconds `json:"left,omitempty"`
	Retries uint32   `json:"retries"`
}

type jsonSocket struct {
	Conn       uint64     `json:"connection"`
	Side       string     `json:"side"`
	State      string     `json:"state"`
	Since      string     `json:"since"`
	Local      string     `json:"local"`
	Peer       string     `json:"peer"`
	RecvQ      *uint32    `json:"recv_q,omitempty"`
	RecvQLeast *uint32    `json:"recv_q_at_least,omitempty"`
	SendQ      *uint32    `json:"send_q,omitempty"`
	Timer      *jsonTimer `json:"timer,omitempty"`
	Inferred   bool       `json:"inferred"`
}

func newSocket(k *classify.Socket) jsonSocket {
	j := jsonSocket{
		Conn: k.Conn, Side: k.Side.String(), State: k.State.String(), Since: stampText(k.Since),
		Local: k.Local.String(), Peer: k.Peer.String(), Inferred: k.Inferred,
	}
	if k.SendKnown {
		j.SendQ = &k.SendQ
	}
	switch {
	case k.RecvKnown:
		j.RecvQ = &k.RecvQ
	case k.RecvQ > 0:
		j.RecvQLeast = &k.RecvQ
	}
	if k.Timer.Kind != "" {
		j.Timer = &jsonTimer{Kind: k.Timer.Kind, Retries: k.Timer.Retries}
		if left := seconds(k.Timer.Left); left >= 0 {
			j.Timer.Left = &left
		}
	}
	return j
}

// socketsJSON writes one socket a line.
func (v *socketView) socketsJSON(w io.Writer, at int64, list []classify.Socket) error {
	e := newEncoder(w)
	e.raw("{\"type\": \"sockets\",\n\"input\": ")
	e.value(newInputs(v.in))
	e.raw(",\n\"time\": ")
	e.value(stampText(at))
	e.raw(",\n\"sockets\": [")
	for i := range list {
		e.next(i)
		e.value(newSocket(&list[i]))
	}
	e.raw("]}\n")
	return e.close()
}
