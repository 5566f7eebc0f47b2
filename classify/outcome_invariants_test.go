package classify_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

// wordsOf are the ends of the texts that tokens may have, per call.
func wordsOf() map[classify.Token]string {
	return map[classify.Token]string{
		"nil": "", "blocked": "", "EOF": "EOF", "ErrClosed": "use of closed network connection",
		"DeadlineExceeded": "i/o timeout", "Canceled": "operation was canceled",
		"EACCES": "permission denied", "EPIPE": "broken pipe", "ENONET": "machine is not on the network",
		"EPROTO": "protocol error", "ENOPROTOOPT": "protocol not available", "EOPNOTSUPP": "operation not supported",
		"ENETUNREACH": "network is unreachable", "ECONNABORTED": "software caused connection abort",
		"ECONNRESET": "connection reset by peer", "ENOTCONN": "transport endpoint is not connected",
		"ETIMEDOUT": "connection timed out", "ECONNREFUSED": "connection refused",
		"EHOSTDOWN": "host is down", "EHOSTUNREACH": "no route to host",
	}
}

// checkInvariants holds what is true of the outcomes of any connection.
func checkInvariants(t *testing.T, label string, c *assembler.Conn, both [2]classify.Outcome) {
	t.Helper()
	words := wordsOf()
	for side, o := range both {
		fail := func(format string, args ...any) {
			t.Errorf("%s, %v: %s\n%s", label, assembler.Side(side), fmt.Sprintf(format, args...), describe(o))
		}
		if o.Read == nil || o.Write == nil {
			fail("Read or Write is nil")
		}
		if o.Accept != nil && side == int(assembler.Client) {
			fail("a client accepts")
		}
		for i, branch := range append([]classify.Condition{{When: "if nothing else", Dial: o.Dial, Accept: o.Accept, Read: o.Read, Write: o.Write, Once: o.Once}}, o.If...) {
			if !strings.HasPrefix(branch.When, "if ") || branch.Dial == nil && branch.Accept == nil && branch.Read == nil && branch.Write == nil && i > 0 {
				fail("condition %d says nothing: %+v", i, branch)
			}
			for op, calls := range map[string][]classify.Call{"read": branch.Read, "write": branch.Write, "dial": one(branch.Dial), "accept": one(branch.Accept)} {
				checkCalls(fail, words, op, calls)
			}
			if branch.Once && (len(branch.Write) == 0 || branch.Read != nil && (len(branch.Read) == 0 || branch.Read[0].Error != branch.Write[0].Error)) {
				fail("condition %d: once, but the first entries differ", i)
			}
			// The last entry repeats, so nothing but an end can stand there.
			for _, calls := range [][]classify.Call{branch.Read, branch.Write} {
				if n := len(calls); n > 0 && !slices.Contains([]classify.Token{"nil", "blocked", "EOF", "ErrClosed", "EPIPE", "ENOTCONN"}, calls[n-1].Error) {
					fail("condition %d: %s for ever", i, calls[n-1].Error)
				}
			}
		}
		if o.Unread > c.End(assembler.Side(side).Peer()).Bytes+1 {
			fail("%d bytes unread of %d sent", o.Unread, c.End(assembler.Side(side).Peer()).Bytes)
		}
	}
}

func one(c *classify.Call) []classify.Call {
	if c == nil {
		return nil
	}
	return []classify.Call{*c}
}

func checkCalls(fail func(string, ...any), words map[classify.Token]string, op string, calls []classify.Call) {
	for i, c := range calls {
		want, ok := words[c.Error]
		switch {
		case !ok:
			fail("unknown token %q", c.Error)
		case !strings.HasSuffix(c.Text, want) || (want == "") != (c.Text == ""):
			fail("%s %s has text %q", op, c.Error, c.Text)
		case c.Error == "EOF" && (op != "read" || c.Text != "EOF"):
			fail("%s returns EOF with text %q", op, c.Text)
		case c.Text != "" && c.Error != "EOF" && !strings.HasPrefix(c.Text, op+" tcp "):
			fail("%s has text %q", op, c.Text)
		}
		if i > 0 && calls[i-1].Error == c.Error {
			fail("%s: %s twice in a row", op, c.Error)
		}
	}
}

// TestOutcomeInvariants asks every story and every capture at hand.
func TestOutcomeInvariants(t *testing.T) {
	for _, file := range storyFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := story.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		checkAll(t, storyName(file), tellStory(t, s))
	}
	captures, err := filepath.Glob(filepath.Join("..", "testdata", "lab", "*", "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	if corpus := os.Getenv("HANGUP_CORPUS"); corpus != "" {
		more, err := filepath.Glob(filepath.Join(corpus, "pcaps", "*"))
		if err != nil {
			t.Fatal(err)
		}
		captures = append(captures, more...)
	} else {
		t.Log("HANGUP_CORPUS is not set: its captures are left out")
	}
	for _, name := range captures {
		a, err := analyse(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkAll(t, filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), a)
	}
}

