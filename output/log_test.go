package output

import (
	"errors"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/classify"
)

// lines collects what a Log writes, Write by Write.
type lines []string

func (l *lines) Write(p []byte) (int, error) {
	*l = append(*l, string(p))
	return len(p), nil
}

func TestLogTellsEachConnectionInOneLine(t *testing.T) {
	r := exampleReport()
	beside := Beside{
		Process: [2]*Process{assembler.Server: {PID: 812, Command: "nginx\x1b[2J", Container: "4f3a", How: "listener"}},
		Kernel:  [2]*Kernel{assembler.Client: {Errors: []string{"ECONNRESET"}, Agrees: "no", Why: "the kernel told ECONNRESET"}},
		Saved:   "/var/lib/hangup/x.pcapng", Revised: true,
	}
	for _, f := range []Format{FormatText, FormatNDJSON} {
		var out lines
		l := NewLog(&out, f, nil)
		l.Inputs(r.Inputs)
		for i := range r.Conns.Len() {
			res := r.Conns.Result(i)
			l.Ended(&res, &beside)
		}
		if len(out) != r.Conns.Len() || l.Err() != nil {
			t.Fatalf("%d writes for %d connections, %v", len(out), r.Conns.Len(), l.Err())
		}
		for i, line := range out {
			if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || strings.ContainsRune(line, 0x1b) {
				t.Errorf("not one harmless line: %q", line)
			}
			if f == FormatNDJSON {
				validate(t, schema(t), []byte(line))
				continue
			}
			v := r.Conns.Verdict(i)
			for _, want := range []string{v.Class.String(), v.Cause.String(), "nginx", "812", "4f3a", "kernel disagrees: the kernel told ECONNRESET", "(revised)", "saved /var/lib/hangup/x.pcapng"} {
				if !strings.Contains(line, want) {
					t.Errorf("%q lacks %q", line, want)
				}
			}
		}
	}
}

// A finding is told when it is new, more severe, or several times as large;
// information is not told at all.
func TestLogTellsFindingsOnce(t *testing.T) {
	list := exampleFindings()
	for i := range list {
		list[i].Severity, list[i].Total = classify.Warning, 10
	}
	for _, f := range []Format{FormatText, FormatNDJSON} {
		var out lines
		l := NewLog(&out, f, nil)
		tell := func(what string, want int) {
			t.Helper()
			out = nil
			l.Findings(epoch, list)
			if len(out) != want {
				t.Errorf("%s: %d lines, want %d: %q", what, len(out), want, out)
			}
			for _, line := range out {
				if f == FormatNDJSON {
					validate(t, schema(t), []byte(line))
				}
			}
		}
		tell("new", len(list))
		tell("the same again", 0)
		list[0].Total = 39
		tell("a little larger", 0)
		list[0].Total = 40
		tell("four times as large", 1)
		list[0].Severity = classify.Critical
		tell("more severe", 1)
		list[0].Severity = classify.Warning
		tell("less severe", 0)
		list = append(list, list[0])
		list[len(list)-1].Kind, list[len(list)-1].Severity = classify.KindFlood, classify.Info
		tell("only information", 0)
		list[0].Severity, list[0].Total, list = classify.Warning, 10, list[:len(list)-1]
	}
}

func TestLogFolds(t *testing.T) {
	m := More{Class: classify.TimedOut, Cause: classify.ConnectTimeout, Server: [16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 7}, Port: 443, N: 3210, From: epoch, To: epoch + 1e10}
	var out lines
	NewLog(&out, FormatText, nil).More(m)
	NewLog(&out, FormatNDJSON, nil).More(m)
	if len(out) != 2 || !strings.Contains(out[0], "connect-timeout") || !strings.Contains(out[0], "and 3,210 more at 192.0.2.7:443 in 10 s, not listed") {
		t.Errorf("%q", out)
	}
	validate(t, schema(t), []byte(out[1]))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestLogKeepsItsFirstError(t *testing.T) {
	r := exampleReport()
	l := NewLog(broken{}, FormatText, nil)
	res := r.Conns.Result(0)
	l.Ended(&res, &Beside{})
	if l.Err() == nil {
		t.Error("a line that could not be written is no error")
	}
}
