package classify_test

import (
	"strings"
	"testing"

	"hangup/classify"
	"hangup/internal/story"
)

// outcomeCase is a story and what both programs must have seen of its first
// connection: "D" dial, "A" accept, "R" reads, "W" writes, and "once".
type outcomeCase struct {
	name           string
	packets        string
	client, server string   // "" is not asked
	clientIf       []string // conditions that must be there, as "part of when: outcome"
	serverIf       []string
	clientNot      string // no condition or note may contain it
	serverNot      string
	byVerdict      bool // rests on who is blamed for a RST, or on the neighbours
}

const (
	stillAlive  = "R[blocked] W[nil]"
	gotReset    = "R[ECONNRESET EOF] W[ECONNRESET EPIPE] once"
	gotTimeout  = "R[ETIMEDOUT EOF] W[ETIMEDOUT EPIPE] once"
	wasClosed   = "R[ErrClosed] W[ErrClosed]"
	closedAfter = "R[EOF ErrClosed] W[ErrClosed]"
	noConn      = "R[] W[]"
)

// TestOutcomes asks one story for every sentence of the model.
func TestOutcomes(t *testing.T) {
	for _, list := range [][]outcomeCase{fatalCases(), closeCases(), silenceCases(), dialCases(), acceptCases(), oddCases()} {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) { c.check(t) })
		}
	}
}

func (c outcomeCase) check(t *testing.T) {
	s, err := story.Parse([]byte("A case of the table.\n\n-- packets --\n" + c.packets))
	if err != nil {
		t.Fatal(err)
	}
	a := tellStory(t, s)
	res := a.Result(0)
	blind := classify.Outcomes(res.Conn, classify.Verdict{}, classify.Env{End: a.Summary().End})
	for side, want := range []string{c.client, c.server} {
		if got := headline(res.Go[side]); want != "" && got != want {
			t.Errorf("%s: %s, want %s\n%s", []string{"client", "server"}[side], got, want, describe(res.Go[side]))
		}
		if got := headline(blind[side]); want != "" && got != want && !c.byVerdict {
			t.Errorf("%s: %s without the verdict, want %s", []string{"client", "server"}[side], got, want)
		}
	}
	for side, wants := range [][]string{c.clientIf, c.serverIf} {
		for _, want := range wants {
			if !hasCondition(res.Go[side], want) {
				t.Errorf("%s: no condition %q in\n%s", []string{"client", "server"}[side], want, describe(res.Go[side]))
			}
		}
	}
	for side, not := range []string{c.clientNot, c.serverNot} {
		if all := describe(res.Go[side]); not != "" && strings.Contains(all, not) {
			t.Errorf("%s: %q in\n%s", []string{"client", "server"}[side], not, all)
		}
	}
}

func headline(o classify.Outcome) string {
	line, _, _ := strings.Cut(describe(o), "\n")
	return line
}

func hasCondition(o classify.Outcome, want string) bool {
	when, outcome, _ := strings.Cut(want, ": ")
	for _, c := range o.If {
		if strings.Contains(c.When, when) && headline(override(classify.Outcome{}, c)) == outcome {
			return true
		}
	}
	return false
}

