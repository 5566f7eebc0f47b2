package output

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/classify"
)

func refused(id uint64, client, server string) (*assembler.Conn, classify.Verdict) {
	return conn(id, client, server, float64(id), 1), classify.Verdict{Class: classify.Reset, Cause: classify.ConnectionRefused, By: classify.ByServer, Confidence: classify.Certain}
}

func groupsOf(servers ...string) []group {
	f := &fakes{}
	for i, s := range servers {
		c, v := refused(uint64(i+1), "10.0.0.1:40000", s)
		f.add(c, v, nil)
	}
	return ranked(digest(f, false))
}

func TestGroups(t *testing.T) {
	if g := groupsOf("192.0.2.1:80", "192.0.2.1:81", "192.0.2.1:80"); len(g) != 2 || g[0].N != 2 {
		t.Errorf("same server: %+v", g)
	}
	if g := groupsOf("192.0.2.1:80", "192.0.2.1:81", "192.0.2.1:82", "192.0.2.1:83", "192.0.2.2:80"); len(g) != 2 || g[0].Ports != 4 || !g[0].Merged || g[1].Merged {
		t.Errorf("port sweep: %+v", g)
	}
	if g := groupsOf("192.0.2.1:445", "192.0.2.2:445", "192.0.2.3:445", "192.0.2.4:445", "192.0.2.4:446"); len(g) != 2 || g[0].Hosts != 4 || g[0].Port != 445 {
		t.Errorf("host sweep: %+v", g)
	}
	if g := groupsOf("192.0.2.1:80", "192.0.2.2:81", "192.0.2.3:82", "192.0.2.4:83", "192.0.2.5:84"); len(g) != 5 {
		t.Errorf("nothing in common: %+v", g)
	}
}

// Each connection is in exactly one group, its example is one of its own, and
// neither depends on the order in which connections come.
func TestGroupsPartition(t *testing.T) {
	f := &fakes{}
	id := uint64(0)
	for i := range 300 {
		id++
		c, v := refused(id, fmt.Sprintf("10.0.0.%d:4000", i%7+1), fmt.Sprintf("192.0.2.%d:%d", i%11+1, 8000+i%13))
		v.Cause = []classify.Cause{classify.ConnectionRefused, classify.AbortiveClose, classify.OrderlyClose}[i%3]
		if v.Cause == classify.OrderlyClose {
			v.Class = classify.Graceful
		}
		f.add(c, v, nil)
	}
	spell := func(d *classify.Digest) string {
		var b strings.Builder
		for _, g := range ranked(d) {
			clients, more := g.Clients()
			fmt.Fprintln(&b, g.GroupKey, g.N, g.Hosts, g.Ports, g.Merged, g.First, g.Last, g.FirstID, g.Example, g.harm, clients, more)
		}
		return b.String()
	}
	first := spell(digest(f, false))
	for seed := range uint64(5) {
		d := new(classify.Digest)
		for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(f.Len()) {
			v := f.Verdict(i)
			if d.Count(v); !abnormal(v) {
				continue
			}
			if g, best := d.Add(f.Conn(i), v); best {
				g.Example = i
			}
		}
		if again := spell(d); again != first {
			t.Fatalf("depends on the order of connections:\n%s\n%s", first, again)
		}
	}
	n := uint64(0)
	for _, g := range ranked(digest(f, false)) {
		n += g.N
		if v := f.Verdict(g.Example); !abnormal(v) || v.Cause != g.Cause {
			t.Errorf("example %d of %+v", g.Example, g.GroupKey)
		}
	}
	if n != 200 {
		t.Errorf("%d of 200 abnormal connections are in groups", n)
	}
}

func TestExampleIsTheClearest(t *testing.T) {
	f := &fakes{}
	for i, v := range []classify.Verdict{
		{Confidence: classify.Likely}, {Confidence: classify.Certain, Partial: assembler.NoStart | assembler.Gaps},
		{Confidence: classify.Certain, Partial: assembler.Gaps}, {Confidence: classify.Certain, Partial: assembler.Snaplen},
	} {
		v.Class, v.Cause, v.By = classify.Reset, classify.AbortiveClose, classify.ByServer
		f.add(conn(uint64(i+1), "10.0.0.1:1", "10.0.0.2:2", 0, 1), v, nil)
	}
	g := ranked(digest(f, false))
	if i := g[0].Example; i != 2 {
		t.Errorf("example is member %d", i)
	}
}

