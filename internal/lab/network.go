//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hangup/internal/lab/record"
)

// N is what the network's part of a scenario sees of the laboratory. It runs
// in the orchestrator, beside the two programs.
type N struct {
	r    *run
	ctx  context.Context
	wire *wire // wired places only

	mu     sync.Mutex
	cond   *sync.Cond
	segs   map[string][]Seg // what each role's link has carried
	socks  map[string]int   // packet sockets by namespace and link
	stop   chan struct{}
	wg     sync.WaitGroup
	tables map[string]bool // roles that have an nftables table
}

func newCond(mu *sync.Mutex) *sync.Cond { return sync.NewCond(mu) }

func newNetwork(ctx context.Context, r *run) *N {
	n := &N{r: r, ctx: ctx, segs: map[string][]Seg{}, socks: map[string]int{}, stop: make(chan struct{}), tables: map[string]bool{}}
	n.cond = newCond(&n.mu)
	return n
}

// prepare opens the taps and runs the scenario's Setup.
func (n *N) prepare() error {
	if n.r.s.Network != nil || n.r.s.Setup != nil {
		for _, role := range n.r.ns.roles() {
			if role == routerRole {
				continue
			}
			link := "eth0"
			if n.r.ns.place.lo() {
				link = "lo"
			}
			if err := n.tap(role, link); err != nil {
				return err
			}
		}
	}
	if n.r.ns.place.wired() {
		if err := n.startWire(); err != nil {
			return err
		}
	}
	if n.r.s.Setup == nil {
		return nil
	}
	return n.guarded(n.r.s.Setup)
}

// stopScenario leaves a scenario's function from within.
type stopScenario struct{ err error }

func (n *N) guarded(f func(*N)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s, ok := p.(stopScenario)
			if !ok {
				panic(p)
			}
			err = s.err
		}
	}()
	f(n)
	return nil
}

func (n *N) play(f func(*N)) {
	if err := n.guarded(f); err != nil {
		n.r.fail("network: %v", err)
	}
	n.r.mu.Lock()
	n.r.active--
	n.r.mu.Unlock()
	n.r.cond.Broadcast()
}

func (n *N) must(err error) {
	if err != nil {
		panic(stopScenario{err})
	}
}

// At and Wait are the steps of the programs.
func (n *N) At(step string) { n.r.reach("network", step) }

func (n *N) Wait(step string) {
	stop := context.AfterFunc(n.ctx, n.r.cond.Broadcast)
	defer stop()
	n.r.mu.Lock()
	defer n.r.mu.Unlock()
	for !n.r.steps[step] {
		if n.ctx.Err() != nil || len(n.r.failed) > 0 {
			panic(stopScenario{fmt.Errorf("waited in vain for %q", step)})
		}
		n.r.cond.Wait()
	}
}

// Sleep lets the kernel's timers run.
func (n *N) Sleep(d time.Duration) { time.Sleep(d) }

// StartCapture starts the captures of a scenario that has From.
func (n *N) StartCapture() { n.must(n.r.startCaptures()) }

// StopCapture ends them early, of one role or ("") of all.
func (n *N) StopCapture(role string) {
	for r, c := range n.r.captures {
		if role == "" || r == role {
			c.quiet(100 * time.Millisecond)
			n.must(c.stop())
		}
	}
	n.r.note("network", "capture of %s stopped", role)
}

// Rule adds an nftables rule to a chain (in, out, fwd) of a role's own table.
func (n *N) Rule(role, chain, rule string) {
	if !n.tables[role] {
		n.tables[role] = true
		n.must(command(n.r.ns.name[role], `table inet lab {
			chain lab_in { type filter hook input priority 0; }
			chain lab_out { type filter hook output priority 0; }
			chain lab_fwd { type filter hook forward priority 0; }
		}`, "nft", "-f", "-"))
	}
	n.must(command(n.r.ns.name[role], "", "nft", "add rule inet lab lab_"+chain+" "+rule))
	n.r.note("network", "%s: nft %s: %s", role, chain, rule)
}

// Flush removes the rules of a role.
func (n *N) Flush(role string) {
	n.must(command(n.r.ns.name[role], "", "nft", "flush table inet lab"))
	n.r.note("network", "%s: nft flush", role)
}

// Exec runs a command in a role's namespace.
func (n *N) Exec(role string, argv ...string) {
	n.must(command(n.r.ns.name[role], "", argv...))
	n.r.note("network", "%s: %s", role, strings.Join(argv, " "))
}

