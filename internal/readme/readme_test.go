// Package readme holds README.md to the truth: every block between a
// `<!-- begin NAME -->` and an `<!-- end -->` line is what the program, the
// rules or the recordings say today. `go test ./internal/readme -update`
// writes them anew.
package readme

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated blocks of README.md")

const root = "../.."

// blocks says how each block is made.
var blocks = map[string]func(t *testing.T) string{
	"demo": func(t *testing.T) string { return console(t, "go run . --limit 4 testdata/demo.pcap") },
	"ladder": func(t *testing.T) string {
		return console(t, "go run . --conn 192.0.2.2:8085 --width 100 testdata/demo.pcap")
	},
	"json": func(t *testing.T) string {
		return console(t, "go run . --format ndjson --cause icmp-rejected testdata/demo.pcap")
	},
	"flags":  func(t *testing.T) string { return console(t, "go run . --help") },
	"causes": causes,
	"go":     goTable,
}

var block = regexp.MustCompile(`(?s)<!-- begin (\w+) -->\n(.*?)<!-- end -->\n`)

func TestBlocks(t *testing.T) {
	path := filepath.Join(root, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	fresh := block.ReplaceAllFunc(text, func(b []byte) []byte {
		m := block.FindSubmatch(b)
		name := string(m[1])
		seen[name] = true
		f := blocks[name]
		if f == nil {
			t.Errorf("README.md has a block %q that nothing makes", name)
			return b
		}
		want := f(t)
		if string(m[2]) != want && !*update {
			t.Errorf("block %q of README.md is out of date; go test ./internal/readme -update writes it anew:\n%s", name, want)
		}
		return []byte("<!-- begin " + name + " -->\n" + want + "<!-- end -->\n")
	})
	for name := range blocks {
		if !seen[name] {
			t.Errorf("README.md lacks the block %q", name)
		}
	}
	if *update && !bytes.Equal(fresh, text) {
		if err := os.WriteFile(path, fresh, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hangup")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "hangup")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = root
	build.Stderr = os.Stderr
	code := 1
	if build.Run() == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// console runs a command of the README and shows it with its output.
func console(t *testing.T, command string) string {
	t.Helper()
	args := strings.Fields(strings.TrimPrefix(command, "go run . "))
	cmd := exec.Command(binary, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "COLUMNS=", "NO_COLOR=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, &stderr)
	}
	return "```console\n$ " + command + "\n" + string(out) + "```\n"
}

// commands are the lines of the README's shell blocks that run hangup.
var commands = regexp.MustCompile(`(?m)^(?:\$ )?go run \. (.*)$`)

// TestCommands runs every command that the README shows with a file of testdata.
func TestCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range commands.FindAllStringSubmatch(string(text), -1) {
		line, _, _ := strings.Cut(m[1], "#")
		if !strings.Contains(line, "testdata/") || strings.ContainsAny(line, "|>*") {
			continue
		}
		cmd := exec.Command(binary, strings.Fields(line)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go run . %s: %v\n%s", line, err, out)
		}
	}
}