// The title of a group tells how sure its members' verdicts are, not only that
// of the one spelled out.
func TestGroupTellsTheLeastSure(t *testing.T) {
	f := &fakes{sum: classify.Summary{First: at(0), Last: at(9)}}
	for i, sure := range []classify.Confidence{classify.Likely, classify.Certain} {
		c, v := refused(uint64(i+1), "10.0.0.1:1", "192.0.2.1:80")
		v.Confidence = sure
		f.add(c, v, nil)
	}
	var b strings.Builder
	if err := Text(&b, &Report{Conns: f}, Style{Width: 100}); err != nil {
		t.Fatal(err)
	}
	if want := "by server · likely to certain ─"; !strings.Contains(b.String(), want) {
		t.Errorf("%q not in\n%s", want, b.String())
	}
}

func TestPageStaysShort(t *testing.T) {
	f := &fakes{sum: classify.Summary{First: at(0), Last: at(9)}}
	for i := range uint64(3000) {
		// Ports and addresses that never meet, so that no sweep joins them.
		c, v := refused(i+1, "10.0.0.1:1", fmt.Sprintf("192.%d.%d.1:%d", i>>8, i&255, 1000+i))
		f.add(c, v, nil)
	}
	var b strings.Builder
	if err := Text(&b, &Report{Conns: f}, Style{Width: 80, Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n > 120 {
		t.Errorf("%d lines", n)
	}
	if want := "And 2,990 more groups with 2,990 connections: --limit 0"; !strings.Contains(b.String(), want) {
		t.Errorf("%q not in\n%s", want, b.String())
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 9999: "9,999 B", 10_000: "10 kB", 12_345: "12.3 kB", 999_499: "999 kB", 999_500: "1 MB", 5_000_000_000: "5 GB", 1<<64 - 1: "18.4 EB"} {
		if got := plain(volume(n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 999: "999 ns", 1500: "1.5 µs", 41 * time.Microsecond: "41 µs", 999_600: "1 ms", 12250 * time.Millisecond: "12.2 s",
		time.Minute: "60 s", 99_960 * time.Millisecond: "1m40s", 119_700 * time.Millisecond: "2m0s", 59*time.Minute + 59_900*time.Millisecond: "1h0m0s",
		9*time.Hour + 59*time.Minute + 50*time.Second: "9h59m50s", 10 * time.Hour: "10h0m0s", 10 * time.Minute: "10m0s", 70 * time.Minute: "1h10m0s",
		49 * time.Hour: "2d1h", -1500 * time.Millisecond: "-1.5 s",
	} {
		if got := plain(span(int64(d))); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var b strings.Builder
	start := time.Now()
	p := NewProgress(&b, 80, start)
	p.Update(1, 100, start.Add(patience/2))
	if b.Len() > 0 {
		t.Error("draws before it is time")
	}
	p.Update(50e6, 100e6, start.Add(10*time.Second))
	p.Update(51e6, 100e6, start.Add(10*time.Second+refresh/2))
	p.Clear()
	if want := "\r\x1b[K████████████░░░░░░░░░░░░  50 % of 100 MB, 10 s left\r\x1b[K"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	for width := range 60 {
		line := (&Progress{width: width, start: start}).line(1, 3, start.Add(time.Hour))
		if width > 35 && visible(line) >= width {
			t.Errorf("width %d: %q", width, line)
		}
	}
}

func TestCleanDisarmsTerminals(t *testing.T) {
	if got := clean("a\x1b[31m\nb\u202e\x00é ü"); strings.ContainsAny(got, "\x1b\n\x00\u202e") || !strings.HasSuffix(got, "é ü") {
		t.Errorf("%q", got)
	}
}

// Every cause can be explained, and the list has a line for each.
func TestExplainAndCauses(t *testing.T) {
	for c := range classify.NumCauses {
		var b strings.Builder
		if err := Explain(&b, classify.Cause(c), classify.Rules(), Style{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), "\n"); n < 3 {
			t.Errorf("%v is explained in %d lines: %s", classify.Cause(c), n, b.String())
		}
	}
	var b strings.Builder
	if err := Causes(&b, classify.Rules(), Style{Width: 80}); err != nil {
		t.Fatal(err)
	}
	for _, name := range causes() {
		if !strings.Contains("\n"+b.String(), "\n"+name+" ") {
			t.Errorf("%s is not in the list, or without a word on it", name)
		}
	}
}
