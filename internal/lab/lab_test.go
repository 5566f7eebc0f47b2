//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hangup/internal/lab/record"
)

// TestMain lets the test binary be its own programs, as main does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-role" {
		os.Exit(roleMain(os.Args[2]))
	}
	os.Exit(m.Run())
}

// The words of the report.
var (
	classes = []string{"graceful", "reset", "half-open", "timed-out", "open"}
	causes  = []string{"orderly-close", "simultaneous-close", "half-close", "connection-refused", "icmp-rejected", "dial-cancelled",
		"abortive-close", "close-with-unread-data", "listener-closed", "accept-queue-overflow", "write-after-close", "fin-wait2-expired",
		"peer-lost-state", "stale-tuple", "injected-reset", "reset-by-own-host", "pmtu-blackhole", "handshake-incomplete", "close-wait-leak",
		"peer-vanished", "connect-timeout", "retransmission-timeout", "keepalive-timeout", "fin-timeout", "zero-window-stall", "still-open"}
	actors = []string{record.Client, record.Server, record.Both, record.Middlebox, record.Network, record.Unknown}
)

func TestCatalogue(t *testing.T) {
	all := catalogue()
	if len(all) < 120 {
		t.Errorf("%d scenarios, want at least 120", len(all))
	}
	name := regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] || !name.MatchString(s.Name) {
			t.Errorf("%q: name taken, or no good as a directory", s.Name)
		}
		seen[s.Name] = true
		if s.About == "" || s.Family == "" || s.Client == nil {
			t.Errorf("%s: lacks a description, a family or a client", s.Name)
		}
		if len(s.Expect.Conns) == 0 && s.Expect.OffWire == "" {
			t.Errorf("%s: expects no connection, and does not say why", s.Name)
		}
		for i, c := range s.Expect.Conns {
			for _, problem := range checkTruth(c) {
				t.Errorf("%s: connection %d: %s", s.Name, i, problem)
			}
		}
	}
}

func checkTruth(c record.Conn) (problems []string) {
	check := func(what, word string, list []string) {
		if !slices.Contains(list, word) {
			problems = append(problems, fmt.Sprintf("unknown %s %q", what, word))
		}
	}
	check("class", c.Class, classes)
	check("cause", c.Cause, causes)
	check("actor", c.By, actors)
	for _, a := range c.Also {
		check("cause", a, causes)
	}
	for _, a := range c.AlsoBy {
		check("actor", a, actors)
	}
	for _, a := range c.AlsoIn {
		check("class", a, classes)
	}
	for _, v := range c.Views {
		if v.Cause != "" {
			check("class of a view", v.Class, classes)
			check("cause of a view", v.Cause, causes)
			check("actor of a view", v.By, actors)
		}
		if v.Why == "" {
			problems = append(problems, "a view without its reason")
		}
	}
	return problems
}

func TestExpand(t *testing.T) {
	adjusted := 0
	got := expand(Scenario{Name: "x", Probes: []string{reader, writer}, Places: []Place{direct4, direct6, lo4},
		Adjust: func(*Scenario) { adjusted++ }})
	var names []string
	for _, s := range got {
		names = append(names, s.Name)
	}
	want := []string{"x.reader.v4", "x.writer.v4", "x.reader.v6", "x.writer.lo4"}
	if d := cmp.Diff(want, names); d != "" || adjusted != len(want) {
		t.Errorf("expand: %s (adjusted %d times)", d, adjusted)
	}
}

func TestDescribe(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, c := range []struct {
		err     error
		token   string
		types   int
		timeout bool
	}{
		{nil, "nil", 0, false},
		{reset, "ECONNRESET", 3, false},
		{io.EOF, "EOF", 1, false},
		{io.ErrUnexpectedEOF, "UnexpectedEOF", 1, false},
		{fmt.Errorf("x: %w", net.ErrClosed), "ErrClosed", 2, false},
		{os.ErrDeadlineExceeded, "DeadlineExceeded", 1, true},
		{context.DeadlineExceeded, "DeadlineExceeded", 1, true},
		{context.Canceled, "Canceled", 1, false},
		{&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, "ETIMEDOUT", 2, true},
		{errors.Join(io.EOF, reset), "ECONNRESET", 5, false},
		{errors.New("x"), "other", 1, false},
	} {
		var got record.Call
		describe(&got, c.err)
		if got.Error != c.token || len(got.Types) != c.types || got.Timeout != c.timeout {
			t.Errorf("describe(%v): token %s, %d types, timeout %v; want %s, %d, %v", c.err, got.Error, len(got.Types), got.Timeout, c.token, c.types, c.timeout)
		}
	}
}

