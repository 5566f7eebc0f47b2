//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/internal/lab/record"
)

const committed = "../../testdata/lab"

// TestSelection keeps the committed recordings and the catalogue in step.
func TestSelection(t *testing.T) {
	var want []string
	for _, s := range catalogue() {
		if s.selected() {
			want = append(want, s.Name)
		}
	}
	slices.Sort(want)
	all, err := record.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	var got []string
	for _, r := range all {
		got = append(got, r.Scenario)
		if filepath.Base(r.Dir) != r.Scenario {
			t.Errorf("%s holds the recording of %s", r.Dir, r.Scenario)
		}
		for _, file := range append(captureFiles(r), filepath.Join(r.Dir, record.File)) {
			fi, err := os.Stat(file)
			if err != nil {
				t.Error(err)
				continue
			}
			size += fi.Size()
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s is selected, but not recorded: go run ./internal/lab -selection -out testdata/lab", name)
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			t.Errorf("%s is recorded, but not selected any more: remove it", name)
		}
	}
	if size > 3500<<10 {
		t.Errorf("the recordings take %d KB: select fewer", size>>10)
	}
}

func captureFiles(r record.Recording) (files []string) {
	for _, f := range r.Captures() {
		files = append(files, f)
	}
	return files
}

// TestFirstEnd holds the authors' word on who ended first against the wires:
// truths have to be true before anything is judged by them.
func TestFirstEnd(t *testing.T) {
	all, err := record.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, r := range all {
		if len(r.Expect.Conns) != 1 || r.Client.Snap != 0 || r.Client.Link == "any" || r.Client.Filter != "" || r.Family == "forged" {
			continue // several connections, cut packets, other link types, and RSTs without effect
		}
		for side, file := range r.Captures() {
			if side == routerRole {
				continue
			}
			wantSide, wantFlag := firstEndOf(r.Expect.Conns[0], side)
			if wantSide == "" {
				continue
			}
			gotSide, gotFlag := firstEndIn(t, file)
			if gotSide != wantSide || wantSide != "none" && wantFlag != "" && gotFlag != wantFlag {
				t.Errorf("%s: %s's wire: first end is %s %s, expected %s %s", r.Scenario, side, gotSide, gotFlag, wantSide, wantFlag)
			}
			checked++
		}
	}
	if checked < 200 {
		t.Errorf("only %d captures could be checked", checked)
	}
}

// firstEndOf is the truth for one side's capture, "" when it is silent.
func firstEndOf(c record.Conn, side string) (who, flag string) {
	for _, v := range c.Views {
		if v.Capture != side {
			continue
		}
		if v.FirstEnd == "" {
			return "", ""
		}
		return v.FirstEnd, v.Flag
	}
	if c.Flag == "ICMP" {
		return "none", ""
	}
	return c.FirstEnd, c.Flag
}

// firstEndIn is the first FIN or RST of a capture, by whom.
func firstEndIn(t *testing.T, file string) (who, flag string) {
	who = "none"
	err := eachSegment(file, func(s Seg, _ int64) bool {
		switch {
		case hasRST(s):
			who, flag = sender(s), "RST"
		case hasFIN(s):
			who, flag = sender(s), "FIN"
		}
		return flag == ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return who, flag
}

// TestRecordedCalls checks what every recording must have.
func TestRecordedCalls(t *testing.T) {
	all, err := record.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		number := map[string]int{}
		for _, c := range r.Calls {
			number[c.Side]++
			if c.End != 0 && c.End < c.Start || c.Start == 0 || c.Error == "" {
				t.Errorf("%s: %s call %d: ends at %d, started at %d, error %q", r.Scenario, c.Side, c.Number, c.End, c.Start, c.Error)
			}
			if (c.Error == "blocked") != (c.End == 0) {
				t.Errorf("%s: %s call %d: %s, and ended at %d", r.Scenario, c.Side, c.Number, c.Error, c.End)
			}
			if c.Error == "other" && c.Text == "" || strings.Contains(c.Text, "lab:") {
				t.Errorf("%s: %s call %d has the laboratory's own error %q", r.Scenario, c.Side, c.Number, c.Text)
			}
		}
		if number[record.Client] == 0 && number[record.Server] == 0 {
			t.Errorf("%s: nobody called anything", r.Scenario)
		}
	}
}
