package classify_test

import (
	"fmt"
	"strings"
	"testing"

	"hangup/classify"
	"hangup/internal/story"
)

// dialCases: connections that were never established.
func dialCases() []outcomeCase {
	late := []string{"cancelled: D[Canceled] R[] W[]", "kernel gave up: D[ETIMEDOUT] R[] W[]"}
	return []outcomeCase{
		{name: "refused", packets: "> S\n< stateless\n+60 other", client: "D[ECONNREFUSED] " + noConn, server: noConn},
		{name: "refused behind a firewall that keeps the RST", packets: "> S\n< stateless lost\n+1 > rexmit\n< stateless lost\n+2 > rexmit lost\n+60 other",
			client: "D[DeadlineExceeded] " + noConn},
		{name: "no answer, deadline", packets: "> S lost\n+1 > rexmit lost\n+2 > rexmit lost\n+60 other",
			client: "D[DeadlineExceeded] " + noConn, clientIf: late, server: noConn},
		{name: "no answer, the kernel's whole schedule", packets: "> S lost\n+1x5,+2,+4,+8,+16,+34 > rexmit lost\n+120 other",
			client: "D[ETIMEDOUT] " + noConn, clientIf: []string{"deadline: D[DeadlineExceeded] R[] W[]"}, clientNot: "still waiting"},
		{name: "no answer, the schedule before Linux 6.5", packets: "> S lost\n+1,+2,+4,+8,+16,+32 > rexmit lost\n+120 other", client: "D[ETIMEDOUT] " + noConn},
		{name: "no answer, as many tries but early ones", packets: "> S lost\n+1x5,+2 > rexmit lost\n+120 other", client: "D[DeadlineExceeded] " + noConn},
		{name: "no answer yet", packets: "> S lost\n+1 > rexmit lost",
			clientIf: append(late, "still waiting: D[blocked] R[] W[]")},
		{name: "SYN-ACK too late", packets: "> S\n+1 < S.\n> stateless\n+60 other", client: "D[DeadlineExceeded] " + noConn, clientIf: late, server: "A[blocked] " + noConn},
		{name: "SYN-ACK never acknowledged", packets: "> S\n< S. lost\n+1 < rexmit lost\n+2 < rexmit lost\n+60 other", server: "A[blocked] " + noConn},
		{name: "capture ends with the SYN-ACK", packets: "> S\n< S.", client: "D[nil] " + stillAlive, clientIf: []string{"did not reach it: D[blocked] R[] W[]"}},
		{name: "RST behind the SYN-ACK", packets: "> S\n< S.\n> .\n+0.0001 < R.\n+60 other",
			client: "D[nil] " + gotReset, clientIf: []string{"before Dial had returned: D[ECONNRESET] R[] W[]"}},
		{name: "ICMP, and the kernel goes on", packets: "> S\nicmp frag-needed from 192.0.2.254 mtu=1400\n+1 > rexmit\n< S.\n> .\n+1 < F.\n> .\n+60 other",
			client: "D[nil] R[EOF] W[nil EPIPE]"},
		{name: "ICMP lost behind the capture", packets: "> S\nicmp host-unreachable from 192.0.2.254\n+1 > rexmit lost\n+2 > rexmit lost\n+60 other",
			client: "D[DeadlineExceeded] " + noConn},
		{name: "simultaneous open", packets: "> S\n+0.0001 < S crossed\n+0.01 > S.\n+0.0001 < S. crossed\n+0.01 > .\n+1 > P. len=10\n< .\n+60 other",
			client: "D[nil] " + stillAlive},
	}
}