// Sysctl sets a key in the middle of a scenario.
func (n *N) Sysctl(role, key, value string) {
	n.must(setSysctl(n.r.ns.name[role], key, value))
	n.r.note("network", "%s: %s = %s", role, key, value)
}

// Kill is SIGKILL to a role's program.
func (n *N) Kill(role string) {
	n.r.mu.Lock()
	ch := n.r.children[role]
	n.r.mu.Unlock()
	n.r.note("network", "SIGKILL to the %s", role)
	ch.kill()
}

// tap starts to note what a role's link carries.
func (n *N) tap(role, link string) error {
	fd, err := packetSocket(n.r.ns.name[role], link)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.socks[role] = fd
	n.mu.Unlock()
	n.wg.Go(func() {
		receive(fd, n.stop, func(frame []byte, out bool) {
			s, ok := parseFrame(frame)
			if !ok {
				return
			}
			s.Time, s.Out = stamp(fd), out
			n.mu.Lock()
			n.segs[role] = append(n.segs[role], s)
			n.mu.Unlock()
			n.cond.Broadcast()
		})
	})
	return nil
}

// Seen waits until a role's link has carried a segment that matches, and
// returns the first such.
func (n *N) Seen(role, what string, match func(Seg) bool) Seg {
	return n.SeenTimes(1, role, what, match)
}

// SeenTimes waits for the count-th such segment.
func (n *N) SeenTimes(count int, role, what string, match func(Seg) bool) Seg {
	if n.r.ns.place.lo() {
		role = record.Client
	}
	stop := context.AfterFunc(n.ctx, n.cond.Broadcast)
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		found := 0
		for _, s := range n.segs[role] {
			if match(s) {
				if found++; found == count {
					return s
				}
			}
		}
		if n.ctx.Err() != nil {
			panic(stopScenario{fmt.Errorf("never seen on the %s's link: %s", role, what)})
		}
		n.cond.Wait()
	}
}

// Last is the newest matching segment so far.
func (n *N) Last(role string, match func(Seg) bool) (last Seg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.segs[role] {
		if match(s) {
			last = s
		}
	}
	return last
}

// States lists the TCP states (socket.go) of the sockets in a role's
// namespace whose local or remote port is port, from the kernel's table.
// Orphans and TIME_WAIT are in it.
func (n *N) States(role string, port int) (states []int) {
	n.must(inNS(n.r.ns.name[role], func() error {
		for _, table := range []string{"tcp", "tcp6"} {
			f, err := os.Open(filepath.Join("/proc/thread-self/net", table))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			sc := bufio.NewScanner(f)
			for sc.Scan() {
				w := strings.Fields(sc.Text())
				if len(w) < 4 || !(portOf(w[1]) == port || portOf(w[2]) == port) {
					continue
				}
				if s, err := strconv.ParseInt(w[3], 16, 32); err == nil && s != listening {
					states = append(states, int(s))
				}
			}
			f.Close()
		}
		return nil
	}))
	return states
}

func portOf(hexAddr string) int {
	_, p, _ := strings.Cut(hexAddr, ":")
	v, _ := strconv.ParseInt(p, 16, 32)
	return int(v)
}

// UntilStates waits until the sockets of the port are in exactly the given
// states; none given means that the kernel has forgotten them.
func (n *N) UntilStates(role string, port int, want ...int) {
	for n.ctx.Err() == nil {
		if got := n.States(role, port); fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		time.Sleep(3 * time.Millisecond)
	}
	panic(stopScenario{fmt.Errorf("%s: sockets of port %d are in %v, not %v", role, port, n.States(role, port), want)})
}

// beat puts a datagram to the discard port on the wire, both ways, so that
// the captures have a last packet after everything else.
func (n *N) beat() {
	for role, ns := range n.r.ns.name {
		if role == routerRole {
			continue
		}
		peer := other(role)
		_ = inNS(ns, func() error {
			pc, err := net.ListenPacket("udp", ":9")
			if err != nil {
				return err
			}
			defer pc.Close()
			to := &net.UDPAddr{IP: net.ParseIP(n.r.ns.addr[peer][0]), Port: 9}
			_, err = pc.WriteTo([]byte("beat"), to) // lost where the scenario cut the path: then the sender's wire still has it
			return err
		})
	}
	n.r.note("network", "beat")
	runtime.Gosched()
}

func (n *N) close() {
	close(n.stop)
	n.wg.Wait()
	for _, fd := range n.socks {
		_ = unix.Close(fd)
	}
}
