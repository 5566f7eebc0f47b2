package classify

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"hangup/assembler"
)

// A packed connection is its words: were there a pointer among them, the
// collector would not see it.
func TestConnHoldsNoPointer(t *testing.T) {
	var check func(path string, x reflect.Type)
	check = func(path string, x reflect.Type) {
		switch x.Kind() {
		case reflect.Struct:
			for i := range x.NumField() {
				check(path+"."+x.Field(i).Name, x.Field(i).Type)
			}
		case reflect.Array:
			check(path, x.Elem())
		case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		default:
			t.Errorf("%s is a %v", path, x)
		}
	}
	x := reflect.TypeFor[assembler.Conn]()
	check("Conn", x)
	if x.Size()%8 != 0 {
		t.Errorf("a Conn of %d bytes is no whole number of words", x.Size())
	}
}

func TestPackUndoesItself(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var s store
	var want []assembler.Conn
	var at []packedAt
	for range 3000 {
		var c assembler.Conn
		w := wordsOf(&c)
		for range rng.IntN(words) {
			x := rng.Uint64() >> rng.IntN(64) << (8 * rng.IntN(8))
			w[rng.IntN(words)] = x
		}
		start := rng.Uint64() >> rng.IntN(64)
		c.First.Time = int64(start)
		for range rng.IntN(30) {
			w[rng.IntN(words)] = uint64(c.First.Time) + uint64(rng.Int64N(1<<41)-1<<40)
		}
		want, at = append(want, c), append(at, s.add(&c))
	}
	var got assembler.Conn
	for i := range want {
		if s.load(at[i], &got); *wordsOf(&got) != *wordsOf(&want[i]) {
			t.Fatalf("connection %d came back different", i)
		}
	}
	if len(s.chunks) < 2 {
		t.Errorf("%d chunks try nothing", len(s.chunks))
	}
}

// Few hosts are counted, many estimated.
func TestCensus(t *testing.T) {
	for _, n := range []int{5_000, 300_000, 2_000_000} {
		var hosts addresses
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		for i := range n {
			a := [16]byte{10: 0xff, 11: 0xff, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
			for range 1 + rng.IntN(2) {
				if i%3 == 0 {
					hosts.peek(&a)
				} else {
					hosts.at(&a)
				}
			}
		}
		got, about := hosts.size()
		if about != (n > maxRoster) || !about && got != uint64(n) || got < uint64(n)*93/100 || got > uint64(n)*107/100 {
			t.Errorf("%d hosts counted as %d, about: %v", n, got, about)
		}
	}
}
