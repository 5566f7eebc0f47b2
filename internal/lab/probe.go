//go:build linux

package main

import (
	"time"

	"hangup/internal/lab/record"
)

// The probe sequences: what the program that is told of the end does before
// and after it.
const (
	reader  = "reader"  // after the end: Read, Read, Write, Write
	writer  = "writer"  // after the end: Write, Read, Write, Read
	inRead  = "inread"  // blocked in Read when it comes; then Read, Write, Write
	inWrite = "inwrite" // blocked in Write when it comes; then Write, Read, Write
	nobody  = "nobody"  // nobody calls for half a second; then Write, Write, Read
)

// patience of a probe's Read: a call that ends by it would have gone on
// blocking.
const patience = 400 * time.Millisecond

// Prober applies the scenario's probe sequence to one connection.
type Prober struct {
	c     *Conn
	first *Pending
}

// Watch starts what has to be under way before the terminal event: the
// blocked call of inread and inwrite.
func (c *Conn) Watch() *Prober {
	p := &Prober{c: c}
	c.Phase = record.Pending
	switch c.l.Probe {
	case inRead:
		p.first = c.l.Go(func() { _, _ = c.ReadN(1024) })
	case inWrite:
		// With both buffers at a few KB this cannot fit.
		p.first = c.l.Go(func() { _, _ = c.WriteN(256 << 10) })
	}
	c.Phase = record.Before
	return p
}

// Run makes the calls that come after the terminal event. The scenario calls
// it when the event has reached the socket.
func (p *Prober) Run() {
	c := p.c
	p.first.Join(3 * time.Second)
	c.Phase = record.After
	switch c.l.Probe {
	case reader:
		p.calls("rrww")
	case writer:
		p.calls("wrwr")
	case inRead:
		p.calls("rww")
	case inWrite:
		p.calls("wrw")
	case nobody:
		time.Sleep(500 * time.Millisecond)
		p.calls("wwr")
	}
}

func (p *Prober) calls(sequence string) {
	for _, op := range sequence {
		if op == 'r' {
			_, _ = p.c.ReadWithin(1024, patience)
			continue
		}
		if _, err := p.c.WriteWithin(10, patience); err == nil {
			p.c.settle(patience)
		}
	}
}
