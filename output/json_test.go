package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v\nin %s", err, text)
	}
}

// reports are the shapes a report can take.
func reports() map[string]*Report {
	two := exampleReport()
	two.Inputs = append(two.Inputs, capture.Input{Name: "b.pcap.gz", Format: "pcapng", Compression: "gzip", Comments: []string{"by hand"}})
	two.Inputs[1].Outages = []capture.Outage{{From: 1_767_225_600e9, To: 1_767_225_601e9}, {From: 1_767_225_602e9}}
	two.Filter, two.Whole.Connections = "--class reset", 600
	odd := &fakes{}
	c := conn(1, "10.0.0.1:1", "10.0.0.2:2", 0, 1)
	c.NMarks = uint32(len(c.Marks))
	for i := range c.Marks {
		c.Marks[i] = assembler.Mark{Stamp: stamp(uint64(i+1), 0.1), What: assembler.What(i + 1), N: 3}
	}
	c.MPTCP = true
	odd.add(c, classify.Verdict{Partial: 0xff >> 1, SameAs: 7}, func(r *classify.Result) {
		full := call("nil", "")
		full.NMin = 3
		r.App[0] = &classify.AppOutcome{Protocol: "h2", Error: "other", Text: "http2: stream closed"}
		r.Go[1] = classify.Outcome{Accept: &full, Write: []classify.Call{full}, Note: "n", If: []classify.Condition{{When: "if", Dial: &full, Accept: &full}}}
		r.Detail = "code 3"
	})
	return map[string]*Report{"example": exampleReport(), "two inputs": two, "empty": {Conns: &fakes{}}, "odd": {Conns: odd}}
}

func TestJSONMatchesSchema(t *testing.T) {
	s := schema(t)
	for name, r := range reports() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := JSON(&b, r); err != nil {
				t.Fatal(err)
			}
			validate(t, s, b.Bytes())
			b.Reset()
			if err := NDJSON(&b, r); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
			if len(lines) != r.Conns.Len()+len(r.Findings)+1 {
				t.Errorf("%d lines for %d connections and %d findings", len(lines), r.Conns.Len(), len(r.Findings))
			}
			for _, line := range lines {
				validate(t, s, []byte(line))
			}
		})
	}
}

// A field that the schema does not know, or a value outside its lists, must
// not pass: otherwise the test above proves nothing.
func TestSchemaRejects(t *testing.T) {
	var b bytes.Buffer
	if err := NDJSON(&b, exampleReport()); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(b.String(), "\n")
	_, finding, _ := strings.Cut(b.String(), `{"type":"finding"`)
	finding, _, _ = strings.Cut(`{"type":"finding"`+finding, "\n")
	line += "\n" + finding
	s := schema(t)
	for old, repl := range map[string]string{
		`"id":1,`:                  `"id":1,"extra":2,`,
		`"cause":"abortive-close"`: `"cause":"boredom"`,
		`"id":1,"client"`:          `"client"`,
		`"error":"ECONNRESET"`:     `"error":"oops"`,
		`"severity":"serious"`:     `"severity":"terrible"`,
		`"kind":"untrusted-`:       `"kind":"mistrusted-`,
		`"unit":"bytes"`:           `"units":"bytes"`,
	} {
		changed := ""
		for part := range strings.SplitSeq(line, "\n") {
			if strings.Contains(part, old) {
				changed = strings.Replace(part, old, repl, 1)
				break
			}
		}
		if changed == "" {
			t.Fatalf("%q not found in %s", old, line)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(changed))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(v) == nil {
			t.Errorf("schema accepts %q", repl)
		}
	}
}

// Every cause, class, party, mark and token name of the code is in the schema.
func TestSchemaKnowsNames(t *testing.T) {
	var doc struct {
		Defs map[string]struct{ Enum []string } `json:"$defs"`
	}
	if err := json.Unmarshal(Schema, &doc); err != nil {
		t.Fatal(err)
	}
	for c := range classify.NumCauses {
		if got := doc.Defs["cause"].Enum; c >= len(got) || got[c] != classify.Cause(c).String() {
			t.Errorf("cause %d is %v, schema has %v", c, classify.Cause(c), got)
		}
	}
	var kinds struct {
		Defs struct {
			Finding struct {
				Properties struct {
					Kind struct{ Enum []string }
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema, &kinds); err != nil {
		t.Fatal(err)
	}
	if got := kinds.Defs.Finding.Properties.Kind.Enum; !slices.Equal(got, classify.FindingKinds()) {
		t.Errorf("kinds of findings are %v, schema has %v", classify.FindingKinds(), got)
	}
	if strings.Contains(string(Schema), `"description": ""`) {
		t.Error("schema has an empty description")
	}
}

func TestSeconds(t *testing.T) {
	for ns, want := range map[seconds]string{0: "0", 12_250_000_000: "12.25", 41_000: "0.000041", 300e9: "300", 1: "0.000000001", -5e8: "-0.5"} {
		if got := ns.String(); got != want {
			t.Errorf("%d ns is %s, want %s", int64(ns), got, want)
		}
	}
}

func TestCSV(t *testing.T) {
	for name, r := range reports() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := CSV(&b, r); err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(&b).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != r.Conns.Len()+1 {
				t.Errorf("%d rows for %d connections", len(rows), r.Conns.Len())
			}
			for i, row := range rows[1:] {
				if row[5] != r.Conns.Verdict(i).Cause.String() {
					t.Errorf("row %d has cause %s", i, row[5])
				}
			}
		})
	}
}

func TestJSONGolden(t *testing.T) {
	r := exampleReport()
	f := r.Conns.(*fakes)
	f.results = f.results[:1]
	f.vanished(31)
	for name, print := range map[string]func(*bytes.Buffer) error{
		"report.json": func(b *bytes.Buffer) error { return JSON(b, r) },
		"report.csv":  func(b *bytes.Buffer) error { return CSV(b, r) },
	} {
		var b bytes.Buffer
		if err := print(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}
