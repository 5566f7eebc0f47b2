package classify

import (
	"cmp"
	"fmt"
	"slices"

	"hangup/assembler"
)

// Several findings may rest on the same packets: a server that was down is
// also a client's series of futile dials. tellOnce lets each fact be told by
// the finding that says most; what the others know besides goes there, or
// they refer to it.
func tellOnce(list []Finding) []Finding {
	list = beatsByPort(retriesByServer(list))
	told := make([]bool, len(list))
	for i := range list {
		f := &list[i]
		switch {
		case f.retries != nil:
			told[i] = f.retries.explained(f, list)
		case f.Kind == KindIdleTimeout:
			told[i] = f.timer.ofRace(list)
		case f.burst != nil:
			told[i] = f.burst.tellsSilence(f, list, told)
			f.burst.tellsLoss(f, list, told)
		}
	}
	kept := list[:0]
	for i := range list {
		f := list[i]
		if f.retries, f.burst, f.timer, f.beat = nil, nil, nil, ""; !told[i] {
			kept = append(kept, f)
		}
	}
	return kept
}

// tells lets f stand for another finding of that kind too.
func (f *Finding) tells(o *Finding) {
	f.Severity = max(f.Severity, o.Severity)
	if o.Kind != f.Kind && !slices.Contains(f.Also, o.Kind) {
		f.Also = append(f.Also, o.Kind)
		slices.Sort(f.Also)
	}
}

// is reports whether the finding is about that server endpoint.
func (f *Finding) is(server endpoint) bool {
	return slices.ContainsFunc(f.Where, func(p Place) bool {
		return p.Role == assembler.Server.String() && p.Port == server.port && p.Host.As16() == server.addr
	})
}

// causes is a set of causes.
type causes uint64

func (c *causes) add(cause Cause) { *c |= 1 << cause }

// retries is what a finding about futile dials of a client is about.
type retries struct {
	server, client endpoint
	n              uint64
	clients        int   // that dialled so, the one named the most
	mean           int64 // interval, ns
	law            fit
	why            causes // of the failures
}

const everyAttempt = "Every attempt failed, or was dropped before the server sent a byte. "

// failing are the kinds that tell why dials failed, and what they tell.
var failing = [...]struct {
	cause Cause
	kind  string
	what  string
}{
	{ConnectionRefused, KindServerDown, "nothing listened there"},
	{ConnectTimeout, KindUnreachable, "nothing answered there"},
	{ICMPRejected, KindRejected, "ICMP errors ended them"},
	{AcceptQueueOverflow, KindOverflow, "the accept queue there was full"},
}

// retriesByServer joins the findings about futile dials of several clients to
// one server.
func retriesByServer(list []Finding) []Finding {
	type key struct {
		server endpoint
		kind   string
	}
	var order []key
	by := map[key][]Finding{}
	kept := list[:0]
	for _, f := range list {
		if f.retries == nil {
			kept = append(kept, f)
			continue
		}
		k := key{f.retries.server, f.Kind}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], f)
	}
	for _, k := range order {
		kept = append(kept, joinRetries(by[k]))
	}
	return kept
}

// joinRetries makes one finding of those of several clients: that of the most
// persistent, with what is true of all.
func joinRetries(list []Finding) Finding {
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Total, a.Total), a.Where[0].Host.Compare(b.Where[0].Host))
	})
	f := list[0]
	if len(list) == 1 {
		return f
	}
	all := uint64(0)
	var places []Place
	for i := range list {
		o := &list[i]
		all += o.Total
		f.First, f.Last = min(f.First, o.First), max(f.Last, o.Last)
		f.retries.why |= o.retries.why
		if i < len(crowd{}.named) {
			places = append(places, o.Where[0])
		}
	}
	f.retries.clients = len(list)
	f.Where = append(places, f.Where[1:]...)
	f.Numbers = slices.Concat([]Number{{clientHosts, float64(len(list)), ""}, {"dials in vain", float64(all), ""}}, f.Numbers)
	f.Total, f.harm = all, float64(all)
	f.Title = fmt.Sprintf("%d clients dialled %s in vain again and again; %s the most: %d times in a row.", len(list), f.retries.server, f.retries.client, f.retries.n)
	f.What = fmt.Sprintf(everyAttempt+"The intervals between the dials of that client are %s. ", f.retries.law)
	if f.Kind == KindReconnectLoop {
		f.What += loopHarm
	}
	return f
}

// explained reports whether findings tell why the dials failed, and that the
// client went on trying, so that nothing is left to tell. A client that tries
// too often is a fault of its own: its finding stays, and only refers to them.
func (r *retries) explained(f *Finding, list []Finding) bool {
	if i := slices.IndexFunc(list, func(x Finding) bool { return x.Kind == KindEyeballs && x.is(r.server) }); i >= 0 && 10*list[i].Total >= 9*f.Total {
		return f.Kind == KindReconnects // no caller saw them: nobody dialled again
	}
	var by []*Finding
	what, left := "", r.why
	for _, o := range failing {
		if left&(1<<o.cause) == 0 {
			continue
		}
		i := slices.IndexFunc(list, func(x Finding) bool {
			return x.Kind == o.kind && (x.is(r.server) || o.kind == KindRejected && !x.hasServer())
		})
		if i < 0 {
			return false
		}
		left &^= 1 << o.cause
		by = append(by, &list[i])
		if what != "" {
			what += ", or "
		}
		what += o.what
	}
	if left != 0 || len(by) == 0 {
		return false
	}
	if f.Kind == KindReconnectLoop {
		who := r.client.String() + " redials"
		if r.clients > 1 {
			who = fmt.Sprintf("%d clients redial", r.clients)
		}
		f.Title = fmt.Sprintf("%s %s again and again without slowing down: up to %d times in a row, every %s or so.", who, r.server, r.n, dur(r.mean))
		f.What = fmt.Sprintf("Why the dials failed is told by a finding of its own: %s. This one is about how they were repeated: the intervals are %s. ", what, r.law) + loopHarm
		return false
	}
	o := by[0]
	o.tells(f)
	o.number("dials in a row by the most persistent client", float64(r.n), "")
	o.What += fmt.Sprintf(" The most persistent client, %s, dialled %d times in a row; the intervals are %s.", r.client, r.n, r.law)
	if f.Advice != "" && o.value(clientHosts) > 1 {
		o.Advice += " " + f.Advice
	}
	return true
}

