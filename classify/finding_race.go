package classify

import (
	"fmt"

	"hangup/assembler"
)

// Kinds of findings about data behind a FIN.
const (
	KindRace       = "keep-alive-race"
	KindIgnoredEOF = "ignored-eof"
)

const (
	// raceWindow is how long (ns) after the FIN a request may leave that
	// crossed it, beyond a round trip: the program had chosen the connection
	// before the FIN was delivered to it.
	raceWindow = 10 * milli
	// raceQuiet is the least silence (ns) before the FIN for it to be an idle
	// timer's.
	raceQuiet = second / 2
	// ignoredMin is how many connections must be written to after their EOF.
	ignoredMin = 2
)

// races finds requests that crossed the server's FIN. It keeps racesMax
// endpoints that closed first, of 5 kB.
type races struct {
	by table[endpoint, race]
}

const racesMax = 1 << 10

type race struct {
	hit, ignored group
	idle         spread // of all FINs that the server sent first to a quiet connection
	hitIdle      spread
	bytes        uint64
	delay        spread // of writes after a known EOF
}

func newRaces() *races {
	r := &races{}
	r.by.max = racesMax
	return r
}

func (r *races) clone(*ledger) collector { return &races{r.by.clone(nil)} }

func (r *races) add(x *subject) {
	c, w := x.c, x.w
	first, ok := x.closer()
	if !ok || first != assembler.Server || c != nil && !w.established() {
		return
	}
	cl, sv := &x.o.Ends[assembler.Client], &x.o.Ends[assembler.Server]
	quiet := sv.FINIdle
	if sv.LastData.Seen() && sv.LastData.Time < sv.FIN.Time {
		quiet = sv.FIN.Time - max(sv.LastData.Time, before(cl.LastData.Time, sv.FIN.Time))
	}
	g := r.by.at(&x.pair.server, x.serverHash)
	if quiet >= raceQuiet {
		g.idle.add(quiet)
	}
	if c == nil || !w.cl.LateData.Seen() {
		return
	}
	late, fin := &w.cl.LateData, &w.sv.FIN
	if parting(w.cl, late) {
		return
	}
	behind := late.First.Time - fin.First.Time
	refused := w.rst != nil && w.rst.Side == assembler.Server && w.rst.Time >= late.First.Time
	switch {
	case quiet < raceQuiet || !refused:
	case justMissed(c, assembler.Server) && cl.App.Protocol() != assembler.AppHTTP1:
		// Upon the EOF, maybe: somebody was reading.
	case !w.cl.LateAfterAck && behind <= c.RTTServer+c.RTTClient+raceWindow, justMissed(c, assembler.Server):
		g.hitIdle.add(quiet)
		g.bytes += uint64(late.Len)
		g.hit.note(x, fin.First.Time, point{fin.First, assembler.Server, saysFINIdle, quiet},
			point{late.First, assembler.Client, saysCrossing, behind}, point{w.rst.Stamp, assembler.Server, saysBareRST, 0})
	case w.cl.LateAfterAck:
		g.delay.add(behind)
		g.ignored.note(x, late.First.Time, point{fin.First, assembler.Server, saysFIN, 0},
			point{late.First, assembler.Client, saysCrossing, behind}, point{w.rst.Stamp, assembler.Server, saysBareRST, 0})
	}
}

// parting reports whether all that an end sent behind the peer's FIN is what
// its own Close sends ahead of its FIN: a TLS alert, Terminate, QUIT. The peer
// had gone, and nobody misses it.
func parting(e *assembler.End, late *assembler.Tries) bool {
	return late.Len <= alertBytes && e.FIN.Seen() && e.FIN.First.Time-late.First.Time < alertBefore && e.FIN.First.Time >= late.First.Time
}

// before is t if it lies before limit, else 0.
func before(t, limit int64) int64 {
	if t < limit {
		return t
	}
	return 0
}

func (r *races) finish(*scene) (list []Finding) {
	for i := range r.by.items {
		g, k := &r.by.items[i].val, r.by.items[i].key
		if g.hit.n > 0 {
			list = append(list, g.race(k, r.by.dropped))
		}
		if g.ignored.n >= ignoredMin {
			list = append(list, g.ignoredEOF(k))
		}
	}
	return list
}

func (g *race) race(server endpoint, dropped uint64) Finding {
	f := g.hit.finding(KindRace, Serious, Likely)
	if g.hit.n == 1 {
		f.Severity = Warning
	}
	timer := g.hitIdle.quantile(0.5)
	if g.hitIdle.total == 1 {
		timer = g.hitIdle.min
	}
	f.at("server", server)
	f.clients(&g.hit)
	f.number("requests that crossed the FIN", float64(g.hit.n), "")
	f.number("bytes of requests lost", float64(g.bytes), "bytes")
	f.number("closes of quiet connections by the server", float64(g.idle.total), "")
	f.seconds("server's idle timer, inferred", timer)
	f.overflow(dropped)
	f.timer = &quietTimer{timerKey{server, assembler.Server}, timer}
	f.Title = fmt.Sprintf("%s crossed the FIN by which %s closed a quiet connection, and were lost.", upper(plural(g.hit.n, "request")), server)
	f.What = fmt.Sprintf("The server closes connections that have been quiet for about %s. At that very moment the client sent its next request: both were on their way at once, "+
		"so the client could not know, and the server's kernel answered with RST. The client's program sees ECONNRESET, EPIPE or EOF for a request that was never processed.", dur(timer))
	f.Advice = fmt.Sprintf("Let the client close first: http.Transport.IdleConnTimeout some seconds below %s (Go's default of 90 s is above it), or raise the server's (http.Server.IdleTimeout, a proxy's keep-alive timeout). "+
		"Go's Transport repeats idempotent requests by itself when no byte of an answer has come; a POST it repeats only if Request.GetBody is set and it carries an Idempotency-Key header.", dur(timer))
	if timer > 90*second {
		f.Advice = fmt.Sprintf("Let the client close first: set its pool's idle time some seconds below %s. Repeat idempotent requests that fail before a byte of an answer.", dur(timer))
	}
	return f
}

func (g *race) ignoredEOF(server endpoint) Finding {
	f := g.ignored.finding(KindIgnoredEOF, Warning, Certain)
	f.at("server", server)
	f.clients(&g.ignored)
	f.number("connections written to after their EOF", float64(g.ignored.n), "")
	f.seconds("median delay behind the FIN", g.delay.quantile(0.5))
	f.Title = fmt.Sprintf("Clients of %s go on writing to %d connections that the server has closed.", server, g.ignored.n)
	f.What = "The server's FIN had been acknowledged by the client's kernel for a while when the client's program wrote again. Nobody was reading, so nobody saw the EOF; the write is answered by RST and its data is lost, though Write itself returns nil the first time."
	f.Advice = "Keep a Read pending on every pooled connection, as net/http does, and drop the connection when it returns EOF; or check before use that nothing is readable (syscall.RawConn.Read with MSG_PEEK). Give pools a maximal idle time below the server's."
	return f
}
