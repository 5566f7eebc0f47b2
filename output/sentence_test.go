package output

import (
	"fmt"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/classify"
)

// facts gives a connection every fact that a sentence may draw on.
func facts() *assembler.Conn {
	c := conn(1, "10.0.0.1:40000", "192.0.2.2:8080", 0, 60)
	try := func(from, to float64, n uint32) assembler.Tries {
		return assembler.Tries{First: stamp(5, from), Last: stamp(9, to), Count: n, Len: 512, Prev: at(from)}
	}
	client, server := c.End(assembler.Client), c.End(assembler.Server)
	client.SYN, server.SYNACK = try(0, 1, 2), try(0.1, 31, 5)
	client.Data, client.Probe = try(20, 50, 7), try(20, 50, 9)
	client.FIN, server.FIN = try(12, 12, 1), try(15, 15, 1)
	server.ZeroWindow = try(10, 40, 30)
	server.LateData = try(13, 14, 3)
	c.NResets = 1
	c.Resets[0] = assembler.Reset{Stamp: stamp(8, 16), Side: assembler.Server, Fit: assembler.FitExact, Trigger: assembler.ToData, Idle: 3e9, Unread: 171}
	c.NICMP = 1
	c.ICMP[0] = assembler.ICMP{Stamp: stamp(8, 0.2), Router: client.Addr, Type: 3, Code: 1}
	return c
}

// Every cause by every party has a sentence of its own that is whole: the
// golden file is there to be read.
func TestSentences(t *testing.T) {
	var b strings.Builder
	seen := make(map[string]classify.Cause)
	for _, k := range []struct {
		class classify.Class
		cause classify.Cause
		by    classify.Party
	}{
		{classify.Open, classify.StillOpen, classify.ByUnknown},
		{classify.Graceful, classify.OrderlyClose, classify.ByClient},
		{classify.Graceful, classify.SimultaneousClose, classify.ByBoth},
		{classify.Graceful, classify.HalfClose, classify.ByClient},
		{classify.Reset, classify.ConnectionRefused, classify.ByServer},
		{classify.Reset, classify.ICMPRejected, classify.ByServer},
		{classify.Reset, classify.ICMPRejected, classify.ByNetwork},
		{classify.Reset, classify.DialCancelled, classify.ByClient},
		{classify.Reset, classify.AbortiveClose, classify.ByServer},
		{classify.Reset, classify.CloseWithUnreadData, classify.ByServer},
		{classify.Reset, classify.ListenerClosed, classify.ByServer},
		{classify.Reset, classify.AcceptQueueOverflow, classify.ByServer},
		{classify.HalfOpen, classify.AcceptQueueOverflow, classify.ByServer},
		{classify.Reset, classify.WriteAfterClose, classify.ByServer},
		{classify.Reset, classify.FinWait2Expired, classify.ByServer},
		{classify.Reset, classify.PeerLostState, classify.ByServer},
		{classify.Reset, classify.StaleTuple, classify.ByClient},
		{classify.Reset, classify.InjectedReset, classify.ByMiddlebox},
		{classify.Reset, classify.ResetByOwnHost, classify.ByServer},
		{classify.TimedOut, classify.PMTUBlackhole, classify.ByNetwork},
		{classify.HalfOpen, classify.HandshakeIncomplete, classify.ByUnknown},
		{classify.HalfOpen, classify.CloseWaitLeak, classify.ByServer},
		{classify.HalfOpen, classify.PeerVanished, classify.ByServer},
		{classify.HalfOpen, classify.PeerVanished, classify.ByUnknown},
		{classify.TimedOut, classify.ConnectTimeout, classify.ByUnknown},
		{classify.TimedOut, classify.RetransmissionTimeout, classify.ByServer},
		{classify.TimedOut, classify.KeepaliveTimeout, classify.ByUnknown},
		{classify.TimedOut, classify.FinTimeout, classify.ByServer},
		{classify.Open, classify.ZeroWindowStall, classify.ByServer},
		{classify.HalfOpen, classify.ZeroWindowStall, classify.ByServer},
		{classify.TimedOut, classify.ZeroWindowStall, classify.ByServer},
	} {
		v := classify.Verdict{Class: k.class, Cause: k.cause, By: k.by, Confidence: classify.Likely,
			FirstEnd: classify.FirstEnd{Stamp: stamp(7, 12), Side: assembler.Client, Flag: classify.FlagFIN}}
		if k.class == classify.Open {
			v.FirstEnd = classify.FirstEnd{}
		}
		r := classify.Result{Conn: facts(), Verdict: v, IdleBeforeEnd: 2e9}
		s := plain(teller{r, at(90)}.sentence())
		fmt.Fprintf(&b, "%-9s %-23s %-8s %s\n", k.class, k.cause, k.by, s)
		if strings.Contains(s, "  ") || strings.Contains(s, ",.") || strings.Contains(s, ",,") || !strings.HasSuffix(s, ".") || strings.ToUpper(s[:1]) != s[:1] {
			t.Errorf("%s: %q is not a sentence", k.cause, s)
		}
		if other, ok := seen[s]; ok && other != k.cause {
			t.Errorf("%s and %s have the same sentence", other, k.cause)
		}
		seen[s] = k.cause

		// A capture that shows next to nothing must not make it stumble.
		bare := classify.Result{Conn: &assembler.Conn{}, Verdict: classify.Verdict{Class: k.class, Cause: k.cause, By: k.by}}
		if s := (teller{bare, 0}).sentence(); !strings.HasSuffix(s, ".") {
			t.Errorf("%s without facts: %q", k.cause, s)
		}
	}
	golden(t, "sentences.txt", []byte(b.String()))
}
