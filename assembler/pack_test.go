package assembler

import (
	"math/rand/v2"
	"reflect"
	"testing"
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
	x := reflect.TypeFor[Conn]()
	check("Conn", x)
	if x.Size()%4 != 0 {
		t.Errorf("a Conn of %d bytes is no whole number of half words", x.Size())
	}
}

func TestPackUndoesItself(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var got Conn
	for i := range 3000 {
		var c Conn
		w := wordsOf(&c)
		*halfOf(&c) = rng.Uint32()
		for range rng.IntN(words) {
			x := rng.Uint64() >> rng.IntN(64) << (8 * rng.IntN(8))
			w[rng.IntN(words)] = x
		}
		start := rng.Uint64() >> rng.IntN(64)
		c.First.Time = int64(start)
		for range rng.IntN(200) {
			w[rng.IntN(words)] = w[rng.IntN(words)]
		}
		for range rng.IntN(30) {
			w[rng.IntN(words)] = uint64(c.First.Time) + uint64(rng.Int64N(1<<41)-1<<40)
		}
		got.ID = 1
		if got.Unpack(append(c.Pack(nil), 0xff, 0x7f)); got != c {
			t.Fatalf("connection %d came back different", i)
		}
		var k parked
		n := k.pack(&c)
		got.ID = 1
		if k.unpack(n, &got); got != c {
			t.Fatalf("connection %d came back different from parking", i)
		}
		if k.discard(n); k.used != 0 || k.parcels.used != 0 {
			t.Fatalf("%d and %d records are left of nothing", k.used, k.parcels.used)
		}
	}
}
