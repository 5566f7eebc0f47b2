package metrics

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

// conn is a connection to a server, completed or not.
func conn(host byte, port uint16, established bool) *assembler.Conn {
	c := &assembler.Conn{RoleKnown: true}
	c.Ends[assembler.Server].Addr = [16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: host}
	c.Ends[assembler.Server].Port = port
	if established {
		c.Established = assembler.Stamp{Ref: capture.MakeRef(0, 3), Time: 1}
	}
	return c
}

func verdict(class classify.Class, cause classify.Cause, by classify.Party) *classify.Verdict {
	return &classify.Verdict{Class: class, Cause: cause, By: by}
}

// lived is a Metrics after some hours of everything.
func lived(t testing.TB) *Metrics {
	t.Helper()
	m := New(Config{Version: "v1.2.3", Host: true})
	m.Ended(conn(1, 443, true), verdict(classify.Graceful, classify.OrderlyClose, classify.ByClient))
	m.Ended(conn(1, 443, true), verdict(classify.Reset, classify.AbortiveClose, classify.ByServer))
	m.Ended(conn(2, 80, false), verdict(classify.Reset, classify.ConnectionRefused, classify.ByServer))
	m.Open(map[string]int{"ESTABLISHED": 7, "CLOSE_WAIT": 2})
	m.Input([]capture.Input{{Name: "eth0", Packets: 1000, Bytes: 64000, Drops: 3, Bad: 2, Cut: 900, Last: 1.7e18}})
	m.Finding([]classify.Finding{{Kind: classify.KindNeverClosed, Severity: classify.Warning, Total: 4, First: 1.6e18, Last: 1.7e18}})
	m.Latency(3 * time.Millisecond)
	m.Set(Counters{1, 2, 3, 4, 5, 6, 7, 8, 9})
	return m
}

