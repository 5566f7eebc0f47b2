package cli

import (
	"fmt"

	"github.com/spf13/pflag"
)

// bounds are how much may be remembered; negative where nothing was said.
type bounds struct {
	maxConns  int
	maxMemory size
}

// What is bounded unless something else is said.
const (
	anyNumber   = 0
	liveConns   = 1 << 20
	filesMemory = 2 << 30
	liveMemory  = 512 << 20
)

func (b *bounds) flags(f *pflag.FlagSet) {
	f.IntVar(&b.maxConns, "max-conns", -1, "")
	b.maxMemory = -1
	f.Var(&b.maxMemory, "max-memory", "")
}

// check finds a bound below nothing.
func (b *bounds) check(flags *pflag.FlagSet) error {
	if flags.Changed("max-conns") && b.maxConns < 0 {
		return fmt.Errorf("--max-conns %d: fewer than none; type 0 for any number", b.maxConns)
	}
	return nil
}

// conns is the bound of connections followed at once, 0 for any number.
func (b *bounds) conns(otherwise int) int {
	if b.maxConns < 0 {
		return otherwise
	}
	return b.maxConns
}

// leastMemory is what a tracker can do with.
const leastMemory = 16 << 20

// memory is the tracker's share (bytes) of the memory allowed, 0 for any
// amount. The rest is for what is read, and what is remembered of
// connections that ended.
func (b *bounds) memory(otherwise size) int {
	m := b.maxMemory
	if m < 0 {
		m = otherwise
	}
	if m == 0 {
		return 0
	}
	return int(max(m/4*3, leastMemory))
}
