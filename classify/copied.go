package classify

import (
	"reflect"
	"unsafe"
)

// clone is a copy of the findings so far, nil of nil, that can be added to
// and finished on its own.
func (f *Findings) clone() *Findings {
	if f == nil {
		return nil
	}
	seen := copies{}
	return seen.of(reflect.ValueOf(f)).Interface().(*Findings)
}

// copies are what became of pointers and maps that several hold.
type copies map[unsafe.Pointer]reflect.Value

// of copies all that x reaches, functions apart. What the collectors of
// findings keep is theirs to design; that a copy leaves nothing out must not
// be in every hand.
func (seen copies) of(x reflect.Value) reflect.Value {
	if plain(x.Type()) {
		return x
	}
	in, out := reflect.New(x.Type()).Elem(), reflect.New(x.Type()).Elem()
	in.Set(x) // has an address now
	seen.into(out, in)
	return out
}

func (seen copies) into(out, x reflect.Value) {
	if plain(x.Type()) {
		out.Set(x)
		return
	}
	switch x.Kind() {
	case reflect.Pointer, reflect.Map:
		if x.IsNil() {
			return
		}
		if o, ok := seen[x.UnsafePointer()]; ok && o.Type() == x.Type() {
			out.Set(o)
			return
		}
		if x.Kind() == reflect.Map {
			seen.entries(out, x)
			return
		}
		o := reflect.New(x.Type().Elem())
		seen[x.UnsafePointer()] = o
		out.Set(o)
		seen.into(o.Elem(), x.Elem())
	case reflect.Interface:
		if !x.IsNil() {
			out.Set(seen.of(x.Elem()))
		}
	case reflect.Slice:
		if x.IsNil() {
			return
		}
		out.Set(reflect.MakeSlice(x.Type(), x.Len(), x.Cap()))
		if plain(x.Type().Elem()) {
			reflect.Copy(out, x)
			return
		}
		fallthrough
	case reflect.Array:
		for i := range x.Len() {
			seen.into(out.Index(i), x.Index(i))
		}
	case reflect.Struct:
		for i := range x.NumField() {
			seen.into(settable(out.Field(i)), settable(x.Field(i)))
		}
	default:
		out.Set(x)
	}
}

func (seen copies) entries(out, x reflect.Value) {
	o := reflect.MakeMapWithSize(x.Type(), x.Len())
	seen[x.UnsafePointer()] = o
	out.Set(o)
	for it := x.MapRange(); it.Next(); {
		o.SetMapIndex(seen.of(it.Key()), seen.of(it.Value()))
	}
}

// settable lets a field that is not exported be read and set.
func settable(f reflect.Value) reflect.Value {
	return reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()
}

// plain reports whether a value of type t is the whole of it.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return false
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}