// TestForge checks forgeries with the decoder, and their checksums by the
// rule that a correct packet sums to zero.
func TestForge(t *testing.T) {
	for _, addrs := range [][2]string{{"192.0.2.1:40001", "192.0.2.2:8080"}, {"[2001:db8::1]:40001", "[2001:db8::2]:8080"}} {
		like := Seg{Frame: make([]byte, 14), Src: netip.MustParseAddrPort(addrs[0]), Dst: netip.MustParseAddrPort(addrs[1])}
		s, ok := parseFrame(forge(like, forgery{Seq: 1 << 31, Ack: 7, Flags: flagRST | flagACK, Window: 9, TTL: 33, Payload: []byte("odd")}))
		if !ok || s.Src != like.Src || s.Dst != like.Dst || s.Seq != 1<<31 || s.Ack != 7 || !s.Only(flagRST|flagACK) || s.Window != 9 || s.TTL != 33 || s.Len != 3 {
			t.Fatalf("forged %v, decoded %v: %v", like, ok, s)
		}
		tcp := s.Frame[s.tcpOff:]
		pseudo := append(append([]byte(nil), s.Src.Addr().AsSlice()...), s.Dst.Addr().AsSlice()...)
		pseudo = append(pseudo, 0, 6, byte(len(tcp)>>8), byte(len(tcp)))
		if sum := checksum(append(pseudo, tcp...)); sum != 0 {
			t.Errorf("%v: TCP checksum is off by %#x", like.Src, sum)
		}
		if s.ipOff == 14 && s.Src.Addr().Is4() && checksum(s.Frame[14:34]) != 0 {
			t.Error("IPv4 header checksum is wrong")
		}
		e := icmpError(s, s.Dst.Addr(), 3, 1, 0)
		if _, ok := parseFrame(e); ok || len(e) < 14+20+8+20 {
			t.Errorf("an ICMP error of %d bytes that decodes as TCP: %v", len(e), ok)
		}
	}
}

func TestParseFrameBounds(t *testing.T) {
	like := Seg{Frame: make([]byte, 14), Src: netip.MustParseAddrPort("192.0.2.1:1"), Dst: netip.MustParseAddrPort("192.0.2.2:2")}
	frame := forge(like, forgery{Payload: pattern(10)})
	for n := range frame {
		if s, ok := parseFrame(frame[:n]); ok && s.Len > 10 {
			t.Errorf("%d bytes of a frame decode to %d bytes of payload", n, s.Len)
		}
	}
}

// TestGoSeesBlockedCalls checks the word of the scheduler that all pending
// probes rest on.
func TestGoSeesBlockedCalls(t *testing.T) {
	l := newRole(config{LimitMS: 5000}, io.Discard)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	returned := false
	p := l.Go(func() {
		_, _ = ln.Accept()
		returned = true
	})
	if returned || p.Join(0) {
		t.Fatal("Accept has returned, or is said to have")
	}
	ln.Close()
	<-p.done
	if !returned {
		t.Error("the call's end was not seen")
	}
	if !l.Go(func() {}).Join(1e9) {
		t.Error("a call that does not block must not be waited for")
	}
}

// TestLive runs a few scenarios for real.
func TestLive(t *testing.T) {
	if os.Getenv("HANGUP_LAB_LIVE") == "" {
		t.Skip("set HANGUP_LAB_LIVE=1 to run scenarios live (needs root and network namespaces)")
	}
	if why := unable(); why != "" {
		t.Skip(why)
	}
	sweep()
	for name, want := range map[string][]string{
		"linger0-by-server.reader.v4":           {"ECONNRESET", "EOF", "EPIPE", "EPIPE"},
		"linger0-by-server.writer.v4":           {"ECONNRESET", "EOF", "EPIPE", "EOF"},
		"write-after-close-by-client.writer.v4": {"nil", "EOF", "EPIPE", "EOF"},
	} {
		s, ok := find(catalogue(), name)
		if !ok {
			t.Fatalf("no scenario %s", name)
		}
		dir := filepath.Join(t.TempDir(), name)
		if err := execute(t.Context(), s, fmt.Sprintf("%d-live", os.Getpid()), dir, false, 0, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := record.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range r.Calls {
			if c.Phase == record.After && c.Op != "close" {
				got = append(got, c.Error)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: calls after the end (-want +got):\n%s", name, d)
		}
	}
}