// fatalCases: a RST that was taken, and what sends one.
func fatalCases() []outcomeCase {
	return []outcomeCase{
		{name: "reset of a live socket", packets: "handshake\nexchange 100 200\n+1 < R.\n+60 other",
			client: "D[nil] " + gotReset, server: wasClosed, serverIf: []string{"ss -K: R[ECONNABORTED EOF] W[ECONNABORTED EPIPE] once"}},
		{name: "reset by the client", packets: "handshake\nexchange 100 200\n+1 > R.\n+60 other",
			client: "D[nil] " + wasClosed, server: gotReset},
		{name: "reset at once: Dial may report it", packets: "handshake\n+0.001 < R.\n+60 other",
			client: "D[nil] " + gotReset, clientIf: []string{"before Dial had returned: D[ECONNRESET] R[] W[]"}},
		{name: "reset later: Dial had returned", packets: "handshake\n+2 < R.\n+60 other",
			client: "D[nil] " + gotReset, clientNot: "Dial had returned"},
		{name: "reset at once, but the program had written", packets: "handshake\n+0.001 > P. len=10\n+0.001 < R.\n+60 other",
			client: "D[nil] " + gotReset, clientNot: "Dial had returned"},
		{name: "RST+ACK out of window", packets: "handshake\nexchange 100 200\n+1 < R. forged seq=+9000000\n+60 other",
			client: "D[nil] " + stillAlive, server: stillAlive},
		{name: "RST out of window", packets: "handshake\nexchange 100 200\n+1 < R forged seq=+9000000\n+60 other",
			client: "D[nil] " + stillAlive, server: stillAlive},
		{name: "RST in window draws a challenge", packets: "handshake\nexchange 100 200\n+1 < R forged seq=+100\n> .\n+60 other",
			client: "D[nil] " + stillAlive, server: stillAlive},
		{name: "forged RST, taken", packets: "handshake\nexchange 100 200\nexchange 100 200\n+1 < R forged ttl=40\n+1 < P. len=10\n+60 other",
			client: "D[nil] " + gotReset, server: "R[blocked] W[nil ECONNRESET EPIPE]",
			serverIf: []string{"send that RST itself: R[ErrClosed] W[ErrClosed]", "reset as well: " + gotReset}},
		{name: "forged RST: the other end hears on its next write", packets: "handshake\nexchange 100 200\n+1 < R forged\n+1 < P. len=10 #late\n> stateless to=#late\n+60 other",
			client: "D[nil] " + gotReset, server: gotReset},
		{name: "RST lost, next write draws another", packets: "handshake\nexchange 100 200\n+1 < R. lost\n+1 > P. len=10\n< stateless\n+60 other",
			client: "D[nil] " + gotReset, server: wasClosed},
		{name: "both abort", packets: "handshake\nexchange 100 200\n+1 > R.\n+0.0001 < R. crossed\n+60 other",
			client: "D[nil] " + wasClosed, server: wasClosed},
		{name: "peer lost its state", packets: "handshake\nexchange 100 200\n+100 > P. len=10\n< stateless\n+60 other",
			client: "D[nil] " + gotReset, server: stillAlive,
			serverIf: []string{"a RST had reached it: " + gotReset, "it had given up: " + gotTimeout}},
		{name: "much unacknowledged: a Write may fail in its middle", packets: "handshake\n+0.1 > P. len=1460\n+0.0001x9 > P. len=1460\n+0.001 < R. crossed=10\n+60 other",
			clientIf: []string{"blocked in the middle: R[] W[ECONNRESET EPIPE] once"}},
		{name: "IPv6", packets: "client [2001:db8::1]:40000\nserver [2001:db8::2]:8080\nhandshake\nexchange 100 200\n+1 < R.\n+60 other",
			client: "D[nil] " + gotReset, server: wasClosed},
	}
}

