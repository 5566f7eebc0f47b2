package capture

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// container is what an independent reader found in a capture of the corpus.
type container struct {
	Packets, Truncpk, Back, Zerolen int
	Links                           []uint16
	Err                             []string
	Snaplen                         uint32
	NS                              bool
	Endian                          string
	Sections                        int
	Ts0, Ts1                        float64
}

func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS is not set")
	}
	return dir
}

func TestCorpusContainers(t *testing.T) {
	dir := corpus(t)
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, "tshark", filepath.Base(file)+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var oracle struct{ Container container }
			if err := json.Unmarshal(data, &oracle); err != nil {
				t.Fatal(err)
			}
			s, err := Open([]string{file}, OpenConfig{})
			if err != nil {
				t.Fatal(err)
			}
			compareContainer(t, readAll(t, s), s.Inputs()[0], oracle.Container)
		})
	}
}

func compareContainer(t *testing.T, ps []Packet, in Input, c container) {
	t.Helper()
	if (in.Err != nil) != (len(c.Err) > 0) {
		t.Errorf("error %v, oracle %q", in.Err, c.Err)
	}
	if len(ps) != c.Packets || in.Packets != uint64(c.Packets) {
		t.Errorf("%d packets, oracle %d", len(ps), c.Packets)
	}
	var links []string
	for _, l := range c.Links {
		if name := LinkName(l); !slices.Contains(links, name) {
			links = append(links, name)
		}
	}
	slices.Sort(links)
	got := slices.Sorted(slices.Values(in.Links))
	if !slices.Equal(got, links) {
		t.Errorf("links %q, oracle %q", in.Links, links)
	}
	if in.Cut != uint64(c.Truncpk) {
		t.Errorf("%d records cut, oracle %d", in.Cut, c.Truncpk)
	}
	if (in.Backwards > 0) != (c.Back > 0) {
		// A clock before 1970, which the oracle takes for one of the
		// far future, goes back where the oracle goes forward.
		if c.Ts1 < math.MaxInt64/1e9 {
			t.Errorf("time goes back %d times, oracle %d", in.Backwards, c.Back)
		}
	}
	if (strings.Contains(in.Format, "big-endian")) != (c.Endian == "be") || strings.HasPrefix(in.Format, "pcapng") != (c.Sections > 0) {
		t.Errorf("format %q, oracle %+v", in.Format, c)
	}
	if strings.HasPrefix(in.Format, "pcap (nano") != c.NS && c.Sections == 0 {
		t.Errorf("format %q, oracle ns %v", in.Format, c.NS)
	}
	if in.Snaplen != c.Snaplen && c.Snaplen != 0 {
		t.Errorf("snaplen %d, oracle %d", in.Snaplen, c.Snaplen)
	}
	checkTime(t, "first", ps[0].Time, c.Ts0)
	checkTime(t, "last", ps[len(ps)-1].Time, c.Ts1)
}

func checkTime(t *testing.T, what string, ns int64, seconds float64) {
	t.Helper()
	got := float64(ns) / 1e9
	if seconds > math.MaxInt64/1e9 { // see clock.ns
		seconds -= 1 << 64 / 1e6
	}
	// A float64 near 1.7e9 is good for about 0.2 microseconds.
	if math.Abs(got-seconds) > 1e-3 && math.Abs(seconds) < 1e9 || math.Abs(got-seconds) > 1e-6 && seconds > 1e9 {
		t.Errorf("%s packet at %.9f, oracle %.9f", what, got, seconds)
	}
}

func TestCorpusMalformed(t *testing.T) {
	dir := filepath.Join(corpus(t), "malformed")
	f, err := os.Open(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		name, readable, trouble := row[column["file"]], row[column["packets_readable"]], row[column["container_errors"]]
		t.Run(name, func(t *testing.T) {
			packets, err := readFile(t, filepath.Join(dir, "files", name))
			if fmt.Sprint(packets) != readable || (err != nil) != (trouble != "") {
				t.Errorf("%d packets, %v; oracle %s, %s", packets, err, readable, trouble)
			}
			if trouble == "not-pcap" && !strings.Contains(err.Error(), "snoop capture, convert it with: editcap") {
				t.Errorf("no way out in: %v", err)
			}
		})
	}
}

// readFile reads one capture and tells all that went wrong.
func readFile(t *testing.T, name string) (packets int, err error) {
	t.Helper()
	s, err := Open([]string{name}, OpenConfig{})
	if err != nil {
		return 0, err
	}
	ps := readAll(t, s)
	return len(ps), s.Inputs()[0].Err
}

// All captures at once: every packet comes out, whatever order the times
// are in, and one file's trouble stays its own.
func TestCorpusTogether(t *testing.T) {
	dir := corpus(t)
	names, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, name := range names {
		n, _ := readFile(t, name)
		want += n
	}
	s, err := Open(names, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, s)); got != want {
		t.Errorf("%d packets together, %d one by one", got, want)
	}
	var all []error
	for _, in := range s.Inputs() {
		all = append(all, in.Err)
	}
	if err := errors.Join(all...); err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("errors: %v", err)
	}
}
