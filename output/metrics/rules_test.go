package metrics

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"

	"hangup/assembler"
	"hangup/classify"
)

// rule is one of a Prometheus rule file.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

// readYAML decodes a file that must have no field that to has not.
func readYAML(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func rules(t *testing.T) (list []rule) {
	t.Helper()
	var f ruleFile
	readYAML(t, "hangup.rules.yml", &f)
	for _, g := range f.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) < 10 {
		t.Fatalf("%d rules", len(list))
	}
	return list
}

// vocabulary is what the page has: the labels of each metric, and those that
// Prometheus adds.
type vocabulary map[string]map[string]bool

func (v vocabulary) add(metric string, labels ...string) {
	if v[metric] == nil {
		v[metric] = map[string]bool{"job": true, "instance": true}
	}
	for _, l := range labels {
		v[metric][l] = true
	}
}

func onPage(t *testing.T) vocabulary {
	t.Helper()
	v := vocabulary{}
	v.add("up")
	for name, f := range scrape(t, serve(t, lived(t), "0")) {
		var labels []string
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels = append(labels, l.GetName())
			}
		}
		v.add(name, labels...)
		if f.GetType() == dto.MetricType_HISTOGRAM {
			v.add(name+"_bucket", append(labels, "le")...)
			v.add(name+"_sum", labels...)
			v.add(name+"_count", labels...)
		}
	}
	return v
}

// words are the values that a label can have, for those that have a list.
func words(label string) []string {
	var list []string
	switch label {
	case "class":
		for c := classify.Graceful; c <= classify.TimedOut; c++ {
			list = append(list, c.String())
		}
	case "cause":
		for c := range classify.NumCauses {
			list = append(list, classify.Cause(c).String())
		}
	case "by":
		for p := classify.ByUnknown; p <= classify.ByNetwork; p++ {
			list = append(list, p.String())
		}
	case "kind":
		list = classify.FindingKinds()
	case "severity":
		for s := classify.Info; s <= classify.Critical; s++ {
			list = append(list, s.String())
		}
	case "state":
		for s := assembler.SynSent; s <= assembler.TimeWait; s++ {
			list = append(list, s.String())
		}
	case "result":
		list = []string{"saved", "skipped", "failed", "found", "missed", "confirmed", "contradicted"}
	}
	return list
}

// check reports what expr asks for that there is not, and returns the labels
// that it can have.
func (v vocabulary) check(t *testing.T, where, expr string) map[string]bool {
	t.Helper()
	q, err := parsePromQL(expr)
	if err != nil || len(q.selectors) == 0 {
		t.Errorf("%s: %s: %v", where, expr, err)
		return nil
	}
	all := map[string]bool{}
	for _, s := range q.selectors {
		labels := v[s.metric]
		if labels == nil {
			t.Errorf("%s: there is no metric %s", where, s.metric)
		}
		for l := range labels {
			all[l] = true
		}
		for _, m := range s.matchers {
			if !labels[m.label] {
				t.Errorf("%s: %s has no label %s", where, s.metric, m.label)
			}
			known := words(m.label)
			for w := range strings.SplitSeq(m.value, "|") {
				if known != nil && !strings.HasPrefix(w, "$") && !slices.Contains(known, w) {
					t.Errorf("%s: %s is never %q", where, m.label, w)
				}
			}
		}
	}
	for _, l := range append(q.kept, q.dropped...) {
		if !all[l] {
			t.Errorf("%s: no metric in it has the label %s", where, l)
		}
	}
	for _, l := range q.dropped {
		delete(all, l)
	}
	return all
}

// Every metric and label that a rule asks for is on the page, or is recorded
// by a rule before it.
func TestRulesAskForWhatThereIs(t *testing.T) {
	v := onPage(t)
	used := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, r := range rules(t) {
		labels := v.check(t, r.Record+r.Alert, r.Expr)
		if r.Record != "" {
			v.add(r.Record)
			for l := range labels {
				v.add(r.Record, l)
			}
		}
		for name, text := range r.Annotations {
			for _, m := range used.FindAllStringSubmatch(text, -1) {
				if !labels[m[1]] && r.Labels[m[1]] == "" {
					t.Errorf("%s: its %s shows the label %s, which it has not", r.Alert, name, m[1])
				}
			}
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("%s occurs twice", r.Alert)
		}
		seen[r.Alert] = true
		for _, a := range []string{"summary", "description", "action"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s has no %s", r.Alert, a)
			}
		}
		if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s has severity %q", r.Alert, r.Labels["severity"])
		}
	}
	tests, err := os.ReadFile(filepath.Join("deploy", "hangup.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range seen {
		if !strings.Contains(string(tests), name) {
			t.Errorf("no test in hangup.rules.test.yml makes %s fire", name)
		}
	}
}

// Prometheus's own tool runs the alerts over sequences of samples.
func TestRulesWithPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("skipped: promtool (of Prometheus) is not installed")
	}
	// What panels ask for are expressions, too: as rules they can be checked.
	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string   `yaml:"name"`
		Rules []record `yaml:"rules"`
	}
	g := group{Name: "dashboard"}
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", "hangup", "$instance", ".*", "$port", ".*")
	for _, e := range dashboard(t).expressions() {
		g.Rules = append(g.Rules, record{"x", grafana.Replace(e)})
	}
	b, err := yaml.Marshal(map[string][]group{"groups": {g}})
	if err != nil {
		t.Fatal(err)
	}
	panels := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(panels, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "hangup.rules.yml"},
		{"test", "rules", "hangup.rules.test.yml"},
		{"check", "rules", "--lint=none", panels},
	} {
		c := exec.Command(tool, args...)
		c.Dir = "deploy"
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
