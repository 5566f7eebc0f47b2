package output

import (
	"fmt"
	"io"
	"strings"

	"hangup/assembler"
	"hangup/classify"
)

// states plots, host by host, how many sockets were in each state over time.
func (v *socketView) states(list []classify.Series) error {
	v.wrap("", paint(v.bold, "Sockets by state over time "+v.whose()+",")+" as far as the capture shows. Each column is the most of its span; bars of a row are in proportion to its max.", v.width)
	v.blank()
	shown := len(list)
	if !v.style.All && v.style.Limit > 0 {
		shown = min(shown, v.style.Limit)
	}
	for i := range list[:shown] {
		v.host(&list[i])
	}
	if rest := len(list) - shown; rest > 0 {
		v.prose("", fmt.Sprintf("And %s with fewer sockets: --limit 0 plots them, --host ADDR chooses.", plural(uint64(rest), "more host")))
	}
	return v.flush()
}

const (
	stateColumn = 12 // SYN_RECEIVED
	leastPlot   = 10
)

// host plots one host: a row for each state that occurred, over an axis.
func (v *socketView) host(s *classify.Series) {
	v.printf("%s %s\n", paint(v.bold, s.Host.String()), paint(v.faint, "· "+plain(plural(s.Sockets, "socket"))))
	samples := int(max(v.last-s.Start, 0)/s.Width) + 1
	digits := 3
	for _, counts := range s.Counts {
		for _, n := range counts {
			digits = max(digits, len(count(uint64(max(n, 0)))))
		}
	}
	room := v.width - 2 - stateColumn - 2 - digits - 1 - digits - 2 - 1
	cols := max(leastPlot, room)
	v.printf("%s\n", paint(v.faint, fmt.Sprintf("  %s  %*s %*s", strings.Repeat(" ", stateColumn), digits, "max", digits, "end")))
	var brief []string // states that no sample met
	for st, counts := range s.Counts {
		if counts == nil {
			continue
		}
		state := assembler.State(st)
		most, end := peak(counts), int32(0)
		if most == 0 {
			brief = append(brief, state.String())
			continue
		}
		if samples-1 < len(counts) {
			end = counts[samples-1]
		}
		row := plot(counts, samples, cols, most)
		v.printf("  %s  %*s %*s  %s\n", v.state(state, pad(state.String(), stateColumn)), digits, count(uint64(most)), digits, count(uint64(end)), v.state(state, strings.TrimRight(row, " ")))
	}
	v.axis(s, cols, strings.Repeat(" ", 2+stateColumn+2+digits+1+digits+2))
	if len(brief) > 0 {
		v.wrap("  ", paint(v.faint, "Too short to plot: "+strings.Join(brief, ", ")), v.width)
	}
	v.blank()
}

func peak(counts []int32) (most int32) {
	for _, n := range counts {
		most = max(most, n)
	}
	return most
}

// plot draws samples on so many columns, each as high as the most of its
// samples: a short peak must not vanish between two columns.
func plot(counts []int32, samples, cols int, most int32) string {
	var b strings.Builder
	for col := range cols {
		from, to := col*samples/cols, max((col+1)*samples/cols, col*samples/cols+1)
		n := int32(0)
		for i := from; i < min(to, len(counts)); i++ {
			n = max(n, counts[i])
		}
		level := 0
		if n > 0 {
			level = max(1, int(int64(n)*8/int64(most)))
		}
		b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[level])
	}
	return b.String()
}

// axis is a line with the times of the plot's ends and, if there is room, its
// middle.
func (v *socketView) axis(s *classify.Series, cols int, indent string) {
	first, last := v.clock.seconds(s.Start), v.clock.seconds(v.last)
	line := []rune("└" + strings.Repeat("─", max(cols-2, 0)) + "┘")
	put := func(at int, text string) { copy(line[at:], []rune(text)) }
	if cols >= len(first)+len(last)+6 {
		put(1, first)
		put(cols-1-len(last), last)
		if middle := v.clock.seconds(s.Start + (v.last-s.Start)/2); cols >= 3*len(middle)+16 {
			put((cols-len(middle))/2, middle)
		}
	}
	v.printf("%s\n", paint(v.faint, indent+string(line)))
}

type jsonSeries struct {
	Host     string             `json:"host"`
	Sockets  uint64             `json:"sockets"`
	Start    string             `json:"start"`
	Interval seconds            `json:"interval"`
	Counts   map[string][]int32 `json:"counts"`
}

// statesJSON writes one host a line.
func (v *socketView) statesJSON(w io.Writer, list []classify.Series) error {
	e := newEncoder(w)
	e.raw("{\"type\": \"states\",\n\"input\": ")
	e.value(newInputs(v.in))
	e.raw(",\n\"hosts\": [")
	for i := range list {
		s := &list[i]
		j := jsonSeries{s.Host.String(), s.Sockets, stampText(s.Start), seconds(s.Width), make(map[string][]int32)}
		for st, counts := range s.Counts {
			if counts != nil {
				j.Counts[assembler.State(st).String()] = counts
			}
		}
		e.next(i)
		e.value(j)
	}
	e.raw("]}\n")
	return e.close()
}
