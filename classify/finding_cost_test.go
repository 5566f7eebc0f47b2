package classify_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"hangup/assembler"
	"hangup/classify"
	"hangup/internal/generate"
)

// sample are connections of a kind from healthy traffic with sown faults, few
// enough to stay in the cache, as one just judged is.
func sample(tb testing.TB, want func(*classify.Verdict) bool) ([]judged, classify.Env) {
	tb.Helper()
	var pcap bytes.Buffer
	if _, _, err := generate.WriteSown(&pcap, generate.SownMix{Connections: 8000}); err != nil {
		tb.Fatal(err)
	}
	a, _ := gather(tb, &pcap)
	var list []judged
	for _, j := range judgedOf(a)[2000:] {
		if want(j.v) && len(list) < 200 {
			list = append(list, j)
		}
	}
	return list, a.Env()
}

// flood is a SYN of another client each time, at one server.
type flood struct {
	c assembler.Conn
	v classify.Verdict
	n uint32
}

func newFlood(tb testing.TB) (*flood, classify.Env) {
	_, a, _ := told(tb, []byte("A SYN.\n\n-- packets --\n> S lost\n+60 other"))
	return &flood{c: *a.Conn(0), v: *a.Verdict(0)}, a.Env()
}

func (f *flood) next() {
	f.n++
	f.c.ID = uint64(f.n)
	e := &f.c.Ends[assembler.Client]
	binary.BigEndian.PutUint32(e.Addr[12:], f.n*2654435761)
	e.Port = uint16(f.n)
	for _, s := range []*assembler.Stamp{&f.c.First, &f.c.Last, &e.First, &e.Last, &e.SYN.First, &e.SYN.Last} {
		s.Time += 1000
	}
}

// traffic are connections of a mix that come again and again, later each time.
type traffic struct {
	plain []*assembler.Plain
	conns []judged // all others
	lone  []assembler.Lone
	times []*int64
	round int64 // ns
	env   classify.Env
	v     *classify.Verdict // of lone, or plain
	id    uint64
}

func newTraffic(tb testing.TB, name string) *traffic {
	i := slices.IndexFunc(generate.Mixes, func(m generate.Mix) bool { return m.Name == name })
	pcap, _ := small(tb, generate.Mixes[i], 0.001)
	r := follows(tb, name, pcap)
	t := &traffic{env: classify.Env{End: 1 << 62}}
	from, to := int64(math.MaxInt64), int64(0)
	for _, e := range append(r.before, r.last...) {
		switch {
		case e.lone != nil:
			t.lone = append(t.lone, *e.lone)
			from, to = min(from, e.lone.SYN.Time), max(to, e.lone.SYN.Time)
		case e.conn.Partial == 0 && len(t.plain)+len(t.conns) < 500: // these stay in the cache, as one just made is
			v := classify.Judge(e.conn, r.env)
			p := new(assembler.Plain)
			e.conn.Outline(&p.Outline)
			if v.Cause == classify.OrderlyClose && classify.TellsAll(&p.Outline, &v, t.env) && e.conn.NMarks == 0 {
				t.v = &v
				t.plain = append(t.plain, p)
				t.times = stamps(t.times, reflect.ValueOf(&p.Outline).Elem())
			} else {
				t.conns = append(t.conns, judged{e.conn, &v})
				t.times = stamps(t.times, reflect.ValueOf(e.conn).Elem())
			}
			from, to = min(from, e.conn.First.Time), max(to, e.conn.First.Time)
		}
	}
	for i := range t.lone {
		t.times = append(t.times, &t.lone[i].SYN.Time)
		c := new(assembler.Conn)
		t.lone[i].Expand(c)
		v := classify.Judge(c, t.env)
		t.v = &v
	}
	t.round = to - from
	return t
}

