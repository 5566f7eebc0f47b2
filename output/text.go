package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"hangup/capture"
	"hangup/classify"
)

// Text prints the report for people: what was read and what was wrong with
// it, what the connections together tell, how many ended how, and one example
// of every way to end badly, the most harmful first.
func Text(w io.Writer, r *Report, s Style) error {
	sum := r.Conns.Summary()
	t := &text{
		page:   newPage(w, s),
		r:      r,
		style:  s,
		sum:    sum,
		digest: digest(r.Conns, false),
		refs:   refs{r.Inputs},
		clock:  newClock(sum.First, max(sum.Last, sum.End)),
	}
	t.header()
	t.trouble()
	t.findings()
	t.table()
	if !s.Quiet {
		t.groups()
	}
	if s.All && !s.Quiet {
		t.list()
	}
	return t.flush()
}

type text struct {
	*page
	r      *Report
	style  Style
	sum    classify.Summary
	digest *classify.Digest
	refs   refs
	clock  clock
}

const manyInputs = 6

func (t *text) header() {
	in := t.r.Inputs
	for i := range in {
		if i == manyInputs && len(in) > manyInputs+1 && !t.style.Verbose {
			t.printf("%s\n", paint(t.faint, fmt.Sprintf("      and %d more files", len(in)-i)))
			break
		}
		lead := ""
		if len(in) > 1 {
			lead = fmt.Sprintf("%4d: ", i+1)
		}
		t.wrap(lead, paint(t.bold, keep(inputName(&in[i])))+nbsp+paint(t.faint, "· "+describe(&in[i])), t.width)
		if t.style.Verbose {
			for _, c := range in[i].Comments {
				t.prose(strings.Repeat(" ", len(lead)+2), paint(t.faint, "comment: "+clean(strings.Join(strings.Fields(c), " "))))
			}
		}
	}
	whole := &t.sum
	if t.r.Filter != "" {
		whole = &t.r.Whole
	}
	packets := plural(t.r.Packets, "TCP packet")
	if tcp := whole.Packets + t.r.LatePackets; tcp != t.r.Packets {
		packets = plural(t.r.Packets, "packet") + keep(" ("+count(tcp)+" of them TCP)")
	}
	var filtered uint64
	for i := range in {
		filtered += in[i].Filtered
	}
	items := []string{packets}
	if filtered > 0 {
		items = append(items, keep(count(filtered)+" left out by the filter"))
	}
	items = append(items, plural(whole.Connections, "connection"), hosts(whole))
	if whole.Connections > 0 {
		items = append([]string{t.period()}, items...)
	}
	t.wrap("", dotted(items), t.width)
	if t.r.Filter != "" {
		chosen := count(t.sum.Connections) + " of " + plural(whole.Connections, "connection")
		if n := t.sum.Packets; n > 0 {
			chosen += ", " + plural(n, "TCP packet")
		}
		t.wrap("", fmt.Sprintf("Selected: %s (%s)", clean(t.r.Filter), chosen), t.width)
	}
}

func hosts(s *classify.Summary) string {
	if s.HostsAbout {
		return "about" + nbsp + plural(s.Hosts, "host")
	}
	return plural(s.Hosts, "host")
}

func (t *text) period() string {
	first := time.Unix(0, t.sum.First).UTC()
	end := max(t.sum.Last, t.sum.End)
	last := time.Unix(0, end).UTC().Format("15:04:05")
	if t.clock.dated {
		last = time.Unix(0, end).UTC().Format("2006-01-02 15:04:05")
	}
	return keep(first.Format("2006-01-02 15:04:05")+" – "+last+" UTC") + keep(" ("+span(end-t.sum.First)+")")
}

func describe(in *capture.Input) string {
	if in.Format == "" {
		return keep("not read")
	}
	items := []string{keep(in.Format)}
	if in.Compression != "" {
		items[0] += "," + nbsp + in.Compression
	}
	if len(in.Links) > 0 {
		items = append(items, keep(strings.Join(in.Links, ", ")))
	}
	if in.Snaplen > 0 && in.Cut > 0 {
		items = append(items, keep(fmt.Sprintf("snaplen %d", in.Snaplen)))
	}
	return clean(dotted(items))
}

// inputName is the name as people say it.
func inputName(in *capture.Input) string {
	if in.Name == "-" {
		return "standard input"
	}
	return clean(in.Name)
}
