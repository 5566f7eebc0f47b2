package metrics

import (
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// board is a Grafana dashboard, as far as it is looked at.
type board struct {
	SchemaVersion int
	UID, Title    string
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type, Definition string
			AllValue               *string
		}
	}
	Annotations struct {
		List []struct{ Expr, Name string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               *source
	Targets                  []struct {
		Expr, LegendFormat string
		Datasource         *source
	}
}

type source struct{ Type, UID string }

func dashboard(t *testing.T) (b board) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy", "hangup.dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Panels) < 10 {
		t.Fatalf("%d panels", len(b.Panels))
	}
	return b
}

func (b board) expressions() (list []string) {
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			list = append(list, q.Expr)
		}
	}
	for _, a := range b.Annotations.List {
		if a.Expr != "" {
			list = append(list, a.Expr)
		}
	}
	return list
}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	v, b := onPage(t), dashboard(t)
	for _, e := range b.expressions() {
		v.check(t, e, e)
	}
	choices := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, x := range b.Templating.List {
		if x.Type == "query" {
			m := choices.FindStringSubmatch(x.Definition)
			if m == nil {
				t.Fatalf("$%s: %s", x.Name, x.Definition)
			}
			if labels := v.check(t, "$"+x.Name, m[1]); !labels[m[2]] {
				t.Errorf("$%s: %s has no label %s", x.Name, m[1], m[2])
			}
		}
	}
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			labels := v.check(t, p.Title, q.Expr)
			for _, m := range legend.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !labels[m[1]] {
					t.Errorf("%s: the legend shows %s, which nothing in it has", p.Title, m[1])
				}
			}
		}
	}
}

// Everything that the page says of connections and of the capture is shown.
func TestDashboardShowsAll(t *testing.T) {
	all := strings.Join(dashboard(t).expressions(), "\n")
	for name := range scrape(t, serve(t, lived(t), "0")) {
		if strings.HasPrefix(name, "hangup_") && !strings.Contains(all, name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestDashboardIsWellFormed(t *testing.T) {
	b := dashboard(t)
	if b.SchemaVersion < 36 || b.UID == "" || b.Title == "" {
		t.Errorf("schema %d, uid %q, title %q", b.SchemaVersion, b.UID, b.Title)
	}
	defined := []string{"__rate_interval", "__range"}
	for _, v := range b.Templating.List {
		defined = append(defined, v.Name)
		if v.AllValue != nil && v.Name != "port" {
			t.Errorf("$%s: %q takes in what is not hangup's", v.Name, *v.AllValue)
		}
	}
	used := regexp.MustCompile(`\$(\w+)`)
	for _, e := range b.expressions() {
		for _, m := range used.FindAllStringSubmatch(e, -1) {
			if !slices.Contains(defined, m[1]) {
				t.Errorf("$%s is not defined: %s", m[1], e)
			}
		}
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d occurs twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("%s: no description, no query, or not the chosen data source", p.Title)
		}
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: %v is beside the grid", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s covers %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// flagsOf parts the flags of a command line from --metrics and its value.
func flagsOf(t *testing.T, args []string) (rest []string, metrics string) {
	t.Helper()
	i := slices.Index(args, "--metrics")
	if i < 0 || i+1 == len(args) {
		t.Fatalf("%q has no --metrics", args)
	}
	return slices.Delete(slices.Clone(args), i, i+2), args[i+1]
}

func unitFlags(t *testing.T) (rest []string, metrics string) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/hangup (.+)$`).FindStringSubmatch(read(t, "hangup.service"))
	if m == nil {
		t.Fatal("no ExecStart")
	}
	return flagsOf(t, strings.Fields(m[1]))
}

func TestUnitListensOnLoopback(t *testing.T) {
	_, addr := unitFlags(t)
	a, err := parseAddress(addr)
	if err != nil || !netip.MustParseAddr(a.host).IsLoopback() || a.port != DefaultPort {
		t.Errorf("%s: %+v, %v", addr, a, err)
	}
}

func TestUnitWithSystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("skipped: systemd-analyze is not installed")
	}
	self, err := os.Executable() // verify wants the program to be there
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "hangup.service")
	text := strings.Replace(read(t, "hangup.service"), "/usr/local/bin/hangup", self, 1)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), unit) {
		t.Errorf("%v\n%s", err, out)
	}
}

// workload is the part of a DaemonSet that is looked at.
type workload struct {
	Kind string
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		PodMetricsEndpoints []struct{ Port, Path string } `yaml:"podMetricsEndpoints"`
		Template            struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     struct {
				HostNetwork bool `yaml:"hostNetwork"`
				Tolerations []struct{ Operator string }
				Containers  []container
			}
		}
	}
}

type container struct {
	Args            []string
	Env             []struct{ Name string }
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Privileged               bool
		Capabilities             struct{ Drop, Add []string }
	} `yaml:"securityContext"`
	Ports          []struct{ Name, ContainerPort string }
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	StartupProbe   probe `yaml:"startupProbe"`
	Resources      struct{ Requests, Limits map[string]string }
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// documents reads the objects of a manifest.
func documents(t *testing.T, file string) map[string]workload {
	t.Helper()
	all := map[string]workload{}
	d := yaml.NewDecoder(strings.NewReader(read(t, file)))
	for {
		var w workload
		err := d.Decode(&w)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[w.Kind] = w
	}
}

func TestDaemonSet(t *testing.T) {
	w := documents(t, "daemonset.yaml")["DaemonSet"].Spec
	pod := w.Template.Spec
	if !pod.HostNetwork || len(pod.Tolerations) == 0 || len(pod.Containers) != 1 {
		t.Fatalf("%+v", pod)
	}
	for k, v := range w.Selector.MatchLabels {
		if w.Template.Metadata.Labels[k] != v {
			t.Errorf("the pods have no label %s: %s", k, v)
		}
	}
	c := pod.Containers[0]
	s := c.SecurityContext
	if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || s.Privileged ||
		!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || !slices.Equal(s.Capabilities.Add, []string{"NET_RAW"}) {
		t.Errorf("%+v", s)
	}
	for _, p := range []probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p.HTTPGet.Path != "/healthz" || p.HTTPGet.Port != "metrics" {
			t.Errorf("%+v", p)
		}
	}
	if c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" {
		t.Errorf("%+v", c.Resources)
	}
	if port := w.Template.Metadata.Annotations["prometheus.io/port"]; port != strconv.Itoa(DefaultPort) {
		t.Errorf("annotated port %s", port)
	}
	rest, addr := flagsOf(t, c.Args)
	if same, _ := unitFlags(t); !slices.Equal(rest, same) {
		t.Errorf("%q, but the unit has %q", rest, same)
	}
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		a, err := parseAddress(strings.ReplaceAll(addr, "$(NODE_IP)", ip))
		if err != nil || a.host != ip || a.port != DefaultPort {
			t.Errorf("node %s: %+v, %v", ip, a, err)
		}
	}
}

func TestPodMonitorFitsTheDaemonSet(t *testing.T) {
	m := documents(t, "podmonitor.yaml")["PodMonitor"].Spec
	pods := documents(t, "daemonset.yaml")["DaemonSet"].Spec.Template.Metadata.Labels
	for k, v := range m.Selector.MatchLabels {
		if pods[k] != v {
			t.Errorf("no pod has %s: %s", k, v)
		}
	}
	if len(m.PodMetricsEndpoints) != 1 || m.PodMetricsEndpoints[0].Port != "metrics" || m.PodMetricsEndpoints[0].Path != "/metrics" {
		t.Errorf("%+v", m.PodMetricsEndpoints)
	}
}
