package assembler_test

import (
	"cmp"
	"slices"
	"testing"

	"hangup/assembler"
	"hangup/capture"
	"hangup/internal/generate"
)

// makers are the ways to keep connections, which must all tell the same.
var makers = map[string]func(assembler.Config) *assembler.Tracker{
	"plain": assembler.New, "parking": assembler.NewParking, "general": assembler.NewGeneral,
}

func (s *segments) handshake() {
	s.add(0, capture.SYN, 100, 0, 0)
	s.add(1, capture.SYN|capture.ACK, 500, 101, 0)
	s.add(0, capture.ACK, 101, 501, 0)
}

// repeat adds a segment n times, at intervals of 60 s.
func (s *segments) repeat(n int, from int, flags capture.Flags, seq, ack, length uint32) {
	for range n {
		s.now += 60e9
		s.add(from, flags, seq, ack, length)
	}
}

var expiries = []struct {
	name  string
	story func(s *segments)
	want  assembler.Expiry
	after int64 // seconds from the last packet
}{
	{"syn", func(s *segments) { s.add(0, capture.SYN, 100, 0, 0) }, assembler.Unanswered, 180},
	{"syn-retried", func(s *segments) { s.add(0, capture.SYN, 100, 0, 0); s.repeat(3, 0, capture.SYN, 100, 0, 0) }, assembler.Unanswered, 180},
	{"syn-ack", func(s *segments) {
		s.add(0, capture.SYN, 100, 0, 0)
		s.add(1, capture.SYN|capture.ACK, 500, 101, 0)
	}, assembler.Unfinished, 180},
	{"syn-ack-retried", func(s *segments) {
		s.add(0, capture.SYN, 100, 0, 0)
		s.repeat(5, 1, capture.SYN|capture.ACK, 500, 101, 0)
	}, assembler.Unfinished, 180},
	{"syn-ack-alone", func(s *segments) { s.repeat(2, 1, capture.SYN|capture.ACK, 500, 101, 0) }, assembler.Watched, 0},
	{"idle", (*segments).handshake, assembler.Watched, 0},
	{"idle-after-data", func(s *segments) {
		s.handshake()
		s.add(0, capture.ACK, 101, 501, 10)
		s.add(1, capture.ACK, 501, 111, 0)
	}, assembler.Watched, 0},
	{"unacknowledged-once", func(s *segments) { s.handshake(); s.add(0, capture.ACK, 101, 501, 10) }, assembler.Watched, 0},
	{"fin", func(s *segments) { s.handshake(); s.add(0, capture.FIN|capture.ACK, 101, 501, 0) }, assembler.HalfClosed, 600},
	{"fin-acknowledged", func(s *segments) {
		s.handshake()
		s.add(0, capture.FIN|capture.ACK, 101, 501, 0)
		s.add(1, capture.ACK, 501, 102, 0)
	}, assembler.HalfClosed, 600},
	{"last-ack", func(s *segments) {
		s.handshake()
		s.add(0, capture.FIN|capture.ACK, 101, 501, 0)
		s.add(1, capture.ACK, 501, 102, 0)
		s.repeat(4, 1, capture.FIN|capture.ACK, 501, 102, 0)
	}, assembler.HalfClosed, 600},
	{"retransmitted", func(s *segments) {
		s.handshake()
		s.repeat(16, 0, capture.ACK, 101, 501, 10)
	}, assembler.GivenUp, 300},
	{"retransmitted-briefly", func(s *segments) {
		s.handshake()
		s.repeat(3, 0, capture.ACK, 101, 501, 10)
	}, assembler.GivenUp, 925 - 120},
	{"one-way-retransmitted", func(s *segments) { s.repeat(16, 0, capture.ACK, 101, 501, 10) }, assembler.Watched, 0},
}

// A connection expires when its timers have run out, within a round, however
// it is kept; one that is established and idle never does.
func TestExpire(t *testing.T) {
	const year = 365 * 24 * 3600
	for _, e := range expiries {
		for name, maker := range makers {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				var s segments
				e.story(&s)
				var got *assembler.Conn
				tr := maker(assembler.Config{Expire: true, Done: func(c *assembler.Conn) { got = c.Bare() }})
				tr.Batch(&capture.Batch{Packets: s.packets})
				last := s.packets[len(s.packets)-1].Time
				for at := int64(1); got == nil && at < year; at += 1 + at/1000 {
					tr.Tick(last + at*1e9)
				}
				if e.want == assembler.Watched {
					if got != nil {
						t.Fatalf("expired as %v after %d s", got.Expired, (got.Until-last)/1e9)
					}
					return
				}
				if got == nil || got.Expired != e.want {
					t.Fatalf("not expired as %v: %+v", e.want, got)
				}
				if waited := (got.Until - last) / 1e9; waited < e.after-1 || waited > e.after+12 {
					t.Errorf("waited %d s, want %d", waited, e.after)
				}
			})
		}
	}
}

