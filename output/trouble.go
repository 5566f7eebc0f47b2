package output

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hangup/capture"
	"hangup/classify"
)

const manyTroubles = 8

// trouble says, before anything else is claimed, what was wrong with the
// capture: every line weakens what the verdicts below may rest on. What the
// finding about the capture says too is left to it.
func (t *text) trouble() {
	var lines []string
	for i := range t.r.Inputs {
		in := &t.r.Inputs[i]
		if in.Err != nil {
			lines = append(lines, clean(in.Err.Error())+".") // it names its file
		}
		for _, s := range t.troubles(in) {
			if len(t.r.Inputs) > 1 {
				s = inputName(in) + ": " + s
			}
			lines = append(lines, s)
		}
	}
	for i, s := range lines {
		if i == manyTroubles && len(lines) > manyTroubles+1 && !t.style.Verbose {
			t.wrap(paint(t.yellow, "! "), fmt.Sprintf("and %d more of the kind; -v shows them", len(lines)-i), t.width)
			break
		}
		t.prose(paint(t.yellow, "! "), s)
	}
	if n := t.r.OrphanICMP; n > 0 {
		t.prose(paint(t.yellow, "! "), fmt.Sprintf("%s quoted connections of which the capture shows nothing.", plural(n, "ICMP error")))
	}
	if n := t.r.Evicted; n > 0 {
		t.prose(paint(t.yellow, "! "), fmt.Sprintf("%s told early, while still going, to stay within bounds (--max-conns, --max-memory): their ends are not known.", are(n, "connection")))
	}
	if n := t.r.LatePackets; n > 0 && t.r.Evicted > 0 {
		t.prose(paint(t.yellow, "! "), fmt.Sprintf("%s came after their connections had been told, and changed nothing.", plural(n, "packet")))
	}
	if n := t.digest.Late; n > 0 {
		t.prose(paint(t.yellow, "! "), fmt.Sprintf("%s began before the capture: who is client is a guess there, and early facts are missing.", plural(n, "connection")))
	}
	t.blank()
}

// saidOfCapture is the title of the finding about the capture, if there is one.
func (t *text) saidOfCapture() string {
	for i := range t.r.Findings {
		if f := &t.r.Findings[i]; f.Kind == classify.KindUntrusted {
			return f.Title
		}
	}
	return ""
}

func (t *text) troubles(in *capture.Input) []string {
	var s []string
	said := t.saidOfCapture()
	if in.Drops > 0 && !strings.Contains(said, "dropped") {
		s = append(s, fmt.Sprintf("The capturing host dropped %s: silence and gaps below may be the capture's own.", plural(in.Drops, "packet")))
	}
	if len(in.Outages) > 0 {
		s = append(s, outages(in.Outages))
	}
	if in.Cut > 0 {
		s = append(s, fmt.Sprintf("%s cut short by the capture: what TLS and HTTP saw stays untold there.", are(in.Cut, "packet")))
	}
	bad := in.Bad
	for _, n := range in.Unsupported {
		bad -= min(bad, n)
	}
	if bad > 0 && !strings.Contains(said, "decoded") {
		s = append(s, fmt.Sprintf("%s left out as malformed%s.", are(bad, "packet"), samples(in, t.style.Verbose)))
	}
	for _, link := range slices.Sorted(maps.Keys(in.Unsupported)) {
		s = append(s, fmt.Sprintf("%s left out: link type %s is not supported.", are(in.Unsupported[link], "packet"), clean(link)))
	}
	if in.Backwards > 0 && !strings.Contains(said, "clock") {
		s = append(s, fmt.Sprintf("Time goes backwards at %s (several queues, or a clock that was set): delays may be off.", plural(in.Backwards, "packet")))
	}
	return s
}

// outages says when a live interface was down: nothing crossed it then, and
// what ended then may well have ended by that.
func outages(list []capture.Outage) string {
	last := list[len(list)-1]
	until := "on"
	if last.To != 0 {
		until = keep("to " + dateText(last.To))
	}
	return fmt.Sprintf("The interface was down %s, last from %s UTC %s: nothing crossed it meanwhile.", plural(uint64(len(list)), "time"), keep(dateText(last.From)), until)
}

// samples are the first of the malformed packets, or what shows them.
func samples(in *capture.Input, verbose bool) string {
	switch {
	case len(in.BadSamples) == 0:
		return ""
	case verbose:
		return ": " + clean(strings.Join(in.BadSamples, "; "))
	}
	return ", such as " + clean(in.BadSamples[0])
}

func are(n uint64, noun string) string {
	verb := " were"
	if n == 1 {
		verb = " was"
	}
	return plural(n, noun) + verb
}

// Remark says why the report r, which f selected from all, is empty; nil if it
// is not.
func Remark(all, r *Report, f *Filter) error {
	sum := all.Conns.Summary()
	var filtered, cut, bad uint64
	for i := range all.Inputs {
		in := &all.Inputs[i]
		filtered, cut, bad = filtered+in.Filtered, cut+in.Cut, bad+in.Bad
	}
	switch {
	case all.Packets == 0 && filtered > 0:
		return fmt.Errorf("the filter left out all %s of the input; loosen it", plain(plural(filtered, "packet")))
	case all.Packets == 0:
		return errors.New("no packets in the input; was the capture stopped too early, or its filter too narrow?")
	case sum.Connections == 0 && min(cut, bad) > 0:
		return fmt.Errorf("no TCP could be read from the %s of the input: %s cut short, and of %s the headers cannot be read; capture more of each (tcpdump -s 0)",
			plain(plural(all.Packets, "packet")), plain(are(cut, "packet")), plain(count(bad)))
	case sum.Connections == 0:
		return fmt.Errorf("no TCP among the %s of the input; capture with the filter tcp or icmp or icmp6, on the interface that the connections use", plain(plural(all.Packets, "packet")))
	case r.Conns.Summary().Connections == 0:
		return fmt.Errorf("none of the %d connections is selected (%s)%s; loosen the selection, --all without it lists them", sum.Connections, r.Filter, f.misses(all))
	}
	return nil
}

// misses says which part of the selection cannot match anything in all.
func (f *Filter) misses(all *Report) string {
	sum := all.Conns.Summary()
	first, last := all.start(), max(sum.Last, sum.End)
	since, until := f.since.in(first, sum.Last), f.until.in(first, sum.Last)
	switch {
	case f.since.set && f.until.set && until < since:
		return ": that ends before it begins"
	case f.since.set && since > last || f.until.set && until < first:
		return fmt.Sprintf(": the capture goes from %s to %s UTC", dateText(first), dateText(last))
	}
	return ""
}

// dateText is a time as --since takes it.
func dateText(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05") }
