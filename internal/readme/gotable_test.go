package readme

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/internal/lab/record"
)

// row is one event of the Go table and the recorded scenario, seen from one
// side, whose calls fill it.
type row struct{ event, base, side string }

var rows = []row{
	{"the peer closed (FIN)", "orderly-by-server", record.Client},
	{"the peer closed, and a late Write drew a RST", "write-after-close-by-client", record.Client},
	{"RST of a live socket: SetLinger(0)", "linger0-by-server", record.Client},
	{"RST of a live socket: closed with unread data", "unread-by-server", record.Client},
	{"RST because the peer lost the connection (reboot)", "rebooted-server", record.Client},
	{"RST behind the peer's FIN", "fin-then-reset-by-server", record.Client},
	{"RST after our own CloseWrite", "half-close-then-reset-by-server", record.Client},
	{"forged RST", "forged-rst-to-server", record.Server},
	{"retransmissions ran out (tcp_retries2)", "rto-server", record.Server},
	{"keep-alive probes ran out", "keepalive-server", record.Server},
	{"TCP_USER_TIMEOUT", "user-timeout-server", record.Server},
	{"reset while in the accept queue", "reset-in-queue", record.Server},
	{"destroyed by `ss -K`", "destroyed-server", record.Server},
}

// dials are the scenarios of the table's second part.
var dials = []struct{ event, base string }{
	{"RST answers the SYN", "refused"},
	{"RST behind the SYN-ACK", "reset-behind-synack"},
	{"ICMP network unreachable (3/0)", "icmpv4-3-0-on-syn"},
	{"ICMP host unreachable (3/1)", "icmpv4-3-1-on-syn"},
	{"ICMP protocol unreachable (3/2)", "icmpv4-3-2-on-syn"},
	{"ICMP port unreachable (3/3)", "icmpv4-3-3-on-syn"},
	{"ICMP administratively prohibited (3/13)", "icmpv4-3-13-on-syn"},
	{"ICMP time exceeded (11/0)", "icmpv4-11-0-on-syn"},
	{"ICMPv6 no route (1/0)", "icmpv6-1-0-on-syn"},
	{"ICMPv6 administratively prohibited (1/1)", "icmpv6-1-1-on-syn"},
	{"ICMPv6 address unreachable (1/3)", "icmpv6-1-3-on-syn"},
	{"ICMPv6 port unreachable (1/4)", "icmpv6-1-4-on-syn"},
	{"no answer, the kernel gives up", "syn-blackholed-kernel"},
	{"no answer, Dialer.Timeout", "syn-blackholed-timeout"},
	{"no answer, context deadline", "syn-blackholed-context"},
	{"no answer, context cancelled", "syn-blackholed-cancel"},
}

// goTable shows what real programs' calls returned.
func goTable(t *testing.T) string {
	all, err := record.Load(filepath.Join(root, "testdata", "lab"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured with %s on Linux %s; each line is a recording in `testdata/lab`.\n\n", all[0].Go, kernel(all[0].Kernel))
	b.WriteString("| what reached the socket | Read first: returns | then Write | Write first: returns | then Read |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		reader, writer := find(all, r.base, "reader"), find(all, r.base, "writer")
		if reader == nil && writer == nil {
			t.Errorf("no recording of %s", r.base)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.event,
			results(reader, r.side, "read"), results(reader, r.side, "write"), results(writer, r.side, "write"), results(writer, r.side, "read"))
	}
	b.WriteString("\n| what answered the dial | Dial returns | errors.Is | Timeout() |\n| --- | --- | --- | --- |\n")
	for _, d := range dials {
		r := find(all, d.base, "")
		if r == nil {
			t.Errorf("no recording of %s", d.base)
			continue
		}
		i := slices.IndexFunc(r.Calls, func(c record.Call) bool { return c.Op == "dial" && c.Error != "nil" })
		if i < 0 {
			t.Errorf("no failed dial in %s", r.Scenario)
			continue
		}
		c := r.Calls[i]
		fmt.Fprintf(&b, "| %s | `%s` | %s | %v |\n", d.event, masked(c), strings.Join(c.Is, ", "), c.Timeout)
	}
	return b.String()
}

// kernel is a release without its builder's suffix.
func kernel(s string) string { s, _, _ = strings.Cut(s, "-"); return s }

// masked is the error's text without this recording's addresses.
func masked(c record.Call) string {
	s := c.Text
	for _, a := range []string{c.Local, c.Remote} {
		if a != "" {
			s = strings.ReplaceAll(s, a, "ADDR")
		}
	}
	_, after, ok := strings.Cut(s, ": ")
	if !ok {
		return s
	}
	return after
}

// find is the plainest recording of a scenario: direct links before routed
// ones, IPv4 before IPv6.
func find(all []record.Recording, base, probe string) *record.Recording {
	places := []string{"v4", "wired4", "v6", "wired6", "routed4", "lo4"}
	var best *record.Recording
	rank := func(r *record.Recording) int {
		if i := slices.Index(places, r.Place); i >= 0 {
			return i
		}
		return len(places)
	}
	for i := range all {
		r := &all[i]
		if r.Base == base && (probe == "" || r.Probe == probe) && (best == nil || rank(r) < rank(best)) {
			best = r
		}
	}
	return best
}

// results lists what one side's successive calls of one kind returned once
// the event had reached its socket, repetitions folded.
func results(r *record.Recording, side, op string) string {
	if r == nil {
		return "—"
	}
	var list []string
	for _, c := range r.Calls {
		if c.Side != side || c.Op != op || c.Phase != record.After || c.Level != record.Socket {
			continue
		}
		if c.Error == "ErrClosed" {
			continue // the program had closed by then
		}
		s := c.Error
		if c.Error == "nil" && op == "read" {
			s = fmt.Sprintf("%d bytes", c.N)
		}
		if len(list) == 0 || list[len(list)-1] != s {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return "—"
	}
	return strings.Join(list, ", then ")
}
