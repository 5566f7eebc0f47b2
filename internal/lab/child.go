//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"hangup/internal/lab/record"
)

// child is one program of a running scenario, as the orchestrator sees it.
type child struct {
	role   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	killed bool
	exited chan struct{} // closed when its standard output ended
	ended  bool
}

// startChild re-executes this binary in the namespace.
func (r *run) startChild(c config, ns string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ch := &child{role: c.Role, exited: make(chan struct{})}
	ch.cmd = exec.Command(self, "-role", c.arg())
	// IPv6-only hosts and dual ones alike must not ask a resolver.
	ch.cmd.Env = append(os.Environ(), "GODEBUG=netdns=go")
	ch.cmd.Stderr = &ch.stderr
	ch.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if ch.stdin, err = ch.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := ch.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := inNS(ns, ch.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		defer close(ch.exited)
		r.follow(ch, out)
	}()
	return ch, nil
}

// follow reads what a program reports.
func (r *run) follow(ch *child, out io.Reader) {
	rd := bufio.NewReader(out)
	for {
		line, err := rd.ReadBytes('\n')
		if err != nil {
			break
		}
		var u upward
		if err := json.Unmarshal(line, &u); err != nil {
			r.fail("%s says %q", ch.role, line)
			continue
		}
		switch {
		case u.At != "":
			r.reach(ch.role, u.At)
		case u.Begin != nil:
			r.begin(*u.Begin)
		case u.End != nil:
			r.end(*u.End)
		case u.Fail != "":
			r.fail("%s: %s", ch.role, u.Fail)
		case u.Done:
			r.ended(ch)
		}
	}
	r.ended(ch)
}

// stop hangs up: the program exits by itself, its sockets with it, when the
// captures have already ended.
func (ch *child) stop() {
	_ = ch.stdin.Close()
	_ = ch.cmd.Process.Kill() // a program stuck in a scenario reads no end of file
	<-ch.exited
	_ = ch.cmd.Wait()
}

// kill is SIGKILL in the middle of the scenario.
func (ch *child) kill() {
	ch.killed = true
	_ = ch.cmd.Process.Kill()
	<-ch.exited
}

func (ch *child) state() string {
	select {
	case <-ch.exited:
		if ch.killed {
			return "killed"
		}
		return "exited"
	default:
		return "running"
	}
}

// journal collects what a run records.
type journal struct {
	mu     sync.Mutex
	cond   *sync.Cond
	steps  map[string]bool
	events []record.Event
	calls  []record.Call
	failed []string
	active int // programs whose function has not returned
}
