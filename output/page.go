package output

import (
	"fmt"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

// Of so few connections, or of those asked for by name, the ones that ended
// well are spelled out too: who closed first is what one wants to know then.
const few = 5

// groups spells out one example of every group of abnormal connections.
func (t *text) groups() {
	list := ranked(t.digest)
	if len(list) == 0 && t.sum.Connections > few && t.r.Filter == "" {
		t.prose("", paint(t.green, "No connection ended badly.")+" --all lists them.")
		return
	}
	if len(list) == 0 || t.sum.Connections <= few {
		list = ranked(digest(t.r.Conns, true))
	}
	shown := len(list)
	if t.style.Limit > 0 && !t.style.All {
		shown = min(shown, t.style.Limit)
	}
	if shown == len(list)-1 {
		shown++ // to say that there is one more takes as much room as a glance at it saves
	}
	for i := range list[:shown] {
		t.group(i+1, &list[i])
	}
	if rest := list[shown:]; len(rest) > 0 {
		t.remainder(rest)
	}
}

func (t *text) remainder(rest []group) {
	var n uint64
	for i := range rest {
		n += rest[i].N
	}
	t.prose("", fmt.Sprintf("And %s with %s: --limit 0 spells them out, --all lists every connection, --format ndjson has everything.", plural(uint64(len(rest)), "more group"), plural(n, "connection")))
}

const (
	margin = "    "
	label  = 8 // width of "client", "server", "or", "do"
)

// group prints one group: title, who and when, example, advice.
func (t *text) group(number int, g *group) {
	res := t.r.Conns.Result(g.Example)
	t.title(number, g, res.Confidence)
	if g.N > 1 {
		t.prose(margin, t.place(g)+" "+t.from(g))
		t.blank()
	}
	if n := t.explained(g, res.Conn.ID); n > 0 && !t.style.Verbose {
		res.Advice = "See " + findingName(n) + "."
	}
	t.spell(&res, g.N > 1)
	t.blank()
}

func (t *text) title(number int, g *group, sure classify.Confidence) {
	left := fmt.Sprintf("%3s ", fmt.Sprint(number)) + t.class(g.Class, g.Class.String()) + " · " + paint(t.bold, g.Cause.String())
	if g.By != classify.ByUnknown {
		left += " · by " + g.By.String()
	}
	how := sure.String()
	if least := g.Least(); least < sure {
		how = least.String() + " to " + how // the example shows the cause best
	}
	left += paint(t.faint, " · "+how)
	right := plural(g.N, "connection")
	width := min(t.width, 110)
	fill := width - visible(left) - visible(right) - 2
	if fill < 1 {
		t.wrap("", left+" · "+right, t.width)
		return
	}
	t.printf("%s %s %s\n", left, paint(t.faint, strings.Repeat("─", fill)), strings.ReplaceAll(right, nbsp, " "))
}

// place names the group's server or servers.
func (t *text) place(g *group) string {
	switch {
	case g.Spill:
		return "at further servers, too many to tell apart"
	case !g.Merged:
		return "at " + addrPort(g.Addr, g.Port)
	case g.Port == 0:
		return fmt.Sprintf("at %d ports of %s", g.Ports, g.Addr)
	}
	return fmt.Sprintf("at port %d of %d hosts", g.Port, g.Hosts)
}

// from says who the clients were and when it happened.
func (t *text) from(g *group) string {
	list, more := g.Clients()
	var s []string
	for i, c := range list {
		if i == 3 && (len(list) > 4 || more > 0) {
			others := fmt.Sprintf("%d others", len(list)-i)
			if more > 0 {
				others = "more than " + others
			}
			s = append(s, keep(others))
			break
		}
		if uint64(len(list)) == g.N || len(list) == 1 {
			s = append(s, c.Addr.String())
		} else {
			s = append(s, keep(fmt.Sprintf("%s (%s)", c.Addr, count(c.N))))
		}
	}
	when := t.clock.seconds(g.First)
	if end := t.clock.seconds(g.Last); end != when {
		when += " to " + end
	}
	return "from " + strings.Join(s, ", ") + nbsp + "· " + keep(when)
}

// spell prints one connection: sentence, evidence, Go outcomes, alternatives, advice.
func (t *text) spell(res *classify.Result, example bool) {
	t.prose(margin, t.pair(res, example))
	t.prose(margin, teller{*res, t.sum.End}.sentence())
	t.evidence(res.Evidence)
	t.outcomes(res)
	t.doubts(res)
	if res.Advice != "" {
		t.prose(margin+pad("do", label), res.Advice)
	}
	if t.style.Verbose {
		t.more(res)
	}
}

// pair names a connection's ends and size.
func (t *text) pair(res *classify.Result, example bool) string {
	c := res.Conn
	client, server := c.End(assembler.Client), c.End(assembler.Server)
	s := ""
	if example {
		s = "such as "
	}
	s += paint(t.bold, fmt.Sprintf("#%d", c.ID)) + " " + endpoint(client) + " " + keep("→ ") + endpoint(server)
	if res.Encap != "" {
		s += " (" + clean(res.Encap) + ")"
	}
	data := "no data"
	if client.Bytes+server.Bytes > 0 {
		data = "→ " + volume(client.Bytes) + " ← " + volume(server.Bytes)
	}
	items := []string{"", keep(t.clock.seconds(c.First.Time)), span(c.Last.Time - c.First.Time), keep(data)}
	return s + paint(t.faint, dotted(items))
}

func endpoint(e *assembler.End) string { return addrPort(e.AddrPort().Addr(), e.Port) }