// acceptCases: the accept queue.
func acceptCases() []outcomeCase {
	return []outcomeCase{
		{name: "reset in the accept queue", packets: "handshake\n+0.5 > R.\n+60 other", client: "D[nil] " + wasClosed, server: "A[nil] " + gotReset},
		{name: "reset in the queue behind data", packets: "handshake\n+0.1 > P. len=40\n< .\n+0.5 > R.\n+60 other", server: "A[nil] " + gotReset},
		{name: "overflow, silent", packets: "handshake\n+0.1 > P. len=40 lost\n+1 < S. seq=0\n> .\n+2 < S. seq=0\n> .\n+4 < S. seq=0\n> .\n",
			server: "A[blocked] " + noConn, serverIf: []string{"came through after all: A[nil] " + stillAlive}},
		{name: "overflow with a RST", packets: "handshake\n+0.005 < stateless\n+60 other", client: "D[nil] " + gotReset, server: "A[blocked] " + noConn},
		{name: "aborted before it sent anything", packets: "handshake\n+1 < R.\n+60 other",
			server: wasClosed, serverIf: []string{"listener was closed before: A[ErrClosed] R[] W[]"}},
		{name: "listener closed", byVerdict: true, packets: "handshake\nconn b\nb handshake\n+1 < R.\n+0.0001 b < R.\n+60 other",
			client: "D[nil] " + gotReset, server: "A[ErrClosed] " + noConn, serverIf: []string{"accepted before: A[nil] " + wasClosed}},
	}
}

// oddCases: MPTCP, tunnels of time, and captures that lack a part.
func oddCases() []outcomeCase {
	mptcp := "client mptcp=capable\nserver mptcp=capable\nhandshake\nexchange 100 200\n"
	return []outcomeCase{
		{name: "MPTCP close", packets: mptcp + "+1 < . mptcp=datafin\n> .\n+1 > P. len=10\n< .\n",
			client: "D[nil] R[EOF] W[nil]", server: wasClosed, serverIf: []string{"it was CloseWrite: R[blocked] W[EPIPE]"}},
		{name: "MPTCP orderly", packets: mptcp + "+1 < . mptcp=datafin\n> .\n+1 > . mptcp=datafin\n< F.\n> F.\n< .\n+60 other",
			client: "D[nil] " + closedAfter, server: wasClosed},
		{name: "MPTCP fastclose", packets: mptcp + "+1 < R. mptcp=fastclose\n+60 other", client: "D[nil] " + gotReset, server: wasClosed},
		{name: "MPTCP subflow reset", packets: mptcp + "+1 < R. mptcp=reset\n+60 other", client: "D[nil] " + stillAlive,
			clientIf: []string{"net.mptcp.close_timeout: R[ENOTCONN] W[EPIPE]", "fallen back to plain TCP: " + gotReset}},
		{name: "only what the client sent", packets: "> S\n< S. uncaptured\n> .\n+1 > P. len=20\n< F. uncaptured\n> .\n+1 > F.\n+60 other",
			client: "D[nil] " + closedAfter},
		{name: "only a RST", packets: "< R.\n+60 other", client: "D[nil] " + gotReset},
		{name: "only a refusal", packets: "> S uncaptured\n< stateless\n+60 other", client: "D[ECONNREFUSED] " + noConn},
		{name: "begins late", packets: "+1 > P. len=20\n< .\n+1 < F.\n> .\n+60 other", client: "D[nil] R[EOF] W[nil EPIPE]"},
		{name: "still open", packets: "handshake\nexchange 100 200\n+5 other", client: "D[nil] " + stillAlive, server: stillAlive,
			clientIf: []string{"peer has vanished: " + gotTimeout}},
		{name: "FIN as the last packet", packets: "handshake\nexchange 100 200\n+1 < F.",
			client: "D[nil] R[EOF] W[nil EPIPE]", clientIf: []string{"did not reach it: " + stillAlive}},
		{name: "deaf sender", packets: "handshake\nexchange 100 200\n+1 > P. len=50\n< . lost\n+0.2 > rexmit seq=101\n< . lost\n+0.4 > rexmit seq=101\n< . lost\n+0.8 > rexmit seq=101\n< . lost\n+60 other",
			client: "D[nil] " + gotTimeout},
		{name: "tuple reused over a live connection", packets: "handshake\nexchange 100 200\nconn b client :40000\n+600 b > S #syn\n+0.001 < . \n+0.001 > stateless\n+60 other",
			server: gotReset},
	}
}

