package output

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func TestTextGolden(t *testing.T) {
	for _, width := range []int{80, 160} {
		for name, s := range map[string]Style{
			"text":    {Limit: 10},
			"verbose": {Limit: 2, Verbose: true},
			"quiet":   {Quiet: true},
			"all":     {All: true},
		} {
			t.Run(fmt.Sprint(name, width), func(t *testing.T) {
				var b bytes.Buffer
				s.Width = width
				if err := Text(&b, exampleReport(), s); err != nil {
					t.Fatal(err)
				}
				golden(t, fmt.Sprintf("%s-%d.txt", name, width), b.Bytes())
			})
		}
	}
}

func TestTextFitsWidth(t *testing.T) {
	for _, width := range []int{60, 80, 100, 132, 160} {
		var b bytes.Buffer
		if err := Text(&b, exampleReport(), Style{Width: width, Palette: NewPalette(true)}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if visible(line) > width && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("width %d: line of %d columns: %q", width, visible(line), line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("width %d: trailing blank: %q", width, line)
			}
		}
	}
}
