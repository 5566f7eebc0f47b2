package classify_test

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/classify"
	"hangup/internal/generate"
	"hangup/internal/story"
)

// ending is what a tracker tells: a connection, or a lone SYN.
type ending struct {
	conn *assembler.Conn
	lone *assembler.Lone
}

func (e ending) add(a *classify.Analysis) {
	if e.lone != nil {
		a.AddLone(e.lone)
		return
	}
	a.Add(e.conn)
}

// run is what a tracker told of a capture: before its end was known, and after.
type run struct {
	name         string
	before, last []ending
	env          classify.Env
	inputs       []capture.Input
}

// into replays the run.
func (r *run) into(a *classify.Analysis) *classify.Analysis {
	for _, e := range r.before {
		e.add(a)
	}
	a.Ends(r.env)
	for _, e := range r.last {
		e.add(a)
	}
	a.Finish(r.env)
	return a
}

func follows(t testing.TB, name string, pcap []byte) *run {
	t.Helper()
	r := &run{name: name}
	list := &r.before
	drive(pcap, assembler.Config{
		Done: func(c *assembler.Conn) { own := *c; *list = append(*list, ending{conn: &own}) },
		Lone: func(l *assembler.Lone) { own := *l; *list = append(*list, ending{lone: &own}) },
	}, func(env classify.Env, inputs []capture.Input) {
		r.env, r.inputs = env, inputs
		list = &r.last
	})
	return r
}

// drive runs a capture through a tracker. At its end, before the tracker
// reports what is left, ends is called.
func drive(pcap []byte, cfg assembler.Config, ends func(classify.Env, []capture.Input)) {
	src, err := capture.Open([]string{"-"}, capture.OpenConfig{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		return
	}
	defer src.Close()
	track := assembler.New(cfg)
	var b capture.Batch
	for err == nil {
		if err = src.Next(&b); err == nil {
			track.Batch(&b)
		}
	}
	in := src.Inputs()[0]
	ends(classify.Env{End: max(in.Last, in.End), Truncated: err != io.EOF || in.Err != nil}, src.Inputs())
	track.Finish()
}

func everyRun(t *testing.T) (all []*run) {
	t.Helper()
	for name, pcap := range everyCapture(t) {
		all = append(all, follows(t, name, pcap))
	}
	return all
}

// everyCapture visits every capture at hand that is not too large: stories,
// recordings of the laboratory and of others, generated mixes and sown faults.
func everyCapture(t *testing.T) iter.Seq2[string, []byte] {
	t.Helper()
	return func(yield func(string, []byte) bool) { _ = eachCapture(t, yield) }
}

func eachCapture(t *testing.T, yield func(string, []byte) bool) bool {
	t.Helper()
	for _, file := range storyFiles(t) {
		pcap, err := story.Capture(file)
		if err != nil {
			t.Fatal(err)
		}
		if !yield(storyName(file), pcap) {
			return false
		}
	}
	patterns := []string{filepath.Join("..", "testdata", "lab", "*", "*.pcap*"), filepath.Join("..", "testdata", "*.pcap")}
	if corpus := os.Getenv("HANGUP_CORPUS"); corpus != "" {
		patterns = append(patterns, filepath.Join(corpus, "pcaps", "*"))
	} else {
		t.Log("HANGUP_CORPUS is not set: the captures of others are left out")
	}
	for _, p := range patterns {
		files, _ := filepath.Glob(p)
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.IsDir() || info.Size() > 4<<20 {
				continue
			}
			if pcap, err := os.ReadFile(f); err == nil && !yield(filepath.Base(f), pcap) {
				return false
			}
		}
	}
	for _, m := range generate.Mixes {
		pcap, _ := small(t, m, 0.002)
		if !yield(m.Name, pcap) {
			return false
		}
	}
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 1500, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return yield("sown", pcap.Bytes())
}

func (r *run) conns() (list []*assembler.Conn) {
	for _, e := range slices.Concat(r.before, r.last) {
		if e.lone != nil {
			e.conn = new(assembler.Conn)
			e.lone.Expand(e.conn)
		}
		list = append(list, e.conn)
	}
	return list
}

// TestNeeds: no rule is passed over that would have matched, neither for any
// connection at hand nor for one made up of halves of several.
func TestNeeds(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var all []*assembler.Conn
	var envs []classify.Env
	for _, r := range everyRun(t) {
		for _, c := range r.conns() {
			if names := classify.NeedlessMatches(c, r.env); names != nil {
				t.Errorf("%s: %v match connection %d, which lacks what they need", r.name, names, c.ID)
			}
			all, envs = append(all, c), append(envs, r.env)
		}
	}
	for range 20_000 {
		i := rng.IntN(len(all))
		c := *all[i]
		other := func() *assembler.Conn { return all[rng.IntN(len(all))] }
		c.Ends[1] = other().Ends[1]
		for _, s := range []int{0, 1} {
			o := &other().Ends[s]
			c.Ends[s].FIN, c.Ends[s].Data, c.Ends[s].ZeroWindow, c.Ends[s].Deaf = o.FIN, o.Data, o.ZeroWindow, o.Deaf
		}
		if o := other(); rng.IntN(2) == 0 {
			c.Resets, c.NResets = o.Resets, o.NResets
		}
		if o := other(); rng.IntN(2) == 0 {
			c.ICMP, c.NICMP, c.Established, c.MPTCP = o.ICMP, o.NICMP, o.Established, o.MPTCP
		}
		if names := classify.NeedlessMatches(&c, envs[i]); names != nil {
			t.Fatalf("%v match, which lack what they need: %+v", names, c)
		}
	}
}

