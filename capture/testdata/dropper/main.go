// Dropper captures, drops its privileges but for one, and shows what is left,
// thread by thread, and that packets still come.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"hangup/capture"
)

const capSysPtrace = 19 // linux/capability.h

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	l, err := capture.OpenLive(capture.LiveConfig{Interfaces: []string{"lo"}})
	if err != nil {
		return err
	}
	defer l.Close()
	go func() { // a thread of its own
		var b capture.Batch
		for l.Next(&b) == nil {
		}
	}()
	time.Sleep(10 * time.Millisecond)
	if err := capture.DropPrivileges(capSysPtrace); err != nil {
		return err
	}
	if _, err := net.Dial("tcp", "127.0.0.1:1"); err == nil {
		return fmt.Errorf("somebody listens on port 1")
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("packets:", l.Inputs()[0].Packets)
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		os.Stdout.Write(status)
	}
	return nil
}