// manyBeats is from how many servers on that are kept alive alike one line
// tells of all.
const manyBeats = 3

// beatsByPort joins the findings about heartbeats of many servers of one kind.
func beatsByPort(list []Finding) []Finding {
	type key struct {
		port uint16
		how  string
	}
	alike := map[key][]int{}
	for i := range list {
		if f := &list[i]; f.Kind == KindHeartbeats {
			k := key{f.Where[0].Port, f.beat}
			alike[k] = append(alike[k], i)
		}
	}
	drop := make([]bool, len(list))
	for k, at := range alike {
		if len(at) < manyBeats {
			continue
		}
		slices.SortFunc(at, func(a, b int) int { return list[a].Where[0].Host.Compare(list[b].Where[0].Host) })
		f := &list[at[0]]
		for n, i := range at[1:] {
			o := &list[i]
			f.Total += o.Total
			f.First, f.Last = min(f.First, o.First), max(f.Last, o.Last)
			if n+1 < len(crowd{}.named) {
				f.Where = append(f.Where, o.Where...)
			}
			drop[i] = true
		}
		f.Numbers = slices.Insert(f.Numbers, 0, Number{"servers", float64(len(at)), ""})
		f.Title = fmt.Sprintf("Quiet connections to port %d of %d servers are kept alive by %s.", k.port, len(at), k.how)
	}
	kept := list[:0]
	for i := range list {
		if !drop[i] {
			kept = append(kept, list[i])
		}
	}
	return kept
}

// hasServer reports whether the finding names a server.
func (f *Finding) hasServer() bool {
	return slices.ContainsFunc(f.Where, func(p Place) bool { return p.Role == assembler.Server.String() })
}

// Numbers that findings take over from each other.
const (
	clientHosts = "client hosts"
	bytesAtRisk = "bytes at risk"
)

// value is the number of that name, 0 if the finding has none.
func (f *Finding) value(name string) float64 {
	for _, n := range f.Numbers {
		if n.Name == name {
			return n.Value
		}
	}
	return 0
}

// quietTimer is a timer (ns) after which one side closes quiet connections.
type quietTimer struct {
	timerKey
	after int64
}

// ofRace reports whether a race tells of the timer, by what it did.
func (t *quietTimer) ofRace(list []Finding) bool {
	if t == nil {
		return false
	}
	for i := range list {
		f := &list[i]
		if f.Kind == KindRace && f.timer.timerKey == t.timerKey && 10*abs(f.timer.after-t.after) <= t.after {
			f.Also = append(f.Also, KindIdleTimeout)
			return true
		}
	}
	return false
}

func abs(d int64) int64 { return max(d, -d) }

// tellsSilence compares a burst of connections that fell silent with the hosts
// that stopped answering. If it is all one host's, that host's finding tells
// it, else the burst tells of the hosts. It reports whether nothing is left for
// the burst to tell.
func (b *burst) tellsSilence(f *Finding, list []Finding, told []bool) bool {
	silent := map[silentEnd]int{}
	for i := range b.ends {
		if e := &b.ends[i]; e.silent() {
			gone := silentEnd{e.server.addr, assembler.Server}
			if e.side == assembler.Server {
				gone = silentEnd{e.client, assembler.Client}
			}
			silent[gone]++
		}
	}
	hosts := 0
	for i := range list {
		o := &list[i]
		if o.Kind != KindSilentPeer {
			continue
		}
		n := silent[silentEnd{o.Where[0].Host.As16(), sideNamed(o.Where[0].Role)}]
		switch {
		case float64(n) < shared*float64(o.Total):
		case float64(n) >= shared*float64(len(b.ends)):
			o.tells(f)
			o.What += fmt.Sprintf(" %d of the connections fell silent within %s of each other: one event took them all (power, failover, a firewall's new rule).", n, dur(max(f.Last-f.First, milli)))
			return true
		default:
			hosts++
			told[i] = true
			f.tells(o)
		}
	}
	if hosts > 0 {
		f.number("hosts that stopped answering at that time", float64(hosts), "")
	}
	return false
}

func sideNamed(role string) assembler.Side {
	if role == assembler.Client.String() {
		return assembler.Client
	}
	return assembler.Server
}

// tellsLoss lets a burst of resets tell of the data that they destroyed.
func (b *burst) tellsLoss(f *Finding, list []Finding, told []bool) {
	for i := range list {
		o := &list[i]
		if o.Kind != KindLostData || o.First < f.First || o.Last > f.Last ||
			!slices.ContainsFunc(b.ends, func(e badEnd) bool { return o.is(e.server) }) {
			continue
		}
		told[i] = true
		f.tells(o)
		f.number("of them with data at risk", float64(o.Total), "")
		f.number(bytesAtRisk, o.value(bytesAtRisk), "bytes")
		f.What += fmt.Sprintf(" %s of them destroyed data that was in flight or not yet read.", upper(plural(o.Total, "reset")))
		f.Alternatives = append(f.Alternatives, o.Alternatives...)
	}
}
