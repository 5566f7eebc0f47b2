package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"hangup/internal/story"
	"hangup/output"
)

var update = flag.Bool("update", false, "rewrite what the scripts compare with")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hangup": main})
}

// The scripts run the real main. They make their captures from stories:
//
//	story NAME.txt NAME.pcap    compiles the packets in NAME.txt
//	cut FILE OUT BYTES          copies the first bytes of a file
//	hangup-exits STATUS ARGS... runs hangup and expects that exit status
//	validate FILE               checks a report, or each line of it, against the schema
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "")
			e.Setenv("TERM", "xterm")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"story": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: story NAME.txt NAME.pcap")
				}
				ts.Check(compile(ts.ReadFile(args[0]), ts.MkAbs(args[1])))
			},
			"cut": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 3 {
					ts.Fatalf("usage: cut FILE OUT BYTES")
				}
				n, err := strconv.Atoi(args[2])
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0])[:n]), 0o666))
			},
			"hangup-exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 1 {
					ts.Fatalf("usage: hangup-exits STATUS ARGS...")
				}
				err := ts.Exec("hangup", args[1:]...)
				var exit *exec.ExitError
				if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
					ts.Fatalf("exit status is not %s: %v", args[0], err)
				}
			},
			"validate": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: validate FILE")
				}
				schema, err := compiledSchema()
				ts.Check(err)
				ts.Check(validate(schema, []byte(ts.ReadFile(args[0]))))
			},
		},
	})
}

func compile(packets, file string) error {
	s, err := story.Parse([]byte("-- packets --\n" + packets))
	if err != nil {
		return err
	}
	pcap, err := s.Pcap()
	if err != nil {
		return err
	}
	return os.WriteFile(file, pcap, 0o666)
}

// compiledSchema is the schema as published, ready to check with.
func compiledSchema() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(output.Schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema")
}

// validate checks a JSON document, or every line of an NDJSON stream.
func validate(schema *jsonschema.Schema, text []byte) error {
	parts := [][]byte{text}
	if !bytes.HasPrefix(text, []byte(`{"type": "`)) { // as documents begin, on lines of their own
		parts = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	}
	for _, part := range parts {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(part))
		if err != nil {
			return fmt.Errorf("%w in %.200s", err, part)
		}
		if err := schema.Validate(v); err != nil {
			return fmt.Errorf("%w in %.200s", err, part)
		}
	}
	return nil
}

// TestEveryCapture prints every capture there is in every format: the stories
// and, if HANGUP_CORPUS names them, the captures of others. JSON fits the
// schema, and pages fit their width.
func TestEveryCapture(t *testing.T) {
	schema, err := compiledSchema()
	if err != nil {
		t.Fatal(err)
	}
	stories, err := filepath.Glob(filepath.Join("testdata", "[fs]*s", "*.txt")) // findings and stories
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	dir := t.TempDir()
	var captures []string
	for _, name := range stories {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := story.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pcap, err := s.Pcap()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".txt")+".pcap")
		if err := os.WriteFile(file, pcap, 0o666); err != nil {
			t.Fatal(err)
		}
		captures = append(captures, file)
	}
	corpus := os.Getenv("HANGUP_CORPUS")
	if corpus == "" {
		t.Log("HANGUP_CORPUS is not set: the captures of others are left out")
	} else {
		more, err := filepath.Glob(filepath.Join(corpus, "pcaps", "*"))
		if err != nil || len(more) == 0 {
			t.Fatalf("nothing in %s/pcaps: %v", corpus, err)
		}
		captures = append(captures, more...)
	}
	for _, file := range captures {
		t.Run(filepath.Base(file), func(t *testing.T) { printAll(t, schema, file) })
	}
}

