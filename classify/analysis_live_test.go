package classify_test

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
)

// replay runs a capture through a tracker and a as if it were happening. Look
// is called after every batch.
func replay(t *testing.T, pcap []byte, a *classify.Analysis, look func(now int64)) {
	t.Helper()
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	track := assembler.New(assembler.Config{Done: a.Add, Lone: a.AddLone, Expire: true})
	a.Live, a.Open = true, track.Each
	var b capture.Batch
	for {
		if err := src.Next(&b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		track.Batch(&b)
		a.Clock(track.Now())
		look(track.Now())
	}
	env := classify.Env{End: max(src.Inputs()[0].Last, src.Inputs()[0].End)}
	a.Ends(env)
	track.Finish()
	a.Finish(env)
}

// lively are captures that last long enough for things to ripen.
func lively(t *testing.T) map[string][]byte {
	all := map[string][]byte{}
	for _, m := range generate.Mixes {
		all[m.Name], _ = small(t, m, 0.003)
	}
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 2500, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	all["sown"] = pcap.Bytes()
	return all
}

// TestLiveSaysTheSame: what is said of a connection while the capture goes on
// is what a file of it would have had said.
func TestLiveSaysTheSame(t *testing.T) {
	for name, pcap := range lively(t) {
		t.Run(name, func(t *testing.T) {
			file := follows(t, name, pcap).into(new(classify.Analysis))
			said := map[uint64]classify.Verdict{}
			early := 0
			live := &classify.Analysis{Whole: -1, Each: func(c *assembler.Conn, v *classify.Verdict) {
				said[c.ID] = *v
			}}
			replay(t, pcap, live, func(int64) { early = len(said) })
			if early < len(said)/2 && name != "syn" {
				t.Errorf("%d of %d connections were told of while it went on", early, len(said))
			}
			if len(said) != file.Len() {
				t.Errorf("%d connections, want %d", len(said), file.Len())
			}
			wrong := 0
			for i := range file.Len() {
				c, want := file.Conn(i), *file.Verdict(i)
				got := said[c.ID]
				if wrong++; got.Class == want.Class && got.Cause == want.Cause && got.By == want.By && got.Confidence == want.Confidence && (got.LostTo == 0) == (want.LostTo == 0) {
					wrong--
				} else if wrong < 10 {
					t.Errorf("connection %d: %v %v by %v %v lost to %d, want %v %v by %v %v lost to %d", c.ID,
						got.Class, got.Cause, got.By, got.Confidence, got.LostTo, want.Class, want.Cause, want.By, want.Confidence, want.LostTo)
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d differ", wrong, file.Len())
			}
		})
	}
}

// TestInterim: a look at what goes on shows what a file that ends there would
// have shown, and leaves no trace.
func TestInterim(t *testing.T) {
	for name, pcap := range lively(t) {
		t.Run(name, func(t *testing.T) {
			undisturbed := &classify.Analysis{Whole: 500}
			replay(t, pcap, undisturbed, func(int64) {})
			n, looks := 0, 0
			a := &classify.Analysis{Whole: 500}
			replay(t, pcap, a, func(now int64) {
				if n++; n%looksEvery != 1 {
					return
				}
				looks++
				checkInterim(t, a.Interim(now), n, pcap)
			})
			if looks < 2 {
				t.Errorf("looked %d times", looks)
			}
			if x, y := undisturbed.Summary(), a.Summary(); x != y {
				t.Errorf("summary\n%+v, want\n%+v", y, x)
			}
			if x, y := groupsOf(undisturbed), groupsOf(a); !reflect.DeepEqual(x, y) {
				t.Errorf("groups\n%+v, want\n%+v", y, x)
			}
			if x, y := undisturbed.Findings(), a.Findings(); !reflect.DeepEqual(x, y) {
				t.Errorf("findings\n%+v, want\n%+v", y, x)
			}
		})
	}
}

// checkInterim compares an interim report with that on a capture which holds
// the first batches of pcap only.
func checkInterim(t *testing.T, got *classify.Analysis, batches int, pcap []byte) {
	t.Helper()
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	want := &classify.Analysis{}
	track := assembler.New(assembler.Config{Done: want.Add})
	var b capture.Batch
	for range batches {
		if err := src.Next(&b); err != nil {
			t.Fatal(err)
		}
		track.Batch(&b)
	}
	env := classify.Env{End: track.Now()}
	want.Ends(env)
	track.Finish()
	want.Finish(env)
	if x, y := want.Summary(), got.Summary(); x != y {
		t.Errorf("after %d batches: summary\n%+v, want\n%+v", batches, y, x)
	}
	if n := len(got.Findings()); (n == 0) != (len(want.Findings()) == 0) {
		t.Errorf("after %d batches: %d findings, want %d", batches, n, len(want.Findings()))
	}
	if x, y := groupsOf(want), groupsOf(got); !reflect.DeepEqual(x, y) {
		t.Errorf("after %d batches: groups\n%+v, want\n%+v", batches, y, x)
	}
}

const looksEvery = 10 // batches