// What an expired connection sends all the same opens another one, which
// knows what it follows; its last words are late packets.
func TestExpiredLives(t *testing.T) {
	for name, maker := range makers {
		for _, batched := range []bool{false, true} {
			var s segments
			s.handshake()
			s.add(0, capture.FIN|capture.ACK, 101, 501, 0)
			s.add(1, capture.ACK, 501, 102, 0)
			s.now += 700e9
			s.add(0, capture.SYN, 100, 0, 0)
			s.add(1, capture.ACK, 501, 102, 20)
			s.add(0, capture.ACK, 102, 521, 0)
			all := batches{{Packets: s.packets}}
			if !batched {
				all = all.single()
			}
			conns, late := all.track(t, maker, assembler.Config{Expire: true})
			if len(conns) != 2 || late != 1 {
				t.Fatalf("%s: %d connections, %d late packets", name, len(conns), late)
			}
			if conns[0].Expired != assembler.HalfClosed || conns[1].Predecessor != 1 || conns[1].Ends[1].Bytes != 20 {
				t.Errorf("%s: %v, then %d bytes after %d", name, conns[0].Expired, conns[1].Ends[1].Bytes, conns[1].Predecessor)
			}
		}
	}
}

// Over comes once, when it is time, and Done tells whether anything followed.
func TestOver(t *testing.T) {
	for name, maker := range makers {
		for _, late := range []bool{false, true} {
			for _, reset := range []bool{false, true} {
				var s segments
				s.handshake()
				if reset {
					s.add(1, capture.RST, 501, 0, 0)
				} else {
					s.add(0, capture.FIN|capture.ACK, 101, 501, 0)
					s.add(1, capture.FIN|capture.ACK, 501, 102, 0)
					s.add(0, capture.ACK, 102, 502, 0)
				}
				var told, done int
				tr := maker(assembler.Config{
					OverAfter: 5e9,
					Over: func(c *assembler.Conn) {
						if told++; c.Changed || done > 0 {
							t.Errorf("%s: changed %v, reported %d times", name, c.Changed, done)
						}
					},
					Done: func(c *assembler.Conn) {
						if done++; !c.Told || c.Changed != late {
							t.Errorf("%s: told %v, changed %v", name, c.Told, c.Changed)
						}
					},
				})
				tr.Batch(&capture.Batch{Packets: s.packets})
				end := s.packets[len(s.packets)-1].Time
				tr.Tick(end + 4e9)
				if told != 0 || tr.Open() != 0 {
					t.Errorf("%s: told %d times at once, %d open", name, told, tr.Open())
				}
				for at := int64(5e9); at < 60e9; at += 5e9 {
					tr.Tick(end + at)
				}
				if late {
					s.now += 60e9
					n := len(s.packets)
					s.add(1, capture.RST, 502, 0, 0)
					tr.Batch(&capture.Batch{Packets: s.packets[n:]})
				}
				for at := int64(70e9); at < 400e9; at += 5e9 {
					tr.Tick(end + at)
				}
				if told != 1 || done != 1 || tr.Live() != 0 {
					t.Errorf("%s: told %d times, reported %d times, %d left", name, told, done, tr.Live())
				}
			}
		}
	}
}

// At any moment Each shows what Finish would report, States counts it, and
// nothing is changed by looking.
func TestEach(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want, _ := all.track(t, assembler.New, assembler.Config{})
		for name, maker := range makers {
			var conns, seen []*assembler.Conn
			tr := maker(assembler.Config{Done: func(c *assembler.Conn) { conns = append(conns, c.Bare()) }})
			for i, b := range all.single() {
				tr.Batch(&b)
				if i%100 == 0 {
					look(t, tr)
				}
			}
			tr.Each(func(c *assembler.Conn) { seen = append(seen, c.Bare()) })
			seen = append(seen, conns...)
			tr.Finish()
			byID := func(a, b *assembler.Conn) int { return cmp.Compare(a.ID, b.ID) }
			slices.SortFunc(conns, byID)
			slices.SortFunc(seen, byID)
			if !slices.EqualFunc(conns, seen, same) || !slices.EqualFunc(conns, want, same) {
				t.Errorf("%s, %s: seen %d, reported %d, want %d", m.Name, name, len(seen), len(conns), len(want))
			}
		}
	}
}

func look(t *testing.T, tr *assembler.Tracker) {
	t.Helper()
	var want assembler.States
	open := 0
	tr.Each(func(c *assembler.Conn) {
		over := true
		for s := range c.Ends {
			state := c.Ends[s].State
			over = over && (state == assembler.Closed || state == assembler.TimeWait)
			if state == assembler.TimeWait && tr.Now()-c.Last.Time > 60e9 {
				state = assembler.Closed
			}
			want[state][s]++
		}
		if !over {
			open++
		}
	})
	if got := tr.States(); got != want {
		t.Fatalf("states %v, want %v", got, want)
	}
	if tr.Open() != open {
		t.Fatalf("%d open, want %d", tr.Open(), open)
	}
}

// Lone SYNs go to Lone if that is set, and stand for the same connections.
func TestLone(t *testing.T) {
	for _, m := range generate.Mixes {
		all := load(t, "", generated(t, m))
		want, _ := all.track(t, assembler.New, assembler.Config{})
		lones := 0
		var conns []*assembler.Conn
		spare := new(assembler.Conn)
		tr := assembler.New(assembler.Config{
			Done: func(c *assembler.Conn) { conns = append(conns, c.Bare()) },
			Lone: func(l *assembler.Lone) {
				lones++
				l.Expand(spare)
				conns = append(conns, spare.Bare())
			},
		})
		for i := range all {
			tr.Batch(&all[i])
		}
		tr.Finish()
		slices.SortFunc(conns, func(a, b *assembler.Conn) int { return cmp.Compare(a.ID, b.ID) })
		if !slices.EqualFunc(conns, want, same) {
			t.Errorf("%s: %d connections differ from %d", m.Name, len(conns), len(want))
		}
		if m.Name == "syn" && lones != len(want) {
			t.Errorf("%d of %d were lone", lones, len(want))
		}
	}
}
