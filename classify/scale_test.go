package classify_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
)

// follow runs a capture in memory through the line and into all of as.
func follow(t testing.TB, pcap []byte, as ...*classify.Analysis) []capture.Input {
	t.Helper()
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tr := assembler.New(assembler.Config{Done: func(c *assembler.Conn) {
		for _, a := range as {
			a.Add(c)
		}
	}})
	var b capture.Batch
	for err == nil {
		if err = src.Next(&b); err == nil {
			tr.Batch(&b)
		}
	}
	in := src.Inputs()
	env := classify.Env{End: max(in[0].Last, in[0].End), Truncated: !errors.Is(err, io.EOF) || in[0].Err != nil, EncapName: src.Encap}
	for _, a := range as {
		a.Ends(env)
	}
	tr.Finish()
	for _, a := range as {
		a.Finish(env)
	}
	return in
}

// small is a capture of the mix with a share of its connections, and the
// truth about them.
func small(t testing.TB, m generate.Mix, share float64) (pcap []byte, truth []string) {
	t.Helper()
	m.Connections = int(float64(m.Connections) * share)
	m.Concurrent = max(20, int(float64(m.Concurrent)*share))
	var p, lines bytes.Buffer
	if _, err := generate.Write(&p, &lines, m); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(&lines)
	for s.Scan() {
		truth = append(truth, s.Text())
	}
	return p.Bytes(), truth[1:]
}

// Every connection of the generated captures must be what its script made it.
func TestScaleTruth(t *testing.T) {
	for _, m := range generate.Mixes {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			share := 0.01
			if testing.Short() {
				share = 0.002
			}
			pcap, truth := small(t, m, share)
			var a classify.Analysis
			follow(t, pcap, &a)
			if a.Len() != len(truth) {
				t.Fatalf("%d connections, want %d", a.Len(), len(truth))
			}
			wrong := map[string]int{}
			for i, line := range truth {
				f := strings.Split(line, "\t")
				c, v := a.Conn(i), a.Verdict(i)
				if fmt.Sprint(c.ID) != f[0] || c.End(assembler.Client).AddrPort().String() != f[1] || c.End(assembler.Server).AddrPort().String() != f[2] {
					t.Fatalf("connection %d is %v > %v, want %s", c.ID, c.End(assembler.Client).AddrPort(), c.End(assembler.Server).AddrPort(), line)
				}
				if got := []string{v.Class.String(), v.By.String()}; !slices.Equal(got, f[4:6]) {
					wrong[fmt.Sprintf("%s: %s (%v), want %s", f[3], strings.Join(got, " by "), v.Cause, strings.Join(f[4:6], " by "))]++
				}
			}
			for _, what := range slices.Sorted(maps.Keys(wrong)) {
				t.Errorf("%d times %s", wrong[what], what)
			}
		})
	}
}
