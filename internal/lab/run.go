//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hangup/capture/host"
	"hangup/internal/lab/record"
)

// run is one run of one scenario.
type run struct {
	journal
	s        Scenario
	dir      string
	ns       namespaces
	children map[string]*child
	captures map[string]*capture
	n        *N
	stopped  bool // what programs say from now on is our own doing
}

// execute runs one scenario and writes its recording to dir. With keep its
// namespaces stay. What the kernel says meanwhile is written too, where events
// is not nil; slot picks the networks (namespaces.net4).
func execute(ctx context.Context, s Scenario, id, dir string, keep bool, slot int, events *host.Events) (err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	r := &run{s: s, dir: dir, children: map[string]*child{}, captures: map[string]*capture{}}
	r.cond = newCond(&r.mu)
	r.steps = map[string]bool{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if r.ns, err = build(s.Place, slot, id); err != nil {
		return err
	}
	if !keep {
		defer r.ns.remove()
	}
	r.n = newNetwork(ctx, r)
	defer r.n.close()
	defer r.stopChildren()
	defer func() { err = errors.Join(err, r.stopCaptures()) }()
	for _, k := range s.Sysctl {
		if err := setSysctl(r.ns.name[k.Role], k.Key, k.Value); err != nil {
			return err
		}
	}
	if err := r.n.prepare(); err != nil {
		return err
	}
	if s.From == "" {
		if err := r.startCaptures(); err != nil {
			return err
		}
	}
	if err := r.startPrograms(); err != nil {
		return err
	}
	r.await(ctx)
	if len(r.failed) > 0 || ctx.Err() != nil {
		return r.report(ctx)
	}
	time.Sleep(s.Tail)
	if s.Beat {
		r.n.beat()
	}
	for _, c := range r.captures {
		c.quiet(150 * time.Millisecond)
	}
	if err := r.stopCaptures(); err != nil {
		return err
	}
	rec := r.recording()
	for i := range rec.Expect.Conns {
		if c := &rec.Expect.Conns[i]; c.FirstEnd == either {
			if err := settleFINs(dir, c); err != nil {
				return err
			}
		}
	}
	return errors.Join(rec.Write(dir), writeKernel(events, rec, began, dir))
}

func (r *run) startPrograms() error {
	// The server first: it is what the client waits for.
	for _, role := range []string{record.Server, record.Client} {
		c := config{Scenario: r.s.Name, Role: role, Client: r.ns.addr[record.Client][0], Server: r.ns.addr[record.Server][0], LimitMS: r.s.limit().Milliseconds()}
		if len(r.ns.addr[record.Server]) > 1 {
			c.Server2 = r.ns.addr[record.Server][1]
		}
		r.mu.Lock()
		r.active++
		r.mu.Unlock()
		ch, err := r.startChild(c, r.ns.name[role])
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.children[role] = ch
		for step := range r.steps { // reached while this one was being started
			_, _ = fmt.Fprintf(ch.stdin, "{\"step\":%q}\n", step)
		}
		r.mu.Unlock()
	}
	return nil
}

// await returns when both programs and the network have done their part, or
// something failed.
func (r *run) await(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.cond.Broadcast)
	defer stop()
	if r.s.Network != nil {
		r.mu.Lock()
		r.active++
		r.mu.Unlock()
		go r.n.play(r.s.Network)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.active > 0 && len(r.failed) == 0 && ctx.Err() == nil {
		r.cond.Wait()
	}
}

func (r *run) report(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	msg := strings.Join(r.failed, "; ")
	if ctx.Err() != nil {
		msg += fmt.Sprintf(" (%v)", context.Cause(ctx))
	}
	for role, ch := range r.children {
		msg += fmt.Sprintf("\n  %s %s %s", role, ch.state(), ch.stderr.String())
	}
	for _, e := range r.events {
		msg += fmt.Sprintf("\n  %s: %s", e.Who, e.What)
	}
	for _, c := range r.calls {
		if c.Error == "blocked" {
			msg += fmt.Sprintf("\n  %s: in %s since %s", c.Side, c.Op, time.Unix(0, c.Start).Format("05.000"))
		}
	}
	return errors.New(msg)
}

func (r *run) stopChildren() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	for _, ch := range r.children {
		ch.stop()
	}
}

