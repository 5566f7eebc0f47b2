package output

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hangup/classify"
)

func TestBrief(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n-1) + "." }
	for _, c := range []struct {
		name, text, want string
	}{
		{"short", "One. Two.", "One. Two."},
		{"no end", "One", "One"},
		{"whole sentences", long(150) + " " + long(100), long(150)},
		{"a short beginning says too little", long(50) + " " + long(200) + " " + long(90), long(50) + " " + long(200)},
		{"a long sentence is not cut", long(500) + " Two.", long(500)},
		{"nor follows it a short one", long(50) + " " + long(400), long(50)},
	} {
		if got := new(text).brief(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	full := &text{style: Style{Verbose: true}}
	if s := long(500) + " " + long(500); full.brief(s) != s {
		t.Error("-v cuts")
	}
}

func TestMentions(t *testing.T) {
	for _, c := range []struct {
		text, number string
		want         bool
	}{
		{"5 dials refused", "5", true},
		{"15 dials refused", "5", false},
		{"within 45.8 ms", "45.8 ms", true},
		{"within 45.8 ms", "5.8 ms", false},
		{"of 28,232 ports", "232", false},
		{"192.0.2.2:8080 was down", "192.0.2.2", false},
		{"192.0.2.2:8080 was down", "192.0.2.2:8080", true},
		{"192.0.2.22 and 192.0.2.2 too", "192.0.2.2", true},
		{"10 of 10.", "10", true},
	} {
		if mentions(c.text, c.number) != c.want {
			t.Errorf("%q mentions %q: %v", c.text, c.number, !c.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{12000, "", "12,000"}, {-9, "", "-9"}, {0.5, "", "0.5"}, {172.2, "s", "2m52s"}, {14088, "bytes", "14.1 kB"},
		{84.1067, "%", "84.1 %"}, {0.00838718, "/s", "0.00839/s"}, {28800.7, "/h", "28801/h"}, {480, "/s", "480/s"},
	} {
		if got := plain(measure(classify.Number{Value: c.value, Unit: c.unit})); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

// Very many findings must not bury the table: the first are spelled out, some
// more named, the rest counted.
func TestManyFindings(t *testing.T) {
	r := exampleReport()
	one := r.Findings[2]
	r.Findings = nil
	for i := range 200 {
		one.Title = fmt.Sprintf("Finding %d.", i)
		r.Findings = append(r.Findings, one)
	}
	for _, c := range []struct {
		style       Style
		told, named int
	}{
		{Style{Width: 80, Limit: 10}, 10, 30},
		{Style{Width: 80, Limit: 10, Quiet: true}, 0, 20},
		{Style{Width: 80, Limit: 10, Verbose: true}, 10, 200},
		{Style{Width: 80}, 200, 200},
		{Style{Width: 80, Limit: 3, All: true}, 200, 200},
	} {
		var b bytes.Buffer
		if err := Text(&b, r, c.style); err != nil {
			t.Fatal(err)
		}
		page, _, _ := strings.Cut(b.String(), "\n  reset ")
		if told, named := strings.Count(page, "\n    do  "), strings.Count(page, "Finding "); told != c.told || named != c.named {
			t.Errorf("%+v: %d told, %d named", c.style, told, named)
		}
	}
}
