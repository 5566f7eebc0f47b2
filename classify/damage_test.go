package classify_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hangup/capture"
	"hangup/classify"
	"hangup/internal/story"
)

// maxDamaged is how many packets a capture may have to be damaged at each of
// them; of others only so many places are tried.
const maxDamaged = 24

// TestDamageIsNeverCertain holds that a capture which lacks packets of another
// may be less sure of a connection, but is not certain of anything else: cut
// off before or behind each packet, without one or two in a row, with
// neighbours swapped as two capture points deliver them, and with only the
// first bytes of each packet.
func TestDamageIsNeverCertain(t *testing.T) {
	for _, file := range damageable(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			frames := framesOf(t, file)
			if len(frames) == 0 {
				t.Skip("packets of several link types, or of times that a copy cannot bear")
			}
			whole := sole(recorded(t, frames))
			for what, rest := range damages(frames) {
				for key, got := range sole(recorded(t, rest)) {
					if want, ok := whole[key]; ok && got.Confidence == classify.Certain && !sameEnd(want, got) {
						t.Errorf("%s: certain of %v, %v by %v; the whole capture: %v, %v by %v, %v", what,
							got.Class, got.Cause, got.By, want.Class, want.Cause, want.By, want.Confidence)
					}
				}
			}
		})
	}
}

// damageable are the captures at hand, as far as there is time for them.
func damageable(t *testing.T) []string {
	t.Helper()
	var files []string
	patterns := []string{"stories/[a-z]*.txt", "findings/[a-z]*.txt", "lab/both-reset.*/*.pcap", "lab/forged-*/*.pcap", "lab/*any4/*.pcap"}
	for i := range patterns {
		patterns[i] = filepath.Join("..", "testdata", filepath.FromSlash(patterns[i]))
	}
	if corpus := os.Getenv("HANGUP_CORPUS"); corpus != "" {
		patterns = append(patterns, filepath.Join(corpus, "pcaps", "*"))
	} else {
		t.Log("HANGUP_CORPUS is not set: its captures are left out")
	}
	for _, pattern := range patterns {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) == 0 {
			t.Fatalf("nothing in %s: %v", pattern, err)
		}
		files = append(files, more...)
	}
	return files
}

type frame struct {
	time int64
	link uint16
	wire int
	data []byte
}

// framesOf are a capture's packets; none if a plain pcap file cannot hold them.
func framesOf(t *testing.T, file string) (frames []frame) {
	t.Helper()
	read := os.ReadFile
	if filepath.Ext(file) == ".txt" {
		read = story.Capture
	}
	data, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	same := true
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(data), Tap: func(f *capture.Frame, _ *capture.Packet) {
		frames = append(frames, frame{f.Time, f.Link, int(f.WireLen), bytes.Clone(f.Data)})
		same = same && f.Link == frames[0].link && f.Time >= 0
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for b := new(capture.Batch); src.Next(b) == nil; {
	}
	if !same {
		return nil
	}
	return frames
}

// recorded is what a capture of these packets tells.
func recorded(t *testing.T, frames []frame) *classify.Analysis {
	t.Helper()
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file, frames[0].link, 1<<18, true)
	for _, f := range frames {
		err = errors.Join(err, w.Write(f.time, f.data, f.wire))
	}
	if err != nil {
		t.Fatal(err)
	}
	a, _ := gather(t, &file)
	return a
}

// pair is two ends in an order that roles do not change.
type pair [2]struct {
	addr [16]byte
	port uint16
}

// endOf is what was said of a connection, and of whom.
type endOf struct {
	classify.Verdict
	client int // its place in the pair
}

// sole are the connections that are the only ones between their ends, so that
// parts of a capture can be set beside the whole.
func sole(a *classify.Analysis) map[pair]endOf {
	all, seen := map[pair]endOf{}, map[pair]int{}
	for i := range a.Len() {
		r := a.Result(i)
		var p pair
		for side := range p {
			p[side].addr, p[side].port = r.Conn.Ends[side].Addr, r.Conn.Ends[side].Port
		}
		e := endOf{Verdict: r.Verdict}
		if c := bytes.Compare(p[0].addr[:], p[1].addr[:]); c > 0 || c == 0 && cmp.Less(p[1].port, p[0].port) {
			p[0], p[1], e.client = p[1], p[0], 1
		}
		all[p] = e
		seen[p]++
	}
	for p, n := range seen {
		if n > 1 {
			delete(all, p)
		}
	}
	return all
}

func sameEnd(a, b endOf) bool {
	by := b.By
	if a.client != b.client && (by == classify.ByClient || by == classify.ByServer) {
		by = classify.ByClient + classify.ByServer - by
	}
	return a.Class == b.Class && a.Cause == b.Cause && a.By == by
}

// damages are captures that lack some of the packets or bytes, or have two
// packets swapped.
func damages(all []frame) map[string][]frame {
	list := map[string][]frame{}
	add := func(rest []frame, format string, args ...any) {
		if len(rest) > 0 {
			list[fmt.Sprintf(format, args...)] = rest
		}
	}
	step := 1 + len(all)/maxDamaged
	if len(all) > 50*maxDamaged {
		step *= 4 // large ones take their time
	}
	for i := 0; i < len(all); i += step {
		add(all[:i], "cut off before packet %d", i+1)
		add(all[i:], "from packet %d", i+1)
		add(slices.Delete(slices.Clone(all), i, i+1), "without packet %d", i+1)
		if i+1 == len(all) {
			break
		}
		add(slices.Delete(slices.Clone(all), i, i+2), "without packets %d and %d", i+1, i+2)
		if all[i+1].time-all[i].time < 1e6 {
			swapped := slices.Clone(all)
			swapped[i], swapped[i+1] = all[i+1], all[i]
			swapped[i].time, swapped[i+1].time = all[i].time, all[i+1].time
			add(swapped, "with packets %d and %d swapped", i+1, i+2)
		}
	}
	for _, snaplen := range []int{60, 64, 68, 80, 96, 128} {
		cut := slices.Clone(all)
		for i := range cut {
			cut[i].data = cut[i].data[:min(snaplen, len(cut[i].data))]
		}
		add(cut, "with the first %d bytes of each packet", snaplen)
	}
	return list
}
