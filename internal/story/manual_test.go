package story

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestManual holds the package's documentation to the language.
func TestManual(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(source)
	known := regexp.MustCompile(`[a-z0-9-]+`).FindAllString(manual, -1)
	has := map[string]bool{}
	for _, word := range known {
		has[word] = true
	}
	for _, table := range [][]attribute{endAttributes, packetAttributes, copyAttributes, icmpAttributes} {
		for _, a := range table {
			if !has[a.name] {
				t.Errorf("the manual lacks %s", a.name)
			}
		}
	}
	for _, v6 := range []bool{false, true} {
		for name := range icmpCodes(v6) {
			if !has[name] {
				t.Errorf("the manual lacks the ICMP error %s", name)
			}
		}
	}
	for _, word := range words() {
		if !has[word] && word != ">" && word != "<" {
			t.Errorf("the manual lacks %s", word)
		}
	}
	s, err := Parse([]byte(manualStory(manual)))
	if err != nil {
		t.Fatalf("the manual's story: %v", err)
	}
	if s.Labels()["fin"] != 9 || s.Labels()["rst"] != 12 || len(s.Packets()) != 13 {
		t.Errorf("the manual's story has labels %v, %d packets", s.Labels(), len(s.Packets()))
	}
}

// manualStory is the first indented block of the package's documentation.
func manualStory(manual string) string {
	_, text, _ := strings.Cut(manual, "# A story\n//\n")
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, ok := strings.CutPrefix(line, "//\t")
		if !ok && line != "//\n" {
			break
		}
		if !ok {
			body = "\n"
		}
		b.WriteString(body)
	}
	return b.String()
}

// TestTcpdump lets tcpdump say whether the checksums are right, for every
// link type it is given.
func TestTcpdump(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed: checksums are checked by TestChecksums only")
	}
	const text = "conn v6 client [2001:db8::1]:1 server [2001:db8::2]:2\nhandshake\nexchange 100 3001\nv6 handshake\nv6 > P. len=3\n+1 icmp 3/1 from S\n+1 v6 icmp no-route from S\n< R.\n+1 other\n> . badsum\n"
	for _, name := range linkNames {
		s := compile(t, "link "+name+"\n"+text)
		data, err := s.Pcap()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "story.pcap")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tcpdump, "-nnvv", "-r", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		right, wrong := strings.Count(string(out), "(correct)"), strings.Count(string(out), "(incorrect")
		if right != 15 || wrong != 1 || strings.Count(string(out), "sum ok") != 2 || strings.Contains(string(out), "bad") || strings.Contains(string(out), "wrong") {
			t.Errorf("%s: %d right TCP checksums, %d wrong\n%s", name, right, wrong, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../../testdata/stories/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	source, err := os.ReadFile("doc.go")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manualStory(string(source)))
	f.Add("-- packets --\nclient :1 mptcp=join vlan=3 mss=off\nconn b server :9 idstep=random\nmirror ttl=-1\nb > S tfo=00\n> P. \"a\" tls:21:2 lost\n+1x2 > rexmit last\n< stateless to=#a\nicmp 3/1 from C\n< . crossed sack=1-2\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse([]byte(text))
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Line < 1 || at.Line > strings.Count(text, "\n")+1 || at.Col < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		if _, err := s.Pcap(); err != nil {
			t.Fatal(err)
		}
		for name, number := range s.Labels() {
			if number < 1 || number > len(s.Packets()) {
				t.Fatalf("label %s names packet %d of %d", name, number, len(s.Packets()))
			}
		}
	})
}