func serve(t testing.TB, m *Metrics, addr string) *Server {
	t.Helper()
	s, err := m.Serve(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// scrape fetches and parses the page as Prometheus does.
func scrape(t testing.TB, s *Server) map[string]*dto.MetricFamily {
	t.Helper()
	page := get(t, s, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	return families
}

func get(t testing.TB, s *Server, path string) string {
	t.Helper()
	r, err := http.Get("http://" + s.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v, %s", path, r.Status, err, body)
	}
	return string(body)
}

// values are a family's samples by their labels, as in "port=443 by=client".
func values(f *dto.MetricFamily) map[string]float64 {
	v := make(map[string]float64)
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.Label {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		v[strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return v
}

func want(t *testing.T, families map[string]*dto.MetricFamily, name string, samples map[string]float64) {
	t.Helper()
	got := values(families[name])
	for labels, v := range samples {
		if g, ok := got[labels]; !ok || g != v {
			t.Errorf("%s{%s} = %v (there: %v), want %v; all: %v", name, labels, g, ok, v, got)
		}
	}
}

func TestPageAsPrometheusReadsIt(t *testing.T) {
	f := scrape(t, serve(t, lived(t), "0"))
	want(t, f, "hangup_connections_ended_total", map[string]float64{
		"by=client cause=orderly-close class=graceful host=192.0.2.1 port=443": 1,
		"by=server cause=abortive-close class=reset host=192.0.2.1 port=443":   1,
		"by=server cause=connection-refused class=reset host=other port=other": 1,
	})
	want(t, f, "hangup_connections_open", map[string]float64{"state=ESTABLISHED": 7, "state=CLOSE_WAIT": 2, "state=TIME_WAIT": 0})
	want(t, f, "hangup_packets_total", map[string]float64{"interface=eth0": 1000})
	want(t, f, "hangup_bytes_total", map[string]float64{"interface=eth0": 64000})
	want(t, f, "hangup_packets_dropped_total", map[string]float64{"interface=eth0": 3})
	want(t, f, "hangup_packets_bad_total", map[string]float64{"interface=eth0": 2})
	want(t, f, "hangup_packets_cut_total", map[string]float64{"interface=eth0": 900})
	want(t, f, "hangup_last_packet_timestamp_seconds", map[string]float64{"interface=eth0": 1.7e9})
	want(t, f, "hangup_finding_active", map[string]float64{"kind=never-closed severity=warning": 1})
	want(t, f, "hangup_finding_connections", map[string]float64{"kind=never-closed severity=warning": 4})
	want(t, f, "hangup_finding_first_timestamp_seconds", map[string]float64{"kind=never-closed severity=warning": 1.6e9})
	want(t, f, "hangup_connections_evicted_total", map[string]float64{"": 1})
	want(t, f, "hangup_packets_late_total", map[string]float64{"": 2})
	want(t, f, "hangup_blackbox_captures_total", map[string]float64{"result=saved": 3, "result=skipped": 4, "result=failed": 5})
	want(t, f, "hangup_process_lookups_total", map[string]float64{"result=found": 6, "result=missed": 7})
	want(t, f, "hangup_kernel_verdicts_total", map[string]float64{"result=confirmed": 8, "result=contradicted": 9})
	want(t, f, "hangup_build_info", map[string]float64{"version=v1.2.3": 1})
	want(t, f, "hangup_healthy", map[string]float64{"": 1})
	h := f["hangup_analysis_latency_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != .003 {
		t.Errorf("latency: %v", h)
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes"} {
		if f[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

func TestPageIsLintFree(t *testing.T) {
	page := get(t, serve(t, lived(t), "0"), "/metrics")
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "hangup_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Names that files or systems made up must not take the page down: equal
// series, or bytes that are no text, make a registry refuse to gather.
func TestPageSurvivesOddNames(t *testing.T) {
	m := New(Config{Version: "\xff"})
	m.Input([]capture.Input{{Name: "a\xff", Packets: 1}, {Name: "a\xfe", Packets: 2}, {Name: "b\"\n\\", Packets: 3}, {Packets: 4}})
	m.Open(map[string]int{"\xff": 1, "\xfe": 2})
	m.Finding([]classify.Finding{{Kind: "\xff"}, {Kind: "\xfe", Severity: classify.Info}})
	f := scrape(t, serve(t, m, "0"))
	want(t, f, "hangup_packets_total", map[string]float64{"interface=a\uFFFD": 3, "interface=b\"\n\\": 3, "interface=": 4})
	want(t, f, "hangup_connections_open", map[string]float64{"state=\uFFFD": 3})
	want(t, f, "hangup_finding_active", map[string]float64{"kind=\uFFFD severity=info": 2})
}

func TestTwoMetricsDoNotShare(t *testing.T) {
	a, b := lived(t), New(Config{})
	if f := scrape(t, serve(t, b, "0")); f["hangup_connections_ended_total"] != nil {
		t.Errorf("another's connections: %v", f["hangup_connections_ended_total"])
	}
	_ = a
}

func TestCountersOnlyRise(t *testing.T) {
	m := New(Config{})
	s := serve(t, m, "0")
	packets := func(in ...capture.Input) float64 {
		m.Input(in)
		return values(scrape(t, s)["hangup_packets_total"])["interface=eth0"]
	}
	for i, step := range []struct {
		total uint64
		sum   float64
	}{{10, 10}, {10, 10}, {25, 25}, {0, 25}, {4, 29}, {3, 32}} {
		if got := packets(capture.Input{Name: "eth0", Packets: step.total}); got != step.sum {
			t.Errorf("step %d, total %d: %v, want %v", i, step.total, got, step.sum)
		}
	}
	if got := packets(capture.Input{Name: "eth1", Packets: 1}); got != 32 {
		t.Errorf("an interface that is gone: %v, want 32", got)
	}
	m.Set(Counters{LatePackets: 5})
	m.Set(Counters{LatePackets: 2})
	want(t, scrape(t, s), "hangup_packets_late_total", map[string]float64{"": 7})
}

func TestFindingsComeAndGo(t *testing.T) {
	m := New(Config{})
	s := serve(t, m, "0")
	leak := classify.Finding{Kind: classify.KindNeverClosed, Severity: classify.Warning, Total: 2, First: 50e9}
	const key = "kind=never-closed severity=warning"
	step := func(now int64, active, changed, first float64, list ...classify.Finding) {
		t.Helper()
		m.state.setFindings(list, time.Unix(now, 0))
		f := scrape(t, s)
		want(t, f, "hangup_finding_active", map[string]float64{key: active})
		want(t, f, "hangup_finding_changed_timestamp_seconds", map[string]float64{key: changed})
		want(t, f, "hangup_finding_first_timestamp_seconds", map[string]float64{key: first})
	}
	step(100, 1, 100, 50, leak)
	step(110, 1, 100, 50, leak)
	step(120, 2, 120, 40, leak, classify.Finding{Kind: leak.Kind, Severity: leak.Severity, Total: 9, First: 40e9})
	step(130, 0, 130, 40)
	step(140, 0, 130, 40)
	again := leak
	again.First = 0 // a kind to which no time belongs
	step(150, 1, 150, 150, again)
	step(160, 1, 150, 150, again)
}

func TestOpenIsReplacedAsAWhole(t *testing.T) {
	m := New(Config{})
	s := serve(t, m, "0")
	m.Open(map[string]int{"ESTABLISHED": 5})
	m.Open(map[string]int{"TIME_WAIT": 1})
	want(t, scrape(t, s), "hangup_connections_open", map[string]float64{"state=ESTABLISHED": 0, "state=TIME_WAIT": 1})
}

func TestStatesAreAllThere(t *testing.T) {
	got := values(scrape(t, serve(t, New(Config{}), "0"))["hangup_connections_open"])
	for s := assembler.SynSent; s <= assembler.TimeWait; s++ {
		if _, ok := got["state="+s.String()]; !ok {
			t.Errorf("no %s among %v", s, slices.Sorted(maps.Keys(got)))
		}
	}
}

func TestLatencyOfAStampFromTheFuture(t *testing.T) {
	m := New(Config{})
	m.Latency(-time.Hour)
	h := scrape(t, serve(t, m, "0"))["hangup_analysis_latency_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleSum() != 0 || h.GetBucket()[0].GetCumulativeCount() != 1 {
		t.Errorf("%v", h)
	}
}
