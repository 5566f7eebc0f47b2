package capture

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a.pcap", "b.pcapng.gz", "c.pcap3", "deep/d.cap", "notes.txt", "deep/e.pcap.json", "[x].pcap"} {
		path := filepath.Join(dir, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ arg, want []string }{
		{[]string{"-", "none.pcap"}, []string{"-", "none.pcap"}},
		{[]string{"..."}, []string{"[x].pcap", "a.pcap", "b.pcapng.gz", "c.pcap3", filepath.Join("deep", "d.cap")}},
		{[]string{"deep/..."}, []string{filepath.Join("deep", "d.cap")}},
		{[]string{"?.pcap*"}, []string{"a.pcap", "b.pcapng.gz", "c.pcap3"}},
		{[]string{"[x].pcap"}, []string{"[x].pcap"}},
		{[]string{"z*.pcap"}, []string{"z*.pcap"}},
	} {
		t.Chdir(dir)
		got, err := Expand(tt.arg)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.arg, got, err, tt.want)
		}
	}
	if _, err := Expand([]string{filepath.Join(dir, "gone", "...")}); err == nil {
		t.Error("a directory that is not there gives no error")
	}
}
