package assembler

import "testing"

// Fresh records are zero, whether few or many, and those of a tracker that has
// finished are gone.
func TestArena(t *testing.T) {
	a := new(arena)
	for _, n := range []int{1, arenaMin / 8, 3 * arenaMin} {
		list := fresh[uint64](a, n)
		if len(list) != n {
			t.Fatalf("%d records, want %d", len(list), n)
		}
		for i := range list {
			if list[i] != 0 {
				t.Fatalf("record %d of %d is %x", i, n, list[i])
			}
			list[i] = ^uint64(i)
		}
	}
	a.release()
	if len(a.mapped) != 0 {
		t.Errorf("%d mappings are left", len(a.mapped))
	}
	tr := New(Config{Done: func(*Conn) {}})
	tr.lones.take()
	tr.lones.release(0)
	tr.Finish()
	if n := tr.lones.used + len(tr.lones.pages) + tr.tombs.pool.used; n != 0 {
		t.Errorf("%d records or pages outlive the tracker", n)
	}
}
