package assembler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
)

// TestCorpus runs capture and assembler over real captures and compares what
// they find with what other programs found in the same files. The captures
// are not part of this project: HANGUP_CORPUS names the directory that holds
// them (pcaps/) beside what those programs said (tshark/, zeek/, arkime/,
// suricata/, tcptrace/).
//
// Every difference is an error, unless differences lists it with its reason;
// an entry there that is no difference any more is an error, too.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("HANGUP_CORPUS")
	if dir == "" {
		t.Skip("HANGUP_CORPUS does not name a directory of captures")
	}
	oracles, err := filepath.Glob(filepath.Join(dir, "tshark", "*.json"))
	if err != nil || len(oracles) == 0 {
		t.Fatalf("no captures with oracles in %s (%v)", dir, err)
	}
	used := make([]bool, len(differences))
	ran := 0
	for _, name := range oracles {
		file := strings.TrimSuffix(filepath.Base(name), ".json")
		t.Run(file, func(t *testing.T) {
			ran++
			k := &corpusCheck{T: t, dir: dir, file: file, used: used, stream: -1}
			k.run = k.analyse(filepath.Join(dir, "pcaps", file))
			k.tshark()
			k.zeek()
			k.arkime()
			k.suricata()
			k.tcptrace()
		})
	}
	for i, d := range differences {
		if !used[i] && ran == len(oracles) { // not with a narrower -run
			t.Errorf("%s, stream %d: %s is no longer %s: take it off the list", d.file, d.stream, d.field, d.ours)
		}
	}
}

// A difference is one known disagreement with an oracle. Stream is
// tcp.stream as tshark counts, -1 for the capture as a whole.
type difference struct {
	file   string
	stream int
	field  string // of which oracle: "zeek history"
	ours   string
	why    string
}

// corpusCheck holds one capture against its oracles.
type corpusCheck struct {
	*testing.T
	dir, file string
	stream    int // being compared
	run       *corpusRun
	used      []bool
	streams   []tsharkStream
}

// corpusRun is what we make of a capture.
type corpusRun struct {
	conns []*assembler.Conn // by ID
	steps []assembler.Step
	input capture.Input
}

// equal compares one value with an oracle's.
func (k *corpusCheck) equal(field string, got, want any) {
	k.Helper()
	ours := fmt.Sprint(got)
	if ours == fmt.Sprint(want) {
		return
	}
	for i, d := range differences {
		if d.file == k.file && d.stream == k.stream && d.field == field && d.ours == ours {
			k.used[i] = true
			return
		}
	}
	k.Errorf("stream %d: %s is %v, oracle %v", k.stream, field, got, want)
}

func (k *corpusCheck) analyse(path string) *corpusRun {
	k.Helper()
	src, err := capture.Open([]string{path}, capture.OpenConfig{})
	if err != nil {
		k.Fatal(err)
	}
	defer src.Close()
	run := new(corpusRun)
	tracker := assembler.New(assembler.Config{
		Done:  func(c *assembler.Conn) { kept := *c; run.conns = append(run.conns, &kept) },
		Trace: func(s assembler.Step) { run.steps = append(run.steps, s) },
	})
	for b := new(capture.Batch); ; {
		err := src.Next(b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			k.Fatal(err)
		}
		tracker.Batch(b)
	}
	tracker.Finish()
	run.input = src.Inputs()[0]
	byID := make([]*assembler.Conn, len(run.conns))
	for _, c := range run.conns {
		if c.ID == 0 || c.ID > uint64(len(byID)) || byID[c.ID-1] != nil {
			k.Fatalf("connection with ID %d among %d", c.ID, len(byID))
		}
		byID[c.ID-1] = c
	}
	run.conns = byID
	return run
}

// load reads what an oracle said of the capture, and reports whether it did.
func (k *corpusCheck) load(oracle string, v any) bool {
	k.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, oracle, k.file+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		k.Fatal(err)
	}
	return true
}

// corpusEnd is an address and port as the oracles have them.
func (k *corpusCheck) corpusEnd(ip string, port int) netip.AddrPort {
	k.Helper()
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		k.Fatal(err)
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// between reports whether c is a connection of a and b, and which of its
// sides a is.
func between(c *assembler.Conn, a, b netip.AddrPort) (side assembler.Side, ok bool) {
	x, y := c.Ends[assembler.Client].AddrPort(), c.Ends[assembler.Server].AddrPort()
	if x == a && y == b {
		return assembler.Client, true
	}
	return assembler.Server, x == b && y == a
}

// counts sums up one direction.
type counts struct{ frames, bytes, syn, synack, fin, rst int }

func (n *counts) add(e *assembler.End) {
	n.frames += int(e.Packets)
	n.syn += int(e.SYN.Count)
	n.synack += int(e.SYNACK.Count)
	n.fin += int(e.FIN.Count)
	n.rst += int(e.Resets)
}

// addCopy counts a packet that the capture shows again: to the oracles it is
// one more.
func (n *counts) addCopy(p *capture.Packet) {
	n.frames++
	if p.Flags.Has(capture.RST) {
		n.rst++
		return
	}
	if p.Flags.Has(capture.FIN) {
		n.fin++
	}
	switch {
	case p.Flags.Has(capture.SYN | capture.ACK):
		n.synack++
	case p.Flags.Has(capture.SYN):
		n.syn++
	}
}
