//go:build linux

package main

import (
	"sync"

	"golang.org/x/sys/unix"

	"hangup/internal/lab/record"
)

// Verdicts of a wire's rule.
type verdict int

const (
	pass verdict = iota
	drop
	hold // until Release
)

// wire is our own forwarder between the two veth pairs of a wired place. It
// is a cable with a mind: it can lose, hold back, reorder and forge, to the
// packet, where qdiscs only know probabilities.
type wire struct {
	mu   sync.Mutex
	rule func(s Seg, toServer bool) verdict
	held []heldFrame
	out  map[bool]int // packet socket by direction: true towards the server
}

type heldFrame struct {
	frame    []byte
	toServer bool
}

func (n *N) startWire() error {
	w := &wire{out: map[bool]int{}}
	n.wire = w
	for _, port := range []struct {
		link string
		to   bool // direction of the frames that leave here
	}{{"eth-c", false}, {"eth-s", true}} {
		fd, err := packetSocket(n.r.ns.name[routerRole], port.link)
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.socks[port.link] = fd
		n.mu.Unlock()
		w.out[port.to] = fd
	}
	for toServer, fd := range map[bool]int{true: w.out[false], false: w.out[true]} {
		n.wg.Go(func() {
			receive(fd, n.stop, func(frame []byte, out bool) {
				if !out {
					w.forward(frame, toServer)
				}
			})
		})
	}
	return nil
}

func (w *wire) forward(frame []byte, toServer bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := parseFrame(frame); ok && w.rule != nil {
		switch w.rule(s, toServer) {
		case drop:
			return
		case hold:
			w.held = append(w.held, heldFrame{frame, toServer})
			return
		}
	}
	w.send(frame, toServer)
}

func (w *wire) send(frame []byte, toServer bool) {
	_ = unix.Send(w.out[toServer], frame, 0) // a full queue loses it, as a cable's switch does
}

// Wire sets the rule for TCP segments from now on; nil passes all.
func (n *N) Wire(what string, rule func(s Seg, toServer bool) verdict) {
	n.wire.mu.Lock()
	n.wire.rule = rule
	n.wire.mu.Unlock()
	n.r.note("network", "wire: %s", what)
}

// Release ends the rule and delivers what was held, in order.
func (n *N) Release() {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	n.wire.rule = nil
	for _, h := range n.wire.held {
		n.wire.send(h.frame, h.toServer)
	}
	n.r.note("network", "wire: %d held frames released", len(n.wire.held))
	n.wire.held = nil
}

// ReleaseReversed delivers the newest first.
func (n *N) ReleaseReversed() {
	n.wire.mu.Lock()
	h := n.wire.held
	for i, j := 0, len(h)-1; i < j; i, j = i+1, j-1 {
		h[i], h[j] = h[j], h[i]
	}
	n.wire.mu.Unlock()
	n.Release()
}

// Inject puts a frame on the last link towards a role: from the forwarder,
// the router, or (veth direct) from the peer's namespace.
func (n *N) Inject(towards, what string, frame []byte) {
	p := n.r.ns.place
	var err error
	switch {
	case p.wired():
		n.wire.mu.Lock()
		n.wire.send(frame, towards == record.Server)
		n.wire.mu.Unlock()
	case p.routed():
		link := "eth-c"
		if towards == record.Server {
			link = "eth-s"
		}
		if _, ok := n.socks[link]; !ok {
			fd, e := packetSocket(n.r.ns.name[routerRole], link)
			n.must(e)
			n.socks[link] = fd
		}
		err = unix.Send(n.socks[link], frame, 0)
	case p.lo():
		err = unix.Send(n.socks[record.Client], frame, 0)
	default:
		err = unix.Send(n.socks[other(towards)], frame, 0)
	}
	n.must(err)
	n.r.note("network", "injected towards the %s: %s", towards, what)
}

// blackhole is a rule that loses everything in one direction or both.
func blackhole(toServer, toClient bool) func(Seg, bool) verdict {
	return func(_ Seg, up bool) verdict {
		if up && toServer || !up && toClient {
			return drop
		}
		return pass
	}
}
