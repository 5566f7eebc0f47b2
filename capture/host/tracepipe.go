package host

import (
	"net/netip"
	"strconv"
	"strings"
)

// kind is one of the tracepoints that are followed.
type kind uint8

const (
	sentReset kind = iota
	receivedReset
	errorReport
	stateChange
	kinds
)

// tracepoints by kind: their subsystem and name, and since when Linux has them.
var tracepoints = [kinds]struct{ system, name, since string }{
	sentReset:     {"tcp", "tcp_send_reset", "4.16; with a reason 6.10"},
	receivedReset: {"tcp", "tcp_receive_reset", "4.16"},
	errorReport:   {"sock", "inet_sk_error_report", "5.14"},
	stateChange:   {"sock", "inet_sock_set_state", "4.16"},
}

// event is one line of a trace.
type event struct {
	end      endpoint
	placed   bool // end is that of a connection
	kind     kind
	at       int64 // ns of the trace's clock; later of the wall clock
	reason   string
	error    int // as in sk_err
	errno    string
	from, to string
	pid      int // of the thread; of the process where tgid is set
	tgid     int
	comm     string
	process  bool // made by a system call, not while a packet was taken
}

// parseLine reads one line of trace_pipe:
//
//	comm-PID (TGID) [CPU] flags seconds.micros: name: key=value key=value ...
//
// TGID and flags depend on the trace's options. A command may hold anything,
// blanks and brackets too, so what stands before the event's name is read
// from its end. ok is false for every other line.
func parseLine(line string) (ev event, ok bool) {
	for k := range kinds {
		head, body, found := strings.Cut(line, ": "+tracepoints[k].name+": ")
		if !found {
			continue
		}
		ev.kind = k
		if !ev.parseHead(head) {
			return ev, false
		}
		ev.parseBody(body)
		return ev, true
	}
	return ev, false
}

// lastField cuts off the last field of a line.
func lastField(s string) (rest, field string) {
	s = strings.TrimRight(s, " \t")
	i := strings.LastIndexAny(s, " \t")
	return s[:i+1], s[i+1:]
}

func (ev *event) parseHead(head string) bool {
	rest, stamp := lastField(head)
	sec, frac, ok := strings.Cut(stamp, ".")
	if !ok || len(frac) > 9 {
		return false
	}
	s, err1 := strconv.ParseInt(sec, 10, 64)
	f, err2 := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	if err1 != nil || err2 != nil || s < 0 || s > 1<<33 {
		return false
	}
	ev.at = s*1e9 + f
	rest, field := lastField(rest)
	if !strings.HasSuffix(field, "]") {
		// irqs-off, need-resched, hardirq/softirq, preempt-depth, ...
		// (trace_print_lat_fmt). The third is '.' outside interrupts.
		ev.process = len(field) > 2 && field[2] == '.'
		rest, field = lastField(rest)
	}
	if !strings.HasPrefix(field, "[") || !strings.HasSuffix(field, "]") {
		return false
	}
	return ev.parseTask(rest)
}

// parseTask reads "comm-PID (TGID)", "comm-PID (-------)" or "comm-PID".
func (ev *event) parseTask(task string) bool {
	task = strings.TrimSpace(task)
	if strings.HasSuffix(task, ")") {
		if i := strings.LastIndexByte(task, '('); i >= 0 {
			ev.tgid, _ = strconv.Atoi(strings.TrimSpace(task[i+1 : len(task)-1])) // dashes: not recorded
			task = strings.TrimSpace(task[:i])
		}
	}
	i := strings.LastIndexByte(task, '-')
	if i < 0 {
		return false
	}
	pid, err := strconv.Atoi(task[i+1:])
	if err != nil {
		return false
	}
	ev.pid, ev.comm = pid, task[:i]
	if ev.comm == "<...>" {
		ev.comm = ""
	}
	return true
}

// fields are the keys that any kernel uses for what is wanted here.
type fields struct {
	src, dest, sport, dport, saddr, daddr, saddr6, daddr6, family, protocol string
}

func (ev *event) parseBody(body string) {
	var f fields
	for word := range strings.FieldsSeq(body) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "src":
			f.src = value
		case "dest":
			f.dest = value
		case "sport":
			f.sport = value
		case "dport":
			f.dport = value
		case "saddr":
			f.saddr = value
		case "daddr":
			f.daddr = value
		case "saddrv6":
			f.saddr6 = value
		case "daddrv6":
			f.daddr6 = value
		case "family":
			f.family = value
		case "protocol":
			f.protocol = value
		case "error":
			ev.error, _ = strconv.Atoi(value)
		case "reason":
			ev.reason = value
		case "oldstate":
			ev.from = stateName(value)
		case "newstate", "state":
			ev.to = stateName(value)
		}
	}
	ev.end, ev.placed = f.endpoint()
}

func stateName(s string) string {
	s = strings.TrimPrefix(s, "TCP_")
	if s == "UNKNOWN" {
		return ""
	}
	return s
}

// endpoint is the local end of the event's socket: all these tracepoints put
// it first. An event of another protocol, or of a socket without a peer (a
// listener, or one whose port is not chosen yet) belongs to no connection.
func (f fields) endpoint() (e endpoint, ok bool) {
	switch f.protocol {
	case "", "IPPROTO_TCP", "IPPROTO_MPTCP", "6", "262":
	default:
		return e, false
	}
	if f.src != "" {
		var err1, err2 error
		e.local, err1 = netip.ParseAddrPort(f.src)
		e.remote, err2 = netip.ParseAddrPort(f.dest)
		ok = err1 == nil && err2 == nil
	} else {
		// Before 5.15 nothing names the family; the IPv6 fields of an IPv4
		// socket are its mapped addresses.
		saddr, daddr := f.saddr6, f.daddr6
		if f.family == "AF_INET" || saddr == "" {
			saddr, daddr = f.saddr, f.daddr
		}
		var ok1, ok2 bool
		e.local, ok1 = joinHost(saddr, f.sport)
		e.remote, ok2 = joinHost(daddr, f.dport)
		ok = ok1 && ok2
	}
	e.local, e.remote = plain(e.local), plain(e.remote)
	return e, ok && e.local.Port() != 0 && e.remote.Port() != 0
}

func joinHost(addr, port string) (netip.AddrPort, bool) {
	a, err1 := netip.ParseAddr(addr)
	p, err2 := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a, uint16(p)), err1 == nil && err2 == nil
}

// parseLost reads "CPU:3 [LOST 17 EVENTS]"; where the kernel does not know
// how many, that is one.
func parseLost(line string) (n uint64, ok bool) {
	_, rest, found := strings.Cut(line, " [LOST ")
	if !found || !strings.HasPrefix(line, "CPU:") {
		return 0, false
	}
	count, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(count, 10, 64)
	if err != nil {
		return 1, strings.HasPrefix(rest, "EVENTS]")
	}
	return n, true
}

// formatFields are the names in an event's format file, which say what this
// kernel can tell.
func formatFields(text string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		decl, found := strings.CutPrefix(strings.TrimSpace(line), "field:")
		if !found {
			continue
		}
		decl, _, _ = strings.Cut(decl, ";")
		_, name := lastField(decl)
		name, _, _ = strings.Cut(name, "[")
		names[name] = true
	}
	return names
}