// groupsOf are the groups of a digest as values.
func groupsOf(a *classify.Analysis) (list []any) {
	for _, g := range a.Digest(false).Groups() {
		clients, more := g.Clients()
		list = append(list, []any{g.GroupKey, g.N, g.Possible, g.Hosts, g.Ports, g.Merged, g.First, g.Last, g.FirstID, clients, more, a.Conn(g.Example).ID})
	}
	return list
}

func titlesOf(a *classify.Analysis, r *run) (list []string) {
	for _, f := range a.Findings(r.inputs...) {
		list = append(list, fmt.Sprint(f.Kind, f.Total, f.Where, f.Title))
	}
	return list
}

// TestLettingGo: an analysis that keeps nothing says the same as one that
// keeps all, and tells of each connection once.
func TestLettingGo(t *testing.T) {
	for _, r := range everyRun(t) {
		whole := r.into(new(classify.Analysis))
		told := map[uint64]classify.Verdict{}
		bounded := r.into(&classify.Analysis{Whole: -1, Each: func(c *assembler.Conn, v *classify.Verdict) {
			if _, twice := told[c.ID]; twice {
				t.Errorf("%s: connection %d is told of twice", r.name, c.ID)
			}
			told[c.ID] = *v
		}})
		if len(told) != whole.Len() {
			t.Errorf("%s: %d connections told of, want %d", r.name, len(told), whole.Len())
		}
		for i := range whole.Len() {
			want, got := *whole.Verdict(i), told[whole.Conn(i).ID]
			want.SameAs, got.SameAs = 0, 0 // who of two comes first is not known at once
			if want != got {
				t.Errorf("%s: connection %d is told of as\n%+v, want\n%+v", r.name, whole.Conn(i).ID, got, want)
			}
		}
		if a, b := whole.Summary(), bounded.Summary(); a != b {
			t.Errorf("%s: summaries differ\n%+v\n%+v", r.name, a, b)
		}
		if a, b := groupsOf(whole), groupsOf(bounded); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: groups differ\n%v\n%v", r.name, a, b)
		}
		if a, b := titlesOf(whole, r), titlesOf(bounded, r); !slices.Equal(a, b) {
			t.Errorf("%s: findings differ\n%s\n%s", r.name, strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
	}
}

// TestPlainsAreConnections: a plain connection is judged as its Conn would be,
// and leaves with the neighbours and the findings what that would leave.
func TestPlainsAreConnections(t *testing.T) {
	seen := 0
	for name, pcap := range everyCapture(t) {
		short, long := newListener(), newListener()
		r := short.drive(pcap, func(list []assembler.Plain) {
			seen += len(list)
			short.AddPlain(list)
		})
		long.drive(pcap, nil)
		for id, want := range long.verdicts {
			if got := short.verdicts[id]; got != want {
				t.Errorf("%s: connection %d is told of as\n%+v, want\n%+v", name, id, got, want)
			}
		}
		if a, b := short.Summary(), long.Summary(); a != b || len(short.verdicts) != len(long.verdicts) {
			t.Errorf("%s: summaries differ\n%+v\n%+v", name, a, b)
		}
		if a, b := groupsOf(&short.Analysis), groupsOf(&long.Analysis); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: groups differ\n%v\n%v", name, a, b)
		}
		if a, b := fmt.Sprint(short.Findings(r.inputs...)), fmt.Sprint(long.Findings(r.inputs...)); a != b {
			t.Errorf("%s: findings differ\n%s\n%s", name, a, b)
		}
	}
	if seen < 1000 {
		t.Errorf("%d plain connections", seen)
	}
}

// listener is an analysis that keeps nothing, and what it tells.
type listener struct {
	classify.Analysis
	verdicts map[uint64]classify.Verdict
}

func newListener() *listener {
	x := &listener{verdicts: map[uint64]classify.Verdict{}}
	x.Whole, x.Each = -1, func(c *assembler.Conn, v *classify.Verdict) { x.verdicts[c.ID] = *v }
	return x
}

// drive analyses a capture.
func (x *listener) drive(pcap []byte, plain func([]assembler.Plain)) *run {
	r := new(run)
	drive(pcap, assembler.Config{Done: x.Add, Lone: x.AddLone, Plain: plain}, func(env classify.Env, inputs []capture.Input) {
		r.env, r.inputs = env, inputs
		x.Ends(env)
	})
	x.Finish(r.env)
	return r
}