func (r *run) startCaptures() error {
	for _, role := range r.ns.roles() {
		if r.captures[role] != nil {
			continue
		}
		file := filepath.Join(r.dir, role+".pcap")
		c, err := startCapture(r.ns.name[role], r.ns.link(role), r.s.Filter, r.s.Snap, file)
		if err != nil {
			return err
		}
		r.captures[role] = c
	}
	return nil
}

func (r *run) stopCaptures() (err error) {
	for _, c := range r.captures {
		err = errors.Join(err, c.stop())
	}
	return err
}

// reach marks a step and tells everybody.
func (r *run) reach(who, step string) {
	r.mu.Lock()
	if !r.steps[step] {
		r.steps[step] = true
		r.events = append(r.events, record.Event{Time: time.Now().UnixNano(), Who: who, What: step})
	}
	for _, ch := range r.children {
		_, _ = fmt.Fprintf(ch.stdin, "{\"step\":%q}\n", step) // a program that is gone needs no step
	}
	r.mu.Unlock()
	r.cond.Broadcast()
}

func (r *run) note(who, format string, args ...any) {
	r.mu.Lock()
	r.events = append(r.events, record.Event{Time: time.Now().UnixNano(), Who: who, What: fmt.Sprintf(format, args...)})
	r.mu.Unlock()
}

func (r *run) fail(format string, args ...any) {
	r.mu.Lock()
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	r.cond.Broadcast()
}

func (r *run) begin(c record.Call) {
	c.Error = "blocked"
	r.mu.Lock()
	r.calls = append(r.calls, c)
	r.mu.Unlock()
}

func (r *run) end(c record.Call) {
	r.mu.Lock()
	for i := range r.calls {
		if r.calls[i].Side == c.Side && r.calls[i].Number == c.Number {
			r.calls[i] = c
		}
	}
	r.mu.Unlock()
}

// ended is called when a program's function returned, and when it exited.
func (r *run) ended(ch *child) {
	r.mu.Lock()
	first := !ch.ended
	stopped := r.stopped
	ch.ended = true
	if first {
		r.active--
	}
	r.mu.Unlock()
	if first && !stopped {
		r.reach(ch.role, ch.role+" ended")
	}
	r.cond.Broadcast()
}

// recording puts together what calls.json holds.
func (r *run) recording() record.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	var u unix.Utsname
	kernel := ""
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	rec := record.Recording{
		Scenario: r.s.Name, Family: r.s.Family, Base: r.s.Base, Description: r.s.About,
		Probe: r.s.Probe, Place: string(r.s.Place), Go: runtime.Version(), Kernel: kernel,
		Client: r.host(record.Client), Server: r.host(record.Server),
		Events: append([]record.Event(nil), r.events...),
		Calls:  append([]record.Call(nil), r.calls...), Expect: r.s.Expect,
	}
	if r.ns.place.routed() {
		h := r.host(routerRole)
		rec.Router = &h
	}
	sort.SliceStable(rec.Calls, func(i, j int) bool { return rec.Calls[i].Start < rec.Calls[j].Start })
	sort.SliceStable(rec.Events, func(i, j int) bool { return rec.Events[i].Time < rec.Events[j].Time })
	return rec
}

func (r *run) host(role string) record.Host {
	h := record.Host{Addrs: r.ns.addr[role], Link: r.ns.link(role), Filter: r.s.Filter, Snap: r.s.Snap, Sysctl: map[string]string{}}
	h.Capture = role + ".pcap"
	if r.ns.place.lo() {
		h.Capture = record.Client + ".pcap"
	}
	for _, k := range r.s.Sysctl {
		if k.Role == role {
			h.Sysctl[k.Key] = k.Value
		}
	}
	if ch := r.children[role]; ch != nil {
		h.State = ch.state()
	}
	return h
}
