package host

import (
	"net/netip"
	"strings"
	"testing"
)

// traces are lines of trace_pipe. Those of 6.18 were recorded; those of older
// kernels are put together by the print formats of their include/trace/events.
var traces = []struct {
	name, line string
	want       event
	placed     bool
}{
	{"6.18 reset sent without a socket, recorded",
		"          <idle>-0       [001] ..s2. 12345.678901: tcp_send_reset: skbaddr=00000000a1b2c3d4 skaddr=0000000000000000 src=192.0.2.2:8080 dest=192.0.2.1:40001 state=UNKNOWN reason=NO_SOCKET",
		event{end: ends("192.0.2.2:8080", "192.0.2.1:40001"), placed: true, kind: sentReset, at: 12345678901000, comm: "<idle>", reason: "NO_SOCKET"}, true},
	{"6.18 IPv6, thread group recorded",
		"    hangup-lab-4242    (   4240) [000] ...2. 99.000001: tcp_send_reset: skbaddr=0000000000000000 skaddr=00000000a1b2c3d4 src=[2001:db8::1]:40001 dest=[2001:db8::2]:8080 state=TCP_CLOSE reason=TCP_STATE",
		event{end: ends("[2001:db8::1]:40001", "[2001:db8::2]:8080"), placed: true, kind: sentReset, at: 99000001000, pid: 4242, tgid: 4240, comm: "hangup-lab", process: true, to: "CLOSE", reason: "TCP_STATE"}, true},
	{"6.18 listener: no peer",
		" curl-77 [000] b.s3. 1.000000: tcp_send_reset: skbaddr=00000000a1b2c3d4 skaddr=00000000a1b2c3d5 src=0.0.0.0:80 dest=0.0.0.0:0 state=TCP_LISTEN reason=TCP_FLAGS",
		event{end: ends("0.0.0.0:80", "0.0.0.0:0"), kind: sentReset, at: 1e9, pid: 77, comm: "curl", to: "LISTEN", reason: "TCP_FLAGS"}, false},
	{"4.16 reset sent: no family, no state, no reason",
		"          <idle>-0     [001] ..s.  500.250000: tcp_send_reset: sport=80 dport=40001 saddr=192.0.2.2 daddr=192.0.2.1 saddrv6=::ffff:192.0.2.2 daddrv6=::ffff:192.0.2.1",
		event{end: ends("192.0.2.2:80", "192.0.2.1:40001"), placed: true, kind: sentReset, at: 500250000000, comm: "<idle>"}, true},
	{"5.15 reset sent: pointers, family and state",
		"     ksoftirqd/1-21    [001] ..s1  77.000100: tcp_send_reset: skbaddr=0000000012345678 skaddr=0000000087654321 family=AF_INET6 sport=443 dport=40001 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=2001:db8::2 daddrv6=2001:db8::1 state=TCP_ESTABLISHED",
		event{end: ends("[2001:db8::2]:443", "[2001:db8::1]:40001"), placed: true, kind: sentReset, at: 77000100000, pid: 21, comm: "ksoftirqd/1", to: "ESTABLISHED"}, true},
	{"4.19 reset taken, IPv4 in an IPv6 socket, family not named",
		" sshd-9 [000] ..s. 3.000002: tcp_receive_reset: sport=22 dport=50000 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=::ffff:198.51.100.1 daddrv6=::ffff:198.51.100.2 sock_cookie=1f",
		event{end: ends("198.51.100.1:22", "198.51.100.2:50000"), placed: true, kind: receivedReset, at: 3000002000, pid: 9, comm: "sshd"}, true},
	{"error left with a socket",
		"  <...>-31337 [003] ..s2. 8.5: inet_sk_error_report: family=AF_INET protocol=IPPROTO_TCP sport=40001 dport=8080 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 daddrv6=::ffff:192.0.2.2 error=104",
		event{end: ends("192.0.2.1:40001", "192.0.2.2:8080"), placed: true, kind: errorReport, at: 8500000000, pid: 31337, error: 104}, true},
	{"state changed by a system call; a command with blanks, dashes and brackets",
		"Web [1] - co-ntent-1234    (   1200) [002] ...1. 10.000000: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP sport=40001 dport=443 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 daddrv6=::ffff:192.0.2.2 oldstate=TCP_ESTABLISHED newstate=TCP_FIN_WAIT1",
		event{end: ends("192.0.2.1:40001", "192.0.2.2:443"), placed: true, kind: stateChange, at: 10e9, pid: 1234, tgid: 1200, comm: "Web [1] - co-ntent", process: true, from: "ESTABLISHED", to: "FIN_WAIT1"}, true},
	{"no flags (irq-info off), thread group not recorded",
		" go-5 (-------) [000] 10.000000: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP sport=1 dport=2 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 daddrv6=::ffff:192.0.2.2 oldstate=TCP_LAST_ACK newstate=TCP_CLOSE",
		event{end: ends("192.0.2.1:1", "192.0.2.2:2"), placed: true, kind: stateChange, at: 10e9, pid: 5, comm: "go", from: "LAST_ACK", to: "CLOSE"}, true},
	{"a socket whose port is not chosen yet",
		" go-5 [000] ..... 10.000000: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP sport=0 dport=80 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=:: daddrv6=:: oldstate=TCP_CLOSE newstate=TCP_SYN_SENT",
		event{end: ends("192.0.2.1:0", "192.0.2.2:80"), kind: stateChange, at: 10e9, pid: 5, comm: "go", process: true, from: "CLOSE", to: "SYN_SENT"}, false},
	{"another protocol",
		" go-5 [000] ..... 10.000000: inet_sock_set_state: family=AF_INET protocol=IPPROTO_SCTP sport=1 dport=80 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=:: daddrv6=:: oldstate=TCP_CLOSE newstate=TCP_SYN_SENT",
		event{kind: stateChange, at: 10e9, pid: 5, comm: "go", process: true, from: "CLOSE", to: "SYN_SENT"}, false},
}

