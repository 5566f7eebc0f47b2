package classify_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hangup/classify"
	"hangup/internal/generate"
)

// TestSown sows one fault of each kind among healthy traffic and asks the
// findings for them: all must be found, and nothing else. HANGUP_SOWN is the
// number of connections, 5,000 if unset; from 50,000 on two of the faults
// are ports that run out. HANGUP_SEED chooses another field.
func TestSown(t *testing.T) {
	n := 5000
	if s := os.Getenv("HANGUP_SOWN"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seeds := uint64(3)
	if n > 5000 {
		seeds = 1
	}
	first := uint64(0)
	if s := os.Getenv("HANGUP_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { sow(t, n, seed) })
	}
}

func sow(t *testing.T, n int, seed uint64) {
	var pcap bytes.Buffer
	sown, stats, err := generate.WriteSown(&pcap, generate.SownMix{Connections: n, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	a, in := gather(t, &pcap)
	if uint64(a.Len()) != stats.Connections {
		t.Errorf("%d connections of %d", a.Len(), stats.Connections)
	}
	all := orders(judgedOf(a))
	if a.Len() > 60_000 {
		// Beyond what the log of dials holds they must come roughly in time.
		all = map[string][]judged{"endings": all["endings"]}
	}
	all["IDs"] = judgedOf(a)
	for _, order := range slices.Sorted(maps.Keys(all)) {
		findings := findingsOf(a.Env(), all[order], in...)
		for i := range findings {
			whole(t, a, int(stats.Packets), &findings[i])
		}
		hit, faults := compare(sown, findings)
		t.Logf("%s: %d connections, %d packets: %s", order, stats.Connections, stats.Packets, score2(sown, findings, hit, faults))
		if order == "IDs" {
			t.Log(perKind(sown, findings, hit))
		}
		if len(faults) > 0 {
			t.Errorf("%s: not as sown:\n%s", order, strings.Join(faults, "\n"))
		}
	}
}

// compare tells which findings were sown, and what was missed or invented.
func compare(sown []generate.Sown, findings []classify.Finding) (hit []bool, faults []string) {
	hit = make([]bool, len(findings))
	for _, s := range sown {
		ok := false
		for i := range findings {
			if (findings[i].Kind == s.Kind || slices.Contains(findings[i].Also, s.Kind)) && names(&findings[i], s.Where) {
				hit[i], ok = true, true
			}
		}
		if !ok {
			faults = append(faults, fmt.Sprintf("missed: %s at %s", s.Kind, s.Where))
		}
	}
	for i := range findings {
		if !hit[i] {
			faults = append(faults, fmt.Sprintf("invented: %s: %s %v", findings[i].Kind, findings[i].Title, findings[i].Connections))
		}
	}
	return hit, faults
}

func score2(sown []generate.Sown, findings []classify.Finding, hit []bool, faults []string) string {
	invented := 0
	for _, ok := range hit {
		if !ok {
			invented++
		}
	}
	missed := len(faults) - invented
	return fmt.Sprintf("%d sown, %d missed (recall %.3f); %d found, %d invented (precision %.3f)",
		len(sown), missed, 1-float64(missed)/float64(len(sown)), len(findings), invented, 1-float64(invented)/float64(max(len(findings), 1)))
}

// names reports whether the finding names the place.
func names(f *classify.Finding, where string) bool {
	if where == "" {
		return true
	}
	for _, p := range f.Where {
		if p.String() == where {
			return true
		}
	}
	return false
}

// perKind is a table of precision and recall.
func perKind(sown []generate.Sown, findings []classify.Finding, hit []bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-24s %5s %6s %9s %7s\n", "kind", "sown", "found", "precision", "recall")
	for _, kind := range classify.FindingKinds() {
		want, got, right := 0, 0, 0
		for _, s := range sown {
			if s.Kind == kind {
				want++
			}
		}
		for i, f := range findings {
			if f.Kind == kind || slices.Contains(f.Also, kind) {
				got++
				if hit[i] {
					right++
				}
			}
		}
		if want+got > 0 {
			fmt.Fprintf(&b, "%-24s %5d %6d %9.2f %7.2f\n", kind, want, got, float64(right)/float64(max(got, 1)), min(1, float64(right)/float64(max(want, 1))))
		}
	}
	return b.String()
}

// BenchmarkFindings tells what findings cost per connection.
func BenchmarkFindings(b *testing.B) {
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 20_000}); err != nil {
		b.Fatal(err)
	}
	a, in := gather(b, &pcap)
	b.ReportAllocs()
	for b.Loop() {
		a.Findings(in...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(a.Len()), "ns/conn")
}
