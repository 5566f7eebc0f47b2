package output_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
	"hangup/internal/story"
	"hangup/output"
)

// A bounded analysis must print the page of one that keeps
// every connection, to the byte.
func samePage(t *testing.T, file string, stdin io.Reader) {
	t.Helper()
	src, err := capture.Open([]string{file}, capture.OpenConfig{Stdin: stdin})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var all classify.Analysis
	some := classify.Analysis{Whole: 6}
	packets := uint64(0)
	tr := assembler.New(assembler.Config{Done: func(c *assembler.Conn) { all.Add(c); some.Add(c) }})
	var b capture.Batch
	for err == nil {
		if err = src.Next(&b); err == nil {
			tr.Batch(&b)
			packets += uint64(len(b.Packets))
		}
	}
	in := src.Inputs()
	env := classify.Env{End: max(in[0].Last, in[0].End), Truncated: !errors.Is(err, io.EOF) || in[0].Broken, EncapName: src.Encap}
	some.Ends(env)
	tr.Finish() // the other learns of the end only now
	all.Finish(env)
	some.Finish(env)
	if all.Summary() != some.Summary() {
		t.Errorf("summary\n%+v\nwant\n%+v", some.Summary(), all.Summary())
	}
	for _, s := range []output.Style{{Width: 100, Limit: 10}, {Width: 80, Verbose: true}} {
		page := func(a *classify.Analysis) string {
			var w bytes.Buffer
			if err := output.Text(&w, &output.Report{Inputs: in, Packets: packets, Conns: a}, s); err != nil {
				t.Fatal(err)
			}
			return w.String()
		}
		if got, want := page(&some), page(&all); got != want {
			t.Fatalf("page\n%s\nwant\n%s", got, want)
		}
	}
}

func TestExamplesRecordings(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../testdata/*.pcap*", "../testdata/lab/*/*.pcap", filepath.Join(os.Getenv("HANGUP_CORPUS"), "pcaps", "*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no recordings")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { samePage(t, file, nil) })
	}
}

func TestExamplesStories(t *testing.T) {
	for _, dir := range []string{"stories", "findings"} {
		files, err := filepath.Glob("../testdata/" + dir + "/*.txt")
		if err != nil || len(files) == 0 {
			t.Fatalf("no stories in %s (%v)", dir, err)
		}
		for _, file := range files {
			t.Run(dir+"/"+filepath.Base(file), func(t *testing.T) {
				pcap, err := story.Capture(file)
				if err != nil {
					t.Fatal(err)
				}
				samePage(t, "-", bytes.NewReader(pcap))
			})
		}
	}
}

func TestExamplesGenerated(t *testing.T) {
	for _, m := range generate.Mixes {
		m.Connections, m.Concurrent = 5000, 400
		t.Run(m.Name, func(t *testing.T) {
			var pcap bytes.Buffer
			if _, err := generate.Write(&pcap, io.Discard, m); err != nil {
				t.Fatal(err)
			}
			samePage(t, "-", &pcap)
		})
	}
}