func ends(local, remote string) endpoint {
	return endpoint{netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote)}
}

func TestParseLine(t *testing.T) {
	for _, tc := range traces {
		got, ok := parseLine(tc.line)
		if tc.want.end == (endpoint{}) {
			got.end = endpoint{}
		}
		if !ok || got != tc.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tc.name, got, ok, tc.want)
		}
	}
}

func TestParseLineRefuses(t *testing.T) {
	for _, line := range []string{
		"", "# tracer: nop", "CPU:1 [LOST 3 EVENTS]", "nonsense", ": tcp_send_reset: ",
		"go-5 [000] ..... 10.000000: sched_switch: prev_comm=a",
		"go-x [000] ..... 10.000000: tcp_send_reset: src=1.2.3.4:5 dest=1.2.3.4:6",
		"go-5 [000] ..... soon: tcp_send_reset: src=1.2.3.4:5 dest=1.2.3.4:6",
		"go-5 000 ..... 10.000000: tcp_send_reset: src=1.2.3.4:5 dest=1.2.3.4:6",
		"go-5 [000] ..... 99999999999999999999.0: tcp_send_reset: src=1.2.3.4:5 dest=1.2.3.4:6",
	} {
		if ev, ok := parseLine(line); ok {
			t.Errorf("%q was read as %+v", line, ev)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, tc := range traces {
		f.Add(tc.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ev, ok := parseLine(line)
		if ok && (ev.at < 0 || ev.placed && (!ev.end.local.IsValid() || ev.end.remote.Port() == 0)) {
			t.Errorf("%q: %+v", line, ev)
		}
		parseLost(line)
	})
}

func TestParseLost(t *testing.T) {
	for line, want := range map[string]uint64{
		"CPU:3 [LOST 17 EVENTS]": 17, "CPU:0 [LOST EVENTS]": 1, "go-5 [LOST 17 EVENTS]": 0, "CPU:3 [LOST x]": 0,
	} {
		if got, ok := parseLost(line); ok != (want > 0) || ok && got != want {
			t.Errorf("%q: %d, %v, want %d", line, got, ok, want)
		}
	}
}

func TestFormatFields(t *testing.T) {
	has := formatFields("name: tcp_send_reset\nformat:\n\tfield:unsigned short common_type;\toffset:0;\n\n\tfield:enum sk_rst_reason reason;\toffset:28;\n\tfield:__u8 saddr[28];\toffset:32;\n")
	for name, want := range map[string]bool{"reason": true, "saddr": true, "common_type": true, "saddr_v6": false} {
		if has[name] != want {
			t.Errorf("%s: %v", name, has[name])
		}
	}
}

// TestTake sends a whole trace through, with what may go wrong in it.
func TestTake(t *testing.T) {
	const v4 = "protocol=IPPROTO_TCP sport=40001 dport=8080 saddr=192.0.2.1 daddr=192.0.2.2 saddrv6=::ffff:192.0.2.1 daddrv6=::ffff:192.0.2.2"
	e := &Events{words: newWords(10), tgid: func(tid int) int { return map[int]int{7: 70}[tid] }}
	e.take(strings.Join([]string{
		"CPU:3 [LOST 17 EVENTS]",
		"go-7 [000] ..... 1.0: inet_sock_set_state: family=AF_INET " + v4 + " oldstate=TCP_ESTABLISHED newstate=TCP_FIN_WAIT1",
		"go-8 [000] ..s.. 1.1: inet_sock_set_state: family=AF_INET " + v4 + " oldstate=TCP_SYN_SENT newstate=TCP_ESTABLISHED",
		"ss-9 [000] ..... 1.2: inet_sock_set_state: family=AF_INET " + v4 + " oldstate=TCP_ESTABLISHED newstate=TCP_CLOSE",
		"gone-10 [000] ..... 1.3: inet_sock_set_state: family=AF_INET " + v4 + " oldstate=TCP_ESTABLISHED newstate=TCP_FIN_WAIT1",
		"kworker/1:2-11 [000] ..... 1.4: inet_sock_set_state: family=AF_INET " + v4 + " oldstate=TCP_CLOSE_WAIT newstate=TCP_LAST_ACK",
		"go-7 [000] ..s.. 2.0: inet_sk_error_report: family=AF_INET " + v4 + " error=0",
		"something else",
		"go-5 [000] ..... 3.0: tcp_send_reset: src=0.0.0.0:80 dest=0.0.0.0:0 state=TCP_LISTEN reason=TCP_FLAGS", "",
	}, "\n"), 1000, 0)
	w := e.words.between(ends("192.0.2.1:40001", "192.0.2.2:8080"), 0, 1<<62)
	if len(w.States) != 5 || len(w.Errors) != 0 {
		t.Fatalf("%+v", w)
	}
	for i, s := range w.States {
		if want := map[int]int{0: 70}[i]; s.PID != want || (s.Command != "") != (want != 0) {
			t.Errorf("change %d is said to be made by %d %q, want %d", i, s.PID, s.Command, want)
		}
	}
	if pid, comm, ok := w.Process(); pid != 70 || comm != "go" || !ok {
		t.Errorf("process %d %q", pid, comm)
	}
	if w.States[0].At != 1e9+1000 {
		t.Errorf("at %d", w.States[0].At)
	}
	if s := e.stats; s.Lost != 17 || s.Strange != 1 || s.Unplaced != 1 || s.Events != 5 || s.Doubt() == "" {
		t.Errorf("%+v", s)
	}
}

func TestWordsAreBounded(t *testing.T) {
	w := newWords(3)
	for port := range uint16(5) {
		for range perEnd + 5 {
			w.add(event{kind: sentReset, at: int64(port), end: endpoint{
				netip.AddrPortFrom(netip.IPv4Unspecified(), port+1), netip.AddrPortFrom(netip.IPv4Unspecified(), 9)}})
		}
		w.of(ends("0.0.0.0:1", "0.0.0.0:9")) // spoken of all the time
	}
	if len(w.byEnd) != 3 || w.recent.Len() != 3 || w.evicted != 2 {
		t.Errorf("%d ends, %d in order, %d evicted", len(w.byEnd), w.recent.Len(), w.evicted)
	}
	if n := len(w.between(ends("0.0.0.0:1", "0.0.0.0:9"), 0, 9).Resets); n != perEnd {
		t.Errorf("%d events of one end", n)
	}
	if w := w.between(ends("0.0.0.0:5", "0.0.0.0:9"), 5, 9); !w.Empty() {
		t.Errorf("outside of the time: %+v", w)
	}
}

// TestNobodyAnswers: a caller that could not open need not ask whether it did.
func TestNobodyAnswers(t *testing.T) {
	var e *Events
	var p *Processes
	a := netip.MustParseAddrPort("192.0.2.1:1")
	p.Seen(a, a)
	if _, ok := p.Of(a, a); ok || !e.Word(a, a, 0, 1).Empty() || e.Close() != nil || p.Stats() != (Stats{}) {
		t.Error("nobody knows something")
	}
	p.Close()
}