func checkAll(t *testing.T, label string, a *classify.Analysis) {
	t.Helper()
	for i := range a.Len() {
		r := a.Result(i)
		checkInvariants(t, fmt.Sprintf("%s %d", label, i+1), r.Conn, r.Go)
	}
}

// TestOutcomesOfNonsense: facts that contradict each other, as a damaged
// capture may yield them, still give outcomes of the right form.
func TestOutcomesOfNonsense(t *testing.T) {
	for seed := range uint64(20000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		c := nonsense(rnd)
		v := classify.Verdict{Class: classify.Class(rnd.IntN(5)), Cause: classify.Cause(rnd.IntN(classify.NumCauses)), By: classify.Party(rnd.IntN(6))}
		env := classify.Env{End: rnd.Int64N(100e9), Truncated: rnd.IntN(4) == 0}
		checkInvariants(t, fmt.Sprintf("seed %d", seed), c, classify.Outcomes(c, v, env))
		if t.Failed() {
			return
		}
	}
}

func nonsense(rnd *rand.Rand) *assembler.Conn {
	stamp := func() (s assembler.Stamp) {
		if rnd.IntN(2) == 0 {
			s = assembler.Stamp{Ref: capture.MakeRef(0, rnd.Uint64N(100)), Time: rnd.Int64N(60e9)}
		}
		return
	}
	tries := func() (t assembler.Tries) {
		if rnd.IntN(2) == 0 {
			t = assembler.Tries{First: stamp(), Last: stamp(), Prev: rnd.Int64N(60e9), Seq: rnd.Uint32N(64), Len: rnd.Uint32N(2000),
				Count: rnd.Uint32N(12), Answered: stamp(), Delivered: rnd.IntN(2) == 0}
		}
		return
	}
	c := &assembler.Conn{RoleKnown: rnd.IntN(2) == 0, Established: stamp(), SimulOpen: rnd.IntN(9) == 0, MPTCP: rnd.IntN(4) == 0,
		RTTServer: rnd.Int64N(1e9), RTTClient: rnd.Int64N(1e9), V6: rnd.IntN(2) == 0,
		NResets: rnd.Uint32N(7), NICMP: rnd.Uint32N(4)}
	if rnd.IntN(2) == 0 {
		c.Partial = assembler.Partial(rnd.IntN(128))
	}
	for i := range c.Ends {
		c.Ends[i] = assembler.End{Port: uint16(1000 + i), SYN: tries(), SYNACK: tries(), HasISN: rnd.IntN(2) == 0, Started: rnd.IntN(2) == 0,
			SndNxt: rnd.Uint32N(64), SndUna: rnd.Uint32N(64), AckSeen: rnd.IntN(2) == 0, Packets: rnd.Uint32N(20), Bytes: rnd.Uint64N(90000),
			Highest: rnd.Uint32N(1460), Window: rnd.Uint32N(2) * 1000, ZeroWindow: tries(), First: stamp(), Last: stamp(), FirstData: stamp(),
			LastData: stamp(), LastNewAck: stamp(), LastChallenge: stamp(), AckStep: rnd.Uint32N(3), LastAckStep: stamp(), Data: tries(),
			Deaf: tries(), Probe: tries(), WProb: tries(), FIN: tries(), FINSawPeer: rnd.IntN(4) == 0, AckedPastFIN: rnd.Uint32N(2), Lost: rnd.Uint64N(2),
			SinceData: rnd.Uint64N(64), Resets: rnd.Uint32N(4), DataFIN: stamp(), FastClose: stamp()}
		c.Ends[i].SinceData = min(c.Ends[i].SinceData, 64)
	}
	for i := range c.Resets {
		c.Resets[i] = assembler.Reset{Stamp: stamp(), Side: assembler.Side(rnd.IntN(2)), Flags: capture.RST | capture.ACK*capture.Flags(rnd.IntN(2)),
			Seq: rnd.Uint32N(64), Ack: rnd.Uint32N(64), Fit: assembler.ResetFit(rnd.IntN(8)), Window: uint16(rnd.IntN(2)), SenderAfter: stamp(), ReceiverAfter: stamp()}
	}
	for i := range c.ICMP {
		c.ICMP[i] = assembler.ICMP{Stamp: stamp(), Side: assembler.Side(rnd.IntN(2)), Type: uint8(rnd.IntN(13)), Code: uint8(rnd.IntN(18)),
			V6: rnd.IntN(2) == 0, Quotes: assembler.Trigger(rnd.IntN(9)), Last: stamp()}
	}
	return c
}