// stamps lists the times in v that were seen.
func stamps(list []*int64, v reflect.Value) []*int64 {
	switch {
	case v.Type() == reflect.TypeFor[assembler.Stamp]():
		if v.CanAddr() && v.Addr().CanInterface() {
			if s := v.Addr().Interface().(*assembler.Stamp); s.Seen() {
				list = append(list, &s.Time)
			}
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			list = stamps(list, v.Field(i))
		}
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			list = stamps(list, v.Index(i))
		}
	}
	return list
}

// come adds all once, and tells how long that took.
func (t *traffic) come(f *classify.Findings) time.Duration {
	for _, at := range t.times {
		*at += t.round
	}
	from := time.Now()
	for _, p := range t.plain {
		t.id++
		p.ID = t.id
		f.AddPlain(p, t.v)
	}
	for i := range t.conns {
		t.id++
		t.conns[i].c.ID = t.id
		f.Add(t.conns[i].c, t.conns[i].v)
	}
	for i := range t.lone {
		t.id++
		t.lone[i].ID = t.id
		f.AddLone(&t.lone[i], t.v)
	}
	return time.Since(from)
}

// BenchmarkFindingsTraffic tells what a connection of a mix costs, most of
// them healthy, and a single SYN of hosts that send nothing else.
func BenchmarkFindingsTraffic(b *testing.B) {
	for _, name := range []string{"web", "churn", "syn"} {
		b.Run(name, func(b *testing.B) {
			t := newTraffic(b, name)
			f := classify.NewFindings(t.env)
			took, n := time.Duration(0), 0
			for range 3 { // those who come are known then
				t.come(f)
			}
			b.ReportAllocs()
			for b.Loop() {
				took += t.come(f)
				n += len(t.plain) + len(t.conns) + len(t.lone)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/conn")
		})
	}
}

// BenchmarkFindingsAdd tells what a connection costs that comes often: a
// healthy one, one that was reset, a single SYN in a flood.
func BenchmarkFindingsAdd(b *testing.B) {
	kinds := []struct {
		name string
		want func(*classify.Verdict) bool
	}{
		{"healthy", func(v *classify.Verdict) bool { return v.Class == classify.Graceful }},
		{"reset", func(v *classify.Verdict) bool { return v.Class == classify.Reset }},
	}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			list, env := sample(b, k.want)
			f := classify.NewFindings(env)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				j := &list[i%len(list)]
				j.c.ID++
				f.Add(j.c, j.v)
				i++
			}
		})
	}
	b.Run("lone SYN", func(b *testing.B) {
		syn, env := newFlood(b)
		f := classify.NewFindings(env)
		b.ReportAllocs()
		for b.Loop() {
			syn.next()
			f.Add(&syn.c, &syn.v)
		}
	})
}

// TestFindingsAddAllocatesNothing: once it has met everybody, a collection
// allocates nothing for one more connection.
func TestFindingsAddAllocatesNothing(t *testing.T) {
	list, env := sample(t, func(*classify.Verdict) bool { return true })
	f := classify.NewFindings(env)
	i := 0
	add := func() {
		j := &list[i%len(list)]
		j.c.ID++
		f.Add(j.c, j.v)
		i++
	}
	for range 400_000 { // the log of dials has its size by then
		add()
	}
	if n := testing.AllocsPerRun(20_000, add); n > 0 {
		t.Errorf("%v allocations for each connection", n)
	}
	syn, env := newFlood(t)
	f = classify.NewFindings(env)
	flood := func() {
		syn.next()
		f.Add(&syn.c, &syn.v)
	}
	for range 10_000 {
		flood()
	}
	if n := testing.AllocsPerRun(20_000, flood); n > 0 {
		t.Errorf("%v allocations for each SYN of a flood", n)
	}
	for _, name := range []string{"churn", "syn"} {
		many := newTraffic(t, name)
		f := classify.NewFindings(many.env)
		for range 600_000 / (len(many.plain) + len(many.conns) + len(many.lone)) {
			many.come(f)
		}
		if n := testing.AllocsPerRun(100, func() { many.come(f) }); n > 1 {
			t.Errorf("%s: %v allocations for hundreds of connections", name, n)
		}
	}
}

