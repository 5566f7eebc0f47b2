package classify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/lab/record"
	"hangup/internal/story"
)

// appFamilies are the recordings whose programs speak through net/http or
// crypto/tls.
var appFamilies = []string{"http", "h2", "tls"}

// TestLabApp replays the recordings of real programs above TCP: what
// AppOutcomes says of a connection must be what some call of that side above
// the socket returned, and every error that such a call returned must be
// said, from either side's capture alone.
//
// HANGUP_LAB names another directory of recordings than testdata/lab.
func TestLabApp(t *testing.T) {
	dir := os.Getenv("HANGUP_LAB")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "lab")
	}
	all, err := record.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	replayed := 0
	for _, r := range all {
		if !aboveTCP(&r) {
			continue
		}
		replayed++
		for whose, name := range r.Captures() {
			t.Run(r.Scenario+"/"+whose, func(t *testing.T) {
				if why := hidden[r.Base]; why != "" {
					t.Skip(why)
				}
				if why := hidden[r.Base+"/"+whose]; why != "" {
					t.Skip(why)
				}
				compareApp(t, &r, results(t, name))
			})
		}
	}
	if replayed == 0 {
		t.Skipf("no recordings above TCP in %s", dir)
	}
}

// hidden are the recordings whose errors no packet of theirs can tell, and why.
var hidden = map[string]string{
	"h2-panic":               "RST_STREAM within TLS",
	"h2-panic-in-body":       "RST_STREAM within TLS",
	"h2-cancel-in-body":      "RST_STREAM within TLS",
	"h2-path-cut":            "PING within TLS",
	"h2c-path-cut/server":    "the client's PING did not come this far",
	"tls12-deadlines":        "a record that cannot be verified looks like any other",
	"tls13-deadlines":        "a record that cannot be verified looks like any other",
	"tls12-plaintext-client": "a server that closes without a word does not show that it speaks TLS",
	"tls13-plaintext-client": "a server that closes without a word does not show that it speaks TLS",
}

func aboveTCP(r *record.Recording) bool {
	for _, f := range appFamilies {
		if strings.HasPrefix(r.Family, f) {
			return true
		}
	}
	return false
}

func results(t *testing.T, name string) (all []classify.Result) {
	t.Helper()
	src, err := capture.Open([]string{name}, capture.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var a classify.Analysis
	tr := assembler.New(assembler.Config{Done: a.Add})
	var b capture.Batch
	var end int64
	for src.Next(&b) == nil {
		tr.Batch(&b)
		for i := range b.Packets {
			end = max(end, b.Packets[i].Time)
		}
	}
	tr.Finish()
	a.Finish(classify.Env{End: end})
	for i := range a.Len() {
		all = append(all, a.Result(i))
	}
	return all
}

// reports are the calls that tell what came from the peer. What Write and
// Close say is the socket's, and judged as such.
var reports = map[string]bool{
	"tls.handshake": true, "tls.read": true, "http.get": true, "http.post": true, "http.head": true, "http.put": true,
	"http.body": true, "http.requestbody": true, "http.context": true,
}

// compareApp holds what all connections of a capture say of a side against
// what the side's calls returned.
func compareApp(t *testing.T, r *record.Recording, all []classify.Result) {
	for side, name := range []string{record.Client, record.Server} {
		var calls []record.Call
		for _, c := range r.Calls {
			if c.Level == record.App && c.Side == name && reports[c.Op] {
				calls = append(calls, c)
			}
		}
		if len(calls) == 0 {
			continue // a script on bare sockets
		}
		var said []*classify.AppOutcome
		ownDoing := true // this side ended every connection
		for i := range all {
			ownDoing = ownDoing && int(all[i].FirstEnd.Side) == side
			if o := all[i].App[side]; o != nil {
				said = append(said, o)
			}
		}
		for i, o := range said {
			again := o.Error == "nil" && i < len(said)-1 // sent again, and failed there
			if !again && !borneOut(o, calls) {
				t.Errorf("%s: said was %+v; its calls returned %s", name, *o, returned(calls))
			}
		}
		for _, c := range calls {
			if ownDoing && c.Op == "http.context" {
				continue // http.Server.Close
			}
			if !explained(c, said) {
				t.Errorf("%s: %s returned %q; said was %s", name, c.Op, unwrapped(c), outcomes(said))
			}
		}
	}
}

// unwrapped is a call's error text below http.Client's *url.Error.
func unwrapped(c record.Call) string {
	text := c.Text
	if len(c.Types) > 0 && c.Types[0] == "*url.Error" {
		_, text, _ = strings.Cut(text, "\": ")
	}
	return text
}

// tells reports whether an outcome, or its note, has that error text.
func tells(o *classify.AppOutcome, text string) bool {
	if o.Text == "" && strings.Contains(o.Note, "whose own error") {
		return true
	}
	return o.Text == text || strings.Contains(o.Note, "`"+text+"`") ||
		strings.Contains(o.Note, "the text goes on") && strings.HasPrefix(text, o.Text)
}

// borneOut reports whether some call returned what is said of its side. A
// body that ends with the connection ends in io.EOF, as every complete one.
func borneOut(o *classify.AppOutcome, calls []record.Call) bool {
	for _, c := range calls {
		switch {
		case c.Error == "nil" && (o.Error == "nil" || o.Error == "EOF"):
			return true
		case c.Error != "nil" && c.Error != "blocked" && tells(o, unwrapped(c)):
			return true
		}
	}
	return false
}

// explained reports whether a call's error is said. What the program did to
// itself, and what came before there was a connection, needs no explanation.
func explained(c record.Call, said []*classify.AppOutcome) bool {
	switch {
	case c.Error == "nil" || c.Error == "blocked" || c.Error == "ErrClosed" || c.Timeout:
		return true
	case strings.HasPrefix(unwrapped(c), "dial "):
		return true
	}
	for _, o := range said {
		if tells(o, unwrapped(c)) {
			return true
		}
	}
	return false
}

func returned(calls []record.Call) string {
	var s []string
	for _, c := range calls {
		s = append(s, c.Op+" "+c.Error+" "+unwrapped(c))
	}
	return strings.Join(s, "; ")
}

func outcomes(said []*classify.AppOutcome) string {
	var s []string
	for _, o := range said {
		s = append(s, string(o.Error)+" "+o.Text+" ("+o.Note+")")
	}
	return "[" + strings.Join(s, "; ") + "]"
}

// A response that ran into a shut window was cut where the window ended, not
// where the captured bytes do: a segment of 1448 bytes, 43 of them header.
func TestBodyCutAtShutWindow(t *testing.T) {
	text, err := os.ReadFile("../testdata/stories/abortive-close-shut-window.txt")
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := tellStory(t, s).Result(0)
	o := classify.AppOutcomes(r.Conn, r.Verdict)[assembler.Client]
	if o == nil || !strings.Contains(o.Note, "cut after 1405 of 900000 bytes") {
		t.Errorf("%+v", o)
	}
}