// closeCases: FINs, ours and theirs.
func closeCases() []outcomeCase {
	half := "it was CloseWrite: R[EOF] W[EPIPE]"
	return []outcomeCase{
		{name: "orderly", packets: "handshake\nexchange 100 200\nclose by C\n+60 other",
			client: "D[nil] " + wasClosed, server: closedAfter, clientIf: []string{half}, serverIf: []string{half}, clientNot: "vanished", serverNot: "vanished"},
		{name: "simultaneous", packets: "handshake\nexchange 100 200\n+1 > F.\n+0.0001 < F. crossed\n> .\n+0.0001 < .\n+60 other",
			client: "D[nil] " + wasClosed, server: wasClosed, clientIf: []string{half}},
		{name: "peer closed, nobody wrote", packets: "handshake\nexchange 100 200\n+1 < F.\n> .\n+60 other",
			client: "D[nil] R[EOF] W[nil EPIPE]", server: wasClosed,
			clientIf: []string{"CloseWrite: R[EOF] W[nil]"}, serverIf: []string{"it was CloseWrite: R[blocked] W[EPIPE]"}},
		{name: "write after close", packets: "handshake\nexchange 100 200\n+1 < F.\n> .\n+1 > P. len=50\n< stateless\n+60 other",
			client: "D[nil] R[EOF] W[EPIPE]", server: wasClosed},
		{name: "write crosses the FIN", packets: "handshake\nexchange 100 200\n+1 < F.\n+0.0001 > P. len=50 crossed #late\n+0.0001 < stateless to=#late\n+60 other",
			client: "D[nil] R[EOF] W[EPIPE]", clientIf: []string{"that FIN did not reach it: " + gotReset}},
		{name: "half close, proven by what it went on to take", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+0.1 < P. len=500\n> .\n+0.1 < F.\n> .\n+60 other",
			client: "D[nil] R[EOF] W[EPIPE]", server: closedAfter, clientNot: "CloseWrite, not Close"},
		{name: "half close, proven by keep-alive", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+15 > keepalive\n< .\n+60 other",
			client: "D[nil] R[blocked] W[EPIPE]"},
		{name: "half closed, then reset: pending for Write too", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+0.1 < P. len=500\n> .\n+0.1 < R.\n+60 other",
			client: "D[nil] R[ECONNRESET EOF] W[ECONNRESET EPIPE] once", server: closedAfter},
		{name: "close, proven by the RST it answers data with", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+0.1 < P. len=500\n> stateless\n+60 other",
			client: "D[nil] " + wasClosed, clientNot: "it was CloseWrite, not Close", server: "R[EOF] W[EPIPE]"},
		{name: "RST behind the last FIN", packets: "handshake\nexchange 100 200\nclose by C\n+0.1 < R.\n+60 other",
			client: "D[nil] " + wasClosed, server: closedAfter, serverNot: "ss -K"},
		{name: "FIN lost, the next write meets a closed socket", packets: "handshake\nexchange 100 200\n+1 < F. lost\n+0.1 > P. len=50\n< stateless\n+60 other",
			client: "D[nil] " + gotReset, server: wasClosed},
		{name: "half closed by the peer, who goes on reading", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+0.1 < P. len=500\n> .\n+60 other",
			client: "D[nil] R[blocked] W[EPIPE]", server: "R[EOF] W[nil]"},
		{name: "half closed, then closed", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+0.1 < P. len=500\n> .\n+1 < P. len=500\n> stateless\n+60 other",
			client: "D[nil] " + wasClosed, server: "R[EOF] W[EPIPE]"},
		{name: "FIN_WAIT2 expired", packets: "handshake\nexchange 100 200\n+1 > F.\n< .\n+120 < F.\n> stateless\n+60 other",
			client: "D[nil] " + wasClosed, server: closedAfter},
		{name: "last ack lost, FIN reset", packets: "handshake\nexchange 100 200\n+1 < F.\n> .\n+5 > F.\n< stateless\n+60 other",
			client: "D[nil] " + closedAfter, clientIf: []string{"it was CloseWrite: R[EOF] W[ECONNRESET EPIPE]"}},
		{name: "FIN then RST before the FIN was acknowledged", packets: "handshake\nexchange 100 200\n+1 < F.\n+0.001 < R.\n+60 other",
			client: "D[nil] R[EOF] W[EPIPE]"},
	}
}

