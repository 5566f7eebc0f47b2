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
	list := groups(t.r.Conns, abnormal)
	if len(list) == 0 && t.sum.Connections > few && t.r.Filter == "" {
		t.prose("", paint(t.green, "No connection ended badly.")+" --all lists them.")
		return
	}
	if len(list) == 0 || t.sum.Connections <= few {
		list = groups(t.r.Conns, func(*classify.Verdict) bool { return true })
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
		n += uint64(len(rest[i].members))
	}
	t.prose("", fmt.Sprintf("And %s with %s: --limit 0 spells them out, --all lists every connection, --format ndjson has everything.", plural(uint64(len(rest)), "more group"), plural(n, "connection")))
}

const (
	margin = "    "
	label  = 8 // width of "client", "server", "or", "do"
)

// group prints one group: title, who and when, example, advice.
func (t *text) group(number int, g *group) {
	i := g.example(t.r.Conns)
	res := t.r.Conns.Result(i)
	t.title(number, g, res.Confidence)
	if len(g.members) > 1 {
		t.prose(margin, t.place(g)+" "+t.from(g))
		t.blank()
	}
	t.spell(&res, len(g.members) > 1)
	t.blank()
}

func (t *text) title(number int, g *group, sure classify.Confidence) {
	k := g.key
	left := fmt.Sprintf("%3s ", fmt.Sprint(number)) + t.class(k.class, k.class.String()) + " · " + paint(t.bold, k.cause.String())
	if k.by != classify.ByUnknown {
		left += " · by " + k.by.String()
	}
	left += paint(t.faint, " · "+sure.String())
	right := plural(uint64(len(g.members)), "connection")
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
	case !g.merged:
		return "at " + t.host(g.key)
	case g.key.port == 0:
		return fmt.Sprintf("at %d ports of %s", g.ports, g.key.addr)
	}
	return fmt.Sprintf("at port %d of %d hosts", g.key.port, g.hosts)
}

func (t *text) host(k groupKey) string { return addrPort(k.addr, k.port) }

// from says who the clients were and when it happened.
func (t *text) from(g *group) string {
	first, last := t.ended(g.members[0]), t.ended(g.members[0])
	for _, i := range g.members {
		first, last = min(first, t.ended(i)), max(last, t.ended(i))
	}
	list := g.clients(t.r.Conns)
	var s []string
	for i, c := range list {
		if i == 3 && len(list) > 4 {
			s = append(s, keep(fmt.Sprintf("%d others", len(list)-i)))
			break
		}
		if len(list) == len(g.members) || len(list) == 1 {
			s = append(s, c.key.String())
		} else {
			s = append(s, keep(fmt.Sprintf("%s (%s)", c.key, count(c.n))))
		}
	}
	when := t.clock.seconds(first)
	if end := t.clock.seconds(last); end != when {
		when += " to " + end
	}
	return "from " + strings.Join(s, ", ") + nbsp + "· " + keep(when)
}

// ended is when a connection came to its end, as far as it did.
func (t *text) ended(i int) int64 {
	if v := t.r.Conns.Verdict(i); v.FirstEnd.Seen() {
		return v.FirstEnd.Time
	}
	return t.r.Conns.Conn(i).Last.Time
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
