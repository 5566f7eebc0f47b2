package host

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestBudget: thousands of connections at once are found, in time, without
// more CPU than was granted.
func TestBudget(t *testing.T) {
	isolate(t)
	const n = 5000
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Max < n+100 {
		t.Skipf("needs %d open files, the limit is %d", n+100, lim.Max)
	}
	server := start(t, "accept 127.0.0.1:0")
	client := start(t, fmt.Sprintf("dial %v %d", server.addrs[0], n))
	const share = 0.02
	p := open(t, Config{Budget: share})
	begin := time.Now()
	for _, a := range client.addrs {
		for p.Stats().Waiting > queueLen/2 { // a burst beyond the queue is not what is measured here
			time.Sleep(time.Millisecond)
		}
		p.Seen(a, server.addrs[0])
	}
	within := func() Stats {
		s := p.Stats()
		// What was saved up, and one step that was begun with the last of it.
		if most := time.Duration(share*float64(s.Elapsed+burst)) + s.Step; s.CPU > most {
			t.Fatalf("%v of CPU in %v, more than %v", s.CPU, s.Elapsed, most)
		}
		return s
	}
	eventually(t, p, "all connections", func() bool {
		s := within()
		return s.BySocket+s.ByListener == 2*n
	})
	s := within()
	t.Logf("%d ends in %v with %v of CPU, %v in one go: %d requests, %d dumps, %d scans, %d by their listener", s.Lookups, time.Since(begin).Round(time.Millisecond), s.CPU.Round(time.Microsecond), s.Step.Round(time.Microsecond), s.Requests, s.Dumps, s.Scans, s.ByListener)
	for _, a := range client.addrs {
		if got, ok := p.Of(a, server.addrs[0]); !ok || got.PID != client.pid {
			t.Fatalf("%v: %+v, %v, want PID %d", a, got, ok, client.pid)
		}
		if got, ok := p.Of(server.addrs[0], a); !ok || got.PID != server.pid {
			t.Fatalf("server of %v: %+v, %v, want PID %d", a, got, ok, server.pid)
		}
	}
}

// TestBudgetRests: whatever the steps cost, what is spent stays below what was
// granted, and close to it while there is work.
func TestBudgetRests(t *testing.T) {
	const share, longest = 0.02, 50 * time.Millisecond
	start := time.Unix(0, 0)
	now, used := start, time.Duration(0)
	b := newBudget(share, now, used)
	for i := range 10_000 {
		b.settle(now, used)
		now = now.Add(b.wait(0))
		b.settle(now, used)
		cost := time.Duration(i*i*7919) % longest
		used, now = used+cost, now.Add(cost)
		if most := time.Duration(share*float64(now.Sub(start)+burst)) + longest; used > most {
			t.Fatalf("step %d: %v used in %v", i, used, now.Sub(start))
		}
	}
	if got := float64(used) / float64(now.Sub(start)); got < share*0.95 {
		t.Errorf("only %.4f of a CPU used while there was work", got)
	}
	b.settle(now.Add(time.Hour), used)
	if b.tokens != b.most() || b.wait(time.Hour) != 0 {
		t.Errorf("%v saved up in an hour, at most %v may be", b.tokens, b.most())
	}
}