// TestFindingsMemoryIsBounded: three times as many endpoints, clients and
// connections take no more memory, once there are many.
func TestFindingsMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or two")
	}
	size := func(endpoints int) uint64 {
		f := crowded(t, endpoints)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(f)
		return m.HeapAlloc
	}
	empty := size(0)
	some, many := size(40_000)-empty, size(120_000)-empty
	t.Logf("%d MB with 40,000 endpoints, %d MB with 120,000", some>>20, many>>20)
	if many > some+some/4 || many > 200<<20 {
		t.Errorf("%d MB with 40,000 endpoints, %d MB with 120,000", some>>20, many>>20)
	}
}

// crowded is a collection that has met many server endpoints and clients.
func crowded(tb testing.TB, endpoints int) *classify.Findings {
	list, env := sample(tb, func(*classify.Verdict) bool { return true })
	f := classify.NewFindings(env)
	for i := range 4 * endpoints {
		j := list[i%len(list)]
		c := *j.c
		c.ID = uint64(i + 1)
		binary.BigEndian.PutUint32(c.Ends[assembler.Client].Addr[12:], uint32(i%50_000)+1<<28)
		binary.BigEndian.PutUint32(c.Ends[assembler.Server].Addr[12:], uint32(i%endpoints))
		f.Add(&c, j.v)
	}
	return f
}

// BenchmarkFindingsSnapshot tells what asking while connections come costs,
// with 50,000 server endpoints known or forgotten.
func BenchmarkFindingsSnapshot(b *testing.B) {
	f := crowded(b, 50_000)
	f.Finish()
	b.Run("clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Clone()
		}
	})
	b.Run("finish", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Finish()
		}
	})
}

// TestFindingsAddLone: a SYN alone counts for as much as its Conn.
func TestFindingsAddLone(t *testing.T) {
	syn, env := newFlood(t)
	whole, alone := classify.NewFindings(env), classify.NewFindings(env)
	for range 3000 {
		syn.next()
		e := &syn.c.Ends[assembler.Client]
		l := assembler.Lone{ID: syn.c.ID, SYN: e.SYN.First, Client: e.Addr, Server: syn.c.Ends[assembler.Server].Addr,
			ClientPort: e.Port, ServerPort: syn.c.Ends[assembler.Server].Port, TTL: e.TTLFirst}
		whole.Add(&syn.c, &syn.v)
		alone.AddLone(&l, &syn.v)
	}
	want, got := whole.Finish(), alone.Finish()
	if len(want) != 1 || want[0].Kind != classify.KindFlood || want[0].Total != 3000 {
		t.Errorf("a flood: %s", titles(want))
	}
	if d := differ(want, got, 0); d != "" {
		t.Error(d)
	}
}

// TestFindingsAddLoneOfMany: so do those of a few hosts that send hundreds of
// them, whatever is known of the capture's end.
func TestFindingsAddLoneOfMany(t *testing.T) {
	few := newTraffic(t, "syn")
	last := few.lone[len(few.lone)-1].SYN.Time
	for _, env := range []classify.Env{{End: 1 << 62}, {End: last + 1}, {End: last + 5e9, Truncated: true}, {End: last + 5e9, OS: classify.Windows}} {
		whole, alone := classify.NewFindings(env), classify.NewFindings(env)
		for i := range few.lone {
			l := &few.lone[i]
			l.ServerPort = uint16(i % 7)
			l.TTL = uint8(60 + i%9*8)
			l.Until = int64(b2i(i%11 == 0)) * (l.SYN.Time + int64(i)*1e6)
			c := new(assembler.Conn)
			l.Expand(c)
			v := classify.Judge(c, env)
			whole.Add(c, &v)
			alone.AddLone(l, &v)
		}
		if d := differ(whole.Finish(), alone.Finish(), 0); d != "" {
			t.Errorf("%+v: %s", env, d)
		}
		if whole, alone := classify.Inside(whole), classify.Inside(alone); whole != alone {
			t.Errorf("%+v: %s, want %s", env, alone, whole)
		}
	}
}
