package blackbox

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

// told is a capture that went through every room.
type told struct {
	conns    []assembler.Conn
	verdicts []classify.Verdict
	env      classify.Env
	err      error // the input is not whole
}

// tell judges each connection of a capture by itself. The tap sees its frames.
func tell(t *testing.T, file []byte, tap capture.Tap) (out told) {
	t.Helper()
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(file), Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	track := assembler.New(assembler.Config{Done: func(c *assembler.Conn) { out.conns = append(out.conns, *c) }})
	var b capture.Batch
	for {
		if err := src.Next(&b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		track.Batch(&b)
	}
	track.Finish()
	in := src.Inputs()[0]
	out.err = in.Err
	out.env = classify.Env{End: max(in.Last, in.End), EncapName: src.Encap}
	for i := range out.conns {
		out.verdicts = append(out.verdicts, classify.Judge(&out.conns[i], out.env))
	}
	return out
}

func stories(t *testing.T) []string {
	files, err := filepath.Glob("../../testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	return files
}

func compile(t *testing.T, file string) []byte {
	t.Helper()
	pcap, err := story.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	return pcap
}

// TestStoriesAreSaved: what the black box saves of each story's connections
// is what the story has of them, and leads to the same verdict.
func TestStoriesAreSaved(t *testing.T) {
	saved := 0
	for _, name := range stories(t) {
		pcap := compile(t, name)
		s, err := New(Config{Dir: t.TempDir(), Wait: true, Each: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		all := tell(t, pcap, s.Record)
		paths := make([]string, len(all.conns))
		for i := range all.conns {
			if paths[i], err = s.Save(&all.conns[i], &all.verdicts[i], all.env); err != nil {
				t.Fatalf("%s: %v", filepath.Base(name), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, path := range paths {
			saved++
			checkSaved(t, filepath.Base(name), path, &all, i)
		}
	}
	if saved < 100 {
		t.Errorf("only %d connections saved", saved)
	}
}

func checkSaved(t *testing.T, name, path string, all *told, i int) {
	c, v := &all.conns[i], &all.verdicts[i]
	file, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	again := tell(t, file, nil)
	if again.err != nil {
		t.Errorf("%s: %v", name, again.err)
	}
	n := slices.IndexFunc(again.conns, func(x assembler.Conn) bool {
		return x.First.Time == c.First.Time && x.Ends[0].Addr == c.Ends[0].Addr && x.Ends[0].Port == c.Ends[0].Port
	})
	if n < 0 {
		t.Errorf("%s: connection %d is not in its file", name, c.ID)
		return
	}
	// Silence up to the end of the capture is no part of a file that ends
	// with the connection.
	got := classify.Judge(&again.conns[n], all.env)
	if g, w := spell(&got), spell(v); g != w {
		t.Errorf("%s: connection %d is %s in its file, and was %s", name, c.ID, g, w)
	}
	if g, w := total(&again.conns[n])+uint64(again.conns[n].NICMP), total(c)+uint64(c.NICMP); g != w {
		t.Errorf("%s: connection %d has %d packets in its file, and had %d", name, c.ID, g, w)
	}
}

func spell(v *classify.Verdict) string {
	s := fmt.Sprintf("%v %v by %v, %v", v.Class, v.Cause, v.By, v.Confidence)
	var alt []string
	for _, a := range v.Alt[:v.NAlt] {
		alt = append(alt, a.Cause.String())
	}
	return s + " or " + strings.Join(alt, ", ")
}