// silenceCases: what nobody answers.
func silenceCases() []outcomeCase {
	lostData := "handshake\nexchange 100 200\n+1 > P. len=50 lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+0.8 > rexmit lost\n+1.6 > rexmit lost\n"
	return []outcomeCase{
		{name: "data, given up", packets: lostData + "+60 other", client: "D[nil] " + gotTimeout, server: stillAlive,
			clientIf: []string{"never left it, and it was still trying: " + stillAlive, "Close was called: " + wasClosed, "ARP: R[EHOSTUNREACH EOF] W[EHOSTUNREACH EPIPE] once"}},
		{name: "data, repeated once", packets: "handshake\nexchange 100 200\n+1 > P. len=50 lost\n+0.02 > rexmit lost\n+60 other", client: "D[nil] " + gotTimeout,
			clientIf: []string{"still trying: " + stillAlive}},
		{name: "data, perhaps still trying", packets: lostData, client: "D[nil] " + stillAlive,
			clientIf: []string{"it gave up: " + gotTimeout, "buffer is full: R[blocked] W[blocked]"}},
		{name: "soft ICMP error", packets: lostData + "icmp host-unreachable from 192.0.2.254\n+60 other",
			client: "D[nil] R[EHOSTUNREACH EOF] W[EHOSTUNREACH EPIPE] once"},
		{name: "soft ICMP error, port", packets: lostData + "icmp port-unreachable from 192.0.2.254\n+60 other",
			client: "D[nil] R[ECONNREFUSED EOF] W[ECONNREFUSED EPIPE] once"},
		{name: "soft ICMP error, cleared", packets: "handshake\nexchange 100 200\n+1 > P. len=50 lost\nicmp host-unreachable from 192.0.2.254\n+0.2 > rexmit\n< .\n" +
			"+1 > P. len=50 lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+60 other", client: "D[nil] " + gotTimeout},
		{name: "MTU is no error", packets: lostData + "icmp frag-needed from 192.0.2.254 mtu=1400\n+60 other", client: "D[nil] " + gotTimeout},
		{name: "data after the peer's FIN", packets: "handshake\nexchange 100 200\n+1 < F.\n> .\n+1 > P. len=50 lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+60 other",
			client: "D[nil] R[EOF] W[ETIMEDOUT EPIPE]"},
		{name: "FIN, of a closed socket", packets: "handshake\nexchange 100 200\n+1 > F. lost\n+0.2 > rexmit lost\n+0.4 > rexmit lost\n+60 other",
			client: "D[nil] " + wasClosed, clientIf: []string{"it was CloseWrite: " + gotTimeout}, serverIf: []string{"a FIN of the peer's reached it: R[EOF] W[nil EPIPE]"}, server: stillAlive},
		{name: "keep-alive, given up", packets: "handshake\nexchange 100 200\n+15 > keepalive lost\n+15x8 > keepalive lost\n+15 > R. lost\n+60 other",
			client: "D[nil] " + gotTimeout, server: stillAlive, clientIf: []string{"closed it before: " + wasClosed}, serverIf: []string{"that RST reached it: " + gotReset}},
		{name: "keep-alive, still probing", packets: "handshake\nexchange 100 200\n+15 > keepalive lost\n+15x3 > keepalive lost",
			client: "D[nil] " + stillAlive, clientIf: []string{"it gave up: " + gotTimeout}},
		{name: "keep-alive answered", packets: "handshake\nexchange 100 200\n+15 > keepalive\n< .\n+15 > keepalive\n< .\n+60 other", client: "D[nil] " + stillAlive},
		{name: "given up, and found without a socket before the next try was due", packets: lostData + "+2 < P. len=10\n> stateless",
			client: "D[nil] " + gotTimeout, server: gotReset},
		{name: "data in flight at the end", packets: "handshake\nexchange 100 200\n+1 > P. len=50", client: "D[nil] " + stillAlive, clientNot: "buffer"},
		{name: "given up, then found without a socket", packets: lostData + "+60 < P. len=10\n> stateless\n+60 other",
			client: "D[nil] " + gotTimeout, server: gotReset},
		{name: "zero window", packets: "handshake\n+0.1 > P. len=1460\n< . win=0\n+0.3 > probe\n< . win=0\n+0.6 > probe\n< . win=0\n+1.2 > probe\n< . win=0\n",
			client: "D[nil] R[blocked] W[blocked]", clientIf: []string{"still had room: " + stillAlive, "TCP_USER_TIMEOUT: " + gotTimeout}},
		{name: "one lost try shows nothing", packets: "handshake\nexchange 100 200\n+1 > P. len=50 lost\n+60 other",
			client: "D[nil] " + stillAlive, clientIf: []string{"it gave up: " + gotTimeout}},
		{name: "own firewall drops the RSTs", packets: "handshake\nexchange 100 200\n+1 > P. len=50\n< stateless lost\n+0.2 > rexmit\n< stateless lost\n+0.4 > rexmit\n< stateless lost\n+0.8 > rexmit\n< stateless lost\n+60 other",
			client: "D[nil] " + gotTimeout, clientIf: []string{"that RST reached it: " + gotReset}},
	}
}
