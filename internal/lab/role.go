//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"hangup/internal/lab/record"
)

// L is what one program of a scenario sees of the laboratory.
type L struct {
	config
	Probe string // the variation: see probe.go

	mu    sync.Mutex
	out   *json.Encoder
	steps map[string]bool
	cond  *sync.Cond
	calls int
	conns int
	ports int
	keep  []any // sockets must not fall to a finalizer, which would close them
}

func newRole(c config, out io.Writer) *L {
	l := &L{config: c, out: json.NewEncoder(out), steps: map[string]bool{}}
	l.cond = sync.NewCond(&l.mu)
	return l
}

// runRole is the life of a re-executed program: it runs its side of the
// scenario, then stays, sockets and all, until the orchestrator hangs up.
func runRole(c config, in io.Reader, out io.Writer) int {
	l := newRole(c, out)
	s, ok := find(catalogue(), c.Scenario)
	if !ok {
		fmt.Fprintln(os.Stderr, "lab: no such scenario:", c.Scenario)
		return 2
	}
	l.Probe = s.Probe
	gone := make(chan struct{})
	go func() {
		l.listenForSteps(in)
		close(gone)
	}()
	side := s.Client
	if c.Role == record.Server {
		side = s.Server
	}
	if side != nil {
		side(l)
	}
	l.send(upward{Done: true})
	<-gone
	runtime.KeepAlive(l.keep)
	return 0
}

func (l *L) listenForSteps(in io.Reader) {
	sc := bufio.NewScanner(in)
	for sc.Scan() {
		var d downward
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			continue
		}
		l.mu.Lock()
		l.steps[d.Step] = true
		l.mu.Unlock()
		l.cond.Broadcast()
	}
}

func (l *L) send(u upward) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.Encode(u); err != nil {
		os.Exit(1) // the orchestrator is gone, and with it all reason to live
	}
}

// At says that the program has reached a step.
func (l *L) At(step string) { l.send(upward{At: step}) }

// Wait waits until somebody has reached the step.
func (l *L) Wait(step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.steps[step] {
		l.cond.Wait()
	}
}

// Fail ends this side: the scenario did not go as planned.
func (l *L) Fail(format string, args ...any) {
	l.send(upward{Fail: fmt.Sprintf(format, args...)})
	select {}
}

// Exit ends the process as a program does that returns from main: without a
// word to its sockets.
func (l *L) Exit() { os.Exit(0) }

// Limit is the scenario's.
func (l *L) limit() time.Duration { return time.Duration(l.LimitMS) * time.Millisecond }

// Until polls the condition, every millisecond, within the scenario's limit.
func (l *L) Until(what string, cond func() bool) {
	for end := time.Now().Add(l.limit()); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.Fail("%s waited in vain: %s", l.Role, what)
		}
	}
}

// Addr is the server's address with the port.
func (l *L) Addr(port int) string { return net.JoinHostPort(l.Server, strconv.Itoa(port)) }

// Do records any call: op and level name it, f makes it.
func (l *L) Do(op, level string, c *Conn, f func(*record.Call) error) error {
	call := record.Call{Side: l.Role, Op: op, Level: level}
	if c != nil {
		call.Conn, call.Local, call.Remote, call.Phase = c.number, c.local, c.remote, c.Phase
	}
	return l.record(call, f)
}

func (l *L) record(call record.Call, f func(*record.Call) error) error {
	l.mu.Lock()
	l.calls++
	call.Number = l.calls
	call.Start = time.Now().UnixNano()
	err := l.out.Encode(upward{Begin: &call})
	l.mu.Unlock()
	if err != nil {
		os.Exit(1)
	}
	err = f(&call)
	call.End = time.Now().UnixNano()
	describe(&call, err)
	l.send(upward{End: &call})
	return err
}

// App records a call above the socket.
func (l *L) App(op string, f func(*record.Call) error) error {
	return l.Do(op, record.App, nil, f)
}

// Pending is a call in another goroutine.
type Pending struct {
	done chan struct{}
}

// Go runs f, which makes one call, in a goroutine and returns when that
// goroutine has either gone to sleep in the network poller or returned: the
// scheduler's own word, taken from its stack dump, instead of a guess by time.
func (l *L) Go(f func()) *Pending {
	p := &Pending{done: make(chan struct{})}
	id := make(chan string, 1)
	go func() {
		defer close(p.done)
		id <- goroutineID()
		f()
	}()
	header := "goroutine " + <-id + " [IO wait"
	l.Until("a call to block", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return strings.Contains(allStacks(), header)
		}
	})
	return p
}

// Join waits for the call, but no longer than d; true when it returned.
func (p *Pending) Join(d time.Duration) bool {
	if p == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

func goroutineID() string {
	b := make([]byte, 64)
	f := strings.Fields(string(b[:runtime.Stack(b, false)]))
	return f[1]
}

func allStacks() string {
	b := make([]byte, 1<<18)
	return string(b[:runtime.Stack(b, true)])
}
