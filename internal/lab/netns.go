//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const nsPrefix = "hangup-lab-"

// inNS runs f on a thread that is in the named network namespace. What f
// starts (processes, sockets) stays there.
func inNS(name string, f func() error) error {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	ns, err := os.Open(filepath.Join("/run/netns", name))
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering namespace %s: %w", name, err)
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked and dies with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// command runs a program with input, in a namespace unless that is "".
func command(ns, input string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	run := cmd.Run
	if ns != "" {
		run = func() error { return inNS(ns, cmd.Run) }
	}
	if err := run(); err != nil {
		return fmt.Errorf("%s: %w: %s%s", strings.Join(argv, " "), err, out.String(), input)
	}
	return nil
}

// setSysctl writes one key, such as net.ipv4.tcp_retries2, in a namespace.
func setSysctl(ns, key, value string) error {
	return inNS(ns, func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0o644)
	})
}

// sweep removes the namespaces of laboratories that are dead, and ends what
// still runs in them.
func sweep() {
	names, _ := filepath.Glob("/run/netns/" + nsPrefix + "*")
	for _, path := range names {
		name := filepath.Base(path)
		pid, err := strconv.Atoi(strings.SplitN(strings.TrimPrefix(name, nsPrefix), "-", 2)[0])
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		removeNS(name)
	}
}

func removeNS(name string) {
	if out, err := exec.Command("ip", "netns", "pids", name).Output(); err == nil {
		for _, f := range strings.Fields(string(out)) {
			if pid, err := strconv.Atoi(f); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	_ = command("", "", "ip", "netns", "del", name) // gone already is fine
}
