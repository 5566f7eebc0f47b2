package output

import (
	"bytes"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/classify"
)

func TestPlot(t *testing.T) {
	for _, c := range []struct {
		name    string
		counts  []int32
		samples int
		cols    int
		want    string
	}{
		{"as many columns as samples", []int32{0, 1, 4, 8}, 4, 4, " ▁▄█"},
		{"little is not nothing", []int32{1, 1000}, 2, 2, "▁█"},
		{"a short peak stays", []int32{0, 0, 9, 0, 0, 0, 0, 0}, 8, 2, "█ "},
		{"stretched", []int32{2, 1}, 2, 6, "███▄▄▄"},
		{"beyond the list there is none", []int32{1}, 4, 4, "█   "},
		{"one sample", []int32{3}, 1, 3, "███"},
	} {
		if got := plot(c.counts, c.samples, c.cols, peak(c.counts)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTimer(t *testing.T) {
	for want, timer := range map[string]classify.Timer{
		"":                              {},
		"timer:(on,?,3)":                {Kind: "on", Left: -1, Retries: 3},
		"timer:(on,200ms,0)":            {Kind: "on", Left: 200e6},
		"timer:(persist,1.532sec,2)":    {Kind: "persist", Left: 1_532_400_000, Retries: 2},
		"timer:(timewait,41sec,0)":      {Kind: "timewait", Left: 41_900_000_000},
		"timer:(keepalive,1min2sec,0)":  {Kind: "keepalive", Left: 62e9},
		"timer:(keepalive,119min,1)":    {Kind: "keepalive", Left: 119 * 60e9, Retries: 1},
		"timer:(keepalive,0ms,0)":       {Kind: "keepalive"},
		"timer:(keepalive,5sec,0)":      {Kind: "keepalive", Left: 5e9},
		"timer:(keepalive,120min,1000)": {Kind: "keepalive", Left: 7200e9, Retries: 1000},
	} {
		if got := timerText(timer); got != want {
			t.Errorf("%+v: %q, want %q", timer, got, want)
		}
	}
}

// Every state has the name that ss gives it.
func TestStateNames(t *testing.T) {
	want := "SYN-SENT SYN-RECV ESTAB FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT"
	var names []string
	for s := assembler.SynSent; s <= assembler.TimeWait; s++ {
		names = append(names, ssName(s))
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A plot is as wide as the page, whatever the page.
func TestStatesFitWidth(t *testing.T) {
	s := classify.Series{Sockets: 123456, Start: at(0), Width: 1e9}
	s.Counts[assembler.Established] = []int32{1, 23456, 12, 0}
	s.Counts[assembler.TimeWait] = []int32{0, 0, 0, 0, 5, 7, 7}
	s.Counts[assembler.LastAck] = []int32{0, 0}
	for _, width := range []int{40, 60, 80, 100, 200} {
		var b bytes.Buffer
		v := &socketView{page: newPage(&b, Style{Width: width}), sum: classify.Summary{First: at(0), Last: at(9)}, last: at(9), filter: new(Filter)}
		if err := v.states([]classify.Series{s}); err != nil {
			t.Fatal(err)
		}
		axis := ""
		for line := range strings.SplitSeq(b.String(), "\n") {
			if visible(line) > width && width > 40 {
				t.Errorf("width %d: %q", width, line)
			}
			if strings.Contains(line, "└") {
				axis = line
			}
		}
		if width > 40 && visible(axis) != width-1 {
			t.Errorf("width %d: axis %q", width, axis)
		}
	}
}