func printAll(t *testing.T, schema *jsonschema.Schema, file string) {
	text := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		if code := run(append(args, file), strings.NewReader(""), &stdout, &stderr); code != 0 && stderr.Len() == 0 {
			t.Errorf("%v: exit status %d without a word", args, code)
		}
		return stdout.String()
	}
	for _, args := range [][]string{{"--format", "json"}, {"--format", "ndjson"}, {"--format", "json", "--states"}, {"--format", "json", "--ss-at", "1"}} {
		if err := validate(schema, []byte(text(args...))); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][]string{{"--width", "80"}, {"--width", "80", "--states"}, {"--ss-at", "1"}, {"--width", "160", "--all", "-v"}, {"--width", "80", "--conn", "1"}, {"--format", "csv"}} {
		page := text(args...)
		if i := strings.Index(page, "%!"); i >= 0 {
			t.Errorf("%v: bad formatting: %.60q", args, page[i:])
		}
		if args[0] != "--width" || len(args) > 2 && args[2] == "--all" {
			continue // those lines may be long: file names, error texts, long addresses
		}
		if strings.HasPrefix(filepath.Base(file), "PcapPlusPlus__pcapng-example") && slices.Contains(args, "--conn") {
			continue // half of its packets have no time: the ladder counts from 1970
		}
		for line := range strings.SplitSeq(page, "\n") {
			if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, file) {
				t.Errorf("%v: wider than the page: %q", args, line)
			}
		}
	}
}

// TestManual runs every example of the package's documentation on a capture.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	const talk = "handshake\nexchange 100 2000\nclose by C\n"
	for _, name := range []string{"trace.pcap", "trace-1.pcap.gz"} {
		if err := compile(talk, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	lines := examples(t)
	if len(lines) < 10 {
		t.Fatalf("only %d examples found in the manual", len(lines))
	}
	t.Chdir(dir)
	for _, line := range lines {
		t.Run(line, func(t *testing.T) { runExample(t, line) })
	}
}

// examples are the indented lines of the package comment that run hangup.
func examples(t *testing.T) []string {
	t.Helper()
	f, err := os.Open("main.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	for in := bufio.NewScanner(f); in.Scan() && in.Text() != "package main"; {
		line, ok := strings.CutPrefix(in.Text(), "//\t")
		if ok && strings.Contains(line, "hangup") && !strings.Contains(line, "[flags]") {
			lines = append(lines, line)
		}
	}
	return lines
}

// words are the arguments of a command line with single quotes.
func words(command string) (args []string) {
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	return args
}

func runExample(t *testing.T, line string) {
	command := line
	var stdin bytes.Buffer
	if before, after, piped := strings.Cut(line, " | "); piped {
		if !strings.HasPrefix(before, "tcpdump ") || !strings.Contains(before, "-w -") {
			t.Fatalf("cannot pipe from %q", before)
		}
		pcap, err := os.ReadFile("trace.pcap")
		if err != nil {
			t.Fatal(err)
		}
		stdin.Write(pcap)
		command = after
	}
	args := words(command)
	if i := slices.Index(args, "-i"); i >= 0 {
		args[i+1] = "hangup-none0" // all but the interface is as it should be
		var stdout, stderr bytes.Buffer
		code := run(args[1:], &stdin, &stdout, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), "interface") && !strings.Contains(stderr.String(), "cap_net_raw") && runtime.GOOS == "linux" {
			t.Errorf("exit status %d, %s", code, stderr.String())
		}
		return
	}
	if args[0] != "hangup" {
		t.Fatalf("%q does not run hangup", line)
	}
	var stdout, stderr bytes.Buffer
	if code := run(args[1:], &stdin, &stdout, &stderr); code != 0 {
		t.Errorf("exit status %d: %s", code, stderr.String())
	}
	if stdout.Len() == 0 && !strings.Contains(line, " -o ") && stderr.Len() == 0 {
		t.Error("prints nothing")
	}
}

// Ctrl-C in a pipe reaches both ends: hangup reads on until the other end has
// flushed its last packets.
func TestInterruptedPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to oneself")
	}
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := compile("handshake\nexchange 100 2000\nclose by C\n", file); err != nil {
		t.Fatal(err)
	}
	pcap, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	go func() {
		w.Write(pcap[:len(pcap)/2]) // returns when it was read: hangup listens for signals by then
		self, _ := os.FindProcess(os.Getpid())
		if err := self.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond)
		w.Write(pcap[len(pcap)/2:])
		w.Close()
	}()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-"}, r, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "orderly-close") {
		t.Errorf("exit status %d, %s%s", code, stdout.String(), stderr.String())
	}
}