// TestOutcomeNumbers asks for bytes.
func TestOutcomeNumbers(t *testing.T) {
	tell := func(packets string) classify.Outcome {
		s, err := story.Parse([]byte("Bytes.\n\n-- packets --\n" + packets))
		if err != nil {
			t.Fatal(err)
		}
		return tellStory(t, s).Result(0).Go[0]
	}
	for _, c := range []struct {
		name, packets string
		want          uint64
	}{
		{"payload together with the RST", "handshake\nexchange 100 200\n+1 < P. len=300\n+0.0001 < R.\n+60 other", 300},
		{"the same, acknowledged in between", "handshake\nexchange 100 200\n+1 < P. len=300\n+0.0001 > .\n+0.0001 < R.\n+60 other", 300},
		{"payload long before the RST", "handshake\nexchange 100 200\n+1 < P. len=300\n> .\n+1 < R.\n+60 other", 0},
		{"nothing new", "handshake\nexchange 100 200\n+1 < R.\n+60 other", 0},
		{"closed before", "handshake\nexchange 100 200\n+1 > F.\n+0.0001 < P. len=300 crossed\n+0.0001 < R. crossed\n+60 other", 0},
	} {
		if o := tell(c.packets); o.Unread != c.want {
			t.Errorf("%s: unread %d, want %d\n%s", c.name, o.Unread, c.want, describe(o))
		}
	}
	o := tell("handshake\n+0.1 > P. len=1460\n+0.0001x9 > P. len=1460\n+0.001 < R. crossed=10\n+60 other")
	if n := len(o.If); n == 0 || o.If[n-1].Write[0].NMin != 1 {
		t.Errorf("no condition for a Write that fails in its middle\n%s", describe(o))
	}
}

// TestDialICMP holds the tables against the kernel's words: the codes that
// icmp_err_convert and icmpv6_err_convert name, on a SYN.
func TestDialICMP(t *testing.T) {
	v4 := map[string]string{
		"3/0": "ENETUNREACH", "3/1": "EHOSTUNREACH", "3/2": "ENOPROTOOPT", "3/3": "ECONNREFUSED", "3/5": "EOPNOTSUPP",
		"3/6": "ENETUNREACH", "3/7": "EHOSTDOWN", "3/8": "ENONET", "3/9": "ENETUNREACH", "3/10": "EHOSTUNREACH",
		"3/11": "ENETUNREACH", "3/12": "EHOSTUNREACH", "3/13": "EHOSTUNREACH", "3/14": "EHOSTUNREACH", "3/15": "EHOSTUNREACH",
		"11/0": "EHOSTUNREACH", "12/0": "EPROTO",
		"3/4": "", "3/16": "", "11/1": "", "4/0": "",
	}
	v6 := map[string]string{
		"1/0": "ENETUNREACH", "1/1": "EACCES", "1/2": "EHOSTUNREACH", "1/3": "EHOSTUNREACH", "1/4": "ECONNREFUSED",
		"1/5": "EACCES", "1/6": "EACCES", "1/7": "EPROTO", "3/0": "EHOSTUNREACH", "3/1": "EHOSTUNREACH", "4/0": "EPROTO", "4/1": "EPROTO",
		"2/0": "",
	}
	check := func(v6 bool, code, want string) {
		ends, router := "", "192.0.2.254"
		if v6 {
			ends, router = "client [2001:db8::1]:40000\nserver [2001:db8::2]:8080\n", "2001:db8::ff"
		}
		s, err := story.Parse(fmt.Appendf(nil, "A dial.\n\n-- packets --\n%s> S\nicmp %s from %s\n+60 other\n", ends, code, router))
		if err != nil {
			t.Errorf("%s: %v", code, err)
			return
		}
		dial := tellStory(t, s).Result(0).Go[0].Dial
		if want == "" {
			if dial.Error == "ECONNREFUSED" || strings.HasPrefix(string(dial.Error), "EH") || dial.Error == "EPROTO" {
				t.Errorf("ICMP v6=%v %s: dial %s, want none of its doing", v6, code, dial.Error)
			}
			return
		}
		if string(dial.Error) != want {
			t.Errorf("ICMP v6=%v %s: dial %s, want %s", v6, code, dial.Error, want)
		}
	}
	for code, want := range v4 {
		check(false, code, want)
	}
	for code, want := range v6 {
		check(true, code, want)
	}
}
